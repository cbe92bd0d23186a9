//! In which order a call of the admin API is looked at, and who is slowed when it fails.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod codes;

use std::cell::{Cell, RefCell};

use futures::executor::block_on;
use keyward_core::{
    key,
    question::Question,
    record::{Mode, Record},
    request_target::RequestTarget,
    secret::{Secret, Secrets},
    sign_in_token::{Shown, SignInToken},
    time::{Span, Timestamp},
    unavailable::Unavailable,
};
use keyward_gate::{admin, denial::Denial, refusal::Answer};
use keyward_policy::{CodeFlow, Leaks, SignIn};
use keyward_registry::{
    admin_call::{AdminCall, AdminCredential, AdminReply},
    front::{
        BodyError, BodyRoom, Failures, Head, REFUSED_SIGN_IN,
        answer::{self, AdminPort, AdminRequest},
    },
};
use keyward_testing::{NOON, jose::PUBLIC, policy::POLICY, record, secrets};
use serde_json::Value;

const ORIGIN: &str = "https://api.example.com";
const SETUP_TOKEN: &str = "the-set-up-token-of-this-deployment";
const SIGN_IN: &str = r#"{"email": "a@example.com", "password": "x"}"#;

/// An issuer with a page of its own.
pub const ISSUER: SignIn = SignIn {
    name: "Acme",
    password: true,
    header: None,
    code: Some(CodeFlow {
        authorization_url: "https://id.example.com/authorize",
        token_url: "https://id.example.com/token",
        client_id: "keyward",
        client_secret: None,
        scopes: "openid",
    }),
    jwt: PUBLIC,
};

/// The gate around the Registry, which notes what it is asked.
struct FakeGate {
    asked: RefCell<Vec<String>>,
    url: RefCell<String>,
    key_is_in_order: bool,
    body: Result<&'static str, BodyError>,
    held_back: RefCell<Vec<&'static str>>,
    issuer_fails: bool,
    /// The Registry's status; `None` if it does not answer.
    status: Option<u16>,
    now: Cell<Timestamp>,
}

impl FakeGate {
    fn new() -> Self {
        Self {
            asked: RefCell::default(),
            url: RefCell::new(format!("{ORIGIN}/api/admin")),
            key_is_in_order: true,
            body: Ok(""),
            held_back: RefCell::default(),
            issuer_fails: false,
            status: Some(200),
            now: Cell::new(NOON),
        }
    }

    fn note(&self, what: impl Into<String>) {
        self.asked.borrow_mut().push(what.into());
    }

    /// Sends a call; the status and code of the answer, and what was asked for it.
    fn send(&self, method: &str, path: &str, head: Head) -> (u16, String, Vec<String>) {
        let (secrets, setup_token) = (secrets(), Secret::new(SETUP_TOKEN));
        let request = request(method, path, head, &secrets, &setup_token);
        let reply = block_on(answer::answer(&request, self));
        let body: serde_json::Value = serde_json::from_str(&reply.body).unwrap_or_default();
        if let Some(status) = body.get("status") {
            assert_eq!(reply.status, *status);
        }
        // Every answer of the admin API has these, and each of them once.
        for own in
            [("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff"), ("X-Request-Id", "req-1")]
        {
            let all: Vec<_> = reply.headers.iter().filter(|(name, _)| name == own.0).collect();
            assert_eq!(all, [&(own.0.to_owned(), own.1.to_owned())], "{method} {path}");
        }
        (reply.status, body["code"].as_str().unwrap_or_default().to_owned(), self.asked.take())
    }

    /// Whether a request is taken for an operator's, and what was asked for that.
    fn is_operator(&self, head: Head) -> (bool, Vec<String>) {
        let (secrets, setup_token) = (secrets(), Secret::new(SETUP_TOKEN));
        let request = request("GET", "", head, &secrets, &setup_token);
        (block_on(answer::is_operator(&request, self)), self.asked.take())
    }
}

