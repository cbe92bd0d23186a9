//! From a call to its handler: the table of the admin API's routes, and who calls.

use crate::{
    admin_call::AdminCredential,
    audit,
    backup::{self, restore},
    context::RequestContext,
    cost::Cost::{self, ChangesAll, Counts, CountsKeys, Derives, Exports, MaySearch, One, Verifies},
    effect::Effect::{self, Admits, Ends, Grows, Helps, Makes, Reads},
    error::{ApiError, Code},
    events, front,
    handler::{HandlerError, HandlerResult},
    keys, leaks, links,
    members::{self, invitations},
    metrics, passkeys,
    principal::{self, Member, Principal, Right},
    questions, quotas,
    rates::Weight,
    realms, recovery, sessions, setup, tenants, usage,
};

/// A route of the admin API. Whatever depends on the route of a call is a column here, so that a new route says all of it.
pub struct AdminRoute {
    /// In upper case.
    pub method: &'static str,
    /// Its path. `{key_}` stands for one segment that begins with `key_`, `{}` for any one segment.
    pub path: &'static str,
    /// What a call does to the database.
    pub effect: Effect,
    /// How many calls it counts as.
    pub cost: Cost,
    handler: Handler,
}

/// Who may call a route, and what runs.
#[derive(Clone, Copy)]
enum Handler {
    /// Anybody: nobody can have signed in yet.
    Open(Open, fn(&mut RequestContext<'_>) -> HandlerResult),
    /// A member, for what is the member's own.
    Member(fn(&mut RequestContext<'_>, &Member, &str) -> HandlerResult),
    /// The same, also while the tenant is not active. Else nobody could end a session that works again when the tenant
    /// does.
    EvenInactive(fn(&mut RequestContext<'_>, &Member, &str) -> HandlerResult),
    /// Whoever has the right: a member by role, an API key by scope.
    With(Right, fn(&mut RequestContext<'_>, &Principal, &str) -> HandlerResult),
    /// The same, with lines of JSON in the body, of which there may be more.
    Lines(Right, fn(&mut RequestContext<'_>, &Principal, &str) -> HandlerResult),
    /// Whoever may read. What it returns is a question, which the gate answers.
    Asks(fn(&mut RequestContext<'_>, &Principal, &str) -> HandlerResult),
    /// An owner of the tenant; never an API key.
    Owner(fn(&mut RequestContext<'_>, &Member, &str) -> HandlerResult),
}

/// What anybody may call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Open {
    /// Its body may hold the set-up token.
    SetUp,
    /// Its body holds a password, a passkey or a token, or a header does.
    SignIn,
    /// It needs nothing.
    Options,
    /// Its body holds the token of a one-time link.
    Accept,
    /// Its body holds the recovery token.
    Recover,
    /// Its headers hold a scanner's signature.
    Report,
    /// Its body holds the token that an origin has. The gate answers by itself.
    Settle,
    /// Its header holds the set-up token, and its body a page of a backup.
    Restore,
}

const fn route(
    method: &'static str,
    path: &'static str,
    effect: Effect,
    cost: Cost,
    handler: Handler,
) -> AdminRoute {
    AdminRoute { method, path, effect, cost, handler }
}

/// Every route of the admin API.
pub const ROUTES: &[AdminRoute] = &[
    route("GET", "/setup", Reads, One, Handler::Open(Open::Options, setup::show)),
    route("POST", "/setup", Admits, One, Handler::Open(Open::SetUp, setup::set_up)),
    route("POST", "/recover", Admits, One, Handler::Open(Open::Recover, recovery::recover)),
    route("GET", "/backup", Reads, Exports, Handler::Member(backup::read::read)),
    route("POST", "/restore", Admits, ChangesAll, Handler::Open(Open::Restore, restore::restore)),
    route("POST", "/settlements", Reads, One, Handler::Open(Open::Settle, answered_by_gate)),
    route("POST", "/leaks", Ends, One, Handler::Open(Open::Report, leaks::take::take)),
    route("POST", "/session", Admits, One, Handler::Open(Open::SignIn, sessions::token_sign_in::sign_in)),
    route("GET", "/session", Reads, One, Handler::Member(sessions::sign_in::show)),
    route("DELETE", "/session", Ends, One, Handler::EvenInactive(sessions::sign_in::sign_out)),
    route("POST", STEP_UP, Admits, Derives, Handler::Member(sessions::token_sign_in::step_up)),
    route(
        "POST",
        "/session/step-up/options",
        Reads,
        One,
        Handler::Member(passkeys::sign_in::step_up_options),
    ),
    route(
        "POST",
        "/session/passkey/options",
        Reads,
        One,
        Handler::Open(Open::Options, passkeys::sign_in::options),
    ),
    route("POST", "/session/code/options", Reads, One, Handler::Open(Open::Options, sessions::code::options)),
    route("POST", "/passkeys/options", Reads, One, Handler::Member(passkeys::handlers::options)),
    route("POST", "/passkeys", Grows, One, Handler::Member(passkeys::handlers::add)),
    route("GET", "/passkeys", Reads, One, Handler::Member(passkeys::handlers::list)),
    route("DELETE", "/passkeys/{pky_}", Ends, One, Handler::Member(passkeys::handlers::remove)),
    route("GET", "/sessions", Reads, One, Handler::Member(sessions::list::list_own)),
    route("DELETE", "/sessions", Ends, One, Handler::Member(sessions::list::end_others)),
    route("DELETE", "/sessions/{ses_}", Ends, One, Handler::Member(sessions::list::end)),
    route("GET", "/api-keys", Reads, MaySearch, Handler::With(Right::Read, keys::list::list)),
    route("POST", "/api-keys", Makes, CountsKeys, Handler::With(Right::Write, keys::create::create)),
    route("POST", "/api-keys/bulk", Grows, ChangesAll, Handler::With(Right::Write, keys::bulk::change)),
    route("POST", "/api-keys/bulk-revoke", Ends, ChangesAll, Handler::With(Right::Write, keys::bulk::revoke)),
    route("GET", "/api-keys/summary", Reads, Counts, Handler::With(Right::Read, keys::summary::show)),
    route("GET", "/api-keys/export", Reads, Exports, Handler::With(Right::Read, keys::export::export)),
    route("GET", "/api-keys/usage", Reads, Counts, Handler::With(Right::Read, usage::points::show_many)),
    route("POST", "/api-keys/import", Makes, ChangesAll, Handler::Lines(Right::Write, keys::import::import)),
    route("GET", "/api-keys/{key_}", Reads, One, Handler::With(Right::Read, keys::list::show)),
    route("PATCH", "/api-keys/{key_}", Grows, One, Handler::With(Right::Write, keys::edit::edit)),
    route("POST", "/api-keys/{key_}/revoke", Ends, One, Handler::With(Right::Write, keys::edit::revoke)),
    route("POST", "/api-keys/{key_}/pause", Helps, One, Handler::With(Right::Write, keys::edit::pause)),
    route("POST", "/api-keys/{key_}/resume", Grows, One, Handler::With(Right::Write, keys::edit::resume)),
    route(
        "POST",
        "/api-keys/{key_}/rotate",
        Makes,
        CountsKeys,
        Handler::With(Right::Write, keys::rotate::rotate),
    ),
    route("GET", "/api-keys/{key_}/usage", Reads, Counts, Handler::With(Right::Read, usage::points::show)),
    route("GET", "/usage", Reads, Counts, Handler::With(Right::Read, usage::points::show_all)),
    route("GET", "/usage/routes", Reads, Counts, Handler::With(Right::Read, usage::routes::show)),
    route("GET", "/refusals", Reads, One, Handler::With(Right::Read, usage::refusals::list)),
    route("POST", "/links", Grows, One, Handler::With(Right::Links, links::issue)),
    route("GET", "/links/{link_}", Reads, One, Handler::With(Right::Links, links::show)),
    route("GET", "/quotas", Reads, Counts, Handler::With(Right::Read, quotas::show)),
    route("GET", "/metrics", Reads, Counts, Handler::With(Right::Deployment, metrics::show)),
    route("GET", "/realms", Reads, One, Handler::With(Right::Read, realms::list)),
    route("GET", "/routes", Reads, One, Handler::Asks(questions::routes)),
    route("POST", "/explain", Reads, One, Handler::Asks(questions::explain)),
    route("GET", "/audit", Reads, One, Handler::With(Right::Read, audit::list::list)),
    route("GET", "/audit/export", Reads, Counts, Handler::With(Right::Read, audit::list::export)),
    route("GET", "/audit/verify", Reads, Verifies, Handler::With(Right::Read, audit::list::verify)),
    route("GET", "/events", Reads, One, Handler::With(Right::Read, events::list::list)),
    route("GET", "/events/endpoints", Reads, One, Handler::With(Right::Tenants, events::list::endpoints)),
    route(
        "POST",
        "/events/endpoints/{}/replay",
        Helps,
        One,
        Handler::With(Right::Tenants, events::list::replay),
    ),
    route("GET", "/members", Reads, MaySearch, Handler::With(Right::Read, members::handlers::list)),
    route("POST", "/members", Grows, Derives, Handler::Owner(members::handlers::add)),
    route("GET", "/members/{}", Reads, One, Handler::With(Right::Read, members::handlers::show)),
    route("PATCH", "/members/{}", Helps, Derives, Handler::Member(members::handlers::edit)),
    route("DELETE", "/members/{}", Ends, One, Handler::Owner(members::handlers::remove)),
    route("GET", "/members/{}/sessions", Reads, One, Handler::Owner(sessions::list::list_of_member)),
    route("DELETE", "/members/{}/sessions", Ends, One, Handler::Owner(sessions::list::end_of_member)),
    route("POST", "/members/{}/reset", Helps, One, Handler::Owner(invitations::reset)),
    route("GET", "/invitations", Reads, One, Handler::With(Right::Read, invitations::list)),
    route("POST", "/invitations", Grows, One, Handler::Owner(invitations::create)),
    route("POST", "/invitations/accept", Admits, One, Handler::Open(Open::Accept, invitations::accept)),
    route("DELETE", "/invitations/{inv_}", Ends, One, Handler::Owner(invitations::end)),
    route("GET", "/tenants", Reads, One, Handler::With(Right::Tenants, tenants::handlers::list)),
    route("POST", "/tenants", Grows, Derives, Handler::With(Right::Tenants, tenants::handlers::add)),
    route("GET", "/tenants/{}", Reads, Counts, Handler::With(Right::Tenants, tenants::handlers::show)),
    route("PATCH", "/tenants/{}", Admits, ChangesAll, Handler::With(Right::Tenants, tenants::handlers::edit)),
    route(
        "POST",
        "/tenants/{}/owners",
        Admits,
        One,
        Handler::With(Right::Tenants, tenants::handlers::add_owner),
    ),
    route(
        "DELETE",
        "/tenants/{}/sessions",
        Ends,
        One,
        Handler::With(Right::Tenants, tenants::handlers::end_sessions),
    ),
];

/// `POST /settlements`, which never comes here.
fn answered_by_gate(context: &mut RequestContext<'_>) -> HandlerResult {
    front::settlement(&context.call.body)?;
    Err(ApiError::not_found("call of the registry").into())
}

/// The route of a call, and the parameter in its path, if it has one.
#[derive(Clone, Copy)]
pub struct Found<'a> {
    /// Its row.
    pub route: &'static AdminRoute,
    id: &'a str,
}

impl Found<'_> {
    /// How a call with this query counts.
    pub fn weight(&self, query: &str) -> Weight {
        Weight { ends: self.route.effect == Effect::Ends, cost: self.route.cost.calls(query) }
    }
}

/// Refuses what needs no database to be refused: a path or method that is not there, and a call
/// without a credential where one is needed. So nobody reaches the object without at least guessing.
///
/// # Errors
/// NOT_FOUND, METHOD_NOT_ALLOWED, UNAUTHENTICATED
pub fn refuse_at_once(method: &str, path: &str, credential: &AdminCredential) -> Result<(), ApiError> {
    match (find(method, path)?.route.handler, credential) {
        (Handler::Open(..), _) => Ok(()),
        (_, AdminCredential::None) => Err(principal::unauthenticated()),
        _ => Ok(()),
    }
}

/// What anybody may call with this method and path; `None` if one has to be let in for it, or if it is not there.
pub fn open(method: &str, path: &str) -> Option<Open> {
    match find(method, path).ok()?.route.handler {
        Handler::Open(open, _) => Some(open),
        _ => None,
    }
}

/// Whether the body of a call is lines of JSON.
pub fn takes_lines(method: &str, path: &str) -> bool {
    find(method, path).is_ok_and(|found| matches!(found.route.handler, Handler::Lines(..)))
}

/// The path of the call that opens five minutes.
pub const STEP_UP: &str = "/session/step-up";

/// The field of a call's body in which an issuer's token may stand, in place of a password.
pub fn token_field(method: &str, path: &str) -> Option<&'static str> {
    match (method, path) {
        ("POST", "/session" | STEP_UP) => Some("token"),
        ("POST", "/invitations/accept") => Some("idToken"),
        _ => None,
    }
}

/// Whether what the Registry answers to a call is a question to the gate.
pub fn asks_gate(method: &str, path: &str) -> bool {
    find(method, path).is_ok_and(|found| matches!(found.route.handler, Handler::Asks(_)))
}

impl RequestContext<'_> {
    /// Authenticates, checks the right to call the route, and runs its handler.
    pub fn run(&mut self, Found { route, id }: Found<'_>) -> HandlerResult {
        let effect = route.effect;
        if !matches!(route.handler, Handler::Open(Open::Restore, _)) {
            restore::require_none(self)?;
        }
        match route.handler {
            // Each of them counts who calls, once it knows what of.
            Handler::Open(_, run) => {
                self.require_space(effect)?;
                run(self)
            }
            Handler::Member(run) | Handler::EvenInactive(run) => {
                let member = self.member("This is for members: sign in.", route, |_| true)?;
                self.require_space_for(&member.tenant, effect)?;
                run(self, &member, id)
            }
            Handler::With(right, run) | Handler::Lines(right, run) => self.run_with(right, run, route, id),
            Handler::Asks(run) => self.run_with(Right::Read, run, route, id),
            Handler::Owner(run) => {
                let entitled = |member: &Member| member.require_owner().is_ok();
                let otherwise = "Managing members is for owners who have signed in.";
                let member = self.member(otherwise, route, entitled)?;
                member.require_owner()?;
                self.require_space_for(&member.tenant, effect)?;
                run(self, &member, id)
            }
        }
    }

    fn run_with(
        &mut self,
        right: Right,
        run: fn(&mut Self, &Principal, &str) -> HandlerResult,
        route: &AdminRoute,
        id: &str,
    ) -> HandlerResult {
        let principal = self.caller(route, |principal| principal.require(right).is_ok())?;
        principal.require(right)?;
        self.require_space_for(principal.tenant(), route.effect)?;
        run(self, &principal, id)
    }

    /// Who calls, unless that is too often. `entitled`: whether it has the right to.
    fn caller(
        &mut self,
        route: &AdminRoute,
        entitled: impl Fn(&Principal) -> bool,
    ) -> Result<Principal, HandlerError> {
        let principal = match self.principal(matches!(route.handler, Handler::EvenInactive(_))) {
            Err(HandlerError::Refused(refusal)) => {
                self.count_stranger()?;
                return Err(refusal.into());
            }
            principal => principal?,
        };
        self.memory.latest.replace(Some(principal.tenant_id().to_owned()));
        self.count_call(&principal, entitled(&principal))?;
        Ok(principal)
    }

    fn member(
        &mut self,
        otherwise: &str,
        route: &AdminRoute,
        entitled: impl Fn(&Member) -> bool,
    ) -> Result<Member, HandlerError> {
        let entitled =
            |principal: &Principal| matches!(principal, Principal::Member(member) if entitled(member));
        match self.caller(route, entitled)? {
            Principal::Member(member) => Ok(member),
            Principal::SetUp(_) => {
                let detail = format!("The set-up token cannot do this: make the first owner. {otherwise}");
                Err(ApiError::new(Code::Forbidden, detail).into())
            }
            Principal::Key(_) => {
                Err(ApiError::new(Code::Forbidden, format!("An API key cannot do this. {otherwise}")).into())
            }
        }
    }
}

/// Finds the route of a method and path.
///
/// # Errors
/// NOT_FOUND, METHOD_NOT_ALLOWED
pub fn find<'a>(method: &str, path: &'a str) -> Result<Found<'a>, ApiError> {
    let at_path = || ROUTES.iter().filter_map(|route| Some(Found { route, id: matches(route.path, path)? }));
    // RFC 9110, 9.3.2: HEAD is GET without the content, which the runtime leaves out.
    let wanted = if method == "HEAD" { "GET" } else { method };
    if let Some(found) = at_path().find(|found| found.route.method == wanted) {
        return Ok(found);
    }
    let mut allowed: Vec<&str> = at_path().map(|found| found.route.method).collect();
    if allowed.is_empty() {
        return Err(ApiError::new(Code::NotFound, "The admin API has no such path."));
    }
    if allowed.contains(&"GET") {
        allowed.push("HEAD");
    }
    let allowed = allowed.join(", ");
    let mut refusal = ApiError::new(Code::MethodNotAllowed, format!("This path takes {allowed}."));
    refusal.headers.push(("Allow".to_owned(), allowed));
    Err(refusal)
}

/// Whether the path is of this pattern, and what its parameter is (empty without one).
fn matches<'a>(pattern: &str, path: &'a str) -> Option<&'a str> {
    let (mut pattern, mut path) = (pattern.split('/'), path.split('/'));
    let mut id = "";
    loop {
        match (pattern.next(), path.next()) {
            (None, None) => return Some(id),
            (Some(expected), Some(segment)) => {
                let parameter = expected.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
                match parameter {
                    Some(prefix) if segment.len() > prefix.len() && segment.starts_with(prefix) => {
                        id = segment
                    }
                    None if expected == segment => {}
                    _ => return None,
                }
            }
            _ => return None,
        }
    }
}
