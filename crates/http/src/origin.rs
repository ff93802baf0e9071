//! Whether a browser was sent here by another site. A cookie goes with every request that a browser makes; so what changes
//! something by a cookie must come from our own pages.

use axum::http::{HeaderMap, header};

/// Whether the request says that it comes from somebody else's page.
pub(crate) fn is_foreign(headers: &HeaderMap, public_url: Option<&str>) -> bool {
    // Browsers that know this header do not let a page set it.
    let site = headers.get("sec-fetch-site").and_then(|v| v.to_str().ok());
    if matches!(site, Some("cross-site" | "same-site")) {
        return true;
    }
    let Some(origin) = headers.get(header::ORIGIN) else { return false };
    let Ok(origin) = origin.to_str() else { return true };
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

    #[test]
    fn own_pages_and_programs_are_not_foreign() {
        assert!(!is_foreign(&headers(None, None), None));
        assert!(!is_foreign(&headers(Some("https://chat.example.org:8443"), Some("same-origin")), None));
        assert!(!is_foreign(&headers(Some("https://chat.example.org"), None), Some("https://chat.example.org/")));
    }

    #[test]
    fn other_sites_and_sandboxes_are_foreign() {
        for origin in ["https://evil.example", "null", "https://chat.example.org:8443.evil.example", "file://"] {
            assert!(is_foreign(&headers(Some(origin), None), None), "{origin}");
        }
        assert!(is_foreign(&headers(None, Some("cross-site")), None));
    }
}
