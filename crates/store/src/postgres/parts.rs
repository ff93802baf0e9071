//! The parts of the table of entries. Asked by its own name, a part is planned and locked alone, which for a page costs a third of asking all of them.

use super::error::Work;
use super::session::Session;
use holdfast_domain::RoomId;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How many there are: as the first migration makes them.
pub(super) const PARTS: usize = 16;

/// Rooms whose part is remembered; when there are more, all are asked for anew.
const REMEMBERED: usize = 100_000;

/// One of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Part(usize);

impl Part {
    /// The statement for it, of those for all.
    pub(super) fn choose(self, statements: &[&'static str; PARTS]) -> &'static str {
        statements.get(self.0).copied().unwrap_or_default()
    }
}

/// Which part each room's log is in. That never changes.
#[derive(Debug, Default)]
pub(super) struct Parts(Mutex<HashMap<RoomId, Part>>);

impl Parts {
    /// The part of a room's log.
    pub(super) async fn of(&self, session: &Session, room: RoomId) -> Work<Part> {
        const SQL: &str = "SELECT n FROM generate_series(0, $2::int - 1) n
                           WHERE satisfies_hash_partition('entry'::regclass, $2, n, $1::bigint)";
        if let Some(part) = self.lock().get(&room) {
            return Ok(*part);
        }
        let parts = i32::try_from(PARTS).unwrap_or_default();
        let row = session.one(SQL, &[&room.0, &parts]).await?;
        let n: i32 = row.map(|row| row.try_get(0)).transpose()?.unwrap_or_default();
        let part = Part(usize::try_from(n).unwrap_or_default().min(PARTS - 1));
        let mut known = self.lock();
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(room, part);
        Ok(part)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<RoomId, Part>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A statement for each part, whose name comes before the last piece.
macro_rules! of_each_part {
    ($($before:expr),+ ; $after:literal) => {
        of_each_part!(@ [$($before),+] $after; 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15)
    };
    (@ $before:tt $after:literal; $($n:literal)+) => { [$(of_each_part!(@one $before $n $after)),+] };
    (@one [$($before:expr),+] $n:literal $after:literal) => { concat!($($before),+, "entry_", $n, $after) };
}
pub(super) use of_each_part;
