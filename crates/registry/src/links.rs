//! Links: made with a call of the admin API, used up with one of the gate. Which of two requests that race
//! for one comes first is decided here, in one synchronous transaction.

use keyward_core::{
    key,
    link::{LinkState, Redeem, RedeemError, Redeemed, Session},
    record::{self, Mode, TenantStatus},
    request_target::RequestTarget,
    route::{self, RouteMatch},
    session_id,
    sql::{self, Sql, SqlError},
    time::{Span, Timestamp},
};
use keyward_policy::{Link, Policy, Proof, Realm, Requirement};
use serde_json::Value;

use crate::{
    audit::event::AuditEvent,
    authorise::Authorised,
    context::RequestContext,
    error::ApiError,
    handler::{HandlerError, HandlerResult},
    ids,
    input::{self, FieldErrors, Input, invalid},
    outcome::Outcome,
    principal::Principal,
    quotas::{self, Quota},
    rows,
    tenants::tenant::Tenant,
    to_json::object,
};

/// How long a link is remembered after its end, so that it is told why it no longer works.
const REMEMBERED: Span = Span::from_days(1);
/// Links of one tenant that are remembered after their end at the most, of those that were used the last.
const MOST_REMEMBERED: u32 = 20_000;
const FORGOTTEN_AT_ONCE: u32 = 100;

/// Where a link leads, and what that says of it.
struct Destination {
    url: String,
    realm: &'static Realm,
    link: Link,
}

/// A link to be made.
pub struct NewLink<'a> {
    row: &'a Row,
    hash: &'a str,
}

impl Authorised<NewLink<'_>> {
    fn store(&self, context: &RequestContext<'_>) -> Result<(), SqlError> {
        let NewLink { row, hash } = **self;
        let columns = [
            ("id", row.id.as_str().into()),
            ("hash", hash.into()),
            ("tenant_id", row.tenant_id.as_str().into()),
            ("realm", row.realm.as_str().into()),
            ("subject", row.subject.clone().into()),
            ("session_id", row.session_id.clone().into()),
            ("expires_at", row.expires_at.into()),
        ];
        rows::insert(context.db, "links", &columns)
    }
}

/// `POST /links`
pub fn issue(context: &mut RequestContext<'_>, principal: &Principal, _: &str) -> HandlerResult {
    let mut body = Input::body(&context.call.body, &["url", "subject", "sessionId"])?;
    let destination = body.required("url", |value| destination(value, context.policy));
    let subject = body.optional("subject", subject);
    let session_id = body.optional("sessionId", session);
    let Some(Destination { url, realm, link }) = destination else { return Err(body.refusal().into()) };
    body.finish()?;

    make_room(context, principal.tenant())?;
    context.db.run("DELETE FROM links WHERE expires_at <= ?", &[(context.now - REMEMBERED).into()])?;
    let format = link.token();
    let token = key::generate(&format, "", Mode::Live, context.secrets, context.entropy);
    let hash = key::storage_hash(&format, context.secrets, token.expose());
    let (id, state) = (ids::id("link_", context.entropy), LinkState::issue(&link, context.now));
    let row = Row {
        id: id.clone(),
        tenant_id: principal.tenant_id().to_owned(),
        realm: realm.id.to_owned(),
        subject,
        session_id,
        expires_at: state.expires_at,
        used_at: state.used_at,
    };
    context.authorise(principal, NewLink { row: &row, hash: &hash })?.store(context)?;
    let view = row.view();
    context.audit(&AuditEvent {
        tenant_id: principal.tenant_id(),
        actor: &principal.actor(),
        action: "link.create",
        target: &id,
        before: Value::Null,
        after: view.clone(),
    })?;
    let joint = if url.contains('?') { '&' } else { '?' };
    let url = format!("{url}{joint}{}={}", link.parameter, token.expose());
    let body = object!({ "link": view, "token": token.expose(), "url": url });
    Ok(context.created(&format!("/links/{id}"), body))
}

/// Refuses more links than a tenant may have open, and forgets the oldest of too many that are over.
fn make_room(context: &RequestContext<'_>, tenant: &Tenant) -> Result<(), HandlerError> {
    let open = quotas::used(context.db, &tenant.id, Quota::Links, context.now)?;
    context.require_quota(tenant, Quota::Links, open, 1)?;
    let too_many = "DELETE FROM links WHERE rowid IN (
            SELECT rowid FROM links WHERE tenant_id = ? AND (used_at IS NOT NULL OR expires_at <= ?)
            ORDER BY used_at DESC LIMIT ? OFFSET ?
        )";
    let values =
        [tenant.id.as_str().into(), context.now.into(), FORGOTTEN_AT_ONCE.into(), MOST_REMEMBERED.into()];
    context.db.run(too_many, &values)?;
    Ok(())
}

