//! The settings' own handbook: what each is for, in words. The example file is made from it.

use super::Config;
use std::fmt::Write as _;

/// One setting, described.
pub(super) struct Setting {
    /// Its section.
    pub(super) section: &'static str,
    /// Its name there.
    pub(super) key: &'static str,
    /// What it does, its unit, and what it accepts.
    pub(super) text: &'static str,
}

/// The first lines of the example file.
const EXAMPLE_HEADER: &str = "\
# Holdfast's settings. Every setting is listed here with its default; a file needs only those that differ.
# Each can also be set by an environment variable: HOLDFAST_SECTION__KEY, for example HOLDFAST_SERVER__HTTP=0.0.0.0:8080.
# This file is written by `holdfast config example`. Check yours with `holdfast config check FILE`.
";

const SECTIONS: [(&str, &str); 8] = [
    ("server", "Where the server is and what it is called."),
    ("http", "Limits on connections and requests; they bound what strangers can take."),
    ("log", "What the server writes to its log, which is standard error."),
    ("limits", "Limits on what may be sent. Characters are Unicode scalar values."),
    ("accounts", "Who may use chat, and how signing in works."),
    ("database", "How the data is kept: in an embedded database, or in PostgreSQL, which several servers can share."),
    ("pool", "This server as one of several that share a PostgreSQL database; of no meaning with the embedded one."),
    ("xmpp", "The door for XMPP clients; closed as long as it listens nowhere."),
];

