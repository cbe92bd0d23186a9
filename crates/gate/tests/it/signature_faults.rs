//! Signatures that are wrong in their numbers, their padding or their encoding, each made here with the right key:
//! what a verifier takes that does not look closely. Project Wycheproof's are in `wycheproof.rs`.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_gate::jwt::{Error, Keys};
use keyward_policy::{JwkSet, Jwt, JwtKeys};
use keyward_testing::{
    NOON,
    jose::{self, Key, PUBLIC, claims, decode, encode, rsa_signature, set_of, verify, with},
};
use p384::ecdsa::signature::Signer;
use rsa::BoxedUint;
use serde_json::{Value, json};
use sha2::{Digest, Sha256, Sha384, Sha512};

/// Takes every algorithm with a public key.
const ANY: Jwt = Jwt { keys: JwtKeys::Public { algorithms: jose::ALL, set: JwkSet::Inline("") }, ..PUBLIC };

fn p384_key() -> p384::ecdsa::SigningKey {
    p384::ecdsa::SigningKey::from_slice(&[7; 48]).unwrap()
}

fn keys() -> Keys {
    let point = p384_key().verifying_key().to_sec1_point(false);
    let (x, y) = point.as_bytes()[1..].split_at(48);
    let p384 = json!({ "kty": "EC", "kid": "ES384", "crv": "P-384", "x": encode(x), "y": encode(y) });
    set_of(&[Key::Rsa.jwk(), Key::Ec.jwk(), Key::Ed.jwk(), p384])
}

/// The text of a token of an algorithm that a signature is of.
fn text(algorithm: &str, claims: &Value) -> String {
    format!("{}.{}", encode(json!({ "alg": algorithm }).to_string()), encode(claims.to_string()))
}

