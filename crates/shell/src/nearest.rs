//! The nearest right name: "did you mean ...?".

/// The candidate that `typed` was probably meant to be, in whatever case; `None` when none is near.
pub(crate) fn nearest<'a>(typed: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let typed = typed.to_ascii_lowercase();
    // Longer than any name: not worth a comparison.
    if typed.len() > 128 {
        return None;
    }
    let allowed = (typed.chars().count() / 3).max(1);
    let near = candidates.into_iter().map(|c| (distance(&typed, &c.to_ascii_lowercase()), c));
    near.filter(|(d, _)| *d <= allowed).min_by_key(|(d, _)| *d).map(|(_, c)| c)
}

/// How many letters must be changed, added, dropped or exchanged with their neighbour.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let same = usize::from(a[i - 1] != b[j - 1]);
            let mut best = (last[j] + 1).min(row[j - 1] + 1).min(last[j - 1] + same);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(before_last[j - 2] + 1);
            }
            row.push(best);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_understood_and_other_words_are_not() {
        let names = ["-Identity", "-PoolState", "-WhatIf"];
        assert_eq!(nearest("-poolstat", names), Some("-PoolState"));
        assert_eq!(nearest("-Idnetity", names), Some("-Identity"));
        assert_eq!(nearest("-Verbose", names), None);
        assert_eq!(distance("abc", ""), 3);
        assert_eq!(distance("ab", "ba"), 1);
    }
}
