//! Tokens that are wrong as a JWS (RFC 7515): in their parts, their encoding, their serialization, the algorithm
//! that they name and the key that they bring along. For every key and algorithm family alike, since each fault was
//! some library's. What is wrong in the JSON within is in `jwt.rs`, wrong signatures are in `signature_faults`,
//! wrong keys in `jwk_faults.rs`.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use base64::{Engine, engine::general_purpose::STANDARD};
use keyward_gate::jwt::{Claims, Error, Keys};
use keyward_policy::Jwt;
use keyward_testing::{
    NOON,
    jose::{Key, PUBLIC, SHARED, claims, decode, encode, mac, public_keys, shared_keys, verify, with},
};
use p256::ecdsa::signature::Signer;
use serde_json::{Value, json};

fn policy_of(key: Key) -> &'static Jwt {
    if key == Key::Shared { &SHARED } else { &PUBLIC }
}

fn keys_of(key: Key) -> Keys {
    if key == Key::Shared { shared_keys() } else { public_keys() }
}

/// What happens to a token where the key is known.
fn outcome(key: Key, token: &str) -> Result<Claims, Error> {
    verify(token, policy_of(key), &keys_of(key), NOON)
}

/// A token with these two parts as they stand here, with a right signature.
fn signed(key: Key, header: &str, payload: &str) -> String {
    let text = format!("{header}.{payload}");
    format!("{text}.{}", encode(key.signature(text.as_bytes())))
}

/// Header, payload and signature of a token that is right.
fn parts(key: Key) -> [String; 3] {
    let token = key.token(&claims(NOON));
    assert!(outcome(key, &token).is_ok(), "{key:?}");
    let parts: Vec<_> = token.split('.').map(str::to_owned).collect();
    parts.try_into().unwrap()
}

#[test]
fn a_part_that_is_changed_lacks_or_is_too_many_is_refused() {
    let (form, header, signature) =
        (Error::Malformed("form"), Error::Malformed("header"), Error::BadSignature);
    for key in Key::ALL {
        let [h, p, s] = parts(key);
        let mut changed = decode(&s);
        changed[0] ^= 1;
        let changed = encode(changed);
        let short = encode(&decode(&s)[1..]);
        let long = encode([decode(&s), vec![0]].concat());
        let other_header = encode(json!({ "alg": key.algorithm() }).to_string());
        let other_payload = encode(with("sub", json!("somebody")).to_string());
        let other = key.token(&with("sub", json!("somebody")));
        let other_signature = other.rsplit('.').next().unwrap();
        for (token, expected) in [
            (format!("{h}.{p}.{changed}"), signature),
            (format!("{h}.{p}.{short}"), signature),
            (format!("{h}.{p}.{long}"), signature),
            (format!("{h}.{p}.{s}{s}"), signature),
            (format!("{h}.{p}.{other_signature}"), signature),
            (format!("{h}.{p}."), signature),
            (format!("{h}.{p}"), form),
            (format!("{h}.{other_payload}.{s}"), signature),
            (format!("{h}..{s}"), signature),
            (format!("{h}.{s}"), form),
            (format!("{other_header}.{p}.{s}"), signature),
            (format!("{h}{h}.{p}.{s}"), header),
            (format!(".{p}.{s}"), header),
            (format!("{p}.{s}"), form),
            (format!(".{p}."), header),
            (format!("{p}.{h}.{s}"), header),
            (h.clone(), form),
            (p.clone(), form),
            (String::new(), form),
            (".".to_owned(), form),
            ("..".to_owned(), header),
            ("...".to_owned(), form),
            (format!("{h}.{p}.{s}."), form),
            (format!(".{h}.{p}.{s}"), form),
            (format!("{h}.{p}..{s}"), form),
            (format!("{h}.{p}.{s}.foo"), form),
            (format!("{h}.{p}.{s}.{s}"), form),
            // As many as a JWE has (RFC 7516, section 7.1).
            (format!("{h}.{p}.{p}.{p}.{s}"), form),
            (format!("{h}.{p}.{s}.{h}.{p}.{s}"), form),
        ] {
            assert!(
                matches!(outcome(key, &token), Err(told) if told == expected || (h == p && told == signature)),
                "{key:?}: {token}: {:?}",
                outcome(key, &token)
            );
        }
    }
}

