//! No message, hint or excerpt of a mistake shows a secret, wherever in a policy somebody put one.

#![allow(clippy::panic, clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_policy::compile::{Mistakes, ReadError, compile};

use crate::policies::{POLICIES, fields};

const RIGHT: &str = include_str!("mistakes/right.toml");

fn compiled(text: &str) -> Result<(), Mistakes> {
    compile("keyward.toml", |file| match file {
        "keyward.toml" => Ok(text.to_owned()),
        _ => Err(ReadError::Other("no such file".to_owned())),
    })
    .map(|_| ())
}

/// What is printed of a policy that is wrong.
fn shown(text: &str) -> String {
    match compiled(text) {
        Ok(()) => panic!("nothing was found wrong with:\n{text}"),
        Err(mistakes) => format!("{mistakes:#}"),
    }
}

#[test]
fn no_mistake_shows_a_secret() {
    const KEY: &str = "sk_live_0123456789abcdefghijABCDEFGHIJ012345";
    for (right, wrong) in [
        ("id = \"shop\"", format!("id = \"{KEY}\"")),
        ("id = \"shop\"", format!("id = \"shop\" # {KEY}")),
        // Where the line that is shown ends within it.
        ("id = \"shop\"", format!("id = \"shop\" # {}{KEY}", "x ".repeat(43))),
        ("\"api_key\"", format!("\"={KEY}\"")),
        ("\"sk_live_\"", format!("\"{KEY}\"")),
        ("binding = \"ORIGIN\"", format!("url = \"https://{KEY}@example.com\"")),
        ("style = \"problem\"", format!("style = \"{KEY}\"")),
        ("\"orders:write\" =", format!("\"{KEY}\" =")),
        ("freshness = \"5s\"", format!("freshness = \"{KEY}\"")),
        ("id = \"shop\"", format!("id = \"shop\"\napi_token = \"{KEY}\"")),
    ] {
        assert!(RIGHT.contains(right), "{right}");
        let shown = shown(&RIGHT.replace(right, &wrong));
        assert!(!shown.contains("0123456789"), "{shown}");
    }
    for (right, wrong) in [
        ("binding = \"ORIGIN\"", "url = \"https://user:hunter2@example.com\""),
        ("id = \"shop\"", "id = \"shop\"\npassword = \"hunter2\""),
        ("random = 30", "signing_secret = \"hunter2\""),
        // In a field that nobody knows, or that is not read because of another mistake.
        ("random = 30", "signing = \"hunter2\""),
        ("random = 30", "signing = { with = \"hunter2\" }"),
        ("style = \"problem\"", "style = \"problem\"\ncredential = [\"hunter2\"]"),
        ("binding = \"ORIGIN\"", "url = \"https://user:hunter2@example.com\", binding = \"ORIGIN\""),
        ("[\"https://app.example.com\"]", "[\"https://user:hunter2@example.com\", \"*\"]"),
        (
            "[realm.scopes]",
            "[realm.webhook]\na = { scheme = \"strip\", secret = \"hunter2\", url = \"https://u:hunter2@a.example\" }\n\
             [realm.scopes]",
        ),
        ("[realm.scopes]", "[realm.jwt]\nissuer = 1\njwks = 'hunter2'\nsecrt = \"hunter2\"\n[realm.scopes]"),
        // In a line that is no TOML.
        ("random = 30", "password = hunter2"),
        ("random = 30", "password \"hunter2\""),
        ("random = 30", "signing = \"hunter2"),
        ("random = 30", "random = 30 signing = \"hunter2\""),
        ("binding = \"ORIGIN\"", "binding = \"ORIGIN\", token = hunter2"),
        ("binding = \"ORIGIN\"", "url = https://user:hunter2@example.com"),
        ("\"sk_live_\"", "hunter2"),
        ("[realm.scopes]", "[realm.scopes with = \"hunter2\"]"),
    ] {
        assert!(RIGHT.contains(right), "{right}");
        let shown = shown(&RIGHT.replace(right, wrong));
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}

/// Letters alone, so that nothing but its prefix tells that it is a key.
const LETTERS: &str = "QwertyuiopAsdfghjklZxcvbnmQwertyuiopAsdf";

/// Secrets as TOML has them between quotation marks, and the part of each that nothing may show.
fn secrets() -> Vec<(String, &'static str)> {
    let key = |before: &str| (format!("{before}{LETTERS}"), "wertyuiop");
    vec![
        key("kw_live_"),
        key("credekw_test_"),
        key("Bearer kw_live_"),
        key("/v1/kw_live_"),
        key("KW-LIVE-"),
        key("\\u006bw_live_"),
        key("a\\nkw_live_"),
        key("sk_live_4"),
        key("kw_session_"),
        ("Bearer hunter2".to_owned(), "hunter2"),
        ("basic dXNlcjpodW50ZXIy".to_owned(), "XNlcjpodW50"),
        ("https://user:hunter2@h.example/x".to_owned(), "hunter2"),
        ("https://hunter2@h.example".to_owned(), "hunter2"),
        ("https://h.example/x?token=hunter2".to_owned(), "hunter2"),
        ("user:hunter2@h.example".to_owned(), "hunter2"),
        ("https://user:hunt\\u0065r2@h.example".to_owned(), "hunter2"),
        (
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.c2lnbmF0dXJlMTIzNDU2Nzg5MDEyMzQ1Ng".to_owned(),
            "IxMjM0NTY3",
        ),
        ("-----BEGIN KEY----- MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg".to_owned(), "MBMGByqGSM49"),
        ("0123456789abcdef0123456789abcdef".to_owned(), "0123456789"),
    ]
}

#[test]
fn a_secret_in_place_of_any_value_or_beside_it_is_never_shown() {
    let mut wrong = 0;
    // Of these, too, nearly every field is in one.
    for policy in POLICIES.into_iter().step_by(2) {
        let (text, fields) = fields(policy);
        for [begin, end, from, to] in fields {
            let (before, name, after) = (&text[..begin], &text[begin..end], &text[to..]);
            let misspelt = format!("{}{}{}", &name[1..2], &name[..1], &name[2..]);
            let (line_end, _) = after.split_once('\n').unwrap_or((after, ""));
            let next = &after[line_end.len()..];
            for (secret, part) in secrets() {
                let beside = |comment: &str| {
                    format!("{before}{misspelt} = {}{line_end} # {comment}{next}", &text[from..to])
                };
                // In a comment nothing is an escape.
                let commented = if secret.contains('\\') { "" } else { secret.as_str() };
                for changed in [
                    format!("{before}{name} = \"{secret}\"{after}"),
                    format!("{before}{misspelt} = \"{secret}\"{after}"),
                    format!("{before}{name} = [\"{secret}\", \"{secret}\"]{after}"),
                    format!("{before}{name} = {{ a = \"{secret}\" }}{after}"),
                    // Not TOML.
                    format!("{before}{name} = \"{secret}\" x{after}"),
                    beside(commented),
                    beside("password: hunter2"),
                ] {
                    let Err(mistakes) = compiled(&changed) else { continue };
                    let shown = format!("{mistakes:#}").to_lowercase();
                    assert!(
                        !shown.contains(&part.to_lowercase()) && !shown.contains("hunter2"),
                        "{secret} in place of {name}:\n{mistakes:#}"
                    );
                    wrong += 1;
                }
            }
        }
    }
    assert!(wrong > 5_000, "{wrong}");
}

#[test]
fn a_secret_in_a_table_that_is_never_read_is_not_shown() {
    for wrong in [
        "origin = \"https://h.example\", \"hunter2\"",
        "origin = [{ url = \"hunter2\" }]",
        "origin = [[{ url = \"hunter2\" }]]",
        "origin = { url = { with = \"hunter2\" } }",
        "origin = \"hunter2\"",
        "key = [\"hunter2\"]",
        "jwt = { key = 1, issuer = { secret = \"hunter2\" } }",
        "webhook = \"hunter2\"",
        "webhook = { a = \"hunter2\" }",
        "webhook = { a = { scheme = 1, scret = \"hunter2\" } }",
        "scopes = { password = \"hunter2\" }",
        "refusals = { codes = { API_TOKEN = \"hunter2\" } }",
    ] {
        for line in
            [format!("[[realm]]\n{wrong}"), format!("[realm]\n{wrong}"), format!("realm = {{ {wrong} }}")]
        {
            // On one line with a mistake, and twice, so that the line is certainly shown.
            for text in [line.clone(), format!("{line} # {}{LETTERS}", "kw_live_")] {
                let shown = shown(&text);
                assert!(!shown.contains("hunter2"), "{text}\n{shown}");
            }
        }
    }
}

/// The format of a realm's keys is not known where its section is wrong: its prefix is, as the file has it.
#[test]
fn a_key_of_a_realm_whose_format_cannot_be_read_is_not_shown() {
    let key = format!("sk_live_{LETTERS}");
    let commented = RIGHT.replace("freshness = \"5s\"", &format!("freshness = \"5 s\" # {key}"));
    for (right, wrong) in [
        ("random = 30", "random = \"x\""),
        ("test_prefix = \"sk_test_\"", "test_prefix = 1"),
        ("[realm.key]", "[realm.kye]"),
        ("[[realm]]", "[[raelm]]"),
        ("random = 30", "random = 30 30"),
    ] {
        assert!(commented.contains(right), "{right}");
        let shown = shown(&commented.replace(right, wrong));
        assert!(!shown.contains("wertyuiop"), "{shown}");
    }
}

/// Keys of one file's realms, in another.
#[test]
fn a_key_in_another_file_than_its_realm_is_refused_and_not_shown() {
    let key = format!("sk_live_{LETTERS}");
    let found = compile("all.toml", |file| {
        Ok(if file == "all.toml" { format!("include = [\"shop.toml\"] # {key}") } else { RIGHT.to_owned() })
    });
    let found = found.unwrap_err();
    assert_eq!(found.list.len(), 1, "{found}");
    assert_eq!((found.list[0].file, found.list[0].line), ("all.toml", 1));
    assert_eq!(found.list[0].message, "there is an API key in the policy");
    assert_eq!(found.list[0].excerpt, "include = [\"shop.toml\"] # …");
}

#[test]
fn a_key_that_is_written_with_escapes_is_refused_like_any_other() {
    for description in [
        format!("\"\\u006bw_live_{LETTERS}\""),
        format!("\"a\\nkw_live_{LETTERS}\""),
        format!("\"\"\"kw_live_\\\n  {LETTERS}\"\"\""),
    ] {
        let text = RIGHT.replace("\"Read orders\"", &description);
        assert!(text != RIGHT);
        let found = compiled(&text).unwrap_err();
        let messages: Vec<&str> = found.list.iter().map(|mistake| mistake.message.as_str()).collect();
        assert_eq!(messages, ["there is an API key in the policy"], "{found:#}");
        assert!(!format!("{found:#}").contains("wertyuiop"), "{found:#}");
    }
}

/// A part of a longer word is no key: it is not shown, but nothing is refused for it.
#[test]
fn what_only_looks_like_a_key_within_a_longer_word_is_no_mistake() {
    let text = RIGHT.replace("\"Read orders\"", &format!("\"credekw_live_{LETTERS}\""));
    assert!(text != RIGHT && compiled(&text).is_ok());
}

#[test]
fn what_is_no_secret_is_shown() {
    for (right, wrong, expected) in [
        ("id = \"shop\"", "id = \"The Shop\"", "id = \"The Shop\""),
        ("freshness = \"5s\"", "freshness = \"5 s\" # soon", "freshness = \"5 s\" # soon"),
        ("[\"api.example.com\"]", "[\"https://api.example.com\"]", "hosts = [\"https://api.example.com\"]"),
        ("paths = [\"/api/*\"]", "paths = [\"api\"]", "paths = [\"api\"]"),
        (
            "{ header = \"X-Api-Key\" }",
            "{ headr = \"X-Api-Key\" }",
            "credentials = [{ headr = \"X-Api-Key\" }]",
        ),
        ("\"orders:write\" =", "\"orders write\" =", "\"orders write\" = { description = \"Change orders\""),
    ] {
        assert!(RIGHT.contains(right), "{right}");
        let shown = shown(&RIGHT.replace(right, wrong));
        assert!(shown.contains(&format!("| {expected}")), "{shown}");
    }
}
