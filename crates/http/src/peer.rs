//! From where a request came.

use crate::options::HttpOptions;
use axum::http::HeaderMap;
use std::fmt;
use std::net::IpAddr;

/// The other end of a connection, put beside every request of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Peer {
    /// Over the network.
    Net(IpAddr),
    /// Over a Unix socket of this machine.
    Local,
}

impl Peer {
    /// Who is behind it: a trusted proxy tells, everybody else is himself.
    pub(crate) fn behind(self, headers: &HeaderMap, proxies: &[IpAddr]) -> Peer {
        match self {
            Peer::Net(address) if proxies.contains(&address) => forwarded_for(headers, proxies).map_or(self, Peer::Net),
            _ => self,
        }
    }
}

/// The address that a request of this door came from, as other doors behind it count them; `None` if it came from this machine itself.
pub fn address_of<B>(request: &axum::http::Request<B>, options: &HttpOptions) -> Option<IpAddr> {
    let peer = request.extensions().get::<Peer>()?;
    match peer.behind(request.headers(), &options.trusted_proxies) {
        Peer::Net(address) => Some(address),
        Peer::Local => None,
    }
}

/// Whether a browser reaches the server over TLS, and so may be told to use nothing else: by the server's settings, or because a
/// trusted proxy says so.
pub(crate) fn is_over_tls(peer: Peer, headers: &HeaderMap, options: &HttpOptions) -> bool {
    let by_proxy = matches!(peer, Peer::Net(address) if options.trusted_proxies.contains(&address));
    let said = || headers.get("x-forwarded-proto").is_some_and(|v| v.as_bytes().eq_ignore_ascii_case(b"https"));
    options.is_secure() || (by_proxy && said())
}

/// The last address of `X-Forwarded-For` that is no proxy of ours: those before it are as the client wished.
fn forwarded_for(headers: &HeaderMap, proxies: &[IpAddr]) -> Option<IpAddr> {
    let fields: Vec<&str> = headers.get_all("x-forwarded-for").iter().filter_map(|v| v.to_str().ok()).collect();
    fields
        .iter()
        .rev()
        .flat_map(|field| field.rsplit(','))
        .map_while(|text| text.trim().parse::<IpAddr>().ok())
        .find(|address| !proxies.contains(address))
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // An IPv4 address that came in over an IPv6 socket is still the same address.
            Peer::Net(address) => address.to_canonical().fmt(f),
            Peer::Local => f.write_str("local"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn only_a_trusted_proxy_is_believed_and_only_its_own_word() {
        let proxy: IpAddr = [10, 0, 0, 1].into();
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-for", HeaderValue::from_static("6.6.6.6, 192.0.2.7, 10.0.0.1"));
        assert_eq!(Peer::Net(proxy).behind(&headers, &[proxy]).to_string(), "192.0.2.7");
        let stranger = Peer::Net([203, 0, 113, 9].into());
        assert_eq!(stranger.behind(&headers, &[proxy]), stranger);
    }
}
