//! The examples of the standards, each with its outcome here: RFC 7515 (JWS, appendices A, E and F), RFC 7517 (JWK,
//! appendices A and B), RFC 7520 (the JOSE cookbook, sections 3 and 4), RFC 7638 (section 3.1), RFC 7797 (section 4)
//! and RFC 8037 (appendix A).
//!
//! These vectors are Code Components of the RFCs, copyright (c) IETF Trust and the persons identified as the authors
//! of the RFCs, under the Revised BSD License (<https://trustee.ietf.org/license-info>).

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_core::secret::Secret;
use keyward_gate::jwt::{Error, Keys, UnfitKeys};
use keyward_policy::{JwkSet, Jwt, JwtKeys, jwk::PublicKey};
use keyward_testing::{
    NOON,
    jose::{self, Key, PUBLIC, SECRET_FORM, SHARED, encode, public_keys, set_of, shared_keys, verify},
};
use serde_json::{Value, json};

/// The payload of RFC 7515, appendices A.1 to A.3, A.5 and A.6.
const CLAIMS: &str =
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
const JWS_A1: &str = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9";
const JWS_A1_SIGNATURE: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const JWS_A2: &str = "eyJhbGciOiJSUzI1NiJ9";
const JWS_A2_SIGNATURE: &str = "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
const JWS_A3: &str = "eyJhbGciOiJFUzI1NiJ9";
const JWS_A3_SIGNATURE: &str =
    "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
/// Of ES512.
const JWS_A4: &str = "eyJhbGciOiJFUzUxMiJ9.UGF5bG9hZA.AdwMgeerwtHoh-l192l60hp9wAHZFVJbLfD_UxMi70cwnZOYaRI1bKPWROc-mZZqwqT2SI-KGDKB34XO0aw_7XdtAG8GaSwFKdCAPZgoXD2YBJZCPEX3xKpRwcdOO8KpEHwJjyqOgzDO7iKvU8vcnwNrmxYbSW9ERBXukOXolLzeO_Jn";
const JWS_A4_X: &str =
    "AekpBQ8ST8a8VcfVOTNl353vSrDCLLJXmPk06wTjxrrjcBpXp5EOnYG_NjFZ6OvLFV1jSfS9tsz4qUxcWceqwQGk";
const JWS_A4_Y: &str =
    "ADSmRA43Z1DSNx_RvcLI87cdL07l6jQyyBXMoxVg_l2Th-x3S1WDhjDly79ajL4Kkd0AZMaZmh9ubmf63e3kyMj2";
/// With an extension that has to be understood.
const JWS_E: &str = "eyJhbGciOiJub25lIiwNCiAiY3JpdCI6WyJodHRwOi8vZXhhbXBsZS5jb20vVU5ERUZJTkVEIl0sDQogImh0dHA6Ly9leGFtcGxlLmNvbS9VTkRFRklORUQiOnRydWUNCn0.RkFJTA.";

const EDDSA_A4: &str = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
const EDDSA_A6_X: &str = "3p7bfXt9wbTTW2HC7OQ1Nz-DQ8hbeGdNrfx-FG-IK08";

const COOKBOOK_EC_X: &str =
    "AHKZLLOsCOzz5cY97ewNUajB957y-C-U88c3v13nmGZx6sYl_oJXu9A5RkTKqjqvjyekWF-7ytDyRXYgCF5cj0Kt";
const COOKBOOK_EC_Y: &str =
    "AdymlHvOiLxXkEhayXQnNCvDX4h9htZaCJN34kfmC6pV5OhQHiraVySsUdaQkAgDPrwQrJmbnX9cwlGfP-HqHZR1";
