//! Who counts as one caller where failures are counted: an IPv4 address by itself; of an IPv6 address
//! the first 64 bits, since whoever has one usually has all 2^64 that share them (RFC 6177). And whose many such callers
//! may be: of an IPv6 address the first 48 bits, which anybody can have for the asking.

use std::net::{IpAddr, Ipv6Addr};

/// What failures are counted under, to slow those who keep failing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subjects {
    /// The network that they come from.
    pub network: String,
    /// After many more, all of its site: whoever has one has some ten thousand networks.
    pub site: Option<String>,
}

impl Subjects {
    /// Those of failures from this address. `prefix` keeps kinds of failures apart.
    pub fn of(prefix: &str, address: &str) -> Self {
        let name = |text: String| format!("{prefix}{text}");
        Self { network: name(of(address)), site: site_of(address).map(name) }
    }

    /// Each of them.
    pub fn all(&self) -> impl Iterator<Item = &str> {
        [Some(self.network.as_str()), self.site.as_deref()].into_iter().flatten()
    }
}

/// The caller behind this address (`CF-Connecting-IP`). Text that is no address stands for itself.
pub fn of(address: &str) -> String {
    match address.parse().map(|address: IpAddr| address.to_canonical()) {
        Ok(IpAddr::V6(v6)) => format!("{}/64", Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64)),
        Ok(v4) => v4.to_string(),
        Err(_) => address.to_owned(),
    }
}

/// The site that this address is of: the first 48 bits, 65,536 callers as [`of`] counts them. IPv4 has none.
pub fn site_of(address: &str) -> Option<String> {
    match address.parse().map(|address: IpAddr| address.to_canonical()) {
        Ok(IpAddr::V6(v6)) => Some(format!("{}/48", Ipv6Addr::from_bits(v6.to_bits() >> 80 << 80))),
        _ => None,
    }
}