impl AdminPort for FakeGate {
    fn now(&self) -> Timestamp {
        self.now.get()
    }

    fn refuse_key_in_url(&self) -> Option<AdminReply> {
        let url = self.url.borrow();
        admin::refuse_key_in_url(&POLICY, RequestTarget::of(&url), Some(&secrets()), "req-1").map(reply)
    }

    async fn verify_key(&self, _: &Secret) -> Result<Record, AdminReply> {
        self.note("verify");
        if self.key_is_in_order {
            Ok(record())
        } else {
            Err(reply(admin::denied(&Denial::RevokedKey { replaced: false }, "req-1")))
        }
    }

    async fn verify_token(&self, _: &SignIn, _: &Shown) -> Result<SignInToken, AdminReply> {
        self.note("exchange");
        if self.issuer_fails {
            let failed = Denial::IssuerUnavailable { reason: String::new(), retry_after: Span::ZERO };
            return Err(reply(admin::denied(&failed, "req-1")));
        }
        Ok(SignInToken { identity: None })
    }

    async fn body(&self, room: BodyRoom, _: usize) -> Result<Vec<u8>, BodyError> {
        let whose = match room {
            BodyRoom::Known(name) => name,
            BodyRoom::Strangers(network) => {
                assert_eq!(network, "192.0.2.1");
                "a stranger".to_owned()
            }
        };
        let whose = whose.split(' ').take(2).map(|word| &word[..word.len().min(8)]).collect::<Vec<_>>();
        self.note(format!("body of {}", whose.join(" ")));
        self.body.map(|text| text.as_bytes().to_vec())
    }

    fn held_back(&self, subject: &str) -> Option<Span> {
        self.held_back.borrow().iter().any(|held| subject.starts_with(held)).then_some(Span::from_secs(7))
    }

    async fn count(&self, failures: &Failures) {
        self.note(format!("count {}", failures.held_back));
    }

    async fn ask(&self, call: &AdminCall, is_proof: bool) -> Option<AdminReply> {
        let who = match &call.credential {
            AdminCredential::None => "nobody",
            AdminCredential::Session { .. } => "session",
            AdminCredential::SetUp { .. } => "set-up",
            AdminCredential::Key { .. } => "key",
            AdminCredential::Scanner => "scanner",
        };
        self.note(format!("ask as {who}{}", if is_proof { ", proved" } else { "" }));
        self.now.set(self.now.get().plus(Span::from_ms(150)));
        self.status.map(|status| AdminReply { status, headers: Vec::new(), body: call.body.clone() })
    }

    async fn settle(&self, token: &str, used: u32) -> Option<Result<bool, Unavailable>> {
        self.note(format!("settle {used}"));
        match token {
            "open" => Some(Ok(true)),
            "closed" => Some(Ok(false)),
            "unreached" => Some(Err(Unavailable)),
            _ => None,
        }
    }

    async fn verify_report(
        &self,
        _: &Leaks,
        (key, signature): (&str, &str),
        _: &str,
    ) -> Result<bool, AdminReply> {
        self.note(format!("verify report of {key}"));
        Ok(signature == "right")
    }

    fn answer(&self, question: &Question) -> Value {
        self.note(format!("gate for {}", question.tenant.id));
        Value::Null
    }

    async fn wait(&self, span: Span) {
        self.note(format!("wait {}", span.ms()));
    }
}

fn request<'a>(
    method: &'a str,
    path: &'a str,
    head: Head,
    secrets: &'a Secrets,
    setup_token: &'a Secret,
) -> AdminRequest<'a> {
    AdminRequest {
        method,
        origin: ORIGIN,
        path,
        page: "/admin",
        query: "",
        head,
        address: "192.0.2.1".into(),
        request_id: "req-1",
        secrets: Some(secrets),
        setup_token: Some(setup_token),
        recovery_token: None,
        policy: &POLICY,
        sign_in: None,
    }
}