#[test]
fn none_is_no_algorithm_however_it_is_written_and_whatever_signature_it_has() {
    for key in Key::ALL {
        let [_, p, s] = parts(key);
        for name in ["none", "None", "NONE", "nOnE", " none", "none ", "none\u{0}", "", "null", "\u{ff4e}one"]
        {
            let h = encode(json!({ "alg": name, "kid": key.algorithm() }).to_string());
            for token in [format!("{h}.{p}."), format!("{h}.{p}.{s}"), signed(key, &h, &p)] {
                assert_eq!(outcome(key, &token), Err(Error::WrongAlgorithm), "{key:?}: {name:?}");
            }
            assert_eq!(outcome(key, &format!("{h}.{p}")), Err(Error::Malformed("form")), "{name:?}");
        }
        for alg in [json!(null), json!(0), json!(false), json!(["none"]), json!({ "none": true })] {
            let h = encode(json!({ "alg": alg }).to_string());
            assert_eq!(outcome(key, &format!("{h}.{p}.")), Err(Error::Malformed("header")), "{alg}");
        }
    }
}

#[test]
fn an_algorithm_outside_of_the_signed_header_does_not_count() {
    for key in Key::ALL {
        let without = key.sign(&json!({ "kid": key.algorithm() }), &with("alg", json!(key.algorithm())));
        assert_eq!(outcome(key, &without), Err(Error::Malformed("header")), "{key:?}");
        let nested = json!({ "header": { "alg": key.algorithm() }, "protected": { "alg": key.algorithm() } });
        assert_eq!(
            outcome(key, &key.sign(&nested, &claims(NOON))),
            Err(Error::Malformed("header")),
            "{key:?}"
        );
    }
}

#[test]
fn json_serializations_are_refused_although_their_signature_is_right() {
    for key in Key::ALL {
        let [h, p, s] = parts(key);
        let one = json!({ "protected": h, "signature": s });
        let flattened = json!({ "payload": p, "protected": h, "signature": s });
        let unprotected = json!({ "payload": p, "protected": h, "header": { "x": "a.b.c" }, "signature": s });
        let general = json!({ "payload": p, "signatures": [one, one] });
        let compact = json!({ "token": format!("{h}.{p}.{s}") });
        for jws in [
            &flattened,
            &unprotected,
            &general,
            &compact,
            &json!([flattened]),
            &json!(format!("{h}.{p}.{s}")),
        ] {
            for token in
                [jws.to_string(), encode(jws.to_string()), format!("{jws}.{p}.{s}"), format!("{h}.{p}.{jws}")]
            {
                let told = outcome(key, &token);
                assert!(matches!(told, Err(Error::Malformed(_))), "{key:?}: {token}: {told:?}");
            }
        }
    }
}

/// What public keys look like as bytes, in each form that a library might take for a secret.
fn public_texts(key: Key) -> Vec<Vec<u8>> {
    let jwk = key.jwk();
    let member = |name: &str| decode(jwk[name].as_str().unwrap());
    let (raw, spki) = match key {
        Key::Rsa => {
            let (n, e) = (member("n"), member("e"));
            let pkcs1 = [&[0x30, 0x82, 1, 0x0a, 2, 0x82, 1, 1, 0], &n[..], &[2, 3], &e[..]].concat();
            let head = [
                0x30, 0x82, 1, 0x22, 0x30, 0x0d, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 5, 0, 3,
                0x82, 1, 0x0f, 0,
            ];
            (vec![n, pkcs1.clone()], [&head[..], &pkcs1].concat())
        }
        Key::Ec => {
            let (x, y) = (member("x"), member("y"));
            let point = [&[4], &x[..], &y[..]].concat();
            let compressed = [&[2 | (y[31] & 1)], &x[..]].concat();
            let head = [
                0x30, 0x59, 0x30, 0x13, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 8, 0x2a, 0x86, 0x48,
                0xce, 0x3d, 3, 1, 7, 3, 0x42, 0,
            ];
            (vec![x, point[1..].to_vec(), compressed, point.clone()], [&head[..], &point].concat())
        }
        Key::Ed => {
            let x = member("x");
            (vec![x.clone()], [&[0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, 0x21, 0], &x[..]].concat())
        }
        Key::Shared => panic!("not public"),
    };
    let lines: Vec<_> = STANDARD
        .encode(&spki)
        .as_bytes()
        .chunks(64)
        .map(|it| String::from_utf8_lossy(it).into_owned())
        .collect();
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----", lines.join("\n"));
    let set = json!({ "keys": Key::PUBLIC.map(Key::jwk) }).to_string();
    let mut texts: Vec<_> = raw.iter().map(|bytes| encode(bytes).into_bytes()).collect();
    texts.extend(raw);
    texts.extend([spki, jwk.to_string().into(), set.into()]);
    texts.extend([format!("{pem}\n").into(), pem.replace('\n', "\r\n").into(), pem.into(), Vec::new()]);
    texts
}

