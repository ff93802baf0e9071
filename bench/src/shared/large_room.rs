//! A room of millions of entries: pages at random places, and searches. The entries are written by SQL, with hashes that chain nothing: what
//! is measured only reads them.

use super::{ask, indexed, open, people, postgres};
use crate::figures::{Durations, Row, round};
use anyhow::Result;
use holdfast_domain::{RoomId, Seq};
use holdfast_store::log::From;
use holdfast_store::search::{Order, Query, Words};
use serde_json::json;
use std::time::{Duration, Instant};

const PAGES: i64 = 2_000;
const TIMES: usize = 15;

/// Words that stand in so many messages, spread over all of the room.
const PLANTED: [(&str, i64); 2] = [("zugzwang", 20), ("quokka", 1_000)];

pub(crate) async fn measure(lines: Vec<String>, entries: i64, database: Option<&str>) -> Result<Vec<Row>> {
    let own = if database.is_none() { Some(postgres().await?) } else { None };
    let url = database.map(str::to_owned).or_else(|| own.as_ref().map(|own| own.url())).unwrap_or_default();
    let client = ask(&url).await?;
    let store = open(&url).await?;
    let mut rows = Vec::new();

    let begun = Instant::now();
    let there = client.query_opt("SELECT last_seq FROM holdfast.room_head WHERE room = 1", &[]).await?;
    if there.is_none_or(|row| row.get::<_, i64>(0) != entries) {
        people(&store, 1, 1).await?;
        fill(&client, &lines, entries).await?;
    }
    let written = begun.elapsed();
    let begun = Instant::now();
    indexed(&client, Duration::from_secs(3_600)).await?;
    let filled = begun.elapsed();
    // Each by itself: it cannot be part of a transaction.
    client.batch_execute("VACUUM ANALYZE holdfast.entry").await?;
    client.batch_execute("VACUUM ANALYZE holdfast.search_block").await?;
    let size = client
        .query_one(
            "SELECT (SELECT sum(pg_total_relation_size(inhrelid))::bigint FROM pg_inherits WHERE inhparent = 'holdfast.entry'::regclass),
                    pg_total_relation_size('holdfast.search_block')",
            &[],
        )
        .await?;
    #[allow(clippy::cast_precision_loss, reason = "gigabytes")]
    let each = |i: usize| size.get::<_, i64>(i) as f64 / entries as f64;
    rows.push(Row::new(
        format!("{entries} entries"),
        vec![
            ("written_seconds", round(written.as_secs_f64())),
            ("indexed_seconds", round(filled.as_secs_f64())),
            ("entry_bytes", round(each(0))),
            ("search_bytes_per_entry", round(each(1))),
        ],
    ));
    rows.push(pages(&store, entries).await?);
    let mut searches: Vec<(String, Words)> =
        PLANTED.iter().map(|(word, n)| (format!("{word} ({n} hits)"), Words::All)).collect();
    for text in ["ubuntu", "the", "ubuntu install", "the zugzwang", "kernel"] {
        searches.push((text.to_owned(), Words::All));
    }
    searches.push(("how do i".to_owned(), Words::Phrase));
    for (name, words) in searches {
        rows.push(search(&store, &name, words).await?);
    }
    Ok(rows)
}

async fn fill(client: &tokio_postgres::Client, lines: &[String], entries: i64) -> Result<()> {
    const PORTION: i64 = 500_000;
    client.batch_execute("CREATE TABLE line (n bigint PRIMARY KEY, payload text)").await?;
    let payloads: Vec<String> = lines.iter().map(|line| json!({ "text": line }).to_string()).collect();
    for (i, portion) in payloads.chunks(10_000).enumerate() {
        let first = i64::try_from(i * 10_000)?;
        client
            .execute(
                "INSERT INTO line SELECT $1 + n - 1, p FROM unnest($2::text[]) WITH ORDINALITY u (p, n)",
                &[&first, &portion],
            )
            .await?;
    }
    let count = i64::try_from(payloads.len())?;
    let mut from = 2;
    while from <= entries {
        let to = (from + PORTION - 1).min(entries);
        client
            .execute(
                "INSERT INTO holdfast.entry (room, seq, at, author, ordinal, client_id, said, kind, hash, payload)
                 SELECT 1, s, 1767225600000 + s * 100, 100 + s % 500, s - 1, gen_random_uuid(), NULL, 1,
                        sha256(int8send(s)), l.payload
                 FROM generate_series($1::bigint, $2::bigint) s JOIN line l ON l.n = s * 7919 % $3::bigint",
                &[&from, &to, &count],
            )
            .await?;
        from = to + 1;
    }
    for (word, times) in PLANTED {
        client
            .execute(
                "UPDATE holdfast.entry SET payload = $1 WHERE room = 1 AND kind = 1
                 AND seq = ANY(ARRAY(SELECT 2 + (i * $2::bigint + i * i) % ($2::bigint * $3::bigint) FROM generate_series(1, $3::bigint) i))",
                &[&json!({ "text": format!("the {word} again") }).to_string(), &((entries - 2) / times), &times],
            )
            .await?;
    }
    client
        .execute(
            "UPDATE holdfast.room_head SET last_seq = n, messages = n - 1, last_at = 1767225600000 + n * 100,
                    last_message_at = 1767225600000 + n * 100, last_hash = sha256(int8send(n))
             FROM (SELECT $1::bigint) one (n) WHERE room = 1",
            &[&entries],
        )
        .await?;
    Ok(())
}

async fn pages(store: &dyn holdfast_store::Store, entries: i64) -> Result<Row> {
    let mut durations = Durations::default();
    for n in 1..=PAGES {
        let place = Seq(2 + n.wrapping_mul(48_271_000_003) % (entries - 2));
        let begun = Instant::now();
        let page = store.page(RoomId(1), From::Around(place), 50).await?;
        durations.add(begun.elapsed());
        anyhow::ensure!(page.rows.len() > 20, "a page around {place} has {} entries", page.rows.len());
    }
    Ok(durations.row("page of 50 at a random place"))
}

async fn search(store: &dyn holdfast_store::Store, name: &str, words: Words) -> Result<Row> {
    let text = name.split(" (").next().unwrap_or(name).to_owned();
    let mut durations = Durations::default();
    let mut hits = 0;
    for _ in 0..TIMES {
        let query = Query {
            text: text.clone(),
            words,
            rooms: vec![RoomId(1)],
            authors: Vec::new(),
            from: None,
            until: None,
            order: Order::Newest,
            after: None,
            limit: 50,
        };
        let begun = Instant::now();
        hits = store.search(query).await?.found.len();
        durations.add(begun.elapsed());
    }
    Ok(durations.row(format!("search: {name}")).with("hits", json!(hits)))
}