/// Every setting, in the order of the example file.
pub(super) fn settings() -> &'static [Setting] {
    const fn s(section: &'static str, key: &'static str, text: &'static str) -> Setting {
        Setting { section, key, text }
    }
    const ALL: &[Setting] = &[
        s("server", "name", "The server's name, shown to people."),
        s(
            "server",
            "data",
            "The directory that holds everything: messages, files, accounts. Made when it is not there. With PostgreSQL it holds only a lock and the socket for commands; each server has its own.",
        ),
        s(
            "server",
            "http",
            "Where the web client and the API are served: ADDRESS:PORT. Put a proxy with TLS before it to leave this machine.",
        ),
        s(
            "server",
            "public_url",
            "The address under which browsers reach the server, such as \"https://chat.example.org\"; with https, cookies go over TLS alone. Empty: whatever address a browser used, without TLS. In a pool, clients of the other servers are sent to it.",
        ),
        s(
            "server",
            "trusted_proxies",
            "Addresses of proxies in front of the server, such as [\"127.0.0.1\"]. Only from them is X-Forwarded-For believed.",
        ),
        s("http", "connections", "Connections at once; more wait until one ends."),
        s("http", "connections_per_address", "Connections at once from one address; more are closed at once."),
        s("http", "head_seconds", "Seconds in which a request's head must have come."),
        s("http", "head_bytes", "Bytes of a request's head."),
        s("http", "header_fields", "Header fields of a request."),
        s("http", "body_bytes", "Bytes of a JSON body."),
        s("http", "import_body_bytes", "Bytes of a JSON body that brings imported messages."),
        s("http", "body_seconds", "Seconds in which a JSON body must have come."),
        s(
            "http",
            "answer_seconds",
            "Seconds in which a request must be answered; files and streams have no limit of this kind.",
        ),
        s("http", "upload_pause_seconds", "Seconds for which a file being uploaded may pause."),
        s("http", "requests_per_second", "Requests of one user a second, averaged over ten."),
        s("http", "live_frame_bytes", "Bytes of a frame from a live connection."),
        s("http", "live_frames_per_second", "Frames from a live connection a second, averaged over ten."),
        s("http", "live_rooms", "Rooms that a live connection joins in one frame."),
        s(
            "http",
            "live_ping_seconds",
            "Seconds between pings to a live connection; one that is silent for three of these is closed.",
        ),
        s("http", "drain_seconds", "Seconds that a stopping server gives its connections to end; 0 to 600."),
        s(
            "http",
            "cookie_domain",
            "The domain for which cookies are set, such as \"example.org\", where a browser reaches the servers of a pool under several names below it. Empty: the name that the browser used.",
        ),
        s("log", "format", "\"text\" for people, \"json\" for programs: one object a line."),
        s(
            "log",
            "level",
            "The least that is logged: error, warn, info, debug, trace; or by part: \"info,holdfast_http=debug\".",
        ),
        s("limits", "message_chars", "Characters of a message."),
        s("limits", "story_title_chars", "Characters of a story's title."),
        s("limits", "story_chars", "Characters of a story's body."),
        s("limits", "file_bytes", "Bytes of one uploaded file."),
        s("limits", "files_per_message", "Files of one message; 0 forbids files."),
        s("limits", "unsent_bytes", "Bytes of one person's files that no message has yet; at least limits.file_bytes."),
        s(
            "limits",
            "unsaid_days",
            "Days for which a file that was uploaded over XMPP is kept while no message that the server can read says its address.",
        ),
        s("limits", "history_default", "Entries that a room shows when somebody enters it."),
        s("limits", "history_max", "Entries of one page of history at most."),
        s("limits", "roster", "People in a room above whose number coming and going is no longer told."),
        s("limits", "edit_window_seconds", "Seconds for which an author may edit or retract a message; 0 forbids it."),
        s("limits", "search_page", "Hits of one page of a search."),
        s(
            "accounts",
            "chat_by_default",
            "Whether people may use chat when neither they nor a group of theirs has a setting of its own.",
        ),
        s("accounts", "sign_in_days", "Days after which a sign-in ends by itself."),
        s("accounts", "lock_after", "Wrong passwords in a row after which an account is locked."),
        s("accounts", "lock_minutes", "Minutes for which it is locked."),
        s("accounts", "attempts_per_minute", "Attempts to sign in a minute from one address."),
        s("accounts", "password_iterations", "Rounds of PBKDF2-HMAC-SHA-256 for new passwords; at least 4096."),
        s(
            "database",
            "url",
            "A PostgreSQL database: \"postgres://user:password@host:5432/database\", or with several hosts, of which the one is used that takes writes and is no old primary: \"postgres://user@host1:5432,host2:5432/database\". Empty: an embedded database in server.data. The password is never shown.",
        ),
        s(
            "database",
            "password_file",
            "A file with the password on its first line, over one in the url. Read at the start.",
        ),
        s(
            "database",
            "tls_identity",
            "The directory of this server's identity, made by `holdfast pki issue --kind server`: connections to PostgreSQL are then TLS, and each side proves who it is. Empty: they are not encrypted.",
        ),
        s("database", "connections", "Connections of this server to PostgreSQL; 4 to 200."),
        s(
            "database",
            "wait_seconds",
            "Seconds for which a message waits when PostgreSQL is away, before its sender is told so; 1 to 300.",
        ),
        s(
            "database",
            "search_language",
            "How PostgreSQL reduces words for the search: \"simple\" (not at all), \"english\", \"german\" or another of its languages. All servers of a pool have the same; it is changed while none runs, and the index is made anew.",
        ),
        s(
            "database",
            "client_ids_days",
            "Days for which a client may safely send the same post again: its ids are remembered that long.",
        ),
        s(
            "pool",
            "server",
            "This server's name in the pool, unique there: 1 to 63 of a-z, 0-9, `.` and `-`. Empty: the machine's host name.",
        ),
        s(
            "pool",
            "drain_minutes",
            "Minutes for which those who are connected may stay when the server is taken off the list of active ones; 0 to 1440.",
        ),
        s(
            "pool",
            "most_round_trip_ms",
            "Milliseconds that PostgreSQL may take to answer; a server that is farther away becomes no active one, unless `holdfast pool active ... --far` insists.",
        ),
        s(
            "xmpp",
            "listen",
            "Where XMPP clients connect by TCP, with STARTTLS: ADDRESS:PORT, usually port 5222. Empty: nowhere.",
        ),
        s(
            "xmpp",
            "listen_tls",
            "Where they connect by TLS from the first byte: ADDRESS:PORT, usually port 5223. Empty: nowhere.",
        ),
        s("xmpp", "domain", "What stands behind the @ of people's addresses, such as \"example.org\"."),
        s("xmpp", "rooms_domain", "What stands behind the @ of rooms' addresses. Empty: `rooms.` and the domain."),
        s(
            "xmpp",
            "uploads",
            "Whether files are uploaded over XMPP, and clients get addresses of those in rooms. Whoever knows such an address can fetch the file.",
        ),
        s("xmpp", "uploads_domain", "The address of the service of uploads. Empty: `upload.` and the domain."),
        s(
            "xmpp",
            "certificate",
            "The certificate for the domain with those that vouch for it, in one PEM file; taken anew when it changes. Empty: one of its own that nobody vouches for, for trying out.",
        ),
        s("xmpp", "key", "The certificate's key, in a PEM file."),
        s(
            "xmpp",
            "plaintext",
            "Whether clients may sign in without TLS, by PLAIN too. Only where xmpp.listen is an address of this machine alone.",
        ),
        s(
            "xmpp",
            "scram_sha1",
            "Whether old clients may sign in with SCRAM-SHA-1. Keys for it are then made and kept whenever a password is set or given in the clear, by the web or PLAIN; who has none yet cannot sign in with it.",
        ),
        s("xmpp", "websocket", "Whether browsers may speak XMPP over the HTTP door, at /xmpp-websocket."),
        s(
            "xmpp",
            "category",
            "The category of rooms that are made by entering them. Made at the start if there is none; its creators say who may make rooms.",
        ),
        s(
            "xmpp",
            "contact_abuse",
            "Whom clients tell of abuse (XEP-0157): URIs, such as [\"mailto:abuse@example.org\", \"xmpp:ana@example.org\"].",
        ),
        s("xmpp", "contact_admin", "How clients reach the administrators: URIs."),
        s("xmpp", "contact_security", "Whom they tell of faults that endanger security: URIs."),
        s("xmpp", "contact_support", "Who helps them: URIs."),
        s(
            "xmpp",
            "status_addresses",
            "Where clients that cannot sign in learn of an outage (XEP-0455), such as [\"https://status.example.org/xmpp.json\"]. Empty: at /xmpp-status.json of this server's server.public_url and of the other servers of its pool.",
        ),
        s("xmpp", "connections", "Connections at once; more are closed at once."),
        s("xmpp", "connections_per_address", "Connections at once from one address; more are closed at once."),
        s("xmpp", "sign_in_seconds", "Seconds in which somebody who connected must have signed in."),
        s("xmpp", "stanza_bytes", "Bytes of one stanza; of somebody who has not signed in, 10240."),
        s("xmpp", "stanzas_per_second", "Stanzas of one connection a second, averaged over ten; more wait."),
        s(
            "xmpp",
            "resume_seconds",
            "Seconds for which a connection that broke may be resumed with nothing lost (XEP-0198); 0: not at all.",
        ),
        s(
            "xmpp",
            "silence_seconds",
            "Seconds of silence after which a client is asked whether it is still there; after as many again it is gone.",
        ),
    ];
    ALL
}

