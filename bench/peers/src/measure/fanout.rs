//! One room, one speaker and ten: from when a message is due to when the last occupant has it, at a rate that all servers are given alike.

use super::{Sizes, micros, rooms, seats};
use crate::audience::{Audience, Mouth};
use crate::board::Board;
use crate::figures::{Figure, count};
use crate::load::{self, Closed};
use crate::site::Site;
use crate::verdict;
use anyhow::{Result, ensure};
use std::sync::Arc;
use std::time::Duration;

const WHAT: &str = "fan-out";
/// Deliveries a second, in rooms of every size; but no more messages than `MOST` and no fewer than `LEAST`.
const DELIVERIES: f64 = 4_000.0;
const MOST: f64 = 50.0;
const LEAST: f64 = 2.0;
/// Messages under way of each speaker who makes no pause.
const WINDOW: usize = 4;
const PATIENCE: Duration = Duration::from_secs(120);
/// Thrown away at the beginning.
const WARM_UP: Duration = Duration::from_secs(2);

pub(crate) async fn measure(site: &mut Site, sizes: &Sizes) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for occupants in sizes.occupants.iter().copied() {
        for speakers in [1, 10] {
            figures.extend(one(site, sizes, occupants, speakers).await?);
        }
    }
    Ok(figures)
}

async fn one(site: &Site, sizes: &Sizes, occupants: usize, speakers: usize) -> Result<Vec<Figure>> {
    let name = format!("fan{occupants}x{speakers}x");
    let board = Arc::new(Board::new(occupants, 0, &[0])?);
    let audience = Audience::gather(seats(site, &name, 1, occupants), &board).await?;
    let mouths: Vec<Mouth> = (0..speakers.min(occupants)).map(|who| audience.mouth(who)).collect::<Result<_>>()?;
    site.settle().await;
    let rate = (DELIVERIES / count(occupants as u64)).clamp(LEAST, MOST);
    load::open(&board, &mouths, rate, WARM_UP).await?;
    ensure!(board.all_heard(occupants, PATIENCE).await, "not everybody got everything in two minutes");
    board.begin();
    let (before, heard) = (site.usage(), board.deliveries());
    load::open(&board, &mouths, rate, sizes.length).await?;
    ensure!(board.all_heard(occupants, PATIENCE).await, "not everybody got everything in two minutes");
    let (used, heard) = (site.used(before), board.deliveries() - heard);
    audience.ensure_all_there()?;

    let (last, each) = (board.last(occupants)?, board.each()?);
    let people = if speakers == 1 { "1 speaker".to_owned() } else { format!("{speakers} speakers") };
    let figure =
        |what: &str, unit, value| Figure::new(WHAT, format!("{occupants} occupants, {people}: {what}"), unit, value);
    let mut figures = vec![
        figure("messages a second", "1/s", rate),
        figure("last has it, p50", "ms", last.at(0.5)),
        figure("last has it, p99", "ms", last.at(0.99)),
        figure("last has it, p99.9", "ms", last.at(0.999)),
        figure("each has it, p50", "ms", each.at(0.5)),
        figure("each has it, p99", "ms", each.at(0.99)),
        figure("each has it, p99.9", "ms", each.at(0.999)),
        figure("server's CPU of a delivery", "us", micros(used.server, heard)),
        figure("PostgreSQL's CPU of a delivery", "us", micros(used.postgres, heard)),
        figure("generator's CPU of a delivery", "us", micros(used.generator, heard)),
    ];
    if speakers > 1 {
        // As much as it takes: what a delivery costs when there is no time for anything else.
        board.widen(WINDOW);
        let talking = Closed::start(&board, mouths);
        tokio::time::sleep(WARM_UP).await;
        let (before, heard) = (site.usage(), board.deliveries());
        tokio::time::sleep(sizes.length).await;
        let (used, heard) = (site.used(before), board.deliveries() - heard);
        talking.stop().await;
        ensure!(board.all_heard(occupants, PATIENCE).await, "not everybody got everything in two minutes");
        audience.ensure_all_there()?;
        let figure = |what: &str, unit, value| {
            Figure::new(WHAT, format!("{occupants} occupants, {people} without pause: {what}"), unit, value)
        };
        figures.push(figure("deliveries", "1/s", super::rate(heard, used.took)));
        figures.push(figure("server's CPU of a delivery", "us", micros(used.server, heard)));
        figures.push(figure("PostgreSQL's CPU of a delivery", "us", micros(used.postgres, heard)));
        figures.push(figure("generator's CPU of a delivery", "us", micros(used.generator, heard)));
    }
    audience.leave().await?;
    let verdict = verdict::check(site, &board, &rooms(&name, 1), |_| 0).await?;
    figures.push(figure("shown and not in the archive", "messages", count(verdict.missing)));
    site.settle().await;
    Ok(figures)
}
