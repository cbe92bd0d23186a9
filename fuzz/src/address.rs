//! Addresses, ranges of them, hosts and web origins.
//!
//! Input: lines with a range or address, an origin, and a host.

use std::net::{IpAddr, Ipv6Addr};

use keyward_core::network;
use keyward_policy::{HostPattern, origin};
use keyward_registry::addresses;
use serde_json::Value;
use url::Url;

use crate::support::{lines, policy, text};

pub fn run(data: &[u8]) {
    let text = text(data);
    let ([range, web, host], _) = lines(&text);
    self::range(range);
    self::network(range);
    web_origin(web);
    self::host(host);
}

/// RFC 4632, read by the standard library alone.
fn range(text: &str) {
    let read = addresses::range(&Value::from(text));
    let (address, length) = text.split_once('/').unwrap_or((text, ""));
    let plain = address.parse::<IpAddr>().ok().and_then(|address| {
        let most = if address.is_ipv4() { 32 } else { 128 };
        let whole = !text.contains('/');
        let digits = !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit());
        let length = if whole {
            Some(most)
        } else {
            length.parse::<u8>().ok().filter(|length| digits && *length <= most)
        };
        length.map(|length| (address, length))
    });
    let Ok(read) = read else {
        let message = read.expect_err("it is refused").remove(0).1;
        assert!(message.len() < 600, "{} bytes", message.len());
        return;
    };
    let (address, length) = plain.unwrap_or_else(|| panic!("{text:?} is read as {read}"));
    let first = (to_v6(address), 128 - if address.is_ipv4() { 32 - length } else { 128 - length });
    let kept = (to_v6(read.addr()), 128 - (read.max_prefix_len() - read.prefix_len()));
    assert_eq!(kept, first, "{text:?} is read as {read}");
    let hosts = u128::MAX.checked_shr(first.1.into()).unwrap_or_default();
    assert_eq!(first.0.to_bits() & hosts, 0, "{text:?} names an address and a range");
    assert!(read.contains(&read.addr()));
    assert_eq!(addresses::range(&Value::from(read.to_string())), Ok(read));
}

/// An address as IPv6 maps it (RFC 4291, 2.5.5.2).
fn to_v6(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        IpAddr::V6(v6) => v6,
    }
}

/// Whoever has one address of a /64 is one caller with all of them.
fn network(text: &str) {
    let Ok(address) = text.parse::<IpAddr>() else { return assert_eq!(network::of(text), text) };
    let IpAddr::V6(v6) = address.to_canonical() else {
        assert_eq!(network::site_of(text), None);
        return assert_eq!(network::of(text), address.to_canonical().to_string());
    };
    let neighbour = Ipv6Addr::from_bits(v6.to_bits() ^ 1).to_string();
    let stranger = Ipv6Addr::from_bits(v6.to_bits() ^ (1 << 64)).to_string();
    assert_eq!(network::of(text), network::of(&neighbour));
    assert_ne!(network::of(text), network::of(&stranger));
    assert_eq!(network::site_of(text), network::site_of(&stranger));
}

/// What is kept is what a browser sends of it (URL standard, 4.7).
fn web_origin(text: &str) {
    let Ok(kept) = origin::normalise(text) else { return };
    assert_eq!(origin::normalise(&kept).as_ref(), Ok(&kept));
    // Of a name in Punycode it takes Unicode's tables to tell whether it is one; what is none no browser sends.
    if kept.contains("xn--") {
        return;
    }
    for written in [text, &kept] {
        let read = Url::parse(written).unwrap_or_else(|error| panic!("{written:?}: {error}"));
        // To the standard, the origin of an app's own scheme is opaque; apps send scheme and host.
        if !["http", "https"].contains(&read.scheme()) {
            let lower = written.to_ascii_lowercase();
            assert_eq!(lower.strip_suffix('/').unwrap_or(&lower), kept);
            continue;
        }
        assert_eq!(read.origin().ascii_serialization(), kept, "of {text:?}");
        assert!(read.username().is_empty() && read.password().is_none());
    }
    let is_plain = kept.starts_with("http:");
    let is_here = ["//localhost", "//127.", "//[::1]"].iter().any(|here| kept.contains(here))
        || kept.contains(".localhost");
    assert!(!is_plain || is_here, "{kept} can be read on the way");
}

fn host(host: &str) {
    let mut patterns = policy().realms.iter().flat_map(|realm| realm.hosts);
    for pattern in patterns.by_ref() {
        let (upper, dotted) = (host.to_ascii_uppercase(), format!("{host}."));
        assert_eq!(pattern.matches(host), pattern.matches(&upper));
        if !host.ends_with('.') {
            assert_eq!(pattern.matches(host), pattern.matches(&dotted));
        }
        let HostPattern::Tenant(end) = pattern else { continue };
        let Some(code) = pattern.tenant(host) else { continue };
        assert!(!code.is_empty() && !code.contains('.') && host.starts_with(code));
        assert!(host[code.len()..].trim_end_matches('.').eq_ignore_ascii_case(end));
    }
}
