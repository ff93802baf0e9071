//! Random histories, against a model that keeps everything in memory and counts instead of calculating.

use super::Made;
use super::support::*;
use crate::Store;
use crate::log::{Appended, Draft, Gone, Row};
use crate::search::{Order, Query, Words};
use holdfast_domain::entry::{Edit, Message};
use holdfast_domain::{EntryBody, PrincipalId, RoomId, Seq};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

const WORDS: [&str; 4] = ["red", "green", "blue", "yellow"];
const ROOMS: [RoomId; 2] = [ROOM, OTHER];

/// One thing that happens. Messages are named by their place among all of their room, so that most of them are there.
#[derive(Clone, Debug)]
enum Happens {
    Post { room: usize, words: Vec<usize>, names_bo: bool, said: Option<i64> },
    Edit { room: usize, of: usize, words: Vec<usize>, names_bo: bool },
    Retract { room: usize, of: usize },
    Remove { room: usize, of: usize, erased: bool },
    Purge { room: usize, through: i64 },
    SendAgain,
    Read { room: usize, to: i64 },
    Rebuild,
}

/// A message as the model has it.
#[derive(Debug)]
struct Said {
    text: String,
    names_bo: bool,
    edit: Option<Seq>,
    gone: Option<(Gone, Seq)>,
    erased: bool,
}

#[derive(Default)]
struct Model {
    messages: BTreeMap<(RoomId, Seq), Said>,
    read: BTreeMap<RoomId, Seq>,
    last: Option<Draft>,
}

pub(crate) fn random_histories_read_as_the_model_says<F: Future<Output = Made>>(make: fn() -> F) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let config = ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(history in prop::collection::vec(happens(), 1..40))| {
        runtime.block_on(async {
            let made = make().await;
            let store: Arc<dyn Store> = Arc::clone(&made.store);
            play(&*store, history).await;
            store.close().await.unwrap();
            drop(made.keep);
        });
    });
}

fn happens() -> impl Strategy<Value = Happens> {
    let words = || prop::collection::vec(0..WORDS.len(), 1..4);
    let room = || 0..ROOMS.len();
    let of = || 0..12_usize;
    prop_oneof![
        8 => (room(), words(), any::<bool>(), prop::option::weighted(0.2, -50..50_i64))
            .prop_map(|(room, words, names_bo, said)| Happens::Post { room, words, names_bo, said }),
        3 => (room(), of(), words(), any::<bool>())
            .prop_map(|(room, of, words, names_bo)| Happens::Edit { room, of, words, names_bo }),
        1 => (room(), of()).prop_map(|(room, of)| Happens::Retract { room, of }),
        2 => (room(), of(), any::<bool>()).prop_map(|(room, of, erased)| Happens::Remove { room, of, erased }),
        1 => (room(), 0..20_i64).prop_map(|(room, through)| Happens::Purge { room, through }),
        1 => Just(Happens::SendAgain),
        1 => (room(), 0..30_i64).prop_map(|(room, to)| Happens::Read { room, to }),
        1 => Just(Happens::Rebuild),
    ]
}

async fn play(store: &dyn Store, history: Vec<Happens>) {
    make_rooms(store, &ROOMS).await;
    let mut model = Model::default();
    for happens in history {
        model.step(store, happens).await;
    }
    model.compare(store).await;
}

impl Model {
    async fn step(&mut self, store: &dyn Store, happens: Happens) {
        match happens {
            Happens::Post { room, words, names_bo, said } => {
                let text = text(&words);
                let message =
                    Message { text: text.clone(), mentions: named(names_bo), said: said.map(at), ..Message::default() };
                let draft = draft(ROOMS[room], ANA, EntryBody::Message(message));
                let seq = write(store, vec![draft.clone()]).await[0].seq;
                self.last = Some(draft);
                self.messages
                    .insert((ROOMS[room], seq), Said { text, names_bo, edit: None, gone: None, erased: false });
            }
            Happens::Edit { room, of, words, names_bo } => {
                let Some(of) = self.message(room, of) else { return };
                let text = text(&words);
                let edit = Edit { of, text: text.clone(), title: None, mentions: named(names_bo), ..Edit::default() };
                let seq = put(store, ROOMS[room], ANA, EntryBody::Edit(edit)).await;
                let said = self.messages.get_mut(&(ROOMS[room], of)).unwrap();
                (said.text, said.names_bo, said.edit) = (text, names_bo, Some(seq));
            }
            Happens::Retract { room, of } => {
                let Some(of) = self.message(room, of) else { return };
                let seq = put(store, ROOMS[room], ANA, EntryBody::Retraction { of, mark: None }).await;
                self.gone(ROOMS[room], of, Gone::Retracted, seq, false);
            }
            Happens::Remove { room, of, erased } => {
                let Some(of) = self.message(room, of) else { return };
                let seq = put(store, ROOMS[room], BO, remove(&[of], erased)).await;
                self.gone(ROOMS[room], of, Gone::Removed, seq, erased);
            }
            Happens::Purge { room, through } => {
                let seq = put(store, ROOMS[room], BO, EntryBody::Purge { through: Seq(through) }).await;
                let cleared: Vec<Seq> = self.of(ROOMS[room]).map(|(s, _)| s).filter(|s| s.0 <= through).collect();
                for of in cleared {
                    self.gone(ROOMS[room], of, Gone::Purged, seq, true);
                }
            }
            Happens::SendAgain => {
                if let Some(draft) = self.last.clone() {
                    assert!(matches!(store.append(vec![draft]).await.unwrap()[..], [Appended::Repeated(_)]));
                }
            }
            Happens::Read { room, to } => {
                store.mark_read(vec![(BO, ROOMS[room], Seq(to))]).await.unwrap();
                let end = store.head(ROOMS[room]).await.unwrap().seq;
                let read = self.read.entry(ROOMS[room]).or_insert(Seq::ZERO);
                *read = Seq(to).min(end).max(*read);
            }
            Happens::Rebuild => store.rebuild().await.unwrap(),
        }
    }

