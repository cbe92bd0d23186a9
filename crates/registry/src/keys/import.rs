//! Importing keys that were made elsewhere, by the SHA-256 of each: a line a key. A call is carried out as a whole or, if one
//! line is wrong, not at all, so that the same lines can be sent again once that one is mended.
//!
//! Nobody learns here whose keys others have: a key that another tenant has imported is taken in like any other, under a name
//! that nothing looks up. It goes on passing as that tenant's, and the deployment's log says so.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use keyward_core::{
    key,
    record::KeyKind,
    sql::{self, SqlError},
    time::Timestamp,
};
use keyward_policy::{ImportedFormat, Realm};
use serde_json::Value;

use crate::{
    authorise::Authorised,
    context::RequestContext,
    error::{ApiError, Code},
    handler::{HandlerError, HandlerResult},
    ids,
    input::{self, FieldErrors, Input, invalid},
    keys::{
        create,
        key_quotas::{self, Growth},
        new_key::NewKey,
        settings::{FIELDS, Settings},
    },
    outcome::Outcome,
    principal::Principal,
    quotas::{self, Quota},
    rows,
    to_json::{ToJson, object},
};

/// Most lines of a call.
pub const MOST_LINES: usize = 1_000;
/// Most mistakes that an answer names.
pub const MOST_ERRORS: usize = 100;
/// Most characters after the prefix, and at the end, that are kept of a key.
pub const MOST_SHOWN: usize = 4;
/// Most imported keys of a tenant that have ended and left the list. They are remembered, so that none comes back to life.
const MOST_ENDED: u64 = 100_000;

const OWN_FIELDS: [&str; 6] = ["hash", "realm", "kind", "prefix", "last4", "createdAt"];

/// A key to be imported.
struct Line {
    realm: &'static Realm,
    kind: KeyKind,
    settings: Settings,
    prefix: String,
    last4: String,
    made_at: Option<Timestamp>,
    /// Under which it is stored.
    name: String,
    /// All that the line says, but for the hash.
    said: String,
}

/// What a line is, once nothing is wrong with it.
enum Read {
    New(Box<Line>),
    /// It was imported before: it stays as it is.
    Repeated,
}

/// A key that has this hash, or had it.
struct Known {
    id: Option<String>,
    tenant_id: String,
    imported_as: Option<String>,
}
keyward_core::from_row!(Known { id, tenant_id, imported_as });

