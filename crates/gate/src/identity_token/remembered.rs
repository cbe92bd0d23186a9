//! Tokens that an isolate has signed, by what they say.

use std::rc::Rc;

use lru::LruCache;

use super::keys::KeySet;
use crate::bounded::{Note, Notes};
use keyward_core::time::{Span, Timestamp};

/// Most bytes of them: of the isolate's 128 MiB. That is some 4,000 of usual size.
const MOST_BYTES: usize = 4 << 20;
/// What a token takes beside its texts, reckoned well on the large side.
const OVERHEAD: usize = 256;

/// What an isolate remembers of identity tokens.
pub struct Remembered {
    /// The deployment's keys: a changed secret starts new isolates.
    pub keys: Option<Rc<KeySet>>,
    /// Tokens, and when each was signed.
    signed: Notes,
    /// Bytes of all `signed`.
    weight: usize,
}

impl Default for Remembered {
    fn default() -> Self {
        Self { keys: None, signed: LruCache::unbounded(), weight: 0 }
    }
}

impl Remembered {
    /// The token with these claims and life, if it is younger than half of that. One from the future is none: the clock was
    /// set back.
    pub fn token(&mut self, claims: &str, life: Span, now: Timestamp) -> Option<String> {
        let (Note::Token(token), at) = self.signed.get(name(claims, life).as_str())? else { return None };
        at.is_within(life / 2, now).then(|| token.clone())
    }

    /// A token was signed at this moment.
    pub fn remember(&mut self, claims: &str, life: Span, at: Timestamp, token: &str) {
        let name = name(claims, life);
        let named = OVERHEAD + name.len();
        self.weight += named + token.len();
        if let Some((old, _)) = self.signed.put(name, (Note::Token(token.to_owned()), at)) {
            self.weight = self.weight.saturating_sub(named + old.len());
        }
        while self.weight > MOST_BYTES
            && let Some((name, (oldest, _))) = self.signed.pop_lru()
        {
            self.weight = self.weight.saturating_sub(OVERHEAD + name.len() + oldest.len());
        }
    }
}

fn name(claims: &str, life: Span) -> String {
    format!("{}{claims}", life.ms())
}
