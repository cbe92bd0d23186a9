//! Handling a request, from its parts to a [`Verdict`].
//!
//! [`Gate::handle`] goes through these steps in this order; the first that refuses is the answer:
//!
//! 1. [`Gate::begin`], without waiting for anything: an id; Keyward's own paths; realm and route; the connection;
//!    a preflight's answer; where COPY and MOVE write to; the body's length.
//! 2. [`Gate::admit`]: whether a body without a length is empty; the credential and its decision
//!    ([`admission`](crate::admission)); then what the origin is sent and how its answer changes.
//!
//! The platform carries the verdict out. Where the origin's answer does not reach the client,
//! [`Gate::refuse_forwarded`] says what does.

mod identity;
mod verdict;
mod watching;

use std::{cell::RefCell, rc::Rc};

use futures_util::future::join4;
use keyward_changes::timing::READ_WITHIN;
use keyward_limits::{routes::RouteName, used_from::UsedFrom, wire::UNATTRIBUTED};
use keyward_policy::{CredentialSource, Origin, Policy, Realm, Route, Span};
use serde_json::json;

pub use self::verdict::{Background, Builtin, CopyRoom, Forward, OriginFailure, Outcome, Verdict};
use crate::{
    admission::Admission,
    cors, credential,
    deadline::Deadline,
    denial::Denial,
    forwarding::{self, profile::Profile},
    identity_token,
    jwt::Issuers,
    memory::Memory,
    pipeline::{Accepted, BackgroundTask, Open, Pipeline, Refused, budget_of},
    platform::Platform,
    refusal::{self, Answer, mcp},
    request::{self, Client, RequestParts},
    request_body::{self, Fitness},
    trace::{self, TRACEPARENT, TRACESTATE, Trace},
    transport,
    watch::{Seen, Sender, Watched, Watchers},
};
use keyward_core::{
    foreign_text, key,
    log::Event,
    network,
    request_target::RequestTarget,
    route::{self, BuiltinRoute, RouteMatch},
    secret::Secrets,
    time::Timestamp,
};

/// How long content that need not be there is waited for.
const CONTENT_WITHIN: Span = Span::from_secs(5);

/// Why everything is refused without a policy.
const NO_POLICY: Denial = Denial::NotConfigured { what: "a policy that this version reads" };

/// The gate, for one request: the policy, the platform, and what the isolate remembers.
pub struct Gate<'a, P> {
    /// `None` where there is none that can be read.
    pub policy: Option<&'static Policy>,
    /// The platform.
    pub platform: &'a P,
    /// What the isolate knows of keys; never borrowed while something is waited for.
    pub memory: Rc<RefCell<Memory>>,
    /// What verifies tokens.
    pub issuers: Rc<Issuers>,
    /// The deployment's secrets, or that there are none.
    pub secrets: Result<Rc<Secrets>, Denial>,
    /// Who follows requests.
    pub watchers: Watchers,
}

/// How far a request has come without waiting.
pub enum Progress<'r, R> {
    /// There is a verdict.
    Decided(Verdict<'r>),
    /// [`Gate::admit`] is next, which may wait.
    Routed(Routed<'r, R>),
}

/// A request that the policy has a route for.
pub struct Routed<'r, R> {
    request: &'r R,
    target: RequestTarget<'r>,
    client: Client,
    policy: &'static Policy,
    realm: &'static Realm,
    route: &'static Route,
    fitness: Fitness,
    request_id: String,
    began: Timestamp,
}