/// `POST /api-keys/import`
pub fn import(context: &mut RequestContext<'_>, principal: &Principal, _: &str) -> HandlerResult {
    let mut query = Input::query(&context.call.query, &["dryRun"]);
    let words = [("true", true), ("false", false)];
    let dry = query.optional("dryRun", |value| input::one_of(value, &words)).unwrap_or_default();
    query.finish()?;
    let realms: Vec<&'static Realm> =
        context.policy.realms.iter().filter(|realm| realm.imported.is_some()).collect();
    if realms.is_empty() {
        let detail = "No realm takes keys that were made elsewhere: the policy has no [realm.imported].";
        return Err(ApiError::new(Code::Conflict, detail).into());
    }
    let texts: Vec<(usize, &str)> =
        (1..).zip(context.call.body.lines()).filter(|(_, text)| !text.trim().is_empty()).collect();
    if texts.is_empty() || texts.len() > MOST_LINES {
        let message = format!("must have 1 to {MOST_LINES} lines, each of them a key, not {}", texts.len());
        return Err(ApiError::field("body", message).into());
    }
    // Reading lines is what costs, so whatever they are refused for, the call counts as what it is.
    context.counted.take();
    let (mut repeated, mut claimed, mut wrong) = (0_u32, 0_u32, 0_u32);
    let mut errors: Vec<Value> = Vec::new();
    let mut lines: Vec<Line> = Vec::new();
    // Places in `lines`, by name.
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for (number, text) in texts {
        let read = match read(context, principal, &realms, text, &mut claimed) {
            Ok(Read::New(line)) => match seen.get(&line.name).and_then(|at| lines.get(*at)) {
                Some(other) if other.said == line.said => Ok(Read::Repeated),
                Some(_) => {
                    Err(ApiError::field("hash", "stands in an earlier line, with other settings").into())
                }
                None => Ok(Read::New(line)),
            },
            read => read,
        };
        match read {
            Ok(Read::New(line)) => {
                seen.insert(line.name.clone(), lines.len());
                lines.push(*line);
            }
            Ok(Read::Repeated) => repeated += 1,
            Err(HandlerError::Refused(refusal)) => {
                wrong += 1;
                let errors_of_line = refusal.fields.iter().map(|it| (it.field.as_str(), it.message.as_str()));
                let whole =
                    refusal.fields.is_empty().then_some(("", "is not a JSON object that can be read"));
                for (field, message) in errors_of_line.chain(whole) {
                    errors.push(object!({ "line": number, "field": field, "message": message }));
                }
            }
            Err(other) => return Err(other),
        }
    }
    errors.truncate(MOST_ERRORS);
    let mut new_keys = Vec::new();
    for line in &lines {
        let Line { realm, kind, settings, .. } = line;
        let growth = Growth::More(lines.len() as u64);
        let new_key = NewKey { realm, kind: *kind, settings, rotated_from: None, growth };
        new_keys.push((line, context.authorise(principal, new_key)?));
    }
    let is_done = wrong == 0 && !dry;
    if wrong == 0 {
        require_room(context, principal, lines.len() as u64, dry)?;
    }
    let mut ids = Vec::new();
    if is_done && !lines.is_empty() {
        let bytes = lines.iter().map(|line| key_quotas::bytes_of(&line.settings)).sum();
        key_quotas::make_room(context, principal.tenant(), bytes, Growth::More(lines.len() as u64))?;
        for (line, new_key) in &new_keys {
            ids.push(store(context, principal, line, new_key)?);
        }
        if claimed > 0 {
            context.notice(format!(
                "tenant {} imported {claimed} keys that another tenant has imported: they pass as that one's",
                principal.tenant_id()
            ));
        }
    }
    let imported = if dry { lines.len() } else { ids.len() };
    let answer = object!({ "imported": imported, "repeated": repeated, "wrong": wrong, "errors": errors });
    Ok(Outcome::ok(answer).publish(ids).allow_partial())
}

/// Refuses more than the tenant may have. How many keys it may have is looked at here only where none is stored.
fn require_room(
    context: &RequestContext<'_>,
    principal: &Principal,
    adding: u64,
    dry: bool,
) -> Result<(), HandlerError> {
    let tenant = principal.tenant();
    for quota in [Quota::AuditEntries].into_iter().chain(dry.then_some(Quota::Keys)) {
        let used = quotas::used(context.db, &tenant.id, quota, context.now)?;
        context.require_quota(tenant, quota, used, adding)?;
    }
    let ended = "SELECT COUNT(*) FROM ended_imports WHERE tenant_id = ?";
    let ended = sql::scalar::<u64>(context.db, ended, &[tenant.id.as_str().into()])?.unwrap_or_default();
    if adding > 0 && ended >= MOST_ENDED {
        let detail = format!(
            "{MOST_ENDED} imported keys of this tenant have ended and left the list, the most that are remembered: no \
             others can be imported. Make new keys."
        );
        return Err(ApiError::new(Code::QuotaExceeded, detail).into());
    }
    Ok(())
}

