//! Sign-in by the issuer's authorization code flow: where browsers are sent, and what of them comes back.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use keyward_core::sign_in_token::{Grant, Shown};
use keyward_policy::{CodeFlow, Policy, SignIn};
use keyward_registry::{
    error::{ApiError, Code},
    front::{self, Head},
    sessions::code::{Attempt, COOKIE, redirect_uri},
};
use keyward_testing::registry_fixture::{RegistryFixture, policy_with};
use serde_json::{Value, json};

const OWN: &str = "https://gate.example";
pub const FLOW: CodeFlow = CodeFlow {
    authorization_url: "https://id.example.com/authorize",
    token_url: "https://id.example.com/token",
    client_id: "key ward",
    client_secret: None,
    scopes: "openid email",
};
pub const SIGN_IN: SignIn = SignIn {
    name: "Acme",
    password: true,
    header: None,
    code: Some(FLOW),
    jwt: crate::token_sign_in::ISSUER,
};

fn policy(sign_in: Option<SignIn>) -> &'static Policy {
    let mut policy = *policy_with(|_| {});
    policy.admin.sign_in = sign_in;
    Box::leak(Box::new(policy))
}

/// The address, and its query's fields.
fn sent_to(url: &str) -> (String, BTreeMap<String, String>) {
    let (address, query) = url.split_once('?').unwrap();
    let fields = query.split('&').map(|field| {
        let (name, value) = field.split_once('=').unwrap();
        (name.to_owned(), value.to_owned())
    });
    (address.to_owned(), fields.collect())
}

/// Where somebody is sent, and the cookie's value.
fn begin(fixture: &RegistryFixture, body: Value) -> (String, BTreeMap<String, String>, String) {
    let answer = fixture.post("", "/session/code/options", body).expect(200);
    let cookie = answer.header("Set-Cookie").unwrap();
    let attributes = "; Path=/; Max-Age=600; HttpOnly; Secure; SameSite=Strict";
    let random =
        cookie.strip_suffix(attributes).and_then(|it| it.strip_prefix("__Host-keyward-code=")).unwrap();
    let (address, fields) = sent_to(answer.body["url"].as_str().unwrap());
    (address, fields, random.to_owned())
}

#[test]
fn a_browser_is_sent_to_the_issuer_with_what_only_its_own_cookie_gives() {
    let fixture = RegistryFixture::over(policy(Some(SIGN_IN)));
    let (address, fields, random) = begin(&fixture, json!({}));
    assert_eq!(address, FLOW.authorization_url);
    let attempt = Attempt::of(&random);
    let expected = BTreeMap::from(
        [
            ("client_id", "key%20ward"),
            ("code_challenge", &attempt.challenge()),
            ("code_challenge_method", "S256"),
            ("nonce", &attempt.nonce),
            ("redirect_uri", "https%3A%2F%2Fgate.example%2Fadmin%2Fsigned-in"),
            ("response_type", "code"),
            ("scope", "openid%20email"),
            ("state", &attempt.state),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned())),
    );
    assert_eq!(fields, expected);
    assert!(!fields.values().any(|value| value.contains(&attempt.verifier) || value.contains(&random)));
    let (_, other, _) = begin(&fixture, json!({}));
    assert!(["state", "nonce", "code_challenge"].iter().all(|name| other[*name] != fields[*name]));
    assert_eq!(
        fixture.dump(),
        RegistryFixture::over(policy(Some(SIGN_IN))).dump(),
        "nothing of it is stored"
    );
}

#[test]
fn to_confirm_the_issuer_has_to_ask_again() {
    let fixture = RegistryFixture::over(policy(Some(SIGN_IN)));
    let asks = |body: Value| {
        let (_, fields, _) = begin(&fixture, body);
        (fields.get("prompt").cloned(), fields.get("max_age").cloned())
    };
    assert_eq!(asks(json!({"purpose": "step-up"})), (Some("login".into()), Some("0".into())));
    assert_eq!(asks(json!({"purpose": "sign-in"})), (None, None));
    let refused = fixture.post("", "/session/code/options", json!({"purpose": "x"})).expect(400);
    assert_eq!(refused.fields(), ["purpose"]);
}

#[test]
fn an_address_with_a_query_keeps_it() {
    let flow = CodeFlow { authorization_url: "https://id.example.com/authorize?p=people", ..FLOW };
    let fixture = RegistryFixture::over(policy(Some(SignIn { code: Some(flow), ..SIGN_IN })));
    let (_, fields, _) = begin(&fixture, Value::Null);
    assert_eq!((fields["p"].as_str(), fields["response_type"].as_str()), ("people", "code"));
}

