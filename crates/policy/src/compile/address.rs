//! Host patterns and URLs as a policy writes them.

use std::net::{Ipv4Addr, Ipv6Addr};

use thiserror::Error;

use super::reader::Item;
use crate::{
    leak::leak,
    model::HostPattern,
    origin::{self, BadOrigin, split_port},
};

/// Why a text is no host of a realm.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("the host {wrong}: {hint}")]
pub(super) struct BadHost {
    /// What is wrong, as a phrase that follows the text itself.
    pub(super) wrong: &'static str,
    /// How to mend it.
    pub(super) hint: &'static str,
}

fn bad<T>(wrong: &'static str, hint: &'static str) -> Result<T, BadHost> {
    Err(BadHost { wrong, hint })
}

const ADDRESS_HINT: &str = "write an IPv4 address as four numbers (\"192.0.2.1\"), and an IPv6 address in brackets (\"[2001:db8::1]\")";

/// A host in the form in which requests have it: that of the URL standard. `None` for an IPv4 address that is written
/// otherwise than as four numbers, which every client turns into those.
fn in_one_form(name: &str) -> Option<String> {
    let literal = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
    if let Some(address) = literal.and_then(|text| text.parse::<Ipv6Addr>().ok()) {
        return Some(format!("[{address}]"));
    }
    let last = name.rsplit('.').next().unwrap_or_default();
    let is_number = last.bytes().all(|byte| byte.is_ascii_digit())
        || last.strip_prefix("0x").is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
    (!is_number || name.parse::<Ipv4Addr>().is_ok()).then(|| name.to_owned())
}

/// Reads a host of a realm.
pub(super) fn host_pattern(text: &str) -> Result<HostPattern, BadHost> {
    const HINT: &str = "write a name (\"api.example.com\"), every name below one (\"*.example.com\"), a host for each tenant \
         (\"{tenant}.example.com\"), or \"*\" for all";
    if text.is_empty() {
        return bad("is empty", HINT);
    }
    if text.contains("://") {
        return bad("has a scheme", "write the name alone, like \"api.example.com\"");
    }
    if text.contains('/') {
        return bad("has a path", "write the name alone; paths have their own field, `paths`");
    }
    if text == "*" {
        return Ok(HostPattern::Any);
    }
    let below = text.strip_prefix("*.");
    let of_tenant = text.strip_prefix("{tenant}.");
    let name = below.or(of_tenant).unwrap_or(text);
    if name.contains('*') {
        return bad("has a `*` that is not its first label", HINT);
    }
    if has_port(name) {
        return bad("has a port", "write the name alone: a realm answers on every port");
    }
    if !is_host(name) {
        return bad("is not a host name", HINT);
    }
    let name = name.to_ascii_lowercase();
    let Some(name) = in_one_form(&name) else {
        return bad("is an address that no client writes so", ADDRESS_HINT);
    };
    Ok(match (below, of_tenant) {
        (Some(_), _) => HostPattern::Below(leak(&format!(".{name}"))),
        (None, Some(_)) => HostPattern::Tenant(leak(&format!(".{name}"))),
        (None, None) => HostPattern::Exact(leak(&name)),
    })
}

/// Reads a whole URL of a server that is asked for something; its secrets, if it has some, are not shown.
pub(super) fn https_url(item: &Item<'_>) -> Option<&'static str> {
    let text = item.text("\"https://id.example.com/.well-known/jwks.json\"")?;
    let path = text.find("://").and_then(|at| text.get(at + 3..)?.find('/').map(|slash| at + 3 + slash));
    let (server, path) = text.split_at(path.unwrap_or(text.len()));
    let wrong = match origin::normalise(server) {
        Err(BadOrigin { wrong, hint }) => Some((wrong, hint)),
        Ok(server) if !server.starts_with("http") => {
            Some(("is not an https URL", "servers are asked through https"))
        }
        Ok(_) if path.contains('#') || !path.bytes().all(|byte| byte.is_ascii_graphic()) => Some((
            "has characters that no URL has",
            "write it as the issuer publishes it, without spaces or a \"#\"",
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

/// A name (RFC 1123, section 2.1), an IPv4 address, or an IPv6 address in brackets.
fn is_host(text: &str) -> bool {
    if let Some(address) = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
        return address.parse::<Ipv6Addr>().is_ok();
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