fn read(
    context: &RequestContext<'_>,
    principal: &Principal,
    realms: &[&'static Realm],
    text: &str,
    claimed: &mut u32,
) -> Result<Read, HandlerError> {
    let mut body = Input::body(text, &[&OWN_FIELDS[..], &FIELDS].concat())?;
    let said = body.fingerprint("hash");
    let (realm, kind, settings) = create::read(&mut body, realms, principal, context.now)?;
    let hash = body.required("hash", sha256);
    let format = realm.imported.as_ref();
    let prefix = body.optional("prefix", |value| prefix(value, format));
    let last4 = body.optional("last4", |value| last4(value, format)).unwrap_or_default();
    let made_at = body.optional("createdAt", |value| made_at(value, context.now));
    let Some(hash) = hash else { return Err(body.refusal().into()) };

    let names = key::imported_names(realm.id, context.secrets, &hash);
    let claims = key::claimed_names(principal.tenant_id(), realm.id, context.secrets, &hash);
    let known = known(context, &[&names[..], &claims].concat())?;
    let (own, others): (Vec<Known>, Vec<Known>) =
        known.into_iter().partition(|known| known.tenant_id == principal.tenant_id());
    if let Some(own) = own.into_iter().next() {
        // Whatever was done with it since: it was changed, revoked, or has left the list.
        return match own.id {
            Some(id) if own.imported_as.as_ref() != Some(&said) => {
                let message = format!("is imported as {id}, with other settings: change that key instead");
                Err(ApiError::field("hash", message).into())
            }
            _ => Ok(Read::Repeated),
        };
    }
    body.finish()?;
    *claimed += u32::from(!others.is_empty());
    let name = if others.is_empty() { names } else { claims }.into_iter().next().unwrap_or_default();
    let prefix = prefix.unwrap_or_else(|| match format.map_or(&[][..], |format| format.prefixes) {
        [only] => (*only).to_owned(),
        _ => String::new(),
    });
    Ok(Read::New(Box::new(Line { realm, kind, settings, prefix, last4, made_at, name, said })))
}

fn known(context: &RequestContext<'_>, names: &[String]) -> Result<Vec<Known>, SqlError> {
    let known = "SELECT id, tenant_id, imported_as FROM keys WHERE hash IN (SELECT value FROM json_each(?))
        UNION ALL SELECT NULL, tenant_id, NULL FROM ended_imports WHERE hash IN (SELECT value FROM json_each(?))";
    let names = names.to_json().to_string();
    sql::query::<Known>(context.db, known, &[names.as_str().into(), names.as_str().into()])
}

fn store(
    context: &mut RequestContext<'_>,
    principal: &Principal,
    line: &Line,
    new_key: &Authorised<NewKey<'_>>,
) -> Result<String, SqlError> {
    let id = ids::id("key_", context.entropy);
    let visible = (line.prefix.as_str(), line.last4.as_str());
    let mut columns = create::row(context, principal, new_key, &id, visible, &line.name);
    columns.extend([("imported_as", line.said.as_str().into()), ("made_at", line.made_at.into())]);
    rows::insert(context.db, "keys", &columns)?;
    create::note(context, principal, &id, "key.import")?;
    Ok(id)
}

/// The SHA-256 of a key, as many products write it. Nothing of it stands in an error: it may be the key itself.
fn sha256(value: &Value) -> Result<[u8; 32], FieldErrors> {
    let text = input::text(value)?;
    let text = text.strip_prefix("sha256:").unwrap_or(&text);
    let bytes = if text.len() == 64 {
        key::unhex(text)
    } else {
        let text = text.trim_end_matches('=').replace('+', "-").replace('/', "_");
        URL_SAFE_NO_PAD.decode(text).ok()
    };
    bytes.and_then(|bytes| bytes.try_into().ok()).map_or_else(
        || {
            invalid(
                "must be the SHA-256 of the whole key, in hex (64 digits) or base64. Never the key itself",
            )
        },
        Ok,
    )
}

fn prefix(value: &Value, format: Option<&ImportedFormat>) -> Result<String, FieldErrors> {
    let text = input::text(value)?;
    let fits = |rest: &str, format: &ImportedFormat| rest.len() <= MOST_SHOWN && format.is_made_of(rest);
    if format.is_some_and(|format| format.after_prefix(&text).any(|rest| fits(rest, format))) {
        return Ok(text);
    }
    invalid(format!(
        "must be a prefix of the policy's [realm.imported], and at most {MOST_SHOWN} characters of the key after it"
    ))
}

fn last4(value: &Value, format: Option<&ImportedFormat>) -> Result<String, FieldErrors> {
    let text = input::text(value)?;
    let fits = text.len() <= MOST_SHOWN && format.is_some_and(|format| format.is_made_of(&text));
    if fits { Ok(text) } else { invalid(format!("must be the key's last characters, {MOST_SHOWN} at most")) }
}

fn made_at(value: &Value, now: Timestamp) -> Result<Timestamp, FieldErrors> {
    let time = input::time(value)?;
    if time <= now { Ok(time) } else { invalid("cannot be in the future") }
}
