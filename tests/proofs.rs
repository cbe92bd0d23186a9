//! Tokens, webhooks, links and sessions on their way through the gate.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod support;

use keyward::{
    admission::Admission,
    denial::Denial,
    forwarding,
    hint::{Slip, Stray},
    identity,
    jwt::Error,
    key,
    link::Session,
    pipeline::{Caller, Refused},
    policy::{
        CredentialSource, HostPattern, Jwt, KeyRequirement, Link, POLICY, Proof, Realm, Requirement, Route,
        SourceKind, Webhook,
    },
    record::{Mode, TenantStatus},
    route::Target,
    time::{MINUTE, SECOND},
    wire::Redeemed,
};
use serde_json::{Value, json};
use support::{
    NOON, Seeded,
    jose::{self, Key},
    record,
    world::{CALLER, Fault, Request, World},
};

const LINK: Link =
    Link { parameter: "token", prefix: "st_", life_s: 900, cookie: "__Host-shop", session_life_s: 3_600 };
const STRIPE: Webhook = Webhook::stripe("STRIPE_SECRET");

/// Takes keys, tokens and links; the header of tokens is forwarded.
fn realm(jwt: Jwt) -> Realm {
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
        url_parameters: &["api_key"],
        ..POLICY.realms[0]
    }
}

fn by(by: &'static [Proof], scopes: &'static [&'static str]) -> Route {
    let requires = Requirement::Key(KeyRequirement { by, scopes, ..KeyRequirement::ANY_KEY });
    Route { requires, ..POLICY.realms[0].routes[0] }
}

struct Call<'a> {
    realm: Realm,
    route: Route,
    method: &'a str,
    url: &'a str,
    origin: Option<&'a str>,
    fields: Vec<(&'a str, &'a str)>,
    body: &'a [u8],
}

impl Call<'_> {
    fn of(realm: Realm, route: Route) -> Self {
        Self {
            realm,
            route,
            method: "GET",
            url: "https://shop.example/checkout?a=1",
            origin: None,
            fields: Vec::new(),
            body: b"",
        }
    }

    fn send(&self, world: &World) -> Result<Admission, Denial> {
        let caller = Caller { method: self.method, origin: self.origin, ..CALLER };
        let request = Request { fields: &self.fields, body: self.body, ..Request::default() };
        let admitted = world.admit(&self.realm, &self.route, Target::of(self.url), caller, &request);
        admitted.map_err(|Refused { denial, .. }| denial)
    }

    /// What the origin is told.
    fn told(&self, world: &World) -> Result<Vec<(&'static str, String)>, Denial> {
        match self.send(world)? {
            Admission::Pass(accepted) => Ok(identity::headers(&accepted.permit, "req-1")),
            Admission::Redirect(_) => panic!("a link was followed"),
        }
    }
}

fn reason(denial: Denial) -> String {
    let Denial::InvalidToken(error) = denial else { panic!("{denial:?}") };
    error.to_string()
}

/// A world whose issuers can be asked.
fn world() -> World {
    let world = World::new();
    let set = json!({ "keys": Key::PUBLIC.map(Key::jwk) }).to_string();
    world.web.borrow_mut().insert("https://id.example.com/jwks.json".into(), set);
    world.named_secrets.borrow_mut().insert("ISSUER_SECRET", jose::SECRET);
    world.named_secrets.borrow_mut().insert("STRIPE_SECRET", "whsec_test");
    world
}

fn bearer(key: Key, claims: &Value) -> String {
    format!("Bearer {}", key.token(claims))
}

#[test]
fn a_token_of_each_algorithm_passes_and_the_origin_learns_what_it_says() {
    let world = world();
    for (key, jwt) in Key::ALL.map(|key| (key, if key == Key::Shared { jose::SHARED } else { jose::PUBLIC }))
    {
        let world = if key == Key::Shared { support_world() } else { &world };
        let token = bearer(key, &jose::claims(NOON));
        let call = Call {
            fields: vec![("authorization", &token)],
            ..Call::of(realm(jwt), by(&[Proof::Key, Proof::Jwt], &["orders:read"]))
        };
        let told = call.told(world).unwrap();
        for (name, value) in [
            ("Keyward-Subject", "user-17"),
            ("Keyward-Tenant", "tenant-1"),
            ("Keyward-Scopes", "orders:read orders:write"),
        ] {
            assert!(told.contains(&(name, value.into())), "{key:?} {name}: {told:?}");
        }
    }
}

