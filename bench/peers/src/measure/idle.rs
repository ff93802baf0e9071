//! Memory of connections that do nothing: signed in alone, and then each in a room of ten; and over TLS, where a server offers it.

use super::Sizes;
use crate::audience::{Audience, Deaf, Seat};
use crate::figures::{Figure, count};
use crate::link::{Account, Link};
use crate::sasl::Way;
use crate::site::{Site, room};
use anyhow::Result;
use std::sync::Arc;
use std::time::Duration;

const WHAT: &str = "memory";
/// Occupants of a room.
const IN_EACH: usize = 10;
/// Connections that come first and go again, so that what a server takes once is not counted to those that follow.
const BEFORE: usize = 50;
/// What a server has only borrowed is given back within this: jemalloc keeps free pages for ten seconds.
const REST: Duration = Duration::from_secs(12);

pub(crate) async fn measure(site: &mut Site, sizes: &Sizes) -> Result<Vec<Figure>> {
    let accounts: Vec<Account> = (0..sizes.idle.max(BEFORE)).map(|n| site.account(n, Way::Scram)).collect();
    let seat = |n: usize| Seat { account: accounts[n].clone(), room: None };
    Audience::gather((0..BEFORE).map(seat).collect(), &Arc::new(Deaf)).await?.leave().await?;
    let before = rest(site).await;
    let audience = Audience::gather((0..sizes.idle).map(seat).collect(), &Arc::new(Deaf)).await?;
    let connected = rest(site).await;
    let enter = |n: usize| {
        let room = room(format!("idle{}", n / IN_EACH));
        format!(
            "<presence to='{room}/n{n}'><x xmlns='http://jabber.org/protocol/muc'><history maxstanzas='0'/></x></presence>"
        )
    };
    audience.send_each(enter).await?;
    let entered = rest(site).await;
    audience.ensure_all_there()?;
    let each = |after: u64, before: u64| (count(after) - count(before)) / count(sizes.idle as u64);
    let figure = |name: &str, unit, value| Figure::new(WHAT, name, unit, value);
    let mut figures = vec![
        figure("from the start to an answer", "s", site.ready_after.as_secs_f64()),
        figure("server, nobody there", "MiB", count(before.0) / 1_024.0),
        figure("server, of an idle connection", "KiB", each(connected.0, before.0)),
        figure("server, of being in a room of ten", "KiB", each(entered.0, connected.0)),
        figure("PostgreSQL, of an idle connection", "KiB", each(connected.1, before.1)),
        figure("connections", "connections", count(sizes.idle as u64)),
    ];
    audience.leave().await?;
    site.settle().await;
    let secured = |n: usize| {
        let mut seat = seat(n);
        seat.account.secure = true;
        seat
    };
    let first = Link::open(&secured(0).account).await;
    if let Err(error) = &first {
        eprintln!("    not measured over TLS: {error:#}");
    }
    if let Ok(first) = first {
        first.close().await;
        // What those before it have left would be counted to nobody.
        site.stop();
        site.start().await?;
        Audience::gather((0..BEFORE).map(secured).collect(), &Arc::new(Deaf)).await?.leave().await?;
        let before = rest(site).await;
        let audience = Audience::gather((0..sizes.idle).map(secured).collect(), &Arc::new(Deaf)).await?;
        let connected = rest(site).await;
        audience.ensure_all_there()?;
        figures.push(figure("server, of an idle connection over TLS", "KiB", each(connected.0, before.0)));
        audience.leave().await?;
        site.settle().await;
    }
    Ok(figures)
}

/// The memory of server and database once nothing happens any more.
async fn rest(site: &Site) -> (u64, u64) {
    site.settle().await;
    tokio::time::sleep(REST).await;
    site.memory()
}
