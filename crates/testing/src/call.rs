//! One request to a realm that takes keys, tokens and links, as tests make it.

use std::sync::LazyLock;

use keyward_core::request_target::RequestTarget;
use keyward_gate::{
    admission::Admission, client_info::ClientInfo, denial::Denial, identity, pipeline::Refused,
};
use keyward_policy::{
    CredentialSource, Jwt, KeyRequirement, Proof, Realm, Requirement, Route, SourceKind, Span,
};
use serde_json::json;

use crate::{
    LINK,
    fake_platform::{CALLER, FakePlatform, Fault, Request},
    jose::{self, Key},
    policy::POLICY,
};

/// Takes keys, tokens and links; the header of tokens is forwarded.
pub fn realm(jwt: Jwt) -> Realm {
    Realm {
        jwt: Some(jwt),
        link: Some(LINK),
        credentials: &[
            CredentialSource { header: "x-api-key", scheme: None, kind: SourceKind::Key, forward: false },
            CredentialSource {
                header: "authorization",
                scheme: Some("Bearer"),
                kind: SourceKind::Jwt,
                forward: true,
            },
        ],
        forbidden_query_parameters: &["api_key"],
        ..POLICY.realms[0]
    }
}

pub fn by(by: &'static [Proof], scopes: &'static [&'static str]) -> Route {
    let requires = Requirement::Key(KeyRequirement { by, scopes, ..KeyRequirement::ANY_KEY });
    Route { requires, ..POLICY.realms[0].routes[0] }
}

pub struct Call<'a> {
    pub realm: Realm,
    pub route: Route,
    pub method: &'a str,
    pub url: &'a str,
    pub origin: Option<&'a str>,
    pub address: &'a str,
    pub fields: Vec<(&'a str, &'a str)>,
    pub body: &'a [u8],
}

impl Call<'_> {
    pub fn of(realm: Realm, route: Route) -> Self {
        Self {
            realm,
            route,
            method: "GET",
            url: "https://shop.example/checkout?a=1",
            origin: None,
            address: "192.0.2.1",
            fields: Vec::new(),
            body: b"",
        }
    }

    pub fn send(&self, platform: &FakePlatform) -> Result<Admission, Denial> {
        let Self { method, origin, address, .. } = *self;
        let caller = ClientInfo { method, origin, address: Some(address), ..CALLER };
        let request = Request { fields: &self.fields, body: self.body, ..Request::default() };
        let admitted =
            platform.authenticate(&self.realm, &self.route, RequestTarget::of(self.url), caller, &request);
        admitted.map_err(|Refused { denial, .. }| denial)
    }

    /// What the origin is told.
    pub fn told(&self, platform: &FakePlatform) -> Result<Vec<(&'static str, String)>, Denial> {
        match self.send(platform)? {
            Admission::Pass(accepted) => Ok(identity::headers(&self.realm, &accepted.permit, "req-1")),
            Admission::Redirect(_) => panic!("a link was followed"),
        }
    }
}

/// A platform whose issuers can be asked.
pub fn platform() -> FakePlatform {
    let platform = FakePlatform::new();
    let set = json!({ "keys": Key::PUBLIC.map(Key::jwk) }).to_string();
    platform.web.borrow_mut().insert("https://id.example.com/jwks.json".into(), set);
    platform.named_secrets.borrow_mut().insert("ISSUER_SECRET", jose::SECRET);
    platform.named_secrets.borrow_mut().insert("STRIPE_SECRET", "whsec_test");
    platform
}

/// What everything that is asked may do.
pub const FAULTS: [Fault; 6] = [
    Fault::Fails,
    Fault::Hangs,
    Fault::Slow(Span::from_ms(1_500)),
    Fault::Slow(Span::from_secs(60)),
    Fault::Says("<html>"),
    Fault::Says("{}"),
];
/// No verdict takes longer.
pub static DEADLINE: LazyLock<Span> = LazyLock::new(|| POLICY.realms[0].decision_timeout);