#[test]
fn a_public_key_is_never_taken_for_a_shared_secret() {
    for key in Key::PUBLIC {
        for secret in public_texts(key) {
            for header in [json!({ "alg": "HS256", "kid": key.algorithm() }), json!({ "alg": "HS256" })] {
                let text = format!("{}.{}", encode(header.to_string()), encode(claims(NOON).to_string()));
                let token = format!("{text}.{}", encode(mac(&secret, text.as_bytes())));
                assert_eq!(
                    verify(&token, &PUBLIC, &public_keys(), NOON),
                    Err(Error::WrongAlgorithm),
                    "{key:?}"
                );
                // Nor would it be, were the policy's word for a secret and its keys a set.
                assert_eq!(
                    verify(&token, &SHARED, &public_keys(), NOON),
                    Err(Error::WrongAlgorithm),
                    "{key:?}"
                );
            }
        }
    }
}

#[test]
fn a_key_that_the_token_brings_along_is_never_looked_at() {
    let mallory = p256::ecdsa::SigningKey::from_slice(&[7; 32]).unwrap();
    let point = mallory.verifying_key().to_sec1_point(false);
    let mut jwk = json!({ "kty": "EC", "crv": "P-256", "use": "sig" });
    jwk["x"] = json!(encode(&point.as_bytes()[1..33]));
    jwk["y"] = json!(encode(&point.as_bytes()[33..]));
    for name in ["jwk", "jku", "x5u", "x5c", "keys"] {
        for value in
            [jwk.clone(), json!([jwk]), json!({ "keys": [jwk] }), json!("https://mallory.example/jwks.json")]
        {
            for (kid, expected) in [
                (json!("ES256"), Error::BadSignature),
                (json!("mallory"), Error::UnknownKey),
                (Value::Null, Error::BadSignature),
            ] {
                let mut header = json!({ "alg": "ES256", name: value });
                if kid.is_string() {
                    header["kid"] = kid;
                }
                let text = format!("{}.{}", encode(header.to_string()), encode(claims(NOON).to_string()));
                let signature: p256::ecdsa::Signature = mallory.sign(text.as_bytes());
                let token = format!("{text}.{}", encode(signature.to_bytes()));
                assert_eq!(verify(&token, &PUBLIC, &public_keys(), NOON), Err(expected), "{header}");
            }
        }
    }
}

/// What is not of the alphabet of base64url (RFC 7515, section 2), a full stop aside.
const FOREIGN: [&str; 16] = [
    " ", "\n", "\r\n", "\t", "=", "==", "+", "/", "?", "%3D", "\0", "\u{7f}", "\u{e9}", "\u{feff}",
    "\u{200b}", "*",
];

#[test]
fn a_character_that_is_not_of_base64url_is_refused_wherever_it_stands() {
    for key in Key::ALL {
        let right = parts(key);
        for foreign in FOREIGN {
            for (which, part) in right.iter().enumerate() {
                for at in [0, 1, part.len() / 2, part.len() - 1, part.len()] {
                    let (begin, end) = part.split_at(at);
                    let mut changed = right.clone();
                    changed[which] = format!("{begin}{foreign}{end}");
                    let [h, p, s] = changed;
                    // A signature of the text as it stands, by a signer that is as careless.
                    let careless = if which == 2 { format!("{h}.{p}.{s}") } else { signed(key, &h, &p) };
                    let malformed = Error::Malformed(["header", "claims", "signature"][which]);
                    assert_eq!(
                        outcome(key, &careless),
                        Err(malformed),
                        "{key:?}: {foreign:?} at {at} of {which}"
                    );
                    // Nor is it left out before the signature is looked at.
                    let refused = if which == 1 { Error::BadSignature } else { malformed };
                    assert_eq!(
                        outcome(key, &format!("{h}.{p}.{s}")),
                        Err(refused),
                        "{key:?}: {foreign:?} at {at} of {which}"
                    );
                }
            }
        }
    }
}

