//! Keys (RFC 7517, RFC 7518, RFC 8037) that are wrong or meant for something else: no token is verified with one, not
//! even a token that its owner signed. Which reason is told for each is in `jwks.rs`.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_core::secret::Secret;
use keyward_gate::jwt::{Error, Keys, UnfitKeys};
use keyward_policy::{JwkSet, Jwt, JwtKeys};
use keyward_testing::{
    NOON,
    jose::{self, Key, PUBLIC, SECRET_FORM, SHARED, claims, decode, encode, mac, set_of, verify},
};
use serde_json::{Value, json};

/// Takes every algorithm with a public key.
const ANY: Jwt = Jwt { keys: JwtKeys::Public { algorithms: jose::ALL, set: JwkSet::Inline("") }, ..PUBLIC };

/// A key with one member changed.
fn with(key: Key, name: &str, value: Value) -> Value {
    let mut jwk = key.jwk();
    jwk[name] = value;
    jwk
}

/// What happens to a right token of a key where the issuer has this as its JWK, and one of another type.
fn outcome(key: Key, jwk: &Value) -> Option<Error> {
    let other = if key == Key::Rsa { Key::Ec } else { Key::Rsa };
    verify(&key.token(&claims(NOON)), &ANY, &set_of(&[jwk.clone(), other.jwk()]), NOON).err()
}

/// That no token is verified with a key, alone in its set or not.
fn assert_unusable(key: Key, jwk: &Value) {
    assert_eq!(outcome(key, jwk), Some(Error::UnknownKey), "{jwk}");
    let alone = jose::of_set(&json!({ "keys": [jwk] }).to_string(), jose::ALL);
    assert!(matches!(alone.err(), Some(UnfitKeys::NoKey(_))), "{jwk}");
}

#[test]
fn a_key_for_another_use_verifies_nothing() {
    for key in Key::PUBLIC {
        for usage in ["enc", "", "Sig", "sign", "sig ", "tls"] {
            assert_unusable(key, &with(key, "use", json!(usage)));
        }
        for uses in [
            json!([]),
            json!(["sign"]),
            json!(["encrypt"]),
            json!(["wrapKey", "deriveBits"]),
            json!(["Verify"]),
        ] {
            assert_unusable(key, &with(key, "key_ops", uses));
        }
        for (name, value) in [
            ("use", json!(17)),
            ("use", json!(["sig"])),
            ("key_ops", json!("verify")),
            ("key_ops", json!({ "verify": true })),
            ("kid", json!(17)),
            ("alg", json!(["RS256"])),
            ("kty", json!(null)),
        ] {
            assert_unusable(key, &with(key, name, value));
        }
        let mut both = with(key, "use", json!("enc"));
        both["key_ops"] = json!(["verify"]);
        assert_unusable(key, &both);
        let mut fitting = with(key, "use", json!("sig"));
        fitting["key_ops"] = json!(["sign", "verify"]);
        assert_eq!(outcome(key, &fitting), None, "{fitting}");
    }
}

#[test]
fn a_key_whose_algorithm_is_not_of_its_type_verifies_nothing() {
    for key in Key::PUBLIC {
        for name in [
            "",
            "none",
            "HS256",
            "RS1",
            "RSA1_5",
            "RSA-OAEP",
            "RSA-OAEP-256",
            "ECDH-ES",
            "A128KW",
            "A256KW",
            "A256GCM",
            "dir",
            "ES224",
            "ES256K",
            "ES384",
            "ES512",
            "ES521",
            "Ed448",
            "ML-DSA-44",
            "rs256",
            "RSA",
            "EC",
        ] {
            assert_unusable(key, &with(key, "alg", json!(name)));
        }
        for other in Key::PUBLIC.into_iter().filter(|other| *other != key) {
            assert_unusable(key, &with(key, "alg", json!(other.algorithm())));
        }
        assert_eq!(outcome(key, &with(key, "alg", json!(key.algorithm()))), None, "{key:?}");
    }
}

#[test]
fn a_key_of_another_type_or_curve_than_it_says_verifies_nothing() {
    for key in Key::PUBLIC {
        let own = key.jwk()["kty"].clone();
        for kty in ["RSA", "EC", "OKP", "oct", "AKP", "", "rsa", "ec", "okp"] {
            if own != kty {
                assert_unusable(key, &with(key, "kty", json!(kty)));
            }
        }
    }
    for key in [Key::Ec, Key::Ed] {
        let own = key.jwk()["crv"].clone();
        for curve in [
            "P-256",
            "P-384",
            "P-521",
            "P-192",
            "secp256k1",
            "P-256K",
            "p-256",
            "Ed25519",
            "ed25519",
            "Ed448",
            "X25519",
            "",
        ] {
            if own != curve {
                assert_unusable(key, &with(key, "crv", json!(curve)));
            }
        }
    }
}

