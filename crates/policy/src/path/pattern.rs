//! What a path pattern matches, and how two of them relate.

use crate::model::{PathPattern, Segment, Tail};

impl PathPattern {
    /// Whether it matches this normalised path.
    pub fn matches(&self, path: &str) -> bool {
        let Some(mut rest) = path.strip_prefix('/').map(Some) else { return false };
        for pattern in self.segments {
            let Some(text) = rest else { return false };
            // What is written out is compared first: a search for the slash would go past it.
            let after = match pattern {
                Segment::Literal(literal) => text.strip_prefix(literal),
                Segment::Parameter(_) | Segment::Affixed { .. } => {
                    let (name, after) = text.split_at(text.find('/').unwrap_or(text.len()));
                    pattern.takes(name).then_some(after)
                }
            };
            rest = match after {
                None => return false,
                Some("") => None,
                Some(after) => match after.strip_prefix('/') {
                    Some(after) => Some(after),
                    None => return false,
                },
            };
        }
        match self.tail {
            Tail::Exact => rest.is_none(),
            Tail::Prefix(prefix) => rest.is_some_and(|rest| rest.starts_with(prefix)),
        }
    }

    /// Whether it matches every path that `other` matches: then `other` after it is never reached.
    pub fn covers(&self, other: &Self) -> bool {
        let mut theirs = other.segments.iter();
        for mine in self.segments {
            if !theirs.next().is_some_and(|segment| mine.covers(segment)) {
                return false;
            }
        }
        match (self.tail, theirs.next(), other.tail) {
            (Tail::Exact, None, Tail::Exact) => true,
            (Tail::Prefix(prefix), None, Tail::Prefix(longer)) => longer.starts_with(prefix),
            (Tail::Prefix(prefix), Some(Segment::Literal(text)), _) => text.starts_with(prefix),
            (Tail::Prefix(prefix), Some(Segment::Parameter(_)), _) => prefix.is_empty(),
            (Tail::Prefix(prefix), Some(Segment::Affixed { before, .. }), _) => before.starts_with(prefix),
            (Tail::Exact, _, _) | (Tail::Prefix(_), None, Tail::Exact) => false,
        }
    }

    /// Whether some path is matched by both.
    pub fn overlaps(&self, other: &Self) -> bool {
        let (mut mine, mut theirs) = (self.segments.iter(), other.segments.iter());
        loop {
            match (mine.next(), theirs.next()) {
                (Some(one), Some(two)) if one.overlaps(two) => {}
                (Some(_), Some(_)) => return false,
                (Some(segment), None) => return other.tail.can_begin(segment),
                (None, Some(segment)) => return self.tail.can_begin(segment),
                (None, None) => {
                    return match (self.tail, other.tail) {
                        (Tail::Exact, Tail::Exact) => true,
                        (Tail::Prefix(one), Tail::Prefix(two)) => {
                            one.starts_with(two) || two.starts_with(one)
                        }
                        _ => false,
                    };
                }
            }
        }
    }
}

impl Tail {
    /// Whether a path may go on with this segment where the pattern ends.
    fn can_begin(&self, segment: &Segment) -> bool {
        match (self, segment) {
            (Self::Exact, _) => false,
            (Self::Prefix(prefix), Segment::Literal(text)) => text.starts_with(prefix),
            (Self::Prefix(_), Segment::Parameter(_)) => true,
            (Self::Prefix(prefix), Segment::Affixed { before, .. }) => {
                before.starts_with(prefix) || prefix.starts_with(before)
            }
        }
    }
}

impl Segment {
    /// Whether it takes this one segment of a path.
    pub(super) fn takes(&self, text: &str) -> bool {
        match self {
            Self::Literal(literal) => *literal == text,
            Self::Parameter(_) => !text.is_empty(),
            Self::Affixed { before, after, .. } => is_between(text, before, after),
        }
    }

    fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (_, Self::Literal(text)) => self.takes(text),
            (Self::Parameter(_), _) => true,
            (Self::Literal(_), _) | (Self::Affixed { .. }, Self::Parameter(_)) => false,
            (
                Self::Affixed { before, after, .. },
                Self::Affixed { before: their_before, after: their_after, .. },
            ) => their_before.starts_with(before) && their_after.ends_with(after),
        }
    }

    fn overlaps(&self, other: &Self) -> bool {
        if let (
            Self::Affixed { before, after, .. },
            Self::Affixed { before: their_before, after: their_after, .. },
        ) = (self, other)
        {
            return (before.starts_with(their_before) || their_before.starts_with(before))
                && (after.ends_with(their_after) || their_after.ends_with(after));
        }
        self.covers(other) || other.covers(self)
    }
}

/// Whether a text begins and ends so, with something between.
pub(super) fn is_between(text: &str, before: &str, after: &str) -> bool {
    let name = text.strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
    name.is_some_and(|name| !name.is_empty())
}
