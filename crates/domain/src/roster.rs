//! Whether a room's coming and going is told: it stops above the limit and starts again under 80 % of it (M50).

/// Whether the roster of a room is limited from now on, given whether it was, how many people are there, and the limit.
/// The gap between the two thresholds keeps a room near the limit from flapping.
pub fn is_limited(was_limited: bool, people: usize, limit: usize) -> bool {
    if was_limited { people * 5 >= limit * 4 } else { people > limit }
}

#[cfg(test)]
mod tests {
    use super::is_limited;

    #[test]
    fn stops_above_the_limit_and_resumes_under_four_fifths() {
        assert!(!is_limited(false, 75, 75));
        assert!(is_limited(false, 76, 75));
        assert!(is_limited(true, 60, 75));
        assert!(!is_limited(true, 59, 75));
    }
}