fn bearer(token: &str) -> Head {
    Head { authorization: Some(format!("Bearer {token}")), ..json() }
}

fn json() -> Head {
    Head { content_type: Some("application/json".into()), ..Head::default() }
}

/// A session token that this deployment has made.
fn our_token() -> String {
    let random = [7; 24];
    let check = secrets().mac("keyward session check 1", &[&random]);
    let bytes: Vec<u8> = random.iter().chain(&check[..8]).copied().collect();
    format!("kws_{}", base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, bytes))
}

#[test]
fn what_can_be_refused_without_a_body_is_refused_before_one_is_read() {
    for (method, path, head, expected) in [
        ("POST", "/nowhere", bearer(&our_token()), (404, "NOT_FOUND")),
        ("PUT", "/api-keys", bearer(&our_token()), (405, "METHOD_NOT_ALLOWED")),
        ("POST", "/api-keys", json(), (401, "UNAUTHENTICATED")),
        (
            "POST",
            "/api-keys",
            Head { authorization: Some("Basic eA==".into()), ..json() },
            (400, "INVALID_REQUEST"),
        ),
        (
            "POST",
            "/session",
            Head { origin: Some("https://evil.example".into()), ..json() },
            (403, "CROSS_SITE"),
        ),
        (
            "POST",
            "/session",
            Head { content_length: Some("65537".into()), ..json() },
            (413, "BODY_TOO_LARGE"),
        ),
    ] {
        let (status, code, asked) = FakeGate::new().send(method, path, head);
        assert_eq!((status, code.as_str()), expected, "{method} {path}");
        assert!(asked.iter().all(|what| what.starts_with("count ")), "{method} {path}: {asked:?}");
    }
}

#[test]
fn a_key_is_verified_first_then_its_body_is_read_in_its_own_room_then_the_registry_is_asked() {
    let gate = FakeGate { body: Ok("{}"), ..FakeGate::new() };
    let (status, _, asked) = gate.send("POST", "/api-keys", bearer("kw_live_x"));
    assert_eq!(
        (status, asked),
        (200, vec!["verify".into(), "body of key key_1".into(), "ask as key, proved".into()])
    );

    let gate = FakeGate { key_is_in_order: false, ..FakeGate::new() };
    let (status, code, asked) = gate.send("POST", "/api-keys", bearer("kw_live_x"));
    assert_eq!((status, code.as_str(), asked), (401, "REVOKED_API_KEY", vec!["verify".to_owned()]));
}