/// Whether a token with this signature passes.
fn passes(keys: &Keys, text: &str, signature: &[u8]) -> bool {
    match verify(&format!("{text}.{}", encode(signature)), &ANY, keys, NOON) {
        Ok(_) => true,
        Err(Error::BadSignature) => false,
        Err(error) => panic!("{error}"),
    }
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// A big-endian number with room for more.
fn number(bytes: &[u8]) -> BoxedUint {
    BoxedUint::from_be_slice_vartime(&[&[0; 8], bytes].concat())
}

/// A number's last bytes, as many as these.
fn bytes(number: &BoxedUint, length: usize) -> Vec<u8> {
    let bytes = number.to_be_bytes();
    let all = [vec![0; length], bytes.to_vec()].concat();
    all[all.len() - length..].to_vec()
}

fn plus(a: &[u8], b: &[u8], length: usize) -> Vec<u8> {
    bytes(&number(a).wrapping_add(number(b)), length)
}

fn minus(a: &[u8], b: &[u8]) -> Vec<u8> {
    bytes(&number(a).wrapping_sub(number(b)), a.len())
}

fn without_zeros(bytes: &[u8]) -> &[u8] {
    &bytes[bytes.iter().take_while(|byte| **byte == 0).count()..]
}

/// The curves' orders (SEC 2, sections 2.4.2 and 2.5.1).
const P256_ORDER: &str = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
const P384_ORDER: &str =
    "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973";

fn ecdsa(algorithm: &str, text: &str) -> Vec<u8> {
    if algorithm == "ES256" {
        return Key::Ec.signature(text.as_bytes());
    }
    let signature: p384::ecdsa::Signature = p384_key().sign(text.as_bytes());
    signature.to_bytes().to_vec()
}

/// SEQUENCE of two INTEGER.
fn der(r: &[u8], s: &[u8]) -> Vec<u8> {
    let integer = |value: &[u8]| {
        let value = without_zeros(value);
        let sign = if value[0] & 0x80 == 0 { vec![] } else { vec![0] };
        [&[2, u8::try_from(value.len() + sign.len()).unwrap()], &sign[..], value].concat()
    };
    let both = [integer(r), integer(s)].concat();
    [&[0x30, u8::try_from(both.len()).unwrap()], &both[..]].concat()
}

#[test]
fn an_ecdsa_signature_is_two_numbers_between_zero_and_the_order_in_all_their_bytes() {
    let keys = keys();
    for (algorithm, order) in [("ES256", hex(P256_ORDER)), ("ES384", hex(P384_ORDER))] {
        let text = text(algorithm, &claims(NOON));
        let right = ecdsa(algorithm, &text);
        let size = order.len();
        let (r, s) = right.split_at(size);
        assert!(passes(&keys, &text, &right), "{algorithm}");
        // Nobody can make a token of it that says something else, and RFC 7518 asks for no certain one.
        assert!(passes(&keys, &text, &[r, &minus(&order, s)].concat()), "{algorithm}, the other s");

        let zero = vec![0; size];
        let one = plus(&zero, &[1], size);
        let special = [
            zero.clone(),
            one.clone(),
            minus(&order, &one),
            order.clone(),
            plus(&order, &one, size),
            vec![0xff; size],
        ];
        let mut wrong: Vec<Vec<u8>> = Vec::new();
        for value in &special {
            wrong.extend(special.iter().map(|other| [&value[..], other].concat()));
            wrong.extend([[r, value].concat(), [&value[..], s].concat()]);
        }
        let (long_r, long_s) = (plus(r, &order, size + 1), plus(s, &order, size + 1));
        wrong.extend([
            [s, r].concat(),
            [&minus(&order, r)[..], s].concat(),
            [&minus(&zero, r)[..], s].concat(),
            [r, &minus(&zero, s)[..]].concat(),
            [&long_r[..], &long_s].concat(),
            [&long_r[..], s].concat(),
            [r, &long_s].concat(),
            [&[0], &right[..]].concat(),
            [&right[..], &[0]].concat(),
            [&[0], r, &[0], s].concat(),
            [&[0; 16], r, &[0; 16], s].concat(),
            [r, &[0; 16], s, &[0; 16]].concat(),
            [&right[..], &right].concat(),
            right[1..].to_vec(),
            right[..right.len() - 1].to_vec(),
            r.to_vec(),
            s.to_vec(),
            vec![],
            vec![0; size * 4],
            der(r, s),
            der(&one, &one),
            [der(r, s), vec![0; size]].concat()[..size * 2].to_vec(),
        ]);
        for signature in wrong {
            assert!(!passes(&keys, &text, &signature), "{algorithm}: {signature:02x?}");
        }
    }
}

#[test]
fn an_ecdsa_number_that_begins_with_zero_keeps_it() {
    let keys = keys();
    for algorithm in ["ES256", "ES384"] {
        for part in 0..2 {
            let (text, right) = (0..)
                .map(|count| text(algorithm, &with("count", json!(count))))
                .map(|text| (text.clone(), ecdsa(algorithm, &text)))
                .find(|(_, signature)| signature[part * signature.len() / 2] == 0)
                .unwrap();
            assert!(passes(&keys, &text, &right), "{algorithm}");
            let (r, s) = right.split_at(right.len() / 2);
            let bare = [without_zeros(r), without_zeros(s)].concat();
            assert!(!passes(&keys, &text, &bare), "{algorithm}");
            assert!(!passes(&keys, &text, &der(r, s)), "{algorithm}");
            let filled = [vec![0; right.len() - bare.len()], bare].concat();
            assert_eq!(passes(&keys, &text, &filled), filled == right, "{algorithm}");
        }
    }
}

#[test]
fn an_ed25519_signature_has_one_form() {
    // The order of the base point (RFC 8032, section 5.1), as it is written in a signature.
    let order = hex("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
    let reversed = |value: &[u8]| value.iter().rev().copied().collect::<Vec<_>>();
    let (keys, text) = (keys(), text("EdDSA", &claims(NOON)));
    let right = Key::Ed.signature(text.as_bytes());
    assert!(passes(&keys, &text, &right));
    let (r, s) = right.split_at(32);
    let mut wrong = Vec::new();
    // The same number but for the order, as often as it fits.
    let mut more = s.to_vec();
    for _ in 1..15 {
        more = reversed(&plus(&reversed(&more), &reversed(&order), 32));
        wrong.push([r, &more].concat());
    }
    let neutral = [&[1][..], &[0; 31]].concat();
    for point in jose::SMALL_ORDER.map(hex) {
        for number in [&[0; 32][..], s, &order, &neutral] {
            wrong.push([&point[..], number].concat());
        }
    }
    let mut other_sign = right.clone();
    other_sign[31] ^= 0x80;
    wrong.extend([
        other_sign,
        [r, &[0; 32]].concat(),
        [r, &order].concat(),
        [r, &[0xff; 32]].concat(),
        [r, &reversed(&minus(&reversed(&order), &reversed(s)))].concat(),
        [&[0xff; 32], s].concat(),
        [s, r].concat(),
        [&reversed(r)[..], s].concat(),
        [r, &reversed(s)].concat(),
        [&right[..], &[0]].concat(),
        [&[0], &right[..]].concat(),
        [&right[..], &right].concat(),
        [&right[..], text.as_bytes()].concat(),
        right[..63].to_vec(),
        right[1..].to_vec(),
        r.to_vec(),
        vec![],
        vec![0; 64],
        der(r, s),
    ]);
    for bit in 253..256 {
        let mut high = right.clone();
        high[32 + bit / 8] |= 1 << (bit % 8);
        wrong.push(high);
    }
    for signature in wrong {
        assert!(!passes(&keys, &text, &signature), "{signature:02x?}");
    }
}

/// Bytes of the RSA key's modulus.
const RSA_BYTES: usize = 256;

#[test]
fn an_rsa_signature_is_a_number_below_the_modulus_in_all_its_bytes() {
    let keys = keys();
    let n = decode(Key::Rsa.jwk()["n"].as_str().unwrap());
    for algorithm in ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"] {
        let token = Key::Rsa.sign_as(algorithm, &claims(NOON));
        let (text, right) = token.rsplit_once('.').unwrap();
        let right = decode(right);
        assert!(passes(&keys, text, &right), "{algorithm}");
        let zero = vec![0; RSA_BYTES];
        let one = plus(&zero, &[1], RSA_BYTES);
        for wrong in [
            zero.clone(),
            one.clone(),
            minus(&n, &one),
            n.clone(),
            plus(&n, &one, RSA_BYTES),
            vec![0xff; RSA_BYTES],
            minus(&n, &right),
            plus(&right, &n, RSA_BYTES),
            plus(&right, &n, RSA_BYTES + 1),
            [&[0], &right[..]].concat(),
            [&right[..], &[0]].concat(),
            [&zero[..], &right].concat(),
            right[1..].to_vec(),
            right[..RSA_BYTES - 1].to_vec(),
            right.iter().rev().copied().collect(),
            vec![0],
            vec![],
        ] {
            assert!(!passes(&keys, text, &wrong), "{algorithm}: {wrong:02x?}");
        }
    }
}

#[test]
fn an_rsa_signature_that_begins_with_zero_keeps_it() {
    let keys = keys();
    // Counting from zero finds these first, but takes long.
    for (algorithm, first) in [("RS256", 341), ("PS256", 11)] {
        let (text, right) = (first..)
            .map(|count| Key::Rsa.sign_as(algorithm, &with("count", json!(count))))
            .map(|token| {
                (token[..token.rfind('.').unwrap()].to_owned(), decode(token.rsplit('.').next().unwrap()))
            })
            .find(|(_, signature)| signature[0] == 0)
            .unwrap();
        assert!(passes(&keys, &text, &right), "{algorithm}");
        assert!(!passes(&keys, &text, without_zeros(&right)), "{algorithm}");
    }
}

/// What is before the hash in a DigestInfo (RFC 8017, section 9.2, note 1).
const SHA1_INFO: &str = "3021300906052b0e03021a05000414";
const SHA256_INFO: &str = "3031300d060960864801650304020105000420";
const SHA384_INFO: &str = "3041300d060960864801650304020205000430";
const SHA512_INFO: &str = "3051300d060960864801650304020305000440";

/// An encoded message (RFC 8017, section 9.2) with this instead of a DigestInfo.
fn padded(info: &[u8]) -> Vec<u8> {
    [&[0, 1], &vec![0xff; RSA_BYTES - 3 - info.len()][..], &[0], info].concat()
}

#[test]
fn an_rsa_padding_is_compared_and_not_parsed() {
    let (keys, text) = (keys(), text("RS256", &claims(NOON)));
    let hash = Sha256::digest(text.as_bytes()).to_vec();
    let info = |head: &str| [hex(head), hash.clone()].concat();
    let right = info(SHA256_INFO);
    assert!(passes(&keys, &text, &rsa_signature(&padded(&right))));

    let changed = |at: usize, byte: u8| {
        let mut message = padded(&right);
        message[at] = byte;
        message
    };
    let short = |filler: usize, tail: Vec<u8>| {
        let message = [&[0, 1], &vec![0xff; filler][..], &[0], &right, &tail].concat();
        [message, vec![0; RSA_BYTES]].concat()[..RSA_BYTES].to_vec()
    };
    let hash_start = RSA_BYTES - hash.len();
    let wrong = [
        ("a first byte of 1", changed(0, 1)),
        ("block type 0", changed(1, 0)),
        ("block type 2", changed(1, 2)),
        ("a filler that is not ff at its begin", changed(2, 0xfe)),
        ("a filler that is not ff at its end", changed(RSA_BYTES - right.len() - 2, 0)),
        ("no zero after the filler", changed(RSA_BYTES - right.len() - 1, 0xff)),
        ("a hash with another first byte", changed(hash_start, hash[0] ^ 1)),
        ("a hash with another last byte", changed(RSA_BYTES - 1, hash[31] ^ 1)),
        ("8 bytes of filler and zeros at the end", short(8, vec![])),
        ("no filler and zeros at the end", short(0, vec![])),
        ("a byte at the end", short(RSA_BYTES - 4 - right.len(), vec![7])),
        ("NULL at the end", short(RSA_BYTES - 5 - right.len(), vec![5, 0])),
        ("the hash alone", padded(&hash)),
        ("nothing", padded(&[])),
        ("no hash", padded(&hex(SHA256_INFO))),
        ("the hash in an OCTET STRING", padded(&[&[4, 0x20], &hash[..]].concat())),
        ("no parameters", padded(&info("302f300b06096086480165030402010420"))),
        ("parameters that are no NULL", padded(&info("3031300d060960864801650304020104000420"))),
        ("a NULL with content", padded(&info("3032300e06096086480165030402010501000420"))),
        ("a long form of the length", padded(&info("308131300d060960864801650304020105000420"))),
        ("a longer form of the length", padded(&info("30820031300d060960864801650304020105000420"))),
        ("a long form of the hash's length", padded(&info("3032300d06096086480165030402010500048120"))),
        (
            "an indefinite length",
            padded(&[info("3080300d060960864801650304020105000420"), vec![0, 0]].concat()),
        ),
        (
            "something within the SEQUENCE",
            padded(&[info("3033300d060960864801650304020105000420"), vec![5, 0]].concat()),
        ),
        ("a SEQUENCE within one", padded(&info("30333031300d060960864801650304020105000420"))),
        ("the name of SHA-1", padded(&info("3029300906052b0e03021a05000420"))),
        ("the name of SHA-384", padded(&info("3031300d060960864801650304020205000420"))),
        ("the name of SHA-512", padded(&info("3031300d060960864801650304020305000420"))),
        ("SHA-1's DigestInfo with a part of the hash", padded(&info(SHA1_INFO)[..35])),
        ("SHA-384", padded(&[hex(SHA384_INFO), Sha384::digest(text.as_bytes()).to_vec()].concat())),
        ("SHA-512", padded(&[hex(SHA512_INFO), Sha512::digest(text.as_bytes()).to_vec()].concat())),
        (
            "SHA-512 with the name of SHA-256",
            padded(
                &[hex("3051300d060960864801650304020105000440"), Sha512::digest(text.as_bytes()).to_vec()]
                    .concat(),
            ),
        ),
        ("the hash of a hash", padded(&[hex(SHA256_INFO), Sha256::digest(&hash).to_vec()].concat())),
    ];
    for (name, message) in wrong {
        assert!(!passes(&keys, &text, &rsa_signature(&message)), "{name}");
    }
}

/// MGF1 (RFC 8017, appendix B.2.1).
fn mask<D: Digest>(seed: &[u8], length: usize) -> Vec<u8> {
    let blocks = (0_u32..).flat_map(|count| D::digest([seed, &count.to_be_bytes()].concat()).to_vec());
    blocks.take(length).collect()
}

/// How an encoded message of PSS (RFC 8017, section 9.1) differs from a right one.
#[derive(Clone, Default)]
struct Pss {
    salt: Vec<u8>,
    /// Before the hash of the text, eight zeros at first.
    prefix: [u8; 8],
    filler: Option<u8>,
    separator: Option<u8>,
    trailer: Option<u8>,
    /// Its first bit, which there is no room for.
    first_bit: bool,
    hash_changed: bool,
}

impl Pss {
    /// The message with these hashes: of the text and the salt, and of the mask.
    fn encode<D: Digest, M: Digest>(&self, text: &str) -> Vec<u8> {
        let inner = [&self.prefix[..], &D::digest(text.as_bytes()), &self.salt].concat();
        let mut hash = D::digest(inner).to_vec();
        let data_length = RSA_BYTES - hash.len() - 1;
        let mut filler = vec![0; data_length - 1 - self.salt.len()];
        if let (Some(byte), Some(last)) = (self.filler, filler.last_mut()) {
            *last = byte;
        }
        let data = [&filler[..], &[self.separator.unwrap_or(1)], &self.salt].concat();
        let mut masked: Vec<_> = data.iter().zip(mask::<M>(&hash, data_length)).map(|(a, b)| a ^ b).collect();
        masked[0] &= 0x7f;
        if self.first_bit {
            masked[0] |= 0x80;
        }
        hash[0] ^= u8::from(self.hash_changed);
        [masked, hash, vec![self.trailer.unwrap_or(0xbc)]].concat()
    }
}

#[test]
fn a_pss_padding_has_a_salt_as_long_as_the_hash_and_everything_else_in_its_place() {
    let (keys, text) = (keys(), text("PS256", &claims(NOON)));
    let passes = |message: &[u8]| passes(&keys, &text, &rsa_signature(message));
    let right = Pss { salt: vec![7; 32], ..Pss::default() };
    for salt in [vec![7; 32], vec![0; 32], vec![0xff; 32]] {
        assert!(passes(&Pss { salt, ..Pss::default() }.encode::<Sha256, Sha256>(&text)));
    }
    for length in (0..=222)
        .filter(|length| *length != 32 && (*length < 3 || *length % 4 == 0 || *length > 219))
        .chain([31, 33])
    {
        let salted = Pss { salt: vec![7; length], ..Pss::default() };
        assert!(!passes(&salted.encode::<Sha256, Sha256>(&text)), "{length}");
    }
    for (name, pss) in [
        ("a filler that is not zero", Pss { filler: Some(1), ..right.clone() }),
        ("another separator", Pss { separator: Some(0), ..right.clone() }),
        ("another separator", Pss { separator: Some(0x81), ..right.clone() }),
        ("another trailer", Pss { trailer: Some(0xcc), ..right.clone() }),
        ("another trailer", Pss { trailer: Some(0), ..right.clone() }),
        ("another prefix", Pss { prefix: [0, 0, 0, 0, 0, 0, 0, 1], ..right.clone() }),
        ("another hash", Pss { hash_changed: true, ..right.clone() }),
    ] {
        assert!(!passes(&pss.encode::<Sha256, Sha256>(&text)), "{name}");
    }
    for text in ["", "another text"] {
        assert!(!passes(&right.encode::<Sha256, Sha256>(text)), "{text}");
    }
    assert!(!passes(&right.encode::<Sha256, Sha512>(&text)), "another hash for the mask");
    assert!(!passes(&right.encode::<Sha512, Sha256>(&text)), "another hash");
    assert!(!passes(&right.encode::<Sha384, Sha384>(&text)), "another hash for both");
    // With the bit set it is mostly beyond the modulus, so a salt is looked for where it is not.
    let n = decode(Key::Rsa.jwk()["n"].as_str().unwrap());
    let high = (0..=u8::MAX)
        .map(|salt| {
            Pss { salt: vec![salt; 32], first_bit: true, ..Pss::default() }.encode::<Sha256, Sha256>(&text)
        })
        .find(|message| *message < n)
        .unwrap();
    assert!(!passes(&high), "a first bit that is set");
}
