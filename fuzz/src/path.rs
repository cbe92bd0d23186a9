//! Paths, as the gate and as origin servers read them, and the patterns that they are matched with.
//!
//! Input: lines with a path and two patterns; then bytes, each a step that a server of any kind takes.

use keyward_policy::{PathPattern, path::normalise};
use percent_encoding::percent_decode_str;
use url::Url;

use crate::support::{lines, text};

#[path = "../../crates/policy/tests/it/servers/models.rs"]
mod models;
#[path = "../../crates/policy/tests/it/servers/reach.rs"]
mod reach;

use models::STEPS;

pub fn run(data: &[u8]) {
    let text = text(data);
    let ([path, one, other], steps) = lines(&text);
    let normal = match normalise(path) {
        Ok(normal) => normal,
        // Never what is plain.
        Err(why) => return assert!(!is_plain(path), "{path:?} {why}"),
    };
    assert_eq!(normalise(&normal).as_deref(), Ok(&*normal), "the form has itself as its form");
    let decoded = |path: &str| percent_decode_str(path).collect::<Vec<u8>>();
    assert_eq!(decoded(&normal), decoded(path));
    assert!(normal.len() <= 3 * path.len());
    if let Some(read) = path.starts_with('/').then(|| Url::parse(&format!("http://h{path}"))) {
        let read = read.expect("what passes stands in a URL");
        assert_eq!(normalise(read.path()).as_deref(), Ok(&*normal), "to the WHATWG it is {}", read.path());
        assert_eq!((read.query(), read.fragment()), (None, None));
        let steps: Vec<_> =
            steps.bytes().take(6).map(|step| STEPS[usize::from(step) % STEPS.len()]).collect();
        // Whether it passes or not: it fails where a server is led to what another route guards.
        let _ = reach::check(reach::policy(), path, &steps);
    }
    let [one, other] = [one, other].map(|source| PathPattern::parse(source).ok());
    for pattern in [&one, &other].into_iter().flatten() {
        assert_eq!(
            pattern.matches(&normal),
            takes(pattern.source, &normal),
            "{} and {normal}",
            pattern.source
        );
    }
    let (Some(one), Some(other)) = (one, other) else { return };
    let shown = || format!("{} and {}", one.source, other.source);
    assert!(one.covers(&one) && one.overlaps(&one), "{}", shown());
    assert_eq!(one.overlaps(&other), other.overlaps(&one), "{}", shown());
    if one.covers(&other) {
        assert!(one.overlaps(&other), "{}", shown());
        assert!(one.matches(&normal) || !other.matches(&normal), "{}: {normal}", shown());
    }
    if one.matches(&normal) && other.matches(&normal) {
        assert!(one.overlaps(&other), "{}: {normal}", shown());
    }
}

fn is_plain(path: &str) -> bool {
    let plain = |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric());
    path.strip_prefix('/').is_some_and(|rest| rest.split('/').all(plain))
}

/// A matcher of the test's own, of what the documents say.
fn takes(pattern: &str, path: &str) -> bool {
    let Some(path) = path.strip_prefix('/') else { return false };
    let (pattern, is_open) = pattern.strip_suffix('*').map_or((pattern, false), |pattern| (pattern, true));
    let (parts, names): (Vec<_>, Vec<_>) = (pattern[1..].split('/').collect(), path.split('/').collect());
    let (last, parts) = parts.split_last().expect("a split has a part");
    // A parameter may have text beside it.
    let fits = |(part, name): (&&str, &&str)| match part.split_once('{') {
        None => part == name,
        Some((before, rest)) => {
            let after = rest.split_once('}').map_or("", |(_, after)| after);
            let between = name.strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
            between.is_some_and(|between| !between.is_empty())
        }
    };
    if names.len() < parts.len() + 1 || !parts.iter().zip(&names).all(fits) {
        return false;
    }
    let rest = names[parts.len()..].join("/");
    if is_open {
        rest.starts_with(last)
    } else {
        names.len() == parts.len() + 1 && fits((last, &rest.as_str()))
    }
}