/// The example file: every section and setting with its default.
pub(crate) fn example() -> String {
    let defaults = toml::Table::try_from(Config::default()).unwrap_or_default();
    let mut out = EXAMPLE_HEADER.to_owned();
    for (section, text) in SECTIONS {
        let _ = write!(out, "\n# {text}\n[{section}]\n");
        for setting in settings().iter().filter(|s| s.section == section) {
            if let Some(value) = defaults.get(section).and_then(|s| s.get(setting.key)) {
                let _ = write!(out, "# {}\n{} = {value}\n", setting.text, setting.key);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_setting_is_described_once_and_nothing_else_is() {
        let described: Vec<(String, String)> =
            settings().iter().map(|s| (s.section.to_owned(), s.key.to_owned())).collect();
        let defaults = toml::Table::try_from(Config::default()).unwrap();
        let there: BTreeSet<(String, String)> = defaults
            .iter()
            .flat_map(|(section, keys)| {
                keys.as_table().into_iter().flat_map(move |t| t.keys().map(move |k| (section.clone(), k.clone())))
            })
            .collect();
        assert_eq!(described.iter().cloned().collect::<BTreeSet<_>>(), there);
        assert_eq!(described.len(), there.len());
    }

    #[test]
    fn the_example_means_the_defaults() {
        assert_eq!(toml::from_str::<Config>(&example()).unwrap(), Config::default());
    }

    #[test]
    fn the_example_file_is_up_to_date() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../holdfast.example.toml");
        let there = std::fs::read_to_string(path).unwrap_or_default();
        assert!(there == example(), "holdfast.example.toml is out of date; run: make example");
    }
}
