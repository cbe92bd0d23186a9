//! Challenges: random, sealed with their purpose and their end, so that nothing is stored of one before it is used. Those that were
//! used are kept until they end.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use keyward_core::{
    entropy,
    sql::{self, SqlError},
    time::{Span, Timestamp},
};
use subtle::ConstantTimeEq;

use crate::context::RequestContext;

/// How long one works.
pub const LIFE: Span = Span::from_mins(5);
/// Most that one member uses within that time.
const MOST_USED: u32 = 100;
const PURPOSE: &str = "keyward passkey challenge 1";
const RANDOM_BYTES: usize = 16;
const TIME_BYTES: usize = 8;
const MAC_BYTES: usize = 16;

/// A challenge that was given out for this, and has not ended.
pub struct Challenge {
    text: String,
    expires_at: Timestamp,
}

impl RequestContext<'_> {
    /// A new challenge for this purpose, which says for whom too.
    pub fn new_challenge(&mut self, purpose: &str) -> String {
        let mut bytes = entropy::bytes::<RANDOM_BYTES>(self.entropy).to_vec();
        bytes.extend((self.now + LIFE).0.to_be_bytes());
        let mac = self.secrets.mac(PURPOSE, &[purpose.as_bytes(), &[0], &bytes]);
        bytes.extend(mac.iter().take(MAC_BYTES));
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The challenge, if it was given out for this purpose and has not ended.
    pub fn challenge(&self, purpose: &str, text: &str) -> Option<Challenge> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (sealed, mac) = bytes.split_last_chunk::<MAC_BYTES>()?;
        let parts: [&[u8]; 3] = [purpose.as_bytes(), &[0], sealed];
        let is_ours = self
            .secrets
            .macs(PURPOSE, &parts)
            .any(|own| own.get(..MAC_BYTES).is_some_and(|own| bool::from(own.ct_eq(mac))));
        let (_, time) = sealed.split_last_chunk::<TIME_BYTES>().filter(|_| is_ours)?;
        let expires_at = Timestamp(i64::from_be_bytes(*time));
        // Later than any that is given out now: the clock was set back.
        let is_open = self.now < expires_at && expires_at <= self.now + LIFE;
        is_open.then(|| Challenge { text: text.to_owned(), expires_at })
    }

    /// Uses the challenge up, for this member. Whether it was not used before.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn use_challenge(&self, challenge: &Challenge, member_id: &str) -> Result<bool, SqlError> {
        self.db.run("DELETE FROM passkey_challenges WHERE expires_at <= ?", &[self.now.into()])?;
        let count = "SELECT COUNT(*) FROM passkey_challenges WHERE member_id = ?";
        if sql::scalar::<u32>(self.db, count, &[member_id.into()])?.unwrap_or_default() >= MOST_USED {
            return Ok(false);
        }
        let used = "INSERT OR IGNORE INTO passkey_challenges VALUES (?, ?, ?) RETURNING member_id";
        let values = [challenge.text.as_str().into(), member_id.into(), challenge.expires_at.into()];
        Ok(!self.db.run(used, &values)?.is_empty())
    }
}
