//! What handling a request comes to, as data for the platform to carry out.

use keyward_policy::{Origin, Policy, Span};

use crate::{
    denial::Denial,
    forwarding::{AnswerFields, profile::Profile},
    pipeline::{BackgroundTask, Open},
    refusal::Answer,
    watch::Watched,
};
use keyward_core::{request_target::RequestTarget, route::BuiltinRoute};

/// A verdict about a request.
#[derive(Debug)]
pub struct Verdict<'r> {
    /// The request's id.
    pub request_id: String,
    /// Where it goes.
    pub outcome: Outcome<'r>,
    /// What is to be done behind the answer.
    pub background: Background,
    /// What [`Gate::ended`](crate::Gate::ended) is to be called with once the head of the answer is there, if anybody is to be
    /// told of it then.
    pub watched: Option<Box<Watched>>,
}

/// Where a request goes.
#[derive(Debug)]
pub enum Outcome<'r> {
    /// It is answered with this.
    Answer(Answer),
    /// It goes to the origin.
    Forward(Forward),
    /// It is for one of Keyward's own paths that the gate cannot answer by itself: the admin side, or readiness, of
    /// which more is told to operators.
    Builtin(Builtin<'r>),
}

/// A request for one of Keyward's own paths.
#[derive(Clone, Copy, Debug)]
pub struct Builtin<'r> {
    /// Which.
    pub route: BuiltinRoute<'r>,
    /// Its URL.
    pub target: RequestTarget<'r>,
    /// The policy.
    pub policy: &'static Policy,
}

/// What is sent to the origin, and how its answer changes on the way back.
#[derive(Debug)]
pub struct Forward {
    /// What is the same for many requests.
    pub profile: Profile<'static>,
    /// The URL to ask, where that is not the request's own.
    pub url: Option<String>,
    /// Headers that hold a credential, which the origin does not get.
    pub credentials: Vec<&'static str>,
    /// Header fields that are set in the request, in place of the client's.
    pub added: Vec<(&'static str, String)>,
    /// What the answer's header gains.
    pub answer: AnswerFields,
    /// Room for the copy that is taken of the body, if one is.
    pub copy: Option<CopyRoom>,
    /// What [`Gate::follow`](crate::Gate::follow) is to be called with now, if there is something to hear of the answer.
    pub open: Option<Open>,
}

/// Room for the copy of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyRoom {
    /// The network that the request comes from.
    pub network: String,
    /// Bytes, as far as they are known.
    pub bytes: usize,
    /// How long it may be needed.
    pub within: Span,
}

/// Why the origin's answer does not reach the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OriginFailure {
    /// The service binding or handler that the policy names is missing.
    Missing,
    /// The origin kept the gate waiting for too long.
    TimedOut,
    /// The client kept the gate waiting for too long with its body.
    Stalled,
    /// The client did not send its body to the end.
    BrokenOff,
    /// There is no room for the copy of the body, or no more.
    NoRoom,
    /// The origin cannot be reached.
    Unreachable(String),
    /// The origin's answer cannot be passed on.
    Invalid(String),
    /// The gate itself failed.
    Fault(String),
}

impl OriginFailure {
    /// What the client is refused for.
    pub(super) fn denial(&self, origin: Origin) -> Denial {
        match self {
            Self::Missing => match origin {
                Origin::Binding(what) | Origin::Handler(what) | Origin::Url(what) => {
                    Denial::NotConfigured { what }
                }
            },
            Self::TimedOut => Denial::OriginTimeout,
            Self::Stalled => Denial::LateBody,
            Self::BrokenOff => Denial::BrokenBody,
            Self::NoRoom => Denial::Overloaded,
            Self::Unreachable(_) => Denial::OriginUnreachable,
            Self::Invalid(_) => Denial::OriginInvalid,
            Self::Fault(_) => Denial::Internal,
        }
    }

    /// What the log says of it beside the refusal: where there is more to know.
    pub(super) fn error(&self, origin: Origin) -> Option<&str> {
        match self {
            Self::Missing if matches!(origin, Origin::Handler(_)) => Some("the handler is missing"),
            Self::Missing => Some("the service binding is missing"),
            Self::Unreachable(error) | Self::Invalid(error) | Self::Fault(error) => Some(error),
            Self::TimedOut | Self::Stalled | Self::BrokenOff | Self::NoRoom => None,
        }
    }
}

/// What is to be done behind an answer, which does not wait for it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Background {
    /// For the lease under which the request passed.
    pub(super) lease: Option<BackgroundTask>,
    /// For that of the pool.
    pub(super) pool: Option<BackgroundTask>,
    /// To tell coordinators what this isolate has counted.
    pub(super) tells: bool,
    /// To read the change log on, whose word is to count within this time.
    pub(super) reads: Option<Span>,
}

impl Background {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.lease.is_none() && self.pool.is_none() && !self.tells && self.reads.is_none()
    }
}