    async fn compare(&self, store: &dyn Store) {
        for room in ROOMS {
            assert_eq!(faults(store, room).await, []);
            for row in rows(store, room).await {
                self.compare_row(&row);
            }
            let read = self.read.get(&room).copied().unwrap_or(Seq::ZERO);
            let unread: Vec<&Said> = self.of(room).filter(|(s, _)| *s > read).map(|(_, said)| said).collect();
            let reading = store.readings(BO, vec![room]).await.unwrap()[0];
            assert_eq!(reading.read, read);
            assert_eq!(reading.unread, i64::try_from(unread.len()).unwrap());
            let mentions = unread.iter().filter(|s| s.names_bo && s.gone.is_none()).count();
            assert_eq!(reading.mentions, i64::try_from(mentions).unwrap());
        }
        let mentions = store.mentions(BO, ROOMS.to_vec(), None, 1_000).await.unwrap();
        assert_eq!(mentions.found.len(), self.messages.values().filter(|s| s.names_bo && s.gone.is_none()).count());
        for word in WORDS {
            let mut expected: Vec<(RoomId, Seq)> = self
                .messages
                .iter()
                .filter(|(_, said)| said.gone.is_none() && said.text.split(' ').any(|w| w == word))
                .map(|(place, _)| *place)
                .collect();
            expected.sort();
            let mut found: Vec<(RoomId, Seq)> = search(store, word).await;
            found.sort();
            assert_eq!(found, expected, "{word}");
        }
    }

    fn compare_row(&self, row: &Row) {
        let Some(said) = self.messages.get(&(row.entry.room, row.entry.seq)) else {
            assert!(row.edited.is_none() && row.removed.is_none());
            return;
        };
        assert_eq!(row.removed.as_ref().map(|r| (r.how, r.seq)), said.gone);
        assert_eq!(row.entry.body.is_none(), said.erased);
        let edit = said.edit.filter(|_| !said.erased);
        assert_eq!(row.edited.as_ref().map(|e| e.seq), edit);
        if !said.erased {
            assert_eq!(text_of(row), said.text);
        }
    }

    /// Takes a message out of sight, if nothing stronger has.
    fn gone(&mut self, room: RoomId, of: Seq, how: Gone, by: Seq, erased: bool) {
        let strength = |how| [Gone::Retracted, Gone::Removed, Gone::Purged].iter().position(|g| *g == how);
        let said = self.messages.get_mut(&(room, of)).unwrap();
        if said.gone.is_none_or(|(old, _)| strength(old) <= strength(how)) {
            said.gone = Some((how, by));
        }
        said.erased |= erased;
    }

    fn message(&self, room: usize, n: usize) -> Option<Seq> {
        self.of(ROOMS[room]).nth(n).map(|(seq, _)| seq)
    }

    fn of(&self, room: RoomId) -> impl Iterator<Item = (Seq, &Said)> {
        self.messages.iter().filter(move |((r, _), _)| *r == room).map(|((_, seq), said)| (*seq, said))
    }
}

async fn search(store: &dyn Store, text: &str) -> Vec<(RoomId, Seq)> {
    let query = Query {
        text: text.into(),
        words: Words::All,
        rooms: ROOMS.to_vec(),
        authors: Vec::new(),
        from: None,
        until: None,
        order: Order::Newest,
        after: None,
        limit: 1_000,
    };
    store.search(query).await.unwrap().found.iter().map(|f| (f.row.entry.room, f.row.entry.seq)).collect()
}

fn text(words: &[usize]) -> String {
    words.iter().map(|w| WORDS[*w]).collect::<Vec<_>>().join(" ")
}

fn named(bo: bool) -> Vec<PrincipalId> {
    if bo { vec![BO] } else { Vec::new() }
}
