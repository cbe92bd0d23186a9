//! Web origins (RFC 6454) as people write them, in the one form in which browsers send them (the Fetch
//! standard's `Origin` header): scheme and host in lower case, the port unless it is the scheme's own. The
//! policy's lists and those of keys are compared with that header byte for byte, so all of them are read here.

use std::{
    fmt,
    net::{Ipv4Addr, Ipv6Addr},
};

use thiserror::Error;

/// Why a text is not an origin. Neither part repeats the text, which may hold a password.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("{wrong}: {hint}")]
pub struct BadOrigin {
    /// What is wrong, as a phrase that follows the text: `has a path`.
    pub wrong: &'static str,
    /// How to mend it.
    pub hint: &'static str,
}

/// Scheme, host and port, in the form in which they are compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebOrigin {
    https: bool,
    host: String,
    /// `None` for the scheme's own.
    port: Option<u16>,
}

impl fmt::Display for WebOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", if self.https { "https" } else { "http" }, self.host)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

/// The form of an origin that is compared. Plain http is refused, but for this machine; of other schemes, those pass that an
/// app or an extension has of its own (`capacitor://localhost`).
///
/// # Errors
/// What is wrong with it.
pub fn normalise(text: &str) -> Result<String, BadOrigin> {
    if let Some(origin) = of_app(text) {
        return origin;
    }
    let origin = WebOrigin::parse(text).map_err(|bad| if bad == OTHER_SCHEME { NO_PAGES } else { bad })?;
    if origin.is_plain_to_elsewhere() {
        let wrong = "is plain http to a host that is not this machine";
        return Err(BadOrigin { wrong, hint: "use https" });
    }
    Ok(origin.to_string())
}

/// The form of `https://*.example.com`, which stands for every host below that one, at any depth; `None` for what has no `*` there.
///
/// # Errors
/// What is wrong with the rest.
pub fn normalise_below(text: &str) -> Option<Result<String, BadOrigin>> {
    const BELOW: &str = "https://*.";
    let domain =
        text.get(..BELOW.len()).filter(|it| it.eq_ignore_ascii_case(BELOW)).and(text.get(BELOW.len()..))?;
    Some(WebOrigin::parse(&format!("https://{domain}")).and_then(|below| {
        let is_address = below.host.starts_with('[') || below.host.parse::<Ipv4Addr>().is_ok();
        if is_address || !below.host.contains('.') {
            let wrong = "stands for the hosts of everybody";
            return Err(BadOrigin {
                wrong,
                hint: "write the domain that is yours, like \"https://*.example.com\"",
            });
        }
        Ok(below.to_string().replacen("https://", BELOW, 1))
    }))
}

/// Whether an origin, as a browser sends it, is this one, or below it where it has a `*`.
pub fn is_within(listed: &str, origin: &str) -> bool {
    let Some((scheme, domain)) = listed.split_once('*') else { return listed == origin };
    let names = origin.strip_prefix(scheme).and_then(|rest| rest.strip_suffix(domain));
    names.is_some_and(|names| names.split('.').all(is_label))
}

/// Schemes other than http and https by which apps and extensions know their pages. The rest either has no origin that a
/// browser would send (`file`, `data`), or is none of a page (`ws`).
const OF_APPS: [&str; 9] = [
    "app",
    "capacitor",
    "capacitor-electron",
    "chrome-extension",
    "ionic",
    "moz-extension",
    "safari-web-extension",
    "tauri",
    "wails",
];

/// Why an address that is to be called is none.
const OTHER_SCHEME: BadOrigin = BadOrigin { wrong: "has a scheme that is not http or https", hint: HINT };
const HINT: &str = "write scheme, host and perhaps port, like \"https://api.example.com\"";
/// The same of what pages come from. Its hint names [`OF_APPS`].
const NO_PAGES: BadOrigin = BadOrigin {
    wrong: "has a scheme that no page comes from",
    hint: "use https, or one of apps and extensions: app, capacitor, capacitor-electron, chrome-extension, \
           ionic, moz-extension, safari-web-extension, tauri, wails",
};

