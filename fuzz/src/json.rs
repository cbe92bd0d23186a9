//! The admin API's reader of JSON, which tells names that are repeated, and bodies as it takes them.
//!
//! Input: the body.

use keyward_core::json::{JsonError, read};
use keyward_registry::{
    error::{ApiError, Code},
    input::{self, Input},
};
use serde_json::Value;

use crate::{
    support::{shows, text},
    token::Members,
};

const KNOWN: [&str; 4] = ["name", "password", "scopes", "rateLimit"];
/// Most repeated names that are noted.
const MOST_NOTED: usize = 21;
/// Most bytes of an answer, whatever was sent.
const MOST_ANSWERED: usize = 32 * 1024;

pub fn run(data: &[u8]) {
    let text = text(data);
    let plain = serde_json::from_str::<Value>(&text);
    match read(&text, MOST_NOTED) {
        Ok((value, repeated)) => {
            assert_eq!(value, plain.expect("it is JSON"), "of two members the last counts, as elsewhere");
            let come = serde_json::from_str::<Members>(&text).expect("it is JSON").0;
            assert_eq!(come > members(&value), !repeated.is_empty(), "{repeated:?} of {text}");
            assert!(repeated.len() <= MOST_NOTED && repeated.iter().all(|path| path.len() < 2_000));
        }
        Err(JsonError::Malformed(_)) => assert!(plain.is_err(), "{text} is JSON"),
        Err(JsonError::BeyondRange(path)) => assert!(plain.is_err() && path.len() < 2_000),
    }
    body(&text);
}

fn members(value: &Value) -> usize {
    match value {
        Value::Array(items) => items.iter().map(members).sum(),
        Value::Object(object) => object.len() + object.values().map(members).sum::<usize>(),
        _ => 0,
    }
}

fn read_body(text: &str) -> Result<(), ApiError> {
    let mut input = Input::body(text, &KNOWN)?;
    input.required("name", |value| input::line(value, 1, 100));
    input.optional("scopes", |value| input::list(value, 50, |scope| input::line(scope, 1, 64)));
    input.optional("rateLimit", |value| input::dictionary(value, 10, 100));
    input.finish()
}

fn body(text: &str) {
    let Err(refusal) = read_body(text) else {
        let value: Value = serde_json::from_str(text).expect("what passes is JSON");
        assert!(
            value.as_object().is_some_and(|object| object.keys().all(|name| KNOWN.contains(&name.as_str())))
        );
        return;
    };
    assert!(matches!(refusal.code, Code::MalformedJson | Code::ValidationFailed));
    let answer = refusal.reply("0123");
    assert!(answer.body.len() <= MOST_ANSWERED, "{} bytes", answer.body.len());
    let told: Value = serde_json::from_str(&answer.body).expect("an answer is JSON");
    assert!(told["errors"].as_array().is_none_or(|errors| errors.len() <= 20));
    // The caller's names may be told; never what a password holds.
    let sent = serde_json::from_str::<Value>(text).unwrap_or_default();
    if let Some(password) = sent["password"].as_str().filter(|password| password.len() > 20) {
        let names = text.matches(password).count();
        let told = |other: &str| {
            let refused = read_body(&text.replacen(password, other, 1)).err();
            refused.map(|refusal| refusal.reply("0123").body).unwrap_or_default()
        };
        assert!(names > 1 || !shows(password, told), "a password shows in {}", answer.body);
    }
}
