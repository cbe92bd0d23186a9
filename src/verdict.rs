//! Verdicts as text, of which `src/verdict.js` is the reader: an entry a line, so that one string crosses where each entry
//! would. No header field holds a line break: the platform takes none in and none is made here.

use keyward_gate::{Open, handle::Forward, refusal::Answer, watch::Watched};

use super::policy;

/// `a`, the status, names and values of header fields in turn; after a NUL, the body.
pub fn of_answer(answer: &Answer) -> String {
    let mut text = format!("a{}", answer.status);
    push_fields(&mut text, answer.headers.iter().map(|(name, value)| (*name, value.as_str())));
    text.push('\0');
    text.push_str(&answer.body);
    text
}

/// `f` and the profile's number; the request's id; the URL, if it is not the request's own; what names the request while it is
/// open, if it is; what is told of it, if anything is; headers with credentials. Then names
/// and values, an empty line at the end of each list: what is set in the request, what is set in the answer, and what is
/// added to lists of the answer.
pub fn of_forward(forward: &Forward, request_id: &str, watched: Option<&Watched>) -> String {
    let realms = policy::get().map_or(&[] as &[_], |policy| policy.realms);
    // The realm is the policy's, so there is a number; with none, the profile is not found.
    let number = forward.profile.number(realms).unwrap_or(usize::MAX);
    let mut text = String::with_capacity(640);
    text.push('f');
    text.push_str(&number.to_string());
    let open = forward.open.as_ref().map(Open::to_text).unwrap_or_default();
    let watched = watched.map(Watched::to_text).unwrap_or_default();
    for line in [request_id, forward.url.as_deref().unwrap_or_default(), &open, &watched] {
        push(&mut text, line);
    }
    text.push('\n');
    for (i, name) in forward.credentials.iter().enumerate() {
        if i > 0 {
            text.push(',');
        }
        text.push_str(name);
    }
    push_fields(&mut text, forward.added.iter().map(|(name, value)| (*name, value.as_str())));
    text.push('\n');
    push_fields(&mut text, forward.answer.set.iter().map(|(name, value)| (*name, value.as_str())));
    text.push('\n');
    push_fields(&mut text, forward.answer.merged.iter().copied());
    text
}

fn push(text: &mut String, line: &str) {
    text.push('\n');
    text.push_str(line);
}

/// A value that cannot be one would be taken for what comes after it: its field is left out.
fn push_fields<'f>(text: &mut String, fields: impl Iterator<Item = (&'f str, &'f str)>) {
    for (name, value) in fields.filter(|(_, value)| !value.contains(['\n', '\0'])) {
        push(text, name);
        push(text, value);
    }
}
