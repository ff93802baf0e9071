//! Progress of long work: a moving bar on a terminal, a line every few seconds elsewhere, always on standard error.
#![allow(clippy::print_stderr, reason = "progress is for the person watching, not for the log")]

use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

/// How often a line is printed where there is no terminal.
const EVERY: Duration = Duration::from_secs(5);

/// Shows how far something is.
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    what: &'static str,
    of: u64,
    done: u64,
    last_line: Instant,
    quiet: bool,
}

impl Progress {
    /// For `of` things called `what` (0: nobody knows how many).
    pub(crate) fn new(what: &'static str, of: u64, quiet: bool) -> Self {
        let bar = (!quiet && std::io::stderr().is_terminal()).then(|| {
            let (bar, template) = if of == 0 {
                (ProgressBar::new_spinner(), "{spinner} {human_pos} {msg}  {per_sec}  {elapsed}")
            } else {
                (ProgressBar::new(of), "{wide_bar} {human_pos}/{human_len} {msg}  {per_sec}  {eta} left")
            };
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style);
            }
            bar.set_message(what);
            bar
        });
        Self { bar, what, of, done: 0, last_line: Instant::now(), quiet }
    }

    /// So many are done in all.
    pub(crate) fn set(&mut self, done: u64) {
        self.done = done;
        if let Some(bar) = &self.bar {
            bar.set_position(done);
        } else if !self.quiet && self.last_line.elapsed() >= EVERY {
            self.last_line = Instant::now();
            if self.of == 0 {
                eprintln!("{done} {}", self.what);
            } else {
                eprintln!("{done} of {} {}", self.of, self.what);
            }
        }
    }

    /// So many more are done.
    pub(crate) fn add(&mut self, more: u64) {
        self.set(self.done + more);
    }

    /// It is over; the bar goes away.
    pub(crate) fn finish(self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
