//! Who sends a request, as far as the connection and a few header fields say.

use crate::{gate::RequestContext, jwt::Claims};
use keyward_core::time::Timestamp;

/// What a check looks at beside the key and the time.
#[derive(Clone, Copy, Debug)]
pub struct ClientInfo<'a> {
    /// The request's method.
    pub method: &'a str,
    /// Whether it asks for another protocol (`Upgrade`): a WebSocket.
    pub upgrades: bool,
    /// `CF-Connecting-IP` as sent by the platform.
    pub address: Option<&'a str>,
    /// The `Origin` header.
    pub origin: Option<&'a str>,
    /// The code of the tenant whose host was asked, where hosts are tenants' own.
    pub tenant: Option<&'a str>,
    /// What the token beside the key says, once it is verified.
    pub token: Option<&'a Claims>,
}

impl<'a> ClientInfo<'a> {
    /// What a decision looks at, at this moment.
    pub fn at(self, now: Timestamp) -> RequestContext<'a> {
        let Self { method, upgrades, address, origin, tenant, token } = self;
        let address = address.and_then(|address| address.parse().ok());
        RequestContext { method, upgrades, address, origin, tenant, token, now }
    }
}
