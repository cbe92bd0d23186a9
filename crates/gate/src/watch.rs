//! What is told of a request once the head of its answer is there: a line of the log, a data point, and its times to an operator
//! who asks for them.
//!
//! Which of these a request is told by is decided where its verdict is. What each needs of it is kept until then in a
//! [`Watched`], which may cross to the platform as text: nothing in it is a client's own word, but for what
//! [`RequestLine`] has of it. Of a request that nobody is told of, nothing is kept.

use std::rc::Rc;

use keyward_policy::{HostPattern, Log, LoggedRequests, Realm, method};
use serde::{Deserialize, Serialize};

use crate::{
    denial::Denial,
    gate::{Identity, Permit},
    pipeline::KnownKey,
    platform::{Platform, Waits},
    request::RequestParts,
    trace::{self, Trace},
};
use keyward_core::{
    data_point::DataPoint,
    log::Event,
    request_line::{RequestLine, Seconds},
    request_target::RequestTarget,
    secret::Secret,
    time::{Span, Timestamp},
};

/// The header with which an operator asks for the times of a request.
pub const TIMING: &str = "keyward-timing";
/// Name of the secret that it has to hold.
pub const TIMING_SECRET: &str = "KEYWARD_TIMING_TOKEN";
/// The header that says them.
pub const SERVER_TIMING: &str = "Server-Timing";

/// Who follows requests, as the deployment has it.
#[derive(Clone, Debug, Default)]
pub struct Watchers {
    /// What an operator shows who asks for times; `None` if nobody may.
    pub timing: Option<Rc<Secret>>,
    /// Whether there is something that counts requests.
    pub counts: bool,
}

/// By which a request is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tells {
    /// A line of the log.
    pub line: bool,
    /// A data point.
    pub point: bool,
    /// The header with its times.
    pub times: bool,
}

impl Tells {
    /// By what a request is told.
    pub(crate) fn of(
        Log { requests, one_in, .. }: Log,
        watchers: &Watchers,
        request: &impl RequestParts,
        trace: Trace<'_>,
        is_refused: bool,
    ) -> Self {
        let line = match requests {
            LoggedRequests::None => false,
            LoggedRequests::Refused => is_refused,
            LoggedRequests::Sampled => is_refused || trace.is_sampled(one_in),
            LoggedRequests::All => true,
        };
        let is_token = |token: &Secret| request.header(TIMING).is_some_and(|shown| token.equals(&shown));
        let times = watchers.timing.as_deref().is_some_and(is_token);
        Self { line, point: watchers.counts, times }
    }

    /// Whether by any.
    pub fn any(self) -> bool {
        self.line || self.point || self.times
    }
}

/// What is looked at of a request, whether it passes or not.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'s> {
    /// Its id.
    pub request_id: &'s str,
    /// Its method.
    pub method: &'s str,
    /// Its URL.
    pub target: RequestTarget<'s>,
    /// The realm, if there is one.
    pub realm: Option<&'s Realm>,
    /// The path of the route as the policy has it, if there is one.
    pub route: Option<&'s str>,
    /// When it came, if that is known.
    pub began: Option<Timestamp>,
}

/// A request's id, and when it came, if that is known.
pub(crate) type Arrival<'s> = (&'s str, Option<Timestamp>);

impl<'s> Seen<'s> {
    /// That of a request that was matched to this realm and this route.
    pub(crate) fn of(
        request: &'s impl RequestParts,
        realm: Option<&'s Realm>,
        route: Option<&'s str>,
        (request_id, began): Arrival<'s>,
    ) -> Self {
        let target = RequestTarget::of(request.url());
        Self { request_id, method: request.method(), target, realm, route, began }
    }
}

/// Who sent a request, as far as the log says so.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sender<'s> {
    /// The id of the key.
    pub key_id: Option<&'s str>,
    /// The id of the tenant.
    pub tenant_id: Option<&'s str>,
}

impl<'s> Sender<'s> {
    /// Whose permit this is.
    pub(crate) fn of(permit: &'s Permit) -> Self {
        let (key_id, tenant_id) = match permit.identity() {
            Identity::Anybody | Identity::Anonymous | Identity::Sender => (None, None),
            Identity::Key(record) => (Some(record.id.as_str()), Some(record.tenant.id.as_str())),
            Identity::Token(claims) => (None, claims.tenant.as_deref()),
            Identity::Session(session) => (None, Some(session.tenant.id.as_str())),
        };
        // A key of the policy's own need not have a tenant.
        Self { key_id, tenant_id: tenant_id.filter(|id| !id.is_empty()) }
    }

    /// Whose key was refused.
    pub(crate) fn of_key(key: &'s KnownKey) -> Self {
        Self { key_id: Some(&key.record.id), tenant_id: Some(&key.record.tenant.id) }
    }
}

/// A request that somebody follows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watched {
    tells: Tells,
    request_id: String,
    method: String,
    scheme: String,
    host: Option<String>,
    realm: Option<String>,
    route: Option<String>,
    key_id: Option<String>,
    tenant_id: Option<String>,
    colo: Option<String>,
    trace_id: String,
    parent: Option<String>,
    /// When it came, and when it was decided, in milliseconds since 1970.
    began: Option<i64>,
    decided: i64,
    waits: Waits,
    /// Whether it goes to the origin.
    is_forwarded: bool,
}

