//! The Registry: the source of truth for tenants, people, keys and the audit, behind the admin API.
//!
//! Pure: SQL, time, randomness, secrets and finished password derivations come in, an answer comes
//! out. A call is one synchronous turn and one transaction, so that a crash or a statement that fails
//! leaves all of it or nothing. What a call may read or change is bound to its principal's tenant.
//!
//! The life of a call: [`Registry::handle`] finds the route, authenticates, checks the right to do
//! it and runs the handler. A handler that has to wait for something stops with a [`Step`] that says for what, and
//! runs again from its beginning, in a turn of its own, with the result. An [`Outcome`] names the keys whose
//! KeyGates must be told before the answer goes out. [`call`] carries all of it out.

pub mod addresses;
pub mod attempts;
pub mod audit;
pub mod call;
pub mod cost;
pub mod cursor;
pub mod effect;
pub mod email;
pub mod error;
pub mod front;
pub mod guard;
pub mod ids;
pub mod input;
pub mod json;
pub mod keys;
pub mod links;
pub mod members;
pub mod memory;
pub mod outbox;
pub mod outcome;
pub mod password;
pub mod principal;
pub mod publisher;
pub mod quotas;
pub mod rates;
pub mod realms;
pub mod room;
pub mod schema;
pub mod session;
pub mod sessions;
pub mod tenants;
pub mod text;
pub mod throttle;
pub mod upkeep;
pub mod usage;
pub mod words;

use std::cell::{Cell, RefCell};

use serde_json::Value;

use crate::{
    entropy::Entropy,
    policy::Policy,
    registry::{
        effect::Effect,
        error::{Code, Refusal, Stop},
        keys::fresh::{self, Fresh, Introduced},
        memory::Memory,
        password::{Derived, PasswordJob},
        principal::{Member, Principal, Right},
    },
    secret::{Secret, Secrets},
    sql::{self, Sql, SqlError},
    time::Timestamp,
    wire::{AdminCall, AdminCredential},
};

pub use outcome::Outcome;
pub use realms::adopt;

/// What a handler comes to.
pub type Handled = Result<Outcome, Stop>;

/// The Registry over one database.
#[derive(Clone, Copy)]
pub struct Registry<'a> {
    /// The object's database, brought forward by [`migrate`].
    pub db: &'a dyn Sql,
    /// The deployment's policy.
    pub policy: &'static Policy,
    /// The deployment's secrets.
    pub secrets: &'a Secrets,
    /// `KEYWARD_SETUP_TOKEN`, if it is set.
    pub setup_token: Option<&'a Secret>,
    /// What the object remembers.
    pub memory: &'a Memory,
}

/// How far a call came.
pub enum Step {
    /// Derive this password, then call again with all results so far.
    Derive(PasswordJob),
    /// Tell this key's KeyGate of it, then call again.
    Tell(Fresh),
    /// Wait for [`attempts::LOOK_AGAIN_MS`], then call again with one wait more, and this.
    Wait(Option<Box<Refusal>>),
    /// It is done.
    Done(Outcome),
}

/// What was done for a call between its turns.
#[derive(Default)]
pub struct Progress {
    /// Passwords that were derived.
    pub derived: Vec<Derived>,
    /// The key that it made.
    pub introduced: Option<Introduced>,
    /// How often it has waited for what others had begun.
    pub waits: u32,
    /// How it is refused, unless it is let through, since its network called too often when it came.
    pub crowded: Option<Box<Refusal>>,
}

/// One call in hand.
pub struct Turn<'a> {
    db: &'a dyn Sql,
    policy: &'static Policy,
    secrets: &'a Secrets,
    setup_token: Option<&'a Secret>,
    memory: &'a Memory,
    call: &'a AdminCall,
    progress: &'a Progress,
    now: Timestamp,
    entropy: &'a mut dyn Entropy,
    /// Whether what was written is kept although the call is refused.
    stands: Cell<bool>,
    /// Whether the call was counted, in an attempt before this one.
    is_counted: bool,
    /// As what it was counted in this one.
    counted: RefCell<Option<rates::Counted>>,
}

/// Brings the database's schema forward.
///
/// # Errors
/// As [`sql::migrate`].
pub fn migrate(db: &dyn Sql) -> Result<(), SqlError> {
    sql::migrate(db, &schema::SCHEMA)
}