const COOKBOOK_RSA_N: &str = "n4EPtAOCc9AlkeQHPzHStgAbgs7bTZLwUBZdR8_KuKPEHLd4rHVTeT-O-XV2jRojdNhxJWTDvNd7nqQ0VEiZQHz_AJmSCpMaJMRBSFKrKb2wqVwGU_NsYOYL-QtiWN2lbzcEe6XC0dApr5ydQLrHqkHHig3RBordaZ6Aj-oBHqFEHYpPe7Tpe-OfVfHd1E6cS6M1FZcD1NNLYD5lFHpPI9bTwJlsde3uhGqC0ZCuEHg8lhzwOHrtIQbS0FVbb9k3-tVTU4fg_3L_vniUFAKwuCLqKnS2BYwdq_mzSnbLY7h_qixoR7jig3__kRhuaxwUkRz5iaiQkqgc5gHdrNP5zw";
const COOKBOOK_SECRET: &str = "hJtXIZ2uSN5kbQfbtTNWbpdmhkV8FJG-Onbc6mxCcYg";
/// The payload of section 4, which is prose.
const PROSE: &str = "SXTigJlzIGEgZGFuZ2Vyb3VzIGJ1c2luZXNzLCBGcm9kbywgZ29pbmcgb3V0IHlvdXIgZG9vci4gWW91IHN0ZXAgb250byB0aGUgcm9hZCwgYW5kIGlmIHlvdSBkb24ndCBrZWVwIHlvdXIgZmVldCwgdGhlcmXigJlzIG5vIGtub3dpbmcgd2hlcmUgeW91IG1pZ2h0IGJlIHN3ZXB0IG9mZiB0by4";
const RS256: &str = "eyJhbGciOiJSUzI1NiIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9";
const RS256_SIGNATURE: &str = "MRjdkly7_-oTPTS3AXP41iQIGKa80A0ZmTuV5MEaHoxnW2e5CZ5NlKtainoFmKZopdHM1O2U4mwzJdQx996ivp83xuglII7PNDi84wnB-BDkoBwA78185hX-Es4JIwmDLJK3lfWRa-XtL0RnltuYv746iYTh_qHRD68BNt1uSNCrUCTJDt5aAE6x8wW1Kt9eRo4QPocSadnHXFxnt8Is9UzpERV0ePPQdLuW3IS_de3xyIrDaLGdjluPxUAhb6L2aXic1U12podGU0KLUQSE_oI-ZnmKJ3F4uOZDnd6QZWJushZ41Axf_fcIe8u9ipH84ogoree7vjbU5y18kDquDg";
const PS384: &str = "eyJhbGciOiJQUzM4NCIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9";
const PS384_SIGNATURE: &str = "cu22eBqkYDKgIlTpzDXGvaFfz6WGoz7fUDcfT0kkOy42miAh2qyBzk1xEsnk2IpN6-tPid6VrklHkqsGqDqHCdP6O8TTB5dDDItllVo6_1OLPpcbUrhiUSMxbbXUvdvWXzg-UD8biiReQFlfz28zGWVsdiNAUf8ZnyPEgVFn442ZdNqiVJRmBqrYRXe8P_ijQ7p8Vdz0TTrxUeT3lm8d9shnr2lfJT8ImUjvAA2Xez2Mlp8cBE5awDzT0qI0n6uiP1aCN_2_jLAeQTlqRHtfa64QQSUmFAAjVKPbByi7xho0uTOcbH510a6GYmJUAfmWjwZ6oD4ifKo8DYM-X72Eaw";
const ES512: &str = "eyJhbGciOiJFUzUxMiIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9";
const ES512_SIGNATURE: &str = "AE_R_YZCChjn4791jSQCrdPZCNYqHXCTZH0-JZGYNlaAjP2kqaluUIIUnC9qvbu9Plon7KRTzoNEuT4Va2cmL1eJAQy3mtPBu_u_sDDyYjnAMDxXPn7XrT0lw-kvAD890jl8e2puQens_IEKBpHABlsbEPX6sFY8OcGDqoRuBomu9xQ2";
const HS256: &str = "eyJhbGciOiJIUzI1NiIsImtpZCI6IjAxOGMwYWU1LTRkOWItNDcxYi1iZmQ2LWVlZjMxNGJjNzAzNyJ9";
const HS256_SIGNATURE: &str = "s0h6KThzkfBBBkLspW1h84VsJZFTsPPqMDA7g1Md7p0";

