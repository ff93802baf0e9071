//! Many sessions at once: each reads what comes as fast as it comes, and tells it to an ear.

use crate::link::{Account, Entered, Link, Writer};
use crate::scan::body;
use anyhow::{Context as _, Result, ensure};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::task::{JoinHandle, JoinSet};

/// Sessions that are opened side by side.
const AT_ONCE: usize = 16;

/// Hears what comes in.
pub(crate) trait Ear: Send + Sync + 'static {
    /// `who` got a stanza.
    fn hear(&self, who: usize, stanza: &[u8], at: Instant);
}

/// Hears nothing.
#[derive(Debug)]
pub(crate) struct Deaf;

impl Ear for Deaf {
    fn hear(&self, _: usize, _: &[u8], _: Instant) {}
}

/// Who signs in, and the room that he enters.
#[derive(Clone, Debug)]
pub(crate) struct Seat {
    pub(crate) account: Account,
    pub(crate) room: Option<String>,
}

#[derive(Debug)]
struct Occupant {
    room: Option<String>,
    writer: Writer,
    task: JoinHandle<()>,
}

/// Sessions that are open; gone when dropped.
#[derive(Debug)]
pub(crate) struct Audience {
    /// By who they are.
    occupants: Vec<Occupant>,
    lost: Arc<AtomicUsize>,
    /// From the first connection to the last that was in its room.
    pub(crate) took: Duration,
}

impl Audience {
    /// Signs everybody in, and has them enter.
    pub(crate) async fn gather<E: Ear>(seats: Vec<Seat>, ear: &Arc<E>) -> Result<Self> {
        let begun = Instant::now();
        let lost = Arc::new(AtomicUsize::new(0));
        let mut seats = seats.into_iter().enumerate();
        let (mut opening, mut opened) = (JoinSet::new(), Vec::new());
        loop {
            while opening.len() < AT_ONCE
                && let Some((who, seat)) = seats.next()
            {
                opening.spawn(sit(who, seat, Arc::clone(ear), Arc::clone(&lost)));
            }
            let Some(done) = opening.join_next().await else { break };
            opened.push(done??);
        }
        opened.sort_by_key(|(who, _)| *who);
        let occupants = opened.into_iter().map(|(_, occupant)| occupant).collect();
        Ok(Self { occupants, lost, took: begun.elapsed() })
    }

    pub(crate) fn len(&self) -> usize {
        self.occupants.len()
    }

    /// Sessions that the server has ended.
    pub(crate) fn lost(&self) -> usize {
        self.lost.load(Ordering::Relaxed)
    }

    /// A mouth for `who`.
    pub(crate) fn mouth(&self, who: usize) -> Result<Mouth> {
        let occupant = self.occupants.get(who).context("nobody sits there")?;
        let room = occupant.room.clone().context("he is in no room")?;
        Ok(Mouth { who, room, writer: occupant.writer.clone() })
    }

    /// Sends for each what `text` has for him.
    pub(crate) async fn send_each(&self, text: impl Fn(usize) -> String) -> Result<()> {
        for (who, occupant) in self.occupants.iter().enumerate() {
            occupant.writer.send(&text(who)).await?;
        }
        Ok(())
    }

    /// Everybody's connection breaks off.
    pub(crate) fn cut(self) {
        drop(self);
    }

    /// Everybody ends his session in order.
    pub(crate) async fn leave(mut self) -> Result<()> {
        for occupant in &self.occupants {
            let _ = occupant.writer.send("</stream:stream>").await;
        }
        let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
        for occupant in &mut self.occupants {
            if tokio::time::timeout_at(deadline, &mut occupant.task).await.is_err() {
                break;
            }
        }
        Ok(())
    }

    /// Refuses what was measured when sessions were lost meanwhile.
    pub(crate) fn ensure_all_there(&self) -> Result<()> {
        ensure!(self.lost() == 0, "{} of {} sessions were ended by the server", self.lost(), self.len());
        Ok(())
    }
}

impl Drop for Audience {
    fn drop(&mut self) {
        self.occupants.iter().for_each(|occupant| occupant.task.abort());
    }
}

async fn sit<E: Ear>(who: usize, seat: Seat, ear: Arc<E>, lost: Arc<AtomicUsize>) -> Result<(usize, Occupant)> {
    let mut link = Link::open(&seat.account).await?;
    if let Some(room) = &seat.room {
        enter(&mut link, room, who).await?;
    }
    let writer = link.writer.clone();
    let task = tokio::spawn(async move {
        while let Ok(stanza) = link.next().await {
            if stanza.starts_with(b"</stream") {
                break;
            }
            ear.hear(who, stanza, Instant::now());
        }
        lost.fetch_add(1, Ordering::Relaxed);
    });
    Ok((who, Occupant { room: seat.room, writer, task }))
}

/// Enters a room under a name of `who`'s own.
pub(crate) async fn enter(link: &mut Link, room: &str, who: usize) -> Result<Entered> {
    link.enter(room, &format!("n{who}")).await
}

/// Who can speak in his room.
#[derive(Clone, Debug)]
pub(crate) struct Mouth {
    pub(crate) who: usize,
    room: String,
    writer: Writer,
}

impl Mouth {
    /// Sends message `number`.
    pub(crate) async fn say(&self, number: usize) -> Result<()> {
        let (room, body) = (&self.room, body(number));
        let stanza = format!("<message to='{room}' type='groupchat' id='m{number}'><body>{body}</body></message>");
        self.writer.send(&stanza).await
    }
}
