//! What an origin gets and what a client gets back, field by field.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::rc::Rc;
use std::sync::LazyLock;

use keyward_core::request_target::RequestTarget;
use keyward_gate::{
    client_info::ClientInfo,
    forwarding::{
        self,
        profile::{Caller, Profile},
    },
    gate::{self, Permit},
};
use keyward_policy::{
    Cors, CredentialSource, KeyRequirement, Realm, RequestId, Requirement, SourceKind, Span,
};
use keyward_testing::{NOON, Seeded, fake_platform::CALLER, policy::POLICY, record, secrets};

static REALM: LazyLock<Realm> = LazyLock::new(|| POLICY.realms[0]);

fn of_key() -> Permit {
    gate::decide(&REALM, &KeyRequirement::ANY_KEY, &Rc::new(record()), CALLER.at(NOON)).unwrap()
}

fn of_nobody() -> Permit {
    gate::pass_without_key(&Requirement::Public).unwrap()
}

fn key() -> String {
    let mode = keyward_core::record::Mode::Live;
    keyward_core::key::generate(&REALM.key, "", mode, &secrets(), &mut Seeded::new(1)).expose().to_owned()
}

/// Whether this header of a request goes on to the origin.
fn passes(realm: &Realm, permit: &Permit, name: &str, value: &str) -> bool {
    let header = |asked: &str| (asked == name).then(|| value.to_owned());
    let credentials = forwarding::credentials(&[*realm], realm, permit, Some(&secrets()), header);
    let is_removed = |listed: &str| match listed {
        words if words.starts_with('-') => format!("-{name}-").contains(words),
        prefix if prefix.ends_with('-') => name.starts_with(prefix),
        own => own == name,
    };
    !credentials.contains(&name) && !Profile::request_removed().any(is_removed)
}

#[test]
fn only_what_is_this_realms_credential_is_taken_off() {
    let key = key();
    let bearer = format!("Bearer {key}");
    for permit in [of_key(), of_nobody()] {
        for value in [
            "Basic dXNlcjpwYXNz",
            "Digest username=\"x\", realm=\"y\"",
            "AWS4-HMAC-SHA256 Credential=a/b, Signature=c",
            "Bearerx y",
            "",
        ] {
            assert!(passes(&REALM, &permit, "authorization", value), "{value}");
        }
        for value in [
            bearer.clone(),
            format!("bearer  {key}"),
            format!("BEARER\t{key}"),
            format!("Basic x, {bearer}"),
            format!("Token {key}"),
            key.clone(),
        ] {
            assert!(!passes(&REALM, &permit, "authorization", &value), "{value}");
        }
    }
    // A token of the origin's own, on a route where the gate asks for nothing.
    assert!(passes(&REALM, &of_nobody(), "authorization", "Bearer another-servers-token"));
    assert!(!passes(&REALM, &of_key(), "authorization", "Bearer another-servers-token"));
    assert!(!passes(&REALM, &of_nobody(), "authorization", "Bearer kw_live_half"));
}

#[test]
fn a_header_without_a_scheme_is_the_realms_only_with_its_key_in_it() {
    const SOURCE: CredentialSource =
        CredentialSource { header: "x-api-key", scheme: None, kind: SourceKind::Key, forward: false };
    let realm = Realm { credentials: &[SOURCE], ..*REALM };
    assert!(!passes(&realm, &of_nobody(), "x-api-key", &key()));
    assert!(!passes(&realm, &of_key(), "x-api-key", "anything"));
    assert!(passes(&realm, &of_nobody(), "x-api-key", "another-servers-key"));
    assert!(passes(&realm, &of_key(), "authorization", "Basic dXNlcjpwYXNz"));
}

