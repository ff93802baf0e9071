//! Lists that come in pages, and the opaque words by which the next page is asked for.

use crate::problem::{Code, Problem, Result};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use holdfast_chat::view::Place;
use holdfast_domain::{RoomId, Seq, Time};
use serde::Serialize;
use utoipa::ToSchema;

/// A page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct List<T> {
    /// What it holds, in the order of the list.
    pub(crate) items: Vec<T>,
    /// The `cursor` of the next page; null when this is the last.
    pub(crate) next: Option<String>,
}

impl<T> List<T> {
    /// A list that is given whole.
    pub(crate) fn whole(items: Vec<T>) -> Self {
        Self { items, next: None }
    }
}

/// How many items a page has: what was asked for, if that is from 1 to `most`.
pub(crate) fn limit(asked: Option<usize>, default: usize, most: usize) -> Result<usize> {
    match asked {
        None => Ok(default.min(most)),
        Some(n) if (1..=most).contains(&n) => Ok(n),
        Some(n) => Err(Problem::invalid("limit", format!("is {n}; it must be from 1 to {most}"))),
    }
}

/// Where a page begins, in numbers, as a word. It holds no secret and grants nothing.
pub(crate) fn cursor(numbers: &[i64]) -> String {
    URL_SAFE_NO_PAD.encode(numbers.iter().map(i64::to_string).collect::<Vec<_>>().join("."))
}

/// The numbers of a cursor.
pub(crate) fn numbers<const N: usize>(cursor: Option<&str>) -> Result<Option<[i64; N]>> {
    let Some(cursor) = cursor else { return Ok(None) };
    let read = || -> Option<[i64; N]> {
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()?;
        let numbers: Vec<i64> = text.split('.').map(str::parse).collect::<std::result::Result<_, _>>().ok()?;
        numbers.try_into().ok()
    };
    match read() {
        Some(numbers) => Ok(Some(numbers)),
        None => {
            Err(Problem::field(Code::BadRequest, "cursor", "is not one that this server gave; begin at the first page"))
        }
    }
}

/// The cursor of a list that begins after `last`, if there is more.
pub(crate) fn next(more: bool, last: Option<i64>) -> Option<String> {
    last.filter(|_| more).map(|last| cursor(&[last]))
}

/// As [`numbers`], for a list with one number to begin after.
pub(crate) fn number(word: Option<&str>) -> Result<Option<i64>> {
    Ok(numbers::<1>(word)?.map(|[n]| n))
}

/// As [`cursor`], for lists sorted by shown time.
pub(crate) fn cursor_of_place((at, room, seq): Place) -> String {
    cursor(&[at.millis(), room.0, seq.0])
}

/// As [`numbers`], for lists sorted by shown time.
pub(crate) fn place(cursor: Option<&str>) -> Result<Option<Place>> {
    Ok(numbers::<3>(cursor)?.map(|[at, room, seq]| (Time::from_millis(at), RoomId(room), Seq(seq))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_come_back_as_they_were_and_others_are_refused() {
        let place_before = (Time::from_millis(-5), RoomId(7), Seq(12));
        assert_eq!(place(Some(&cursor_of_place(place_before))).unwrap(), Some(place_before));
        for bad in ["", "!", "MQ", "MS4yLjMuNA", "eA"] {
            assert!(numbers::<3>(Some(bad)).is_err(), "{bad}");
        }
    }
}
