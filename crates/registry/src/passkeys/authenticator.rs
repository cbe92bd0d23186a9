//! Authenticator data (WebAuthn, 6.1): what the authenticator says of itself, and of the person before it.

use keyward_policy::jwk::PublicKey;
use sha2::{Digest, Sha256};

use super::cose;

/// The person was there (UP), and was verified by the authenticator (UV): by a PIN, a finger, a face.
const PRESENT_AND_VERIFIED: u8 = 0x05;
/// The passkey may be copied to other devices of the person's (BE), and was (BS).
const MAY_BE_COPIED: u8 = 0x08;
const IS_COPIED: u8 = 0x10;
/// A new key is in it (AT), extensions are (ED).
const HAS_KEY: u8 = 0x40;
const HAS_EXTENSIONS: u8 = 0x80;
/// Most bytes of a credential's id (WebAuthn, 5.1).
const LONGEST_ID: usize = 1_023;
const AAGUID_BYTES: usize = 16;

/// What it says, if it is for this host, and a person was there and verified.
pub struct AuthenticatorData<'a> {
    /// How often the passkey was used; 0 where that is not counted.
    pub counter: u32,
    /// Whether the passkey may be on several devices.
    pub is_synced: bool,
    flags: u8,
    rest: &'a [u8],
}

/// A new key.
pub struct NewKey<'a> {
    /// Its id.
    pub id: &'a [u8],
    /// The key itself.
    pub key: PublicKey,
}

impl<'a> AuthenticatorData<'a> {
    /// Reads it.
    pub fn read(bytes: &'a [u8], host: &str) -> Option<Self> {
        let (rp_id_hash, rest) = bytes.split_at_checked(32)?;
        let (flags, rest) = rest.split_first()?;
        let (counter, rest) = rest.split_first_chunk()?;
        let has = |flag: u8| flags & flag == flag;
        let fits = *rp_id_hash == Sha256::digest(host)[..]
            && has(PRESENT_AND_VERIFIED)
            && (has(MAY_BE_COPIED) || !has(IS_COPIED));
        let is_synced = has(MAY_BE_COPIED);
        fits.then_some(Self { counter: u32::from_be_bytes(*counter), is_synced, flags: *flags, rest })
    }

    /// Whether it says nothing of a key, as where one is used.
    pub fn is_plain(&self) -> bool {
        self.flags & HAS_KEY == 0 && self.ends_with(self.rest)
    }

    /// The key that was made.
    pub fn new_key(&self) -> Option<NewKey<'a>> {
        if self.flags & HAS_KEY == 0 {
            return None;
        }
        let (_, rest) = self.rest.split_at_checked(AAGUID_BYTES)?;
        let (length, rest) = rest.split_first_chunk()?;
        let length = usize::from(u16::from_be_bytes(*length));
        let (id, rest) = rest.split_at_checked(length).filter(|_| (1..=LONGEST_ID).contains(&length))?;
        let (key, rest) = cose::read(rest)?;
        self.ends_with(rest).then_some(NewKey { id, key })
    }

    /// Whether this may come after everything else: extensions, of which none was asked for and none is read.
    fn ends_with(&self, rest: &[u8]) -> bool {
        rest.is_empty() == (self.flags & HAS_EXTENSIONS == 0)
    }
}
