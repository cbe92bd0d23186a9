//! Host names, host patterns and web origins as a policy writes them.

use super::{leak, reader::Item};
use crate::model::HostPattern;

/// What is wrong, as a phrase that follows the text itself, and how to mend it.
pub(super) type Wrong = (&'static str, &'static str);

/// Reads a host of a realm.
pub(super) fn host_pattern(text: &str) -> Result<HostPattern, Wrong> {
    const HINT: &str = "write a name (\"api.example.com\"), every name below one (\"*.example.com\"), a host for each tenant \
         (\"{tenant}.example.com\"), or \"*\" for all";
    if text.is_empty() {
        return Err(("is empty", HINT));
    }
    if text.contains("://") {
        return Err(("has a scheme", "write the name alone, like \"api.example.com\""));
    }
    if text.contains('/') {
        return Err(("has a path", "write the name alone; paths have their own field, `paths`"));
    }
    if text == "*" {
        return Ok(HostPattern::Any);
    }
    let below = text.strip_prefix("*.");
    let of_tenant = text.strip_prefix("{tenant}.");
    let name = below.or(of_tenant).unwrap_or(text);
    if name.contains('*') {
        return Err(("has a `*` that is not its first label", HINT));
    }
    if has_port(name) {
        return Err(("has a port", "write the name alone: a realm answers on every port"));
    }
    if !is_host(name) {
        return Err(("is not a host name", HINT));
    }
    let name = name.to_ascii_lowercase();
    Ok(match (below, of_tenant) {
        (Some(_), _) => HostPattern::Below(leak(&format!(".{name}"))),
        (None, Some(_)) => HostPattern::Tenant(leak(&format!(".{name}"))),
        (None, None) => HostPattern::Exact(leak(&name)),
    })
}

/// Reads scheme, host and port of an HTTP server (an origin of RFC 6454), in lower case.
pub(super) fn web_origin(text: &str) -> Result<String, Wrong> {
    const HINT: &str = "write scheme, host and perhaps port, like \"https://api.example.com\"";
    let lower = text.to_ascii_lowercase();
    let Some((scheme, authority)) = lower.split_once("://") else { return Err(("is not a URL", HINT)) };
    if !matches!(scheme, "http" | "https") {
        return Err(("has a scheme that is not http or https", HINT));
    }
    let authority = authority.strip_suffix('/').unwrap_or(authority);
    if authority.contains('@') {
        return Err(("has credentials in it", "take them out: a policy holds no secrets"));
    }
    if authority.contains(['?', '#']) {
        return Err(("has a query or fragment", HINT));
    }
    if authority.contains('/') {
        return Err(("has a path", HINT));
    }
    let (host, port) = split_port(authority);
    if !is_host(host) || !port.is_none_or(is_port) {
        return Err(("has no valid host and port", HINT));
    }
    if scheme == "http" && !is_local(host) {
        return Err(("is plain http to a host that is not this machine", "use https"));
    }
    let standard = if scheme == "https" { "443" } else { "80" };
    match port.filter(|port| *port != standard) {
        Some(port) => Ok(format!("{scheme}://{host}:{port}")),
        None => Ok(format!("{scheme}://{host}")),
    }
}

/// Reads a whole URL of a server that is asked for something; its secrets, if it has some, are not shown.
pub(super) fn https_url(item: &Item<'_>) -> Option<&'static str> {
    let text = item.text("\"https://id.example.com/.well-known/jwks.json\"")?;
    let path = text.find("://").and_then(|at| text.get(at + 3..)?.find('/').map(|slash| at + 3 + slash));
    let (origin, path) = text.split_at(path.unwrap_or(text.len()));
    let wrong = match web_origin(origin) {
        Err((wrong, hint)) => Some((wrong, hint)),
        Ok(_) if path.contains('#') || !path.bytes().all(|byte| byte.is_ascii_graphic()) => Some((
            "has characters that no URL has",
            "write it like \"https://id.example.com/.well-known/jwks.json\"",
        )),
        Ok(_) => None,
    };
    match wrong {
        Some((wrong, hint)) => {
            item.refuse(format!("{} {wrong}", item.name), hint);
            None
        }
        None => Some(leak(text)),
    }
}

fn has_port(text: &str) -> bool {
    split_port(text).1.is_some()
}

/// Host and port; an IPv6 address keeps its brackets.
fn split_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    }
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok_and(|port| port > 0)
}

/// A name (RFC 1123, section 2.1), an IPv4 address, or an IPv6 address in brackets.
fn is_host(text: &str) -> bool {
    if let Some(address) = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
        return address.parse::<std::net::Ipv6Addr>().is_ok();
    }
    let is_label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= 253 && text.split('.').all(is_label)
}

fn is_local(host: &str) -> bool {
    host == "localhost" || host == "127.0.0.1" || host == "[::1]" || host.ends_with(".localhost")
}
