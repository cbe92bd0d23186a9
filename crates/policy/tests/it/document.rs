//! The document that `keyward check` writes is read as what was written, and nothing else is read at all.

#![allow(clippy::panic, clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::{fs, path::Path, sync::LazyLock};

use keyward_policy::{
    Policy,
    compile::{ReadError, compile},
    document::{self, FORMAT, Unreadable},
};
use proptest::{prelude::*, sample::Index};
use serde_json::Value;

fn policy(file: &str) -> Policy {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
    let read = |file: &str| fs::read_to_string(root.join(file)).map_err(ReadError::Io);
    compile(file, read).unwrap_or_else(|mistakes| panic!("{mistakes}"))
}

/// Between them they use every part of a policy.
const POLICIES: [&str; 14] = [
    "keyward.toml",
    "examples/all/keyward.toml",
    "tests/e2e/policy.toml",
    "tests/e2e/systems.toml",
    "crates/policy/tests/it/documents/awkward.toml",
    "crates/policy/tests/it/documents/imported.toml",
    "crates/policy/tests/it/documents/sign_in.toml",
    "crates/policy/tests/it/documents/sign_in_code.toml",
    "crates/policy/tests/it/documents/anonymous.toml",
    "crates/policy/tests/it/documents/identity.toml",
    "crates/policy/tests/it/documents/real_apis.toml",
    "crates/policy/tests/it/documents/events.toml",
    "crates/policy/tests/it/documents/log.toml",
    "crates/policy/tests/it/documents/leaks.toml",
];

#[test]
fn what_is_written_is_read_as_the_same_policy() {
    for file in POLICIES {
        let policy = policy(file);
        let text = document::write(&policy).unwrap();
        assert_eq!(document::read(&text).unwrap(), policy, "{file}");
    }
}

#[test]
fn the_same_policy_gives_the_same_bytes() {
    for file in POLICIES {
        assert_eq!(
            document::write(&policy(file)).unwrap(),
            document::write(&policy(file)).unwrap(),
            "{file}"
        );
    }
}

/// JavaScript moves names that are numbers to the front, and rounds larger numbers and fractions. That it then writes
/// the same bytes, `tests/e2e/policy_document.test.mjs` tries.
#[test]
fn a_document_has_nothing_that_javascript_would_write_otherwise() {
    fn check(value: &Value) {
        match value {
            Value::Number(number) => assert!(number.as_u64().unwrap() < 1 << 53, "{number}"),
            Value::Array(values) => values.iter().for_each(check),
            Value::Object(members) => members.iter().for_each(|(name, value)| {
                assert!(!name.starts_with(|first: char| first.is_ascii_digit()), "{name}");
                check(value);
            }),
            Value::Null | Value::Bool(_) | Value::String(_) => {}
        }
    }
    for file in POLICIES {
        check(&serde_json::from_str(&document::write(&policy(file)).unwrap()).unwrap());
    }
}

/// Documents of format 1. Format 2 says what they say in the same way, and more.
const OF_FORMAT_1: [&str; 7] = [
    include_str!("documents/systems.json"),
    include_str!("documents/tests.json"),
    include_str!("documents/awkward.json"),
    include_str!("documents/imported.json"),
    include_str!("documents/sign_in.json"),
    include_str!("documents/sign_in_code.json"),
    include_str!("documents/anonymous.json"),
];

/// Documents of this format. Where they are not read any more, or would be written otherwise, [`FORMAT`] has to change.
static GOLDEN: LazyLock<Vec<String>> = LazyLock::new(|| {
    let as_now = OF_FORMAT_1.map(|text| text.replacen("{\"format\":1,", "{\"format\":2,", 1));
    let newer = [
        include_str!("documents/identity.json"),
        include_str!("documents/real_apis.json"),
        include_str!("documents/events.json"),
        include_str!("documents/log.json"),
        include_str!("documents/leaks.json"),
        include_str!("documents/jurisdiction.json"),
    ];
    as_now.into_iter().chain(newer.map(str::to_owned)).collect()
});

#[test]
fn the_form_of_format_2_stays() {
    assert_eq!(FORMAT, 2);
    for text in &*GOLDEN {
        assert_eq!(document::write(&document::read(text).unwrap()).unwrap(), *text);
    }
    for text in OF_FORMAT_1 {
        assert!(matches!(document::read(text), Err(Unreadable::Format(1))));
    }
    for (text, name) in [
        (2, "awkward"),
        (3, "imported"),
        (4, "sign_in"),
        (5, "sign_in_code"),
        (6, "anonymous"),
        (7, "identity"),
        (8, "real_apis"),
        (9, "events"),
        (10, "log"),
        (11, "leaks"),
        (12, "jurisdiction"),
    ]
    .map(|(at, name)| (&*GOLDEN[at], name))
    {
        let file = format!("crates/policy/tests/it/documents/{name}.toml");
        assert_eq!(document::read(text).unwrap(), policy(&file));
    }
}

