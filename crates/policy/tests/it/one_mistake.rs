//! What follows only from another mistake is not told: whatever one thing is wrong with a policy, one mistake is
//! printed.

#![allow(clippy::panic, clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_policy::compile::compile;

/// Policies that between them have nearly every field.
const POLICIES: [&str; 7] = [
    include_str!("../../../../keyward.toml"),
    include_str!("../../../../examples/bd/keyward.toml"),
    include_str!("../../../../examples/gw/keyward.toml"),
    include_str!("../../../../examples/bs/keyward.toml"),
    include_str!("../../../../examples/bp/keyward.toml"),
    include_str!("../../../../examples/kb/keyward.toml"),
    include_str!("mistakes/right.toml"),
];

fn mistakes(text: &str) -> Vec<String> {
    match compile("keyward.toml", |_| Ok(text.to_owned())) {
        Ok(_) => Vec::new(),
        Err(mistakes) => {
            mistakes.list.iter().map(|mistake| format!("{}: {}", mistake.line, mistake.message)).collect()
        }
    }
}

/// The policy without comments, and where in it a field's name begins and ends, and where its value does.
fn fields(policy: &str) -> (String, Vec<[usize; 4]>) {
    let lines = policy.lines().map(|line| line.split(" #").next().unwrap().trim_end());
    let lines: Vec<&str> = lines.filter(|line| !line.starts_with('#')).collect();
    let text = lines.join("\n");
    let is_name = |character: char| character.is_ascii_lowercase() || character == '_';
    let fields = text.match_indices(" = ").filter_map(|(at, _)| {
        let begin = text[..at].rfind(|character| !is_name(character)).map_or(0, |before| before + 1);
        (begin < at).then(|| [begin, at, at + 3, at + 3 + value(&text[at + 3..])])
    });
    let fields = fields.collect();
    (text, fields)
}

/// How long the value is at the beginning of this.
fn value(text: &str) -> usize {
    let (mut depth, mut quoted) = (0, false);
    for (at, character) in text.char_indices() {
        match character {
            '"' => quoted = !quoted,
            '[' | '{' if !quoted => depth += 1,
            ']' | '}' if !quoted && depth > 0 => depth -= 1,
            ',' | '\n' | '}' if !quoted && depth == 0 => return text[..at].trim_end().len(),
            _ => {}
        }
    }
    text.len()
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
