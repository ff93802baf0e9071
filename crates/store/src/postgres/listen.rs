//! What the others tell this server.

use super::hosts::Hosts;
use super::told::{self, CHANNEL, Notice};
use crate::pool::Heard;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// How often it is made sure that the connection still is one.
const ALIVE: Duration = Duration::from_secs(2);
/// For how long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between attempts, at most: what was missed is read when listening has begun.
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// Listens until `stopping`, and begins anew whenever the connection breaks.
pub(super) async fn run(hosts: Arc<Hosts>, own: Uuid, heard: mpsc::Sender<Heard>, stopping: CancellationToken) {
    let mut pause = Duration::from_millis(50);
    loop {
        let listened = tokio::select! {
            listened = listen(&hosts, own, &heard) => listened,
            () = stopping.cancelled() => return,
        };
        if listened {
            pause = Duration::from_millis(50);
            if heard.send(Heard::Deaf).await.is_err() {
                return;
            }
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Listens until the connection breaks; whether it did listen.
async fn listen(hosts: &Hosts, own: Uuid, heard: &mpsc::Sender<Heard>) -> bool {
    let (notified, mut notifications) = mpsc::unbounded_channel();
    let Ok(session) = hosts.open(&Some(notified)).await else { return false };
    if session.batch(&format!("LISTEN {CHANNEL}")).await.is_err() || heard.send(Heard::Listening).await.is_err() {
        return false;
    }
    let mut alive = tokio::time::interval(ALIVE);
    loop {
        tokio::select! {
            notification = notifications.recv() => {
                let Some(notification) = notification else { return true };
                let said = match told::read(notification.payload()) {
                    Some((run, _)) if run == own => continue,
                    Some((_, Notice::Entries(entries))) => Heard::Entries(entries),
                    Some((run, Notice::Signal(number, text))) => Heard::Signal(run, number, text),
                    None => {
                        tracing::debug!("a notification that is none of ours");
                        continue;
                    }
                };
                if heard.send(said).await.is_err() {
                    return true;
                }
            }
            _ = alive.tick() => {
                let answer = tokio::time::timeout(PATIENCE, session.batch("")).await;
                if !matches!(answer, Ok(Ok(()))) {
                    return true;
                }
            }
        }
    }
}