/// What the policy says to do.
pub(crate) enum Routing {
    Preflight(&'static Realm, Answer),
    Route(&'static Realm, &'static Route, Fitness),
}

impl<P: Platform> Gate<'_, P> {
    /// Handles a request.
    pub async fn handle<'r, R: RequestParts>(&self, request: &'r R) -> Verdict<'r> {
        match self.begin(request) {
            Progress::Decided(verdict) => verdict,
            Progress::Routed(routed) => self.admit(routed).await,
        }
    }

    /// The first half: what needs no waiting.
    pub fn begin<'r, R: RequestParts>(&self, request: &'r R) -> Progress<'r, R> {
        let request_id = key::hex(&self.platform.random());
        let Some(policy) = self.policy else {
            // Why there is none stands in the log once, and not for every request.
            let answer = refusal::refuse(&NO_POLICY, None, &request_id);
            return decided(request_id, Outcome::Answer(answer), None);
        };
        let began = self.platform.now();
        let target = RequestTarget::of(request.url());
        match route::builtin_route(policy, target) {
            Some(BuiltinRoute::Health) => {
                let mut answer = health(request.method());
                let arrival = (request_id.as_str(), Some(began));
                self.answered(request, (None, Some("/healthz")), arrival, &mut answer);
                return decided(request_id, Outcome::Answer(answer), None);
            }
            Some(route) => {
                let watched = self.watch_builtin(request, policy, route, (&request_id, Some(began)));
                return decided(request_id, Outcome::Builtin(Builtin { route, target, policy }), watched);
            }
            None => {}
        }
        let client = Client::of(request);
        match find_route(policy, request, target, &client, &request_id) {
            Ok(Routing::Preflight(realm, mut answer)) => {
                self.answered(request, (Some(realm), None), (&request_id, Some(began)), &mut answer);
                decided(request_id, Outcome::Answer(answer), None)
            }
            Ok(Routing::Route(realm, route, fitness)) => Progress::Routed(Routed {
                request,
                target,
                client,
                policy,
                realm,
                route,
                fitness,
                request_id,
                began,
            }),
            Err((realm, denial)) => {
                let place = (realm, None);
                Progress::Decided(self.refused(request, &client, place, &denial.into(), (request_id, began)))
            }
        }
    }

    /// The second half: gives a route what it asks for, and forwards the request or refuses it.
    pub async fn admit<'r, R: RequestParts>(&self, routed: Routed<'r, R>) -> Verdict<'r> {
        match self.admitted(&routed).await {
            Ok((Admission::Pass(accepted), identity)) => self.forward(routed, accepted, identity),
            Ok((Admission::Redirect(headers), _)) => {
                let id = ("X-Request-Id", routed.request_id.clone());
                let headers = headers.into_iter().chain([id]).collect();
                let mut answer = Answer { status: 303, headers, body: String::new() };
                let Routed { request, realm, route, request_id, began, .. } = routed;
                let place = (Some(realm), Some(route.path.source));
                self.answered(request, place, (&request_id, Some(began)), &mut answer);
                self.verdict(request_id, Outcome::Answer(answer), [None, None], None)
            }
            Err(refused) => {
                let Routed { request, ref client, realm, route, began, .. } = routed;
                let place = (Some(realm), Some(route));
                self.refused(request, client, place, &refused, (routed.request_id, began))
            }
        }
    }

    /// Whether a request is admitted, and the token that its origin gets.
    async fn admitted<R: RequestParts>(
        &self,
        routed: &Routed<'_, R>,
    ) -> Result<(Admission, Option<String>), Refused> {
        let Routed { request, target, ref client, realm, route, fitness, ref request_id, .. } = *routed;
        if fitness == Fitness::FitIfEmpty && request.has_content(CONTENT_WITHIN).await {
            return Err(Denial::LengthRequired.into());
        }
        let keys = self.identity_keys(realm).await?;
        let country = || request.country();
        let address = client.address.as_deref();
        let name = RouteName { realm: realm.id, method: request.method(), path: route.path.source };
        let from = UsedFrom { address, route: Some(name), country: &country };
        let pipeline =
            Pipeline { from: Some(from), ..self.pipeline(realm.decision_timeout, Some(request_id)) };
        let info = client.info(request.method());
        let admission = pipeline.authenticate(realm, route, target, info, request).await?;
        let identity = match &admission {
            Admission::Pass(accepted) => self.identity(realm, route, accepted, keys).await?,
            Admission::Redirect(_) => None,
        };
        Ok((admission, identity))
    }

    /// What an accepted request becomes on its way to the origin, and the answer on its way back.
    fn forward<'r, R: RequestParts>(
        &self,
        routed: Routed<'r, R>,
        accepted: Accepted,
        identity: Option<String>,
    ) -> Verdict<'r> {
        let Routed { request, target, client, policy, realm, route, request_id, began, .. } = routed;
        let Accepted { permit, windows, background, pool, open } = accepted;
        let secrets = self.secrets.as_deref().ok();
        let header = |name: &str| request.header(name);
        let mut credentials = forwarding::credentials(policy.realms, realm, &permit, secrets, header);
        let mut added = forwarding::added(realm, &permit, target, client.info(request.method()), &request_id);
        added.extend(identity.map(|token| (identity_token::FIELD, token)));
        // Only WebSockets have them, or requests to realms that look for keys there.
        let looks = client.info(request.method()).upgrades
            || policy
                .realms
                .iter()
                .any(|realm| realm.credentials.iter().any(CredentialSource::is_subprotocol));
        let offered = looks.then(|| request.header(CredentialSource::SUBPROTOCOLS)).flatten();
        match offered.and_then(|offered| credential::other_subprotocols(policy.realms, &offered, secrets)) {
            Some(others) if others.is_empty() => credentials.push(CredentialSource::SUBPROTOCOLS),
            Some(others) => added.push(("Sec-WebSocket-Protocol", others)),
            None => {}
        }
        let open = open.or_else(|| Open::without_budget(&route.requires));
        let budget = budget_of(&route.requires).filter(|budget| budget.call);
        if let (Some(budget), Some(open), Some(secrets)) = (budget, &open, secrets) {
            let end = self.platform.now() + budget.within;
            added.push(("Keyward-Settle", open.token(end, secrets)));
        }
        let traceparent = request.header(TRACEPARENT);
        let trace = Trace::of(&request_id, policy.log.traces, traceparent.as_deref());
        let tells = self.tells(request, trace, false);
        if let Some(parent) = trace.to_origin(&request_id, tells.line) {
            added.push(("Traceparent", parent));
            let state = trace.parent.and_then(|_| trace::state(&request.header(TRACESTATE)?));
            added.extend(state.map(|state| ("Tracestate", state)));
        }
        let watched = tells.any().then(|| {
            let route = Some(route.path.source);
            let seen = Seen::of(request, Some(realm), route, (&request_id, Some(began)));
            Box::new(Watched::of(self.platform, tells, seen, Sender::of(&permit), trace, request).forwarded())
        });
        let copy = request_body::copied_bytes(request).map(|bytes| CopyRoom {
            network: network::of(client.address.as_deref().unwrap_or_default()),
            bytes,
            within: realm.client_timeout + realm.origin_timeout,
        });
        let mut answer = forwarding::answer(realm, client.origin.as_deref(), &windows, &request_id);
        answer.set.extend(refusal::x_rate_limit_headers(realm, &windows, self.platform.now()));
        let forward = Forward {
            profile: Profile::of(realm, &permit, !windows.is_empty()),
            url: match realm.origin {
                Origin::Url(origin) => Some(format!("{origin}{}", target.path_and_query)),
                Origin::Binding(_) | Origin::Handler(_) => None,
            },
            credentials,
            added,
            answer,
            copy,
            open: open.filter(Open::is_followed),
        };
        self.verdict(request_id, Outcome::Forward(forward), [background, pool], watched)
    }

    /// The answer where the origin's does not reach the client. `watched` is what its verdict had.
    pub fn refuse_forwarded(
        &self,
        request: &impl RequestParts,
        request_id: &str,
        realm: &Realm,
        failure: &OriginFailure,
        watched: Option<&Watched>,
    ) -> Answer {
        if let Some(error) = failure.error(realm.origin) {
            self.platform.log(&Event::Origin { request_id, error });
        }
        let (client, denial) = (Client::of(request), failure.denial(realm.origin));
        let mut answer = self.refusal(request, &client, Some(realm), &denial, request_id);
        match watched {
            // Whoever is told of refusals alone was not to be told of it until now.
            Some(watched) => self.told(&self.also_told_of_refusals(watched), Some(&denial), &mut answer),
            None => {
                let place = self.place_of(request, &client);
                self.tell_refusal(request, place, (request_id, None), (&denial, None), &mut answer);
            }
        }
        answer
    }

    /// The answer to a request that ended with the instance that handled it. It may have been forwarded.
    pub fn refuse_interrupted(&self, request: &impl RequestParts) -> Answer {
        let request_id = key::hex(&self.platform.random());
        let client = Client::of(request);
        let place = self.place_of(request, &client);
        let mut answer = self.refusal(request, &client, place.0, &Denial::Interrupted, &request_id);
        self.tell_refusal(request, place, (&request_id, None), (&Denial::Interrupted, None), &mut answer);
        answer
    }

    /// The verdict about a refused request. It is counted here if it belongs to no key; a key's was counted where it was found.
    fn refused<'r>(
        &self,
        request: &impl RequestParts,
        client: &Client,
        (realm, route): (Option<&Realm>, Option<&Route>),
        refused: &Refused,
        (request_id, began): (String, Timestamp),
    ) -> Verdict<'r> {
        let code = refused.denial.public().code;
        let status = refusal::status(&refused.denial, realm);
        let (now, realm_id) = (self.platform.now(), realm.map(|realm| realm.id));
        let mut memory = self.memory.borrow_mut();
        if refused.key.is_none() {
            let name = realm.zip(route).map(|(realm, route)| RouteName {
                realm: realm.id,
                method: request.method(),
                path: route.path.source,
            });
            memory.ledger.refuse_unattributed(realm_id.unwrap_or_default(), code, name, now);
        }
        // Not the path: a key may stand in it.
        memory.ledger.describe(refused.key.as_ref().map_or(UNATTRIBUTED, |key| &key.hash), || {
            json!({
                "time": now.0,
                "requestId": request_id,
                "realm": realm_id,
                "method": foreign_text::shown(request.method()),
                "route": route.map(|route| route.path.source),
                "code": code,
                "status": status,
                "network": client.address.as_deref().map(network::of),
                "country": request.country(),
            })
        });
        drop(memory);
        let Refused { denial, key } = refused;
        let mut answer = self.refusal(request, client, realm, denial, &request_id);
        let place = (realm, route.map(|route| route.path.source));
        let arrival = (request_id.as_str(), Some(began));
        self.tell_refusal(request, place, arrival, (denial, key.as_ref()), &mut answer);
        self.verdict(request_id, Outcome::Answer(answer), [None, None], None)
    }

    /// The answer to a refused request, which its own web page may read where the realm has CORS.
    fn refusal(
        &self,
        request: &impl RequestParts,
        client: &Client,
        realm: Option<&Realm>,
        denial: &Denial,
        request_id: &str,
    ) -> Answer {
        let method = request.method();
        let mut answer = refusal::refuse(denial, realm, request_id);
        if let (Denial::RateLimited { windows, .. } | Denial::TooManyInFlight { windows, .. }, Some(realm)) =
            (denial, realm)
        {
            answer.headers.extend(refusal::x_rate_limit_headers(realm, windows, self.platform.now()));
        }
        let accept = (method == "POST").then(|| request.header("accept")).flatten();
        if mcp::is_asked_for(method, accept.as_deref()) {
            answer = mcp::respond(answer);
        }
        let cors = realm.and_then(|realm| realm.cors.as_ref());
        answer.headers.extend(cors::response_headers(cors, client.origin.as_deref()));
        answer
    }

    /// The verdict, with what is to be done behind it.
    fn verdict<'r>(
        &self,
        request_id: String,
        outcome: Outcome<'r>,
        [lease, pool]: [Option<BackgroundTask>; 2],
        watched: Option<Box<Watched>>,
    ) -> Verdict<'r> {
        Verdict { request_id, outcome, background: Background { lease, pool, ..self.background() }, watched }
    }

    /// What there is to be done behind any answer. It begins now: nobody else is told of it.
    pub fn background(&self) -> Background {
        let (mut memory, now) = (self.memory.borrow_mut(), self.platform.now());
        Background {
            lease: None,
            pool: None,
            tells: memory.ledger.begins_round(now),
            reads: memory.changes.due(now),
        }
    }

    /// Does what is to be done behind an answer.
    pub async fn run(&self, background: Background) {
        // Nothing is decided: each task has a bound of its own.
        let pipeline = self.pipeline(Span::ZERO, None);
        let keep_lease = async |mut next: Option<BackgroundTask>| {
            while let Some(task) = next {
                next = pipeline.run_background(task).await;
            }
        };
        let tell = async {
            if background.tells {
                pipeline.tell().await;
            }
        };
        let read = async {
            if let Some(span) = background.reads {
                pipeline.read_changes(span, READ_WITHIN).await;
            }
        };
        join4(keep_lease(background.lease), keep_lease(background.pool), tell, read).await;
    }

    /// Follows a request until its answer has ended, in whichever way. `used` is what the answer's header says, where it is to be
    /// read.
    pub async fn follow(
        &self,
        request: &Open,
        used: impl Future<Output = Option<String>>,
        ended: impl Future<Output = ()>,
    ) {
        self.pipeline(Span::ZERO, None).follow_open(request, used, ended).await;
    }

    /// What decides within this time from now.
    pub(crate) fn pipeline<'p>(&'p self, within: Span, request_id: Option<&'p str>) -> Pipeline<'p, P> {
        Pipeline {
            platform: self.platform,
            memory: Rc::clone(&self.memory),
            issuers: Rc::clone(&self.issuers),
            secrets: self.secrets.clone(),
            deadline: Deadline::within(within, self.platform.now()),
            request_id,
            jurisdiction: self.policy.and_then(|policy| policy.jurisdiction),
            from: None,
        }
    }
}

