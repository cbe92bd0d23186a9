//! Making keys.

use keyward_core::{
    key,
    record::{KeyKind, Status},
    secret::Secret,
    sql::{SqlError, Value as Bound},
    time::Timestamp,
};
use keyward_policy::Realm;
use serde_json::Value;

use crate::{
    audit::event::AuditEvent,
    authorise::Authorised,
    call_state::CreatedKey,
    context::RequestContext,
    effect::Effect,
    enum_text::text_of,
    error::{ApiError, Code},
    handler::{HandlerError, HandlerResult},
    ids,
    input::{self, Input},
    keys::{
        delivery,
        idempotency::{self, Replay, Token},
        key::{self as stored, Key},
        key_quotas::{self, Growth},
        new_key::NewKey,
        settings::{self, Settings, SettingsContext},
    },
    outcome::Outcome,
    principal::Principal,
    quotas::{self, Quota},
    rows,
    to_json::object,
};

/// The version of a key that was just made.
const FIRST_VERSION: u64 = 1;

/// `POST /api-keys`
pub fn create(context: &mut RequestContext<'_>, principal: &Principal, _: &str) -> HandlerResult {
    let known = [&["realm", "kind"], &settings::FIELDS[..]].concat();
    let token = Token::of(context, principal)?;
    // Before the body is looked at: what it asks for may no longer be possible, and was done.
    if let Some(token) = &token
        && let Some(replay) = token.replay(context, principal.tenant())?
    {
        // It shows a key as making one does.
        if let Some(realm) = context.policy.realm(&replay.key.realm) {
            let Key { kind, settings, .. } = &replay.key;
            let new_key = NewKey { realm, kind: *kind, settings, rotated_from: None, growth: Growth::Same };
            context.authorise(principal, new_key)?;
        }
        if replay.is_shown() {
            return repeated(context, principal, replay);
        }
        if !context.has_created() {
            return Err(HandlerError::Tell(replay.created_key()));
        }
    }
    if context.has_created() {
        let (key, plaintext) = context.deliver(principal)?;
        let body = object!({ "apiKey": key.view(principal.tenant(), context.policy, context.now) });
        return shown(context, plaintext, token.as_ref(), body);
    }
    let mut body = Input::body(&context.call.body, &known)?;
    let realms: Vec<&'static Realm> = context.policy.realms.iter().collect();
    let (realm, kind, settings) = read(&mut body, &realms, principal, context.now)?;
    body.finish()?;
    let new_key = NewKey { realm, kind, settings: &settings, rotated_from: None, growth: Growth::More(1) };
    let new_key = context.authorise(principal, new_key)?;
    Err(HandlerError::Tell(make(context, principal, &new_key, token.as_ref())?))
}

