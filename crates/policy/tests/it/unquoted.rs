//! No mistake shows a value that stands under a name like a secret's, under a misspelt name or in a field whose values
//! are not for everybody, nor a key that something cuts in two.

#![allow(clippy::panic, clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_policy::compile::{Mistakes, SECTIONS, compile};

use crate::policies::{POLICIES, fields};

const RIGHT: &str = include_str!("mistakes/right.toml");

fn mistakes(text: &str) -> Option<Mistakes> {
    compile("keyward.toml", |_| Ok(text.to_owned())).err()
}

/// Where the fields of each table begin, after its header or its brace, and whether they are on one line.
fn tables(text: &str) -> Vec<(usize, bool)> {
    let headers = text.match_indices("]\n").filter_map(|(at, _)| {
        let line = text[..at].rfind('\n').map_or(0, |end| end + 1);
        text[line..].starts_with('[').then_some((at + 2, false))
    });
    let braces = text.match_indices("{ ").map(|(at, brace)| (at + brace.len(), true));
    headers.chain(braces).collect()
}

#[test]
fn a_name_like_a_secrets_is_never_taken_for_another_field() {
    let names = [
        "key",
        "secret_key",
        "secret_text",
        "secret_hex",
        "secret_b64",
        "secrets",
        "bearer",
        "pass",
        "Pass",
        "passwd",
        "pwd",
        "auth",
        "credential",
        "token",
        "api_key",
        "private_key",
    ];
    let mut tried = 0;
    for policy in POLICIES {
        let (text, _) = fields(policy);
        for (at, is_inline) in tables(&text) {
            for name in names {
                let field = format!("{name} = \"hunter2/x y\"{}", if is_inline { ", " } else { "\n" });
                let wrong = format!("{}{field}{}", &text[..at], &text[at..]);
                let found = mistakes(&wrong).unwrap();
                assert!(!format!("{found:#}").contains("hunter2"), "{wrong}\n{found:#}");
                // A scope, a code or a webhook may have any name, and a realm has a key.
                let is_field = found.list.iter().any(|mistake| {
                    mistake
                        .message
                        .contains(&format!("has the field {name:?}, and a policy holds no secrets"))
                });
                let before = &text[..at];
                let line = before.trim_end().lines().last().unwrap();
                let is_free = ["scopes]", "codes", "messages"].into_iter().any(|table| line.contains(table));
                // `secrets` is a slip of `secret` where that is not there; it is named, and not quoted.
                assert!(is_field || is_free || ["key", "secrets"].contains(&name), "{wrong}\n{found:#}");
                tried += 1;
            }
        }
    }
    assert!(tried > 1_000, "{tried}");
}

/// Not the line either, where the field's values are for nobody.
#[test]
fn no_message_quotes_what_stands_under_a_misspelt_name() {
    let values =
        ["\"hunter2/x y\"", "\"hunter2\"", "\"/hunter2\"", "\"HUNTER2:x\"", "[\"hunter2\", \"hunter2\"]"];
    for policy in POLICIES {
        let (text, fields) = fields(policy);
        for [begin, end, from, to] in fields {
            let name = &text[begin..end];
            for misspelt in [format!("{}{}{}", &name[1..2], &name[..1], &name[2..]), format!("{name}x")] {
                for value in values {
                    let wrong = format!("{}{misspelt} = {value}{}", &text[..begin], &text[to..]);
                    let Some(found) = mistakes(&wrong) else { continue };
                    assert!(
                        !found.to_string().to_lowercase().contains("hunter2"),
                        "{}\n{found}",
                        &text[from..to]
                    );
                }
            }
        }
    }
}

const UNSEEN: [&str; 13] = [
    "authorization_url",
    "token_url",
    "client_secret",
    "url",
    "live_prefix",
    "test_prefix",
    "prefixes",
    "hash",
    "jwks_url",
    "jwks",
    "secret",
    "prefix",
    "origins",
];

