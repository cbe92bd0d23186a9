//! What a request asks for: its URL, taken apart.

use std::net::Ipv6Addr;

/// The parts of a URL that a policy looks at, borrowed from the URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestTarget<'a> {
    /// `http` or `https`.
    pub scheme: &'a str,
    /// Host without the port.
    pub host: &'a str,
    /// Scheme, host and port.
    pub origin: &'a str,
    /// Path as sent.
    pub path: &'a str,
    /// Query as sent, without `?`.
    pub query: &'a str,
    /// Path and query as sent, with a `?` that nothing follows.
    pub path_and_query: &'a str,
    /// Whether `Host` was a host and perhaps a port (RFC 9110, section 7.2), without user information.
    pub has_valid_host: bool,
}

impl<'a> RequestTarget<'a> {
    /// Takes an absolute URL apart, as the platform gives it. A fragment never reaches a server.
    pub fn of(url: &'a str) -> Self {
        let url = url.split_once('#').map_or(url, |(url, _)| url);
        // Where the first colon is that of the scheme, as in every URL of the platform, nothing needs to be searched for.
        let first = url.split_once(':').and_then(|(scheme, rest)| Some((scheme, rest.strip_prefix("//")?)));
        let (scheme, rest) = first.or_else(|| url.split_once("://")).unwrap_or(("", url));
        let (authority, target) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let (origin, _) = url.split_at(url.len() - target.len());
        let path_and_query = if target.is_empty() { "/" } else { target };
        let (path, query) = path_and_query.split_once('?').unwrap_or((path_and_query, ""));
        let path = if path.is_empty() { "/" } else { path };
        let host = host(authority);
        let has_valid_host = is_valid(authority, host);
        Self { scheme, host, origin, path, query, path_and_query, has_valid_host }
    }

    /// Host and port as sent.
    pub fn authority(&self) -> &'a str {
        self.origin.split_once("://").map_or(self.origin, |(_, authority)| authority)
    }
}

/// Whether an authority is this host and perhaps a port.
fn is_valid(authority: &str, host: &str) -> bool {
    let port = authority.strip_prefix(host);
    let port = port.and_then(|rest| rest.strip_prefix(':').or(Some(rest).filter(|rest| rest.is_empty())));
    is_host(host) && port.is_some_and(|port| port.is_empty() || port.parse::<u16>().is_ok())
}

/// The host of an authority: without user information and port; an IPv6 address keeps its brackets.
fn host(authority: &str) -> &str {
    let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    }
}

/// Whether this is a host's name or address (RFC 3986, 3.2.2) as DNS can hold it.
fn is_host(host: &str) -> bool {
    let literal = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    match literal {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => {
            !host.is_empty()
                && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'))
        }
    }
}
