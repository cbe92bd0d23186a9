//! Reading a path pattern.

use std::borrow::Cow;

use thiserror::Error;

use super::{ambiguous::Ambiguous, normal::stands_in_path, segment as grammar};
use crate::{
    leak::leak,
    model::{PathPattern, Segment, Tail},
};

/// Why a text is not a path pattern.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("the pattern {wrong}: {hint}")]
pub struct BadPattern {
    /// What is wrong, as a phrase that follows the pattern.
    pub wrong: String,
    /// How to mend it.
    pub hint: Cow<'static, str>,
}

fn bad<T>(wrong: impl Into<String>, hint: impl Into<Cow<'static, str>>) -> Result<T, BadPattern> {
    Err(BadPattern { wrong: wrong.into(), hint: hint.into() })
}

impl PathPattern {
    /// Reads a pattern. What it keeps lives as long as the program: for builds and tests.
    ///
    /// # Errors
    /// [`BadPattern`] says what is wrong with it.
    pub fn parse(source: &str) -> Result<Self, BadPattern> {
        let Some(path) = source.strip_prefix('/') else {
            return bad("does not begin with `/`", "write the whole path, like \"/api/orders\"");
        };
        path.split('/').try_for_each(other_router)?;
        let (path, open) = path.strip_suffix('*').map_or((path, false), |path| (path, true));
        let mut parts = path.split('/').peekable();
        let mut segments = Vec::new();
        while let Some(part) = parts.next() {
            let last = parts.peek().is_none();
            if part.is_empty() && !last {
                return bad("has an empty segment (`//`)", "write one `/`: a request with two is refused");
            }
            if last && open {
                check_literal(part)?;
                if let Err(why) = grammar::check_beginning(part) {
                    return never(part, why);
                }
                return Ok(Self::new(source, segments, Tail::Prefix(leak(part))));
            }
            segments.push(segment(part, &segments)?);
        }
        Ok(Self::new(source, segments, Tail::Exact))
    }

    fn new(source: &str, segments: Vec<Segment>, tail: Tail) -> Self {
        Self::of(leak(source), Vec::leak(segments), tail)
    }
}

/// Refuses what is a parameter, a wildcard or a regular expression in the language of another router. Much of it
/// would be a literal here, which no request ever has.
fn other_router(part: &str) -> Result<(), BadPattern> {
    const BELOW: &str = "end the pattern with \"/*\" for anything below";
    let is_name = |text: &str| {
        !text.is_empty()
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
    };
    // The name in the middle of signs: `<int:id>`, `{id:[0-9]+}`, `:id?`.
    let name = |text: &str| {
        let mut words = text.split(|character: char| !character.is_ascii_alphanumeric() && character != '_');
        words.find(|word| !word.is_empty() && !TYPES.contains(word)).unwrap_or("id").to_owned()
    };
    let parameter = |text: &str| {
        bad(
            format!("has the segment `{part}`, which is no parameter here"),
            format!("write {{{}}} for any one segment", name(text)),
        )
    };
    let rest = || bad(format!("has the segment `{part}`, which is no wildcard here"), BELOW);
    let inner = |open, close| part.strip_prefix(open).and_then(|part: &str| part.strip_suffix(close));
    if part == "**" || part.starts_with('*') && is_name(part.trim_start_matches('*')) {
        return rest();
    }
    if let Some(text) = part.strip_prefix(':') {
        return if text.ends_with(['*', '+']) { rest() } else { parameter(text) };
    }
    if let Some(text) = inner("{", "}") {
        let (_, form) = text.split_once(':').unwrap_or(("", ""));
        let below = matches!(form, "path" | ".*" | ".+") || text.starts_with('*') || text.ends_with("...");
        return match text {
            "$" => bad(
                "has the segment `{$}`, which is no end here",
                "leave it out: a pattern without `*` ends where it ends",
            ),
            _ if below || form.is_empty() && text.ends_with(['*', '+']) => rest(),
            _ if !form.is_empty() || text.ends_with('?') => parameter(text),
            _ => Ok(()),
        };
    }
    if let Some(text) = inner("[", "]") {
        return if text.contains("...") { rest() } else { parameter(text) };
    }
    if let Some(text) = inner("<", ">") {
        return if text.starts_with("path:") { rest() } else { parameter(text) };
    }
    if let Some(text) = part.strip_prefix('$').filter(|text| names_one(text)) {
        return parameter(text);
    }
    let regex =
        [".*", ".+", "(?", "\\d", "\\w", "[^", "[0-9", "[a-z", "[A-Z"].iter().any(|sign| part.contains(sign));
    if regex || part.starts_with('^') || part.len() > 1 && part.ends_with('$') {
        return bad(
            format!("has the segment `{part}`, which is a regular expression"),
            format!("write {{id}} for any one segment; {BELOW}"),
        );
    }
    Ok(())
}

