//! Changing many keys at once: each is guarded and audited as if it were changed alone.

use crate::{
    context::RequestContext,
    error::{ApiError, Code},
    freshness::Freshness,
    handler::{HandlerError, HandlerResult},
    input::{self, Input},
    keys::{
        change::{Change, Ending},
        edit,
        filter::{FILTERS, Filter},
        key::{self, Key, State},
        key_quotas, settings,
    },
    outcome::Outcome,
    principal::Principal,
    to_json::object,
};
use keyward_core::{
    sql::{self, Value as Bound},
    time::Timestamp,
};

/// Most keys that one call changes. Nothing else is done by the Registry meanwhile.
pub const MOST_KEYS: usize = 100;

/// What is done with each key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// It ends for good.
    Revoke,
    /// It is refused until it is resumed.
    Pause,
    /// It passes again.
    Resume,
    /// It gets a tag.
    Tag,
    /// It loses a tag.
    Untag,
    /// It gets an expiry.
    Expire,
}

/// Every action, by its name in the API.
pub const ACTIONS: [(&str, Action); 6] = [
    ("revoke", Action::Revoke),
    ("pause", Action::Pause),
    ("resume", Action::Resume),
    ("tag", Action::Tag),
    ("untag", Action::Untag),
    ("expire", Action::Expire),
];

/// An action with what it needs.
struct Task {
    action: Action,
    tag: Option<String>,
    expires_at: Option<Timestamp>,
    reason: Option<String>,
    dry: bool,
}

/// `POST /api-keys/bulk`
pub fn change(context: &mut RequestContext<'_>, principal: &Principal, _: &str) -> HandlerResult {
    let known = ["ids", "filter", "cursor", "action", "tag", "expiresAt", "reason", "dryRun"];
    let mut body = Input::body(&context.call.body, &known)?;
    let action = body.required("action", |value| input::one_of(value, &ACTIONS));
    run(context, principal, body, action)
}

/// `POST /api-keys/bulk-revoke`
pub fn revoke(context: &mut RequestContext<'_>, principal: &Principal, _: &str) -> HandlerResult {
    let body = Input::body(&context.call.body, &["filter", "cursor", "reason", "dryRun"])?;
    run(context, principal, body, Some(Action::Revoke))
}

fn run(
    context: &RequestContext<'_>,
    principal: &Principal,
    mut body: Input,
    action: Option<Action>,
) -> HandlerResult {
    let tenant_id = principal.tenant_id();
    let ids = body.optional("ids", |value| input::list(value, MOST_KEYS, input::text));
    let filter = body.object("filter", &FILTERS, |input| Filter::read(context, tenant_id, input));
    let page = context.page("bulk", tenant_id, &mut body).of(MOST_KEYS as u32);
    let tag = body.optional("tag", |value| input::line(value, 1, 50));
    let expires_at = body.optional("expiresAt", |value| settings::expiry(value, context.now, None));
    let reason =
        body.optional("reason", |value| input::line(value, 0, 500)).filter(|reason| !reason.is_empty());
    let dry = body.optional("dryRun", input::flag).unwrap_or_default();
    if ids.is_some() == filter.is_some() {
        body.refuse("filter", "is required where there are no ids, and cannot stand beside them");
    }
    if page.after.is_some() && filter.is_none() {
        body.refuse("cursor", "goes on with what a filter finds: there is none");
    }
    if filter.as_ref().is_some_and(|filter| !filter.is_narrow()) {
        body.refuse("filter", "names nothing, and would mean every key: name at least one filter");
    }
    for (field, given, wanted) in [
        ("tag", tag.is_some(), matches!(action, Some(Action::Tag | Action::Untag))),
        ("expiresAt", expires_at.is_some(), action == Some(Action::Expire)),
        ("reason", reason.is_some(), reason.is_some() && action == Some(Action::Revoke)),
    ] {
        if given != wanted {
            let message = if wanted { "is required for this action" } else { "is not for this action" };
            body.refuse(field, message);
        }
    }
    body.finish()?;
    let Some(action) = action else { return Err(ApiError::new(Code::InvalidRequest, "No action.").into()) };
    let task = Task { action, tag, expires_at, reason, dry };

    let mut skipped = Vec::new();
    let mut skip = |id: &str, why: &str| skipped.push(object!({ "id": id, "why": why }));
    let mut keys = Vec::new();
    for id in ids.iter().flatten() {
        match key::load(context.db, tenant_id, id)? {
            Some(key) => keys.push(key),
            None => skip(id, "There is no such API key."),
        }
    }
    let (mut total, mut next) = (None, None);
    if let Some(mut filter) = filter {
        task.narrow(&mut filter, context.now);
        total = Some(filter.total(context.db)?);
        let index = filter.index_for("keys_of_tenant");
        if let Some(after) = page.after_number() {
            filter.add("number < ?", [after.into()]);
        }
        let (condition, mut values) = filter.condition();
        values.push(page.rows().into());
        let first = format!(
            "SELECT * FROM keys WHERE number IN (
                SELECT number FROM keys INDEXED BY {index} WHERE {condition} ORDER BY number DESC LIMIT ?
            ) ORDER BY number DESC"
        );
        let found = sql::query::<Key>(context.db, &first, &values)?;
        (keys, next) = page.cut(context.secrets, found, |key| key.number.into());
    }
    let mut changed = Vec::new();
    for key in keys {
        match task.apply(context, principal, &key) {
            Ok(true) => changed.push(key.id),
            Ok(false) => skip(&key.id, "There is nothing to change."),
            Err(HandlerError::Refused(refusal))
                if matches!(refusal.code, Code::Conflict | Code::Forbidden) =>
            {
                skip(&key.id, &refusal.detail);
            }
            Err(error) => return Err(error),
        }
    }
    let mut answer = object!({ "count": changed.len(), "ids": changed, "skipped": skipped });
    if let Some(total) = total {
        if let Some(answer) = answer.as_object_mut() {
            answer.insert("total".to_owned(), total.keys.into());
            answer.insert("more".to_owned(), next.is_some().into());
            answer.insert("nextCursor".to_owned(), next.into());
        }
        answer = total.marked(answer);
    }
    let outcome = Outcome::ok(answer);
    if dry || changed.is_empty() {
        return Ok(outcome);
    }
    let freshness = Freshness::of_all(context.policy);
    let outcome = outcome.publish(changed).allow_partial();
    Ok(match action {
        Action::Revoke | Action::Pause | Action::Expire => {
            outcome.promise("", "refusedEverywhereBy", freshness, task.expires_at)
        }
        _ => outcome.promise("", "effectiveEverywhereBy", freshness, None),
    })
}