/// RFC 7517, appendix A.1, which is the key of RFC 7638, section 3.1 too.
const JWK_A1_N: &str = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
/// RFC 7517, appendix B.
const JWK_B_N: &str = "vrjOfz9Ccdgx5nQudyhdoR17V-IubWMeOZCwX_jj0hgAsz2J_pqYW08PLbK_PdiVGKPrqzmDIsLI7sA25VEnHU1uCLNwBuUiCO11_-7dYbsr4iJmG0Qu2j8DsVyT1azpJC_NG84Ty5KKthuCaPod7iI7w0LK9orSMhBEwwZDCxTWq4aYWAchc8t-emd9qOvWtVMDC2BXksRngh6X5bUYLy6AyHKvj-nUy1wgzjYQDwHMTplCoLtU-o-8SNnZ1tmRoGE9uJkBLdh5gFENabWnU5m1ZqZPdwS-qo-meMvVfJb6jJVWRpl2SUtCnYG2C32qvbWbjZ_jBPD5eunqsIo1vQ";

/// Takes every algorithm with a public key.
const ANY: Jwt = Jwt { keys: JwtKeys::Public { algorithms: jose::ALL, set: JwkSet::Inline("") }, ..PUBLIC };

fn compact(header: &str, payload: &str, signature: &str) -> String {
    format!("{header}.{payload}.{signature}")
}

/// RFC 7515, appendix A.4.
fn jws_a4_key() -> Value {
    json!({ "kty": "EC", "crv": "P-521", "x": JWS_A4_X, "y": JWS_A4_Y })
}

/// RFC 7520, section 3.3.
fn cookbook_rsa() -> Value {
    json!({
        "kty": "RSA", "kid": "bilbo.baggins@hobbiton.example", "use": "sig", "n": COOKBOOK_RSA_N, "e": "AQAB",
    })
}

/// RFC 7520, section 3.1.
fn cookbook_ec() -> Value {
    json!({
        "kty": "EC", "kid": "bilbo.baggins@hobbiton.example", "use": "sig", "crv": "P-521",
        "x": COOKBOOK_EC_X, "y": COOKBOOK_EC_Y,
    })
}

fn cookbook_keys() -> Keys {
    set_of(&[cookbook_ec(), cookbook_rsa()])
}

fn cookbook_secret() -> Keys {
    Keys::shared(&Secret::new(COOKBOOK_SECRET), SECRET_FORM).unwrap()
}

#[test]
fn signatures_of_the_examples_are_right_and_wrong_with_any_other_bit() {
    // What none of them says as an access token must is looked at after the signature.
    let (claims, prose) = (Error::WrongIssuer, Error::Malformed("claims"));
    for (source, policy, keys, token, expected) in [
        ("RFC 7515, A.1", SHARED, shared_keys(), compact(JWS_A1, CLAIMS, JWS_A1_SIGNATURE), claims),
        ("RFC 7515, A.2", ANY, public_keys(), compact(JWS_A2, CLAIMS, JWS_A2_SIGNATURE), claims),
        ("RFC 7515, A.3", ANY, public_keys(), compact(JWS_A3, CLAIMS, JWS_A3_SIGNATURE), claims),
        ("RFC 7515, A.4", ANY, set_of(&[jws_a4_key()]), JWS_A4.to_owned(), prose),
        ("RFC 7520, 4.1", ANY, cookbook_keys(), compact(RS256, PROSE, RS256_SIGNATURE), prose),
        ("RFC 7520, 4.2", ANY, cookbook_keys(), compact(PS384, PROSE, PS384_SIGNATURE), prose),
        ("RFC 7520, 4.3", ANY, cookbook_keys(), compact(ES512, PROSE, ES512_SIGNATURE), prose),
        ("RFC 7520, 4.4", SHARED, cookbook_secret(), compact(HS256, PROSE, HS256_SIGNATURE), prose),
        (
            "RFC 7797, 4, as RFC 7515 has it",
            SHARED,
            shared_keys(),
            compact("eyJhbGciOiJIUzI1NiJ9", "JC4wMg", "5mvfOroL-g7HyqJoozehmsaqmvTYGEq5jTI1gVvoEoQ"),
            prose,
        ),
        ("RFC 8037, A.4", ANY, public_keys(), EDDSA_A4.to_owned(), prose),
    ] {
        assert_eq!(verify(&token, &policy, &keys, NOON), Err(expected), "{source}");
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let signature = jose::decode(signature);
        for at in 0..signature.len() {
            let mut wrong = signature.clone();
            wrong[at] ^= 1 << (at % 8);
            let wrong = format!("{signed}.{}", encode(wrong));
            assert_eq!(verify(&wrong, &policy, &keys, NOON), Err(Error::BadSignature), "{source}, {at}");
        }
    }
}

