//! Changing, revoking, pausing and resuming keys.

use serde_json::Value;

use crate::{
    audit::{event::AuditEvent, short},
    context::RequestContext,
    handler::{HandlerError, HandlerResult},
    input::{self, Input},
    keys::{
        change::{Change, Ending},
        idempotency,
        key::{Key, State},
        key_quotas,
        settings::{self, SettingsContext},
    },
    outcome::Outcome,
    principal::Principal,
    to_json::object,
};

/// `PATCH /api-keys/{id}`
pub fn edit(context: &mut RequestContext<'_>, principal: &Principal, id: &str) -> HandlerResult {
    let key = context.key(principal, id)?;
    let realm = context.policy.realm(&key.realm).ok_or_else(|| key.realm_is_gone())?;
    // Or a stolen one could free itself of its addresses and its end.
    principal.require_member_for(realm, &key.settings.scopes)?;
    let mut body = Input::body(&context.call.body, &settings::FIELDS)?;
    let mut settings = key.settings.clone();
    let as_admin = principal.grants_admin_scopes();
    settings.read(&mut body, SettingsContext { realm, kind: key.kind, as_admin, now: context.now });
    if settings.mode != key.settings.mode && realm.key.test_prefix.is_some() {
        body.refuse("testMode", "cannot be changed: the key's own prefix says which it is. Make a new key");
    }
    body.finish()?;
    key.require_not_ended(context.now, "edited")?;

    if settings != key.settings {
        let change = context.authorise(principal, Change { key: &key, settings, ending: Ending::None })?;
        context.require_match(&key)?;
        let (old, new) = (key_quotas::bytes_of(&key.settings), key_quotas::bytes_of(&change.settings));
        change.store(context, None)?;
        let kept = note(context, principal, &key, "key.edit")?;
        // To set less on a key is never refused, although a repeat of the request that made it may have to keep more.
        if let Some(more) = new.checked_sub(old) {
            key_quotas::require_bytes(context, principal.tenant(), more.saturating_add(kept))?;
        }
    }
    answer(context, principal, id, "effectiveEverywhereBy")
}

/// `POST /api-keys/{id}/revoke`
pub fn revoke(context: &mut RequestContext<'_>, principal: &Principal, id: &str) -> HandlerResult {
    let key = context.key(principal, id)?;
    let mut body = Input::body(&context.call.body, &["reason"])?;
    let reason =
        body.optional("reason", |value| input::line(value, 0, 500)).filter(|reason| !reason.is_empty());
    body.finish()?;
    let change = context.authorise(principal, Change::of_ending(&key, Ending::revoked(principal, reason)))?;

    if key.state(context.now) != State::Revoked {
        context.require_match(&key)?;
        change.store(context, None)?;
        note(context, principal, &key, "key.revoke")?;
    }
    answer(context, principal, id, "refusedEverywhereBy")
}

/// `POST /api-keys/{id}/pause`
pub fn pause(context: &mut RequestContext<'_>, principal: &Principal, id: &str) -> HandlerResult {
    let key = context.key(principal, id)?;
    Input::body(&context.call.body, &[])?.finish()?;
    let change = context.authorise(principal, Change::of_ending(&key, Ending::Paused))?;
    key.require_not_ended(context.now, "paused")?;

    if key.paused_at.is_none() {
        context.require_match(&key)?;
        change.store(context, None)?;
        note(context, principal, &key, "key.pause")?;
    }
    answer(context, principal, id, "refusedEverywhereBy")
}

/// `POST /api-keys/{id}/resume`
pub fn resume(context: &mut RequestContext<'_>, principal: &Principal, id: &str) -> HandlerResult {
    let key = context.key(principal, id)?;
    Input::body(&context.call.body, &[])?.finish()?;
    let change = context.authorise(principal, Change::of_ending(&key, Ending::Resumed))?;
    key.require_resumable(context.now)?;

    if key.paused_at.is_some() {
        context.require_match(&key)?;
        change.store(context, None)?;
        note(context, principal, &key, "key.resume")?;
    }
    answer(context, principal, id, "effectiveEverywhereBy")
}

/// The key as it is now, and from when on that holds everywhere: known if the coordinator was told
/// before, else promised once it is.
fn answer(
    context: &RequestContext<'_>,
    principal: &Principal,
    id: &str,
    field: &'static str,
) -> HandlerResult {
    let key = context.key(principal, id)?;
    let freshness = key.freshness(context.policy);
    let mut body = object!({ "apiKey": key.view(principal.tenant(), context.policy, context.now) });
    let known = key.holds_everywhere_by(freshness, context.now);
    if let (Some(by), Some(body)) = (known, body.as_object_mut()) {
        body.insert(field.to_owned(), by.to_rfc3339().into());
    }
    let outcome = Outcome::ok(body).version(key.version);
    Ok(if known.is_some() { outcome } else { outcome.publish([key.id]).promise("", field, freshness, None) })
}

/// Audits what changed, from the key as it was to the key as it is stored now. How many bytes more are kept for repeats.
pub fn note(
    context: &RequestContext<'_>,
    principal: &Principal,
    old: &Key,
    action: &'static str,
) -> Result<u64, HandlerError> {
    let new = context.key(principal, &old.id)?;
    let view = |key: &Key| -> Value { key.view(principal.tenant(), context.policy, context.now) };
    let (before, after) = short::difference(&view(old), &view(&new));
    let kept = idempotency::settings_change(context.db, &old.id, &before)?;
    let event = AuditEvent {
        tenant_id: principal.tenant_id(),
        actor: &principal.actor(),
        action,
        target: &old.id,
        before,
        after,
    };
    context.audit(&event)?;
    Ok(kept)
}
