//! Header fields that the gate's own answers and the admin API are decided by: the credential of an admin call, where
//! it comes from, types of content, `Accept`, CORS.
//!
//! Input: a line with the method, one with the URL, header fields, an empty line, and the body. `$SESSION`, `$KEY` and `$SETUP` stand
//! for what is in order.

use keyward_core::{request_target::RequestTarget, secret::Secret};
use keyward_gate::{
    cors,
    refusal::{Answer, mcp},
};
use keyward_registry::admin_call::AdminCredential;
use keyward_registry::front::{self, BodyForm, Credential, Head};
use keyward_registry::router::Open;
use serde_json::Value;

use crate::support::{Filled, Headers, assert_sendable, lines, new_key, realm_named, secrets, shows, text};

const SETUP: &str = "the-set-up-token-of-this-deployment";
const SESSION: &str = "kw_session_that_nobody_has_made_0123";

pub fn run(data: &[u8]) {
    let key = new_key(&realm_named("shop").key, 1);
    let filled = Filled(&[("$SESSION", SESSION), ("$KEY", &key), ("$SETUP", SETUP)]).of(&text(data));
    let ([method, path], rest) = lines(&filled);
    let (fields, body) = rest.split_once("\n\n").unwrap_or((rest, ""));
    let headers = Headers::of(fields);
    let url = format!("https://shop.example/api/admin/{}", path.replace('#', ""));
    admin(method, RequestTarget::of(&url), &headers, body, &key);
    browsers(method, &headers);
    protocol(method, &headers, body);
}

fn admin(method: &str, target: RequestTarget<'_>, headers: &Headers, body: &str, key: &str) {
    let head = Head {
        authorization: headers.get("authorization"),
        cookie: headers.get("cookie"),
        content_type: headers.get("content-type"),
        content_length: headers.get("content-length"),
        origin: headers.get("origin"),
        fetch_site: headers.get("sec-fetch-site"),
        if_match: headers.get("if-match"),
        idempotency_key: headers.get("idempotency-key"),
        user_agent: headers.get("user-agent"),
        assertion: headers.get("cf-access-jwt-assertion"),
        report: ["github-public-key-identifier", "github-public-key-signature"].map(|name| headers.get(name)),
    };
    let own = target.origin;
    let is_read = matches!(method, "GET" | "HEAD");
    match front::judge(method, own, &head, front::MOST_BYTES) {
        Ok(shown) => {
            let from_elsewhere = head.origin.as_deref().is_some_and(|origin| origin != own);
            match &shown {
                Credential::None => {
                    assert!(head.authorization.as_deref().is_none_or(|value| value.trim().is_empty()));
                }
                Credential::Session(token) | Credential::SetUp(token) | Credential::Key(token) => {
                    let token = token.expose();
                    let debug = |token: &str| match &shown {
                        Credential::None => String::new(),
                        Credential::Session(_) => format!("{:?}", Credential::Session(Secret::new(token))),
                        Credential::SetUp(_) => format!("{:?}", Credential::SetUp(Secret::new(token))),
                        Credential::Key(_) => format!("{:?}", Credential::Key(Secret::new(token))),
                    };
                    assert!(!token.is_empty() && !shows(token, debug));
                    let stands =
                        |field: &Option<String>| field.as_deref().is_some_and(|value| value.contains(token));
                    assert!(stands(&head.authorization) || stands(&head.cookie));
                    // A browser sends the cookie by itself: then what changes something must come from here.
                    let by_cookie = head.authorization.as_deref().is_none_or(|value| value.trim().is_empty());
                    let says_so = head.origin.as_deref() == Some(own)
                        || head.fetch_site.as_deref() == Some("same-origin");
                    assert!(is_read || !by_cookie || says_so, "another site acts with the cookie");
                }
            }
            if matches!(shown, Credential::Key(_)) {
                assert!(!from_elsewhere, "a page of another origin acts with a key");
            }
            let credential = front::of_operator(shown, Some(secrets())).unwrap_or(AdminCredential::None);
            let setup = Secret::new(SETUP);
            let proof = front::proof(&credential, Some(secrets()), Some(&setup));
            assert_eq!(
                proof.is_some(),
                matches!(&credential, AdminCredential::SetUp { token } if token == SETUP)
            );
        }
        Err(refusal) => {
            let reply = refusal.reply("0123");
            assert!(matches!(reply.status, 400 | 403 | 413), "{}", reply.body);
            assert_sendable(reply.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())));
            serde_json::from_str::<Value>(&reply.body).expect("an answer is JSON");
            assert!(
                [SETUP, SESSION, key].iter().all(|secret| !reply.body.contains(secret)),
                "{}",
                reply.body
            );
        }
    }
    let read = front::body_text(
        BodyForm::of("POST", "/session"),
        head.content_type.as_deref(),
        body.as_bytes().to_vec(),
    );
    let declared = head.content_type.as_deref().unwrap_or_default().to_ascii_lowercase();
    assert_eq!(
        read.is_ok(),
        body.is_empty() || declared.split(';').next().is_some_and(|it| it.trim() == "application/json")
    );
    let open = front::failures_of_open(Open::SignIn, Some(body), "192.0.2.1", "0123", true, |_| false);
    assert!(open.is_some_and(|failures| failures.counted.len() < 100));
}

fn browsers(method: &str, headers: &Headers) {
    let origin = headers.get("origin");
    let cors = realm_named("shop").cors.expect("it has CORS");
    let asked = headers.get("access-control-request-method");
    let is_preflight = cors::is_preflight(method, origin.as_deref(), asked.as_deref());
    assert_eq!(is_preflight, method == "OPTIONS" && origin.is_some() && asked.is_some());
    let listed = origin.as_deref() == Some("https://app.example");
    let answers = [
        cors::response_headers(Some(&cors), origin.as_deref()),
        cors::preflight_headers(&cors, origin.as_deref().unwrap_or_default()),
    ];
    for fields in answers {
        assert_sendable(fields.iter().map(|(name, value)| (*name, value.as_str())));
        let allowed = fields.iter().find(|(name, _)| *name == "Access-Control-Allow-Origin");
        assert_eq!(allowed.map(|(_, value)| value.as_str()), listed.then_some("https://app.example"));
        assert!(!fields.iter().any(|(name, _)| *name == "Access-Control-Allow-Credentials"));
    }
}

/// Model Context Protocol, Streamable HTTP: `Accept` lists both types (RFC 9110, section 12.5.1).
fn protocol(method: &str, headers: &Headers, body: &str) {
    let accept = headers.get("accept").unwrap_or_default();
    let types: Vec<String> = accept
        .split(',')
        .map(|item| item.split_once(';').map_or(item, |(name, _)| name).trim().to_ascii_lowercase())
        .collect();
    let lists = |name: &str| types.iter().any(|listed| listed == name);
    let expected = method == "POST"
        && lists("application/json")
        && lists("text/event-stream")
        && !lists("application/problem+json");
    assert_eq!(mcp::is_asked_for(method, headers.get("accept").as_deref()), expected);
    let problem = ("Content-Type", "application/problem+json".to_owned());
    let answer = mcp::respond(Answer { status: 401, headers: vec![problem], body: body.to_owned() });
    match serde_json::from_str::<Value>(body) {
        Ok(Value::Object(_)) => {
            let told: Value = serde_json::from_str(&answer.body).expect("it is JSON-RPC");
            assert_eq!(
                (&told["jsonrpc"], &told["id"], &told["error"]["code"]),
                (&"2.0".into(), &Value::Null, &(-32_600).into())
            );
        }
        _ => assert_eq!(answer.body, body),
    }
}
