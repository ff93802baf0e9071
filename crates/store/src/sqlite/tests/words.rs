//! The tokeniser, by which words are compared.

use crate::search::Words;
use crate::sqlite::words::{Scratch, expression};

/// A query's words go through the tokeniser twice, once to be taken apart and once by the index.
#[test]
fn a_word_that_was_folded_stays_as_it_is() {
    let mut scratch = Scratch::open().unwrap();
    let all: Vec<char> = (1..=0x2FFFF_u32).filter_map(char::from_u32).collect();
    for chars in all.chunks(60) {
        let text: String = chars.iter().flat_map(|c| [*c, ' ']).collect();
        let once = scratch.words(&text).unwrap();
        let twice = scratch.words(&once.join(" ")).unwrap();
        assert_eq!(once, twice);
    }
}

#[test]
fn words_are_letters_and_digits_and_in_order() {
    let mut scratch = Scratch::open().unwrap();
    assert_eq!(scratch.words("b a, \"C\"-d 42! b").unwrap(), ["b", "a", "c", "d", "42", "b"]);
    assert_eq!(scratch.words("... \u{1F389}").unwrap(), [] as [&str; 0]);
    assert_eq!(scratch.words("").unwrap(), [] as [&str; 0]);
    assert_eq!(scratch.words(&"x ".repeat(1_000)).unwrap().len(), 64);
}

#[test]
fn words_are_quoted() {
    let words = ["a\"b".to_owned(), "NOT".to_owned()];
    assert_eq!(expression(&words, Words::All).unwrap(), r#""a""b" AND "NOT""#);
    assert_eq!(expression(&[], Words::All), None);
}

#[test]
fn the_small_index_forgets() {
    let mut scratch = Scratch::open().unwrap();
    for _ in 0..3 {
        let words = scratch.words("one two").unwrap();
        let marks = scratch.marks(&words, Words::All, &["two one", "none", "ONE"]).unwrap();
        assert_eq!(marks, [vec![(0, 3), (4, 7)], vec![], vec![(0, 3)]]);
    }
}
