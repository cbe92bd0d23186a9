//! Path patterns: matching, covering, and (with `compile`) reading them.

use crate::model::{PathPattern, Segment, Tail};

impl PathPattern {
    /// Whether it matches this normalised path.
    pub fn matches(&self, path: &str) -> bool {
        let Some(mut rest) = path.strip_prefix('/').map(Some) else { return false };
        for pattern in self.segments {
            let Some(text) = rest else { return false };
            let (segment, after) = match text.split_once('/') {
                Some((segment, after)) => (segment, Some(after)),
                None => (text, None),
            };
            if !pattern.matches(segment) {
                return false;
            }
            rest = after;
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
        }
    }
}

impl Segment {
    fn matches(&self, segment: &str) -> bool {
        match self {
            Self::Literal(text) => *text == segment,
            Self::Parameter(_) => !segment.is_empty(),
        }
    }

    fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Literal(mine), Self::Literal(text)) => mine == text,
            (Self::Parameter(_), Self::Literal(text)) => !text.is_empty(),
            (Self::Parameter(_), Self::Parameter(_)) => true,
            (Self::Literal(_), Self::Parameter(_)) => false,
        }
    }

    fn overlaps(&self, other: &Self) -> bool {
        self.covers(other) || other.covers(self)
    }
}

#[cfg(feature = "compile")]
mod parse {
    use super::{PathPattern, Segment, Tail};
    use crate::path::normal::stands_in_path;

    impl PathPattern {
        /// Reads a pattern. What it keeps lives as long as the program: for builds and tests.
        ///
        /// # Errors
        /// What is wrong with it, as a phrase that follows "the path pattern … ".
        pub fn parse(source: &str) -> Result<Self, String> {
            let Some(path) = source.strip_prefix('/') else {
                return Err("does not begin with `/`".to_owned());
            };
            let (path, open) = match path.strip_suffix('*') {
                Some(path) => (path, true),
                None => (path, false),
            };
            let parts: Vec<&str> = path.split('/').collect();
            let last = parts.len().saturating_sub(1);
            let mut segments = Vec::new();
            let mut tail = Tail::Exact;
            let mut names: Vec<&str> = Vec::new();
            for (index, part) in parts.into_iter().enumerate() {
                let parameter = part.strip_prefix('{').and_then(|part| part.strip_suffix('}'));
                if part.is_empty() && index != last {
                    return Err("has an empty segment (`//`)".to_owned());
                }
                match parameter {
                    Some(name) if open && index == last => {
                        return Err(format!("has `*` straight after the parameter `{{{name}}}`"));
                    }
                    Some(name) => {
                        check_parameter(name, &names)?;
                        names.push(name);
                        segments.push(Segment::Parameter(leak(name)));
                    }
                    None => {
                        check_literal(part)?;
                        if open && index == last {
                            tail = Tail::Prefix(leak(part));
                        } else {
                            segments.push(Segment::Literal(leak(part)));
                        }
                    }
                }
            }
            Ok(Self { source: leak(source), segments: Vec::leak(segments), tail })
        }
    }

    fn check_parameter(name: &str, earlier: &[&str]) -> Result<(), String> {
        if name.is_empty() {
            return Err("has a parameter without a name (`{}`)".to_owned());
        }
        if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            return Err(format!("has the parameter `{{{name}}}`, whose name is not letters, digits and `_`"));
        }
        if earlier.contains(&name) {
            return Err(format!("has the parameter `{{{name}}}` twice"));
        }
        Ok(())
    }

    fn check_literal(part: &str) -> Result<(), String> {
        if part == "." || part == ".." {
            return Err(format!("has the segment `{part}`"));
        }
        for character in part.chars() {
            match character {
                '*' => return Err("has a `*` that is not at its end".to_owned()),
                '{' | '}' => return Err("has a `{` or `}` that is not around a whole segment".to_owned()),
                '?' => return Err("has a query (`?`)".to_owned()),
                '#' => return Err("has a fragment (`#`)".to_owned()),
                '%' => return Err("has a percent-encoded character".to_owned()),
                _ if character.is_ascii() && stands_in_path(character as u8) => {}
                _ => {
                    return Err(format!(
                        "has the character {character:?}, which never stands in a path as it is"
                    ));
                }
            }
        }
        Ok(())
    }

    fn leak(text: &str) -> &'static str {
        text.to_owned().leak()
    }
}
