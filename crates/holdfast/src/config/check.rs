//! What no type can say about a setting: its bounds.

use super::Config;
use holdfast_xmpp::XmppOptions;
use std::net::SocketAddr;

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
    let Config { server, http, log, limits, accounts, database, pool, xmpp } = config;
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
    check_cookie_domain(http.cookie_domain.as_str(), url)?;
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
        ("unsent_bytes", limits.unsent_bytes, limits.file_bytes, 1 << 40),
        ("unsaid_days", u64::from(limits.unsaid_days), 1, 3_660),
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
        ("attempts_per_minute", accounts.attempts_per_minute, 1, 10_000_000),
        // RFC 7677, section 4: at least 4096.
        ("password_iterations", accounts.password_iterations, 4_096, 10_000_000),
    ] {
        within("accounts", key, u64::from(value), least, most)?;
    }
    if !database.url.is_empty()
        && let Err(why) = database.url.check()
    {
        return wrong("database", "url", why);
    }
    for (key, value, least, most) in [
        // Fewer would let a long read stand in the way of writing.
        ("connections", database.connections as u64, 4, 200),
        ("wait_seconds", database.wait_seconds.into(), 1, 300),
        ("client_ids_days", database.client_ids_days.into(), 1, 3_660),
    ] {
        within("database", key, value, least, most)?;
    }
    let language = database.search_language.as_str();
    if !(1..=63).contains(&language.len()) || !language.chars().all(|c| c.is_ascii_lowercase() || c == '_') {
        return wrong(
            "database",
            "search_language",
            "must be \"simple\" or a language of PostgreSQL's, such as \"english\"",
        );
    }
    if !pool.server.is_empty()
        && let Err(why) = server_name(&pool.server)
    {
        return wrong("pool", "server", why);
    }
    within("pool", "drain_minutes", pool.drain_minutes.into(), 0, 1_440)?;
    within("pool", "most_round_trip_ms", pool.most_round_trip_ms.into(), 1, 10_000)?;
    check_xmpp(xmpp)
}

fn check_xmpp(xmpp: &XmppOptions) -> Result<(), Wrong> {
    for (key, text) in [("listen", &xmpp.listen), ("listen_tls", &xmpp.listen_tls)] {
        if !text.is_empty() && text.parse::<SocketAddr>().is_err() {
            return wrong("xmpp", key, "must be empty or ADDRESS:PORT, such as \"0.0.0.0:5222\"");
        }
    }
    if holdfast_domain::name::Name::parse("category", &xmpp.category).is_err() {
        return wrong("xmpp", "category", "must be a category's name");
    }
    for (key, value, least, most) in [
        ("connections", xmpp.connections as u64, 1, 1_000_000),
        ("connections_per_address", xmpp.connections_per_address as u64, 1, 1_000_000),
        ("sign_in_seconds", xmpp.sign_in_seconds, 1, 600),
        // RFC 6120, section 13.12: at least 10,000.
        ("stanza_bytes", xmpp.stanza_bytes as u64, 10_000, 1 << 24),
        ("stanzas_per_second", xmpp.stanzas_per_second.into(), 1, 10_000_000),
        ("resume_seconds", xmpp.resume_seconds, 0, 86_400),
        ("silence_seconds", xmpp.silence_seconds, 1, 86_400),
    ] {
        within("xmpp", key, value, least, most)?;
    }
    Ok(())
}

/// Checks what settings mean together, once all of them are there.
pub(super) fn together(config: &Config) -> Result<(), Wrong> {
    let xmpp = &config.xmpp;
    if xmpp.domain.is_empty() && !(xmpp.listen.is_empty() && xmpp.listen_tls.is_empty()) {
        let why = "must say what stands behind the @ of people's addresses, since XMPP is listened for (--domain)";
        return wrong("xmpp", "domain", why);
    }
    let open = xmpp.listen.parse::<SocketAddr>().is_ok_and(|address| !address.ip().is_loopback());
    if xmpp.plaintext && open {
        let why = "must be false unless xmpp.listen is an address of this machine alone, such as 127.0.0.1:5222: passwords would be there to read";
        return wrong("xmpp", "plaintext", why);
    }
    if let Err(why) = xmpp.check() {
        return wrong("xmpp", "domain", format!("with xmpp.rooms_domain: {why}"));
    }
    if xmpp.certificate.is_empty() != xmpp.key.is_empty() {
        return wrong("xmpp", "key", "must be set if xmpp.certificate is, and only then");
    }
    Ok(())
}

/// Whether a server of a pool may be called so.
///
/// # Errors
/// What it must be.
pub(super) fn server_name(name: &str) -> Result<(), String> {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '-');
    if (1..=63).contains(&name.len()) && name.chars().all(is_plain) && !name.starts_with(['.', '-']) {
        Ok(())
    } else {
        Err("must be 1 to 63 of a-z, 0-9, `.` and `-`, beginning with a letter or digit".into())
    }
}

/// A domain of the server's own: browsers throw a cookie for another one away.
fn check_cookie_domain(domain: &str, public_url: &str) -> Result<(), Wrong> {
    if domain.is_empty() {
        return Ok(());
    }
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '-');
    let parts = domain.split('.').filter(|p| !p.is_empty() && !p.starts_with('-')).count();
    if domain.len() > 253 || !domain.chars().all(is_plain) || parts < 2 || parts != domain.split('.').count() {
        return wrong(
            "http",
            "cookie_domain",
            "must be empty or a domain in small letters, such as \"chat.example.org\"",
        );
    }
    let authority = public_url.split_once("://").map_or("", |(_, rest)| rest).split('/').next().unwrap_or_default();
    let host = authority.split(':').next().unwrap_or_default().to_ascii_lowercase();
    if !host.is_empty() && host != domain && !host.ends_with(&format!(".{domain}")) {
        return wrong(
            "http",
            "cookie_domain",
            format!("must be {host}, the host of server.public_url, or a domain above it"),
        );
    }
    Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_named_as_a_host_is() {
        for good in ["chat-1", "a", "0", "chat-1.example.org"] {
            assert!(server_name(good).is_ok(), "{good}");
        }
        for bad in ["", "Chat", "chat 1", "chat_1", "-x", ".x", &"x".repeat(64)] {
            assert!(server_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_cookies_domain_is_one_of_the_servers_own() {
        let url = "https://chat-1.example.org:8443/";
        for good in ["", "example.org", "chat-1.example.org"] {
            assert!(check_cookie_domain(good, url).is_ok(), "{good}");
        }
        assert!(check_cookie_domain("example.org", "").is_ok());
        for bad in ["org", ".example.org", "example.com", "t.example.org", "Example.org", "example..org", "a b.org"] {
            assert!(check_cookie_domain(bad, url).is_err(), "{bad}");
        }
    }
}