/// Words for the types of parameters that stand before or after their names.
const TYPES: &[&str] = &["int", "str", "string", "uuid", "slug", "path", "float", "any", "re"];

/// Whether what follows a `$` is one thing's name, a parameter in some routers. OData and FHIR have literal segments
/// that begin so: `$metadata`, `$batch`, `$everything`.
fn names_one(text: &str) -> bool {
    ["id", "uuid", "slug", "name", "key"].contains(&text) || text.ends_with("_id") || text.ends_with("Id")
}

fn segment(part: &str, earlier: &[Segment]) -> Result<Segment, BadPattern> {
    let around = part.split_once('{').and_then(|(before, rest)| {
        let (name, after) = rest.split_once('}')?;
        Some((before, name, after))
    });
    let Some((before, name, after)) =
        around.filter(|(before, _, after)| !format!("{before}{after}").contains(['{', '}']))
    else {
        check_literal(part)?;
        // Empty, it is the slash at the end.
        if !part.is_empty()
            && let Err(why) = grammar::check(part)
        {
            return never(part, why);
        }
        return Ok(Segment::Literal(leak(part)));
    };
    if name.is_empty() {
        return bad("has a parameter without a name (`{}`)", "name it, like {id}");
    }
    if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        return bad(
            format!("has the parameter `{{{name}}}`, which is badly named"),
            "use letters, digits and `_`, like {order_id}",
        );
    }
    let is_this = |segment: &Segment| match segment {
        Segment::Literal(_) => false,
        Segment::Parameter(other) | Segment::Affixed { name: other, .. } => *other == name,
    };
    if earlier.iter().any(is_this) {
        return bad(format!("has the parameter `{{{name}}}` twice"), "give each parameter a name of its own");
    }
    if before.is_empty() && after.is_empty() {
        return Ok(Segment::Parameter(leak(name)));
    }
    check_affixes(part, before, after)?;
    Ok(Segment::Affixed { before: leak(before), name: leak(name), after: leak(after) })
}

/// Refuses what stands beside a parameter where it could not be told from its value, or has another reading. What follows it
/// begins with a sign: a letter or digit could be the end of an encoded character.
fn check_affixes(part: &str, before: &str, after: &str) -> Result<(), BadPattern> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:~@()',=".contains(&byte);
    let begins_with_sign =
        after.is_empty() || after.starts_with(|first: char| !first.is_ascii_alphanumeric());
    if !before.bytes().chain(after.bytes()).all(plain) || !begins_with_sign || after.ends_with('.') {
        return bad(
            format!("has the segment `{part}`, of which not everything can stand beside a parameter"),
            "beside it stand letters, digits and common signs: what follows it begins with a sign and does not end with a dot, like \"{id}:cancel\"",
        );
    }
    grammar::check(&format!("{before}x{after}")).or_else(|why| never(part, why))
}

/// Refuses what no request has, since such a path is refused.
fn never<T>(part: &str, why: Ambiguous) -> Result<T, BadPattern> {
    bad(
        format!("has the segment `{part}`, which no request has that passes: its path {why}"),
        "write the path that servers read in one way only",
    )
}

fn check_literal(part: &str) -> Result<(), BadPattern> {
    if part == "." || part == ".." {
        return bad(format!("has the segment `{part}`"), "write the path that it leads to");
    }
    for character in part.chars() {
        match character {
            '*' => {
                return bad(
                    "has a `*` that is not at its end",
                    "use {name} for one segment in the middle, and `*` only as the last character",
                );
            }
            '{' | '}' => {
                return bad(
                    "has a `{` or `}` that is not around the one parameter of a segment",
                    "write \"/orders/{id}\", or \"/orders/{id}:cancel\" with text beside it; end with \"/*\" for anything below",
                );
            }
            '?' => {
                return bad(
                    "has a query (`?`)",
                    "take it out: routes are chosen by path and method, and nothing in a pattern may be missing",
                );
            }
            '#' => return bad("has a fragment (`#`)", "take it out: it is never sent to a server"),
            '%' => {
                return bad(
                    "has a percent-encoded character",
                    "write letters, digits and punctuation as they are, and {name} for a segment with others",
                );
            }
            _ if character.is_ascii() && stands_in_path(character as u8) => {}
            _ => {
                return bad(
                    format!("has the character {character:?}, which never stands in a path as it is"),
                    "use {name} for a segment with such characters",
                );
            }
        }
    }
    Ok(())
}