/// The form of an app's origin: a scheme and a name. `None` for another scheme.
fn of_app(text: &str) -> Option<Result<String, BadOrigin>> {
    let lower = text.to_ascii_lowercase();
    let (scheme, host) = lower.split_once("://").filter(|(scheme, _)| OF_APPS.contains(scheme))?;
    let host = canonical_host(host.strip_suffix('/').unwrap_or(host)).filter(|host| !host.starts_with('['));
    let wrong = "has more than the scheme and the name of an app, or no name";
    Some(
        host.map(|host| format!("{scheme}://{host}"))
            .ok_or(BadOrigin { wrong, hint: "write it as the app sends it, like \"capacitor://localhost\"" }),
    )
}

impl WebOrigin {
    /// Reads scheme, host and perhaps port; a `/` may follow.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, BadOrigin> {
        let bad = |wrong| Err(BadOrigin { wrong, hint: HINT });
        let lower = text.to_ascii_lowercase();
        let Some((scheme, authority)) = lower.split_once("://") else { return bad("is not a URL") };
        let https = match scheme {
            "https" => true,
            "http" => false,
            _ => return Err(OTHER_SCHEME),
        };
        let authority = authority.strip_suffix('/').unwrap_or(authority);
        if authority.contains('@') {
            let hint = "take them out: they are secrets, and no part of an origin";
            return Err(BadOrigin { wrong: "has credentials in it", hint });
        }
        if authority.contains(['?', '#']) {
            return bad("has a query or fragment");
        }
        if authority.contains('/') {
            return bad("has a path");
        }
        if !authority.is_ascii() {
            let hint = "write its ASCII form, which begins with xn--, as browsers send it";
            return Err(BadOrigin { wrong: "has a host that is not ASCII", hint });
        }
        let (host, port) = split_port(authority);
        let port = port.map(|port| port_number(port).ok_or(())).transpose();
        let (Some(host), Ok(port)) = (canonical_host(host), port) else {
            return bad("has no valid host and port");
        };
        let standard = if https { 443 } else { 80 };
        Ok(Self { https, host, port: port.filter(|port| *port != standard) })
    }

    /// Whether the scheme is https.
    pub fn is_https(&self) -> bool {
        self.https
    }

    /// Whether what is sent there can be read and changed on the way: plain http, and not to this machine.
    pub fn is_plain_to_elsewhere(&self) -> bool {
        let loopback = self.host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback());
        let local = loopback || self.host == "localhost" || self.host == "[::1]";
        !self.https && !local && !self.host.ends_with(".localhost")
    }
}

/// Host and port of an authority; an IPv6 address keeps its brackets.
pub(crate) fn split_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    }
}

fn port_number(text: &str) -> Option<u16> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|port| digits && *port > 0)
}

fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
        && !label.starts_with('-')
        && !label.ends_with('-')
}

/// A host in lower case as the URL standard writes it: a name (`_` as in names of containers), an IPv4 address of
/// four numbers, an IPv6 address in brackets.
fn canonical_host(host: &str) -> Option<String> {
    if let Some(address) = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        let address: Ipv6Addr = address.parse().ok()?;
        let [.., high, low] = address.segments();
        return Some(match address.to_ipv4_mapped() {
            // Display writes these with dots, the URL standard does not.
            Some(_) => format!("[::ffff:{high:x}:{low:x}]"),
            None => format!("[{address}]"),
        });
    }
    let last = host.rsplit('.').next().unwrap_or_default();
    // What ends in a number is an IPv4 address to browsers, in forms of which they send one only.
    let is_number = last.starts_with("0x") || last.bytes().all(|byte| byte.is_ascii_digit());
    let fits = host.len() <= 253 && host.split('.').all(is_label);
    (fits && (!is_number || host.parse::<Ipv4Addr>().is_ok())).then(|| host.to_owned())
}
