//! Right policies, and where their fields are, for tests that make them wrong.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

/// Policies that between them have nearly every field.
pub const POLICIES: [&str; 13] = [
    include_str!("../../../../keyward.toml"),
    include_str!("../../../../examples/bd/keyward.toml"),
    include_str!("../../../../examples/gw/keyward.toml"),
    include_str!("../../../../examples/bs/keyward.toml"),
    include_str!("../../../../examples/bp/keyward.toml"),
    include_str!("../../../../examples/kb/keyward.toml"),
    include_str!("mistakes/right.toml"),
    include_str!("documents/imported.toml"),
    include_str!("documents/sign_in_code.toml"),
    include_str!("documents/anonymous.toml"),
    include_str!("documents/events.toml"),
    include_str!("documents/log.toml"),
    include_str!("documents/leaks.toml"),
];

/// The policy without comments, and where in it a field's name begins and ends, and where its value does.
pub fn fields(policy: &str) -> (String, Vec<[usize; 4]>) {
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
