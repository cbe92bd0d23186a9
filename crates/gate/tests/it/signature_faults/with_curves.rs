//! ECDSA and Ed25519.

use super::*;

/// The curves' orders (SEC 2, sections 2.4.2, 2.5.1 and 2.6.1).
const P256_ORDER: &str = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
const P384_ORDER: &str =
    "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973";

const P521_ORDER: &str = "01ff\
    ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff\
    fa51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409";

fn ecdsa(algorithm: &str, text: &str) -> Vec<u8> {
    if algorithm == "ES256" {
        return Key::Ec.signature(text.as_bytes());
    }
    if algorithm == "ES512" {
        let signature: p521::ecdsa::Signature = p521_key().sign(text.as_bytes());
        return signature.to_bytes().to_vec();
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
    let length = u8::try_from(both.len()).unwrap();
    let length = if length < 0x80 { vec![length] } else { vec![0x81, length] };
    [&[0x30], &length[..], &both].concat()
}

#[test]
fn an_ecdsa_signature_is_two_numbers_between_zero_and_the_order_in_all_their_bytes() {
    let keys = keys();
    for (algorithm, order) in
        [("ES256", hex(P256_ORDER)), ("ES384", hex(P384_ORDER)), ("ES512", hex(P521_ORDER))]
    {
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
    for algorithm in ["ES256", "ES384", "ES512"] {
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
fn an_ed25519_signature_whose_point_is_of_small_order_is_refused() {
    // Its owner can make one that the arithmetic finds right: the neutral element, and no random number.
    let owner = ed25519_dalek::SigningKey::from_bytes(&[7; 32]);
    let x = owner.verifying_key().to_bytes();
    let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "x": encode(x) });
    let text = text("EdDSA", &claims(NOON));
    let mut r = [0; 32];
    r[0] = 1;
    let hash = Sha512::new().chain_update(r).chain_update(x).chain_update(&text).finalize();
    let s = Scalar::from_bytes_mod_order_wide(&hash.into()) * owner.to_scalar();
    let signature = [r, s.to_bytes()].concat();
    let key = PublicKey::parse(&jwk, jose::ALL).unwrap();
    let algorithm = PublicAlgorithm::EdDsa;
    let signed = Signed { key: &key, algorithm, text: text.as_bytes(), signature: &signature };
    assert_eq!(software::verify(signed), Ok(true), "by arithmetic alone");
    assert!(!passes(&set_of(&[jwk]), &text, &signature));
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
