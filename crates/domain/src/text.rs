//! What a message may say. Text is kept as it was typed; only what could harm or deceive a reader is refused.

use crate::invalid::Invalid;

/// Checks a message's or story's text against `most` characters and normalises its line ends to `\n`.
///
/// # Errors
/// Empty text, too long text, and control characters other than tab and line feed, with the place of the first.
pub fn message(field: &str, text: &str, most: usize) -> Result<String, Invalid> {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    if text.trim().is_empty() {
        return Err(Invalid::new(field, "must not be empty"));
    }
    // Bytes bound characters from above: the common case needs no count.
    if text.len() > most {
        let n = text.chars().count();
        if n > most {
            return Err(Invalid::new(field, format!("has {n} characters; at most {most} are allowed")));
        }
    }
    if let Some((at, c)) = text.chars().enumerate().find(|(_, c)| is_forbidden(*c)) {
        return Err(Invalid::new(
            field,
            format!("contains the control character U+{:04X} at position {}; remove it", u32::from(c), at + 1),
        ));
    }
    Ok(text)
}

/// Checks text that stands on one line, may be empty, and has at most `most` characters (descriptions, subjects, reasons).
///
/// # Errors
/// Too long text, and characters that are invisible or would reorder what stands beside them.
pub fn line(field: &str, text: &str, most: usize) -> Result<String, Invalid> {
    let text = text.trim();
    let n = text.chars().count();
    if n > most {
        return Err(Invalid::new(field, format!("has {n} characters; at most {most} are allowed")));
    }
    if let Some(c) = text.chars().find(|c| is_forbidden_in_line(*c)) {
        return Err(Invalid::new(field, format!("contains the invisible character U+{:04X}; remove it", u32::from(c))));
    }
    Ok(text.to_owned())
}

/// The text with everything that [`message`] would refuse replaced by U+FFFD, and the number of replacements; for imports,
/// which must lose nothing else.
pub fn repair(text: &str) -> (String, usize) {
    let mut replaced = 0;
    let good = text
        .chars()
        .map(|c| {
            if is_forbidden(c) {
                replaced += 1;
                char::REPLACEMENT_CHARACTER
            } else {
                c
            }
        })
        .collect();
    (good, replaced)
}

/// An add-in's address: absolute, `http` or `https`, at most 255 characters (Lync, M34).
///
/// # Errors
/// Says which of these it is not.
pub fn web_address(field: &str, text: &str, most: usize) -> Result<String, Invalid> {
    let text = line(field, text, most)?;
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    match rest {
        Some(rest)
            if rest.starts_with(|c: char| c.is_alphanumeric() || c == '[') && !rest.contains(char::is_whitespace) =>
        {
            Ok(text)
        }
        _ => Err(Invalid::new(field, "must be a web address that starts with http:// or https://")),
    }
}

/// Control characters other than tab and line feed.
fn is_forbidden(c: char) -> bool {
    c.is_control() && c != '\n' && c != '\t'
}

/// Besides control characters, those that are invisible or change the direction of what stands beside them: in a name they
/// let one room or person pass for another.
pub(crate) fn is_forbidden_in_line(c: char) -> bool {
    c.is_control()
        || matches!(u32::from(c), 0x00AD | 0x061C | 0x180E | 0x200B..=0x200F | 0x2028..=0x202E | 0x2060..=0x206F | 0xFEFF | 0xFFF9..=0xFFFB | 0xE0000..=0xE007F)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_refused_with_their_place() {
        assert_eq!(
            message("text", "ab\u{7}c", 10).unwrap_err().to_string(),
            "text: contains the control character U+0007 at position 3; remove it"
        );
        assert_eq!(message("text", "a\r\nb\rc\td", 10).unwrap(), "a\nb\nc\td");
    }

    #[test]
    fn length_is_counted_in_characters() {
        assert!(message("text", &"ü".repeat(10), 10).is_ok());
        assert!(message("text", &"ü".repeat(11), 10).is_err());
    }

    #[test]
    fn add_ins_are_web_addresses() {
        assert!(web_address("add_in_url", "https://example.org/board?x=1", 255).is_ok());
        for bad in ["javascript:alert(1)", "https://", "ftp://x", "https:// x", "//x"] {
            assert!(web_address("add_in_url", bad, 255).is_err(), "{bad}");
        }
    }

    #[test]
    fn repair_counts_what_it_replaced() {
        assert_eq!(repair("a\u{3}b\tc"), ("a\u{FFFD}b\tc".into(), 1));
    }
}