#[test]
fn no_client_says_where_a_request_came_from_who_asks_or_what_is_asked_for() {
    for name in [
        "keyward-tenant",
        "keyward-anything",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-proto",
        "x-forwarded-port",
        "x-forwarded-prefix",
        "x-forwarded-ssl",
        "x-forwarded-anything",
        "forwarded",
        "x-real-ip",
        "true-client-ip",
        "x-client-ip",
        "x-cluster-client-ip",
        "x-original-host",
        "x-host",
        "x-http-method-override",
        "x-original-url",
        "x-rewrite-url",
        "front-end-https",
        "proxy",
        "remote-user",
        "remote-groups",
        "remote-email",
        "remote-name",
        "x-remote-extra-scopes",
        "x-authentik-username",
        "x-ms-client-principal",
        "x-ms-client-principal-id",
        "x-ms-token-aad-id-token",
        "x-goog-authenticated-user-email",
        "x-goog-iap-jwt-assertion",
        "x-amzn-oidc-data",
        "x-amzn-mtls-clientcert-subject",
        "x-consumer-username",
        "x-credential-identifier",
        "x-anonymous-consumer",
        "x-authenticated-scope",
        "cf-access-jwt-assertion",
        "cf-access-authenticated-user-email",
        "x-auth-request-email",
        "x-pomerium-claim-email",
        "x-forwarded-user",
        "x-forwarded-access-token",
        "x-forwarded-client-cert",
        "x-webauth-user",
        "x-envoy-original-path",
        "x-envoy-internal",
        "x-original-method",
        "x-original-uri",
        "x-rewrite-uri",
        "x-http-method",
        "method-override",
        "x-middleware-subrequest",
        "x-accel-mapping",
        "x-sendfile-type",
        "tailscale-user-login",
        "x-userinfo",
        "oidc-claim-sub",
        "shib-session-id",
        "fastly-client-ip",
        "x-forwarded-tls-client-cert-info",
        "x-vercel-forwarded-for",
        "x-azure-fdid",
        "forwarded-for-x",
        "proxy-authorization",
        "proxy-connection",
        "keep-alive",
        "te",
        "traceparent",
        "tracestate",
        "trailer",
    ] {
        assert!(!passes(&REALM, &of_key(), name, "x"), "{name}");
        assert!(!passes(&REALM, &of_nobody(), name, "x"), "{name}");
    }
    for name in [
        "accept",
        "accept-encoding",
        "cache-control",
        "content-type",
        "cookie",
        "if-none-match",
        "origin",
        "range",
        "referer",
        "user-agent",
        "x-custom",
        "x-request-id",
        "idempotency-key",
        "cf-connecting-ip",
        "x-forward",
        "x-amzn-trace-id",
        "x-auth-token",
        "x-ms-date",
        "x-amz-meta-original-name",
        "x-goog-meta-remote-path",
        "x-client-version",
        "x-user-agent",
    ] {
        assert!(passes(&REALM, &of_key(), name, "x"), "{name}");
    }
}

#[test]
fn the_origin_is_told_host_scheme_and_address_that_were_asked() {
    let field = |realm: &Realm, url: &str, address: Option<&str>, name: &str| {
        let caller = ClientInfo { address, ..CALLER };
        let added = forwarding::added(realm, &of_key(), RequestTarget::of(url), caller, "req-1");
        let found: Vec<_> = added.into_iter().filter(|(field, _)| *field == name).collect();
        assert!(found.len() < 2);
        found.into_iter().next().map(|(_, value)| value)
    };
    let url = "https://api.example.com:8443/api/orders";
    let told = |name| field(&REALM, url, Some("2001:db8::1"), name);
    assert_eq!(told("X-Forwarded-Host").as_deref(), Some("api.example.com:8443"));
    assert_eq!(told("X-Forwarded-Proto").as_deref(), Some("https"));
    assert_eq!(told("X-Forwarded-For").as_deref(), Some("2001:db8::1"));
    assert_eq!(told("Forwarded"), None, "only where it is asked for");
    assert_eq!(told("Keyward-Key-Id").as_deref(), Some("key_1"));
    assert_eq!(field(&REALM, url, None, "X-Forwarded-For"), None);
    assert_eq!(field(&REALM, url, Some("x, y"), "X-Forwarded-For"), None, "only an address");
    let realm = Realm { forwarded: true, ..*REALM };
    for (address, expected) in [
        (Some("192.0.2.1"), "for=192.0.2.1;host=\"api.example.com:8443\";proto=https"),
        (Some("2001:db8::1"), "for=\"[2001:db8::1]\";host=\"api.example.com:8443\";proto=https"),
        (None, "for=unknown;host=\"api.example.com:8443\";proto=https"),
    ] {
        assert_eq!(field(&realm, url, address, "Forwarded").as_deref(), Some(expected));
    }
}

#[test]
fn an_answers_cors_fields_are_the_policys_where_it_has_any_and_else_the_origins() {
    const LISTED: Cors = Cors {
        origins: &["https://app.example"],
        methods: &["GET"],
        headers: &["authorization"],
        max_age: Span::from_mins(10),
    };
    let fields = |cors, origin| {
        let realm = Realm { cors, ..*REALM };
        let profile = Profile::of(&realm, &of_nobody(), false);
        let fields = forwarding::answer(&realm, origin, &[], "req-1");
        (profile.answer_removed(), profile.answer_merged(), fields.set, fields.merged)
    };
    for origin in [None, Some("https://app.example"), Some("https://evil.example")] {
        let (removed, merged, set, _) = fields(Some(LISTED), origin);
        assert!(removed.contains(&"access-control-allow-") && removed.contains(&"access-control-max-age"));
        assert_eq!(merged, [("Vary", "Origin".to_owned())]);
        let allowed = set.contains(&("Access-Control-Allow-Origin", "https://app.example".to_owned()));
        assert_eq!(allowed, origin == Some("https://app.example"));
        let (removed, merged, set, of_origin) = fields(None, origin);
        assert!(!removed.iter().any(|name| name.starts_with("access-control-")), "{origin:?}");
        assert_eq!((merged, of_origin), (vec![], vec![]));
        assert_eq!(set, [("X-Request-Id", "req-1".to_owned())]);
    }
}

