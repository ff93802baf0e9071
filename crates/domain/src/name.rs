//! Names, checked once where they come in. A value of one of these types is known to be good.

use crate::invalid::Invalid;
use crate::limits;
use crate::text::is_forbidden_in_line;
use serde::{Deserialize, Serialize};
use std::fmt;
use unicode_normalization::UnicodeNormalization;

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident, $parse:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Checks `text`, which its sender calls `field`.
            ///
            /// # Errors
            /// Says what is wrong with it and what would be right.
            pub fn parse(field: &str, text: &str) -> Result<Self, Invalid> {
                let check: fn(&str) -> Result<String, String> = $parse;
                check(text).map(Self).map_err(|why| Invalid::new(field, why))
            }

            /// The name as it is shown.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The form by which two names are compared: neither case nor the way a letter is composed tells them apart.
            pub fn key(&self) -> String {
                key(&self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name_type! {
    /// A room's or category's name: 1 to 256 characters on one line (Lync, M12).
    Name, |text| line(text, limits::NAME_CHARS)
}
name_type! {
    /// A person's or group's displayed name: 1 to 128 characters on one line.
    DisplayName, |text| line(text, limits::DISPLAY_NAME_CHARS)
}
name_type! {
    /// The name somebody signs in with and is mentioned by: letters, digits, `.`, `_`, `-`; starts with a letter or digit.
    Login, login
}

/// The form by which names are compared; see [`Name::key`].
pub fn key(text: &str) -> String {
    if text.is_ascii() {
        // What follows would do the same, more slowly; most names are such ones.
        return text.to_ascii_lowercase();
    }
    text.nfkc().flat_map(char::to_lowercase).collect()
}

fn line(text: &str, most: usize) -> Result<String, String> {
    let text: String = text.trim().nfc().collect();
    let n = text.chars().count();
    if n == 0 {
        return Err("must not be empty".into());
    }
    if n > most {
        return Err(format!("has {n} characters; at most {most} are allowed"));
    }
    if let Some(c) = text.chars().find(|c| is_forbidden_in_line(*c)) {
        return Err(format!("contains the invisible character U+{:04X}; remove it", u32::from(c)));
    }
    Ok(text)
}

fn login(text: &str) -> Result<String, String> {
    let text = line(text, limits::LOGIN_CHARS)?;
    let good = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-');
    if let Some(c) = text.chars().find(|c| !good(*c)) {
        return Err(format!("contains `{c}`; use letters, digits, `.`, `_` and `-` only"));
    }
    if !text.starts_with(char::is_alphanumeric) {
        return Err("must start with a letter or a digit".into());
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_trimmed_and_composed() {
        let name = Name::parse("name", "  Cafe\u{301} ").unwrap();
        assert_eq!(name.as_str(), "Café");
        assert_eq!(name.key(), Name::parse("name", "CAFÉ").unwrap().key());
    }

    #[test]
    fn refusals_name_the_field_and_the_fault() {
        let e = Name::parse("name", "a\u{202e}b").unwrap_err();
        assert_eq!(e.to_string(), "name: contains the invisible character U+202E; remove it");
        assert_eq!(Name::parse("name", " ").unwrap_err().why, "must not be empty");
        assert!(Name::parse("name", &"x".repeat(256)).is_ok());
        assert!(Name::parse("name", &"x".repeat(257)).unwrap_err().why.contains("257"));
    }

    #[test]
    fn logins_hold_nothing_that_needs_escaping() {
        for good in ["ana.ruiz", "bo-lind_2", "Ωmega", "7of9"] {
            assert!(Login::parse("name", good).is_ok(), "{good}");
        }
        for bad in ["", ".hidden", "a b", "a/b", "a@b", "-x", "a\nb"] {
            assert!(Login::parse("name", bad).is_err(), "{bad:?}");
        }
    }
}
