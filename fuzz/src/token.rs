//! Access tokens (JWT): their form, their header, and what they say once the signature was found right.
//!
//! Input: a byte that chooses how the token is asked to be; a line with the header's JSON, or a whole token; and the
//! claims' JSON. Whatever they are, they are signed here.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use keyward_core::secret::Secret;
use keyward_gate::jwt::{Claims, Error, Keys, MOST_BYTES, Token};
use keyward_policy::{Jwt, SecretForm, scope};
use keyward_testing::jose;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use crate::support::{NOW, SHARED, choice, hmac, realm_named, text};

pub fn run(data: &[u8]) {
    let (chosen, rest) = choice(data);
    let mut policy = realm_named("app").jwt.expect("it has one");
    if chosen & 1 > 0 {
        policy.typ = Some("at+jwt");
    }
    if chosen & 2 > 0 {
        policy.claims.tenant = None;
    }
    let keys = Keys::shared(&Secret::new(SHARED), SecretForm::Text).expect("it is long enough");
    let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
    let (header, claims) = (&rest[..end], rest.get(end + 1..).unwrap_or_default());
    // As it is, with a signature that nobody has made.
    if let Ok(token) = Token::read(&text(header), &policy) {
        assert!(header.len() <= MOST_BYTES);
        assert!(jose::verify_read(&token, &keys, NOW).is_err(), "nobody makes a signature up");
    }
    let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let signature = URL_SAFE_NO_PAD.encode(hmac(SHARED.as_bytes(), &[signed.as_bytes()]));
    let whole = format!("{signed}.{signature}");
    match Token::read(&whole, &policy) {
        Err(error) => {
            assert!(!error.is_after_signature());
            assert_eq!(error == Error::TooLong, whole.len() > MOST_BYTES);
        }
        Ok(token) => {
            let read: Value = serde_json::from_slice(header).expect("what is read is JSON");
            assert_eq!(read["alg"], "HS256", "the policy names the algorithm");
            assert_eq!(token.key_id(), read["kid"].as_str());
            assert!(read.get("crit").is_none() && !repeats_a_name(header));
            if policy.typ.is_some() {
                let typ = read["typ"].as_str().unwrap_or_default().to_ascii_lowercase();
                assert!(matches!(typ.as_str(), "at+jwt" | "application/at+jwt"));
            }
            match jose::verify_read(&token, &keys, NOW) {
                Ok(_) => {
                    says(claims, &policy, &jose::verify_read(&token, &keys, NOW).expect("it is as before"))
                }
                Err(error) => {
                    assert!(error.is_after_signature() || matches!(error, Error::Malformed("claims")))
                }
            }
            // One sign less of the signature, and of what is signed.
            let shorter = &whole[..whole.len() - 1];
            assert!(
                Token::read(shorter, &policy).is_err_and(|error| error == Error::Malformed("signature"))
                    || Token::read(shorter, &policy)
                        .is_ok_and(|token| jose::verify_read(&token, &keys, NOW).is_err())
            );
        }
    }
}

/// What passes holds by a naive reading too.
fn says(claims: &[u8], policy: &Jwt, told: &Claims) {
    assert!(!repeats_a_name(claims), "a name stands twice in {}", text(claims));
    let read: Value = serde_json::from_slice(claims).expect("what passes is JSON");
    let at = |path: &[&str]| path.iter().fold(&read, |value, name| &value[*name]);
    let seconds = |name: &str| read[name].as_f64();
    let (now, skew) = (NOW.0 as f64 / 1_000.0, policy.skew.ms() as f64 / 1_000.0);
    assert_eq!(read["iss"], policy.issuer);
    let names = |value: &Value| value.as_str().is_some_and(|name| policy.audiences.contains(&name));
    assert!(names(&read["aud"]) || read["aud"].as_array().is_some_and(|all| all.iter().any(names)));
    assert!(seconds("exp").expect("it has one") + skew > now);
    for from in ["nbf", "iat"] {
        assert!(read.get(from).is_none() || seconds(from).expect("it is a number") <= now + skew + 0.001);
    }
    assert!(told.expires > NOW);
    assert_eq!(Some(told.subject.as_str()), at(policy.claims.subject).as_str());
    assert_eq!(told.tenant.as_deref(), policy.claims.tenant.and_then(|path| at(path).as_str()));
    for text in told.scopes.iter().chain(&told.tenant).chain([&told.subject]) {
        assert!(
            text.bytes().all(|byte| matches!(byte, b' '..=b'~')) && !text.is_empty(),
            "{text:?} in a header"
        );
    }
    assert!(told.scopes.iter().all(|scope| !scope::is_wildcard(scope) && !scope.contains(' ')));
}

/// Whether some object of a JSON text names a member twice: counts members as they come, and as they are kept.
fn repeats_a_name(json: &[u8]) -> bool {
    let kept: Value = serde_json::from_slice(json).expect("it was read");
    let come: Members = serde_json::from_slice(json).expect("it was read");
    come.0 != members(&kept)
}

fn members(value: &Value) -> usize {
    match value {
        Value::Array(items) => items.iter().map(members).sum(),
        Value::Object(object) => object.len() + object.values().map(members).sum::<usize>(),
        _ => 0,
    }
}

/// How many members all objects of a JSON text have together.
pub struct Members(pub usize);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Counter).map(Self)
    }
}

struct Counter;

impl<'de> Visitor<'de> for Counter {
    type Value = usize;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JSON")
    }
    fn visit_unit<E>(self) -> Result<usize, E> {
        Ok(0)
    }
    fn visit_bool<E>(self, _: bool) -> Result<usize, E> {
        Ok(0)
    }
    fn visit_i64<E>(self, _: i64) -> Result<usize, E> {
        Ok(0)
    }
    fn visit_u64<E>(self, _: u64) -> Result<usize, E> {
        Ok(0)
    }
    fn visit_f64<E>(self, _: f64) -> Result<usize, E> {
        Ok(0)
    }
    fn visit_str<E>(self, _: &str) -> Result<usize, E> {
        Ok(0)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<usize, A::Error> {
        let mut count = 0;
        while let Some(Members(more)) = items.next_element()? {
            count += more;
        }
        Ok(count)
    }
    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<usize, A::Error> {
        let mut count = 0;
        while entries.next_key::<String>()?.is_some() {
            count += 1 + entries.next_value::<Members>()?.0;
        }
        Ok(count)
    }
}
