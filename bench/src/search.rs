//! Words from very common to absent, newest and oldest first, and phrases.

use crate::data::Scene;
use crate::figures::{Durations, Row};
use crate::server::Server;
use anyhow::Result;
use serde_json::json;
use std::time::Instant;

const TIMES: usize = 30;
const QUERIES: [(&str, &str); 8] = [
    ("very common", "q=the"),
    ("common", "q=ubuntu"),
    ("medium", "q=kernel"),
    ("rare", "q=zfs"),
    ("absent", "q=xyzzyqwert"),
    ("two common words", "q=the+ubuntu"),
    ("phrase", "q=the+server&match=phrase"),
    ("common and rare", "q=the+zfs"),
];

pub(crate) async fn measure(server: &Server, scene: &Scene) -> Result<Vec<Row>> {
    let mut client = scene.client(server).await?;
    let mut rows = Vec::new();
    let mut all = Durations::default();
    for (name, query) in QUERIES {
        for order in ["newest", "oldest"] {
            let mut durations = Durations::default();
            let path = format!("/api/v1/search?{query}&room={}&order={order}&limit=50", scene.room);
            let mut hits = 0;
            for _ in 0..TIMES {
                let begun = Instant::now();
                let found = client.get(&path).await?;
                durations.add(begun.elapsed());
                hits = found["items"].as_array().map_or(0, Vec::len);
            }
            all.extend(&durations);
            rows.push(durations.row(format!("{name}, {order} first")).with("hits", json!(hits)));
        }
    }
    rows.push(all.row("all of these"));
    Ok(rows)
}