#[test]
fn a_wrong_value_of_a_field_that_is_not_for_everybody_is_not_shown() {
    let unseen = SECTIONS.iter().flat_map(|section| section.fields).filter(|field| !field.is_shown);
    unseen.for_each(|field| assert!(UNSEEN.contains(&field.name), "{} is not tried", field.name));
    let values = [
        "\"hunter2\"",
        "\"hunter2 x\"",
        "\"/hunter2\"",
        "\"ftp://hunter2\"",
        "\"https://h.example/hunter2 x\"",
        "\"https://hunter2.example/x\"",
        "\"http://hunter2.example\"",
        "[\"hunter2\"]",
        "[\"hunter2\", \"hunter2\"]",
        "[\"https://hunter2.example\", \"https://hunter2.example\", \"*\"]",
        "[[\"hunter2\"]]",
        "{ a = \"hunter2\" }",
        "'{ \"keys\": [{ \"kty\": \"hunter2\" }] }'",
        "'{ \"keys\": [{ \"kty\": \"EC\", \"crv\": \"hunter2\" }] }'",
        "'{ \"keys\": [{ \"kty\": 1, \"use\": \"hunter2\" }, { \"kty\": \"RSA\", \"key_ops\": \"hunter2\" }] }'",
    ];
    let long = format!("'{{ \"keys\": [{{ \"kty\": \"hunter2{}\" }}] }}'", "x".repeat(300));
    let mut tried = 0;
    for policy in POLICIES {
        let (text, fields) = fields(policy);
        for [begin, end, from, to] in fields {
            if !UNSEEN.contains(&&text[begin..end]) {
                continue;
            }
            for value in values.into_iter().chain([long.as_str()]) {
                let Some(found) = mistakes(&format!("{}{value}{}", &text[..from], &text[to..])) else {
                    continue;
                };
                // The other `hash` is a word that everybody may see.
                let is_word = found.list.iter().any(|mistake| mistake.message.contains("[realm.key] hash"));
                assert!(is_word || !format!("{found:#}").contains("hunter2"), "{value}\n{found:#}");
                tried += 1;
            }
        }
    }
    assert!(tried > 100, "{tried}");
    let link = "[realm.link]\nparameter = \"t\"\ncookie = \"__Host-s\"\nprefix = \"hunter2\"";
    let square = "[realm.webhook.s]\nscheme = \"square\"\nsecret = \"A\"\nurl = \"hunter2\"";
    let jwks = "[realm.jwt]\nissuer = \"i\"\naudience = \"a\"\nalgorithms = [\"ES256\"]\njwks = ";
    let mut wrongs = vec![
        RIGHT.replace("sk_live_", "hunter2").replace("sk_test_", "hunter2"),
        RIGHT.replace("sk_live_", "hunter2").replace("sk_test_", "hunter2_x"),
        RIGHT.replace("sk_live_", "hunter2live").replace("test_prefix = \"sk_test_\"\n", ""),
        RIGHT.replace("sk_live_", "hunter2_x") + link,
        RIGHT.to_owned() + square,
    ];
    wrongs.extend(values.into_iter().chain([long.as_str()]).map(|value| format!("{RIGHT}{jwks}{value}")));
    for wrong in wrongs {
        let shown = format!("{:#}", mistakes(&wrong).unwrap());
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}

/// Letters alone, so that nothing but its prefix tells that it is a key.
const LETTERS: &str = "QwertyuiopAsdfghjklZxcvbnmMnbvcxzLkjhgf";

#[test]
fn a_key_that_is_cut_in_two_is_not_shown() {
    for prefix in ["sk_live_", "kw_live_"] {
        let key = format!("{prefix}{LETTERS}");
        for cut in ["\u{200b}", "\\u200b", "\\n", " ", "  ", "\\t", "\\\"", "\u{ad}", "."] {
            for at in 1..key.len() {
                // As long as its beginning is none of the prefix's, it is not known as a key.
                if at < prefix.len() && matches!(cut, "\\\"") {
                    continue;
                }
                let cut = format!("{}{cut}{}", &key[..at], &key[at..]);
                not_shown(&RIGHT.replace("orders:write", &cut));
                not_shown(&RIGHT.replace("id = \"shop\"", &format!("id = \"{cut}\"")));
            }
        }
        for at in prefix.len()..key.len() {
            let cut = format!("{}\n{}", &key[..at], &key[at..]);
            not_shown(&RIGHT.replace("id = \"shop\"", &format!("id = \"\"\"{cut}\"\"\"")));
            not_shown(&RIGHT.replace("id = \"shop\"", &format!("id = '''{cut}'''")));
            not_shown(&RIGHT.replace("id = \"shop\"", &format!("id = \"\"\"\n{cut}\"\"\"")));
        }
    }
}

/// No eight characters of the key in a row.
fn not_shown(wrong: &str) {
    assert!(wrong != RIGHT);
    // A part of a key can be a scope's name, of which nothing is wrong.
    let shown = mistakes(wrong).map(|found| format!("{found:#}")).unwrap_or_default().to_lowercase();
    let letters = LETTERS.to_lowercase();
    for at in 0..letters.len() - 7 {
        assert!(!shown.contains(&letters[at..at + 8]), "{}\n{shown}", &letters[at..at + 8]);
    }
}

#[test]
fn a_key_with_escapes_in_the_name_of_an_unknown_table_is_refused_and_not_shown() {
    let escaped = format!("\\u0073k_live_{LETTERS}");
    for wrong in [
        format!("[realm.foo.\"{escaped}\"]\na = 1\n"),
        format!("[[realm.foo.\"{escaped}\"]]\na = 1\n"),
        format!("[realm.foo]\n\"{escaped}\".a = 1\n"),
        format!("[realm.foo]\na = {{ \"{escaped}\" = 1 }}\n"),
        format!("[realm.foo]\na = [{{ b = \"{escaped}\" }}]\n"),
        format!("[realm.\"{escaped}\"]\na = 1\n"),
        format!("[realm.\"{escaped}\".foo.bar]\na = 1\n"),
    ] {
        let wrong = format!("{RIGHT}\n{wrong}");
        let found = mistakes(&wrong).unwrap();
        let is_refused = |mistakes: &Mistakes| {
            mistakes.list.iter().any(|mistake| mistake.message == "there is an API key in the policy")
        };
        assert!(is_refused(&found), "{wrong}\n{found:#}");
        not_shown(&wrong);
    }
}
