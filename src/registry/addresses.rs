//! Addresses and origins that a key is bound to.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::{IpNet, Ipv4Net};
use serde_json::Value;

use crate::registry::input::{self, Wrong, wrong};

/// Bits of an IPv6 address before the IPv4 address that it maps (RFC 4291, 2.5.5.2).
const MAPPED: u8 = 96;

/// A range in CIDR notation (RFC 4632), or one address. Bits after the prefix are dropped, and a
/// range of v4-mapped addresses is the IPv4 range, which is how the gate sees a caller's address.
///
/// # Errors
/// What is wrong with it.
pub fn range(value: &Value) -> Result<IpNet, Wrong> {
    let text = input::text(value)?;
    let range = text.parse::<IpNet>().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
    let Some(range) = range else {
        let shown = input::shown(&text);
        return wrong(format!(
            "'{shown}' is neither an address nor a range such as 203.0.113.0/24 or 2001:db8::/32"
        ));
    };
    Ok(canonical(range).trunc())
}

fn canonical(range: IpNet) -> IpNet {
    let IpNet::V6(v6) = range else { return range };
    let mapped = v6.addr().to_ipv4_mapped().zip(v6.prefix_len().checked_sub(MAPPED));
    mapped
        .and_then(|(address, length): (Ipv4Addr, u8)| Ipv4Net::new(address, length).ok())
        .map_or(range, IpNet::V4)
}

/// An origin in the form in which browsers send it (Fetch standard, 3.2): scheme, host in lower
/// case, and the port unless it is the scheme's own.
///
/// # Errors
/// What is wrong with it.
pub fn origin(value: &Value) -> Result<String, Wrong> {
    let text = input::text(value)?;
    if is_origin(&text) {
        return Ok(text);
    }
    let shown = input::shown(&text);
    wrong(format!(
        "'{shown}' is not an origin as browsers send it: https:// and a host in lower case, \
         a port only if it is not the usual one, nothing after it"
    ))
}

fn is_origin(text: &str) -> bool {
    let (rest, usual) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
        (Some(rest), _) => (rest, "443"),
        (_, Some(rest)) => (rest, "80"),
        _ => return false,
    };
    let (host, port) = match rest.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (rest, None),
    };
    let named = |host: &str| {
        let label = |label: &str| {
            !label.is_empty()
                && label
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_'))
        };
        host.len() <= 253 && host.split('.').all(label)
    };
    let literal = |host: &str| {
        let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        inner.is_some_and(|inner| {
            inner.parse::<std::net::Ipv6Addr>().is_ok_and(|address| address.to_string() == inner)
        })
    };
    let unusual = |port: &str| {
        port != usual && port.parse::<u16>().is_ok_and(|number| number > 0 && number.to_string() == port)
    };
    (named(host) || literal(host)) && port.is_none_or(unusual)
}
