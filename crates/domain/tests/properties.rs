//! What must hold whatever comes in.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test may stop at the first thing that is wrong"
)]

use holdfast_domain::chain::{Header, Payload, Stored, Verifier, genesis, link};
use holdfast_domain::entry::{Edit, EntryBody, Message, Removal};
use holdfast_domain::feed::{Feed, Match};
use holdfast_domain::name::{DisplayName, Login, Name};
use holdfast_domain::{ClientId, PrincipalId, RoomId, Seq, Time, mention, text};
use proptest::prelude::*;
use std::collections::BTreeSet;
use uuid::Uuid;

const ROOM: RoomId = RoomId(42);

fn bodies() -> impl Strategy<Value = EntryBody> {
    prop_oneof![
        (any::<String>(), any::<Option<String>>(), any::<bool>()).prop_map(|(text, title, alert)| {
            EntryBody::Message(Message { text, title, alert, ..Message::default() })
        }),
        (1_i64..50, any::<String>())
            .prop_map(|(of, text)| { EntryBody::Edit(Edit { of: Seq(of), text, ..Edit::default() }) }),
        (1_i64..50).prop_map(|of| EntryBody::Retraction { of: Seq(of), mark: None }),
        (prop::collection::vec((1_i64..50).prop_map(Seq), 0..5), any::<String>()).prop_map(|(of, reason)| {
            EntryBody::Removal(Removal { of, marks: Default::default(), reason, replacement: None, erased: false })
        }),
    ]
}

fn log(bodies: &[EntryBody]) -> Vec<Stored> {
    let mut previous = genesis(ROOM);
    let mut stored = Vec::new();
    for (body, n) in bodies.iter().zip(1_i64..) {
        let header = Header {
            room: ROOM,
            seq: Seq(n),
            at: Time::from_millis(n),
            author: PrincipalId(n % 5),
            client_id: ClientId(Uuid::from_u128(n.unsigned_abs().into())),
            kind: body.kind().code(),
        };
        let payload = Payload::Kept(body.encode());
        previous = link(previous, &header, payload.digest());
        stored.push(Stored { header, payload, hash: previous });
    }
    stored
}

fn holds(log: &[Stored], end: &Stored) -> bool {
    let mut verifier = Verifier::new(ROOM);
    let faults: usize = log.iter().map(|e| verifier.check(e).len()).sum();
    faults + verifier.finish(end.header.seq, end.hash).len() == 0
}

proptest! {
    #[test]
    fn an_entry_is_read_as_it_was_written(body in bodies()) {
        prop_assert_eq!(EntryBody::decode(body.kind().code(), &body.encode()).unwrap(), body);
    }

    #[test]
    fn reading_a_payload_never_panics(kind in any::<u16>(), payload in any::<String>()) {
        let _ = EntryBody::decode(kind, &payload);
    }

    #[test]
    fn every_change_of_a_log_shows(
        bodies in prop::collection::vec(bodies(), 1..20),
        at in any::<prop::sample::Index>(),
        how in 0..7,
        byte in any::<(usize, u8)>(),
    ) {
        let good = log(&bodies);
        let end = good.last().unwrap().clone();
        prop_assert!(holds(&good, &end));
        let i = at.index(good.len());
        let mut bad = good;
        match how {
            0 => { bad.remove(i); }
            1 => bad[i].header.author.0 += 1,
            2 => bad[i].header.at = bad[i].header.at.plus_millis(-1),
            3 => bad[i].header.client_id = ClientId(Uuid::from_u128(0)),
            4 => bad[i].hash.0[byte.0 % 32] ^= byte.1 | 1,
            5 => bad[i].payload = Payload::Erased(bad[i].payload.digest()),
            _ => {
                let Payload::Kept(text) = &bad[i].payload else { unreachable!() };
                let mut bytes = text.clone().into_bytes();
                let place = byte.0 % bytes.len();
                bytes[place] ^= byte.1 | 1;
                bad[i].payload = Payload::Kept(String::from_utf8_lossy(&bytes).into_owned());
            }
        }
        prop_assert!(!holds(&bad, &end), "change {how} of entry {} was not found", i + 1);
    }

    #[test]
    fn a_good_name_stays_as_it_is(raw in any::<String>()) {
        if let Ok(name) = Name::parse("name", &raw) {
            prop_assert_eq!(Name::parse("name", name.as_str()).unwrap(), name);
        }
        if let Ok(name) = Login::parse("name", &raw) {
            prop_assert_eq!(Login::parse("name", name.as_str()).unwrap(), name);
        }
        let _ = DisplayName::parse("name", &raw);
    }

    #[test]
    fn repaired_text_is_acceptable(raw in any::<String>()) {
        let (good, _) = text::repair(&raw);
        prop_assume!(!good.trim().is_empty());
        prop_assert!(text::message("text", &good, usize::MAX).is_ok());
    }

    #[test]
    fn looking_for_mentions_never_panics_and_finds_what_is_there(before in "[ -~]{0,20}", after in any::<String>()) {
        let find = |name: &str| (name == "ana").then_some(PrincipalId(7));
        let said = format!("{before} @ana, {after}");
        prop_assert_eq!(mention::mentions(&said, find), vec![PrincipalId(7)]);
    }

    #[test]
    fn a_feed_for_a_word_finds_it_among_any_others(words in prop::collection::vec("[a-zäöü]{1,8}", 1..10), at in any::<prop::sample::Index>()) {
        let word = words[at.index(words.len())].clone();
        let feed = Feed { id: 1, name: "f".into(), words: vec![word.to_uppercase()], matching: Match::Any, authors: BTreeSet::new(), rooms: BTreeSet::new(), notify: false };
        prop_assert!(feed.matches(ROOM, PrincipalId(1), &words.join(", ")));
    }

    #[test]
    fn a_time_survives_its_text(ms in any::<i64>()) {
        let time = Time::from_millis(ms);
        prop_assert_eq!(Time::parse(&time.to_string()).unwrap(), time);
    }
}
