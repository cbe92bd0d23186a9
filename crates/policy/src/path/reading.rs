//! The loosest reading of a path, and whether it leads to where the path itself does.
//!
//! Many servers ignore case, a slash at the end, `;parameters`, dots at the end of a name, accents. The gate does not:
//! to it `/Admin`, `/admin;x` and `/admin/` are no `/admin`. So that none of them reaches through a broad route what a
//! narrow one guards, a path passes only if every route that takes it, or takes its reading, asks for the same. To Windows,
//! `/ADMINI~1` and `/administration:x` are `/administration` as well, unless a route says that they are names of their own.

use std::borrow::Cow;

use super::{normal::decode, segment};
use crate::model::{Admin, PathPattern, Policy, Realm, Route, Segment, Tail};

/// How the loosest of servers reads a path: names as [`segment::reading`] has them, empty ones left out.
pub struct Reading<'p> {
    names: Vec<Name<'p>>,
    /// Whether the path ends in a slash, which is one to some servers and none to others.
    ends_in_slash: bool,
}

struct Name<'p> {
    text: Cow<'p, str>,
    /// Whether the policy has it written out.
    is_written: bool,
}

impl Name<'_> {
    fn is(&self, literal: &str) -> bool {
        self.text == literal || !self.is_written && segment::is_name_of(&self.text, literal)
    }

    fn begins(&self, prefix: &str) -> bool {
        self.text.starts_with(prefix) || !self.is_written && segment::is_short_name_of(&self.text, prefix)
    }
}

impl<'p> Reading<'p> {
    /// The reading of a normalised path that this pattern takes.
    fn of(path: &'p str, pattern: &PathPattern) -> Self {
        let name = |(index, text)| Name { text: read(text), is_written: pattern.has_written(index) };
        let segments = path.split('/').skip(1).enumerate();
        let names = segments.map(name).filter(|name| !name.text.is_empty());
        Self { names: names.collect(), ends_in_slash: path.ends_with('/') }
    }

    /// Whether it is this base path, or below it.
    fn is_within(&self, base: &str) -> bool {
        let mut names = self.names.iter();
        let mut own = base.split('/').map(read).filter(|name| !name.is_empty()).peekable();
        own.peek().is_some() && own.all(|own| names.next().is_some_and(|name| name.is(&own)))
    }
}

fn read(normal: &str) -> Cow<'_, str> {
    match decode(normal) {
        Ok(Cow::Borrowed(text)) => segment::reading(text),
        Ok(Cow::Owned(text)) => Cow::Owned(segment::reading(&text).into_owned()),
        Err(_) => Cow::Borrowed(normal),
    }
}

impl PathPattern {
    /// Whether it says of the segment at this place that it is a name of its own.
    fn has_written(&self, index: usize) -> bool {
        match (self.segments.get(index), self.tail) {
            (Some(segment), _) => matches!(segment, Segment::Literal(_)),
            (None, Tail::Prefix(prefix)) => index == self.segments.len() && prefix.contains([':', '~']),
            (None, Tail::Exact) => false,
        }
    }

    /// Whether it takes a path with this reading.
    fn matches_reading(&self, reading: &Reading<'_>) -> bool {
        let mut names = reading.names.iter();
        for segment in self.segments {
            let matches = match segment {
                Segment::Parameter(_) => names.next().is_some(),
                Segment::Literal(text) => {
                    let text = segment::reading(text);
                    text.is_empty() || names.next().is_some_and(|name| name.is(&text))
                }
            };
            if !matches {
                return false;
            }
        }
        match (self.tail, names.next()) {
            (Tail::Exact, name) => name.is_none(),
            (Tail::Prefix(prefix), Some(name)) => name.begins(&segment::reading(prefix)),
            (Tail::Prefix(prefix), None) => reading.ends_in_slash && segment::reading(prefix).is_empty(),
        }
    }

    /// Whether it takes this path's reading, but not the path.
    fn matches_only_reading(&self, path: &str, reading: &Reading<'_>) -> bool {
        !self.matches(path) && self.matches_reading(reading)
    }
}

#[cfg(feature = "compile")]
impl PathPattern {
    /// The pattern that takes the readings of the paths that this one takes.
    pub(crate) fn as_read(&self) -> Self {
        let read = |text: &'static str| -> &'static str {
            match segment::reading(text) {
                Cow::Borrowed(text) => text,
                Cow::Owned(text) => text.leak(),
            }
        };
        let segments = self.segments.iter().filter_map(|segment| match segment {
            Segment::Literal(text) => Some(read(text)).filter(|text| !text.is_empty()).map(Segment::Literal),
            parameter @ Segment::Parameter(_) => Some(*parameter),
        });
        let tail = match self.tail {
            Tail::Exact => Tail::Exact,
            Tail::Prefix(prefix) => Tail::Prefix(read(prefix)),
        };
        Self { source: self.source, segments: Vec::leak(segments.collect()), tail }
    }
}

impl Route {
    /// Whether two routes ask for the same.
    pub fn asks_the_same(&self, other: &Self) -> bool {
        (self.requires, self.session_id, self.freshness_ms)
            == (other.requires, other.session_id, other.freshness_ms)
    }
}

impl Policy {
    /// Whether every reading of a normalised path leads to this realm and route, which take the path itself: or to
    /// routes that ask for the same.
    pub fn is_clear(&self, host: &str, method: &str, path: &str, realm: &Realm, route: &Route) -> bool {
        let reading = Reading::of(path, &route.path);
        let is_own = |base: &&str| !base.is_empty() && reading.is_within(base);
        if Admin::HEALTH.iter().chain(&[self.admin.api, self.admin.page]).any(is_own) {
            return false;
        }
        let takes_only_reading = |other: &&Realm| {
            other.id != realm.id
                && other.hosts.iter().any(|pattern| pattern.matches(host))
                && !other.paths.iter().any(|pattern| pattern.matches(path))
                && other.paths.iter().any(|pattern| pattern.matches_reading(&reading))
        };
        if self.realms.iter().any(|other| takes_only_reading(&other)) {
            return false;
        }
        let asks_otherwise = |other: &&Route| {
            other.has_a_say(method, route)
                && !other.asks_the_same(route)
                && other.path.matches_only_reading(path, &reading)
        };
        route.path.matches_reading(&reading)
            && realm.paths.iter().any(|pattern| pattern.matches_reading(&reading))
            && !realm.routes.iter().any(|other| asks_otherwise(&other))
    }
}
