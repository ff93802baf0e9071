//! Messages, logs and views in few words, and right histories of any shape.
#![allow(dead_code, reason = "each test uses some of it")]

use holdfast_history::{Digest, Fate, FinalLog, History, Kind, Logged, Message, Report, Seen, Told, View};
use proptest::prelude::*;
use std::time::Duration;
use uuid::Uuid;

pub(crate) const ROOM: i64 = 7;

pub(crate) fn id(n: u128) -> Uuid {
    Uuid::from_u128(n)
}

pub(crate) fn content(n: u128) -> Digest {
    Digest::of(&format!("text {n}"))
}

/// The message `n` of ana, sent in the ten seconds `n` and over, its sender told, before their end.
pub(crate) fn message(n: u64, mut fate: Fate) -> Message {
    let ended = Duration::from_secs(n * 10 + 9);
    if let Fate::Acknowledged(told) = &mut fate {
        told.iter_mut().filter(|told| told.at.is_zero()).for_each(|told| told.at = ended);
    }
    Message {
        room: ROOM,
        author: "ana".into(),
        client_id: id(n.into()),
        content: content(n.into()),
        begun: Duration::from_secs(n * 10),
        ended,
        fate,
    }
}

/// Acknowledged in the first epoch.
pub(crate) fn at(seq: i64) -> Fate {
    told([seq])
}

pub(crate) fn told(seqs: impl IntoIterator<Item = i64>) -> Fate {
    Fate::Acknowledged(seqs.into_iter().map(|seq| Told { seq, epoch: 1, at: Duration::ZERO }).collect())
}

pub(crate) fn logged(seq: i64, n: u128) -> Logged {
    Logged { seq, is_message: true, author: "ana".into(), client_id: id(n), content: content(n) }
}

pub(crate) fn log(entries: impl IntoIterator<Item = (i64, u128)>) -> FinalLog {
    let mut entries: Vec<Logged> = entries.into_iter().map(|(seq, n)| logged(seq, n)).collect();
    let created = Logged { is_message: false, author: "admin".into(), ..logged(1, 1_000) };
    entries.insert(0, created);
    FinalLog { server: "chat-1".into(), room: ROOM, entries }
}

pub(crate) fn seen(seq: i64, n: u128) -> Seen {
    Seen { seq, client_id: id(n), content: content(n) }
}

pub(crate) fn view(after: i64, entries: impl IntoIterator<Item = (i64, u128)>) -> View {
    let entries = entries.into_iter().map(|(seq, n)| seen(seq, n)).collect();
    View { observer: "olga".into(), server: "chat-2".into(), epoch: 1, room: ROOM, after, continues: true, entries }
}

pub(crate) fn history(messages: impl IntoIterator<Item = Message>, views: impl IntoIterator<Item = View>) -> History {
    History { clients: vec![messages.into_iter().collect()], views: views.into_iter().collect() }
}

/// Exactly these kinds of faults.
#[track_caller]
pub(crate) fn finds(report: &Report, kinds: &[Kind]) {
    let mut found: Vec<Kind> = report.faults.iter().map(|f| f.kind).collect();
    found.dedup();
    assert_eq!(found, kinds, "{report}");
    assert_eq!(report.holds(), kinds.is_empty());
}

pub(crate) fn both() -> [Message; 2] {
    [message(1, at(2)), message(2, at(3))]
}

/// A right history: its clients, what they saw, and the logs of two servers.
pub(crate) fn right() -> impl Strategy<Value = (History, Vec<FinalLog>)> {
    // Of each message: client, room, fate, how long before its commit it was sent, how long after it was known.
    let messages = prop::collection::vec((0..4_usize, 1..3_i64, 0..8_u8, 0..30_u64, 1..30_u64), 1..60);
    // Of each observer of each room: where his connections end.
    let cuts = prop::collection::vec(prop::collection::vec(0..60_usize, 0..4), 4);
    (messages, cuts).prop_map(|(messages, cuts)| {
        let mut history = History { clients: vec![Vec::new(); 4], views: Vec::new() };
        let mut logs: Vec<FinalLog> = (1..3)
            .map(|room| FinalLog { room, entries: vec![Logged { is_message: false, ..logged(1, 1_000) }], ..log([]) })
            .collect();
        let mut now = 100;
        for (n, (client, room, fate, before, after)) in messages.into_iter().enumerate() {
            let free = history.clients[client].last().map_or(0, |m: &Message| m.ended.as_secs() + 1);
            now = now.max(free) + 1;
            let begun = (now - before.min(now)).max(free);
            let entries = &mut logs[usize::try_from(room - 1).unwrap()].entries;
            let seq = entries.len() as i64 + 1;
            let (mut fate, there) = match fate {
                0 => (Fate::Failed("refused".into()), false),
                1 => (Fate::Unknown, false),
                2 => (Fate::Unknown, true),
                3 => (told([seq, seq]), true),
                _ => (at(seq), true),
            };
            let author = format!("client {client}");
            if there {
                entries.push(Logged { author: author.clone(), ..logged(seq, n as u128) });
            }
            let client_id = id(n as u128);
            let (begun, ended) = (Duration::from_secs(begun), Duration::from_secs(now + after));
            if let Fate::Acknowledged(told) = &mut fate {
                told.iter_mut().for_each(|told| told.at = ended);
            }
            let message = Message { room, author, client_id, content: content(n as u128), begun, ended, fate };
            history.clients[client].push(message);
        }
        for (i, cuts) in cuts.into_iter().enumerate() {
            let log = &logs[i % 2];
            let mut ends: Vec<usize> = cuts.into_iter().map(|cut| cut % (log.entries.len() + 1)).collect();
            ends.sort_unstable();
            for pair in ends.windows(2) {
                let entries = &log.entries[pair[0]..pair[1]];
                let entries =
                    entries.iter().map(|e| Seen { seq: e.seq, client_id: e.client_id, content: e.content }).collect();
                let (observer, after) = (format!("observer {i}"), pair[0] as i64);
                history.views.push(View { observer, room: log.room, entries, ..view(after, []) });
            }
        }
        let others = logs.clone().into_iter().map(|log| FinalLog { server: "chat-2".into(), ..log });
        logs.extend(others.collect::<Vec<_>>());
        (history, logs)
    })
}
