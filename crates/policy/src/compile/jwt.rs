//! `[realm.jwt]`: whose tokens a realm takes, and by which rules.

use serde_json::Value;

use super::{
    address::https_url,
    credential::is_token,
    link::ADMIN_COOKIE,
    reader::{Item, Table},
    units::in_seconds,
    webhook::secret_name,
};
use crate::{
    jwk,
    leak::leak,
    model::{Claims, JwkSet, Jwt, JwtKeys, Link, PublicAlgorithm, SecretForm},
    span::Span,
};

/// How long a key set is used.
const JWKS_MAX_AGE: Span = Span::from_mins(10);
const SKEW: Span = Span::from_secs(30);
pub(super) const MIN_JWKS_MAX_AGE: Span = Span::from_mins(1);
pub(super) const MAX_JWKS_MAX_AGE: Span = Span::from_hours(24);
pub(super) const MAX_SKEW: Span = Span::from_mins(1);

pub(super) const SECRET_FORMS: [(&str, SecretForm); 2] =
    [("text", SecretForm::Text), ("base64", SecretForm::Base64 { prefix: "" })];

/// More issuers in one realm are a directory of its own.
const MOST_ISSUERS: usize = 8;

/// The realm's issuers: the first, and the others.
pub(super) fn read(item: Option<Item<'_>>, link: Option<&Link>) -> (Option<Jwt>, &'static [Jwt]) {
    let Some(item) = item else { return (None, &[]) };
    if !item.is_list() {
        return (one(&item, link), &[]);
    }
    let items = item.items("[[realm.jwt]]").unwrap_or_default();
    if items.len() > MOST_ISSUERS {
        item.refuse(
            format!("{} has more than {MOST_ISSUERS} issuers", item.name),
            "give some of them a realm of their own",
        );
    }
    let mut issuers: Vec<Jwt> = Vec::new();
    for item in &items {
        let Some(jwt) = one(item, link) else { continue };
        if issuers.iter().any(|other| other.issuer == jwt.issuer) {
            item.refuse(
                format!("the issuer {:?} is there twice", jwt.issuer),
                "take one out: a token's issuer says which of them its rules are",
            );
        }
        issuers.push(jwt);
    }
    let issuers = issuers.leak();
    issuers.split_first().map_or((None, &[]), |(first, others)| (Some(*first), others))
}

/// Whether an issuer's tokens may stand in a cookie, as far as the file says so.
pub(super) fn names_cookie(item: &Item<'_>) -> bool {
    let value = item.value.get_ref();
    let tables = value.as_array().into_iter().flatten().filter_map(|value| value.get_ref().as_table());
    tables.chain(value.as_table()).any(|table| table.contains_key("cookie"))
}

fn one(item: &Item<'_>, link: Option<&Link>) -> Option<Jwt> {
    let table = item.table("[realm.jwt]")?;
    let cookie = table.get("cookie").and_then(|item| cookie(&item, link));
    let claims = Claims {
        subject: claim(&table, "subject_claim").unwrap_or(&["sub"]),
        tenant: claim(&table, "tenant_claim"),
        scopes: claim(&table, "scopes_claim"),
    };
    Some(Jwt { cookie, ..rules(&table, claims)? })
}

