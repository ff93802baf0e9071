//! The part of a room's XMPP address before the `@`: made of its name once, and kept when the room is renamed, so that addresses that people
//! have written down stay good.

use crate::name::key;

/// What may not stand before the `@` of an address, and how it is written there (XEP-0106).
const ESCAPES: [(char, &str); 10] = [
    (' ', "\\20"),
    ('"', "\\22"),
    ('&', "\\26"),
    ('\'', "\\27"),
    ('/', "\\2f"),
    (':', "\\3a"),
    ('<', "\\3c"),
    ('>', "\\3e"),
    ('@', "\\40"),
    ('\\', "\\5c"),
];

/// The address of a room of this name.
pub fn of_name(name: &str) -> String {
    let key = key(name.trim());
    let mut out = String::with_capacity(key.len());
    for (at, c) in key.char_indices() {
        // A backslash means itself unless it would begin an escape.
        let escapes = c != '\\' || ESCAPES.iter().any(|(_, escape)| key[at..].starts_with(escape));
        match ESCAPES.iter().find(|(plain, _)| *plain == c) {
            Some((_, escape)) if escapes => out.push_str(escape),
            _ => out.push(c),
        }
    }
    out
}

/// The name that somebody means who asks for a room at an address that none has yet.
pub fn to_name(address: &str) -> String {
    let mut out = String::with_capacity(address.len());
    let mut rest = address;
    while let Some(c) = rest.chars().next() {
        match ESCAPES.iter().find(|(_, escape)| rest.starts_with(escape)) {
            Some((plain, escape)) => {
                out.push(*plain);
                rest = &rest[escape.len()..];
            }
            None => {
                out.push(c);
                rest = &rest[c.len_utf8()..];
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_addresses_and_back() {
        for (name, address) in [
            ("Trading Floor", "trading\\20floor"),
            ("R&D / Lab", "r\\26d\\20\\2f\\20lab"),
            ("a\\b", "a\\b"),
            ("a\\20b", "a\\5c20b"),
            ("Grüße", "grüße"),
        ] {
            assert_eq!(of_name(name), address);
            assert_eq!(to_name(address), key(name), "{address}");
        }
    }
}
