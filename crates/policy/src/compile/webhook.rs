//! `[realm.webhook.NAME]`: how the senders of webhooks sign.

use super::{
    credential::own_header,
    reader::{Entry, Item, Table},
    units::{MEGABYTE, in_seconds},
};
use crate::{
    leak::leak,
    model::{SecretForm, SignatureEncoding, SignedPart, Webhook},
    span::Span,
};

/// The schemes that a policy may name.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Scheme {
    Stripe,
    Square,
    Standard,
    Svix,
    Github,
    Hmac,
}

pub(super) const SCHEMES: [(&str, Scheme); 6] = [
    ("stripe", Scheme::Stripe),
    ("square", Scheme::Square),
    ("standard", Scheme::Standard),
    ("svix", Scheme::Svix),
    ("github", Scheme::Github),
    ("hmac", Scheme::Hmac),
];
pub(super) const ENCODINGS: [(&str, SignatureEncoding); 2] =
    [("hex", SignatureEncoding::Hex), ("base64", SignatureEncoding::Base64)];

pub(super) const MIN_TOLERANCE: Span = Span::from_secs(1);
/// GitHub sends up to 25 MiB. An isolate has room for one of these.
pub(super) const MAX_BODY: u64 = 27 * MEGABYTE;
/// Each makes the gate hash the body once more.
const MOST_SECRETS: usize = 3;
pub(super) const MAX_TOLERANCE: Span = Span::from_hours(1);

/// A webhook, if it could be read, and the name by which routes ask for it.
pub(super) struct Named<'a> {
    pub(super) name: &'a str,
    pub(super) webhook: Option<&'static Webhook>,
    pub(super) item: Item<'a>,
}

/// Reads the sections; without them there are none.
pub(super) fn read<'a>(realm: &Table<'a>) -> Vec<Named<'a>> {
    let entries = realm.get("webhook").and_then(|item| item.entries("[realm.webhook.stripe]"));
    let named = |entry: Entry<'a>| Named { name: entry.key, webhook: one(&entry.item), item: entry.item };
    entries.unwrap_or_default().into_iter().map(named).collect()
}

