//! What no type can say about a setting: its bounds.

use super::Config;

/// A setting that is out of its bounds.
pub(super) struct Wrong {
    /// Its section.
    pub(super) section: &'static str,
    /// Its name.
    pub(super) key: &'static str,
    /// `must be ...`.
    pub(super) expected: String,
}

/// Checks every bound; the first that does not hold is the error.
pub(super) fn all(config: &Config) -> Result<(), Wrong> {
    let Config { server, http, log, limits, accounts, database } = config;
    if server.name.trim().is_empty() || server.name.chars().count() > 100 || server.name.contains(char::is_control) {
        return wrong("server", "name", "must be 1 to 100 characters on one line");
    }
    if server.data.as_os_str().is_empty() {
        return wrong("server", "data", "must name a directory");
    }
    let url = server.public_url.as_str();
    if !url.is_empty() && holdfast_domain::text::web_address("public_url", url, 255).is_err() {
        return wrong("server", "public_url", "must be empty or an address such as https://chat.example.org");
    }
    for (key, value, least, most) in [
        ("connections", http.connections as u64, 1, 1_000_000),
        ("connections_per_address", http.connections_per_address as u64, 1, 1_000_000),
        ("head_seconds", http.head_seconds, 1, 600),
        ("head_bytes", http.head_bytes as u64, 8_192, 1 << 20),
        ("header_fields", http.header_fields as u64, 16, 1_000),
        ("body_bytes", http.body_bytes as u64, 1 << 16, 1 << 28),
        ("import_body_bytes", http.import_body_bytes as u64, 8 << 20, 1 << 30),
        ("body_seconds", http.body_seconds, 1, 3_600),
        ("answer_seconds", http.answer_seconds, 1, 3_600),
        ("upload_pause_seconds", http.upload_pause_seconds, 1, 3_600),
        ("requests_per_second", http.requests_per_second.into(), 1, 1_000_000),
        ("live_frame_bytes", http.live_frame_bytes as u64, 4_096, 1 << 24),
        ("live_frames_per_second", http.live_frames_per_second.into(), 1, 100_000),
        ("live_rooms", http.live_rooms as u64, 1, 100_000),
        ("live_ping_seconds", http.live_ping_seconds, 1, 600),
        ("drain_seconds", http.drain_seconds, 0, 600),
    ] {
        within("http", key, value, least, most)?;
    }
    if log.level.parse::<tracing_subscriber::EnvFilter>().is_err() || log.level.trim().is_empty() {
        return wrong(
            "log",
            "level",
            "must be error, warn, info, debug or trace, or by part such as \"info,holdfast_http=debug\"",
        );
    }
    for (key, value, least, most) in [
        ("message_chars", limits.message_chars as u64, 1, 100_000),
        ("story_title_chars", limits.story_title_chars as u64, 1, 1_000),
        ("story_chars", limits.story_chars as u64, 1, 1_000_000),
        ("file_bytes", limits.file_bytes, 1, 1 << 30),
        ("files_per_message", limits.files_per_message as u64, 0, 100),
        ("history_default", limits.history_default as u64, 1, limits.history_max as u64),
        ("history_max", limits.history_max as u64, 1, 5_000),
        ("roster", limits.roster as u64, 0, 100_000),
        ("edit_window_seconds", limits.edit_window_seconds, 0, 10 * 366 * 86_400),
        ("search_page", limits.search_page as u64, 1, 500),
    ] {
        within("limits", key, value, least, most)?;
    }
    for (key, value, least, most) in [
        ("sign_in_days", accounts.sign_in_days, 1, 3_660),
        ("lock_after", accounts.lock_after, 1, 1_000),
        ("lock_minutes", accounts.lock_minutes, 1, 10_080),
        ("attempts_per_minute", accounts.attempts_per_minute, 1, 100_000),
        // RFC 7677, section 4: at least 4096.
        ("password_iterations", accounts.password_iterations, 4_096, 10_000_000),
    ] {
        within("accounts", key, u64::from(value), least, most)?;
    }
    within("database", "client_ids_days", u64::from(database.client_ids_days), 1, 3_660)
}

fn within(section: &'static str, key: &'static str, value: u64, least: u64, most: u64) -> Result<(), Wrong> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    wrong(section, key, format!("must be between {least} and {most}; it is {value}"))
}

fn wrong(section: &'static str, key: &'static str, expected: impl Into<String>) -> Result<(), Wrong> {
    Err(Wrong { section, key, expected: expected.into() })
}
