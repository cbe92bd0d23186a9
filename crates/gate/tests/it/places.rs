//! Keys as user names of Basic authentication, and among the subprotocols of a WebSocket.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD},
};
use keyward_core::request_target::RequestTarget;
use keyward_gate::{
    credential::{self, other_subprotocols},
    denial::Denial,
};
use keyward_policy::{CredentialSource, Realm, SourceKind, StaticKey};
use keyward_testing::{fake_platform::FakePlatform, policy::POLICY, secrets};

const BASIC: CredentialSource = CredentialSource {
    header: "authorization",
    scheme: Some("Basic"),
    kind: SourceKind::Key,
    forward: false,
};
const SUBPROTOCOL: CredentialSource = CredentialSource {
    header: CredentialSource::SUBPROTOCOLS,
    scheme: Some("key"),
    kind: SourceKind::Key,
    forward: false,
};

fn realm() -> Realm {
    Realm { credentials: &[BASIC, SUBPROTOCOL], ..POLICY.realms[0] }
}

fn take(fields: &[(&str, &str)]) -> Result<Option<String>, Denial> {
    let header =
        |name: &str| fields.iter().find(|(field, _)| *field == name).map(|(_, value)| (*value).to_owned());
    let target = RequestTarget::of("https://gate.example/api/orders");
    let taken = credential::take(&realm(), target, Some(&secrets()), None, header);
    taken.map(|mut found| found.pop().map(|found| found.text.expose().to_owned()))
}

#[test]
fn the_user_name_of_basic_authentication_is_the_key_whatever_the_password_is() {
    for pair in ["kw_live_x:", "kw_live_x:x", "kw_live_x:a:b"] {
        for text in [STANDARD.encode(pair), STANDARD_NO_PAD.encode(pair)] {
            for scheme in ["Basic", "basic"] {
                let value = format!("{scheme} {text}");
                assert_eq!(take(&[("authorization", &value)]), Ok(Some("kw_live_x".into())), "{value}");
            }
        }
    }
    // Passwords have any charset.
    let value = format!("Basic {}", STANDARD.encode(b"kw_live_x:p\xe4ss"));
    assert_eq!(take(&[("authorization", &value)]), Ok(Some("kw_live_x".into())));
    // What is no pair is refused, and never as the key that it may be.
    let not_utf8 = STANDARD.encode(b"kw_live_\xe4:");
    for text in
        ["kw_live_x".to_owned(), STANDARD.encode("kw_live_x"), STANDARD.encode(":kw_live_x"), not_utf8]
    {
        assert_eq!(take(&[("authorization", &format!("Basic {text}"))]), Ok(Some(format!(":{text}"))));
    }
    let key = STANDARD.encode("kw_live_x:");
    assert_eq!(take(&[("authorization", &format!("Bearer {key}"))]), Ok(None));
    let twice = format!("Basic {key}, Basic {key}");
    assert_eq!(take(&[("authorization", &twice)]), Err(Denial::RepeatedCredential));
    assert_eq!(credential::written(&BASIC, "kw_live_x"), format!("Basic {key}"));
}

#[test]
fn one_subprotocol_of_a_websocket_may_be_the_key() {
    let header = CredentialSource::SUBPROTOCOLS;
    for (value, expected) in [
        ("key.kw_live_x", Some("kw_live_x")),
        ("chat, key.kw_live_x", Some("kw_live_x")),
        ("chat,key.kw_live_x,\tv2", Some("kw_live_x")),
        ("chat, v2", None),
        ("key", None),
        ("key.", None),
        ("KEY.kw_live_x", None),
        ("kw_live_x", None),
        ("", None),
    ] {
        assert_eq!(take(&[(header, value)]), Ok(expected.map(str::to_owned)), "{value}");
    }
    let basic = format!("Basic {}", STANDARD.encode("kw_live_y:"));
    for fields in [
        vec![(header, "key.kw_live_x, key.kw_live_y")],
        vec![(header, "key.kw_live_x"), ("authorization", basic.as_str())],
    ] {
        assert_eq!(take(&fields), Err(Denial::RepeatedCredential));
    }
}

#[test]
fn the_origin_gets_the_subprotocols_without_what_is_a_credential() {
    let key = FakePlatform::new().new_key(1);
    let others = |value: &str| other_subprotocols(&[realm()], value, Some(&secrets()));
    assert_eq!(others("chat, v2"), None, "all of it is left");
    assert_eq!(others("chat, key.anything, v2").as_deref(), Some("chat, v2"));
    assert_eq!(others("key.anything").as_deref(), Some(""));
    // Also where it is not meant to be.
    assert_eq!(others(&format!("chat, {}", key.expose())).as_deref(), Some("chat"));
    assert_eq!(others(&format!("chat, other.{}", key.expose())).as_deref(), Some("chat"));
}

#[test]
fn a_configured_key_in_basic_is_found_wherever_it_is_sent() {
    // printf %s agent-key.of-any.form | sha256sum
    const SHA256: &str = "b5457e85a1bc76c977733c097496965a32b0320de67055a306b7a42b813807f8";
    const CONFIGURED: StaticKey =
        StaticKey { id: "agent", sha256: SHA256, scopes: &[], tenant: None, plan: None };
    let realms = [Realm { static_keys: &[CONFIGURED], ..realm() }];
    let is_found = |pair: &str| {
        let value = format!("Basic {}", STANDARD.encode(pair));
        credential::is_of_any(&realms, &BASIC, &value, Some(&secrets()))
    };
    assert!(is_found("agent-key.of-any.form:"));
    assert!(credential::is_of_any(&realms, &BASIC, "Basic agent-key.of-any.form", Some(&secrets())));
    assert!(!is_found("agent-key.of-another.form:"));
}
