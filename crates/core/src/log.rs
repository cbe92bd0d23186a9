//! The log: one JSON object a line, with field names that stay. `docs/log.md` has a row for each event and each field.
//!
//! No secret goes into an event: no key, no token, no URL of a request (a key may stand in it). What others wrote is
//! [shown](foreign_text::shown): it has a bound, and its URLs are without what may be secret.

use serde::{Serialize, Serializer};

use crate::{
    foreign_text::{self, some_shown},
    request_line::RequestLine,
};

/// How much a line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Everyday: a request was answered.
    Info,
    /// Something does not work as it should.
    Error,
}

/// Something that is worth a line in the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all_fields = "camelCase")]
pub enum Event<'a> {
    /// A request was answered.
    #[serde(rename = "request")]
    Request(&'a RequestLine<'a>),
    /// A token did not sign anybody in.
    #[serde(rename = "sign-in refused")]
    SignInRefused {
        /// The id of the admin API's call.
        request_id: &'a str,
        /// The code of the reason, in the default spelling.
        code: &'a str,
        /// The reason, which tells apart what shares a code.
        reason: &'a str,
        /// More about the reason.
        #[serde(skip_serializing_if = "Option::is_none", serialize_with = "some_shown")]
        detail: Option<&'a str>,
    },
    /// The origin could not be asked, or its answer cannot be passed on.
    #[serde(rename = "origin")]
    Origin {
        /// The request's id.
        request_id: &'a str,
        /// What is wrong.
        #[serde(serialize_with = "shown")]
        error: &'a str,
    },
    /// A store, an object or an issuer of tokens did not answer.
    #[serde(rename = "store unavailable")]
    StoreUnavailable {
        /// The request's id, where the call was made for one.
        #[serde(skip_serializing_if = "Option::is_none")]
        request_id: Option<&'a str>,
        /// The name of the binding, or the URL of an issuer's keys without its query.
        #[serde(serialize_with = "shown")]
        store: &'a str,
        /// What is wrong.
        #[serde(serialize_with = "shown")]
        error: &'a str,
    },
    /// `/readyz` found that something is missing.
    #[serde(rename = "not ready")]
    NotReady {
        /// What `/readyz` tells the operator, as JSON text: each part is shown as above.
        found: &'a str,
    },
    /// The policy's document cannot be read: every request is refused.
    #[serde(rename = "policy unreadable")]
    PolicyUnreadable {
        /// What is wrong.
        #[serde(serialize_with = "shown")]
        error: &'a str,
    },
    /// A coordinator could not report usage to the Registry; it tries again.
    #[serde(rename = "usage not reported yet")]
    UsageNotReported {
        /// What is wrong.
        #[serde(serialize_with = "shown")]
        error: &'a str,
    },
    /// Something failed in the Registry.
    #[serde(rename = "registry")]
    Registry {
        /// The id of the admin API's call, if it was during one.
        #[serde(skip_serializing_if = "Option::is_none")]
        request_id: Option<&'a str>,
        /// What it was doing.
        what: &'a str,
        /// What is wrong.
        #[serde(serialize_with = "shown")]
        error: &'a str,
    },
    /// A fault of Keyward itself.
    #[serde(rename = "fault")]
    Fault {
        /// The request's id.
        request_id: &'a str,
        /// What is wrong.
        #[serde(serialize_with = "shown")]
        error: &'a str,
    },
}

impl Event<'_> {
    /// How much it matters.
    pub fn level(&self) -> Level {
        match self {
            Self::Request(_) | Self::SignInRefused { .. } => Level::Info,
            _ => Level::Error,
        }
    }

    /// The line.
    pub fn line(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

fn shown<S: Serializer>(text: &&str, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&foreign_text::shown(text))
}