/// `GET /links/{id}`: one that the tenant made, until a day after its end.
pub fn show(context: &mut RequestContext<'_>, principal: &Principal, id: &str) -> HandlerResult {
    let statement = format!("SELECT {COLUMNS} FROM links WHERE id = ? AND tenant_id = ?");
    let row = sql::query_one::<Row>(context.db, &statement, &[id.into(), principal.tenant_id().into()])?;
    let row = row.ok_or_else(|| ApiError::not_found("link"))?;
    Ok(Outcome::ok(object!({ "link": row.view() })))
}

/// A URL on which a session of this deployment can begin.
fn destination(value: &Value, policy: &Policy) -> Result<Destination, FieldErrors> {
    let url = input::text(value)?;
    let target = RequestTarget::of(&url);
    if !matches!(target.scheme, "https" | "http")
        || !url.bytes().all(|byte| byte.is_ascii_graphic())
        || url.contains('#')
    {
        return invalid(
            "must be a whole URL in ASCII, without a fragment, like https://shop.example.com/checkout",
        );
    }
    let Ok(RouteMatch::Route(realm, route)) = route::match_route(policy, "GET", target, false) else {
        return invalid("leads to no route of this deployment that answers GET");
    };
    match (&route.requires, realm.link) {
        (Requirement::Key(requirement), Some(link)) if requirement.by.contains(&Proof::Session) => {
            match keyward_core::link::follow(&link, target) {
                Ok(None) => Ok(Destination { url, realm, link }),
                _ => invalid("has a token already"),
            }
        }
        _ => invalid("leads to a route that takes no sessions"),
    }
}

/// Goes to the origin in a header field.
fn subject(value: &Value) -> Result<String, FieldErrors> {
    let subject = input::line(value, 1, 256)?;
    if subject.is_ascii() {
        Ok(subject)
    } else {
        invalid("can only hold ASCII characters: origins get it in a header field")
    }
}

fn session(value: &Value) -> Result<String, FieldErrors> {
    let id = input::text(value)?;
    if session_id::is_fit(&id) { Ok(id) } else { invalid("must be 1 to 128 letters, digits and . _ ~ : -") }
}

struct Row {
    id: String,
    tenant_id: String,
    realm: String,
    subject: Option<String>,
    session_id: Option<String>,
    expires_at: Timestamp,
    used_at: Option<Timestamp>,
}

keyward_core::from_row!(Row { id, tenant_id, realm, subject, session_id, expires_at, used_at });

const COLUMNS: &str = "id, tenant_id, realm, subject, session_id, expires_at, used_at";

impl Row {
    /// As the API shows it: never its token.
    fn view(&self) -> Value {
        object!({
            "id": self.id,
            "realm": self.realm,
            "subject": self.subject,
            "sessionId": self.session_id,
            "expiresAt": self.expires_at.to_rfc3339(),
            "usedAt": self.used_at.map(Timestamp::to_rfc3339),
        })
    }
}

/// Uses up a link.
///
/// # Errors
/// What SQLite says.
pub fn redeem(db: &dyn Sql, policy: &Policy, call: &Redeem, now: Timestamp) -> Result<Redeemed, SqlError> {
    sql::transaction(db, || redeem_in_transaction(db, policy, call, now))
}

fn redeem_in_transaction(
    db: &dyn Sql,
    policy: &Policy,
    call: &Redeem,
    now: Timestamp,
) -> Result<Redeemed, SqlError> {
    let statement = format!("SELECT {COLUMNS} FROM links WHERE hash = ? AND realm = ?");
    let row =
        sql::query_one::<Row>(db, &statement, &[call.hash.as_str().into(), call.realm.as_str().into()])?;
    let link = policy.realm(&call.realm).and_then(|realm| realm.link);
    let (Some(row), Some(link)) = (row, link) else { return Ok(Redeemed::Unknown) };
    let tenant = Tenant::load(db, &row.tenant_id)?.filter(|tenant| tenant.status == TenantStatus::Active);
    let Some(tenant) = tenant else { return Ok(Redeemed::Unknown) };
    let mut state = LinkState { expires_at: row.expires_at, used_at: row.used_at };
    match state.redeem(now) {
        Err(RedeemError::Used) => return Ok(Redeemed::Used),
        Err(RedeemError::Expired) => return Ok(Redeemed::Expired),
        Ok(()) => rows::update(db, "links", &row.id, &[("used_at", state.used_at.into())])?,
    }
    Ok(Redeemed::Granted(Session {
        realm: call.realm.clone(),
        tenant: record::Tenant {
            id: tenant.id,
            code: tenant.code,
            status: tenant.status,
            plan: tenant.plan.name,
            pool: None,
        },
        subject: row.subject,
        session_id: row.session_id,
        expires_at: now + link.session_life,
    }))
}