#[test]
fn the_other_base64_alphabet_is_refused() {
    let other = |text: &str| text.replace('-', "+").replace('_', "/");
    for key in Key::ALL {
        // Letters whose base64 has both characters that differ.
        let header =
            encode(format!(r#"{{"alg":"{}","x":"\u00ff{}"}}"#, key.algorithm(), "\u{7ff}>>>???\u{7fe}~~~"));
        let payload = encode(with("x", json!("\u{7ff}>>>???\u{7fe}~~~")).to_string());
        assert!([&header, &payload].iter().all(|part| other(part) != **part));
        assert!(outcome(key, &signed(key, &header, &payload)).is_ok(), "{key:?}");
        let odd_header = signed(key, &other(&header), &payload);
        assert_eq!(outcome(key, &odd_header), Err(Error::Malformed("header")), "{key:?}");
        let odd_payload = signed(key, &header, &other(&payload));
        assert_eq!(outcome(key, &odd_payload), Err(Error::Malformed("claims")), "{key:?}");
        // A signature with both.
        let token = (0..)
            .map(|number| key.token(&with("number", json!(number))))
            .find(|token| ["-", "_"].iter().all(|letter| token.rsplit('.').next().unwrap().contains(letter)))
            .unwrap();
        assert!(outcome(key, &token).is_ok(), "{key:?}");
        let (text, signature) = token.rsplit_once('.').unwrap();
        let odd = format!("{text}.{}", other(signature));
        assert_eq!(outcome(key, &odd), Err(Error::Malformed("signature")), "{key:?}");
    }
}

#[test]
fn no_bit_of_a_last_character_is_spare() {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    for key in Key::ALL {
        let padded = |text: String, wanted: usize| {
            let spaces = (wanted + 3 - text.len() % 3) % 3;
            encode(text + &" ".repeat(spaces))
        };
        for wanted in [1, 2] {
            let header = padded(json!({ "alg": key.algorithm() }).to_string(), wanted);
            let payload = padded(claims(NOON).to_string(), wanted);
            assert!(outcome(key, &signed(key, &header, &payload)).is_ok(), "{key:?}");
            let spare = if wanted == 1 { 4 } else { 2 };
            for (which, part) in [&header, &payload].into_iter().enumerate() {
                let (begin, last) = part.split_at(part.len() - 1);
                let value = ALPHABET.find(last).unwrap();
                for bits in 1..1 << spare {
                    let odd = format!("{begin}{}", &ALPHABET[value | bits..=value | bits]);
                    let (h, p) = if which == 0 { (&odd, &payload) } else { (&header, &odd) };
                    let malformed = Error::Malformed(["header", "claims"][which]);
                    assert_eq!(
                        outcome(key, &signed(key, h, p)),
                        Err(malformed),
                        "{key:?}: {bits} of {which}"
                    );
                }
            }
        }
        let token = key.token(&claims(NOON));
        let (begin, last) = token.split_at(token.len() - 1);
        for other in ALPHABET.chars() {
            let outcome = outcome(key, &format!("{begin}{other}"));
            assert_eq!(outcome.is_ok(), last == other.to_string(), "{key:?}: {other}");
        }
    }
}

#[test]
fn a_length_that_no_bytes_have_is_refused() {
    for key in Key::ALL {
        let padded = |text: String| encode(format!("{text}{}", " ".repeat((3 - text.len() % 3) % 3)));
        let header = padded(json!({ "alg": key.algorithm() }).to_string());
        let payload = padded(claims(NOON).to_string());
        for letter in ["A", "Q", "_"] {
            let odd = signed(key, &format!("{header}{letter}"), &payload);
            assert_eq!(outcome(key, &odd), Err(Error::Malformed("header")), "{key:?}");
            let odd = signed(key, &header, &format!("{payload}{letter}"));
            assert_eq!(outcome(key, &odd), Err(Error::Malformed("claims")), "{key:?}");
            let odd = format!("{header}.{payload}.{letter}");
            assert_eq!(outcome(key, &odd), Err(Error::Malformed("signature")), "{key:?}");
        }
    }
}
