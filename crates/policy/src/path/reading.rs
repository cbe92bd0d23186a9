//! The loosest reading of a path, and whether it leads to where the path itself does.
//!
//! Many servers ignore case, a slash at the end, `;parameters`, dots at the end of a name, accents. The gate does not:
//! to it `/Admin`, `/admin;x` and `/admin/` are no `/admin`. So that none of them reaches through a broad route what a
//! narrow one guards, a path passes only if every route that takes it, or takes its reading, asks for the same. To Windows,
//! `/ADMINI~1` and `/administration:x` are `/administration` as well, unless a route says that they are names of their own.

use std::borrow::Cow;

use super::{normal::decode, pattern::is_between, segment};
use crate::model::{Admin, PathPattern, Policy, Realm, Route, Segment, Tail};

/// How the loosest of servers reads a path: names as [`segment::reading`] has them. Names that read as nothing are left
/// out, or some of them are there after all.
#[derive(Clone)]
pub struct Reading<'p> {
    names: Vec<Name<'p>>,
    /// Whether the path ends in a slash, which is one to some servers and none to others.
    ends_in_slash: bool,
}

#[derive(Clone)]
struct Name<'p> {
    text: Cow<'p, str>,
    /// Whether the policy has it written out.
    is_written: bool,
    /// Why some server leaves it out, if one does.
    left_out: Option<LeftOut>,
}

/// Why a name reads as nothing.
#[derive(Clone, Copy, PartialEq, Eq)]
enum LeftOut {
    /// It is `+` alone, a space to some servers.
    Plus,
    /// It becomes that to those which put compatible characters in each other's place first.
    Compatible,
}

impl<'p> Name<'p> {
    fn of(normal: &'p str, is_written: bool) -> Self {
        let text = read(normal);
        let left_out = text.is_empty().then(|| {
            let is_plus = decode(normal).is_ok_and(|text| text.bytes().all(|byte| byte == b'+'));
            if is_plus { LeftOut::Plus } else { LeftOut::Compatible }
        });
        Self { text, is_written, left_out }
    }

    fn is(&self, literal: &str) -> bool {
        self.text == literal || !self.is_written && segment::is_name_of(&self.text, literal)
    }

    fn is_between(&self, before: &str, after: &str) -> bool {
        is_between(&self.text, before, after)
            || !self.is_written && segment::is_name_between(&self.text, before, after)
    }

    fn begins(&self, prefix: &str) -> bool {
        self.text.starts_with(prefix) || !self.is_written && segment::is_short_name_of(&self.text, prefix)
    }
}

