//! Pages of 50 from a room with a large archive, by several clients who ask as fast as they are answered: the last page, and pages before random messages.

use super::{Sizes, micros, rate, seats};
use crate::audience::{Audience, Ear, Mouth, enter};
use crate::board::{Board, Spread};
use crate::figures::{Figure, count};
use crate::link::Link;
use crate::mam::{self, Place};
use crate::sasl::Way;
use crate::scan::attribute;
use crate::site::{Site, room};
use anyhow::{Result, ensure};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

const WHAT: &str = "history";
const NAME: &str = "history";
/// Who fills the room.
const WRITERS: usize = 4;
const WINDOW: usize = 32;
/// Who reads.
const READERS: usize = 4;
const PAGE: usize = 50;
/// For filling a room.
const PATIENCE: Duration = Duration::from_secs(1_800);

/// Writes down the archive's ids, as the first of the room sees them.
#[derive(Debug)]
struct Ids {
    board: Board,
    ids: Mutex<Vec<String>>,
}

impl Ear for Ids {
    fn hear(&self, who: usize, stanza: &[u8], at: Instant) {
        self.board.hear(who, stanza, at);
        if let Some(id) = (who == 0).then(|| attribute(stanza, "stanza-id", "id")).flatten() {
            self.ids.lock().unwrap_or_else(PoisonError::into_inner).push(id.to_owned());
        }
    }
}

pub(crate) async fn measure(site: &mut Site, sizes: &Sizes) -> Result<Vec<Figure>> {
    let ids = fill(site, sizes).await?;
    ensure!(ids.len() > PAGE, "the server's messages carry no ids of the archive (XEP-0359)");
    site.ground.sql("VACUUM ANALYZE")?;
    site.settle().await;
    let ids = Arc::new(ids);
    let mut figures = vec![Figure::new(WHAT, "messages in the room", "messages", count(ids.len() as u64))];
    for (name, random) in [("last page", false), ("random page", true)] {
        for readers in [1, READERS] {
            let before = site.usage();
            let mut reading = JoinSet::new();
            for who in 0..readers {
                let (account, ids, length) = (site.account(who, Way::Scram), Arc::clone(&ids), sizes.length);
                reading.spawn(async move {
                    let mut link = Link::open(&account).await?;
                    enter(&mut link, &room(format!("{NAME}0")), who).await?;
                    let taken = read(&mut link, &ids, random, who, length).await?;
                    link.close().await;
                    anyhow::Ok(taken)
                });
            }
            let mut spread = Spread::new()?;
            while let Some(done) = reading.join_next().await {
                done??.into_iter().for_each(|took| spread.add(took));
            }
            let used = site.used(before);
            let people = if readers == 1 { "1 reader".to_owned() } else { format!("{readers} readers") };
            let mut figure = |what: &str, unit, value| {
                figures.push(Figure::new(WHAT, format!("{name}, {people}: {what}"), unit, value));
            };
            figure("pages", "1/s", rate(spread.len(), sizes.length));
            figure("p50", "ms", spread.at(0.5));
            figure("p99", "ms", spread.at(0.99));
            figure("server's CPU of a page", "us", micros(used.server, spread.len()));
            figure("PostgreSQL's CPU of a page", "us", micros(used.postgres, spread.len()));
        }
    }
    Ok(figures)
}

/// Fills the room through the front door, and answers the archive's ids.
async fn fill(site: &Site, sizes: &Sizes) -> Result<Vec<String>> {
    let ear = Arc::new(Ids { board: Board::new(WRITERS, 0, &[])?, ids: Mutex::default() });
    let audience = Audience::gather(seats(site, NAME, 1, WRITERS), &ear).await?;
    let mouths: Vec<Mouth> = (0..WRITERS).map(|who| audience.mouth(who)).collect::<Result<_>>()?;
    let begun = Instant::now();
    let mut under_way = JoinSet::new();
    for mouth in mouths {
        let ear = Arc::clone(&ear);
        let share = sizes.history / WRITERS;
        under_way.spawn(async move {
            for _ in 0..share {
                ear.board.turn(mouth.who).await?;
                mouth.say(ear.board.due(mouth.who, Instant::now())?).await?;
            }
            anyhow::Ok(())
        });
    }
    ear.board.widen(WINDOW);
    while let Some(done) = under_way.join_next().await {
        done??;
        ensure!(begun.elapsed() < PATIENCE, "the room is not full after half an hour");
    }
    ensure!(ear.board.quiet(Duration::from_secs(120)).await, "not everything came back in two minutes");
    audience.ensure_all_there()?;
    audience.leave().await?;
    let ids = std::mem::take(&mut *ear.ids.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(ids)
}

async fn read(link: &mut Link, ids: &[String], random: bool, who: usize, length: Duration) -> Result<Vec<Duration>> {
    let room = room(format!("{NAME}0"));
    let mut taken = Vec::new();
    // A small generator of our own, so that every server is asked for the same places.
    let mut state = 0x2545_F491_4F6C_DD1D_u64.wrapping_add((who as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let until = Instant::now() + length;
    while Instant::now() < until {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let among = (ids.len() - PAGE) as u64;
        let before = ids.get(PAGE + usize::try_from(state % among)?).filter(|_| random);
        let begun = Instant::now();
        let place = before.map_or(Place::Last, |id| Place::Before(id));
        let page = mam::page(link, &room, place, PAGE).await?;
        taken.push(begun.elapsed());
        ensure!(page.count == PAGE, "a page of {} instead of {PAGE}", page.count);
    }
    Ok(taken)
}
