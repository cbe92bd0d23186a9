//! What follows only from another mistake is not told: whatever one thing is wrong with a policy, one mistake is
//! printed.

#![allow(clippy::panic, clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_policy::compile::compile;

use crate::policies::{POLICIES, fields};

fn mistakes(text: &str) -> Vec<String> {
    match compile("keyward.toml", |_| Ok(text.to_owned())) {
        Ok(_) => Vec::new(),
        Err(mistakes) => {
            mistakes.list.iter().map(|mistake| format!("{}: {}", mistake.line, mistake.message)).collect()
        }
    }
}

#[test]
fn a_misspelt_field_is_the_only_mistake() {
    let mut tried = 0;
    for policy in POLICIES {
        let (text, fields) = fields(policy);
        assert_eq!(mistakes(&text), Vec::<String>::new());
        for [begin, end, ..] in fields {
            let name = &text[begin..end];
            let misspelt = format!("{}{}{}", &name[1..2], &name[..1], &name[2..]);
            let wrong = format!("{}{misspelt}{}", &text[..begin], &text[end..]);
            let found = mistakes(&wrong);
            assert_eq!(found.len(), 1, "{misspelt}: {found:#?}");
            assert!(found[0].contains("has no field"), "{found:#?}");
            tried += 1;
        }
        for (at, _) in text.match_indices("[realm.") {
            let wrong = format!("{}{}", &text[..at], text[at..].replacen("]", "x]", 1));
            let found = mistakes(&wrong);
            assert_eq!(found.len(), 1, "{found:#?}");
            tried += 1;
        }
    }
    assert!(tried > 150, "{tried}");
}

#[test]
fn a_value_of_another_type_or_meaning_is_the_only_mistake() {
    for policy in POLICIES {
        let (text, fields) = fields(policy);
        for [name, end, from, to] in fields {
            for value in ["1979-05-27", "\"%$&\"", "-7", "[\"%$&\"]", "{}"] {
                let wrong = format!("{}{value}{}", &text[..from], &text[to..]);
                let found = mistakes(&wrong);
                // Some fields take any text, or an empty table.
                assert!(found.len() <= 1, "{} = {value}: {found:#?}", &text[name..end]);
            }
        }
    }
}
