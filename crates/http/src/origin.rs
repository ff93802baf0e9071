//! Whether a browser was sent here by another site. A cookie goes with every request that a browser makes; so what changes
//! something by a cookie must come from our own pages: this server's, or those of another server of the same pool.

use axum::http::{HeaderMap, header};

/// Whether the request says that it comes from somebody else's page. `pool`: the addresses of the pool's servers.
pub(crate) fn is_foreign(headers: &HeaderMap, public_url: Option<&str>, pool: &[String]) -> bool {
    // Browsers that know this header do not let a page set it.
    let site = headers.get("sec-fetch-site").and_then(|v| v.to_str().ok());
    let Some(origin) = headers.get(header::ORIGIN) else { return matches!(site, Some("cross-site" | "same-site")) };
    let Ok(origin) = origin.to_str() else { return true };
    match site {
        // A pool's servers are below one domain, or the cookie would not reach them.
        Some("cross-site") => return true,
        _ if is_of_pool(origin, pool) => return false,
        Some("same-site") => return true,
        _ => {}
    }
    if public_url.is_some_and(|url| is_same(origin, url.trim_end_matches('/'))) {
        return false;
    }
    let host = headers.get(header::HOST).and_then(|v| v.to_str().ok());
    let authority = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
    match (authority, host) {
        (Some(authority), Some(host)) => !is_same(authority, host),
        _ => true,
    }
}

/// Whether a page's origin is that of one of the addresses.
pub(crate) fn is_of_pool(origin: &str, pool: &[String]) -> bool {
    pool.iter().filter_map(|address| of_address(address)).any(|one| is_same(origin, &one))
}

/// The origin of an address as browsers write it: scheme and host, and the port unless it is the scheme's own. `None` for what no
/// browser could reach.
pub(crate) fn of_address(address: &str) -> Option<String> {
    let (scheme, rest) = address.split_once("://")?;
    let scheme = scheme.to_ascii_lowercase();
    let usual = match scheme.as_str() {
        "https" => ":443",
        "http" => ":80",
        _ => return None,
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default().to_ascii_lowercase();
    let authority = authority.strip_suffix(usual).unwrap_or(&authority);
    // It becomes part of headers: nothing but what a host and a port are made of.
    let is_plain = authority.chars().all(|c| c.is_ascii_alphanumeric() || "-._:[]".contains(c));
    (is_plain && !authority.is_empty()).then(|| format!("{scheme}://{authority}"))
}

fn is_same(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn headers(origin: Option<&'static str>, site: Option<&'static str>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_static("chat.example.org:8443"));
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, HeaderValue::from_static(origin));
        }
        if let Some(site) = site {
            headers.insert("sec-fetch-site", HeaderValue::from_static(site));
        }
        headers
    }

    fn pool() -> Vec<String> {
        ["https://one.example.org/", "https://two.example.org:443", "http://127.0.0.1:8080"].map(str::to_owned).into()
    }

    #[test]
    fn own_pages_and_programs_are_not_foreign() {
        assert!(!is_foreign(&headers(None, None), None, &[]));
        assert!(!is_foreign(&headers(Some("https://chat.example.org:8443"), Some("same-origin")), None, &[]));
        assert!(!is_foreign(&headers(Some("https://chat.example.org"), None), Some("https://chat.example.org/"), &[]));
    }

    #[test]
    fn other_sites_and_sandboxes_are_foreign() {
        for origin in ["https://evil.example", "null", "https://chat.example.org:8443.evil.example", "file://"] {
            assert!(is_foreign(&headers(Some(origin), None), None, &pool()), "{origin}");
        }
        assert!(is_foreign(&headers(None, Some("cross-site")), None, &pool()));
        assert!(is_foreign(&headers(None, Some("same-site")), None, &pool()));
    }

    #[test]
    fn pages_of_the_pools_servers_are_not_foreign_and_their_neighbours_are() {
        for origin in ["https://one.example.org", "https://two.example.org", "http://127.0.0.1:8080"] {
            assert!(!is_foreign(&headers(Some(origin), Some("same-site")), None, &pool()), "{origin}");
            assert!(!is_foreign(&headers(Some(origin), None), None, &pool()), "{origin}");
            assert!(is_foreign(&headers(Some(origin), None), None, &[]), "{origin} without a pool");
        }
        let others =
            ["http://one.example.org", "https://three.example.org", "http://127.0.0.1:8081", "https://example.org"];
        for origin in others {
            assert!(is_foreign(&headers(Some(origin), Some("same-site")), None, &pool()), "{origin}");
        }
        assert!(is_foreign(&headers(Some("https://one.example.org"), Some("cross-site")), None, &pool()));
    }

    #[test]
    fn an_address_has_the_origin_that_browsers_give_it() {
        for (address, origin) in [
            ("https://Chat.Example.org/", Some("https://chat.example.org")),
            ("https://a.example:443/x?y", Some("https://a.example")),
            ("http://a.example:80", Some("http://a.example")),
            ("https://a.example:80", Some("https://a.example:80")),
            ("http://[::1]:8080", Some("http://[::1]:8080")),
            ("ftp://a.example", None),
            ("https://", None),
            ("https://a.example; script-src *", None),
            ("a.example", None),
        ] {
            assert_eq!(of_address(address).as_deref(), origin, "{address}");
        }
    }
}
