//! What an authenticator says when a passkey is made: its data, with a COSE key in it.
//!
//! Input: flags, counter and the rest, behind the hash of the host, which chance never finds.

use keyward_policy::jwk::PublicKey;
use keyward_registry::passkeys::{authenticator::AuthenticatorData, cose::ALGORITHMS};
use sha2::{Digest, Sha256};

const HOST: &str = "gate.example";
const HAS_EXTENSIONS: u8 = 0x80;

pub fn run(rest: &[u8]) {
    assert!(AuthenticatorData::read(rest, HOST).is_none(), "it is for another host");
    let said = [&Sha256::digest(HOST)[..], rest].concat();
    let Some(data) = AuthenticatorData::read(&said, HOST) else { return };
    let flags = rest[0];
    assert_eq!(flags & 0x05, 0x05, "nobody was there and verified");
    assert_eq!(data.counter.to_be_bytes(), rest[1..5]);
    let Some(made) = data.new_key() else { return };
    assert!(!data.is_plain());
    let length = usize::from(u16::from_be_bytes([rest[21], rest[22]]));
    assert_eq!(made.id, &rest[23..23 + length]);
    assert!((1..=1_023).contains(&length));
    // As it is stored, it is read back as the same.
    let stored = made.key.to_jwk();
    let again = PublicKey::parse(&serde_json::from_str(&stored).expect("it is JSON"), &ALGORITHMS);
    assert_eq!(again.map(|key| key.to_jwk()), Ok(stored));
    if flags & HAS_EXTENSIONS == 0 {
        let less = &said[..said.len() - 1];
        let less = AuthenticatorData::read(less, HOST);
        assert!(less.and_then(|data| data.new_key()).is_none(), "a part is not the whole");
        let more = [&said[..], &[0]].concat();
        let more = AuthenticatorData::read(&more, HOST);
        assert!(more.and_then(|data| data.new_key()).is_none(), "and nothing comes after it");
    }
}