#[test]
fn what_an_origin_settles_neither_asks_the_registry_nor_counts_and_needs_no_credential() {
    const BODY: &str = "body of a stranger";
    const SETTLE: &str = "settle 7";
    let send = |body, head| {
        let gate = FakeGate { body: Ok(body), ..FakeGate::new() };
        gate.held_back.replace(vec!["admin ", "malformed ", "open "]);
        gate.send("POST", "/settlements", head)
    };
    for (body, expected, asked) in [
        (r#"{"token": "open", "used": 7}"#, (200, ""), &[BODY, SETTLE][..]),
        (r#"{"token": "closed", "used": 7}"#, (409, "BUDGET_CLOSED"), &[BODY, SETTLE]),
        (r#"{"token": "unreached", "used": 7}"#, (503, "STORE_UNAVAILABLE"), &[BODY, SETTLE]),
        (r#"{"token": "wrong", "used": 7}"#, (401, "INVALID_CREDENTIALS"), &[BODY, SETTLE]),
        (r#"{"token": "open", "used": 4294967295}"#, (200, ""), &[BODY, "settle 4294967295"]),
        (r#"{"token": "open", "used": 4294967296}"#, (400, "VALIDATION_FAILED"), &[BODY]),
        (r#"{"token": "open", "used": -1}"#, (400, "VALIDATION_FAILED"), &[BODY]),
        (r#"{"token": "open", "used": 1.5}"#, (400, "VALIDATION_FAILED"), &[BODY]),
        (r#"{"token": "open", "used": "7"}"#, (400, "VALIDATION_FAILED"), &[BODY]),
        (r#"{"token": "open", "used": 7, "usd": 7}"#, (400, "VALIDATION_FAILED"), &[BODY]),
        (r#"{"token": "open", "used": 1, "used": 7}"#, (400, "VALIDATION_FAILED"), &[BODY]),
        (r#"{"token": "open"}"#, (400, "VALIDATION_FAILED"), &[BODY]),
        (r#"{"token": 7, "used": 7}"#, (400, "VALIDATION_FAILED"), &[BODY]),
        ("", (400, "VALIDATION_FAILED"), &[BODY]),
        ("7", (400, "VALIDATION_FAILED"), &[BODY]),
        ("{", (400, "MALFORMED_JSON"), &[BODY]),
    ] {
        let (status, code, was_asked) = send(body, json());
        assert_eq!((status, code.as_str()), expected, "{body}");
        assert_eq!(was_asked, asked, "{body}");
    }
    const WHOLE: &str = r#"{"token": "open", "used": 7}"#;
    let foreign = Some("https://evil.example".to_owned());
    for (head, expected) in [
        (Head { origin: foreign, ..json() }, (403, "CROSS_SITE")),
        (Head { fetch_site: Some("same-site".into()), ..json() }, (403, "CROSS_SITE")),
        (Head { content_length: Some("4097".into()), ..json() }, (413, "BODY_TOO_LARGE")),
        (Head { content_type: Some("text/plain".into()), ..json() }, (415, "UNSUPPORTED_MEDIA_TYPE")),
        // What else is shown is not looked at.
        (bearer("kw_live_x"), (200, "")),
    ] {
        let (status, code, _) = send(WHOLE, head);
        assert_eq!((status, code.as_str()), expected);
    }
}

#[test]
fn a_key_or_token_in_the_url_is_refused_whatever_else_is_shown() {
    let format = &POLICY.realms[0].key;
    let key = key::generate(format, "", Mode::Live, &secrets(), &mut keyward_testing::Seeded::new(1));
    let encoded = key.expose().replace('_', "%5F");
    let answered = |target: &str, head: &Head| {
        let gate = FakeGate::new();
        gate.url.replace(format!("{ORIGIN}/api/admin{target}"));
        let (_, code, asked) = gate.send("GET", "/api-keys", head.clone());
        assert!(code != "KEY_IN_URL" || asked.is_empty(), "{asked:?}");
        code
    };
    for target in [
        format!("/api-keys/{}", key.expose()),
        format!("/api-keys?q={}", key.expose()),
        format!("/session?x={encoded}"),
        format!("/api-keys?q=a&cursor=%2522{encoded}"),
        "/realms?api_key=x".to_owned(),
        "/realms?access_token=kws_abc".to_owned(),
    ] {
        for head in [bearer("kws_abc"), bearer("kw_live_x"), Head::default()] {
            assert_eq!(answered(&target, &head), "KEY_IN_URL", "{target}");
        }
    }
    for target in [
        "/api-keys?q=kw_live_&limit=5",
        "/api-keys/key_zxgNOFBJwZ7IUuCFLBuqc7?api_key=",
        "/audit?cursor=AAAAAAAAACpSRhEz9ZO05KwjOQhfI4BY",
    ] {
        assert_eq!(answered(target, &bearer("kws_abc")), "", "{target}");
    }
}

#[test]
fn a_network_that_is_held_back_is_refused_before_a_body_is_read_but_for_whoever_proves_to_be_somebody_here() {
    let gate = FakeGate { body: Ok("{}"), ..FakeGate::new() };
    gate.held_back.replace(vec!["admin ", "malformed ", "open "]);
    let (status, code, asked) = gate.send("POST", "/api-keys", bearer("kws_made-up"));
    assert_eq!((status, code.as_str(), asked), (429, "TOO_MANY_ATTEMPTS", vec![]));

    let (status, _, asked) = gate.send("POST", "/api-keys", bearer(&our_token()));
    assert_eq!(status, 200);
    assert!(asked[0].starts_with("body of session "), "{asked:?}");
    assert_eq!(asked[1..], ["ask as session, proved"]);
}

#[test]
fn who_signs_in_is_held_back_for_what_the_body_is_so_after_it_was_read_and_before_the_registry_is_asked() {
    for (body, held_back, refused) in [
        (SIGN_IN, "open ", true),
        (SIGN_IN, "malformed ", false),
        (SIGN_IN, "admin ", false),
        ("{}", "malformed ", true),
        ("{}", "open ", false),
    ] {
        let gate = FakeGate { body: Ok(body), ..FakeGate::new() };
        gate.held_back.replace(vec![held_back]);
        let (status, code, asked) = gate.send("POST", "/session", json());
        let mut expected = vec!["body of a stranger".to_owned()];
        expected.extend((!refused).then(|| "ask as nobody".to_owned()));
        assert_eq!(asked, expected, "{body} {held_back}");
        assert_eq!((status, code == "TOO_MANY_ATTEMPTS"), if refused { (429, true) } else { (200, false) });
    }
}

#[test]
fn what_the_registry_refuses_counts_for_the_network_and_what_this_side_refuses_only_where_nobody_signs_in() {
    let counted = |path: &str, head: Head, status: u16, body: &'static str| {
        let gate = FakeGate { status: Some(status), body: Ok(body), ..FakeGate::new() };
        let (_, _, asked) = gate.send("POST", path, head);
        asked.into_iter().filter(|what| what.starts_with("count ")).collect::<Vec<_>>()
    };
    assert_eq!(counted("/api-keys", bearer("kws_made-up"), 401, "{}"), ["count admin 192.0.2.1"]);
    assert!(counted("/api-keys", bearer("kws_made-up"), 403, "{}").is_empty());
    assert!(counted("/api-keys", bearer(&our_token()), 401, "{}").is_empty(), "it is no guess");
    assert!(counted("/api-keys", json(), 200, "{}").is_empty(), "nobody was asked");
    assert_eq!(counted("/session", json(), 401, SIGN_IN), ["count open 192.0.2.1"]);
    assert_eq!(counted("/session", json(), 400, "{}"), ["count malformed 192.0.2.1"]);
    assert!(counted("/session", json(), 201, SIGN_IN).is_empty());
    let plain = Head { content_type: Some("text/plain".into()), ..Head::default() };
    assert_eq!(counted("/session", plain, 201, SIGN_IN), ["count malformed 192.0.2.1"]);
}

#[test]
fn a_body_that_cannot_be_read_is_answered_by_why_and_the_registry_is_not_asked() {
    for (error, expected) in [
        (BodyError::TooLarge(65_536), (413, "BODY_TOO_LARGE")),
        (BodyError::Late, (408, "REQUEST_TIMEOUT")),
        (BodyError::Overloaded, (503, "OVERLOADED")),
        (BodyError::Broken, (400, "MALFORMED_JSON")),
    ] {
        let gate = FakeGate { body: Err(error), ..FakeGate::new() };
        let (status, code, asked) = gate.send("POST", "/api-keys", bearer("kw_live_x"));
        assert_eq!((status, code.as_str()), expected);
        assert_eq!(asked, ["verify", "body of key key_1"]);
    }
}

#[test]
fn the_gate_answers_what_the_registry_asks_it_and_nothing_else() {
    let question = r#""{\"tenant\":{\"id\":\"t-1\",\"status\":\"ACTIVE\",\"plan\":null},\"realm\":null,\"request\":null,\"key\":null,\"record\":null}""#;
    for (method, path, status, body, expected, asks_gate) in [
        ("POST", "/explain", Some(200), question, 200, true),
        ("GET", "/routes", Some(200), question, 200, true),
        ("HEAD", "/routes", Some(200), question, 200, true),
        ("POST", "/api-keys", Some(200), question, 200, false),
        ("POST", "/explain", Some(404), question, 404, false),
        ("POST", "/explain", Some(200), "another build's", 503, false),
    ] {
        let gate = FakeGate { status, body: Ok(body), ..FakeGate::new() };
        let (status, _, asked) = gate.send(method, path, bearer(&our_token()));
        assert_eq!(status, expected, "{method} {path}");
        assert_eq!(asked.contains(&"gate for t-1".to_owned()), asks_gate, "{method} {path}: {asked:?}");
    }
}

#[test]
fn a_refusal_to_sign_in_is_kept_back_until_it_has_taken_as_long_as_any() {
    let gate = FakeGate { status: Some(429), body: Ok(SIGN_IN), ..FakeGate::new() };
    let (_, _, asked) = gate.send("POST", "/session", json());
    assert_eq!(asked.last().unwrap(), &format!("wait {}", (REFUSED_SIGN_IN - Span::from_ms(150)).ms()));
    let gate = FakeGate { status: Some(429), body: Ok("{}"), ..FakeGate::new() };
    let (_, _, asked) = gate.send("POST", "/api-keys", bearer(&our_token()));
    assert_eq!(asked.last().unwrap(), "ask as session, proved");
}

#[test]
fn a_registry_that_does_not_answer_is_503_and_says_whether_the_call_may_be_repeated() {
    let answered = |method: &str, head: Head| {
        let gate = FakeGate { status: None, body: Ok("{}"), ..FakeGate::new() };
        let (secrets, setup_token) = (secrets(), Secret::new(SETUP_TOKEN));
        let reply =
            block_on(answer::answer(&request(method, "/api-keys", head, &secrets, &setup_token), &gate));
        assert_eq!(reply.status, 503);
        assert!(reply.headers.iter().any(|(name, _)| name == "Retry-After"));
        reply.body
    };
    for safe in ["GET", "HEAD"] {
        assert!(answered(safe, bearer(&our_token())).contains("did not answer. Try again."), "{safe}");
    }
    assert!(
        answered("POST", bearer(&our_token())).contains("it is not known whether this was done. Look first")
    );
    let named = Head { idempotency_key: Some("once".into()), ..bearer(&our_token()) };
    assert!(answered("POST", named).contains("Repeat it with the same Idempotency-Key"));
}

#[test]
fn an_operator_is_known_by_the_set_up_token_or_by_a_session_that_the_registry_says_is_an_operators() {
    let set_up = |token: &str| Head { authorization: Some(format!("Setup {token}")), ..Head::default() };
    let gate = FakeGate::new();
    assert_eq!(gate.is_operator(set_up(SETUP_TOKEN)), (true, vec![]));
    assert_eq!(gate.is_operator(set_up("wrong")), (false, vec!["count admin 192.0.2.1".to_owned()]));
    assert_eq!(gate.is_operator(bearer(&our_token())), (true, vec!["ask as session, proved".to_owned()]));
    for nobody in [bearer("kw_live_x"), bearer("kws_made-up"), Head::default()] {
        assert_eq!(gate.is_operator(nobody), (false, vec![]), "nothing is asked");
    }
    gate.held_back.replace(vec!["admin "]);
    assert_eq!(gate.is_operator(set_up("wrong")), (false, vec![]));
    assert!(gate.is_operator(set_up(SETUP_TOKEN)).0);
    let gate = FakeGate { status: Some(403), ..FakeGate::new() };
    assert!(!gate.is_operator(bearer(&our_token())).0);
}

/// As the Worker makes it an answer of the admin API.
fn reply(Answer { status, headers, body }: Answer) -> AdminReply {
    AdminReply::of(status, headers, body)
}
