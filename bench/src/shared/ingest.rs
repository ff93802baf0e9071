//! Acknowledged posts a second through the chat service, in this process: rights, group commit, PostgreSQL, handing out. Beside it the loop that who
//! does not commit in groups has: a post a transaction through the same store; and, for what the disk allows, one bare row a transaction.

use super::{FIRST_USER, ask, draft, indexed, open, people, postgres, wal};
use crate::figures::{Durations, Row, round};
use anyhow::Result;
use holdfast_chat::posting::NewMessage;
use holdfast_chat::{Caller, Chat, Clock, Options, ServerOptions};
use holdfast_domain::entry::Message;
use holdfast_domain::{ClientId, EntryBody, PrincipalId, RoomId};
use holdfast_store::Store;
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, Instant};

const SENDERS: [i64; 5] = [1, 10, 100, 1_000, 10_000];
const ROOMS: i64 = 200;
const WARM_UP: Duration = Duration::from_secs(1);
const WINDOW: Duration = Duration::from_secs(4);

pub(crate) async fn measure(lines: Vec<String>) -> Result<Vec<Row>> {
    let postgres = postgres().await?;
    let client = ask(&postgres.url()).await?;
    let superuser = ask(&postgres.superuser_url()).await?;
    let lines = Arc::new(lines);
    let mut rows = vec![bare(&client, &lines).await?];

    let store = Arc::new(open(&postgres.url()).await?);
    people(&*store, SENDERS[SENDERS.len() - 1], ROOMS).await?;
    let (single, single_rate) = single(&*store, &lines).await?;
    rows.push(single);
    let server = ServerOptions { name: "bench".into(), address: "http://bench".into(), ..ServerOptions::default() };
    let options = Options { server, client_ids_days: 14, ..Options::default() };
    let chat = Chat::open(store, options, Clock::system()).await?;
    // What setting up wrote is not counted.
    superuser.batch_execute("CHECKPOINT").await?;
    let (wal_before, entries_before) = (wal(&client).await?, chat.status().entries);
    for senders in SENDERS {
        let row = window(&chat, senders, &lines, &client).await?;
        let rate = row.values.iter().find(|(name, _)| *name == "per_second").and_then(|(_, v)| v.as_f64());
        rows.push(row.with("times_single", round(rate.unwrap_or_default() / single_rate)));
    }
    let filling = Instant::now();
    indexed(&client, Duration::from_secs(600)).await?;
    #[allow(clippy::cast_precision_loss, reason = "millions")]
    let (bytes, posts) = ((wal(&client).await? - wal_before) as f64, (chat.status().entries - entries_before) as f64);
    rows.push(Row::new(
        "all of it, the search index filled",
        vec![
            ("posts", json!(posts)),
            ("wal_bytes_per_post", round(bytes / posts)),
            ("filled_after_seconds", round(filling.elapsed().as_secs_f64())),
        ],
    ));
    chat.shutdown().await?;
    Ok(rows)
}

/// So many senders, each with one message under way at a time.
async fn window(chat: &Chat, senders: i64, lines: &Arc<Vec<String>>, client: &tokio_postgres::Client) -> Result<Row> {
    let begin = Instant::now() + WARM_UP;
    let end = begin + WINDOW;
    let mut tasks = tokio::task::JoinSet::new();
    for sender in 0..senders {
        let (chat, lines) = (chat.clone(), Arc::clone(lines));
        tasks.spawn(async move {
            let caller = Caller::operator_as(PrincipalId(FIRST_USER + sender));
            let room = RoomId(1 + sender % ROOMS);
            let mut durations = Durations::default();
            let mut line = usize::try_from(sender)? * 7_919;
            while Instant::now() < end {
                line += 1;
                let new = NewMessage {
                    client_id: ClientId(uuid::Uuid::new_v4()),
                    text: lines[line % lines.len()].clone(),
                    title: None,
                    alert: false,
                    action: false,
                    files: Vec::new(),
                    stanza: None,
                };
                let sent = Instant::now();
                chat.post(&caller, room, new).await?;
                if sent >= begin && Instant::now() < end {
                    durations.add(sent.elapsed());
                }
            }
            anyhow::Ok(durations)
        });
    }
    tokio::time::sleep_until(begin.into()).await;
    let (before, wal_before) = (chat.status(), wal(client).await?);
    tokio::time::sleep_until(end.into()).await;
    let (after, wal_after) = (chat.status(), wal(client).await?);
    let mut all = Durations::default();
    while let Some(done) = tasks.join_next().await {
        all.extend(&done??);
    }
    #[allow(clippy::cast_precision_loss, reason = "counts of some seconds")]
    let (rate, batch, bytes) = {
        let entries = (after.entries - before.entries) as f64;
        let commits = (after.commits - before.commits).max(1) as f64;
        (entries / WINDOW.as_secs_f64(), entries / commits, (wal_after - wal_before) as f64 / entries.max(1.0))
    };
    Ok(all
        .row(format!("{senders} senders, {ROOMS} rooms"))
        .with("per_second", round(rate))
        .with("batch", round(batch))
        .with("wal_bytes_per_post_meanwhile", round(bytes)))
}

/// All that a post writes, one post a transaction, one after the other.
async fn single(store: &dyn Store, lines: &[String]) -> Result<(Row, f64)> {
    let mut durations = Durations::default();
    let begun = Instant::now();
    let mut n = 0;
    while begun.elapsed() < WINDOW {
        n += 1;
        let message = Message { text: lines[n % lines.len()].clone(), ..Message::default() };
        let room = RoomId(1 + i64::try_from(n)? % ROOMS);
        let one = Instant::now();
        store.append(vec![draft(room, EntryBody::Message(message))]).await?;
        durations.add(one.elapsed());
    }
    let rate = per_second(&durations, begun.elapsed());
    Ok((durations.row("the same store, one post a transaction").with("per_second", round(rate)), rate))
}

#[allow(clippy::cast_precision_loss, reason = "a count of some seconds")]
fn per_second(durations: &Durations, time: Duration) -> f64 {
    durations.len() as f64 / time.as_secs_f64()
}

/// One connection, one row a transaction.
async fn bare(client: &tokio_postgres::Client, lines: &[String]) -> Result<Row> {
    client
        .batch_execute(
            "CREATE TABLE bare (id bigserial PRIMARY KEY, author bigint, client_id uuid, hash bytea, body text)",
        )
        .await?;
    let insert = client.prepare("INSERT INTO bare (author, client_id, hash, body) VALUES ($1, $2, $3, $4)").await?;
    let mut durations = Durations::default();
    let begun = Instant::now();
    let mut n = 0;
    while begun.elapsed() < WINDOW {
        let one = Instant::now();
        n += 1;
        let hash: &[u8] = &[7; 32];
        client.execute(&insert, &[&1_i64, &uuid::Uuid::new_v4(), &hash, &lines[n % lines.len()]]).await?;
        durations.add(one.elapsed());
    }
    let rate = per_second(&durations, begun.elapsed());
    Ok(durations.row("bare PostgreSQL, one row a transaction").with("per_second", round(rate)))
}