#[test]
fn a_cookbook_key_verifies_what_its_own_algorithm_signed_only() {
    let token = compact(PS384, PROSE, PS384_SIGNATURE);
    for (name, value, expected) in [
        ("alg", json!("PS384"), Error::Malformed("claims")),
        ("key_ops", json!(["verify"]), Error::Malformed("claims")),
        ("alg", json!("PS256"), Error::WrongAlgorithm),
        ("alg", json!("RS384"), Error::WrongAlgorithm),
    ] {
        let mut jwk = cookbook_rsa();
        jwk[name] = value.clone();
        assert_eq!(verify(&token, &ANY, &set_of(&[jwk]), NOON), Err(expected), "{name}: {value}");
    }
}

#[test]
fn examples_of_what_is_not_taken_are_refused() {
    let unsecured = format!("eyJhbGciOiJub25lIn0.{CLAIMS}.");
    let detached = |header: &str, signature: &str| compact(header, "", signature);
    let unencoded = "eyJhbGciOiJIUzI1NiIsImI2NCI6ZmFsc2UsImNyaXQiOlsiYjY0Il19";
    let unencoded_signature = "A5dxf2s96_n5FLueVuW1Z_vh161FwXZC4YLPff6dmDY";
    for (source, token, expected) in [
        ("RFC 7515, A.5 and RFC 7519, 6.1", unsecured, Error::WrongAlgorithm),
        ("RFC 7515, E", JWS_E.to_owned(), Error::Critical),
        ("RFC 7797, 4.2, detached", detached(unencoded, unencoded_signature), Error::Critical),
        ("RFC 7797, 4.2, as it is", compact(unencoded, "$", unencoded_signature), Error::Critical),
        (
            "RFC 7797, 4.2, with its full stop",
            compact(unencoded, "$.02", unencoded_signature),
            Error::Malformed("form"),
        ),
    ] {
        for (policy, keys) in [
            (SHARED, shared_keys()),
            (SHARED, cookbook_secret()),
            (ANY, public_keys()),
            (ANY, cookbook_keys()),
        ] {
            assert_eq!(verify(&token, &policy, &keys, NOON), Err(expected), "{source}");
        }
    }
    for (source, policy, keys, token) in [
        ("RFC 7515, F, of A.1", SHARED, shared_keys(), detached(JWS_A1, JWS_A1_SIGNATURE)),
        ("RFC 7515, F, of A.2", ANY, public_keys(), detached(JWS_A2, JWS_A2_SIGNATURE)),
        ("RFC 7515, F, of A.3", ANY, public_keys(), detached(JWS_A3, JWS_A3_SIGNATURE)),
        ("RFC 7520, 4.5", SHARED, cookbook_secret(), detached(HS256, HS256_SIGNATURE)),
    ] {
        assert_eq!(verify(&token, &policy, &keys, NOON), Err(Error::BadSignature), "{source}");
    }
}