fn decided<'r, R>(
    request_id: String,
    outcome: Outcome<'r>,
    watched: Option<Box<Watched>>,
) -> Progress<'r, R> {
    Progress::Decided(Verdict { request_id, outcome, background: Background::default(), watched })
}

/// Finds realm and route, and checks all that can be seen without a credential.
pub(crate) fn find_route(
    policy: &'static Policy,
    request: &impl RequestParts,
    target: RequestTarget<'_>,
    client: &Client,
    request_id: &str,
) -> Result<Routing, (Option<&'static Realm>, Denial)> {
    let method = request.method();
    let found = route::match_route(policy, method, target, client.is_preflight(method))
        .map_err(|(realm, why)| (realm, why.into()))?;
    let realm = found.realm();
    let refused = |denial| (Some(realm), denial);
    let tls = || request.tls_version();
    transport::check(&realm.transport, target.scheme, client.address.as_deref(), tls).map_err(refused)?;
    let route = match found {
        RouteMatch::Preflight(_, cors) => {
            let mut headers = cors::preflight_headers(cors, client.origin.as_deref().unwrap_or_default());
            headers.push(("X-Request-Id", request_id.to_owned()));
            return Ok(Routing::Preflight(realm, Answer { status: 204, headers, body: String::new() }));
        }
        RouteMatch::Route(_, route) => route,
    };
    let destination = request::destination(request);
    if !route::stays_on_route(policy, realm, route, method, target, destination.as_deref()) {
        return Err(refused(Denial::NoRoute));
    }
    let fitness = request_body::check_length(request).map_err(refused)?;
    Ok(Routing::Route(realm, route, fitness))
}

/// `/healthz`: the Worker runs. Asks nobody else, so that it says only that.
fn health(method: &str) -> Answer {
    let body = match method {
        "GET" => format!("{{\"status\":\"ok\",\"version\":\"{}\"}}", env!("CARGO_PKG_VERSION")),
        "HEAD" => String::new(),
        _ => return Answer::method_not_allowed(),
    };
    Answer { status: 200, headers: Answer::uncached_json(), body }
}