#[test]
fn a_document_that_was_cut_short_is_refused() {
    for text in &*GOLDEN {
        for at in (0..text.len()).filter(|at| text.is_char_boundary(*at)) {
            assert!(document::read(&text[..at]).is_err(), "cut at {at}");
        }
    }
}

/// What takes the place of a number of bytes.
#[derive(Clone, Debug)]
struct Edit {
    document: usize,
    at: Index,
    removed: usize,
    put: Option<u8>,
}

fn edit() -> impl Strategy<Value = Edit> {
    let put = prop_oneof![Just(None), (0..128_u8).prop_map(Some)];
    (0..GOLDEN.len(), any::<Index>(), 0..=1_usize, put).prop_map(|(document, at, removed, put)| Edit {
        document,
        at,
        removed,
        put,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn a_document_of_which_a_byte_was_changed_taken_out_or_put_in_is_refused(edit in edit()) {
        let text = &*GOLDEN[edit.document];
        let at = edit.at.index(text.len());
        let mut bytes = text.as_bytes().to_vec();
        bytes.splice(at..at + edit.removed, edit.put);
        // What is not UTF-8 does not come as text.
        if let Ok(changed) = String::from_utf8(bytes) {
            prop_assert!(changed == text || document::read(&changed).is_err(), "byte {at}");
        }
    }

    #[test]
    fn whatever_is_no_document_is_refused(text in ".*", head in 0..4_usize) {
        let head = ["", "{\"format\":2", "{\"format\":2,\"sha256\":\"", "{\"format\":2,\"sha256\":\"\",\"policy\":"][head];
        let text = format!("{head}{text}");
        prop_assert!(document::read(&text).is_err());
    }
}

#[test]
fn a_document_of_another_format_is_refused_as_such() {
    for format in [0, 1, 3, 100] {
        let text = format!(r#"{{"format":{format},"sha256":"","policy":{{}},"more":1}}"#);
        assert!(matches!(document::read(&text), Err(Unreadable::Format(found)) if found == format));
    }
    let known = document::write(&policy("keyward.toml")).unwrap();
    let newer = known.replacen("\"format\":2,", "\"format\":3,", 1);
    let why = document::read(&newer).unwrap_err().to_string();
    assert!(why.contains("format 3") && why.contains("reads format 2"), "{why}");
}

static KNOWN: LazyLock<String> = LazyLock::new(|| {
    serde_json::to_string(&policy("crates/policy/tests/it/documents/awkward.toml")).unwrap()
});

fn with_its_hash(policy: &str) -> Result<Policy, Unreadable> {
    use sha2::{Digest, Sha256};
    let hash: String = Sha256::digest(policy).iter().map(|byte| format!("{byte:02x}")).collect();
    document::read(&format!(r#"{{"format":2,"sha256":"{hash}","policy":{policy}}}"#))
}

#[test]
fn what_a_policy_does_not_know_is_refused_though_its_hash_is_right() {
    assert!(with_its_hash(&KNOWN).is_ok());
    for (known, other) in [
        (r#"{"admin""#, r#"{"more":1,"admin""#),
        (r#""api":"#, r#""api2":"#),
        (r#""freshness_ms":5000"#, r#""freshness_ms":-1"#),
        (r#""freshness_ms":5000"#, r#""freshness_ms":5000.5"#),
        (r#""limits_unavailable":"refuse""#, r#""limits_unavailable":"pass""#),
        (r#""origin":{"handler":"app"}"#, r#""origin":{"file":"app"}"#),
        (r#""origin":{"handler":"app"}"#, r#""origin":{"handler":"app","url":"https://a.example"}"#),
        (r#""requires":"public""#, r#""requires":"anything""#),
    ] {
        assert!(KNOWN.contains(known), "{known}");
        let changed = KNOWN.replacen(known, other, 1);
        assert!(matches!(with_its_hash(&changed), Err(Unreadable::Policy(_))), "{changed}");
    }
}

/// A field more in any part of a policy, or one less, is a policy of another version.
#[test]
fn every_part_of_a_policy_has_all_its_fields_and_no_other() {
    let at = |text: &str| KNOWN.match_indices(text).map(|(at, _)| at).collect::<Vec<_>>();
    let mut objects = 0;
    for at in at("{\"").into_iter().chain(at("{}")) {
        let more = if KNOWN[at..].starts_with("{}") { "\"more\":1" } else { "\"more\":1," };
        let changed = format!("{}{more}{}", &KNOWN[..=at], &KNOWN[at + 1..]);
        assert!(with_its_hash(&changed).is_err(), "{changed}");
        objects += 1;
    }
    assert!(objects > 40, "{objects}");
}