/// Another isolate: what verifies a realm's tokens does not change while one lives.
fn support_world() -> &'static World {
    Box::leak(Box::new(world()))
}

#[test]
fn a_token_that_its_issuer_did_not_make_so_is_refused_with_the_reason_for_the_log() {
    let world = world();
    let send = |value: &str| {
        let call = Call {
            fields: vec![("authorization", value)],
            ..Call::of(realm(jose::PUBLIC), by(&[Proof::Jwt], &[]))
        };
        reason(call.told(&world).unwrap_err())
    };
    let good = Key::Ec.token(&jose::claims(NOON));
    let none =
        format!("{}.{}.", jose::encode(r#"{"alg":"none"}"#), jose::encode(jose::claims(NOON).to_string()));
    for (token, expected) in [
        (good[..good.len() - 2].to_owned(), "signature"),
        (none, "algorithm"),
        (Key::Shared.token(&jose::claims(NOON)), "algorithm"),
        (Key::Ec.token(&jose::with("exp", json!(1))), "expired"),
        (Key::Ec.token(&jose::with("iss", json!("https://evil.example"))), "issuer"),
        (Key::Ec.token(&jose::with("aud", json!("other"))), "audience"),
        ("not a token".into(), "malformed"),
        ("a".repeat(100_000), "bytes"),
    ] {
        let told = send(&format!("Bearer {token}"));
        assert!(told.contains(expected), "{told}");
    }
}

#[test]
fn a_credential_of_a_kind_that_the_route_does_not_take_is_none() {
    let world = world();
    let token = bearer(Key::Ec, &jose::claims(NOON));
    let keys_only = Call {
        fields: vec![("authorization", &token)],
        ..Call::of(realm(jose::PUBLIC), by(&[Proof::Key], &[]))
    };
    let none =
        |by: &'static [Proof], shown| Denial::MissingCredential { by, stray: Some(Stray::Kind(shown)) };
    assert_eq!(keys_only.told(&world).unwrap_err(), none(&[Proof::Key], Proof::Jwt));
    let tokens_only = Call {
        fields: vec![("x-api-key", "kw_live_x")],
        ..Call::of(realm(jose::PUBLIC), by(&[Proof::Jwt], &[]))
    };
    assert_eq!(tokens_only.told(&world).unwrap_err(), none(&[Proof::Jwt], Proof::Key));
    assert_eq!(world.asked(), Vec::<String>::new());
}

#[test]
fn each_kind_of_credential_counts_in_its_own_header_only_and_two_are_refused() {
    let world = world();
    let token = Key::Ec.token(&jose::claims(NOON));
    let send = |fields: Vec<(&str, &str)>| {
        let route = by(&[Proof::Key, Proof::Jwt], &[]);
        Call { fields, ..Call::of(realm(jose::PUBLIC), route) }.told(&world).unwrap_err()
    };
    assert_eq!(send(vec![("x-api-key", &token)]), Denial::MalformedKey { slip: Some(Slip::Token) });
    let key = world.new_key(1);
    let bearer = format!("Bearer {}", key.expose());
    assert_eq!(send(vec![("authorization", &bearer)]), Denial::KeyAsToken);
    assert_eq!(
        send(vec![("authorization", &bearer), ("x-api-key", key.expose())]),
        Denial::RepeatedCredential
    );
}

#[test]
fn a_token_needs_the_scopes_of_the_route_and_the_tenant_of_the_host() {
    let world = world();
    let token = bearer(Key::Ec, &jose::claims(NOON));
    let call = |realm, scopes| Call {
        fields: vec![("authorization", &token)],
        ..Call::of(realm, by(&[Proof::Jwt], scopes))
    };
    let missing = call(realm(jose::PUBLIC), &["admin:read"]).told(&world).unwrap_err();
    assert_eq!(missing, Denial::InsufficientScope { of: Proof::Jwt, required: &["admin:read"] });
    let on_host = |host: &str| {
        let realm = Realm { hosts: &[HostPattern::Tenant(".example")], ..realm(jose::PUBLIC) };
        let url = format!("https://{host}.example/api");
        Call { url: &url, ..call(realm, &[]) }.told(&world)
    };
    assert!(on_host("tenant-1").is_ok());
    assert!(reason(on_host("tenant-2").unwrap_err()).contains("another tenant"));
}

#[test]
fn the_issuers_keys_are_fetched_once_and_again_for_a_new_one() {
    let world = world();
    let token = bearer(Key::Ec, &jose::claims(NOON));
    let send = |world: &World, token: &str| {
        let route = by(&[Proof::Jwt], &[]);
        Call { fields: vec![("authorization", token)], ..Call::of(realm(jose::PUBLIC), route) }
            .told(world)
            .map(|_| ())
    };
    let url = "https://id.example.com/jwks.json";
    let only = |key: Key| json!({ "keys": [key.jwk()] }).to_string();
    world.web.borrow_mut().insert(url.into(), only(Key::Ec));
    assert_eq!((send(&world, &token), send(&world, &token)), (Ok(()), Ok(())));
    assert_eq!(world.asked(), [format!("GET {url}")]);
    // The issuer rotates: what is signed with the new key passes once the floor of refetching is over.
    world.web.borrow_mut().insert(url.into(), only(Key::Rsa));
    let rotated = bearer(Key::Rsa, &jose::claims(NOON));
    assert!(reason(send(&world, &rotated).unwrap_err()).contains("key id"));
    world.pass_time(2 * MINUTE);
    assert_eq!(send(&world, &rotated), Ok(()));
}

#[test]
fn an_issuer_that_cannot_be_asked_is_a_503_and_never_a_401_nor_a_pass() {
    let world = World::new();
    let token = bearer(Key::Ec, &jose::claims(NOON));
    let call = Call {
        fields: vec![("authorization", &token)],
        ..Call::of(realm(jose::PUBLIC), by(&[Proof::Jwt], &[]))
    };
    let unavailable = |reason: &str, retry_after_ms| {
        Err(Denial::IssuerUnavailable { reason: reason.to_owned(), retry_after_ms })
    };
    assert_eq!(call.told(&world), unavailable("answered 500", 10_000));
    world.pass_time(4_000);
    assert_eq!(call.told(&world), unavailable("answered 500", 6_000));
    assert_eq!(world.noted.take(), ["https://id.example.com/jwks.json: answered 500"]);
    world.pass_time(6_000);
    world.web.borrow_mut().insert("https://id.example.com/jwks.json".into(), r#"{"keys":[]}"#.into());
    assert_eq!(call.told(&world), unavailable("the JWK Set has no keys", 10_000));
    assert_eq!(world.noted.take(), ["https://id.example.com/jwks.json: the JWK Set has no keys"]);

    let token = bearer(Key::Shared, &jose::claims(NOON));
    let shared = Call { realm: realm(jose::SHARED), fields: vec![("authorization", &token)], ..call };
    assert_eq!(shared.told(&world).unwrap_err(), Denial::NotConfigured { what: "ISSUER_SECRET" });
    for (secret, why) in [("AAAA", "at least 32 bytes"), ("not base64!", "not written in the form")] {
        world.named_secrets.borrow_mut().insert("ISSUER_SECRET", secret);
        let Err(Denial::UnfitSecret { secret, reason }) = shared.told(&world) else { panic!() };
        assert!(secret == "ISSUER_SECRET" && reason.contains(why), "{reason}");
    }
}

#[test]
fn what_is_wrong_with_an_issuers_keys_stands_in_the_log_also_while_older_ones_serve() {
    let world = world();
    let token = bearer(Key::Ec, &jose::claims(NOON));
    let call = Call {
        fields: vec![("authorization", &token)],
        ..Call::of(realm(jose::PUBLIC), by(&[Proof::Jwt], &[]))
    };
    assert!(call.told(&world).is_ok());
    world.web.borrow_mut().clear();
    world.pass_time(10 * MINUTE);
    assert!(call.told(&world).is_ok());
    assert_eq!(world.noted.take(), ["https://id.example.com/jwks.json: answered 500"]);
}

#[test]
fn an_issuer_that_changes_its_key_and_not_its_id_works_on() {
    const URL: &str = "https://id.example.com/jwks.json";
    let set_with = |kid: Option<&str>, key: Key| {
        let mut jwk = key.jwk();
        jwk["kid"] = json!(kid);
        json!({ "keys": [jwk] }).to_string()
    };
    for kid in [None, Some("the-key")] {
        let world = world();
        let token = |key: Key| {
            let mut header = json!({ "alg": key.algorithm() });
            if let Some(kid) = kid {
                header["kid"] = json!(kid);
            }
            format!("Bearer {}", key.sign(&header, &jose::claims(NOON)))
        };
        let send = |text: &str| {
            let call = Call {
                fields: vec![("authorization", text)],
                ..Call::of(realm(jose::PUBLIC), by(&[Proof::Jwt], &[]))
            };
            call.told(&world).map(|_| ())
        };
        world.web.borrow_mut().insert(URL.into(), set_with(kid, Key::Ec));
        assert_eq!(send(&token(Key::Ec)), Ok(()));
        world.web.borrow_mut().insert(URL.into(), set_with(kid, Key::Ed));
        assert_eq!(send(&token(Key::Ed)), Err(Denial::InvalidToken(Error::WrongAlgorithm)), "{kid:?}");
        world.pass_time(MINUTE);
        assert_eq!(send(&token(Key::Ed)), Ok(()), "{kid:?}");
        assert_eq!(send(&token(Key::Ec)), Err(Denial::InvalidToken(Error::WrongAlgorithm)), "{kid:?}");

        // What is forged stays so, whether the issuer answers or not, and asks it seldom.
        world.asked();
        let (forged, _) =
            token(Key::Ed).rsplit_once('.').map(|(text, _)| (format!("{text}.AAAA"), ())).unwrap();
        for _ in 0..120 {
            assert_eq!(send(&forged), Err(Denial::InvalidToken(Error::BadSignature)), "{kid:?}");
            world.pass_time(SECOND);
        }
        let fetches = world.asked().iter().filter(|asked| asked.starts_with("GET")).count();
        assert!((1..=2).contains(&fetches), "{fetches}");
        world.web.borrow_mut().clear();
        world.pass_time(MINUTE);
        assert_eq!(send(&forged), Err(Denial::InvalidToken(Error::BadSignature)), "{kid:?}");
        assert_eq!(send(&token(Key::Ed)), Ok(()), "{kid:?}");
    }
}

#[test]
fn nothing_is_a_wildcard_among_a_tokens_scopes_and_the_origin_is_told_of_none() {
    let world = world();
    let send = |scope: Value, needs: &'static [&'static str]| {
        let token = bearer(Key::Ec, &jose::with("scope", scope));
        let call = Call {
            fields: vec![("authorization", &token)],
            ..Call::of(realm(jose::PUBLIC), by(&[Proof::Jwt], needs))
        };
        let told = call.told(&world)?;
        Ok(told.into_iter().find(|(name, _)| *name == "Keyward-Scopes").unwrap().1)
    };
    for scope in [json!("*"), json!("openid *"), json!("orders:*"), json!(["orders:*", "*"]), json!("orders")]
    {
        let refused = Err(Denial::InsufficientScope { of: Proof::Jwt, required: &["orders:read"] });
        assert_eq!(send(scope.clone(), &["orders:read"]), refused, "{scope}");
    }
    assert_eq!(
        send(json!("orders:write"), &["orders:read"]),
        Ok("orders:write".to_owned()),
        "it includes it"
    );
    assert_eq!(send(json!("openid * orders:* a:b:* e*"), &[]), Ok("openid e*".to_owned()));
}

#[test]
fn a_network_that_keeps_sending_wrong_tokens_is_slowed() {
    let world = world();
    world.limited_addresses.borrow_mut().insert("192.0.2.1".into());
    let call_of = || Call::of(realm(jose::PUBLIC), by(&[Proof::Jwt], &[]));
    let call = Call { fields: vec![("authorization", "Bearer x.y.z")], ..call_of() };
    reason(call.told(&world).unwrap_err());
    assert_eq!(call.told(&world).unwrap_err(), Denial::TooManyFailures { retry_after_ms: 10_000 });
    world.pass_time(9_999);
    assert_eq!(call.told(&world).unwrap_err(), Denial::TooManyFailures { retry_after_ms: 1 });
    world.pass_time(1);
    reason(call.told(&world).unwrap_err());
    let honest = bearer(Key::Ec, &jose::claims(support::NOON));
    let neighbour = Call { fields: vec![("authorization", &honest)], ..call_of() };
    assert!(neighbour.told(&world).is_ok(), "whoever has a token passes, whatever is sent beside it");
    world.pass_time(10 * SECOND);
    // What the issuer signed is no guess.
    for (name, value) in [
        ("exp", json!(1)),
        ("nbf", json!(1e12)),
        ("aud", json!("other")),
        ("iss", json!("other")),
        ("sub", Value::Null),
        ("sub", json!(7)),
    ] {
        let token = bearer(Key::Ec, &jose::with(name, value));
        let honest = Call { fields: vec![("authorization", token.as_str())], ..call_of() };
        reason(honest.told(&world).unwrap_err());
        reason(honest.told(&world).unwrap_err());
    }
}

#[test]
fn the_origin_gets_a_tokens_header_only_where_the_policy_says_so_and_it_was_found_right() {
    let world = world();
    let removed = |call: &Call<'_>| {
        let Admission::Pass(accepted) = call.send(&world).unwrap() else { panic!() };
        let header = |name: &str| {
            call.fields.iter().find(|(field, _)| *field == name).map(|(_, value)| (*value).to_owned())
        };
        forwarding::removed(&[call.realm], &call.realm, &accepted.permit, Some(&world.secrets), header)
    };
    let token = bearer(Key::Ec, &jose::claims(NOON));
    let fields = vec![("authorization", token.as_str())];
    let call = Call { fields: fields.clone(), ..Call::of(realm(jose::PUBLIC), by(&[Proof::Jwt], &[])) };
    assert!(!removed(&call).contains(&"authorization"));
    let public = Route { requires: Requirement::Public, ..call.route };
    let unverified = Call { route: public, fields, ..Call::of(realm(jose::PUBLIC), public) };
    assert!(removed(&unverified).contains(&"authorization"));
}

#[test]
fn a_webhook_passes_with_its_senders_signature_and_nothing_else() {
    let world = world();
    let seconds = NOON.0 / SECOND;
    let body: &[u8] = br#"{"id":"evt_1"}"#;
    let sign = |secret: &str| {
        key::hex(&jose::mac(secret.as_bytes(), &[format!("{seconds}.").as_bytes(), body].concat()))
    };
    let signature = format!("t={seconds},v1={}", sign("whsec_test"));
    let route = Route { requires: Requirement::Webhook(&STRIPE), ..POLICY.realms[0].routes[0] };
    let call = |fields, body| Call { method: "POST", fields, body, ..Call::of(realm(jose::PUBLIC), route) };
    let right = vec![("stripe-signature", signature.as_str())];
    assert_eq!(call(right.clone(), body).told(&world).unwrap(), [("Keyward-Request-Id", "req-1".to_owned())]);

    let invalid = |call: Call<'_>| matches!(call.told(&world), Err(Denial::InvalidSignature { .. }));
    let forged = format!("t={seconds},v1={}", sign("whsec_other"));
    assert!(invalid(call(right.clone(), br#"{"id":"evt_2"}"#)));
    assert!(invalid(call(vec![("stripe-signature", &forged)], body)));
    assert!(invalid(call(vec![("x-api-key", "kw_live_x")], body)), "a key is no signature");
    let large = vec![b'x'; 5 * 1024 * 1024];
    assert_eq!(call(right.clone(), &large).told(&world).unwrap_err(), Denial::BodyTooLarge);
    world.named_secrets.borrow_mut().clear();
    assert_eq!(
        call(right.clone(), body).told(&world).unwrap_err(),
        Denial::NotConfigured { what: "STRIPE_SECRET" }
    );
    world.named_secrets.borrow_mut().insert("STRIPE_SECRET", "");
    let unfit = call(right, body).told(&world).unwrap_err();
    assert!(matches!(unfit, Denial::UnfitSecret { secret: "STRIPE_SECRET", .. }), "{unfit:?}");
}

fn session() -> Session {
    Session {
        realm: "default".into(),
        tenant: record().tenant,
        subject: Some("cart-7".into()),
        session_id: Some("chat-1".into()),
        expires_at: NOON.plus(MINUTE),
    }
}

/// A world in which the link of this token can be used once.
fn linked() -> (World, String) {
    let world = world();
    let format = LINK.token();
    let token = key::generate(&format, "", Mode::Live, &world.secrets, &mut Seeded::new(3));
    let hash = key::storage_hash(&format, &world.secrets, token.expose());
    world.links.borrow_mut().insert(hash, Redeemed::Granted(session()));
    (world, token.expose().to_owned())
}

fn shop<'a>() -> Call<'a> {
    Call::of(realm(jose::PUBLIC), by(&[Proof::Session], &[]))
}

#[test]
fn a_link_becomes_a_session_and_the_url_loses_its_token() {
    let (world, token) = linked();
    let url = format!("https://shop.example/checkout?a=1&token={token}");
    let Admission::Redirect(headers) = (Call { url: &url, ..shop() }).send(&world).unwrap() else { panic!() };
    let header = |name| headers.iter().find(|(own, _)| *own == name).unwrap().1.as_str();
    assert_eq!(header("Location"), "https://shop.example/checkout?a=1");
    let (cookie, attributes) = header("Set-Cookie").split_once("; ").unwrap();
    assert_eq!(attributes, "Path=/; Max-Age=3600; HttpOnly; Secure; SameSite=Lax");
    let told = (Call { fields: vec![("cookie", cookie)], ..shop() }).told(&world).unwrap();
    for (name, value) in
        [("Keyward-Subject", "cart-7"), ("Keyward-Tenant", "tenant-1"), ("Keyward-Session", "chat-1")]
    {
        assert!(told.contains(&(name, value.into())), "{name}: {told:?}");
    }
}

#[test]
fn a_link_is_exchanged_only_by_get_and_where_a_session_is_taken() {
    let (world, token) = linked();
    let url = format!("https://shop.example/checkout?token={token}");
    for method in ["HEAD", "POST"] {
        assert_eq!(
            (Call { url: &url, method, ..shop() }).send(&world).unwrap_err(),
            Denial::KeyInUrl,
            "{method}"
        );
    }
    let elsewhere = Call { route: by(&[Proof::Key], &[]), url: &url, ..shop() };
    assert_eq!(elsewhere.send(&world).unwrap_err(), Denial::KeyInUrl);
    let own = "https://shop.example/orders?token=abc&token=def";
    let public = Route { requires: Requirement::Public, ..by(&[], &[]) };
    let passed = (Call { route: public, url: own, ..shop() }).send(&world);
    assert!(matches!(passed, Ok(Admission::Pass(_))), "the origin has parameters of that name for itself");
    let twice = format!("{url}&token={token}");
    assert_eq!((Call { url: &twice, ..shop() }).send(&world).unwrap_err(), Denial::RepeatedCredential);
    assert_eq!(world.asked(), Vec::<String>::new());
    assert!(matches!((Call { url: &url, ..shop() }).send(&world), Ok(Admission::Redirect(_))));
}

#[test]
fn a_link_that_is_forged_used_or_over_is_told_apart() {
    let (world, token) = linked();
    let hash = key::storage_hash(&LINK.token(), &world.secrets, &token);
    let follow = |token: &str| {
        (Call { url: &format!("https://shop.example/checkout?token={token}"), ..shop() })
            .send(&world)
            .unwrap_err()
    };
    for forged in ["", "st_abc123", &token[..token.len() - 1], &token.replace("st_", "ST_")] {
        assert_eq!(follow(forged), Denial::InvalidLink, "{forged}");
    }
    assert_eq!(world.asked(), Vec::<String>::new(), "a forged one costs nothing");
    for (answer, denial) in [
        (Redeemed::Used, Denial::UsedLink),
        (Redeemed::Expired, Denial::ExpiredLink),
        (Redeemed::Unknown, Denial::InvalidLink),
    ] {
        world.links.borrow_mut().insert(hash.clone(), answer);
        assert_eq!(follow(&token), denial);
    }
    assert_eq!(follow(&token), Denial::StoreUnavailable { store: "Registry" });
    let mut inactive = session();
    inactive.tenant.status = TenantStatus::Inactive;
    world.links.borrow_mut().insert(hash, Redeemed::Granted(inactive));
    assert_eq!(follow(&token), Denial::InactiveTenant);
}

#[test]
fn a_session_is_none_after_its_end_in_another_realm_or_forged_and_two_are_refused() {
    let world = world();
    let sealed = |session: Session| format!("__Host-shop={}", session.seal(&world.secrets).expose());
    let send = |cookie: &str| (Call { fields: vec![("cookie", cookie)], ..shop() }).told(&world).map(|_| ());
    let good = sealed(session());
    assert_eq!(send(&good), Ok(()));
    for bad in [
        sealed(Session { expires_at: NOON, ..session() }),
        sealed(Session { realm: "other".into(), ..session() }),
        good.replace("kw_session_", "kw_session_A"),
    ] {
        assert_eq!(send(&bad), Err(Denial::InvalidSession), "{bad}");
    }
    assert_eq!(send(&format!("{good}; {good}")), Err(Denial::RepeatedCredential));
    assert_eq!(send("other=1"), Err(Denial::MissingCredential { by: &[Proof::Session], stray: None }));
}

#[test]
fn a_session_changes_something_only_from_its_own_site() {
    let world = world();
    let cookie = format!("__Host-shop={}", session().seal(&world.secrets).expose());
    let send = |method, origin, site: Option<&str>| {
        let mut fields = vec![("cookie", cookie.as_str())];
        fields.extend(site.map(|site| ("sec-fetch-site", site)));
        (Call { method, origin, fields, ..shop() }).told(&world).map(|_| ())
    };
    assert_eq!(send("GET", Some("https://evil.example"), Some("cross-site")), Ok(()));
    assert_eq!(send("POST", Some("https://shop.example"), None), Ok(()));
    assert_eq!(send("POST", None, Some("same-origin")), Ok(()));
    for (origin, site) in [
        (None, None),
        (Some("https://evil.example"), Some("cross-site")),
        (Some("null"), None),
        (None, Some("same-site")),
    ] {
        assert_eq!(send("POST", origin, site), Err(Denial::CrossSite), "{origin:?} {site:?}");
    }
}

#[test]
fn on_a_tenants_host_a_session_of_another_tenant_is_none() {
    let world = world();
    let mut own = session();
    own.tenant.code = Some("shop".into());
    let cookie = format!("__Host-shop={}", own.seal(&world.secrets).expose());
    let on = |suffix| {
        let realm = Realm { hosts: suffix, ..realm(jose::PUBLIC) };
        (Call { realm, fields: vec![("cookie", &cookie)], ..shop() }).told(&world).map(|_| ())
    };
    assert_eq!(on(&[HostPattern::Tenant(".example")]), Ok(()));
    own.tenant.code = Some("other".into());
    let cookie = format!("__Host-shop={}", own.seal(&world.secrets).expose());
    let realm = Realm { hosts: &[HostPattern::Tenant(".example")], ..realm(jose::PUBLIC) };
    let other = Call { realm, fields: vec![("cookie", &cookie)], ..shop() };
    assert_eq!(other.told(&world).unwrap_err(), Denial::InvalidSession);
}

#[test]
fn the_gates_own_cookies_never_reach_the_origin_and_caches_tell_sessions_apart() {
    let world = world();
    let cookie = format!("__Host-shop={}", session().seal(&world.secrets).expose());
    let call = Call { fields: vec![("cookie", &cookie)], ..shop() };
    let Admission::Pass(accepted) = call.send(&world).unwrap() else { panic!() };
    assert_eq!(forwarding::removed_cookies(&[call.realm]), ["__Host-shop", "__Host-keyward-session"]);
    assert_eq!(forwarding::vary(&call.realm, &accepted.permit), ["x-api-key", "authorization", "cookie"]);
}

/// What everything that is asked may do.
const FAULTS: [Fault; 6] = [
    Fault::Fails,
    Fault::Hangs,
    Fault::Slow(1_500),
    Fault::Slow(60_000),
    Fault::Says("<html>"),
    Fault::Says("{}"),
];
/// No verdict takes longer.
const DEADLINE: i64 = POLICY.realms[0].decision_timeout_ms as i64;

#[test]
fn whatever_the_registry_does_a_link_is_told_by_the_deadline_and_never_called_invalid() {
    for fault in FAULTS {
        let (world, token) = linked();
        world.registry_fault.set(Some(fault));
        let url = format!("https://shop.example/checkout?token={token}");
        let mut times = Vec::new();
        for _ in 0..5 {
            let came = world.clock.get();
            let sent = (Call { url: &url, ..shop() }).send(&world);
            times.push(world.clock.get().0 - came.0);
            if fault == Fault::Slow(1_500) {
                assert!(matches!(sent, Ok(Admission::Redirect(_))));
                break;
            }
            assert_eq!(sent.unwrap_err(), Denial::StoreUnavailable { store: "Registry" }, "{fault:?}");
        }
        assert!(times.iter().all(|took| *took <= DEADLINE), "{fault:?}: {times:?}");
        assert_eq!(times.get(3..).unwrap_or_default().iter().sum::<i64>(), 0, "{fault:?}: {times:?}");
    }
}

#[test]
fn whatever_the_issuer_does_a_token_is_told_by_the_deadline_and_older_keys_serve_on() {
    for fault in FAULTS {
        for is_known in [false, true] {
            let world = world();
            let token = bearer(Key::Ec, &jose::claims(NOON.plus(10 * MINUTE)));
            let call = || Call {
                fields: vec![("authorization", &token)],
                ..Call::of(realm(jose::PUBLIC), by(&[Proof::Jwt], &[]))
            };
            world.pass_time(10 * MINUTE);
            if is_known {
                assert!(call().told(&world).is_ok());
                world.pass_time(10 * MINUTE);
            }
            world.issuer_fault.set(Some(fault));
            for round in 0..3 {
                let came = world.clock.get();
                let told = call().told(&world);
                let took = world.clock.get().0 - came.0;
                assert!(took <= DEADLINE && (round == 0 || took == 0), "{fault:?}: {took} ms");
                if is_known || fault == Fault::Slow(1_500) {
                    assert!(told.is_ok(), "{fault:?}: {told:?}");
                } else {
                    assert!(matches!(told, Err(Denial::IssuerUnavailable { .. })), "{fault:?}: {told:?}");
                }
            }
        }
    }
}

#[test]
fn whatever_the_limiter_does_a_wrong_token_is_told_by_the_deadline() {
    for fault in FAULTS {
        let world = world();
        world.limiter_fault.set(Some(fault));
        let forged = format!("{}x", bearer(Key::Ec, &jose::claims(NOON)));
        let call = Call {
            fields: vec![("authorization", &forged)],
            ..Call::of(realm(jose::PUBLIC), by(&[Proof::Jwt], &[]))
        };
        for _ in 0..3 {
            let came = world.clock.get();
            assert!(matches!(call.told(&world), Err(Denial::InvalidToken(_))), "{fault:?}");
            assert!(world.clock.get().0 - came.0 <= 500, "{fault:?}");
        }
    }
}