#[test]
fn a_shared_secret_in_a_set_of_public_keys_verifies_nothing() {
    let mut secret = Key::Shared.jwk();
    for alg in [None, Some("HS256"), Some("RS256"), Some("A256GCM"), Some("A256KW")] {
        if let Some(alg) = alg {
            secret["alg"] = json!(alg);
        }
        let set = set_of(&[secret.clone(), Key::Ec.jwk()]);
        for policy in [ANY, SHARED] {
            let token = Key::Shared.token(&claims(NOON));
            assert_eq!(verify(&token, &policy, &set, NOON), Err(Error::WrongAlgorithm), "{alg:?}");
        }
        assert!(verify(&Key::Ec.token(&claims(NOON)), &ANY, &set, NOON).is_ok(), "{alg:?}");
    }
}

#[test]
fn a_shared_secret_has_at_least_the_bytes_of_its_hash() {
    for bytes in [0, 1, 16, 31, 32, 33, 64, 65, 200] {
        let secret = vec![7; bytes];
        let keys = Keys::shared(&Secret::new(encode(&secret)), SECRET_FORM);
        match keys {
            Ok(keys) => {
                let text = format!("{}.{}", encode(r#"{"alg":"HS256"}"#), encode(claims(NOON).to_string()));
                let token = format!("{text}.{}", encode(mac(&secret, text.as_bytes())));
                assert!(bytes >= 32 && verify(&token, &SHARED, &keys, NOON).is_ok(), "{bytes}");
                let shorter = format!("{text}.{}", encode(&mac(&secret, text.as_bytes())[..16]));
                assert_eq!(verify(&shorter, &SHARED, &keys, NOON), Err(Error::BadSignature), "{bytes}");
            }
            Err(error) => assert!(bytes < 32 && error == UnfitKeys::ShortSecret, "{bytes}: {error}"),
        }
    }
}

#[test]
fn an_rsa_key_has_2048_to_8192_bits_and_an_exponent_that_the_platform_takes() {
    let n = decode(Key::Rsa.jwk()["n"].as_str().unwrap());
    let of_bits = |bits: usize| {
        let mut number = vec![0xff; bits.div_ceil(8)];
        number[0] >>= (8 - bits % 8) % 8;
        number
    };
    for bits in [1, 512, 768, 1024, 1536, 2040, 2047, 8193, 8200, 16_384] {
        let modulus = of_bits(bits);
        assert_unusable(Key::Rsa, &with(Key::Rsa, "n", json!(encode(&modulus))));
        let hidden = [vec![0; 256], modulus].concat();
        assert_unusable(Key::Rsa, &with(Key::Rsa, "n", json!(encode(hidden))));
    }
    for bits in [2048, 2049, 8192] {
        let jwk = with(Key::Rsa, "n", json!(encode(of_bits(bits))));
        // A key, but not the one that signed.
        assert_eq!(outcome(Key::Rsa, &jwk), Some(Error::BadSignature), "{bits}");
    }
    let mut even = n.clone();
    even[255] ^= 1;
    assert_unusable(Key::Rsa, &with(Key::Rsa, "n", json!(encode(even))));
    for exponent in [
        &[][..],
        &[0],
        &[0, 0, 0],
        &[1],
        &[0, 0, 1],
        &[2],
        &[4],
        &[5],
        &[1, 1],
        &[1, 0, 0],
        &[1, 0, 2],
        &[1, 0, 3],
        &[0xff; 8],
        &n,
    ] {
        assert_unusable(Key::Rsa, &with(Key::Rsa, "e", json!(encode(exponent))));
    }
    for exponent in [&[3][..], &[17], &[37], &[0, 3]] {
        // RFC 7518 asks for none in particular: a small one is weak with wrong padding only, which is refused.
        let jwk = with(Key::Rsa, "e", json!(encode(exponent)));
        assert_eq!(outcome(Key::Rsa, &jwk), Some(Error::BadSignature), "{exponent:?}");
    }
}

#[test]
fn an_rsa_signature_that_is_the_text_itself_is_no_signature() {
    // What an exponent of one would do: the padded message is its own signature.
    let text = format!("{}.{}", encode(r#"{"alg":"RS256"}"#), encode(claims(NOON).to_string()));
    let hash = <sha2::Sha256 as sha2::Digest>::digest(text.as_bytes());
    let info = [0x30, 0x31, 0x30, 0x0d, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1, 5, 0, 4, 0x20];
    let message = [&[0, 1], &[0xff; 202][..], &[0], &info, &hash[..]].concat();
    assert_eq!(message.len(), 256);
    let token = format!("{text}.{}", encode(message));
    for exponent in ["AQ", "AAAB", "AQAB"] {
        let set = set_of(&[with(Key::Rsa, "e", json!(exponent)), Key::Ec.jwk()]);
        assert!(verify(&token, &ANY, &set, NOON).is_err(), "{exponent}");
    }
}

#[test]
fn a_point_that_is_not_on_its_curve_is_no_key() {
    let [x, y] = ["x", "y"].map(|name| decode(Key::Ec.jwk()[name].as_str().unwrap()));
    let jwk = |x: &[u8], y: &[u8]| json!({ "kty": "EC", "kid": "ES256", "crv": "P-256", "x": encode(x), "y": encode(y) });
    assert_eq!(outcome(Key::Ec, &jwk(&x, &y)), None);
    for bit in 0..256 {
        let changed = |coordinate: &[u8]| {
            let mut changed = coordinate.to_vec();
            changed[bit / 8] ^= 1 << (bit % 8);
            changed
        };
        assert_unusable(Key::Ec, &jwk(&changed(&x), &y));
        assert_unusable(Key::Ec, &jwk(&x, &changed(&y)));
    }
    let zero = [0; 32];
    for (x, y) in [
        (&zero[..], &zero[..]),
        (&x, &zero),
        (&zero, &y),
        (&[0xff; 32], &[0xff; 32]),
        (&y, &x),
        (&x, &x),
        // Of another length: without a byte, with one more, both coordinates in one, none.
        (&x[1..], &y),
        (&x, &y[..31]),
        (&[&[0], &x[..]].concat(), &[&[0], &y[..]].concat()),
        (&[&x[..], &[0]].concat(), &y),
        (&[&x[..], &y].concat(), &[]),
        (&[&[4], &x[..], &y].concat(), &y),
        (&[], &[]),
    ] {
        assert_unusable(Key::Ec, &jwk(x, y));
    }
    let mut compressed = jwk(&[&[2 | (y[31] & 1)], &x[..]].concat(), &y);
    assert_unusable(Key::Ec, &compressed);
    compressed.as_object_mut().unwrap().remove("y");
    assert_unusable(Key::Ec, &compressed);
}

#[test]
fn an_ed25519_key_of_small_order_is_no_key() {
    for point in jose::SMALL_ORDER {
        let point: Vec<_> =
            (0..64).step_by(2).map(|at| u8::from_str_radix(&point[at..at + 2], 16).unwrap()).collect();
        assert_unusable(Key::Ed, &with(Key::Ed, "x", json!(encode(&point))));
    }
    let x = decode(Key::Ed.jwk()["x"].as_str().unwrap());
    for other in [&x[1..], &x[..31], &[&x[..], &[0]].concat(), &[&[0], &x[..]].concat(), &[]] {
        assert_unusable(Key::Ed, &with(Key::Ed, "x", json!(encode(other))));
    }
    let mirrored: Vec<_> = x.iter().rev().copied().collect();
    let told = outcome(Key::Ed, &with(Key::Ed, "x", json!(encode(mirrored))));
    assert!(matches!(told, Some(Error::UnknownKey | Error::BadSignature)), "{told:?}");
}

#[test]
fn a_number_of_a_key_is_base64url_in_its_one_form() {
    for (key, names) in [(Key::Rsa, &["n", "e"][..]), (Key::Ec, &["x", "y"]), (Key::Ed, &["x"])] {
        for name in names {
            let text = key.jwk()[name].as_str().unwrap().to_owned();
            let foreign = [" ", "\n", "=", "==", "+", "/", "\0", "\u{e9}", "."];
            let ends = foreign.iter().flat_map(|it| [format!("{text}{it}"), format!("{it}{text}")]);
            for odd in ends.map(Value::from).chain([json!(17), json!([text]), json!(null), json!("")]) {
                assert_unusable(key, &with(key, name, odd));
            }
            let mut without = key.jwk();
            without.as_object_mut().unwrap().remove(*name);
            assert_unusable(key, &without);
        }
        let (last, spare) = match key {
            Key::Rsa => ("n", "R"),
            Key::Ec => ("x", "V"),
            _ => ("x", "p"),
        };
        let text = key.jwk()[last].as_str().unwrap().to_owned();
        let odd = format!("{}{spare}", &text[..text.len() - 1]);
        assert_ne!(odd, text);
        assert_unusable(key, &with(key, last, json!(odd)));
    }
}

#[test]
fn of_keys_with_the_same_id_only_those_of_the_issuer_count_and_each_once() {
    let [rsa, ec] = [Key::Rsa, Key::Ec].map(|key| {
        let mut jwk = key.jwk();
        jwk["kid"] = json!("same");
        jwk
    });
    let same = json!("same");
    for key in [Key::Rsa, Key::Ec] {
        let token = key.sign(&json!({ "alg": key.algorithm(), "kid": same }), &claims(NOON));
        for set in [[rsa.clone(), ec.clone()], [ec.clone(), rsa.clone()]] {
            assert!(verify(&token, &ANY, &set_of(&set), NOON).is_ok(), "{key:?}");
        }
        let neither = Key::Ed.sign(&json!({ "alg": key.algorithm(), "kid": same }), &claims(NOON));
        let set = set_of(&[rsa.clone(), ec.clone()]);
        assert_eq!(verify(&neither, &ANY, &set, NOON), Err(Error::BadSignature), "{key:?}");
    }
    // An id is compared to the letter.
    for kid in ["Same", "same ", "sam", "", "same\u{0}"] {
        let token = Key::Ec.sign(&json!({ "alg": "ES256", "kid": kid }), &claims(NOON));
        let set = set_of(std::slice::from_ref(&ec));
        assert_eq!(verify(&token, &ANY, &set, NOON), Err(Error::UnknownKey), "{kid:?}");
    }
}
