//! The routes that take a path, found without trying each: a tree by segments, made when the policy is read. So a request
//! costs as much with a thousand routes as with ten.

use super::pattern::is_between;
use crate::model::{PathPattern, Route, Routes, Segment, Tail};

/// What finds routes by path.
#[derive(Default)]
pub(crate) struct Index {
    /// Every route, by its pattern.
    written: Node,
    /// Those whose patterns are [read](crate::path) as others, by these.
    read: Node,
}

/// Where the patterns go on after their first segments. Routes are held by their places in the list.
#[derive(Default)]
struct Node {
    /// After a segment that is written out, in the order of their texts.
    literals: Vec<(&'static str, Node)>,
    /// After one of which beginning and end are.
    affixed: Vec<(&'static str, &'static str, Node)>,
    /// After one that is not.
    parameter: Option<Box<Node>>,
    /// Patterns that end here.
    exact: Vec<usize>,
    /// Patterns for whatever begins so from here on.
    open: Vec<(&'static str, usize)>,
}

/// A route on its way to its node: what is left of its pattern.
#[derive(Clone, Copy)]
struct Entry {
    place: usize,
    rest: &'static [Segment],
    tail: Tail,
}

impl Index {
    pub(crate) fn of(routes: &[Route]) -> Self {
        let entry =
            |place, pattern: &PathPattern| Entry { place, rest: pattern.segments, tail: pattern.tail };
        let places = || routes.iter().enumerate();
        let written = places().map(|(place, route)| entry(place, &route.path));
        let read = places().filter_map(|(place, route)| Some(entry(place, route.path.read?)));
        Self { written: Node::of(written.collect()), read: Node::of(read.collect()) }
    }
}

impl Node {
    fn of(entries: Vec<Entry>) -> Self {
        let mut node = Self::default();
        let (mut literals, mut parameters) = (Vec::<(&str, Entry)>::new(), Vec::new());
        let mut affixed = Vec::<((&'static str, &'static str), Vec<Entry>)>::new();
        for entry in entries {
            match (entry.rest, entry.tail) {
                ([Segment::Literal(text), rest @ ..], _) => {
                    let place = literals.partition_point(|(other, _)| other <= text);
                    literals.insert(place, (text, Entry { rest, ..entry }));
                }
                ([Segment::Affixed { before, after, .. }, rest @ ..], _) => {
                    let (affixes, entry) = ((*before, *after), Entry { rest, ..entry });
                    match affixed.iter_mut().find(|(other, _)| *other == affixes) {
                        Some((_, alike)) => alike.push(entry),
                        None => affixed.push((affixes, vec![entry])),
                    }
                }
                ([Segment::Parameter(_), rest @ ..], _) => parameters.push(Entry { rest, ..entry }),
                ([], Tail::Exact) => node.exact.push(entry.place),
                ([], Tail::Prefix(prefix)) => node.open.push((prefix, entry.place)),
            }
        }
        let child = |alike: &[(&'static str, Entry)]| {
            let (text, _) = alike.first()?;
            Some((*text, Self::of(alike.iter().map(|(_, entry)| *entry).collect())))
        };
        node.literals = literals.chunk_by(|(one, _), (other, _)| one == other).filter_map(child).collect();
        let with_affixes = affixed.into_iter();
        node.affixed =
            with_affixes.map(|((before, after), alike)| (before, after, Self::of(alike))).collect();
        node.parameter = (!parameters.is_empty()).then(|| Box::new(Self::of(parameters)));
        node
    }

    /// Adds the routes that take what is left of a path; `None` where it has ended.
    fn find(&self, rest: Option<&str>, found: &mut Vec<usize>) {
        let mut add = |place: usize| {
            let at = found.partition_point(|other| *other < place);
            found.insert(at, place);
        };
        let Some(rest) = rest else {
            self.exact.iter().copied().for_each(add);
            return;
        };
        for (prefix, place) in &self.open {
            if rest.starts_with(prefix) {
                add(*place);
            }
        }
        let (segment, after) = match rest.split_once('/') {
            Some((segment, after)) => (segment, Some(after)),
            None => (rest, None),
        };
        if let Ok(place) = self.literals.binary_search_by(|(text, _)| (*text).cmp(segment))
            && let Some((_, node)) = self.literals.get(place)
        {
            node.find(after, found);
        }
        for (before, after_name, node) in &self.affixed {
            if is_between(segment, before, after_name) {
                node.find(after, found);
            }
        }
        if let Some(node) = self.parameter.as_ref().filter(|_| !segment.is_empty()) {
            node.find(after, found);
        }
    }
}

impl Routes {
    /// Those that take this normalised path.
    pub(super) fn at(self, path: &str) -> RoutesAt {
        self.found(&self.index.written, path)
    }

    /// Those whose patterns are read as others, which take this path.
    pub(super) fn read_at(self, path: &str) -> RoutesAt {
        self.found(&self.index.read, path)
    }

    fn found(self, tree: &Node, path: &str) -> RoutesAt {
        let mut places = Vec::new();
        if let Some(rest) = path.strip_prefix('/') {
            tree.find(Some(rest), &mut places);
        }
        RoutesAt { routes: places.into_iter().filter_map(|place| self.into_iter().nth(place)).collect() }
    }
}

/// The routes of a realm that take one path, in the order of the file.
pub struct RoutesAt {
    routes: Vec<&'static Route>,
}

impl RoutesAt {
    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &'static Route> {
        self.routes.iter().copied()
    }

    /// The one that takes this method: the first that does. But HEAD tells what GET does, so where a route takes GET, none
    /// but that takes HEAD. And what an earlier route guards, with whatever methods, no route that anybody passes opens with
    /// others that it does not name.
    pub fn for_method(&self, method: &str) -> Option<&'static Route> {
        let find = |method| self.iter().find(|route| route.methods().contains(&method));
        let found = if method == "HEAD" { find("GET").or_else(|| find(method)) } else { find(method) }?;
        let mut earlier = self.iter().take_while(|route| !std::ptr::eq(*route, found));
        let is_opened = found.is_open_to_usual() && earlier.any(Route::is_guarded);
        (found.methods().contains(&method) && !is_opened).then_some(found)
    }
}
