//! Pages of 50 entries at random places, at the end, and by date: over the network, one connection, so the server's part is less.

use crate::data::Scene;
use crate::figures::{Durations, Row};
use crate::server::Server;
use anyhow::Result;
use std::time::Instant;

const PAGES: i64 = 2_000;

pub(crate) async fn measure(server: &Server, scene: &Scene) -> Result<Vec<Row>> {
    let mut client = scene.client(server).await?;
    let (room, head) = (scene.room, scene.head.max(1));
    let base = format!("/api/v1/rooms/{room}/entries?limit=50");
    let mut random = Durations::default();
    let mut around = Durations::default();
    let mut latest = Durations::default();
    for i in 0..PAGES {
        // A stride that visits places all over the log in no order.
        let place = 1 + (i * 7_919_977) % head;
        for (query, durations) in [
            (format!("&before={place}"), &mut random),
            (format!("&around={place}"), &mut around),
            (String::new(), &mut latest),
        ] {
            let begun = Instant::now();
            client.get(&format!("{base}{query}")).await?;
            durations.add(begun.elapsed());
        }
    }
    Ok(vec![random.row("before a random entry"), around.row("around a random entry"), latest.row("latest")])
}
