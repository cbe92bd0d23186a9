//! Tokens that an isolate has signed, by what they say.

use std::rc::Rc;

use lru::LruCache;

use super::keys::KeySet;
use keyward_core::time::{Span, Timestamp};

/// Most bytes of them, as [`Signed::weight`] reckons: of the isolate's 128 MiB. That is some 4,000 of usual size.
const MOST_BYTES: usize = 4 << 20;
/// What a token takes beside its texts, reckoned well on the large side.
const OVERHEAD: usize = 256;

/// What an isolate remembers of identity tokens.
pub struct Remembered {
    /// The deployment's keys: a changed secret starts new isolates.
    pub keys: Option<Rc<KeySet>>,
    signed: LruCache<String, Signed>,
    /// The weight of all `signed`.
    weight: usize,
}

struct Signed {
    token: String,
    at: Timestamp,
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
        let signed = self.signed.get(name(claims, life).as_str())?;
        signed.at.is_within(life / 2, now).then(|| signed.token.clone())
    }

    /// A token was signed at this moment.
    pub fn remember(&mut self, claims: String, life: Span, at: Timestamp, token: &str) {
        let name = name(&claims, life);
        let signed = Signed { token: token.to_owned(), at };
        self.weight += weight(&name, &signed);
        if let Some((name, old)) = self.signed.push(name, signed) {
            self.weight = self.weight.saturating_sub(weight(&name, &old));
        }
        while self.weight > MOST_BYTES
            && let Some((name, oldest)) = self.signed.pop_lru()
        {
            self.weight = self.weight.saturating_sub(weight(&name, &oldest));
        }
    }
}

fn name(claims: &str, life: Span) -> String {
    format!("{}{claims}", life.ms())
}

fn weight(name: &str, signed: &Signed) -> usize {
    OVERHEAD + name.len() + signed.token.len()
}
