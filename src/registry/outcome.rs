//! What a call came to, and the one place where "everywhere by" is computed.

use serde_json::Value;

use crate::{
    registry::error::{Code, Refusal},
    time::Timestamp,
    wire::AdminReply,
};

/// A field of the answer that says from when on a change holds everywhere. It can only be filled
/// in once the KeyGates were told: no decision that an older version allowed outlives that moment
/// by more than the realm's freshness.
#[derive(Clone, Debug)]
struct Promise {
    /// The object that it stands in; empty for the whole answer.
    within: &'static str,
    field: &'static str,
    freshness_ms: u32,
    not_before: Option<Timestamp>,
}

/// What a call came to.
#[derive(Clone, Debug)]
pub struct Outcome {
    status: u16,
    headers: Vec<(String, String)>,
    body: Option<Value>,
    refusal: Option<Refusal>,
    promise: Option<Promise>,
    /// Ids of the keys whose KeyGates must be told before the answer goes out, and which are to be
    /// published to KV after it.
    pub publish: Vec<String>,
}

/// The moment from which on what the KeyGate was told at `told_at` holds everywhere.
pub fn everywhere_by(told_at: Timestamp, freshness_ms: u32) -> Timestamp {
    told_at.plus(freshness_ms.into())
}

impl Outcome {
    fn new(status: u16, body: Option<Value>) -> Self {
        Self { status, headers: Vec::new(), body, refusal: None, promise: None, publish: Vec::new() }
    }

    /// 200
    pub fn ok(body: Value) -> Self {
        Self::new(200, Some(body))
    }

    /// 201
    pub fn created(body: Value) -> Self {
        Self::new(201, Some(body))
    }

    /// 204
    pub fn no_content() -> Self {
        Self::new(204, None)
    }

    /// A refusal.
    pub fn refused(refusal: Refusal) -> Self {
        Self { refusal: Some(refusal), ..Self::new(0, None) }
    }

    /// With a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// With a version as `ETag`.
    #[must_use]
    pub fn version(self, version: u64) -> Self {
        self.header("ETag", format!("\"{version}\""))
    }

    /// With keys to tell and publish.
    #[must_use]
    pub fn publish(mut self, keys: impl IntoIterator<Item = String>) -> Self {
        self.publish.extend(keys);
        self
    }

    /// With a field that says from when on the change holds everywhere, never before `not_before`.
    #[must_use]
    pub fn promise(
        mut self,
        within: &'static str,
        field: &'static str,
        freshness_ms: u32,
        not_before: Option<Timestamp>,
    ) -> Self {
        self.promise = Some(Promise { within, field, freshness_ms, not_before });
        self
    }

    /// The answer. `told` is when the last of the KeyGates of [`Outcome::publish`] had been told,
    /// or `None` if not all of them could be: a created key is shown nevertheless, since it cannot
    /// be shown again; any other change is 503 until it can be promised.
    pub fn reply(self, told: Option<Timestamp>, request_id: &str) -> AdminReply {
        if let Some(refusal) = self.refusal {
            return refusal.reply(request_id);
        }
        if told.is_none() && !self.publish.is_empty() && self.status != 201 {
            let detail = "The change is stored and will be applied, but not every gate could be told of it yet. \
                          Repeat the call to see when it holds everywhere.";
            return Refusal::new(Code::StoreUnavailable, detail).reply(request_id);
        }
        let mut body = self.body;
        if let (Some(promise), Some(told), Some(body)) = (self.promise, told, body.as_mut()) {
            let by = everywhere_by(told, promise.freshness_ms).max(promise.not_before.unwrap_or_default());
            let object = if promise.within.is_empty() { Some(body) } else { body.get_mut(promise.within) };
            if let Some(object) = object.and_then(Value::as_object_mut) {
                object.insert(promise.field.to_owned(), by.to_rfc3339().into());
            }
        }
        let mut headers = self.headers;
        if body.is_some() {
            headers.insert(0, ("Content-Type".to_owned(), "application/json".to_owned()));
        }
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        AdminReply { status: self.status, headers, body }
    }
}