impl Watched {
    /// What is kept of a request that is told by these.
    pub(crate) fn of(
        platform: &impl Platform,
        tells: Tells,
        seen: Seen<'_>,
        sender: Sender<'_>,
        trace: Trace<'_>,
        request: &impl RequestParts,
    ) -> Self {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        let host = seen.realm.and_then(|realm| {
            realm.hosts.iter().find_map(|host| match host {
                HostPattern::Exact(name) if host.matches(seen.target.host) => Some((*name).to_owned()),
                _ => None,
            })
        });
        Self {
            tells,
            request_id: seen.request_id.to_owned(),
            method: method::name(seen.method).to_owned(),
            scheme: seen.target.scheme.to_owned(),
            host,
            realm: owned(seen.realm.map(|realm| realm.id)),
            route: owned(seen.route),
            key_id: owned(sender.key_id),
            tenant_id: owned(sender.tenant_id),
            colo: request.colo(),
            trace_id: trace.trace_id.to_owned(),
            parent: owned(trace.parent),
            began: seen.began.map(|began| began.0),
            decided: platform.now().0,
            waits: platform.waits(),
            is_forwarded: false,
        }
    }

    /// Tells of a request that has an answer now. What an operator gets in [`SERVER_TIMING`], who asked for it.
    pub(crate) fn tell(&self, platform: &impl Platform, end: End<'_>) -> Option<String> {
        let Self { tells, waits, .. } = self;
        let (now, decided) = (platform.now(), Timestamp(self.decided));
        let since = |began: i64| (now - Timestamp(began)).max(Span::ZERO);
        let duration = self.began.map(since);
        let wait = self.began.map(|began| (decided - Timestamp(began)).max(Span::ZERO));
        let origin = self.is_forwarded.then(|| since(self.decided));
        let code = end.denial.map(|denial| denial.public().code);
        if tells.line {
            let seconds = |span: Option<Span>| span.filter(|span| *span > Span::ZERO).map(Seconds);
            platform.log(&Event::Request(&RequestLine {
                method: &self.method,
                route: self.route.as_deref(),
                status: end.status,
                duration: duration.map(Seconds),
                scheme: &self.scheme,
                host: self.host.as_deref(),
                code,
                trace_id: &self.trace_id,
                span_id: trace::span_id(&self.request_id),
                parent_span_id: self.parent.as_deref(),
                request_id: &self.request_id,
                realm: self.realm.as_deref(),
                key_id: self.key_id.as_deref(),
                tenant_id: self.tenant_id.as_deref(),
                colo: self.colo.as_deref(),
                reason: end.denial.map(Denial::reason),
                detail: end.denial.and_then(Denial::detail).as_deref(),
                wait: seconds(wait),
                store: seconds(Some(waits.store)),
                object: seconds(Some(waits.object)),
                limiter: seconds(Some(waits.limiter)),
                issuer: seconds(Some(waits.issuer)),
                origin: seconds(origin),
            }));
        }
        let [duration, wait, origin] = [duration, wait, origin].map(Option::unwrap_or_default);
        if tells.point {
            let [realm, route, colo] =
                [&self.realm, &self.route, &self.colo].map(|text| text.as_deref().unwrap_or_default());
            platform.count(&DataPoint {
                indexes: [realm],
                blobs: [realm, route, code.unwrap_or(PASSED), colo, &self.method, &end.status.to_string()],
                doubles: [duration, wait, origin].map(|span| Seconds(span).value()),
            });
        }
        tells.times.then(|| server_timing(wait, *waits, origin))
    }

    /// The same request, which goes to the origin now.
    pub(crate) fn forwarded(mut self) -> Self {
        self.is_forwarded = true;
        self
    }

    /// The same request, which has a line of the log or has none.
    pub(crate) fn with_line(mut self, line: bool) -> Self {
        self.tells.line = line;
        self
    }

    /// As one line of text, which [`Self::read`] reads.
    pub fn to_text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// What [`Self::to_text`] wrote.
    pub fn read(text: &str) -> Option<Self> {
        keyward_json::from_str(text).ok()
    }
}

/// How a request ended.
#[derive(Clone, Copy, Debug)]
pub struct End<'d> {
    /// The status of its answer.
    pub status: u16,
    /// Why it was refused, if it was.
    pub denial: Option<&'d Denial>,
}

/// In place of a code, of a request that was not refused.
const PASSED: &str = "PASSED";

/// In milliseconds (Server Timing, section 3).
fn server_timing(gate: Span, waits: Waits, origin: Span) -> String {
    let Waits { store, object, limiter, issuer } = waits;
    let named = [("gate", gate), ("store", store), ("object", object), ("origin", origin)];
    let rare = [("limiter", limiter), ("issuer", issuer)].into_iter().filter(|(_, span)| *span > Span::ZERO);
    let entry = |(name, span): (&str, Span)| format!("{name};dur={}", span.ms());
    named.into_iter().chain(rare).map(entry).collect::<Vec<_>>().join(", ")
}