#[test]
fn whoever_names_a_request_names_it_in_the_answer_and_the_gate_has_a_header_of_its_own_beside_the_origins() {
    for (request_id, own, keeps_the_origins) in
        [(RequestId::Gate, "X-Request-Id", false), (RequestId::Origin, "Keyward-Request-Id", true)]
    {
        let realm = Realm { request_id, ..*REALM };
        let set = forwarding::answer(&realm, None, &[], "req-1").set;
        let ids: Vec<_> = set.into_iter().filter(|(name, _)| name.ends_with("Request-Id")).collect();
        assert_eq!(ids, [(own, "req-1".to_owned())]);
        let removed = Profile::of(&realm, &of_nobody(), false).answer_removed();
        assert_eq!(!removed.contains(&"x-request-id"), keeps_the_origins);
        assert!(removed.contains(&"keyward-request-id") || removed.contains(&"keyward-"), "{removed:?}");
    }
}

#[test]
fn a_profile_is_found_by_its_number_and_there_are_so_many_as_the_policy_has_of_them() {
    let realms = [*REALM, *REALM];
    let mut seen = 0;
    while let Some(profile) = Profile::numbered(&realms, seen) {
        assert_eq!(profile.number(&realms), Some(seen));
        seen += 1;
    }
    assert_eq!(seen, 12, "two realms, three kinds of callers, with limits or without");
    assert_eq!(Profile::of(&REALM, &of_key(), true).number(&realms), None, "of another policy");
    let profile = Profile::of(&realms[1], &of_key(), true);
    assert_eq!((profile.caller, profile.number(&realms)), (Caller::Known, Some(11)));
}

/// The names of a column of docs/origin.md, in lower case, by what it says of them: `removed` in each spelling or not.
fn documented(column: usize) -> Vec<(String, String)> {
    let docs = include_str!("../../../../docs/origin.md");
    let table =
        docs.split_once("| field | to the origin | to the client |\n| --- | --- | --- |\n").unwrap().1;
    let rows = table.split("\n\n").next().unwrap().lines().map(|row| row.split(" | ").collect::<Vec<_>>());
    rows.flat_map(|cells| {
        let says = cells[column].to_owned();
        let names: Vec<_> = cells[0].split('`').skip(1).step_by(2).map(str::to_lowercase).collect();
        names.into_iter().map(move |name| (name, says.clone()))
    })
    .collect()
}

#[test]
fn each_field_that_is_removed_stands_in_the_table() {
    let stands = |name: &str, column| {
        let is = |written: &str| written == name || written.trim_matches('*') == name;
        documented(column).iter().any(|(written, says)| is(written) && !says.starts_with("passes"))
            || documented(column).iter().any(|(written, says)| is(written) && says.contains("else removed"))
    };
    let windows = [keyward_limits::limit::WindowState {
        window: keyward_limits::limit::Window::Minute,
        limit: 1,
        remaining: 1,
        reset: Span::ZERO,
        of_tenant: false,
    }];
    for name in Profile::request_removed() {
        let name = name.trim_start_matches('~');
        assert!(stands(name, 1), "{name} is missing in the table of docs/origin.md, to the origin");
    }
    let profile = Profile::of(&REALM, &of_key(), true);
    let fields = forwarding::answer(&REALM, None, &windows, "req-1");
    let own = fields
        .set
        .iter()
        .chain(&profile.answer_merged())
        .map(|(name, _)| name.to_lowercase())
        .collect::<Vec<_>>();
    for name in profile.answer_removed().into_iter().map(str::to_owned).chain(own) {
        let prefix = name.starts_with("access-control-allow-").then_some("access-control-allow-");
        assert!(
            stands(prefix.unwrap_or(&name), 2),
            "{name} is missing in the table of docs/origin.md, to the client"
        );
    }
}

#[test]
fn a_header_in_which_credentials_of_several_schemes_may_stand_is_named_once() {
    const BEARER: CredentialSource = CredentialSource {
        header: "authorization",
        scheme: Some("Bearer"),
        kind: SourceKind::Key,
        forward: false,
    };
    const BASIC: CredentialSource = CredentialSource { scheme: Some("Basic"), ..BEARER };
    let realm = Realm { credentials: &[BEARER, BASIC], link: None, session_id_header: None, ..*REALM };
    assert_eq!(Profile::of(&realm, &of_key(), false).vary(), ["authorization"]);
    let header = |name: &str| (name == "authorization").then(|| "Bearer kw_live_x".to_owned());
    let removed = forwarding::credentials(&[realm], &realm, &of_key(), Some(&secrets()), header);
    assert_eq!(removed, ["authorization"]);
}
