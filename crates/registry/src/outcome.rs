//! The outcome of a call, and the answer that it becomes.

use keyward_core::{
    sql::{Sql, SqlError},
    time::Timestamp,
};
use serde_json::Value;

use crate::{
    admin_call::AdminReply,
    error::{ApiError, Code},
    freshness::{Freshness, Telling},
    remembered::Remembered,
};

/// A field of the answer that says from when on a change holds everywhere. It can only be filled in once the coordinators
/// have been told: no decision on an older version is made later than the realm's freshness after that.
#[derive(Clone, Debug)]
struct Promise {
    /// The member of the answer that it goes into; empty for the answer itself.
    within: &'static str,
    field: &'static str,
    freshness: Freshness,
    not_before: Option<Timestamp>,
}

/// The outcome of a call.
#[derive(Clone, Debug)]
pub struct Outcome {
    status: u16,
    headers: Vec<(String, String)>,
    body: Option<Value>,
    /// A body that is no JSON.
    text: Option<String>,
    refusal: Option<ApiError>,
    promise: Option<Promise>,
    allow_partial: bool,
    remembered: Option<Remembered>,
    /// What the database said when it failed: for the log, never for the caller.
    pub fault: Option<SqlError>,
    /// Ids of the keys whose coordinators must be told before the answer goes out, and which are to be
    /// published to KV after it.
    pub publish: Vec<String>,
}

impl Outcome {
    fn new(status: u16, body: Option<Value>) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body,
            text: None,
            refusal: None,
            promise: None,
            allow_partial: false,
            remembered: None,
            fault: None,
            publish: Vec::new(),
        }
    }

    /// 200
    pub fn ok(body: Value) -> Self {
        Self::new(200, Some(body))
    }

    /// 200, with text of this type.
    pub fn text(content_type: &str, text: String) -> Self {
        Self { text: Some(text), ..Self::new(200, None) }.header("Content-Type", content_type)
    }

    /// 201, with the new resource's location (RFC 9110, 15.3.2).
    pub fn created(location: String, body: Value) -> Self {
        Self::new(201, Some(body)).header("Location", location)
    }

    /// 204
    pub fn no_content() -> Self {
        Self::new(204, None)
    }

    /// A refusal.
    pub fn refused(refusal: ApiError) -> Self {
        Self { refusal: Some(refusal), ..Self::new(0, None) }
    }

    /// The database failed.
    pub fn failed(fault: SqlError) -> Self {
        let detail = "The registry's database did not answer. Try again.";
        Self { fault: Some(fault), ..Self::refused(ApiError::new(Code::StoreUnavailable, detail)) }
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
        freshness: Freshness,
        not_before: Option<Timestamp>,
    ) -> Self {
        self.promise = Some(Promise { within, field, freshness, not_before });
        self
    }

    /// Marks it as a change of many keys, which is answered even while some of their coordinators have not been told: `pendingKeys`
    /// then says how many.
    #[must_use]
    pub fn allow_partial(mut self) -> Self {
        self.allow_partial = true;
        self
    }

    /// Marks it as the answer to a request with an `Idempotency-Key`: a repeat promises the same.
    #[must_use]
    pub fn remember(mut self, remembered: Remembered) -> Self {
        self.remembered = Some(remembered);
        self
    }

    /// The outcome if no alarm could be set that would publish the change. Then nothing is acknowledged, except what cannot be
    /// shown again.
    #[must_use]
    pub fn without_alarm(self) -> Self {
        if self.publish.is_empty() || self.status == 201 || self.refusal.is_some() {
            return self;
        }
        let detail = "The change is stored and will be applied, but nothing makes sure yet that it is published. Repeat the \
                      call until it is.";
        Self::refused(ApiError::new(Code::StoreUnavailable, detail))
    }

    /// Remembers, for a repeat, what the answer is going to promise.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn keep_promise(&self, db: &dyn Sql, telling: Telling) -> Result<(), SqlError> {
        match (&self.remembered, self.promised(telling)) {
            (Some(remembered), Some(by)) => remembered.promise(db, by),
            _ => Ok(()),
        }
    }

    /// From when on the change holds everywhere: what was promised before, otherwise what follows from telling the coordinators.
    fn promised(&self, telling: Telling) -> Option<Timestamp> {
        let promise = self.promise.as_ref()?;
        let before = self.remembered.as_ref().and_then(|remembered| remembered.promised_at);
        let known = || {
            let by = promise.freshness.everywhere_by(telling.at);
            (telling.pending == 0).then(|| by.max(promise.not_before.unwrap_or_default()))
        };
        before.or_else(known)
    }

    /// The answer. `telling` is how far telling the coordinators of [`Outcome::publish`] has come. While
    /// one does not know, nothing is promised: a new key, which was told before, is shown nevertheless, since it
    /// cannot be shown again, and a change that may be partial says how much of it is left; any other is 503 until it
    /// can be promised.
    pub fn reply(self, telling: Telling, request_id: &str) -> AdminReply {
        if let Some(refusal) = self.refusal {
            return refusal.reply(request_id);
        }
        let all_told = telling.pending == 0;
        if !all_told && !self.allow_partial && self.status != 201 {
            let detail = "The change is stored and will be applied, but not every gate could be told of it yet. \
                          Repeat the call to see when it holds everywhere.";
            return ApiError::new(Code::StoreUnavailable, detail).reply(request_id);
        }
        let promised = self.promised(telling);
        let mut body = self.body;
        if let (false, true, Some(Value::Object(body))) = (all_told, self.allow_partial, body.as_mut()) {
            body.insert("pendingKeys".to_owned(), telling.pending.into());
        }
        if let (Some(promise), Some(by), Some(body)) = (self.promise, promised, body.as_mut()) {
            let object = if promise.within.is_empty() { Some(body) } else { body.get_mut(promise.within) };
            if let Some(object) = object.and_then(Value::as_object_mut) {
                object.insert(promise.field.to_owned(), by.to_rfc3339().into());
            }
        }
        let mut headers = self.headers;
        if body.is_some() {
            headers.insert(0, ("Content-Type".to_owned(), "application/json".to_owned()));
        }
        let body = body.map(|body| body.to_string()).or(self.text).unwrap_or_default();
        AdminReply { status: self.status, headers, body }
    }
}
