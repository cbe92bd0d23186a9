//! Keys that were found in public are handled as the policy says, once, however often they are reported.

use keyward_core::sql;
use keyward_policy::{AfterLeak, Leaks};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    configured,
    noted::{LEAKED, is_new},
    report::{Candidate, MOST_MATCHES},
};
use crate::{
    admin_call::AdminCredential,
    audit::event::{Actor, AuditEvent},
    authorise::Proof,
    context::RequestContext,
    error::{ApiError, Code},
    handler::{HandlerError, HandlerResult},
    keys::{
        change::{Change, Ending},
        key::{Key, State},
    },
    outcome::Outcome,
    principal,
    to_json::object,
};

/// What the Registry is asked.
#[derive(Debug, Serialize, Deserialize)]
pub struct Question {
    /// What may be keys.
    pub found: Vec<Candidate>,
}

/// A report that the gate found to be signed by the scanner, and what the policy says of its keys.
pub struct Signed<'a>(&'a Leaks);

/// It ends keys as the policy says, and nothing else.
impl<'a> Proof<Change<'a>> for Signed<'_> {
    fn require_for(&self, change: &Change<'a>) -> Result<(), ApiError> {
        let is_for = match (self.0.then, &change.ending) {
            (AfterLeak::Revoke, Ending::Revoked { .. }) | (AfterLeak::Pause, Ending::Paused) => {
                change.settings == change.key.settings
            }
            _ => false,
        };
        if is_for { Ok(()) } else { Err(ApiError::new(Code::Forbidden, "The policy does not say so.")) }
    }
}

/// `POST /leaks`, of which the gate has verified the signature.
pub fn take(context: &mut RequestContext<'_>) -> HandlerResult {
    let (AdminCredential::Scanner, Some(leaks)) = (&context.call.credential, &context.policy.admin.leaks)
    else {
        return Err(principal::unauthenticated().into());
    };
    context.count_stranger()?;
    let question = keyward_json::from_str::<Question>(&context.call.body).ok();
    let Some(Question { found }) = question.filter(|it| it.found.len() <= MOST_MATCHES) else {
        return Err(ApiError::new(Code::MalformedJson, "The question cannot be read.").into());
    };
    let (mut known, mut changed) = (Vec::new(), Vec::new());
    for candidate in &found {
        let key = find(context, candidate)?;
        if let Some(key) = &key
            && end(context, &Signed(leaks), key, &candidate.url)?
        {
            changed.push(key.id.clone());
        }
        for key in &candidate.configured {
            configured::tell(context, key, &candidate.url)?;
        }
        known.push(key.is_some() || !candidate.configured.is_empty());
    }
    Ok(Outcome::ok(object!({ "known": Value::from(known) })).publish(changed).allow_partial())
}

/// The key that is stored under one of these names, whosever it is.
fn find(context: &RequestContext<'_>, candidate: &Candidate) -> Result<Option<Key>, HandlerError> {
    for name in &candidate.names {
        let key = "SELECT * FROM keys WHERE hash = ?";
        if let Some(key) = sql::query_one::<Key>(context.db, key, &[name.as_str().into()])? {
            return Ok(Some(key));
        }
    }
    Ok(None)
}

/// Does with a key what the policy says, and notes where it was found. Whether the key has changed.
fn end(
    context: &RequestContext<'_>,
    signed: &Signed<'_>,
    key: &Key,
    url: &str,
) -> Result<bool, HandlerError> {
    let actor = Actor::scanner();
    let state = key.state(context.now);
    let ending = match signed.0.then {
        AfterLeak::Revoke if state != State::Revoked => {
            let reason =
                if url.is_empty() { "Found in public.".to_owned() } else { format!("Found at {url}") };
            Some((Ending::Revoked { by: actor.view(), reason: Some(reason) }, State::Revoked))
        }
        AfterLeak::Pause if state == State::Active => Some((Ending::Paused, State::Paused)),
        AfterLeak::Revoke | AfterLeak::Pause | AfterLeak::Tell => None,
    };
    let is_new = is_new(context, [&key.tenant_id, &key.id], url)?;
    let after = ending.as_ref().map_or(state, |(_, state)| *state);
    let changes = ending.is_some();
    if let Some((ending, _)) = ending {
        context.authorise_by(signed, Change::of_ending(key, ending))?.store(context, None)?;
    }
    if is_new || changes {
        context.audit(&AuditEvent {
            tenant_id: &key.tenant_id,
            actor: &actor,
            action: LEAKED,
            target: &key.id,
            before: object!({ "status": state }),
            after: object!({ "status": after, "url": url }),
        })?;
    }
    Ok(changes)
}
