//! Entering a room in which many are: until the server says that one is in, and the bytes that came up to then.

use super::{Sizes, seats};
use crate::audience::{Audience, Deaf};
use crate::board::Spread;
use crate::figures::{Figure, count};
use crate::link::Link;
use crate::sasl::Way;
use crate::site::{Site, room};
use anyhow::Result;
use std::sync::Arc;

const WHAT: &str = "join";
/// How often somebody enters.
pub(crate) const JOINERS: usize = 40;

pub(crate) async fn measure(site: &mut Site, sizes: &Sizes) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for occupants in &sizes.occupants {
        let name = format!("join{occupants}x");
        let audience = Audience::gather(seats(site, &name, 1, *occupants), &Arc::new(Deaf)).await?;
        site.settle().await;
        let (mut took, mut bytes) = (Spread::new()?, 0);
        let room = room(format!("{name}0"));
        for n in 0..JOINERS {
            let mut link = Link::open(&site.account(occupants + n, Way::Scram)).await?;
            let entered = link.enter(&room, &format!("joiner{n}")).await?;
            took.add(entered.took);
            bytes += entered.bytes;
            link.close().await;
        }
        audience.ensure_all_there()?;
        let mut figure = |what: &str, unit, value| {
            figures.push(Figure::new(WHAT, format!("{occupants} occupants: {what}"), unit, value));
        };
        figure("until one is in, p50", "ms", took.at(0.5));
        figure("until one is in, p99", "ms", took.at(0.99));
        figure("bytes up to then", "KiB", count(bytes / JOINERS as u64) / 1_024.0);
        figure("filling the room", "s", audience.took.as_secs_f64());
        audience.leave().await?;
        site.settle().await;
    }
    Ok(figures)
}
