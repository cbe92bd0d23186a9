//! Changing and revoking keys.

use serde_json::{Value, json};

use crate::{
    registry::{
        Handled, Outcome, Turn,
        audit::{self, Deed},
        error::{Code, Refusal, Stop},
        input::{self, Input},
        keys::{
            Key, State,
            change::{Change, Fate},
            grants, idempotency, room,
            settings::{self, Circumstances},
        },
        principal::Principal,
    },
    time::Timestamp,
};

/// `PATCH /api-keys/{id}`
pub fn edit(turn: &mut Turn<'_>, principal: &Principal, id: &str) -> Handled {
    let key = turn.key(principal, id)?;
    let realm = turn.policy.realm(&key.realm).ok_or_else(|| realm_is_gone(&key))?;
    // Or a stolen one could free itself of its addresses and its end.
    grants::require_member_for(realm, &key.settings.scopes, principal)?;
    let mut body = Input::body(&turn.call.body, &settings::FIELDS)?;
    let mut settings = key.settings.clone();
    let as_admin = principal.grants_admin_scopes();
    settings.read(&mut body, Circumstances { realm, kind: key.kind, as_admin, now: turn.now });
    if settings.mode != key.settings.mode && realm.key.test_prefix.is_some() {
        body.refuse("testMode", "cannot be changed: the key's own prefix says which it is. Make a new key");
    }
    body.finish()?;
    require_active(&key, turn.now, "edited")?;

    if settings != key.settings {
        let change = turn.authorise(principal, Change { key: &key, settings, fate: Fate::Stays })?;
        turn.require_match(&key)?;
        let (old, new) = (room::bytes_of(&key.settings), room::bytes_of(&change.settings));
        change.store(turn, None)?;
        let kept = note(turn, principal, &key, "key.edit")?;
        // To set less on a key is never refused, although a repeat of the request that made it may have to keep more.
        if let Some(more) = new.checked_sub(old) {
            room::require_since(turn, principal.tenant(), more.saturating_add(kept))?;
        }
    }
    answer(turn, principal, id, "effectiveEverywhereBy")
}

/// `POST /api-keys/{id}/revoke`
pub fn revoke(turn: &mut Turn<'_>, principal: &Principal, id: &str) -> Handled {
    let key = turn.key(principal, id)?;
    let mut body = Input::body(&turn.call.body, &["reason"])?;
    let reason =
        body.optional("reason", |value| input::line(value, 0, 500)).filter(|reason| !reason.is_empty());
    body.finish()?;
    let change = turn.authorise(principal, Change::of_fate(&key, Fate::Revoked { reason }))?;

    if key.state(turn.now) != State::Revoked {
        turn.require_match(&key)?;
        change.store(turn, None)?;
        note(turn, principal, &key, "key.revoke")?;
    }
    answer(turn, principal, id, "refusedEverywhereBy")
}

/// The key as it is now, and from when on that holds everywhere: known if the KeyGate was told
/// before, else promised once it is.
fn answer(turn: &Turn<'_>, principal: &Principal, id: &str, field: &'static str) -> Handled {
    let key = turn.key(principal, id)?;
    let freshness = key.freshness(turn.policy);
    let mut body = json!({ "apiKey": key.view(principal.tenant(), turn.policy, turn.now) });
    let known = key.holds_everywhere_by(freshness, turn.now);
    if let (Some(by), Some(body)) = (known, body.as_object_mut()) {
        body.insert(field.to_owned(), by.to_rfc3339().into());
    }
    let outcome = Outcome::ok(body).version(key.version);
    Ok(if known.is_some() { outcome } else { outcome.publish([key.id]).promise("", field, freshness, None) })
}

/// Audits what changed, from the key as it was to the key as it is stored now. How many bytes more are kept for repeats.
pub fn note(turn: &Turn<'_>, principal: &Principal, old: &Key, action: &'static str) -> Result<u64, Stop> {
    let new = turn.key(principal, &old.id)?;
    let view = |key: &Key| -> Value { key.view(principal.tenant(), turn.policy, turn.now) };
    let (before, after) = audit::difference(&view(old), &view(&new));
    let kept = idempotency::settings_change(turn.db, &old.id, &before)?;
    let deed = Deed {
        tenant_id: principal.tenant_id(),
        actor: &principal.actor(),
        action,
        target: &old.id,
        before,
        after,
    };
    turn.audit(&deed)?;
    Ok(kept)
}

/// Refuses what only an active key can be.
pub fn require_active(key: &Key, now: Timestamp, what: &str) -> Result<(), Refusal> {
    let state = match key.state(now) {
        State::Active => return Ok(()),
        State::Revoked => "revoked",
        State::Expired => "expired",
    };
    let instead = match &key.rotated_to {
        Some(successor) => format!("{successor} replaced it: go on with that one, or make a new one."),
        None => "Make a new one.".to_owned(),
    };
    Err(Refusal::new(Code::Conflict, format!("The key is {state} and can no longer be {what}. {instead}")))
}

/// The refusal for a key whose realm the policy no longer has.
pub fn realm_is_gone(key: &Key) -> Refusal {
    let detail = format!(
        "The policy has no realm {} any more: the key works nowhere. It can only be revoked.",
        key.realm
    );
    Refusal::new(Code::Conflict, detail)
}
