//! Which connections a realm takes.

use std::net::IpAddr;

use keyward_policy::{TlsVersion, Transport};

use crate::denial::Denial;

/// Checks the connection that a request came over. `tls` is its version, as the platform names it
/// (`TLSv1.3`); it is asked for where it matters only.
///
/// # Errors
/// [`Denial::InsecureTransport`]
pub fn check(
    transport: &Transport,
    scheme: &str,
    address: Option<&str>,
    tls: impl FnOnce() -> Option<String>,
) -> Result<(), Denial> {
    let Some(least) = transport.least_tls else { return Ok(()) };
    let is_local = || {
        address.and_then(|text| text.parse::<IpAddr>().ok()).is_some_and(|ip| ip.to_canonical().is_loopback())
    };
    let safe =
        scheme == "https" && tls().as_deref().and_then(version).is_some_and(|version| version >= least);
    if safe || (transport.local_http && is_local()) { Ok(()) } else { Err(Denial::InsecureTransport) }
}

/// Versions older than those of the policy are none of them.
fn version(name: &str) -> Option<TlsVersion> {
    match name {
        "TLSv1.2" => Some(TlsVersion::V1_2),
        "TLSv1.3" => Some(TlsVersion::V1_3),
        _ => None,
    }
}