fn one(item: &Item<'_>) -> Option<&'static Webhook> {
    let table = item.table("[realm.webhook.stripe]")?;
    let scheme = table.need("scheme", "scheme = \"stripe\"").and_then(|item| item.choice(&SCHEMES));
    let secrets = table.need("secret", "secret = \"STRIPE_SECRET\"").and_then(|item| secret_names(&item));
    let (scheme, (secret, other_secrets)) = (scheme?, secrets?);
    refuse_fields_of_others(&table, scheme);
    let webhook = match scheme {
        Scheme::Stripe => Webhook::stripe(secret),
        Scheme::Standard => Webhook::standard(secret),
        Scheme::Svix => Webhook::svix(secret),
        Scheme::Github => Webhook::github(secret),
        Scheme::Square => Webhook::square(secret, square_content(&table)?),
        Scheme::Hmac => hmac(&table, secret)?,
    };
    let tolerance = table.get("tolerance").and_then(|item| item.span());
    let tolerance = tolerance.map_or(webhook.tolerance, in_seconds);
    let max_body = table.get("max_body").and_then(|item| item.size());
    let max_body = max_body.and_then(|bytes| u32::try_from(bytes).ok());
    Some(Box::leak(Box::new(Webhook { tolerance, other_secrets, max_body, ..webhook })))
}

/// Each scheme has fields of its own; one that does nothing would only seem to protect.
fn refuse_fields_of_others(table: &Table<'_>, scheme: Scheme) {
    let of: [(&str, &[Scheme]); 5] = [
        ("url", &[Scheme::Square]),
        ("header", &[Scheme::Hmac]),
        ("tag", &[Scheme::Hmac]),
        ("encoding", &[Scheme::Hmac]),
        ("tolerance", &[Scheme::Stripe, Scheme::Standard, Scheme::Svix]),
    ];
    for (field, schemes) in of {
        if let Some(item) = table.get(field).filter(|_| !schemes.contains(&scheme)) {
            item.refuse(
                format!("{} means nothing in this scheme", item.name),
                "take it out: `url` is for \"square\", `header`, `tag` and `encoding` for \"hmac\", \
                 `tolerance` for \"stripe\", \"standard\" and \"svix\"",
            );
        }
    }
}

/// Square signs the URL that it was given, and the body.
fn square_content(table: &Table<'_>) -> Option<&'static [SignedPart; 2]> {
    const EXAMPLE: &str = "\"https://api.example.com/webhooks/square\"";
    let item = table.need("url", &format!("url = {EXAMPLE}"))?;
    let url = item.text(EXAMPLE)?;
    if !url.starts_with("https://") || url.contains(char::is_whitespace) || !url.is_ascii() {
        item.refuse(
            format!("{} is not an https URL", item.name),
            format!("write it exactly as the sender was told it, like {EXAMPLE}"),
        );
        return None;
    }
    Some(Box::leak(Box::new([SignedPart::Text(leak(url)), SignedPart::Body])))
}

/// HMAC-SHA-256 of the body alone, as many senders have it.
fn hmac(table: &Table<'_>, secret: &'static str) -> Option<Webhook> {
    let header = table.need("header", "header = \"X-Hub-Signature-256\"").and_then(|item| {
        own_header(&item, "a webhook's signature", "write the sender's own, like \"X-Hub-Signature-256\"")
    });
    let tag = match table.get("tag") {
        None => "",
        Some(item) => {
            let tag = item.text("\"sha256=\"")?;
            if tag.len() > 32 || !tag.bytes().all(|byte| byte.is_ascii_graphic()) {
                item.refuse(
                    format!("{} is {tag:?}, which no signature begins with", item.name),
                    "write visible ASCII characters, like \"sha256=\"",
                );
            }
            leak(tag)
        }
    };
    let encoding = table.get("encoding").and_then(|item| item.choice(&ENCODINGS));
    Some(Webhook {
        header: header?,
        separator: None,
        tag,
        encoding: encoding.unwrap_or(SignatureEncoding::Hex),
        content: &[SignedPart::Body],
        timestamp: None,
        tolerance: Span::ZERO,
        secret,
        other_secrets: &[],
        max_body: None,
        secret_form: SecretForm::Text,
    })
}

/// The first of a webhook's secrets, and the others.
/// The names of secrets, the first and the others.
pub(super) fn secret_names(item: &Item<'_>) -> Option<(&'static str, &'static [&'static str])> {
    if item.as_text().is_some() {
        return Some((secret_name(item)?, &[]));
    }
    let items = item.items("[\"STRIPE_SECRET\", \"STRIPE_SECRET_OLD\"]")?;
    if items.len() > MOST_SECRETS {
        item.refuse(
            format!("{} has more than {MOST_SECRETS} secrets", item.name),
            "take out those that the sender no longer signs with",
        );
    }
    // Collected twice so that every one is read.
    let names: Vec<_> = items.iter().map(secret_name).collect();
    let names: Option<Vec<_>> = names.into_iter().collect();
    let (first, others) = names?.leak().split_first()?;
    Some((*first, others))
}

/// The name of a secret. What stands in its place is not shown: it may be the secret.
pub(super) fn secret_name(item: &Item<'_>) -> Option<&'static str> {
    let text = item.text("\"STRIPE_SECRET\"")?;
    let plain = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    let fit = text.starts_with(|first: char| first.is_ascii_uppercase())
        && text.bytes().all(plain)
        && !text.starts_with("KEYWARD_");
    if !fit {
        item.refuse(
            format!("{} is not the name of a secret, and the secret itself must not stand in a policy", item.name),
            "write a name in capitals, like \"STRIPE_SECRET\" (KEYWARD_ is for the gate's own), and set it with \
             `wrangler secret put`; a secret that stood here may have been seen: replace it",
        );
    }
    fit.then(|| leak(text))
}
