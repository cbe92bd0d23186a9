//! Rotating keys: a new one with the old one's settings, and the end of the old one.

use keyward_core::time::{Span, Timestamp};
use keyward_policy::{Realm, Rotation};

use crate::{
    context::RequestContext,
    error::{ApiError, Code},
    freshness::Freshness,
    handler::{HandlerError, HandlerResult},
    input::{self, Input},
    keys::{
        change::{Change, Ending},
        create, edit, grants,
        idempotency::{Replay, Token},
        key::{self, Key},
        key_quotas::Growth,
        new_key::NewKey,
        settings::{self, Settings},
    },
    outcome::Outcome,
    principal::Principal,
    to_json::object,
};

/// Longest grace, in seconds: ten years.
pub const LONGEST_GRACE_S: u32 = 315_360_000;

/// `POST /api-keys/{id}/rotate`
pub fn rotate(context: &mut RequestContext<'_>, principal: &Principal, id: &str) -> HandlerResult {
    let token = Token::of(context, principal)?;
    let replay = token.as_ref().map(|token| token.replay(context, principal.tenant())).transpose()?.flatten();
    let Some(key) = key::load(context.db, principal.tenant_id(), id)? else {
        return match replay.filter(Replay::is_shown) {
            Some(replay) => repeated_without_old(context, principal, id, replay),
            None => Err(ApiError::not_found("API key").into()),
        };
    };
    let (revoke, grace) = read(&context.call.body)?;
    let realm = context.policy.realm(&key.realm).ok_or_else(|| key.realm_is_gone())?;
    let old = old(principal, realm, (revoke, grace), key.settings.expires_at, context.now);
    // A grace is the old key's alone: the new one lives as long as its owner said.
    let expires_at = settings::successors_end(realm, key.own_expiry(), context.now);
    if expires_at.is_none() && realm.keys_must_expire {
        let detail = "The key never expires, and new keys of this realm must: give it an `expiresAt` first.";
        return Err(ApiError::new(Code::Conflict, detail).into());
    }
    let settings = Settings { expires_at, ..key.settings.clone() };
    let growth = match old {
        Ending::None | Ending::Paused | Ending::Resumed => Growth::More(1),
        Ending::Revoked { .. } => Growth::Same,
        Ending::At(_) => Growth::MoreForNow,
    };
    let new_key = NewKey { realm, kind: key.kind, settings: &settings, rotated_from: Some(&key.id), growth };
    // A repeat shows the key once more: it asks for as much as the first time, and for what the key opens by now.
    if let Some(replay) = &replay {
        authorise_repeat(context, principal, id, replay)?;
    }
    let new_key = context.authorise(principal, new_key)?;
    let change = context.authorise(principal, Change::of_ending(&key, old.clone()))?;
    if let Some(replay) = replay {
        if replay.is_shown() {
            let repeated = create::repeated(context, principal, replay)?;
            return Ok(promise(repeated, &old, key.freshness(context.policy)));
        }
        if !context.has_created() {
            return Err(HandlerError::Tell(replay.created_key()));
        }
    }
    context.require_match(&key)?;
    key.require_active(context.now, "rotated")?;
    principal.require_member_for(realm, &key.settings.scopes)?;
    grants::require_fit(realm, key.kind, &key.settings.scopes)?;

    if !context.has_created() {
        return Err(HandlerError::Tell(create::make(context, principal, &new_key, token.as_ref())?));
    }
    // Only now, when the new key works, does anything become of the old one.
    let (new, plaintext) = context.deliver(principal)?;
    change.store(context, Some(&new.id))?;
    edit::note(context, principal, &key, "key.rotate")?;

    let view = new.view(principal.tenant(), context.policy, context.now);
    let previous = context.key(principal, id)?.summary(context.now);
    let body = object!({ "apiKey": view, "previous": previous });
    let outcome = create::shown(context, plaintext, token.as_ref(), body)?;
    let freshness = key.freshness(context.policy);
    let outcome = if matches!(old, Ending::None) { outcome } else { outcome.publish([key.id.clone()]) };
    Ok(promise(outcome, &old, freshness))
}

/// Whether the old key is revoked, and in how many seconds it ends.
fn read(body: &str) -> Result<(Option<bool>, Option<u32>), ApiError> {
    let mut body = Input::body(body, &["revokeOld", "graceSeconds"])?;
    let revoke = body.optional("revokeOld", input::flag);
    let grace = body.optional("graceSeconds", |value| input::whole(value, 0, LONGEST_GRACE_S));
    if revoke.is_some() && grace.is_some() {
        body.refuse(
            "graceSeconds",
            "cannot stand beside revokeOld: the old key is either revoked or ends after the grace",
        );
    }
    body.finish()?;
    Ok((revoke, grace))
}

/// Asks for what it takes to make such a key as the one that a repeat shows.
fn authorise_repeat(
    context: &RequestContext<'_>,
    principal: &Principal,
    old_id: &str,
    replay: &Replay,
) -> Result<(), ApiError> {
    let Key { kind, settings, realm, .. } = &replay.key;
    let Some(realm) = context.policy.realm(realm) else { return Ok(()) };
    let new_key = NewKey { realm, kind: *kind, settings, rotated_from: Some(old_id), growth: Growth::Same };
    context.authorise(principal, new_key).map(drop)
}

/// The answer to a repeat after the old key has left the list, which it does once KV knows that it has ended.
fn repeated_without_old(
    context: &RequestContext<'_>,
    principal: &Principal,
    id: &str,
    replay: Replay,
) -> HandlerResult {
    authorise_repeat(context, principal, id, &replay)?;
    let (revoke, grace) = read(&context.call.body)?;
    let realm = context.policy.realm(&replay.key.realm);
    let old = realm.map_or(Ending::None, |realm| old(principal, realm, (revoke, grace), None, context.now));
    // It has ended, whenever that was to be.
    let old = if matches!(old, Ending::At(_)) { Ending::At(context.now) } else { old };
    let freshness = Freshness::of_realm(context.policy, &replay.key.realm);
    Ok(promise(create::repeated(context, principal, replay)?, &old, freshness))
}

fn old(
    principal: &Principal,
    realm: &Realm,
    (revoke, grace): (Option<bool>, Option<u32>),
    expires_at: Option<Timestamp>,
    now: Timestamp,
) -> Ending {
    let revoked = || Ending::revoked(principal, Some("rotated".to_owned()));
    match (revoke, grace) {
        (Some(true), _) => revoked(),
        (None, None) if realm.rotation == Rotation::RevokeOld => revoked(),
        (_, Some(grace)) => {
            let end = now + Span::from_secs(grace.into());
            Ending::At(expires_at.map_or(end, |own| own.min(end)))
        }
        _ => Ending::None,
    }
}

fn promise(outcome: Outcome, old: &Ending, freshness: Freshness) -> Outcome {
    match old {
        Ending::None | Ending::Paused | Ending::Resumed => outcome,
        Ending::Revoked { .. } => outcome.promise("previous", "refusedEverywhereBy", freshness, None),
        Ending::At(at) => outcome.promise("previous", "refusedEverywhereBy", freshness, Some(*at)),
    }
}
