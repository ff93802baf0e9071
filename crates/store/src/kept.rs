//! What does not follow from the logs, as tables: for moving it from one engine to another as it is.

/// A table, whose columns bear the same names in all engines.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) name: &'static str,
    pub(crate) columns: &'static [(&'static str, Column)],
    /// How many of the first columns are its key.
    pub(crate) key: usize,
    /// Rows that are read and written at a time.
    pub(crate) at_once: usize,
    /// What happens to a row whose key is there already.
    pub(crate) there: There,
    /// The column that is numbered by the engine.
    pub(crate) numbered: Option<&'static str>,
}

/// The type of a column.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Column {
    Number,
    Text,
    Bytes,
    Bool,
    Uuid,
}

/// What happens to a row whose key is there already.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum There {
    /// It stays; copying begins at the first row.
    Stays,
    /// It stays, and copying goes on behind the last: for what is large.
    GoesOn,
    /// It is replaced.
    Replaced,
}

/// A value.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Value {
    Null,
    Number(i64),
    Text(String),
    Bytes(Vec<u8>),
}

use Column::{Bool, Bytes, Number, Text, Uuid};

/// All of them, each after those that its rows refer to.
pub(crate) const TABLES: [Table; 19] = [
    table("secret", &[("what", Text), ("value", Bytes)], 1, There::Replaced),
    table("number", &[("what", Text), ("next", Number)], 1, There::Replaced),
    table(
        "sent",
        &[("room", Number), ("author", Number), ("client_id", Uuid), ("seq", Number), ("at", Number)],
        3,
        There::Stays,
    ),
    Table {
        numbered: Some("no"),
        ..table(
            "file",
            &[
                ("no", Number),
                ("id", Uuid),
                ("room", Number),
                ("by", Number),
                ("at", Number),
                ("seq", Number),
                ("ref", Text),
                ("bytes", Number),
            ],
            1,
            There::Stays,
        )
    },
    Table { at_once: 16, ..table("chunk", &[("file", Number), ("i", Number), ("bytes", Bytes)], 2, There::GoesOn) },
    Table { at_once: 50, ..table("thumbnail", &[("file", Number), ("bytes", Bytes)], 1, There::GoesOn) },
    table("followed", &[("user", Number), ("room", Number), ("position", Number)], 2, There::Stays),
    table("reading", &[("room", Number), ("user", Number), ("seq", Number)], 2, There::Stays),
    Table {
        numbered: Some("id"),
        ..table(
            "invitation",
            &[("id", Number), ("user", Number), ("room", Number), ("by", Number), ("at", Number), ("seen", Bool)],
            1,
            There::Stays,
        )
    },
    Table {
        numbered: Some("id"),
        ..table("feed", &[("id", Number), ("user", Number), ("notify", Bool), ("feed", Text)], 1, There::Stays)
    },
    table("preferences", &[("user", Number), ("json", Text)], 1, There::Stays),
    Table {
        at_once: 50,
        ..table(
            "item",
            &[("owner", Number), ("node", Text), ("id", Text), ("position", Number), ("at", Number), ("payload", Text)],
            3,
            There::Stays,
        )
    },
    Table {
        at_once: 500,
        ..table(
            "direct",
            &[
                ("id", Number),
                ("sender", Number),
                ("recipient", Number),
                ("client_id", Uuid),
                ("at", Number),
                ("text", Text),
                ("payload", Text),
            ],
            1,
            There::GoesOn,
        )
    },
    table("direct_head", &[("id", Number), ("last_id", Number), ("last_at", Number)], 1, There::Replaced),
    table(
        "account",
        &[
            ("user", Number),
            ("salt", Bytes),
            ("iterations", Number),
            ("stored_key", Bytes),
            ("server_key", Bytes),
            ("failures", Number),
            ("locked_until", Number),
            ("last_seen_at", Number),
        ],
        1,
        There::Stays,
    ),
    table(
        "account_sha1",
        &[
            ("user", Number),
            ("made_with", Bytes),
            ("salt", Bytes),
            ("iterations", Number),
            ("stored_key", Bytes),
            ("server_key", Bytes),
        ],
        1,
        There::Stays,
    ),
    Table {
        numbered: Some("id"),
        ..table(
            "sign_in",
            &[
                ("id", Number),
                ("secret", Bytes),
                ("user", Number),
                ("created_at", Number),
                ("last_seen_at", Number),
                ("expires_at", Number),
                ("agent", Text),
                ("address", Text),
            ],
            1,
            There::Stays,
        )
    },
    Table {
        numbered: Some("id"),
        ..table(
            "token",
            &[
                ("id", Number),
                ("secret", Bytes),
                ("user", Number),
                ("label", Text),
                ("scopes", Text),
                ("created_at", Number),
                ("expires_at", Number),
                ("last_used_at", Number),
            ],
            1,
            There::Stays,
        )
    },
    Table {
        numbered: Some("id"),
        ..table(
            "webhook",
            &[
                ("id", Number),
                ("secret", Bytes),
                ("room", Number),
                ("author", Number),
                ("label", Text),
                ("created_at", Number),
            ],
            1,
            There::Stays,
        )
    },
];

const fn table(name: &'static str, columns: &'static [(&'static str, Column)], key: usize, there: There) -> Table {
    Table { name, columns, key, at_once: 2_000, there, numbered: None }
}

impl Table {
    /// The columns for a statement, quoted.
    pub(crate) fn column_list(&self) -> String {
        list(self.columns)
    }

    /// The columns of the key for a statement, quoted.
    pub(crate) fn key_list(&self) -> String {
        list(&self.columns[..self.key])
    }
}

fn list(columns: &[(&str, Column)]) -> String {
    let quoted: Vec<String> = columns.iter().map(|(name, _)| format!("\"{name}\"")).collect();
    quoted.join(", ")
}