#[test]
fn where_the_policy_has_no_such_flow_there_is_no_address_and_a_code_is_a_wrong_field() {
    for sign_in in [None, Some(SignIn { code: None, ..SIGN_IN })] {
        let (fixture, owner) = RegistryFixture::open_over(policy(sign_in));
        fixture.post("", "/session/code/options", json!({})).refused(404, "NOT_FOUND");
        let code = json!({"code": "c", "state": "s"});
        for (session, path) in [("", "/session"), (&*owner, "/session/step-up"), ("", "/invitations/accept")]
        {
            let answer = fixture.post(session, path, code.clone()).expect(400);
            let fields = answer.fields();
            assert!(fields.contains(&"code") && fields.contains(&"state"), "{path}: {fields:?}");
        }
    }
}

#[test]
fn asking_for_an_address_counts_as_any_call_of_a_stranger() {
    let mut policy = *policy(Some(SIGN_IN));
    policy.admin.rate.network = 3;
    let fixture = RegistryFixture::over(Box::leak(Box::new(policy)));
    let statuses = [(); 4].map(|()| fixture.post("", "/session/code/options", json!({})).status);
    assert_eq!(statuses, [200, 200, 200, 429]);
}

fn random(byte: u8) -> String {
    use base64::Engine;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode([byte; 32])
}

fn shown(path: &str, cookie: Option<String>, origin: &str, body: Value) -> Result<Option<Shown>, ApiError> {
    let head = Head { cookie, origin: Some(origin.to_owned()), ..Head::default() };
    front::token("POST", path, &body.to_string(), OWN, Some(redirect_uri(OWN, "/admin")), &head)
}

fn cookie(random: &str) -> Option<String> {
    Some(format!("a=b; {COOKIE}={random}; c=d"))
}

#[test]
fn a_code_with_the_state_of_this_browser_is_shown_with_all_that_belongs_to_it() {
    let own = random(7);
    let attempt = Attempt::of(&own);
    for (path, fresh) in [("/session", false), ("/session/step-up", true), ("/invitations/accept", false)] {
        let body = json!({"code": "c", "state": attempt.state, "token": "of the link"});
        let body =
            if path == "/invitations/accept" { body } else { json!({"code": "c", "state": attempt.state}) };
        let Some(Shown::Grant { grant: Grant { code, redirect_uri, nonce, verifier }, is_fresh }) =
            shown(path, cookie(&own), OWN, body).unwrap()
        else {
            panic!("{path}: no code")
        };
        assert_eq!((code.expose(), verifier.expose()), ("c", &*attempt.verifier));
        assert_eq!(
            (redirect_uri.as_str(), nonce),
            ("https://gate.example/admin/signed-in", attempt.nonce.clone())
        );
        assert_eq!(is_fresh, fresh);
    }
    for path in ["/setup", "/recover", "/members"] {
        assert!(
            shown(path, cookie(&own), OWN, json!({"code": "c", "state": attempt.state})).unwrap().is_none()
        );
    }
}

#[test]
fn another_browsers_state_a_missing_or_doubled_cookie_or_one_that_is_none_is_refused() {
    let own = random(7);
    let state = Attempt::of(&own).state;
    let doubled = Some(format!("{COOKIE}={own}; {COOKIE}={own}"));
    for (cookie, state) in [
        (cookie(&random(8)), &state),
        (cookie(&own), &Attempt::of(&random(8)).state),
        (cookie(&own), &String::new()),
        (cookie(&own), &state[..42].to_owned()),
        (None, &state),
        (doubled, &state),
        (cookie(""), &Attempt::of("").state),
        (cookie("AAAA"), &Attempt::of("AAAA").state),
    ] {
        let refused = shown("/session", cookie.clone(), OWN, json!({"code": "c", "state": state}));
        assert_eq!(refused.unwrap_err().code, Code::InvalidCredentials, "{cookie:?} {state}");
    }
}

#[test]
fn a_code_is_taken_from_this_origins_page_only_and_within_bounds() {
    let own = random(7);
    let state = Attempt::of(&own).state;
    let code = |origin: &str, code: &str| {
        shown("/session", cookie(&own), origin, json!({"code": code, "state": state})).map_err(|it| it.code)
    };
    assert_eq!(code("https://evil.example", "c").unwrap_err(), Code::CrossSite);
    for wrong in ["", "c\n", "ü", &"c".repeat(4_097)] {
        assert_eq!(code(OWN, wrong).unwrap_err(), Code::ValidationFailed, "{wrong:.9}");
    }
    assert!(code(OWN, &"c".repeat(4_096)).unwrap().is_some());
    // What is wrong with these, the Registry says.
    for body in [json!({"code": "c"}), json!({"state": state}), json!({"code": 1, "state": state})] {
        assert!(shown("/session", cookie(&own), OWN, body).unwrap().is_none());
    }
}

#[test]
fn a_token_beside_a_code_is_refused() {
    let (fixture, _) = RegistryFixture::open_over(policy(Some(SIGN_IN)));
    let mut call = fixture.call("POST", "", "/session", json!({"token": "t", "code": "c", "state": "s"}));
    call.token = Some(keyward_core::sign_in_token::SignInToken { identity: None });
    assert_eq!(fixture.send(call).expect(400).fields(), ["code", "state"]);
}