/// Who may call a route, and what runs.
#[derive(Clone, Copy)]
enum Handler {
    /// Anybody: nobody can have signed in yet.
    Open(fn(&mut Turn<'_>) -> Handled),
    /// A member, for what is the member's own.
    Member(fn(&mut Turn<'_>, &Member, &str) -> Handled),
    /// Whoever has the right: a member by role, an API key by scope.
    With(Right, fn(&mut Turn<'_>, &Principal, &str) -> Handled),
    /// An owner of the tenant; never an API key.
    Owner(fn(&mut Turn<'_>, &Member, &str) -> Handled),
}

/// Every route of the admin API. `{key_}` stands for one segment that begins with `key_`, `{}` for
/// any one segment.
const ROUTES: &[(&str, &str, Handler)] = &[
    ("POST", "/setup", Handler::Open(session::set_up)),
    ("POST", "/session", Handler::Open(session::sign_in)),
    ("GET", "/session", Handler::Member(session::show)),
    ("DELETE", "/session", Handler::Member(session::sign_out)),
    ("POST", "/session/step-up", Handler::Member(session::step_up)),
    ("GET", "/sessions", Handler::Member(sessions::list_own)),
    ("DELETE", "/sessions", Handler::Member(sessions::end_others)),
    ("DELETE", "/sessions/{ses_}", Handler::Member(sessions::end)),
    ("GET", "/api-keys", Handler::With(Right::Read, keys::list::list)),
    ("POST", "/api-keys", Handler::With(Right::Write, keys::create::create)),
    ("GET", "/api-keys/{key_}", Handler::With(Right::Read, keys::list::show)),
    ("PATCH", "/api-keys/{key_}", Handler::With(Right::Write, keys::edit::edit)),
    ("POST", "/api-keys/{key_}/revoke", Handler::With(Right::Write, keys::edit::revoke)),
    ("POST", "/api-keys/{key_}/rotate", Handler::With(Right::Write, keys::rotate::rotate)),
    ("GET", "/api-keys/{key_}/usage", Handler::With(Right::Read, usage::show)),
    ("POST", "/links", Handler::With(Right::Links, links::issue)),
    ("GET", "/links/{link_}", Handler::With(Right::Links, links::show)),
    ("GET", "/quotas", Handler::With(Right::Read, quotas::show)),
    ("GET", "/realms", Handler::With(Right::Read, realms::list)),
    ("GET", "/audit", Handler::With(Right::Read, audit::list)),
    ("GET", "/audit/verify", Handler::With(Right::Read, audit::verify)),
    ("GET", "/members", Handler::With(Right::Read, members::list)),
    ("POST", "/members", Handler::Owner(members::add)),
    ("GET", "/members/{}", Handler::With(Right::Read, members::show)),
    ("PATCH", "/members/{}", Handler::Member(members::edit)),
    ("DELETE", "/members/{}", Handler::Owner(members::remove)),
    ("GET", "/members/{}/sessions", Handler::Owner(sessions::list_of_member)),
    ("DELETE", "/members/{}/sessions", Handler::Owner(sessions::end_of_member)),
    ("GET", "/tenants", Handler::With(Right::Tenants, tenants::list)),
    ("POST", "/tenants", Handler::With(Right::Tenants, tenants::add)),
    ("GET", "/tenants/{}", Handler::With(Right::Tenants, tenants::show)),
    ("PATCH", "/tenants/{}", Handler::With(Right::Tenants, tenants::edit)),
];

/// Method and path of every route.
pub fn routes() -> impl Iterator<Item = (&'static str, &'static str)> {
    ROUTES.iter().map(|(method, path, _)| (*method, *path))
}

impl Registry<'_> {
    /// Answers a call of the admin API, or says what has to be done first. What this writes is one transaction: a
    /// call that fails or is refused writes nothing, but for attempts that a refusal counts, and for the key
    /// that it made in an earlier turn, which is cancelled.
    pub fn handle(
        &self,
        call: &AdminCall,
        progress: &Progress,
        now: Timestamp,
        entropy: &mut dyn Entropy,
    ) -> Step {
        let effect = Effect::of(&call.method, &call.path);
        let before = self.db.size();
        let mut attempt = |further| self.attempt(call, progress, now, &mut *entropy, further);
        let step = match effect {
            Effect::Ends | Effect::Admits | Effect::Helps => room::in_need(self.db, attempt),
            Effect::Reads | Effect::Repeats | Effect::Makes | Effect::Grows => attempt(0),
        };
        let step = step.unwrap_or_else(|error| {
            let turn = self.turn(call, progress, now, entropy);
            let mut outcome = Outcome::failed(error);
            // What cannot be cancelled now is cancelled by the alarm.
            if call.idempotency_key.is_none()
                && let Err(error) = turn.cancel()
            {
                outcome.fault = Some(error);
            }
            Step::Done(outcome)
        });
        if let (Ok(before), Ok(after)) = (before, self.db.size()) {
            self.memory.notices.borrow_mut().extend(room::notice(self.policy, before, after));
        }
        step
    }

    fn turn<'t>(
        &'t self,
        call: &'t AdminCall,
        progress: &'t Progress,
        now: Timestamp,
        entropy: &'t mut dyn Entropy,
    ) -> Turn<'t> {
        Turn {
            db: self.db,
            policy: self.policy,
            secrets: self.secrets,
            setup_token: self.setup_token,
            memory: self.memory,
            call,
            progress,
            now,
            entropy,
            stands: Cell::new(false),
            is_counted: !progress.derived.is_empty() || progress.introduced.is_some() || progress.waits > 0,
            counted: RefCell::default(),
        }
    }

    /// One attempt at it, after so many that found no room.
    fn attempt(
        &self,
        call: &AdminCall,
        progress: &Progress,
        now: Timestamp,
        entropy: &mut dyn Entropy,
        further: usize,
    ) -> Result<Step, SqlError> {
        let mut turn = self.turn(call, progress, now, entropy);
        turn.is_counted |= further > 0;
        let step = sql::transaction(self.db, || {
            room::make(self.db, further)?;
            match turn.run() {
                Ok(outcome) => Ok(Step::Done(outcome)),
                Err(Stop::Derive(job)) => Ok(Step::Derive(job)),
                Err(Stop::Tell(fresh)) => Ok(Step::Tell(fresh)),
                Err(Stop::Refused(refusal)) if turn.stands.get() => Ok(Step::Done(Outcome::refused(refusal))),
                Err(stop) => Err(stop),
            }
        });
        let may_be_repeated = call.idempotency_key.is_some();
        let (mut outcome, is_kept) = match step {
            Ok(step) => return Ok(step),
            Err(Stop::Refused(refusal)) => {
                turn.give_back_if_cheap(&refusal);
                (Outcome::refused(refusal), false)
            }
            Err(Stop::Untold) => (Outcome::refused(fresh::untold(may_be_repeated)), may_be_repeated),
            Err(Stop::Failed(error)) => return Err(error),
            // These are kept above.
            Err(Stop::Derive(job)) => return Ok(Step::Derive(job)),
            Err(Stop::Tell(fresh)) => return Ok(Step::Tell(fresh)),
            Err(Stop::Wait(crowded)) => return Ok(Step::Wait(crowded)),
        };
        // What cannot be cancelled now is cancelled by the alarm.
        if !is_kept && let Err(error) = turn.cancel() {
            outcome.fault = Some(error);
        }
        Ok(Step::Done(outcome))
    }
}

/// Refuses what needs no database to be refused: a path or method that is not there, and a call
/// without a credential where one is needed. So nobody reaches the object without at least guessing.
///
/// # Errors
/// NOT_FOUND, METHOD_NOT_ALLOWED, UNAUTHENTICATED
pub fn refuse_at_once(method: &str, path: &str, credential: &AdminCredential) -> Result<(), Refusal> {
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

impl Turn<'_> {
    fn run(&mut self) -> Handled {
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

    /// Keeps what this turn writes also if the call is refused: attempts have to count then above all.
    fn keep_if_refused(&self) {
        self.stands.set(true);
    }

    /// Who calls, unless that is too often. `entitled`: whether it has the right to.
    fn caller(&mut self, entitled: impl Fn(&Principal) -> bool) -> Result<Principal, Stop> {
        let effect = Effect::of(&self.call.method, &self.call.path);
        let principal = match self.principal() {
            Err(Stop::Refused(refusal)) => {
                self.count_stranger(effect)?;
                return Err(refusal.into());
            }
            principal => principal?,
        };
        self.memory.latest.replace(Some(principal.tenant_id().to_owned()));
        self.count_call(&principal, effect, entitled(&principal))?;
        Ok(principal)
    }

    /// 201 for what can be found at this path of the API.
    fn created(&self, path: &str, body: Value) -> Outcome {
        Outcome::created(format!("{}{path}", self.policy.admin.api), body)
    }

    fn member(&mut self, otherwise: &str, entitled: impl Fn(&Member) -> bool) -> Result<Member, Stop> {
        match self.caller(|principal| matches!(principal, Principal::Member(member) if entitled(member)))? {
            Principal::Member(member) => Ok(member),
            Principal::SetUp(_) => {
                let detail = format!("The set-up token cannot do this: make the first owner. {otherwise}");
                Err(Refusal::new(Code::Forbidden, detail).into())
            }
            Principal::Key(_) => {
                Err(Refusal::new(Code::Forbidden, format!("An API key cannot do this. {otherwise}")).into())
            }
        }
    }
}

/// The handler for a method and path, and the parameter in the path, if it has one.
fn route<'a>(method: &str, path: &'a str) -> Result<(Handler, &'a str), Refusal> {
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
        return Err(Refusal::new(Code::NotFound, "The admin API has no such path."));
    }
    if allowed.contains(&"GET") {
        allowed.push("HEAD");
    }
    let allowed = allowed.join(", ");
    let mut refusal = Refusal::new(Code::MethodNotAllowed, format!("This path takes {allowed}."));
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
