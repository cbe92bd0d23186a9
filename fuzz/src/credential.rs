//! Where a credential is taken from, what counts as one, and that the origin never gets it.
//!
//! Input: a byte that chooses the realm, a line with path and query, and header fields. `$KEY`, `$TEST` and `$SESSION` stand for what
//! is in order.

use keyward_core::{
    key,
    link::Session,
    record::{Tenant, TenantStatus},
    request_target::RequestTarget,
    secret::Secret,
    session_id,
    time::MILLISECOND,
};
use keyward_gate::{
    credential::{self, Kind},
    denial::Denial,
    forwarding, gate, hint, refusal,
};
use keyward_policy::{CredentialSource, Proof, Realm, Requirement, SourceKind};

use crate::support::{
    Filled, Headers, NOW, assert_sendable, choice, lines, new_key, policy, realm, secrets, shows, text,
};

pub fn run(data: &[u8]) {
    let (chosen, rest) = choice(data);
    let realm = realm(chosen);
    let (own, other) = (new_key(&realm.key, 1), new_key(&realm.key, 2));
    let session = session(realm).seal(secrets()).expose().to_owned();
    let filled = Filled(&[("$KEY", &own), ("$TEST", &other), ("$SESSION", &session)]).of(&text(rest));
    let ([path], fields) = lines(&filled);
    let url = format!("https://{}/{path}", "h.example");
    let target = RequestTarget::of(&url);
    let headers = Headers::of(fields);
    let header = |name: &str| headers.get(name);
    let taken = credential::take(realm, target, Some(secrets()), None, header).map(|mut found| found.pop());
    let is_in_url = credential::is_in_url(realm, target, Some(secrets()));
    assert_eq!(matches!(taken, Err(Denial::KeyInUrl)), is_in_url);
    match &taken {
        Ok(Some(credential)) => took(realm, credential, &headers, &[&own, &other, &session]),
        Ok(None) => refused(realm, &missing(realm, &headers), &[&own, &other, &session]),
        Err(denial) => refused(realm, denial, &[&own, &other, &session]),
    }
    let kinds = realm.routes.iter();
    for route in kinds {
        if let Ok(Some(id)) = session_id::take(realm, route, header) {
            assert!((1..=128).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic()));
            assert!(!id.contains(['/', ',', ';', '"', '\'', '\\', '%', '&', '=']));
        }
    }
    // A credential that is in order reaches no origin, whoever was asked for one and wherever it stands.
    let removed = forwarding::credentials(policy().realms, realm, &anybody(), Some(secrets()), header);
    for source in realm.credentials.iter().filter(|source| source.kind == SourceKind::Key) {
        let value = header(source.header).unwrap_or_default();
        let holds = [&own, &other].iter().any(|key| value.contains(key.as_str())) && realm.key.checksum > 0;
        assert!(!holds || removed.contains(&source.header), "{}: {value} goes on", source.header);
    }
}

fn anybody() -> gate::Permit {
    gate::pass_without_key(&Requirement::Public).expect("it asks for nothing")
}

/// What was taken stands in one header, and in a form that is removed from it.
fn took(realm: &Realm, taken: &credential::Credential, headers: &Headers, secrets_of_ours: &[&str]) {
    let text = taken.text.expose();
    assert!(!text.is_empty());
    let debug = |text: &str| {
        format!(
            "{:?}",
            credential::Credential { kind: taken.kind, text: Secret::new(text), cookie: taken.cookie }
        )
    };
    assert!(!shows(text, debug), "a credential shows in {taken:?}");
    let (wanted, value) = match taken.kind {
        Kind::Session => {
            let value = headers.get("cookie").unwrap_or_default();
            return assert!(value.contains(text) && realm.link.is_some());
        }
        Kind::Key => (SourceKind::Key, text),
        Kind::Jwt => (SourceKind::Jwt, text),
    };
    assert!(!value.contains(',') && !value.starts_with(' ') && !value.ends_with(' '));
    let is_its = |source: &&CredentialSource| {
        let field = headers.get(source.header).unwrap_or_default();
        source.kind == wanted && field.ends_with(text) && credential::has_scheme(source, &field)
    };
    assert!(realm.credentials.iter().any(|source| is_its(&source)), "{text:?} would go on to the origin");
    // What it is told of it holds none of it.
    let slip = hint::slip(&realm.key, text);
    for denial in [Denial::MalformedKey { slip }, Denial::UnknownKey { slip }] {
        refused(realm, &denial, secrets_of_ours);
    }
    let told = |text: &str| {
        let slip = hint::slip(&realm.key, text);
        let denials = [Denial::MalformedKey { slip }, Denial::UnknownKey { slip }];
        format!("{:?}", denials.map(|denial| refusal::refuse(&denial, Some(realm), "0123")))
    };
    assert!(text.len() < 12 || !shows(text, told), "{text} shows in {}", told(text));
    if key::is_well_formed(&realm.key, secrets(), text) {
        assert!(slip.is_none() || realm.key.checksum == 0, "{text:?} is in order, and {slip:?}");
    }
}

fn missing(realm: &Realm, headers: &Headers) -> Denial {
    const BY: &[Proof] = &[Proof::Key, Proof::Jwt];
    Denial::MissingCredential { by: BY, stray: hint::stray(realm, BY, |name| headers.get(name)) }
}

fn refused(realm: &Realm, denial: &Denial, secret: &[&str]) {
    let answer = refusal::refuse(denial, Some(realm), "0123");
    assert_sendable(answer.headers.iter().map(|(name, value)| (*name, value.as_str())));
    assert!(matches!(answer.status, 400 | 401 | 403), "{denial:?}");
    assert!(answer.body.len() < 2_000);
    for secret in secret.iter().filter(|secret| secret.len() > 20) {
        let shows =
            answer.body.contains(secret) || answer.headers.iter().any(|(_, value)| value.contains(secret));
        assert!(!shows, "{secret} shows in {}", answer.body);
    }
}

fn session(realm: &Realm) -> Session {
    Session {
        realm: realm.id.to_owned(),
        tenant: Tenant { id: "t".into(), code: None, status: TenantStatus::Active, plan: None, pool: None },
        subject: None,
        session_id: None,
        expires_at: NOW.plus(MILLISECOND),
    }
}