/// Reads what a new key is to be, for one of these realms, the first if none is named. Whatever is wrong is noted in `body`.
///
/// # Errors
/// CONFLICT without a realm.
pub(super) fn read(
    body: &mut Input,
    realms: &[&'static Realm],
    principal: &Principal,
    now: Timestamp,
) -> Result<(&'static Realm, KeyKind, Settings), ApiError> {
    let Some(default) = realms.first() else {
        return Err(ApiError::new(Code::Conflict, "The policy has no realm that a key could be for."));
    };
    let realms: Vec<(&str, &'static Realm)> = realms.iter().map(|realm| (realm.id, *realm)).collect();
    let realm = body.optional("realm", |value| input::one_of(value, &realms)).unwrap_or(default);
    let kind =
        body.optional("kind", |value| input::one_of_enum(value, &KeyKind::ALL)).unwrap_or(KeyKind::Secret);
    let required: &[&str] = if realm.asks_for_scopes() { &["name", "scopes"] } else { &["name"] };
    for field in required.iter().filter(|field| !body.has(field)).copied().collect::<Vec<_>>() {
        body.refuse(field, "is required");
    }
    let mut settings = Settings::blank();
    let as_admin = principal.grants_admin_scopes();
    settings.read(body, SettingsContext { realm, kind, as_admin, now });
    if let Some(why) = settings::unfit_end(realm, None, now).filter(|_| settings.expires_at.is_none()) {
        body.refuse("expiresAt", why);
    }
    Ok((realm, kind, settings))
}

/// Stores a new key, puts it into the outbox and audits it.
pub fn make(
    context: &mut RequestContext<'_>,
    principal: &Principal,
    new_key: &Authorised<NewKey<'_>>,
    token: Option<&Token>,
) -> Result<CreatedKey, HandlerError> {
    let NewKey { realm, settings, growth, .. } = &**new_key;
    let tenant = principal.tenant();
    key_quotas::make_room(context, tenant, key_quotas::bytes_of(settings), *growth)?;
    if token.is_some() {
        let remembered = quotas::used(context.db, &tenant.id, Quota::IdempotencyKeys, context.now)?;
        context.require_quota(tenant, Quota::IdempotencyKeys, remembered, 1)?;
    }
    let part = key::tenant_part(&realm.key, &tenant.id, tenant.code.as_deref()).ok_or_else(no_code)?;
    let (plaintext, nonce) = idempotency::plaintext(context, token, (&realm.key, part), settings.mode);
    let id = ids::id("key_", context.entropy);
    let shown_within = if nonce.is_some() { idempotency::LIFE } else { delivery::SHOWN_WITHIN };
    let prefix = key::key_prefix(&realm.key, plaintext.expose());
    let last4 = key::last4(plaintext.expose());
    let hash = key::storage_hash(&realm.key, context.secrets, plaintext.expose());
    let mut columns = row(context, principal, new_key, &id, (&prefix, &last4), &hash);
    columns.push(("deliver_by", (context.now + shown_within).into()));
    rows::insert(context.db, "keys", &columns)?;
    let view = note(context, principal, &id, "key.create")?;
    if let Some((token, nonce)) = token.zip(nonce) {
        idempotency::remember(context, token, nonce, &id, &object!({ "apiKey": view }))?;
    }
    Ok(CreatedKey { id, plaintext })
}

/// The row of a new key, which is in the outbox. Of the key itself it has what people may see (`prefix`, `last4`), and a hash.
pub(super) fn row(
    context: &RequestContext<'_>,
    principal: &Principal,
    new_key: &Authorised<NewKey<'_>>,
    id: &str,
    (prefix, last4): (&str, &str),
    hash: &str,
) -> Vec<(&'static str, Bound)> {
    let NewKey { realm, kind, settings, rotated_from, .. } = &**new_key;
    let mut columns = settings.columns(id, prefix, last4);
    columns.extend([
        ("id", Bound::from(id)),
        ("tenant_id", principal.tenant_id().into()),
        ("realm", realm.id.into()),
        ("kind", text_of(*kind).into()),
        ("prefix", prefix.into()),
        ("last4", last4.into()),
        ("hash", hash.into()),
        ("status", text_of(Status::Active).into()),
        ("version", i64::try_from(FIRST_VERSION).unwrap_or(1).into()),
        ("created_at", context.now.into()),
        ("created_by", principal.actor().view().to_string().into()),
        ("updated_at", context.now.into()),
        ("rotated_from", rotated_from.map(Bound::from).unwrap_or(Bound::Null)),
        ("publish_due", context.now.into()),
    ]);
    columns
}

/// Audits that a key was stored. Returns it as the API shows it.
pub(super) fn note(
    context: &RequestContext<'_>,
    principal: &Principal,
    id: &str,
    action: &'static str,
) -> Result<Value, SqlError> {
    let key = stored::load(context.db, principal.tenant_id(), id)?;
    let key = key.ok_or_else(|| SqlError("a key that was just stored is not there".to_owned()))?;
    let view = key.view(principal.tenant(), context.policy, context.now);
    context.audit(&AuditEvent {
        tenant_id: principal.tenant_id(),
        actor: &principal.actor(),
        action,
        target: id,
        before: Value::Null,
        after: view.clone(),
    })?;
    Ok(view)
}

fn no_code() -> ApiError {
    let detail = "Keys of this realm carry their tenant's code, and this tenant has none. \
                  The operator can give it one.";
    ApiError::new(Code::Conflict, detail)
}

/// The answer that shows a new key, remembered without its plaintext.
pub fn shown(
    context: &RequestContext<'_>,
    plaintext: Secret,
    token: Option<&Token>,
    body: Value,
) -> HandlerResult {
    if let Some(token) = token {
        idempotency::answer(context, token, &body)?;
    }
    let outcome = created(context, body, &plaintext);
    Ok(match token {
        Some(token) => outcome.remember(token.remembered()),
        None => outcome,
    })
}

/// The answer to a request that was carried out before: what was answered then, and a mark. That the key was shown
/// again is audited.
pub fn repeated(context: &RequestContext<'_>, principal: &Principal, replay: Replay) -> HandlerResult {
    let Replay { key, body, plaintext, token } = replay;
    // It adds an entry to the audit, and it can be repeated without an end.
    context.require_space_for(principal.tenant(), Effect::Repeats)?;
    delivery::note_replay(context, principal, &key)?;
    let outcome = created(context, body, &plaintext).publish(key.rotated_from);
    Ok(outcome.header("Idempotent-Replayed", "true").remember(token))
}

/// The answer, with the key as it is in its body.
fn created(context: &RequestContext<'_>, mut body: Value, plaintext: &Secret) -> Outcome {
    let key = body.get("apiKey");
    let version = key.and_then(|key| key.get("version")).and_then(Value::as_u64).unwrap_or(FIRST_VERSION);
    let id = key.and_then(|key| key.get("id")).and_then(Value::as_str).unwrap_or_default().to_owned();
    if let Some(body) = body.as_object_mut() {
        body.insert("plaintextKey".to_owned(), plaintext.expose().into());
    }
    context.created(&format!("/api-keys/{id}"), body).version(version).publish([id])
}
