//! Of which requests somebody is told, and what is known of each where it is decided.

use std::borrow::Cow;

use keyward_policy::{Log, LoggedRequests, Policy, Realm};

use super::Gate;
use crate::{
    denial::Denial,
    pipeline::KnownKey,
    platform::Platform,
    refusal::Answer,
    request::{Client, RequestParts},
    trace::{TRACEPARENT, Trace},
    watch::{Arrival, End, SERVER_TIMING, Seen, Sender, Tells, Watched},
};
use keyward_core::{
    request_target::RequestTarget,
    route::{self, BuiltinRoute, RouteMatch},
};

impl<P: Platform> Gate<'_, P> {
    /// What the policy says of the log.
    pub(super) fn log(&self) -> Log {
        self.policy.map_or(Log::DEFAULT, |policy| policy.log)
    }

    /// By what a request is told.
    pub(super) fn tells(&self, request: &impl RequestParts, trace: Trace<'_>, is_refused: bool) -> Tells {
        Tells::of(self.log(), &self.watchers, request, trace, is_refused)
    }

    /// Tells of a request that has an answer now. What an operator gets in [`SERVER_TIMING`], who asked for it.
    pub fn tell(&self, watched: &Watched, end: End<'_>) -> Option<String> {
        watched.tell(self.platform, end)
    }

    /// The same, of what has crossed as text: a request that was forwarded, or that is for one of Keyward's own paths.
    pub fn ended(&self, watched: &str, status: u16) -> Option<String> {
        self.tell(&Watched::read(watched)?, End { status, denial: None })
    }

    /// What is kept of a request that is not refused, if anybody is told of it.
    pub(super) fn watch(
        &self,
        request: &impl RequestParts,
        (realm, route): (Option<&Realm>, Option<&str>),
        arrival: Arrival<'_>,
    ) -> Option<Watched> {
        let seen = Seen::of(request, realm, route, arrival);
        let traceparent = request.header(TRACEPARENT);
        let trace = Trace::of(seen.request_id, self.log().traces, traceparent.as_deref());
        let tells = self.tells(request, trace, false);
        tells.any().then(|| Watched::of(self.platform, tells, seen, Sender::default(), trace, request))
    }

    /// The same of one that is answered at once: whoever is told is told now.
    pub(super) fn answered(
        &self,
        request: &impl RequestParts,
        place: (Option<&Realm>, Option<&str>),
        arrival: Arrival<'_>,
        answer: &mut Answer,
    ) {
        if let Some(watched) = self.watch(request, place, arrival) {
            self.told(&watched, None, answer);
        }
    }

    /// The same of one for Keyward's own paths.
    pub(super) fn watch_builtin(
        &self,
        request: &impl RequestParts,
        policy: &Policy,
        builtin: BuiltinRoute<'_>,
        arrival: Arrival<'_>,
    ) -> Option<Box<Watched>> {
        let realm = match builtin {
            BuiltinRoute::Jwks(realm) => Some(realm),
            _ => None,
        };
        self.watch(request, (realm, Some(&path_of(policy, builtin))), arrival).map(Box::new)
    }

    /// Tells of a refused request.
    pub(super) fn tell_refusal(
        &self,
        request: &impl RequestParts,
        (realm, route): (Option<&Realm>, Option<&str>),
        arrival: Arrival<'_>,
        (denial, key): (&Denial, Option<&KnownKey>),
        answer: &mut Answer,
    ) {
        let seen = Seen::of(request, realm, route, arrival);
        let traceparent = request.header(TRACEPARENT);
        let trace = Trace::of(seen.request_id, self.log().traces, traceparent.as_deref());
        let tells = self.tells(request, trace, true);
        if tells.any() {
            let sender = key.map(Sender::of_key).unwrap_or_default();
            let watched = Watched::of(self.platform, tells, seen, sender, trace, request);
            self.told(&watched, Some(denial), answer);
        }
    }

    /// The realm of a request and the path of its route, as far as there are any.
    pub(super) fn place_of(
        &self,
        request: &impl RequestParts,
        client: &Client,
    ) -> (Option<&'static Realm>, Option<&'static str>) {
        let (method, target) = (request.method(), RequestTarget::of(request.url()));
        let policy = self.policy.filter(|policy| route::builtin_route(policy, target).is_none());
        let Some(policy) = policy else { return (None, None) };
        match route::match_route(policy, method, target, client.is_preflight(method)) {
            Ok(RouteMatch::Route(realm, route)) => (Some(realm), Some(route.path.source)),
            Ok(RouteMatch::Preflight(realm, _)) => (Some(realm), None),
            Err((realm, _)) => (realm, None),
        }
    }

    /// The same request, of which those are to be told, too, who are told of refusals.
    pub(super) fn also_told_of_refusals(&self, watched: &Watched) -> Watched {
        let line = self.log().requests != LoggedRequests::None;
        watched.clone().with_line(line)
    }

    /// Tells of a request that has this answer.
    pub(super) fn told(&self, watched: &Watched, denial: Option<&Denial>, answer: &mut Answer) {
        let times = self.tell(watched, End { status: answer.status, denial });
        answer.headers.extend(times.map(|times| (SERVER_TIMING, times)));
    }
}

/// The route of one of Keyward's own paths, without what stands below a base.
fn path_of(policy: &Policy, builtin: BuiltinRoute<'_>) -> Cow<'static, str> {
    match builtin {
        BuiltinRoute::Health => Cow::Borrowed("/healthz"),
        BuiltinRoute::Ready => Cow::Borrowed("/readyz"),
        BuiltinRoute::Admin { .. } => Cow::Owned(format!("{}/*", policy.admin.api)),
        BuiltinRoute::Page { .. } => Cow::Owned(format!("{}/*", policy.admin.page)),
        BuiltinRoute::Jwks(realm) => Cow::Borrowed(realm.identity.map_or("", |identity| identity.jwks_path)),
    }
}