impl<'p> Reading<'p> {
    /// The readings of a normalised path that this pattern takes: one, unless names read as nothing.
    fn all(path: &'p str, pattern: &PathPattern) -> Vec<Self> {
        let segments = path.split('/').skip(1).enumerate().filter(|(_, text)| !text.is_empty());
        let names = segments.map(|(index, text)| Name::of(text, pattern.has_written(index))).collect();
        let whole = Self { names, ends_in_slash: path.ends_with('/') };
        if whole.names.iter().all(|name| name.left_out.is_none()) {
            return vec![whole];
        }
        let without = |left_out: &[LeftOut]| {
            let mut reading = whole.clone();
            reading.names.retain(|name| name.left_out.is_none_or(|why| !left_out.contains(&why)));
            reading
        };
        let readings = [&[LeftOut::Plus, LeftOut::Compatible][..], &[LeftOut::Plus], &[]];
        readings.into_iter().map(without).collect()
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
            (Some(Segment::Literal(_)), _) => true,
            (Some(Segment::Parameter(_)), _) => false,
            (Some(Segment::Affixed { before, after, .. }), _) => {
                before.contains([':', '~']) || after.contains([':', '~'])
            }
            (None, Tail::Prefix(prefix)) => index == self.segments.len() && prefix.contains([':', '~']),
            (None, Tail::Exact) => false,
        }
    }

    /// Whether it takes a path with this reading.
    fn matches_reading(&self, reading: &Reading<'_>) -> bool {
        let mut names = reading.names.iter().peekable();
        for segment in self.segments {
            let matches = match segment {
                Segment::Parameter(_) => names.next().is_some(),
                Segment::Affixed { before, after, .. } => {
                    let [before, after] = [before, after].map(|affix| affix.to_ascii_lowercase());
                    names.next().is_some_and(|name| name.is_between(&before, &after))
                }
                Segment::Literal(text) => {
                    let text = segment::reading(text);
                    if text.is_empty() {
                        names.next_if(|name| name.left_out.is_some());
                    }
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

impl PathPattern {
    /// A pattern of these parts.
    pub(crate) fn of(source: &'static str, segments: &'static [Segment], tail: Tail) -> Self {
        let read = |text: &'static str| -> &'static str {
            match segment::reading(text) {
                Cow::Borrowed(text) => text,
                Cow::Owned(text) => text.leak(),
            }
        };
        let as_read = segments.iter().filter_map(|segment| match segment {
            Segment::Literal(text) => Some(read(text)).filter(|text| !text.is_empty()).map(Segment::Literal),
            parameter @ Segment::Parameter(_) => Some(*parameter),
            Segment::Affixed { before, name, after } => {
                let [before, after] = [before, after].map(|affix| as_lower(affix));
                Some(Segment::Affixed { before, name, after })
            }
        });
        let as_read: Vec<Segment> = as_read.collect();
        let tail_as_read = match tail {
            Tail::Exact => Tail::Exact,
            Tail::Prefix(prefix) => Tail::Prefix(read(prefix)),
        };
        let is_read_so = as_read == segments && tail_as_read == tail;
        let read = (!is_read_so).then(|| {
            let pattern = Self { source, segments: as_read.leak(), tail: tail_as_read, read: None };
            &*Box::leak(Box::new(pattern))
        });
        Self { source, segments, tail, read }
    }

    /// The pattern that takes the readings of the paths that this one takes.
    pub(crate) fn as_read(&self) -> &Self {
        self.read.unwrap_or(self)
    }

    /// Whether it takes the reading of a path that is its own reading, but not the path.
    fn takes_only_as_read(&self, path: &str) -> bool {
        self.read.is_some_and(|read| read.matches(path)) && !self.matches(path)
    }
}

/// An affix as it is read: it has nothing of what else is read otherwise.
fn as_lower(affix: &'static str) -> &'static str {
    if affix.bytes().any(|byte| byte.is_ascii_uppercase()) {
        affix.to_ascii_lowercase().leak()
    } else {
        affix
    }
}

/// Whether a normalised path is its own reading, the only one. So are most: then no text has to be made to see where
/// the reading leads.
fn reads_as_itself(path: &str) -> bool {
    let is_plain = |byte: u8| {
        byte.is_ascii_lowercase()
            || byte.is_ascii_digit()
            || matches!(byte, b'-' | b'_' | b'.' | b'@' | b'=' | b',')
    };
    let mut before = b'/';
    for byte in path.bytes().skip(1) {
        // A name ends, which may not be empty, nor lose a dot at its end.
        let fits = if byte == b'/' { !matches!(before, b'/' | b'.') } else { is_plain(byte) };
        if !fits {
            return false;
        }
        before = byte;
    }
    path.starts_with('/') && !matches!(before, b'/' | b'.')
}

impl Route {
    /// Whether two routes ask for the same.
    pub fn asks_the_same(&self, other: &Self) -> bool {
        (self.requires, self.session_id, self.freshness, self.limit_by_network)
            == (other.requires, other.session_id, other.freshness, other.limit_by_network)
    }
}

impl Policy {
    /// Whether every reading of a normalised path leads to this realm and route, which take the path itself: or to
    /// routes that ask for the same.
    pub fn is_clear(&self, host: &str, method: &str, path: &str, realm: &Realm, route: &Route) -> bool {
        let bases = [self.admin.api, self.admin.page];
        let is_plain =
            reads_as_itself(path) && bases.iter().all(|base| base.is_empty() || reads_as_itself(base));
        if is_plain {
            self.is_clear_as_written(host, method, path, realm, route)
        } else {
            self.is_clear_as_read(host, method, path, realm, route)
        }
    }

    /// The same for a path that is its own reading, where Keyward's own paths are, too: only patterns that are read as
    /// others can take the one and not the other.
    fn is_clear_as_written(
        &self,
        host: &str,
        method: &str,
        path: &str,
        realm: &Realm,
        route: &Route,
    ) -> bool {
        let is_own = |base: &&str| {
            let below = path.strip_prefix(base).filter(|_| !base.is_empty());
            below.is_some_and(|below| below.is_empty() || below.starts_with('/'))
        };
        let takes_only_reading = |other: &Realm| {
            other.id != realm.id
                && other.paths.iter().any(|pattern| pattern.takes_only_as_read(path))
                && !other.paths.iter().any(|pattern| pattern.matches(path))
                && other.hosts.iter().any(|pattern| pattern.matches(host))
        };
        let asks_otherwise = |other: &Route| {
            !other.path.matches(path) && other.has_a_say(method, route) && !other.asks_the_same(route)
        };
        !Admin::HEALTH.iter().chain(&[self.admin.api, self.admin.page]).any(is_own)
            && !self.realms.iter().any(takes_only_reading)
            && route.path.read.is_none_or(|read| read.matches(path))
            && realm.paths.iter().any(|pattern| pattern.as_read().matches(path))
            && !realm.routes.read_at(path).iter().any(asks_otherwise)
    }

    /// The same for any path, in all its readings: what [`Policy::is_clear`] does where none is the path itself.
    pub fn is_clear_as_read(
        &self,
        host: &str,
        method: &str,
        path: &str,
        realm: &Realm,
        route: &Route,
    ) -> bool {
        let is_clear = |reading| self.is_clear_as(&reading, host, method, path, realm, route);
        Reading::all(path, &route.path).into_iter().all(is_clear)
    }

    fn is_clear_as(
        &self,
        reading: &Reading<'_>,
        host: &str,
        method: &str,
        path: &str,
        realm: &Realm,
        route: &Route,
    ) -> bool {
        let is_own = |base: &&str| !base.is_empty() && reading.is_within(base);
        if Admin::HEALTH.iter().chain(&[self.admin.api, self.admin.page]).any(is_own) {
            return false;
        }
        let takes_only_reading = |other: &&Realm| {
            other.id != realm.id
                && other.hosts.iter().any(|pattern| pattern.matches(host))
                && !other.paths.iter().any(|pattern| pattern.matches(path))
                && other.paths.iter().any(|pattern| pattern.matches_reading(reading))
        };
        if self.realms.iter().any(|other| takes_only_reading(&other)) {
            return false;
        }
        let asks_otherwise = |other: &&Route| {
            other.has_a_say(method, route)
                && !other.asks_the_same(route)
                && other.path.matches_only_reading(path, reading)
        };
        route.path.matches_reading(reading)
            && realm.paths.iter().any(|pattern| pattern.matches_reading(reading))
            && !realm.routes.iter().any(|other| asks_otherwise(&other))
    }
}
