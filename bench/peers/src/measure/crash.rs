//! SIGKILL to the server, and to PostgreSQL, while people talk: messages that somebody was shown and that the archive does not have afterwards.

use super::{Sizes, rooms, seats};
use crate::audience::{Audience, Mouth};
use crate::board::Board;
use crate::figures::{Figure, count};
use crate::link::Link;
use crate::load::Closed;
use crate::sasl::Way;
use crate::scan::{body, has};
use crate::site::Site;
use crate::verdict::{self, Verdict};
use anyhow::{Context as _, Result};
use std::sync::Arc;
use std::time::{Duration, Instant};

const WHAT: &str = "crash";
/// Messages under way of each author.
const WINDOW: usize = 4;
/// How long PostgreSQL is away.
const AWAY: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) async fn measure(site: &mut Site, sizes: &Sizes) -> Result<Vec<Figure>> {
    let mut figures = server(site, sizes).await?;
    figures.extend(database(site, sizes).await?);
    Ok(figures)
}

/// People in rooms, who talk.
struct Talk {
    board: Arc<Board>,
    audience: Audience,
    talking: Closed,
    rooms: Vec<String>,
    in_each: usize,
}

impl Talk {
    async fn start(site: &Site, sizes: &Sizes, name: &str) -> Result<Self> {
        let people = sizes.rooms * sizes.in_each;
        let observers: Vec<usize> = (0..people).step_by(sizes.in_each).collect();
        let board = Arc::new(Board::new(people, WINDOW, &observers)?);
        let audience = Audience::gather(seats(site, name, sizes.rooms, sizes.in_each), &board).await?;
        let mouths: Vec<Mouth> = (0..people).map(|who| audience.mouth(who)).collect::<Result<_>>()?;
        let talking = Closed::start(&board, mouths);
        tokio::time::sleep(sizes.length).await;
        Ok(Self { board, audience, talking, rooms: rooms(name, sizes.rooms), in_each: sizes.in_each })
    }

    /// Everybody is gone at once.
    async fn cut(self) -> Silence {
        self.talking.stop().await;
        self.audience.cut();
        Silence { board: self.board, rooms: self.rooms, in_each: self.in_each }
    }

    /// Everybody falls silent and goes, once what is under way has come back or will not.
    async fn stop(self) -> Silence {
        self.talking.stop().await;
        self.board.quiet(Duration::from_secs(5)).await;
        let _ = self.audience.leave().await;
        Silence { board: self.board, rooms: self.rooms, in_each: self.in_each }
    }
}

/// What remains of a talk.
struct Silence {
    board: Arc<Board>,
    rooms: Vec<String>,
    in_each: usize,
}

impl Silence {
    async fn judge(&self, site: &Site) -> Result<Verdict> {
        verdict::check(site, &self.board, &self.rooms, |who| who / self.in_each).await
    }
}

async fn server(site: &mut Site, sizes: &Sizes) -> Result<Vec<Figure>> {
    let talk = Talk::start(site, sizes, "killed").await?;
    site.kill();
    let killed = Instant::now();
    let talk = talk.cut().await;
    site.start().await?;
    let served = service(site, "after").await?;
    let verdict = talk.judge(site).await?;
    let figure = |name: &str, unit, value| Figure::new(WHAT, format!("server killed: {name}"), unit, value);
    let mut figures = verdict.figures(WHAT, "server killed: ");
    figures.push(figure("started at once, until the first message came back", "ms", ms(served - killed)));
    Ok(figures)
}

async fn database(site: &mut Site, sizes: &Sizes) -> Result<Vec<Figure>> {
    let talk = Talk::start(site, sizes, "lost").await?;
    site.kill_database();
    let killed = Instant::now();
    tokio::time::sleep(AWAY).await;
    site.start_database()?;
    let back = Instant::now();
    tokio::time::sleep(sizes.length).await;
    let lost = talk.audience.lost();
    let (before, later) = talk.board.fates().fold((0, 0), |(before, later), fate| {
        let acked = fate.acked.is_some_and(|at| at > killed && at < back);
        (before + u64::from(acked), later + u64::from(fate.acked.is_some_and(|at| at >= back)))
    });
    let talk = talk.stop().await;
    site.settle().await;
    let mut restarted = 0;
    let verdict = match talk.judge(site).await {
        Ok(verdict) => verdict,
        Err(e) => {
            // Its connections to the database did not come back by themselves.
            eprintln!("    {} is started again to read its archive: {e:#}", site.kind.name());
            restarted = 1;
            site.stop();
            site.start().await?;
            talk.judge(site).await?
        }
    };
    let figure = |name: &str, unit, value| Figure::new(WHAT, format!("PostgreSQL killed: {name}"), unit, value);
    let mut figures = verdict.figures(WHAT, "PostgreSQL killed: ");
    figures.push(figure("came back while it was away", "messages", count(before)));
    figures.push(figure("came back after it was there again", "messages", count(later)));
    figures.push(figure("refused", "messages", count(talk.board.refused())));
    figures.push(figure("sessions that the server ended", "sessions", count(lost as u64)));
    figures.push(figure("the server had to be started again", "times", count(restarted)));
    let good = talk.board.fates().filter(|fate| fate.archived > 0 && fate.due > killed);
    if let Some(first) = good.filter_map(|fate| fate.acked).filter(|at| *at > back).min() {
        figures.push(figure("it is there again, until a message came back that is archived", "ms", ms(first - back)));
    }
    Ok(figures)
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}

/// When the first message comes back.
async fn service(site: &Site, name: &str) -> Result<Instant> {
    let room = crate::site::room(name);
    let trying = async {
        loop {
            let talk = async {
                let mut link = Link::open(&site.account(0, Way::Scram)).await?;
                link.enter(&room, "first").await?;
                let said = format!("<message to='{room}' type='groupchat' id='m0'><body>{}</body></message>", body(0));
                link.writer.send(&said).await?;
                loop {
                    let stanza = link.next().await?;
                    if stanza.starts_with(b"<message") && has(stanza, ">hf 0 ") {
                        break;
                    }
                }
                let at = Instant::now();
                link.close().await;
                anyhow::Ok(at)
            };
            if let Ok(at) = talk.await {
                return at;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, trying).await.context("no message came back within a minute")
}
