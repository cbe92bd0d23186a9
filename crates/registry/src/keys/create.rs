//! Making keys.

use serde_json::{Value, json};

use crate::{
    key,
    policy::Realm,
    record::{KeyKind, Status},
    registry::{
        audit::event::AuditEvent,
        authorise::Authorised,
        call_state::CreatedKey,
        context::Turn,
        effect::Effect,
        enum_text::{self, text_of},
        error::{ApiError, Code},
        handler::{HandlerError, HandlerResult},
        ids,
        input::{self, Input},
        keys::{
            delivery,
            idempotency::{self, Replay, Token},
            key::{self as stored, Key},
            new_key::NewKey,
            room::{self, Growth},
            settings::{self, Circumstances, Settings},
        },
        outcome::Outcome,
        principal::Principal,
        quotas::{self, Quota},
        rows,
    },
    secret::Secret,
    sql::{SqlError, Value as Bound},
};

/// The version of a key that was just made.
const FIRST_VERSION: u64 = 1;

/// `POST /api-keys`
pub fn create(turn: &mut Turn<'_>, principal: &Principal, _: &str) -> HandlerResult {
    let known = [&["realm", "kind"], &settings::FIELDS[..]].concat();
    let token = Token::of(turn, principal)?;
    // Before the body is looked at: what it asks for may no longer be possible, and was done.
    if let Some(token) = &token
        && let Some(replay) = token.replay(turn, principal.tenant())?
    {
        // It shows a key as making one does.
        if let Some(realm) = turn.policy.realm(&replay.key.realm) {
            let Key { kind, settings, .. } = &replay.key;
            let new_key = NewKey { realm, kind: *kind, settings, rotated_from: None, growth: Growth::Same };
            turn.authorise(principal, new_key)?;
        }
        if replay.is_shown() {
            return repeated(turn, principal, replay);
        }
        if !turn.has_created() {
            return Err(HandlerError::Tell(replay.created_key()));
        }
    }
    if turn.has_created() {
        let (key, plaintext) = turn.deliver(principal)?;
        let body = json!({ "apiKey": key.view(principal.tenant(), turn.policy, turn.now) });
        return shown(turn, plaintext, token.as_ref(), body);
    }
    let mut body = Input::body(&turn.call.body, &known)?;
    let realms: Vec<(&str, &'static Realm)> =
        turn.policy.realms.iter().map(|realm| (realm.id, realm)).collect();
    let Some(default) = turn.policy.realms.first() else {
        return Err(ApiError::new(Code::Conflict, "The policy has no realm that a key could be for.").into());
    };
    let realm = body.optional("realm", |value| input::one_of(value, &realms)).unwrap_or(default);
    let kind =
        body.optional("kind", |value| enum_text::read(value, &KeyKind::ALL)).unwrap_or(KeyKind::Secret);
    let required: &[&str] = if realm.asks_for_scopes() { &["name", "scopes"] } else { &["name"] };
    for field in required.iter().filter(|field| !body.has(field)).copied().collect::<Vec<_>>() {
        body.refuse(field, "is required");
    }
    let mut settings = Settings::blank();
    let as_admin = principal.grants_admin_scopes();
    settings.read(&mut body, Circumstances { realm, kind, as_admin, now: turn.now });
    body.finish()?;
    let new_key = NewKey { realm, kind, settings: &settings, rotated_from: None, growth: Growth::More };
    let new_key = turn.authorise(principal, new_key)?;
    Err(HandlerError::Tell(make(turn, principal, &new_key, token.as_ref())?))
}

/// Stores a new key, puts it into the outbox and audits it.
pub fn make(
    turn: &mut Turn<'_>,
    principal: &Principal,
    new_key: &Authorised<NewKey<'_>>,
    token: Option<&Token>,
) -> Result<CreatedKey, HandlerError> {
    let NewKey { realm, kind, settings, rotated_from, growth } = &**new_key;
    let tenant = principal.tenant();
    room::make(turn, tenant, room::bytes_of(settings), *growth)?;
    if token.is_some() {
        let remembered = quotas::used(turn.db, &tenant.id, Quota::IdempotencyKeys, turn.now)?;
        turn.require_quota(tenant, Quota::IdempotencyKeys, remembered, 1)?;
    }
    let part = key::tenant_part(&realm.key, &tenant.id, tenant.code.as_deref()).ok_or_else(no_code)?;
    let (plaintext, nonce) = idempotency::plaintext(turn, token, (&realm.key, part), settings.mode);
    let id = ids::id("key_", turn.entropy);
    let shown_within = if nonce.is_some() { idempotency::LIFE } else { delivery::SHOWN_WITHIN };
    let prefix = key::key_prefix(&realm.key, plaintext.expose());
    let last4 = key::last4(plaintext.expose());
    let mut columns = settings.columns(&id, &prefix, &last4);
    columns.extend([
        ("id", Bound::from(id.as_str())),
        ("tenant_id", principal.tenant_id().into()),
        ("realm", realm.id.into()),
        ("kind", text_of(*kind).into()),
        ("prefix", prefix.into()),
        ("last4", last4.into()),
        ("hash", key::storage_hash(&realm.key, turn.secrets, plaintext.expose()).into()),
        ("status", text_of(Status::Active).into()),
        ("version", i64::try_from(FIRST_VERSION).unwrap_or(1).into()),
        ("created_at", turn.now.into()),
        ("created_by", principal.actor().view().to_string().into()),
        ("updated_at", turn.now.into()),
        ("rotated_from", rotated_from.map(Bound::from).unwrap_or(Bound::Null)),
        ("publish_due", turn.now.into()),
        ("deliver_by", turn.now.plus(shown_within).into()),
    ]);
    rows::insert(turn.db, "keys", &columns)?;
    let key = stored::load(turn.db, principal.tenant_id(), &id)?;
    let key = key.ok_or_else(|| SqlError("a key that was just stored is not there".to_owned()))?;
    let view = key.view(principal.tenant(), turn.policy, turn.now);
    turn.audit(&AuditEvent {
        tenant_id: principal.tenant_id(),
        actor: &principal.actor(),
        action: "key.create",
        target: &id,
        before: Value::Null,
        after: view.clone(),
    })?;
    if let Some((token, nonce)) = token.zip(nonce) {
        idempotency::remember(turn, token, nonce, &id, &json!({ "apiKey": view }))?;
    }
    Ok(CreatedKey { id, plaintext })
}

fn no_code() -> ApiError {
    let detail = "Keys of this realm carry their tenant's code, and this tenant has none. \
                  The operator can give it one.";
    ApiError::new(Code::Conflict, detail)
}

/// The answer that shows a new key, remembered without its plaintext.
pub fn shown(turn: &Turn<'_>, plaintext: Secret, token: Option<&Token>, body: Value) -> HandlerResult {
    if let Some(token) = token {
        idempotency::answer(turn, token, &body)?;
    }
    let outcome = created(turn, body, &plaintext);
    Ok(match token {
        Some(token) => outcome.remember(token.remembered()),
        None => outcome,
    })
}

/// The answer to a request that was carried out before: what was answered then, and a mark. That the key was shown
/// again is audited.
pub fn repeated(turn: &Turn<'_>, principal: &Principal, replay: Replay) -> HandlerResult {
    let Replay { key, body, plaintext, token } = replay;
    // It adds an entry to the audit, and it can be repeated without an end.
    turn.require_room_for(principal.tenant(), Effect::Repeats)?;
    delivery::note_replay(turn, principal, &key)?;
    let outcome = created(turn, body, &plaintext).publish(key.rotated_from);
    Ok(outcome.header("Idempotent-Replayed", "true").remember(token))
}

/// The answer, with the key as it is in its body.
fn created(turn: &Turn<'_>, mut body: Value, plaintext: &Secret) -> Outcome {
    let key = body.get("apiKey");
    let version = key.and_then(|key| key.get("version")).and_then(Value::as_u64).unwrap_or(FIRST_VERSION);
    let id = key.and_then(|key| key.get("id")).and_then(Value::as_str).unwrap_or_default().to_owned();
    if let Some(body) = body.as_object_mut() {
        body.insert("plaintextKey".to_owned(), plaintext.expose().into());
    }
    turn.created(&format!("/api-keys/{id}"), body).version(version).publish([id])
}
