//! Who does what in a load.

use std::time::Duration;

/// Who does what.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What the names of rooms and users begin with, so that one load after another has its own.
    pub tag: String,
    /// How many rooms.
    pub rooms: usize,
    /// How many writers.
    pub writers: usize,
    /// How many listeners, each in all rooms.
    pub listeners: usize,
    /// Between two messages of a writer.
    pub pause: Duration,
    /// Messages a second of all writers together, at most; `None`: as many as they can.
    pub rate: Option<f64>,
    /// For the answer to one attempt; then it is taken for lost.
    pub patience: Duration,
    /// For one message, with all attempts; then it is given up.
    pub persistence: Duration,
    /// For everybody to have seen everything, and all servers to say the same, when nothing is sent any more.
    pub settling: Duration,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            tag: String::new(),
            rooms: 2,
            writers: 8,
            listeners: 4,
            pause: Duration::from_millis(20),
            rate: None,
            patience: Duration::from_secs(5),
            persistence: Duration::from_secs(20),
            settling: Duration::from_secs(30),
        }
    }
}

impl Plan {
    /// So many messages a second, by as many writers as that takes while each waits for its answers.
    pub fn at_rate(rate: f64) -> Self {
        // Even where an answer takes a tenth of a second.
        let writers = (rate / 10.0).ceil().clamp(4.0, 64.0) as usize;
        Self { writers, rate: Some(rate), pause: Duration::ZERO, ..Self::default() }
    }
}
