//! Rotating keys: a new one with the old one's settings, and what becomes of the old one.

use serde_json::json;

use crate::{
    policy::{KeyAction, Realm, Rotation},
    record::Status,
    registry::{
        Handled, Turn,
        error::Stop,
        input::{self, Input},
        keys::{
            create::{self, Order},
            edit, grants,
            idempotency::Token,
            settings::Settings,
        },
        outcome::{Freshness, Outcome},
        principal::Principal,
        schema,
        words::word,
    },
    time::{SECOND, Timestamp},
};

/// Ten years.
const LONGEST_GRACE: u32 = 315_360_000;

/// What becomes of the old key.
#[derive(Clone, Copy)]
enum Old {
    /// It goes on as before.
    Stays,
    /// It is revoked.
    Revoked,
    /// It expires, at the latest then.
    Ends(Timestamp),
}

/// `POST /api-keys/{id}/rotate`
pub fn rotate(turn: &mut Turn<'_>, principal: &Principal, id: &str) -> Handled {
    let key = turn.key(principal, id)?;
    let mut body = Input::body(&turn.call.body, &["revokeOld", "graceSeconds"])?;
    let revoke = body.optional("revokeOld", input::flag);
    let grace = body.optional("graceSeconds", |value| input::whole(value, 0, LONGEST_GRACE));
    if revoke.is_some() && grace.is_some() {
        body.refuse(
            "graceSeconds",
            "cannot stand beside revokeOld: the old key is either revoked or ends after the grace",
        );
    }
    body.finish()?;
    let realm = turn.policy.realm(&key.realm).ok_or_else(|| edit::realm_is_gone(&key))?;
    turn.require_allowed(Some(realm), KeyAction::Rotate, principal)?;
    let token = Token::of(turn, principal)?;
    if let Some(token) = &token
        && let Some(replay) = token.replay(turn, principal.tenant())?
    {
        if replay.is_shown() {
            let old = old(realm, revoke, grace, key.settings.expires_at, turn.now);
            let repeated = create::repeated(turn, principal, replay)?;
            return Ok(promise(repeated, old, key.freshness(turn.policy)));
        }
        if !turn.has_made() {
            return Err(Stop::Tell(replay.fresh()));
        }
    }
    turn.require_match(&key)?;
    edit::require_active(&key, turn.now, "rotated")?;
    grants::require_member_for(realm, &key.settings.scopes, principal)?;
    grants::require_fit(realm, key.kind, &key.settings.scopes)?;

    if !turn.has_made() {
        // A grace is the old key's alone: the new one lives as long as its owner said.
        let settings = Settings { expires_at: key.own_expiry(), ..key.settings.clone() };
        let order = Order { realm, kind: key.kind, settings: &settings, rotated_from: Some(&key.id) };
        return Err(Stop::Tell(create::make(turn, principal, &order, token.as_ref())?));
    }
    // Only now, when the new key works, does anything become of the old one.
    let (new, plaintext) = turn.deliver(principal)?;
    let old = old(realm, revoke, grace, key.settings.expires_at, turn.now);
    let link = ("rotated_to", new.id.as_str().into());
    match old {
        Old::Stays => schema::update(turn.db, "keys", &key.id, &[link])?,
        Old::Revoked => {
            let reason = "rotated".into();
            let revoked = ("status", word(Status::Revoked).into());
            key.store(turn, vec![link, revoked, ("revoked_at", turn.now.into()), ("revoke_reason", reason)])?;
        }
        Old::Ends(at) => {
            let own = ("own_expires_at", key.own_expiry().into());
            key.store(turn, vec![link, ("expires_at", at.into()), ("grace_ends_at", at.into()), own])?;
        }
    }
    edit::note(turn, principal, &key, "key.rotate")?;

    let view = new.view(principal.tenant(), turn.policy, turn.now);
    let previous = turn.key(principal, id)?.summary(turn.now);
    let body = json!({ "apiKey": view, "previous": previous });
    let outcome = create::shown(turn, plaintext, token.as_ref(), body)?;
    let freshness = key.freshness(turn.policy);
    let outcome = if matches!(old, Old::Stays) { outcome } else { outcome.publish([key.id]) };
    Ok(promise(outcome, old, freshness))
}

fn old(
    realm: &Realm,
    revoke: Option<bool>,
    grace: Option<u32>,
    expires_at: Option<Timestamp>,
    now: Timestamp,
) -> Old {
    match (revoke, grace) {
        (Some(true), _) => Old::Revoked,
        (None, None) if realm.rotation == Rotation::RevokeOld => Old::Revoked,
        (_, Some(grace)) => {
            let end = now.plus(i64::from(grace) * SECOND);
            Old::Ends(expires_at.map_or(end, |own| own.min(end)))
        }
        _ => Old::Stays,
    }
}

fn promise(outcome: Outcome, old: Old, freshness: Freshness) -> Outcome {
    match old {
        Old::Stays => outcome,
        Old::Revoked => outcome.promise("previous", "refusedEverywhereBy", freshness, None),
        Old::Ends(at) => outcome.promise("previous", "refusedEverywhereBy", freshness, Some(at)),
    }
}