/// The name of a cookie that the issuer, or the app, sets.
fn cookie(item: &Item<'_>, link: Option<&Link>) -> Option<&'static str> {
    let text = item.text("\"token\"")?;
    let is_taken = text.eq_ignore_ascii_case(ADMIN_COOKIE) || link.is_some_and(|link| link.cookie == text);
    if !is_token(text) || is_taken {
        item.refuse(
            format!("{} is {text:?}, which cannot name a token's cookie", item.name),
            "write the cookie's name as it is set, like \"token\"; not that of the realm's links, nor the admin page's",
        );
        return None;
    }
    Some(leak(text))
}

/// Reads which tokens are taken from a table with an issuer's fields.
pub(super) fn rules(table: &Table<'_>, claims: Claims) -> Option<Jwt> {
    let issuer = table.need("issuer", "issuer = \"https://id.example.com\"").and_then(|item| filled(&item));
    let audiences = table
        .need("audience", "audience = \"https://api.example.com\"")
        .and_then(|item| one_or_more(&item, "\"https://api.example.com\""));
    let keys = keys(table);
    let typ = table.get("typ").and_then(|item| filled(&item));
    let skew = table.get("skew").and_then(|item| item.span()).map_or(SKEW, in_seconds);
    Some(Jwt { issuer: issuer?, audiences: audiences?, keys: keys?, typ, claims, skew, cookie: None })
}

/// Text with something in it.
pub(super) fn filled(item: &Item<'_>) -> Option<&'static str> {
    let text = item.text("\"https://id.example.com\"")?;
    if text.trim().is_empty() {
        item.refuse(format!("{} is empty", item.name), "write what the issuer puts into its tokens");
        return None;
    }
    if text.trim() != text || text.contains(char::is_control) {
        item.refuse(
            format!("{} has {text:?}, with white space around it or a control character in it", item.name),
            "write exactly what the issuer puts into its tokens: it is compared to the letter",
        );
        return None;
    }
    Some(leak(text))
}

/// One text, or a list of them.
fn one_or_more(item: &Item<'_>, example: &str) -> Option<&'static [&'static str]> {
    if item.as_text().is_none() {
        item.items(example)?;
    }
    path(item, example)
}

/// One text, or a list of them in which the same may stand twice.
fn path(item: &Item<'_>, example: &str) -> Option<&'static [&'static str]> {
    let items = if item.as_text().is_some() {
        vec![item.clone()]
    } else {
        item.filled(item.sequence(example)?, example)?
    };
    let texts: Vec<_> = items.iter().map(filled).collect();
    let texts: Option<Vec<_>> = texts.into_iter().collect();
    texts.map(|texts| &*texts.leak())
}

/// Where a claim stands: its name, or the names on the way to it.
fn claim(table: &Table<'_>, field: &str) -> Option<&'static [&'static str]> {
    path(&table.get(field)?, "\"tenant_id\", or [\"app\", \"tenant_id\"] for one inside another")
}

fn keys(table: &Table<'_>) -> Option<JwtKeys> {
    const WAYS: &str = "`jwks_url`, `jwks` or `secret`";
    let (url, inline, secret) = (table.get("jwks_url"), table.get("jwks"), table.get("secret"));
    match (url, inline, secret) {
        (None, None, None) => {
            if table.is_known() {
                table.refuse(
                    format!("{} has no keys to verify a token with", table.name()),
                    format!("write one of {WAYS}, for example: jwks_url = \"https://id.example.com/.well-known/jwks.json\""),
                );
            }
            None
        }
        (None, None, Some(secret)) => {
            for field in ["algorithms", "jwks_max_age"] {
                if let Some(item) = table.get(field) {
                    let hint = "take it out: with `secret` the algorithm is HS256";
                    item.refuse(format!("{} means nothing beside a secret", item.name), hint);
                }
            }
            let form = table.get("secret_form").and_then(|item| item.choice(&SECRET_FORMS));
            let name = secret_name(&secret)?;
            Some(JwtKeys::Secret { name, form: form.unwrap_or(SecretForm::Text) })
        }
        (Some(url), None, None) => {
            let algorithms = algorithms(table);
            let max_age = table.get("jwks_max_age").and_then(|item| item.span());
            let max_age = max_age.map_or(JWKS_MAX_AGE, in_seconds);
            let url = https_url(&url)?;
            Some(JwtKeys::Public { algorithms: algorithms?, set: JwkSet::Url { url, max_age } })
        }
        (None, Some(inline), None) => {
            let algorithms = algorithms(table);
            let text = inline.text("'{ \"keys\": [ … ] }'")?;
            let algorithms = algorithms?;
            if !is_usable_set(&inline, text, algorithms) {
                return None;
            }
            Some(JwtKeys::Public { algorithms, set: JwkSet::Inline(leak(text)) })
        }
        _ => {
            let message = format!("{} has its keys in more than one place", table.name());
            table.refuse(message, format!("keep one of {WAYS}"));
            None
        }
    }
}

fn algorithms(table: &Table<'_>) -> Option<&'static [PublicAlgorithm]> {
    const EXAMPLE: &str = "algorithms = [\"ES256\"]";
    // Ed25519 is another name of EdDSA.
    let form = |text: &str| {
        let named = PublicAlgorithm::NAMES.iter().find(|(name, _)| *name == text);
        named.map_or_else(|| text.to_owned(), |(_, algorithm)| format!("{algorithm:?}"))
    };
    let items = table.need("algorithms", EXAMPLE)?.items_by(EXAMPLE, form)?;
    // Collected twice so that every one is read, not only those before the first mistake.
    let chosen: Vec<_> = items.iter().map(|item| item.choice(&PublicAlgorithm::NAMES)).collect();
    let chosen: Option<Vec<_>> = chosen.into_iter().collect();
    chosen.map(|algorithms| &*algorithms.leak())
}

/// Whether text is a JWK Set (RFC 7517, section 5) of public keys, each of which verifies with one of these
/// algorithms. What is wrong is noted.
fn is_usable_set(item: &Item<'_>, text: &str, algorithms: &[PublicAlgorithm]) -> bool {
    let refuse = |wrong: &str, hint: &str| {
        item.refuse(format!("{} {wrong}", item.name), hint);
        false
    };
    let set: Value = serde_json::from_str(text).unwrap_or_default();
    never_quote(item, &set);
    let keys = set.get("keys").and_then(Value::as_array);
    if keys.into_iter().flatten().any(is_secret) {
        return refuse(
            "holds a private or shared key, and a policy holds no secrets",
            "leave the public members only; a key that stood here may have been seen: replace it",
        );
    }
    let keys = match jwk::parse_set(text, algorithms) {
        Ok(keys) => keys,
        Err(error) => {
            return refuse(&error.to_string(), "write a JWK Set of at most 64 KiB: '{ \"keys\": [ … ] }'");
        }
    };
    if keys.is_empty() {
        return refuse("has no keys", "add the issuer's public key");
    }
    let mut right = true;
    for (at, key) in keys.into_iter().enumerate() {
        if let Err(reason) = key.and_then(|key| jwk::software::check(&key)) {
            let mut reason = reason.to_string();
            // Where it was cut off, what it quotes may have been, too.
            if let Some((begin, _)) = reason.split_once('"').filter(|_| reason.ends_with('…')) {
                reason = format!("{begin}…");
            }
            right = refuse(
                &format!("keys[{at}] {reason}, so it can verify no token"),
                "take this key out, or put the issuer's public signing key in its place",
            );
        }
    }
    right
}

/// Keeps what a set says out of all messages, but for the two words that they say themselves.
fn never_quote(item: &Item<'_>, set: &Value) {
    match set {
        Value::String(text) if text == "sig" || text == "verify" => {}
        Value::String(text) => item.source.report.never_quote(text),
        Value::Array(values) => values.iter().for_each(|value| never_quote(item, value)),
        Value::Object(members) => members.values().for_each(|value| never_quote(item, value)),
        _ => {}
    }
}

/// Whether a JWK has members that only its owner may know (RFC 7518, section 6).
fn is_secret(jwk: &Value) -> bool {
    ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"].iter().any(|member| jwk.get(member).is_some())
}
