//! Values as PostgreSQL's files and connection strings want them.

/// A value in `postgresql.conf`: in quotes, which are doubled inside, as are backslashes.
pub(crate) fn conf(value: &str) -> String {
    format!("'{}'", value.replace('\\', "\\\\").replace('\'', "''"))
}

/// A value in a connection string: in quotes, with a backslash before quotes and backslashes.
pub(crate) fn conninfo(value: &str) -> String {
    format!("'{}'", value.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// A name in `synchronous_standby_names`, or in `pg_ident.conf`: in double quotes, which are doubled inside.
pub(crate) fn name(value: &str) -> String {
    format!("\"{}\"", value.replace('"', "\"\""))
}

/// Whether a value fits on a line of such a file.
pub(crate) fn is_plain(value: &str) -> bool {
    !value.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_inside_stay_inside() {
        assert_eq!(conf(r"it's a \"), r"'it''s a \\'");
        assert_eq!(conninfo(r"it's a \"), r"'it\'s a \\'");
        assert_eq!(name(r#"a"b"#), r#""a""b""#);
        assert!(is_plain("ü %p") && !is_plain("a\nb"));
    }
}