impl Task {
    /// Leaves out keys to which it has been done, so that a repeat goes on with the next ones.
    fn narrow(&self, filter: &mut Filter, now: Timestamp) {
        let labelled = "IN (SELECT number FROM key_labels WHERE tenant_id = keys.tenant_id AND label = ?)";
        let label = || Bound::from(format!("t{}", self.tag.as_deref().unwrap_or_default()));
        filter.add("status = 'ACTIVE'", []);
        if self.action != Action::Revoke {
            filter.add("(expires_at = 0 OR ends_at > ?)", [now.into()]);
        }
        match self.action {
            Action::Revoke => {}
            Action::Pause => filter.add("expires_at IS NOT 0", []),
            Action::Resume => filter.add("expires_at = 0", []),
            Action::Tag => filter.add(&format!("number NOT {labelled}"), [label()]),
            Action::Untag => filter.add(&format!("number {labelled}"), [label()]),
            Action::Expire => filter.add("ends_at <> ?", self.expires_at.map(Bound::from)),
        }
    }

    /// Whether it changes, or would change, this key.
    fn apply(
        &self,
        context: &RequestContext<'_>,
        principal: &Principal,
        key: &Key,
    ) -> Result<bool, HandlerError> {
        let state = key.state(context.now);
        let ending = match self.action {
            Action::Revoke => Ending::revoked(principal, self.reason.clone()),
            Action::Pause => Ending::Paused,
            Action::Resume => Ending::Resumed,
            Action::Tag | Action::Untag | Action::Expire => Ending::None,
        };
        let mut settings = key.settings.clone();
        if matches!(ending, Ending::None) {
            let realm = context.policy.realm(&key.realm).ok_or_else(|| key.realm_is_gone())?;
            principal.require_member_for(realm, &key.settings.scopes)?;
            match (&self.tag, self.action) {
                (Some(tag), Action::Untag) => settings.tags.retain(|own| own != tag),
                (Some(tag), _) => settings.add_tag(tag)?,
                (None, _) => {}
            }
            if let Some(expires_at) = self.expires_at {
                let why = settings::unfit_end(realm, Some(expires_at), context.now);
                if let Some(why) = why.filter(|_| settings.expires_at != Some(expires_at)) {
                    return Err(ApiError::new(Code::Conflict, format!("The end of this key {why}.")).into());
                }
                settings.expires_at = Some(expires_at);
            }
        }
        let is_same = match self.action {
            Action::Revoke => state == State::Revoked,
            Action::Pause => state == State::Paused,
            Action::Resume => state == State::Active,
            Action::Tag => self.tag.as_ref().is_some_and(|tag| key.settings.tags.contains(tag)),
            Action::Untag | Action::Expire => settings == key.settings,
        };
        match self.action {
            Action::Revoke => {}
            Action::Resume => key.require_resumable(context.now)?,
            _ => key.require_not_ended(context.now, "changed so")?,
        }
        if is_same {
            return Ok(false);
        }
        let (old, new) = (key_quotas::bytes_of(&key.settings), key_quotas::bytes_of(&settings));
        let change = context.authorise(principal, Change { key, settings, ending })?;
        if self.dry {
            return Ok(true);
        }
        change.store(context, None)?;
        let action = match self.action {
            Action::Revoke => "key.revoke",
            Action::Pause => "key.pause",
            Action::Resume => "key.resume",
            Action::Tag | Action::Untag | Action::Expire => "key.edit",
        };
        let kept = edit::note(context, principal, key, action)?;
        if let Some(more) = new.checked_sub(old).filter(|_| self.action == Action::Tag) {
            key_quotas::require_bytes(context, principal.tenant(), more.saturating_add(kept))?;
        }
        Ok(true)
    }
}
