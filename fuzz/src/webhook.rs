//! Signatures and times in the headers of webhooks.
//!
//! Input: a byte that chooses the scheme; lines with the signature header, the time and the id; then the body. `$HEX`, `$BASE64` and
//! `$NOW` stand for what is right.

use base64::{Engine, engine::general_purpose::STANDARD};
use keyward_core::{key::hex, secret::Secret};
use keyward_gate::webhook::{Check, Error};
use keyward_policy::{Requirement, Webhook};

use crate::support::{Filled, NOW, SHARED, choice, hmac, lines, realm_named, text};

pub fn run(data: &[u8]) {
    let (chosen, rest) = choice(data);
    let routes = realm_named("hooks").routes;
    let Requirement::Webhook(webhook) = routes[usize::from(chosen) % routes.len()].requires else { return };
    let text = text(rest);
    let ([header, time, id], body) = lines(&text);
    let now = (NOW.0 / 1_000).to_string();
    let time = time.replace("$NOW", &now);
    let name = routes[usize::from(chosen) % routes.len()].path.source;
    let right = hmac(
        &secret(name),
        &signed(name, header, &time, id, &now, body).iter().map(Vec::as_slice).collect::<Vec<_>>(),
    );
    let fill = [("$HEX", hex(&right)), ("$BASE64", STANDARD.encode(right)), ("$NOW", now.clone())];
    let header = Filled(&fill.each_ref().map(|(name, value)| (*name, value.as_str()))).of(header);
    let found = checked(webhook, name, &header, &time, id, body);
    let expected = is_right(name, &header, &time, &right);
    match found {
        Ok(()) => assert!(expected, "{name} takes {header:?} at {time:?}"),
        // What a sender sends passes.
        Err(error) => {
            assert!(
                !expected
                    || id.is_empty() && name == "/standard"
                    || [&header, &time, id].iter().any(|text| text.contains(", ")),
                "{name}: {error}, {header:?}"
            );
            assert!(!error.to_string().contains(SHARED));
        }
    }
    if found.is_ok() {
        let other = format!("{body}x");
        assert_eq!(checked(webhook, name, &header, &time, id, &other), Err(Error::BadSignature));
    }
}

fn secret(name: &str) -> Vec<u8> {
    // Base64 of what the others have as it is.
    if name == "/standard" { STANDARD.decode(encoded()).expect("base64") } else { SHARED.into() }
}

fn encoded() -> String {
    STANDARD.encode(SHARED)
}

fn checked(
    webhook: &Webhook,
    name: &str,
    header: &str,
    time: &str,
    id: &str,
    body: &str,
) -> Result<(), Error> {
    let fields = [(webhook.header, header), ("webhook-timestamp", time), ("webhook-id", id)];
    let read =
        |wanted: &str| fields.iter().find(|(name, _)| *name == wanted).map(|(_, value)| (*value).to_owned());
    let shared = if name == "/standard" { format!("whsec_{}", encoded()) } else { SHARED.to_owned() };
    let mut check = Check::begin(webhook, &[Secret::new(shared)], read, NOW)?;
    body.as_bytes().chunks(7).for_each(|piece| check.see(piece));
    check.finish()
}

/// What each scheme signs, by its own documents.
fn signed(name: &str, header: &str, time: &str, id: &str, now: &str, body: &str) -> Vec<Vec<u8>> {
    let entry =
        header.split(',').find_map(|entry| entry.strip_prefix("t=")).unwrap_or_default().replace("$NOW", now);
    match name {
        "/stripe" => vec![entry.into(), b".".into(), body.into()],
        "/square" => vec![b"https://hooks.example/square".into(), body.into()],
        "/standard" => vec![id.into(), b".".into(), time.into(), b".".into(), body.into()],
        _ => vec![body.into()],
    }
}

/// Whether a receiver that follows each scheme's documents takes it.
fn is_right(name: &str, header: &str, time: &str, right: &[u8; 32]) -> bool {
    let near = |time: &str| {
        let seconds = time
            .parse::<i64>()
            .ok()
            .filter(|_| time.bytes().all(|byte| byte.is_ascii_digit()) && time.len() <= 12);
        seconds.is_some_and(|seconds| (NOW.0 - seconds * 1_000).abs() <= 300_000)
    };
    let is_hex = |text: &str| text.eq_ignore_ascii_case(&hex(right));
    let is_base64 = |text: &str| text == STANDARD.encode(right);
    match name {
        "/stripe" => {
            let of = |tag: &'static str| header.split(',').filter_map(move |entry| entry.strip_prefix(tag));
            of("t=").count() == 1 && of("t=").all(near) && of("v1=").any(is_hex)
        }
        "/square" => is_base64(header),
        "/standard" => {
            near(time) && header.split(' ').filter_map(|entry| entry.strip_prefix("v1,")).any(is_base64)
        }
        _ => header.strip_prefix("sha256=").is_some_and(is_hex),
    }
}
