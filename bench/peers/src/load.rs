//! Two ways to talk: as fast as what was said comes back (closed), and at a rate that nobody slows down (open).

use crate::audience::Mouth;
use crate::board::Board;
use anyhow::Result;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Tasks that send at a rate: one that a slow connection holds up shall not hold up everybody.
const PACERS: usize = 8;

/// Everybody speaks whenever his window allows it, until this is dropped.
#[derive(Debug)]
pub(crate) struct Closed {
    talking: JoinSet<Result<()>>,
    over: watch::Sender<bool>,
}

impl Closed {
    pub(crate) fn start(board: &Arc<Board>, mouths: Vec<Mouth>) -> Self {
        let mut talking = JoinSet::new();
        let (over, is_over) = watch::channel(false);
        for mouth in mouths {
            let (board, mut is_over) = (Arc::clone(board), is_over.clone());
            talking.spawn(async move {
                loop {
                    tokio::select! {
                        biased;
                        _ = is_over.changed() => return Ok(()),
                        turn = board.turn(mouth.who) => turn?,
                    }
                    mouth.say(board.due(mouth.who, Instant::now())?).await?;
                }
            });
        }
        Self { talking, over }
    }

    /// Everybody falls silent, but not in the middle of a word: half a stanza would end the stream.
    pub(crate) async fn stop(mut self) {
        let _ = self.over.send(true);
        let ending = async { while self.talking.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(Duration::from_secs(30), ending).await;
    }
}

/// `rate` messages a second by all of `mouths` in turn, each at its time whether or not those before have come back.
pub(crate) async fn open(board: &Arc<Board>, mouths: &[Mouth], rate: f64, length: Duration) -> Result<()> {
    let begun = Instant::now();
    let pacers = PACERS.min(mouths.len());
    let mut talking = JoinSet::new();
    for first in 0..pacers {
        let mine: Vec<Mouth> = mouths.iter().skip(first).step_by(pacers).cloned().collect();
        let board = Arc::clone(board);
        talking.spawn(async move {
            let mut next = first;
            for mouth in mine.iter().cycle() {
                #[allow(clippy::cast_precision_loss, reason = "counts of minutes")]
                let due = begun + Duration::from_secs_f64(next as f64 / rate);
                if due - begun >= length {
                    break;
                }
                tokio::time::sleep_until(due.into()).await;
                mouth.say(board.due(mouth.who, due)?).await?;
                next += pacers;
            }
            anyhow::Ok(())
        });
    }
    while let Some(done) = talking.join_next().await {
        done??;
    }
    Ok(())
}
