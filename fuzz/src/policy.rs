//! `keyward.toml`: a wrong policy is told line by line, a right one is what the gate decides by. And the document that
//! the Worker reads.
//!
//! Input: the file, in which `$KEY` stands for a key of the default format and `$LOGIN` for a URL with a password; or, if it
//! begins with `{`, the policy of a document, which is given the right hash.

use keyward_core::{key::hex, request_target::RequestTarget, route::match_route};
use keyward_policy::{
    Span,
    compile::{ReadError, compile},
    document,
};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::support::{Filled, new_key, realm_named, text};

/// Longest message and hint, in bytes: a line of a terminal or a few.
const LONGEST: usize = 4_000;

pub fn run(data: &[u8]) {
    let text = text(data);
    if text.starts_with('{') { document(&text) } else { file(&text) }
}

/// Whatever a document says, it is read as it is, or not at all.
fn document(policy: &str) {
    assert!(document::read(policy).is_err(), "it has no hash");
    let whole =
        format!("{{\"format\":1,\"sha256\":\"{}\",\"policy\":{policy}}}", hex(&Sha256::digest(policy)));
    match document::read(&whole) {
        Ok(read) => {
            let written = document::write(&read).expect("what was read can be written");
            assert_eq!(document::read(&written).ok(), Some(read), "{written}");
        }
        Err(error) => assert!(error.to_string().len() <= LONGEST + policy.len()),
    }
    let changed = whole.replacen('a', "b", 1);
    assert!(changed == whole || document::read(&changed).is_err(), "{changed} was not written so");
}

/// What stands in the URL that `$LOGIN` stands for, and no mistake shows.
const PASSWORD: &str = "hunter2";

fn file(text: &str) {
    let key = new_key(&realm_named("shop").key, 1);
    let login = format!("https://user:{PASSWORD}@h.example");
    let file = Filled(&[("$KEY", &key), ("$LOGIN", &login)]).of(text);
    let read = || {
        compile("keyward.toml", |name| {
            if name == "keyward.toml" {
                Ok(file.clone())
            } else {
                Err(ReadError::Other("it is not there".to_owned()))
            }
        })
    };
    let policy = match read() {
        Ok(policy) => policy,
        Err(mistakes) => {
            let lines = file.lines().count().max(1) + 1;
            for mistake in &mistakes.list {
                assert!((1..=lines).contains(&mistake.line), "line {} of {lines}", mistake.line);
                assert!(mistake.message.len() + mistake.hint.len() <= LONGEST + file.len());
                assert!(!mistake.message.is_empty() && !mistake.hint.is_empty());
            }
            let shown = format!("{mistakes:#}").to_ascii_lowercase();
            let (_, random) = key.split_at("kw_live_".len());
            assert!(!shown.contains(&random[..12].to_ascii_lowercase()), "a key shows in {mistakes:#}");
            // The input itself may have the word elsewhere.
            assert!(text.contains(PASSWORD) || !shown.contains(PASSWORD), "a password shows in {mistakes:#}");
            return;
        }
    };
    assert!(!holds_key(&file, &key), "a policy holds a key");
    assert_eq!(read().ok().as_ref(), Some(&policy), "the same text is the same policy");
    assert!(!policy.realms.is_empty());
    let document = document::write(&policy).expect("what was checked can be written");
    assert_eq!(
        document::read(&document).ok().as_ref(),
        Some(&policy),
        "the Worker reads another policy: {document}"
    );
    let read: Value = serde_json::from_str(&document).expect("it is JSON");
    assert!(!any_text(&read, &|text| holds_key(text, &key)), "a policy holds a key: {document}");
    for realm in policy.realms {
        assert!(
            realm.id.len() <= 32
                && !realm.hosts.is_empty()
                && !realm.paths.is_empty()
                && !realm.routes.is_empty()
        );
        assert!(realm.freshness <= Span::from_mins(1) && realm.decision_timeout <= Span::from_secs(30));
        for route in realm.routes {
            let path = route.path.source.replace(['{', '}', '*'], "");
            for method in route.methods() {
                let url = format!("https://h.example{path}");
                let _ = match_route(&policy, method, RequestTarget::of(&url), false);
            }
        }
    }
}

/// Whether a word of the text begins with a key.
fn holds_key(text: &str, key: &str) -> bool {
    let of_word = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    text.match_indices(key).any(|(at, _)| !text.as_bytes()[..at].last().is_some_and(of_word))
}

/// Whether this is so of some text in a JSON value.
fn any_text(value: &Value, test: &impl Fn(&str) -> bool) -> bool {
    match value {
        Value::String(text) => test(text),
        Value::Array(values) => values.iter().any(|value| any_text(value, test)),
        Value::Object(members) => members.iter().any(|(name, value)| test(name) || any_text(value, test)),
        _ => false,
    }
}
