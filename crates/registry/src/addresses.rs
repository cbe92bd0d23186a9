//! Addresses and origins that a key is bound to.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::{IpNet, Ipv4Net};
use keyward_policy::origin;
use serde_json::Value;

use crate::input::{self, FieldErrors, invalid};

/// Bits of an IPv6 address before the IPv4 address that it maps (RFC 4291, 2.5.5.2).
const MAPPED: u8 = 96;

/// A range in CIDR notation (RFC 4632), or one address. A range of v4-mapped addresses is the IPv4 range, which is how
/// the gate sees a caller's address. An address with a prefix is refused unless the prefix leaves nothing of it out:
/// who writes `203.0.113.7/0` means one address, and would let everybody in.
///
/// # Errors
/// What is wrong with it.
pub fn range(value: &Value) -> Result<IpNet, FieldErrors> {
    let text = input::text(value)?;
    let shown = input::shown(&text);
    let Some(range) = written(&text) else {
        return invalid(format!(
            "'{shown}' is neither an address nor a range such as 203.0.113.0/24 or 2001:db8::/32"
        ));
    };
    let whole = range.trunc();
    if range != whole {
        let all = if range.prefix_len() == 0 { " (every address)" } else { "" };
        let address = range.addr();
        return invalid(format!(
            "'{shown}' names an address and a range: write {address} for the one, {whole}{all} for the other"
        ));
    }
    Ok(canonical(range))
}

/// Address and length as the standard library reads them, which takes no number that begins with 0: to some, 010 is 8.
fn written(text: &str) -> Option<IpNet> {
    let Some((address, length)) = text.split_once('/') else {
        return text.parse::<IpAddr>().ok().map(IpNet::from);
    };
    let length = Some(length).filter(|length| length.bytes().all(|byte| byte.is_ascii_digit()))?;
    IpNet::new(address.parse().ok()?, length.parse().ok()?).ok()
}

fn canonical(range: IpNet) -> IpNet {
    let IpNet::V6(v6) = range else { return range };
    let mapped = v6.addr().to_ipv4_mapped().zip(v6.prefix_len().checked_sub(MAPPED));
    mapped
        .and_then(|(address, length): (Ipv4Addr, u8)| Ipv4Net::new(address, length).ok())
        .map_or(range, IpNet::V4)
}

/// An origin, in the form in which browsers send it: by the same rule as the policy's lists.
///
/// # Errors
/// What is wrong with it.
pub fn origin(value: &Value) -> Result<String, FieldErrors> {
    origin::normalise(&input::text(value)?).or_else(|bad| invalid(bad.to_string()))
}
