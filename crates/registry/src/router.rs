//! From a call to its handler: the table of the admin API's routes, who may call each, and who calls.

use crate::{
    admin_call::AdminCredential,
    audit,
    context::RequestContext,
    effect::Effect,
    error::{ApiError, Code},
    handler::{HandlerError, HandlerResult},
    keys, links, members,
    principal::{self, Member, Principal, Right},
    quotas, realms, sessions, setup, tenants, usage,
};

/// Who may call a route, and what runs.
#[derive(Clone, Copy)]
enum Handler {
    /// Anybody: nobody can have signed in yet.
    Open(fn(&mut RequestContext<'_>) -> HandlerResult),
    /// A member, for what is the member's own.
    Member(fn(&mut RequestContext<'_>, &Member, &str) -> HandlerResult),
    /// Whoever has the right: a member by role, an API key by scope.
    With(Right, fn(&mut RequestContext<'_>, &Principal, &str) -> HandlerResult),
    /// An owner of the tenant; never an API key.
    Owner(fn(&mut RequestContext<'_>, &Member, &str) -> HandlerResult),
}

/// Every route of the admin API. `{key_}` stands for one segment that begins with `key_`, `{}` for
/// any one segment.
const ROUTES: &[(&str, &str, Handler)] = &[
    ("POST", "/setup", Handler::Open(setup::set_up)),
    ("POST", "/session", Handler::Open(sessions::sign_in::sign_in)),
    ("GET", "/session", Handler::Member(sessions::sign_in::show)),
    ("DELETE", "/session", Handler::Member(sessions::sign_in::sign_out)),
    ("POST", "/session/step-up", Handler::Member(sessions::sign_in::step_up)),
    ("GET", "/sessions", Handler::Member(sessions::list::list_own)),
    ("DELETE", "/sessions", Handler::Member(sessions::list::end_others)),
    ("DELETE", "/sessions/{ses_}", Handler::Member(sessions::list::end)),
    ("GET", "/api-keys", Handler::With(Right::Read, keys::list::list)),
    ("POST", "/api-keys", Handler::With(Right::Write, keys::create::create)),
    ("GET", "/api-keys/{key_}", Handler::With(Right::Read, keys::list::show)),
    ("PATCH", "/api-keys/{key_}", Handler::With(Right::Write, keys::edit::edit)),
    ("POST", "/api-keys/{key_}/revoke", Handler::With(Right::Write, keys::edit::revoke)),
    ("POST", "/api-keys/{key_}/rotate", Handler::With(Right::Write, keys::rotate::rotate)),
    ("GET", "/api-keys/{key_}/usage", Handler::With(Right::Read, usage::points::show)),
    ("POST", "/links", Handler::With(Right::Links, links::issue)),
    ("GET", "/links/{link_}", Handler::With(Right::Links, links::show)),
    ("GET", "/quotas", Handler::With(Right::Read, quotas::show)),
    ("GET", "/realms", Handler::With(Right::Read, realms::list)),
    ("GET", "/audit", Handler::With(Right::Read, audit::list::list)),
    ("GET", "/audit/verify", Handler::With(Right::Read, audit::list::verify)),
    ("GET", "/members", Handler::With(Right::Read, members::handlers::list)),
    ("POST", "/members", Handler::Owner(members::handlers::add)),
    ("GET", "/members/{}", Handler::With(Right::Read, members::handlers::show)),
    ("PATCH", "/members/{}", Handler::Member(members::handlers::edit)),
    ("DELETE", "/members/{}", Handler::Owner(members::handlers::remove)),
    ("GET", "/members/{}/sessions", Handler::Owner(sessions::list::list_of_member)),
    ("DELETE", "/members/{}/sessions", Handler::Owner(sessions::list::end_of_member)),
    ("GET", "/tenants", Handler::With(Right::Tenants, tenants::handlers::list)),
    ("POST", "/tenants", Handler::With(Right::Tenants, tenants::handlers::add)),
    ("GET", "/tenants/{}", Handler::With(Right::Tenants, tenants::handlers::show)),
    ("PATCH", "/tenants/{}", Handler::With(Right::Tenants, tenants::handlers::edit)),
];

/// Method and path of every route.
pub fn routes() -> impl Iterator<Item = (&'static str, &'static str)> {
    ROUTES.iter().map(|(method, path, _)| (*method, *path))
}

/// Refuses what needs no database to be refused: a path or method that is not there, and a call
/// without a credential where one is needed. So nobody reaches the object without at least guessing.
///
/// # Errors
/// NOT_FOUND, METHOD_NOT_ALLOWED, UNAUTHENTICATED
pub fn refuse_at_once(method: &str, path: &str, credential: &AdminCredential) -> Result<(), ApiError> {
    match (route(method, path)?, credential) {
        ((Handler::Open(_), _), _) => Ok(()),
        (_, AdminCredential::None) => Err(principal::unauthenticated()),
        _ => Ok(()),
    }
}

/// Whether anybody may make this call: nobody can have signed in yet.
pub fn is_open(method: &str, path: &str) -> bool {
    matches!(route(method, path), Ok((Handler::Open(_), _)))
}

impl RequestContext<'_> {
    /// Finds the handler, authenticates, checks the right to call it and runs it.
    pub fn run(&mut self) -> HandlerResult {
        let (handler, id) = route(&self.call.method, &self.call.path)?;
        let effect = Effect::of(&self.call.method, &self.call.path);
        match handler {
            // Each of them counts who calls, once it knows what of.
            Handler::Open(run) => {
                self.require_room(effect)?;
                run(self)
            }
            Handler::Member(run) => {
                let member = self.member("This is for members: sign in.", |_| true)?;
                self.require_room_for(&member.tenant, effect)?;
                run(self, &member, id)
            }
            Handler::With(right, run) => {
                let principal = self.caller(|principal| principal.require(right).is_ok())?;
                principal.require(right)?;
                self.require_room_for(principal.tenant(), effect)?;
                run(self, &principal, id)
            }
            Handler::Owner(run) => {
                let entitled = |member: &Member| member.require_owner().is_ok();
                let member = self.member("Managing members is for owners who have signed in.", entitled)?;
                member.require_owner()?;
                self.require_room_for(&member.tenant, effect)?;
                run(self, &member, id)
            }
        }
    }

    /// Who calls, unless that is too often. `entitled`: whether it has the right to.
    fn caller(&mut self, entitled: impl Fn(&Principal) -> bool) -> Result<Principal, HandlerError> {
        let effect = Effect::of(&self.call.method, &self.call.path);
        let principal = match self.principal() {
            Err(HandlerError::Refused(refusal)) => {
                self.count_stranger(effect)?;
                return Err(refusal.into());
            }
            principal => principal?,
        };
        self.memory.latest.replace(Some(principal.tenant_id().to_owned()));
        self.count_call(&principal, effect, entitled(&principal))?;
        Ok(principal)
    }

    fn member(
        &mut self,
        otherwise: &str,
        entitled: impl Fn(&Member) -> bool,
    ) -> Result<Member, HandlerError> {
        match self.caller(|principal| matches!(principal, Principal::Member(member) if entitled(member)))? {
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

/// The handler for a method and path, and the parameter in the path, if it has one.
fn route<'a>(method: &str, path: &'a str) -> Result<(Handler, &'a str), ApiError> {
    let at_path = || {
        ROUTES.iter().filter_map(|(allowed, pattern, run)| Some((*allowed, *run, matches(pattern, path)?)))
    };
    // RFC 9110, 9.3.2: HEAD is GET without the content, which the runtime leaves out.
    let wanted = if method == "HEAD" { "GET" } else { method };
    if let Some((_, handler, id)) = at_path().find(|(allowed, ..)| *allowed == wanted) {
        return Ok((handler, id));
    }
    let mut allowed: Vec<&str> = at_path().map(|(allowed, ..)| allowed).collect();
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
