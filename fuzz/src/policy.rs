//! `keyward.toml`: a wrong policy is told line by line, a right one is what the gate decides by. And the document that
//! the Worker reads.
//!
//! Input: the file, in which `$KEY` stands for a key of the default format; or, if it begins with `{`, the policy of a
//! document, which is given the right hash.

use keyward_core::{key::hex, request_target::RequestTarget, route::plan};
use keyward_policy::{compile::compile, document};
use sha2::{Digest, Sha256};

use crate::support::{new_key, realm_named, text};

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

fn file(text: &str) {
    let key = new_key(&realm_named("shop").key, 1);
    let file = text.replace("$KEY", &key);
    let read = || {
        compile("keyward.toml", |name| {
            if name == "keyward.toml" { Ok(file.clone()) } else { Err("it is not there".into()) }
        })
    };
    // A key begins a word.
    let of_word = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    let holds_key =
        file.match_indices(&key).any(|(at, _)| !file.as_bytes()[..at].last().is_some_and(of_word));
    let policy = match read() {
        Ok(policy) => policy,
        Err(mistakes) => {
            let lines = file.lines().count().max(1) + 1;
            for mistake in &mistakes.list {
                assert!((1..=lines).contains(&mistake.line), "line {} of {lines}", mistake.line);
                assert!(mistake.message.len() + mistake.hint.len() <= LONGEST + file.len());
                assert!(!mistake.message.is_empty() && !mistake.hint.is_empty());
            }
            return assert!(
                !holds_key || !format!("{mistakes:#}").contains(&key[..20]),
                "a key shows in {mistakes:#}"
            );
        }
    };
    assert!(!holds_key, "a policy holds a key");
    assert_eq!(read().ok().as_ref(), Some(&policy), "the same text is the same policy");
    assert!(!policy.realms.is_empty());
    let document = document::write(&policy).expect("what was checked can be written");
    assert_eq!(
        document::read(&document).ok().as_ref(),
        Some(&policy),
        "the Worker reads another policy: {document}"
    );
    for realm in policy.realms {
        assert!(
            realm.id.len() <= 32
                && !realm.hosts.is_empty()
                && !realm.paths.is_empty()
                && !realm.routes.is_empty()
        );
        assert!(realm.freshness_ms <= 60_000 && realm.decision_timeout_ms <= 30_000);
        for route in realm.routes {
            let path = route.path.source.replace(['{', '}', '*'], "");
            for method in route.methods() {
                let url = format!("https://h.example{path}");
                let _ = plan(&policy, method, RequestTarget::of(&url), false);
            }
        }
    }
}
