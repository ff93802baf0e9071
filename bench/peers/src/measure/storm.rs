//! Everybody is cut off at once, misses some messages, comes back within seconds and asks for what was missed: until when each has it all, and who got a
//! gap or a repeat.

use super::{Sizes, rooms, seats};
use crate::audience::{Audience, Ear, Mouth, Seat, enter};
use crate::board::{Board, Spread};
use crate::figures::{Figure, count};
use crate::link::Link;
use crate::mam::{self, Place};
use crate::sasl::Way;
use crate::scan::attribute;
use crate::site::Site;
use anyhow::{Context as _, Result, ensure};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

const WHAT: &str = "catch-up";
const NAME: &str = "storm";
/// Clients of a room.
const IN_EACH: usize = 20;
/// Messages that are missed.
const MISSED: usize = 60;
const PAGE: usize = 50;
const PATIENCE: Duration = Duration::from_secs(120);

/// Knows the id of the last message that each has seen.
#[derive(Debug)]
struct Last {
    board: Board,
    ids: Vec<Mutex<Option<String>>>,
}

impl Ear for Last {
    fn hear(&self, who: usize, stanza: &[u8], at: Instant) {
        self.board.hear(who, stanza, at);
        if let (Some(id), Some(of)) = (attribute(stanza, "stanza-id", "id"), self.ids.get(who)) {
            *of.lock().unwrap_or_else(PoisonError::into_inner) = Some(id.to_owned());
        }
    }
}

/// How it went for one of them.
#[derive(Debug)]
struct Back {
    /// From when it was to come back until it had everything.
    took: Duration,
    gap: bool,
    repeat: bool,
}

pub(crate) async fn measure(site: &mut Site, sizes: &Sizes) -> Result<Vec<Figure>> {
    let many = sizes.storm.div_ceil(IN_EACH);
    let clients = many * IN_EACH;
    let rooms = rooms(NAME, many);
    let ear =
        Arc::new(Last { board: Board::new(clients, 0, &[])?, ids: (0..clients).map(|_| Mutex::default()).collect() });
    let audience = Audience::gather(seats(site, NAME, many, IN_EACH), &ear).await?;
    for n in 0..many {
        let mouth = audience.mouth(n * IN_EACH)?;
        mouth.say(ear.board.due(mouth.who, Instant::now())?).await?;
    }
    ensure!(ear.board.all_heard(IN_EACH, PATIENCE).await, "not everybody got the first message");
    audience.cut();
    site.settle().await;

    let missed = miss(site, &rooms).await?;
    site.settle().await;
    let before = site.usage();
    let (begun, mut coming) = (Instant::now(), JoinSet::new());
    for who in 0..clients {
        let room = rooms.get(who / IN_EACH).context("no such room")?.clone();
        let id = ear.ids[who].lock().unwrap_or_else(PoisonError::into_inner).take();
        let id = id.context("the server's messages carry no ids of the archive (XEP-0359)")?;
        let missed = missed.get(who / IN_EACH).context("no such room")?.clone();
        let seat = Seat { account: site.account(who, Way::Scram), room: Some(room) };
        // Spread by a step that shares no factor with their number, so that the rooms come mixed.
        #[allow(clippy::cast_precision_loss, reason = "thousands")]
        let share = (who * 7_919 % clients) as f64 / clients as f64;
        let due = begun + sizes.storm_length.mul_f64(share);
        coming.spawn(come_back(who, seat, id, missed, due));
    }
    let mut links = Vec::new();
    let (mut took, mut gaps, mut repeats, mut failed) = (Spread::new()?, 0, 0, 0);
    let mut why = None;
    while let Some(done) = coming.join_next().await {
        match done? {
            Ok((back, link)) => {
                took.add(back.took);
                gaps += u64::from(back.gap);
                repeats += u64::from(back.repeat);
                links.push(link);
            }
            Err(e) => {
                failed += 1;
                why = Some(e);
            }
        }
    }
    let used = site.used(before);
    ensure!(took.len() > 0, "nobody came back: {why:?}");
    links.into_iter().for_each(drop);
    site.settle().await;
    let figure = |name: String, unit, value| Figure::new(WHAT, name, unit, value);
    Ok(vec![
        figure(format!("{clients} clients: until one is current, p50"), "ms", took.at(0.5)),
        figure(format!("{clients} clients: until one is current, p99"), "ms", took.at(0.99)),
        figure(format!("{clients} clients: until all are current"), "ms", took.at(1.0)),
        figure(format!("{clients} clients: from the first to the last"), "s", used.took.as_secs_f64()),
        figure("clients with a gap".to_owned(), "clients", count(gaps)),
        figure("clients with a repeat".to_owned(), "clients", count(repeats)),
        figure("clients that did not come back".to_owned(), "clients", count(failed)),
        figure("server's CPU of all".to_owned(), "s", used.server.as_secs_f64()),
        figure("PostgreSQL's CPU of all".to_owned(), "s", used.postgres.as_secs_f64()),
    ])
}

/// Messages that nobody of those who were cut off sees: their numbers, by room.
async fn miss(site: &Site, rooms: &[String]) -> Result<Vec<Vec<usize>>> {
    let board = Arc::new(Board::new(rooms.len(), 0, &[])?);
    let seat = |(n, room): (usize, &String)| Seat { account: site.account(n, Way::Scram), room: Some(room.clone()) };
    let writers = Audience::gather(rooms.iter().enumerate().map(seat).collect(), &board).await?;
    let mouths: Vec<Mouth> = (0..rooms.len()).map(|who| writers.mouth(who)).collect::<Result<_>>()?;
    let mut missed = vec![Vec::new(); rooms.len()];
    for _ in 0..MISSED {
        for (mouth, missed) in mouths.iter().zip(&mut missed) {
            let number = board.due(mouth.who, Instant::now())?;
            missed.push(number);
            mouth.say(number).await?;
        }
        ensure!(board.quiet(PATIENCE).await, "not everything came back in two minutes");
    }
    writers.leave().await?;
    Ok(missed)
}

async fn come_back(who: usize, seat: Seat, id: String, missed: Vec<usize>, due: Instant) -> Result<(Back, Link)> {
    tokio::time::sleep_until(due.into()).await;
    let room = seat.room.context("no room")?;
    let mut link = Link::open(&seat.account).await?;
    enter(&mut link, &room, who + 1_000_000).await?;
    let (mut got, mut after) = (Vec::new(), id);
    loop {
        let page = mam::page(&mut link, &room, Place::After(&after), PAGE).await?;
        got.extend(page.numbers);
        match page.last {
            Some(last) if !page.complete => after = last,
            _ => break,
        }
    }
    let took = due.elapsed();
    let gap = missed.iter().any(|number| !got.contains(number));
    let repeat = got.len() > missed.len();
    // The connection stays: everybody is in his room when the last comes.
    Ok((Back { took, gap, repeat }, link))
}
