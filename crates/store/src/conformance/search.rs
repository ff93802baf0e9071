//! Search and mentions.

use super::support::*;
use crate::Store;
use crate::log::Draft;
use crate::search::{Found, Order, Query, Words};
use holdfast_domain::entry::{Edit, Message};
use holdfast_domain::{EntryBody, PrincipalId, RoomId, Seq, Time};
use std::sync::Arc;

const NOTHING: [i64; 0] = [];

pub(crate) async fn words_combine_as_asked(store: Arc<dyn Store>) {
    fill(&*store, &["red green blue", "green red", "blue red green", "yellow", "red, green!", "redgreen"]).await;
    let titled = Message { title: Some("Red alert".into()), text: "green light".into(), ..Message::default() };
    put(&*store, ROOM, ANA, EntryBody::Message(titled)).await;
    let find = async |text: &str, words| seqs(&*store, Query { words, ..asking(text) }).await;

    assert_eq!(find("red green", Words::All).await, [2, 3, 4, 6, 8]);
    assert_eq!(find("green red", Words::All).await, [2, 3, 4, 6, 8]);
    assert_eq!(find("yellow BLUE nothing", Words::Any).await, [2, 4, 5]);
    assert_eq!(find("red green", Words::Phrase).await, [2, 4, 6]);
    assert_eq!(find("red alert", Words::Phrase).await, [8]);
    assert_eq!(find("alert green", Words::Phrase).await, NOTHING);
    assert_eq!(find("purple", Words::All).await, NOTHING);
    assert_eq!(find("red purple", Words::All).await, NOTHING);
    for words in [Words::All, Words::Any, Words::Phrase] {
        assert_eq!(find("yellow", words).await, [5]);
        assert_eq!(find("", words).await, [2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(find(" -- ! ", words).await, [2, 3, 4, 5, 6, 7, 8]);
    }
}

pub(crate) async fn neither_case_nor_accents_matter(store: Arc<dyn Store>) {
    fill(&*store, &["Café crème", "CAFE CREME", "cafe\u{301} cre\u{300}me", "Ωmega ÑANDÚ", "straße 42"]).await;
    let find = async |text: &str| seqs(&*store, asking(text)).await;
    for text in ["café", "CAFÉ", "cafe", "cafe\u{301}", "creme", "Crème café"] {
        assert_eq!(find(text).await, [2, 3, 4], "{text}");
    }
    assert_eq!(find("ωMEGA").await, [5]);
    assert_eq!(find("nandu").await, [5]);
    assert_eq!(find("STRAßE").await, [6]);
    assert_eq!(find("42").await, [6]);
    assert_eq!(find("caf").await, NOTHING);
}

pub(crate) async fn nothing_that_is_typed_breaks_a_query(store: Arc<dyn Store>) {
    fill(&*store, &["plain words AND more", "not a near or title column", "it's \"quoted\""]).await;
    let find = async |text: &str, words| seqs(&*store, Query { words, ..asking(text) }).await;
    assert_eq!(find("AND", Words::All).await, [2]);
    assert_eq!(find("near OR not", Words::All).await, [3]);
    assert_eq!(find("title:column", Words::All).await, [3]);
    assert_eq!(find("\"quoted\" it's", Words::All).await, [4]);
    let odd = [
        "\"",
        "'",
        "''",
        "\"\"",
        "*",
        "word*",
        "^plain",
        "(",
        ")",
        "a AND (",
        "NEAR(a b)",
        "{title} : x",
        "-x",
        "+",
        "\\",
        "%",
        "_",
        "\u{0}",
        "a\u{0}b",
        "\u{1}\u{2}",
        ";--",
        "& | ! <-> :*",
        "\u{301}",
        "\u{E000}",
        "\u{1F389}",
        "\u{202E}x",
        "٣",
        "日本語",
        "\u{FDFA}",
        "ﬁ",
        "İ",
    ];
    let long = "word ".repeat(5_000);
    for text in odd.into_iter().chain([long.as_str()]) {
        for words in [Words::All, Words::Any, Words::Phrase] {
            find(text, words).await;
        }
    }
    // Whatever has letters is found by itself.
    for text in ["日本語", "٣٤", "Ελλάδα", "हिन्दी", "한국어", "Ǻngström", "x\u{1}y"] {
        let seq = put(&*store, ROOM, ANA, say(text)).await;
        assert_eq!(find(text, Words::Phrase).await, [seq.0], "{text}");
    }
}

pub(crate) async fn marks_stand_at_the_words(store: Arc<dyn Store>) {
    let marked = async |text: &str, query: &str, words| -> Vec<String> {
        let seq = put(&*store, ROOM, ANA, say(text)).await;
        let hits = store.search(Query { words, ..asking(query) }).await.unwrap();
        let found = hits.found.into_iter().find(|f| f.row.entry.seq == seq).expect("it is found");
        check_marks(&found, text);
        found.marks.iter().map(|(from, to)| text[*from..*to].to_owned()).collect()
    };
    make_rooms(&*store, &[ROOM]).await;
    assert_eq!(marked("one two one", "one", Words::All).await, ["one", "one"]);
    assert_eq!(marked("Über die Brücke über", "uber brucke", Words::All).await, ["Über", "Brücke", "über"]);
    assert_eq!(marked("cafe\u{301}, please", "café", Words::All).await, ["cafe\u{301}"]);
    assert_eq!(marked("a b a b", "a b", Words::Phrase).await, ["a b", "a b"]);
    assert_eq!(marked("a b", "b c", Words::Any).await, ["b"]);
    assert_eq!(marked("x\u{1}y\u{2}y\u{1}", "y", Words::All).await, ["y", "y"]);
    assert_eq!(marked("emoji \u{1F389} word", "word", Words::All).await, ["word"]);
    assert_eq!(marked("nothing", "", Words::All).await, [] as [&str; 0]);

    // By its title found, in its text marked, where the words stand.
    let titled = Message { title: Some("Title word".into()), text: "text word".into(), ..Message::default() };
    let seq = put(&*store, ROOM, ANA, EntryBody::Message(titled)).await;
    let hits = store.search(asking("title word")).await.unwrap();
    assert_eq!((hits.found[0].row.entry.seq, &hits.found[0].marks[..]), (seq, &[(5, 9)][..]));
    // The text as it reads now.
    put(&*store, ROOM, ANA, edit(seq, "a new word")).await;
    let hits = store.search(asking("new")).await.unwrap();
    assert_eq!(hits.found[0].marks, [(2, 5)]);
}

pub(crate) async fn authors_dates_and_rooms_narrow_a_search(store: Arc<dyn Store>) {
    make_rooms(&*store, &[ROOM, OTHER]).await;
    for (room, author, ms) in [(ROOM, ANA, 10), (ROOM, BO, 20), (OTHER, ANA, 30), (OTHER, BO, 40), (OTHER, ANA, 50)] {
        put(&*store, room, author, said("word", at(-1000 + ms))).await;
    }
    let many: Vec<PrincipalId> = (10..200).filter(|n| *n != 11).map(PrincipalId).collect();
    for text in ["word", ""] {
        let all = Query { rooms: vec![ROOM, OTHER], ..asking(text) };
        let find = async |query| times(&*store, query).await;
        assert_eq!(find(all.clone()).await, [10, 20, 30, 40, 50]);
        assert_eq!(find(Query { rooms: vec![OTHER], ..all.clone() }).await, [30, 40, 50]);
        assert_eq!(
            find(Query { rooms: vec![OTHER, OTHER, RoomId(9), RoomId(-1), RoomId(i64::MAX)], ..all.clone() }).await,
            [30, 40, 50]
        );
        assert_eq!(find(Query { rooms: vec![], ..all.clone() }).await, NOTHING);
        assert_eq!(find(Query { authors: vec![BO], ..all.clone() }).await, [20, 40]);
        assert_eq!(find(Query { authors: vec![ANA, BO], ..all.clone() }).await, [10, 20, 30, 40, 50]);
        assert_eq!(find(Query { authors: many.clone(), ..all.clone() }).await, [10, 30, 50]);
        assert_eq!(find(Query { authors: vec![PrincipalId(99)], ..all.clone() }).await, NOTHING);
        let (from, until) = (Some(at(-980)), Some(at(-960)));
        assert_eq!(find(Query { from, until, ..all.clone() }).await, [20, 30]);
        assert_eq!(find(Query { from, authors: vec![ANA], ..all.clone() }).await, [30, 50]);
        assert_eq!(find(Query { limit: 0, ..all.clone() }).await, NOTHING);
    }
    // An author is no word.
    assert_eq!(times(&*store, Query { rooms: vec![ROOM, OTHER], ..asking("10") }).await, NOTHING);
}

/// Whatever way an engine takes for few hits and for many, in logs in order and in others, the answer is the same as that of sorting everything.
pub(crate) async fn pages_go_through_all_hits_in_order(store: Arc<dyn Store>) {
    let rooms: Vec<RoomId> = (1..=4).map(RoomId).collect();
    make_rooms(&*store, &rooms).await;
    let mut random = 7_u64;
    let mut next = |below: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        i64::try_from((random >> 33) % below).unwrap()
    };
    let mut drafts = Vec::new();
    for n in 0..2_400 {
        let room = rooms[usize::try_from(next(3)).unwrap()];
        // The third room's messages were imported in no order at all, the second's in order, the first's were said here.
        let text = if next(40) == 0 { "common rare" } else { "common" };
        let body = match room.0 {
            1 => say(text),
            2 => said(text, at(n / 3)),
            _ => said(text, at(next(900))),
        };
        drafts.push(Draft { at: at(n / 2), ..draft(room, PrincipalId(10 + next(3)), body) });
    }
    write(&*store, drafts).await;
    let mut all = Vec::new();
    for room in &rooms {
        for row in rows(&*store, *room).await.into_iter().filter(|r| !text_of(r).is_empty()) {
            let rare = text_of(&row).contains("rare");
            all.push(((row.entry.shown_at(), *room, row.entry.seq), row.entry.author, rare));
        }
    }
    all.sort();

    for text in ["common", "rare", "common rare", ""] {
        for order in [Order::Newest, Order::Oldest] {
            for (authors, from, until) in [(vec![], None, None), (vec![ANA], Some(at(100)), Some(at(700)))] {
                let mut expected: Vec<(Time, RoomId, Seq)> = all
                    .iter()
                    .filter(|((time, ..), author, rare)| {
                        (*rare || !text.contains("rare"))
                            && (authors.is_empty() || authors.contains(author))
                            && from.is_none_or(|t| *time >= t)
                            && until.is_none_or(|t| *time < t)
                    })
                    .map(|(place, ..)| *place)
                    .collect();
                if order == Order::Newest {
                    expected.reverse();
                }
                let query = Query { rooms: rooms.clone(), authors, from, until, order, limit: 173, ..asking(text) };
                assert_eq!(page_by_page(&*store, query).await, expected, "{text:?} {order:?}");
            }
        }
    }
}

pub(crate) async fn few_hits_are_found_among_many_messages(store: Arc<dyn Store>) {
    make_rooms(&*store, &[ROOM]).await;
    let messages = (0..3_000).map(|n| if n == 1_500 { "needle and hay".into() } else { format!("hay {n}") });
    write(&*store, messages.map(|text| draft(ROOM, ANA, say(&text))).collect()).await;
    for words in [Words::All, Words::Any, Words::Phrase] {
        assert_eq!(seqs(&*store, Query { words, ..asking("needle") }).await, [1_502]);
    }
    assert_eq!(seqs(&*store, asking("hay needle")).await, [1_502]);
    assert_eq!(seqs(&*store, asking("hay 7")).await, [9]);
    let newest = Query { order: Order::Newest, limit: 2, ..asking("hay") };
    assert_eq!(seqs(&*store, newest.clone()).await, [3_001, 3_000]);
    assert!(store.search(newest).await.unwrap().more);
}

pub(crate) async fn what_is_out_of_sight_is_not_found(store: Arc<dyn Store>) {
    make_rooms(&*store, &[ROOM]).await;
    let of = put(&*store, ROOM, ANA, say("apple")).await;
    put(&*store, ROOM, ANA, say("apple pie")).await;
    let find = async |text: &str| seqs(&*store, asking(text)).await;
    put(&*store, ROOM, ANA, edit(of, "pear")).await;
    assert_eq!(find("apple").await, [3]);
    assert_eq!(find("pear").await, [2]);
    put(&*store, ROOM, ANA, edit(of, "apple")).await;
    assert_eq!(find("apple").await, [2, 3]);
    put(&*store, ROOM, ANA, EntryBody::Retraction { of, mark: None }).await;
    assert_eq!(find("apple").await, [3]);
    put(&*store, ROOM, ANA, edit(of, "apple")).await;
    put(&*store, ROOM, ANA, remove(&[of], false)).await;
    assert_eq!(find("apple").await, [3]);
    assert_eq!(find("").await, [3]);
    put(&*store, ROOM, ANA, remove(&[Seq(3)], true)).await;
    for text in ["apple", "pie", "pear", ""] {
        assert_eq!(find(text).await, NOTHING, "{text}");
    }
}

pub(crate) async fn mentions_are_listed(store: Arc<dyn Store>) {
    make_rooms(&*store, &[ROOM, OTHER]).await;
    let message = |n: i64, mentions: &[PrincipalId]| {
        let mentions = mentions.to_vec();
        EntryBody::Message(Message { text: "@bo".into(), said: Some(at(n)), mentions, ..Message::default() })
    };
    for n in 0..10 {
        let room = if n % 2 == 0 { ROOM } else { OTHER };
        put(&*store, room, ANA, message(n / 3, &[BO])).await;
    }
    let other = put(&*store, ROOM, ANA, message(99, &[ANA])).await;
    let list = async |rooms: &[RoomId], limit: usize| {
        let mut after = None;
        let mut all = Vec::new();
        loop {
            let hits = store.mentions(BO, rooms.to_vec(), after, limit).await.unwrap();
            all.extend(hits.found.iter().map(place));
            after = all.last().copied();
            if !hits.more {
                return all;
            }
        }
    };
    for limit in [1, 3, 100] {
        let all = list(&[ROOM, OTHER], limit).await;
        assert_eq!(all.len(), 10);
        assert!(all.is_sorted_by(|a, b| a > b));
        assert_eq!(list(&[OTHER], limit).await.len(), 5);
        assert!(list(&[], limit).await.is_empty());
    }
    // Edited in and out, removed.
    let named = Edit { of: other, text: "@bo".into(), title: None, mentions: vec![BO], ..Edit::default() };
    put(&*store, ROOM, ANA, EntryBody::Edit(named)).await;
    assert_eq!(list(&[ROOM], 100).await.len(), 6);
    put(&*store, ROOM, ANA, edit(Seq(2), "nobody")).await;
    assert_eq!(list(&[ROOM], 100).await.len(), 5);
    put(&*store, ROOM, ANA, EntryBody::Retraction { of: Seq(3), mark: None }).await;
    put(&*store, ROOM, ANA, remove(&[Seq(4)], false)).await;
    assert_eq!(list(&[ROOM], 100).await.len(), 3);
}

pub(crate) fn asking(text: &str) -> Query {
    Query {
        text: text.into(),
        words: Words::All,
        rooms: vec![ROOM],
        authors: Vec::new(),
        from: None,
        until: None,
        order: Order::Oldest,
        after: None,
        limit: 10_000,
    }
}

async fn fill(store: &dyn Store, texts: &[&str]) {
    make_rooms(store, &[ROOM]).await;
    for text in texts {
        put(store, ROOM, ANA, say(text)).await;
    }
}

async fn seqs(store: &dyn Store, query: Query) -> Vec<i64> {
    store.search(query).await.unwrap().found.iter().map(|f| f.row.entry.seq.0).collect()
}

/// Milliseconds after a second before the start.
async fn times(store: &dyn Store, query: Query) -> Vec<i64> {
    let found = store.search(query).await.unwrap().found;
    found.iter().map(|f| f.row.entry.shown_at().millis() - START + 1000).collect()
}

async fn page_by_page(store: &dyn Store, mut query: Query) -> Vec<(Time, RoomId, Seq)> {
    let mut all = Vec::new();
    loop {
        let hits = store.search(query.clone()).await.unwrap();
        assert!(hits.found.len() <= query.limit);
        assert!(!hits.more || hits.found.len() == query.limit);
        all.extend(hits.found.iter().map(place));
        query.after = all.last().copied();
        if !hits.more {
            return all;
        }
    }
}

fn place(found: &Found) -> (Time, RoomId, Seq) {
    let entry = &found.row.entry;
    (entry.shown_at(), entry.room, entry.seq)
}

fn check_marks(found: &Found, text: &str) {
    assert_eq!(text_of(&found.row), text);
    let mut last = 0;
    for (from, to) in &found.marks {
        assert!(last <= *from && from < to && text.is_char_boundary(*from) && text.is_char_boundary(*to));
        last = *to;
    }
}
