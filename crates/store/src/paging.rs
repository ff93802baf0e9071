//! Which entries are on a page: a log has no gaps, so a page is known by its numbers before a row of it is read.

use crate::log::From;
use holdfast_domain::Seq;

/// The first and last number of a page; of an empty one the first is greater.
pub(crate) fn window(head: Seq, from: From, focus: Option<Seq>, limit: usize) -> (Seq, Seq) {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX).min(Seq::MAX.0);
    let up_to = |last: i64| {
        let last = last.clamp(0, head.0);
        ((last - limit).max(0) + 1, last)
    };
    let starting = |first: i64| {
        let first = first.clamp(1, head.0 + 1);
        (first, (first - 1 + limit).min(head.0))
    };
    let (first, last) = match (from, focus) {
        (From::Before(seq), _) => up_to(seq.0.saturating_sub(1)),
        (From::After(seq), _) => starting(seq.0.saturating_add(1)),
        (_, Some(focus)) => starting(focus.0.saturating_sub(limit / 2)),
        (_, None) => up_to(head.0),
    };
    (Seq(first), Seq(last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_never_leaves_the_log() {
        let of = |head, from, focus: Option<i64>, limit| {
            let (first, last) = window(Seq(head), from, focus.map(Seq), limit);
            (first.0, last.0)
        };
        assert_eq!(of(10, From::Latest, None, 3), (8, 10));
        assert_eq!(of(10, From::Latest, None, usize::MAX), (1, 10));
        assert_eq!(of(0, From::Latest, None, 3), (1, 0));
        assert_eq!(of(10, From::Before(Seq(3)), None, 5), (1, 2));
        assert_eq!(of(10, From::Before(Seq(i64::MIN)), None, 5), (1, 0));
        assert_eq!(of(10, From::Before(Seq(i64::MAX)), None, 2), (9, 10));
        assert_eq!(of(10, From::After(Seq(8)), None, 5), (9, 10));
        assert_eq!(of(10, From::After(Seq(i64::MAX)), None, 5), (11, 10));
        assert_eq!(of(10, From::Around(Seq(5)), Some(5), 4), (3, 6));
        assert_eq!(of(10, From::Around(Seq(1)), Some(1), 4), (1, 4));
        assert_eq!(of(10, From::Around(Seq(10)), Some(10), 4), (8, 10));
        assert_eq!(of(10, From::Latest, None, 0), (11, 10));
    }
}