#[test]
fn examples_in_a_json_serialization_are_refused() {
    let flattened = |payload: &str, header: &str, signature: &str| json!({ "payload": payload, "protected": header, "signature": signature });
    let general = |payload: &str, signatures: &[(&str, &str)]| {
        let signatures: Vec<_> = signatures
            .iter()
            .map(|(header, signature)| json!({ "protected": header, "signature": signature }))
            .collect();
        json!({ "payload": payload, "signatures": signatures })
    };
    for (source, policy, keys, jws) in [
        (
            "RFC 7515, A.6",
            ANY,
            public_keys(),
            general(CLAIMS, &[(JWS_A2, JWS_A2_SIGNATURE), (JWS_A3, JWS_A3_SIGNATURE)]),
        ),
        ("RFC 7515, A.7", ANY, public_keys(), flattened(CLAIMS, JWS_A3, JWS_A3_SIGNATURE)),
        ("RFC 7520, 4.1", ANY, cookbook_keys(), general(PROSE, &[(RS256, RS256_SIGNATURE)])),
        ("RFC 7520, 4.1", ANY, cookbook_keys(), flattened(PROSE, RS256, RS256_SIGNATURE)),
        ("RFC 7520, 4.4", SHARED, cookbook_secret(), general(PROSE, &[(HS256, HS256_SIGNATURE)])),
        ("RFC 7520, 4.4", SHARED, cookbook_secret(), flattened(PROSE, HS256, HS256_SIGNATURE)),
        (
            "RFC 7520, 4.8",
            ANY,
            cookbook_keys(),
            general(PROSE, &[(RS256, RS256_SIGNATURE), (HS256, HS256_SIGNATURE)]),
        ),
    ] {
        let outcome = verify(&jws.to_string(), &policy, &keys, NOON);
        assert_eq!(outcome, Err(Error::Malformed("form")), "{source}");
    }
    // RFC 7520, 4.7: nothing of the header is signed.
    let bare = json!({
        "payload": PROSE,
        "header": { "alg": "HS256", "kid": "018c0ae5-4d9b-471b-bfd6-eef314bc7037" },
        "signature": "xuLifqLGiblpv9zBpuZczWhNj1gARaLV3UxvxhJxZuk",
    });
    assert_eq!(verify(&bare.to_string(), &SHARED, &cookbook_secret(), NOON), Err(Error::Malformed("form")));
    let headless = compact("", PROSE, "xuLifqLGiblpv9zBpuZczWhNj1gARaLV3UxvxhJxZuk");
    assert_eq!(verify(&headless, &SHARED, &cookbook_secret(), NOON), Err(Error::Malformed("header")));
}

#[test]
fn of_the_examples_keys_those_that_can_verify_here_are_taken() {
    let taken = [
        json!({ "kty": "RSA", "n": JWK_A1_N, "e": "AQAB", "alg": "RS256", "kid": "2011-04-29" }),
        json!({ "kty": "RSA", "use": "sig", "kid": "1b94c", "n": JWK_B_N, "e": "AQAB", "x5c": ["MIID"] }),
        cookbook_rsa(),
        Key::Rsa.jwk(),
        Key::Ec.jwk(),
        Key::Ed.jwk(),
    ];
    for jwk in taken {
        let key = PublicKey::parse(&jwk, jose::ALL).unwrap_or_else(|error| panic!("{jwk} {error}"));
        assert_eq!(key.id.as_deref(), jwk["kid"].as_str());
    }
    for (source, jwk, reason) in [
        (
            "RFC 7517, A.1",
            json!({
                "kty": "EC", "crv": "P-256", "use": "enc", "kid": "1",
                "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
                "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
            }),
            "a `use` other than",
        ),
        (
            "RFC 7517, A.3",
            json!({ "kty": "oct", "alg": "A128KW", "k": "GawgguFyGrWKav7AX4VKUg" }),
            r#"`kty` "oct""#,
        ),
        ("RFC 7517, A.3", Key::Shared.jwk(), r#"`kty` "oct""#),
        (
            "RFC 7520, 3.5",
            json!({ "kty": "oct", "use": "sig", "alg": "HS256", "k": COOKBOOK_SECRET }),
            r#"`kty` "oct""#,
        ),
        (
            "RFC 8037, A.6",
            json!({ "kty": "OKP", "crv": "X25519", "kid": "Bob", "x": EDDSA_A6_X }),
            r#"curve "X25519""#,
        ),
    ] {
        let set = json!({ "keys": [jwk] }).to_string();
        let Some(UnfitKeys::NoKey(told)) = jose::of_set(&set, jose::ALL).err() else {
            panic!("{source}: taken")
        };
        assert!(told.join("").contains(reason), "{source}: {told:?}");
    }
}
