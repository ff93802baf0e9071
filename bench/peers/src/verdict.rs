//! The archive, counted after a measurement, against what was said to be there.

use crate::board::Board;
use crate::figures::{Figure, count};
use crate::link::Link;
use crate::mam;
use crate::sasl::Way;
use crate::site::Site;
use anyhow::Result;
use std::collections::HashMap;

/// What the archive has of what was sent.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Verdict {
    pub(crate) sent: u64,
    /// Came back to their authors.
    pub(crate) acked: u64,
    /// Were seen by anybody.
    pub(crate) shown: u64,
    pub(crate) archived: u64,
    /// Were seen, and are not in the archive.
    pub(crate) missing: u64,
    /// Are in it more than once.
    pub(crate) twice: u64,
    /// Were seen before one that the archive has before them.
    pub(crate) out_of_order: u64,
    /// Are in it and were never sent.
    pub(crate) unknown: u64,
}

/// Reads the archives of `rooms`. `room_of` tells which room an observer sat in.
pub(crate) async fn check(
    site: &Site,
    board: &Board,
    rooms: &[String],
    room_of: impl Fn(usize) -> usize,
) -> Result<Verdict> {
    let mut verdict = Verdict::default();
    let observed: HashMap<usize, Vec<u32>> = board.observed().map(|(who, seen)| (room_of(who), seen)).collect();
    let mut reader = Link::open(&site.account(0, Way::Scram)).await?;
    for (n, room) in rooms.iter().enumerate() {
        reader.enter(room, "reader").await?;
        let numbers = mam::whole(&mut reader, room).await?;
        let mut places = HashMap::with_capacity(numbers.len());
        for (place, number) in numbers.into_iter().enumerate() {
            if !board.is_archived(number) {
                verdict.unknown += 1;
            }
            places.entry(number).or_insert(place);
        }
        let seen = observed.get(&n).into_iter().flatten();
        let seen: Vec<usize> = seen.filter_map(|number| places.get(&(*number as usize)).copied()).collect();
        verdict.out_of_order += seen.windows(2).filter(|pair| pair[0] > pair[1]).count() as u64;
    }
    reader.close().await;
    for fate in board.fates() {
        verdict.sent += 1;
        verdict.acked += u64::from(fate.acked.is_some());
        verdict.shown += u64::from(fate.shown);
        verdict.archived += u64::from(fate.archived > 0);
        verdict.missing += u64::from(fate.shown && fate.archived == 0);
        verdict.twice += u64::from(fate.archived > 1);
    }
    Ok(verdict)
}

impl Verdict {
    /// As figures, each with `prefix` before its name.
    pub(crate) fn figures(self, what: &'static str, prefix: &str) -> Vec<Figure> {
        let figures = [
            ("came back to their authors", self.acked),
            ("in the archive", self.archived),
            ("shown and not in the archive", self.missing),
            ("twice in the archive", self.twice),
            ("in another order in the archive", self.out_of_order),
            ("in the archive and never sent", self.unknown),
        ];
        figures.map(|(name, number)| Figure::new(what, format!("{prefix}{name}"), "messages", count(number))).into()
    }
}
