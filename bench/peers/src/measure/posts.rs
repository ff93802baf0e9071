//! Messages a second that come back to their authors: as many as will (each author with one, four, sixteen under way), and at given rates with the
//! latency of each message from when it was due. The archive is read afterwards.

use super::{Sizes, micros, rate, rooms, seats};
use crate::audience::{Audience, Mouth};
use crate::board::Board;
use crate::figures::{Figure, count};
use crate::load::{self, Closed};
use crate::site::Site;
use crate::verdict;
use anyhow::{Result, ensure};
use std::sync::Arc;
use std::time::Duration;

const WHAT: &str = "posts";
/// Messages under way of each author.
const WINDOWS: [usize; 3] = [1, 4, 16];
/// Occupants of the one room.
const IN_ONE: usize = 20;
/// Messages a second.
const RATES: [f64; 10] = [100.0, 200.0, 500.0, 1_000.0, 2_000.0, 4_000.0, 6_000.0, 8_000.0, 12_000.0, 16_000.0];
/// A rate is kept when of a hundred messages 99 come back within this.
const KEPT_MS: f64 = 1_000.0;
const WARM_UP: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) async fn measure(site: &mut Site, sizes: &Sizes) -> Result<Vec<Figure>> {
    let many = Scene { name: "posts", shown: "many rooms", rooms: sizes.rooms, in_each: sizes.in_each };
    let mut figures = many.measure(site, sizes).await?;
    let one = Scene { name: "single", shown: "one room", rooms: 1, in_each: IN_ONE };
    figures.extend(one.measure(site, sizes).await?);
    Ok(figures)
}

#[derive(Debug)]
struct Scene {
    name: &'static str,
    shown: &'static str,
    rooms: usize,
    in_each: usize,
}

impl Scene {
    async fn measure(&self, site: &Site, sizes: &Sizes) -> Result<Vec<Figure>> {
        let people = self.rooms * self.in_each;
        let observers: Vec<usize> = (0..people).step_by(self.in_each).collect();
        let board = Arc::new(Board::new(people, 0, &observers)?);
        let audience = Audience::gather(seats(site, self.name, self.rooms, self.in_each), &board).await?;
        let mouths: Vec<Mouth> = (0..people).map(|who| audience.mouth(who)).collect::<Result<_>>()?;
        site.settle().await;

        let mut figures = Vec::new();
        let (shown, in_each) = (self.shown, self.in_each);
        let mut figure = |name: String, unit, value| {
            figures.push(Figure::new(WHAT, format!("{shown}: {name}"), unit, value));
        };
        let (mut most, mut window) = (0.0_f64, 0);
        for wide in WINDOWS {
            // A longer one is of use only where more are under way than come back at once.
            board.widen(wide - window);
            window = wide;
            let talking = Closed::start(&board, mouths.clone());
            tokio::time::sleep(WARM_UP).await;
            let (before, acked, heard, wal, from) =
                (site.usage(), board.acked(), board.deliveries(), site.wal()?, board.sent());
            tokio::time::sleep(sizes.length).await;
            let (used, acked, heard) = (site.used(before), board.acked() - acked, board.deliveries() - heard);
            let wal = site.wal()? - wal;
            talking.stop().await;
            ensure!(board.quiet(PATIENCE).await, "not everything came back in two minutes");
            let reflected = board.reflected(from)?;
            let a_second = rate(acked, used.took);
            most = most.max(a_second);
            let under_way = wide * people;
            figure(format!("{under_way} under way"), "1/s", a_second);
            figure(format!("{under_way} under way, until it comes back, p50"), "ms", reflected.at(0.5));
            figure(format!("{under_way} under way, until it comes back, p99"), "ms", reflected.at(0.99));
            figure(format!("{under_way} under way, server's CPU of a message"), "us", micros(used.server, acked));
            figure(format!("{under_way} under way, server's CPU of a delivery"), "us", micros(used.server, heard));
            figure(format!("{under_way} under way, PostgreSQL's CPU of a message"), "us", micros(used.postgres, acked));
            figure(format!("{under_way} under way, generator's CPU of a message"), "us", micros(used.generator, acked));
            figure(format!("{under_way} under way, log of PostgreSQL"), "bytes", count(wal) / count(acked.max(1)));
        }
        figure("the most of these".to_owned(), "1/s", most);

        let mut kept = 0.0;
        for given in RATES {
            let from = board.sent();
            load::open(&board, &mouths, given, sizes.length).await?;
            ensure!(board.quiet(PATIENCE).await, "not everything came back in two minutes");
            let reflected = board.reflected(from)?;
            figure(format!("{given} a second, until it comes back, p50"), "ms", reflected.at(0.5));
            figure(format!("{given} a second, until it comes back, p99"), "ms", reflected.at(0.99));
            figure(format!("{given} a second, until it comes back, p99.9"), "ms", reflected.at(0.999));
            if reflected.at(0.99) > KEPT_MS {
                break;
            }
            kept = given;
        }
        figure("highest rate given with p99 within 1 s".to_owned(), "1/s", kept);
        audience.ensure_all_there()?;
        figure("refused".to_owned(), "messages", count(board.refused()));
        audience.leave().await?;
        let verdict = verdict::check(site, &board, &rooms(self.name, self.rooms), |who| who / in_each).await?;
        figures.extend(verdict.figures(WHAT, &format!("{shown}: ")));
        site.settle().await;
        Ok(figures)
    }
}
