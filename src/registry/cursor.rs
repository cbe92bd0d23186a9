//! Cursors: opaque to the caller, and only those that were handed out to the same tenant for the
//! same list are taken back.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::Value;
use subtle::ConstantTimeEq;

use crate::{
    registry::{
        Turn,
        input::{self, Wrong},
    },
    secret::Secrets,
};

const PURPOSE: &str = "keyward cursor 1";
const POSITION: usize = 8;
const MAC: usize = 16;

/// The cursor for what comes after `position` in this list of this tenant.
pub fn encode(secrets: &Secrets, list: &str, tenant_id: &str, position: i64) -> String {
    let position = position.to_be_bytes();
    let mac = secrets.mac(PURPOSE, &parts(list, tenant_id, &position));
    let bytes: Vec<u8> = position.iter().chain(mac.iter().take(MAC)).copied().collect();
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The position of a cursor that was handed out by [`encode`]; `None` for any other text.
pub fn decode(secrets: &Secrets, list: &str, tenant_id: &str, cursor: &str) -> Option<i64> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
    let (position, mac) = bytes.split_first_chunk::<POSITION>()?;
    let known = secrets
        .macs(PURPOSE, &parts(list, tenant_id, position))
        .any(|expected| expected.get(..MAC).is_some_and(|expected| bool::from(expected.ct_eq(mac))));
    known.then(|| i64::from_be_bytes(*position))
}

fn parts<'a>(list: &'a str, tenant_id: &'a str, position: &'a [u8]) -> [&'a [u8]; 5] {
    [list.as_bytes(), &[0], tenant_id.as_bytes(), &[0], position]
}

impl Turn<'_> {
    /// The position that a `cursor` parameter names.
    pub fn position(&self, list: &str, tenant_id: &str, value: &Value) -> Result<i64, Wrong> {
        let cursor = value.as_str().unwrap_or_default();
        decode(self.secrets, list, tenant_id, cursor).map_or_else(
            || input::wrong("is not a cursor of this list: take `nextCursor` as it was given"),
            Ok,
        )
    }
}
