//! A request as it came in, and what is read of every one.

use keyward_policy::{Policy, Span};

use crate::{client_info::ClientInfo, cors, denial::Denial, trace::TRACEPARENT};

/// A request as the platform has it. Each part that is read crosses into the platform, so only what is needed is.
#[allow(async_fn_in_trait, reason = "nothing here is sent to another thread")]
pub trait RequestParts {
    /// The method, as sent.
    fn method(&self) -> &str;
    /// The whole URL.
    fn url(&self) -> &str;
    /// A header by its lower-case name. What was sent more than once is joined with a comma.
    fn header(&self, name: &str) -> Option<String>;
    /// The version of TLS that it came over, as the platform names it: `TLSv1.3`.
    fn tls_version(&self) -> Option<String>;
    /// The country that it comes from, in two letters, as far as the platform knows.
    fn country(&self) -> Option<String>;
    /// The platform's location that it came to, as far as the platform knows.
    fn colo(&self) -> Option<String>;
    /// Whether it has a body, which may be empty.
    fn has_body(&self) -> bool;
    /// Whether there is anything in a body of which no length is said. What has not come within this time counts as
    /// something.
    async fn has_content(&self, within: Span) -> bool;
    /// Shows the body, piece by piece, if it comes within this time. `is_known` says whether what its network sent lately
    /// was found to be right ([`Sender`](crate::in_flight::Sender)).
    ///
    /// # Errors
    /// [`Denial::BodyTooLarge`] if it has more bytes than this, [`Denial::Overloaded`] if there is no room for it,
    /// [`Denial::LateBody`] if it takes longer, [`Denial::BrokenBody`] if it breaks off.
    async fn body(
        &self,
        most: usize,
        within: Span,
        is_known: bool,
        see: impl FnMut(&[u8]),
    ) -> Result<(), Denial>;
}

/// Who sends a request: what is read of each.
#[derive(Debug, Default)]
pub struct Client {
    /// The address, as the platform tells it; what a client says of itself is not read.
    pub address: Option<String>,
    /// The `Origin` header.
    pub origin: Option<String>,
    /// Whether there is an `Upgrade` header, read for GET only.
    upgrades: bool,
    /// `Access-Control-Request-Method`, read for OPTIONS only.
    requested_method: Option<String>,
}

impl Client {
    /// Reads it.
    pub fn of(request: &impl RequestParts) -> Self {
        let method = request.method();
        Self {
            address: request.header("cf-connecting-ip"),
            origin: request.header("origin"),
            upgrades: method == "GET" && request.header("upgrade").is_some(),
            requested_method: (method == "OPTIONS")
                .then(|| request.header("access-control-request-method"))
                .flatten(),
        }
    }

    /// What a check looks at.
    pub fn info<'a>(&'a self, method: &'a str) -> ClientInfo<'a> {
        ClientInfo {
            method,
            upgrades: self.upgrades,
            address: self.address.as_deref(),
            origin: self.origin.as_deref(),
            tenant: None,
            token: None,
        }
    }

    /// Whether this is a CORS preflight.
    pub fn is_preflight(&self, method: &str) -> bool {
        cors::is_preflight(method, self.origin.as_deref(), self.requested_method.as_deref())
    }
}

/// `Destination`, which only COPY and MOVE have (RFC 4918, section 10.3).
pub fn destination(request: &impl RequestParts) -> Option<String> {
    matches!(request.method(), "COPY" | "MOVE").then(|| request.header("destination")).flatten()
}

/// Most headers that are read of every request.
const MOST_USUAL: usize = 9;

/// The headers that are read of nearly every request with this policy, in lower case: a platform may read them at once. What
/// is not among them is asked for by its name.
pub fn usual_headers(policy: Option<&Policy>) -> Vec<&'static str> {
    let mut names = vec!["cf-connecting-ip", "origin", "upgrade", TRACEPARENT];
    for realm in policy.map_or(&[] as &[_], |policy| policy.realms) {
        let has_cookie = realm.link.is_some() || realm.issuers().any(|issuer| issuer.cookie.is_some());
        let cookie = has_cookie.then_some("cookie");
        let own = realm.credentials.iter().map(|source| source.header);
        for name in own.chain(realm.session_id_header).chain(cookie) {
            if names.len() < MOST_USUAL && !names.contains(&name) {
                names.push(name);
            }
        }
    }
    names
}
