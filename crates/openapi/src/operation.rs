//! The description of one call.

use serde_json::Value;

use crate::schema::{
    Members, Schema, cursor, described, list, nullable, object, object_with, refer, text, whole,
};

/// What a call takes and answers.
#[derive(Default)]
pub struct Operation {
    /// Parameters of the query.
    pub query: Members,
    /// Those of them that may not be left out.
    pub required: &'static [&'static str],
    /// The body, if the call takes one.
    pub body: Option<Body>,
    /// Whether `Idempotency-Key` means something.
    pub can_repeat: bool,
    /// Whether `If-Match` means something.
    pub can_match: bool,
    /// Status and content of the answer; `None` has none.
    pub answer: (u16, Option<Schema>),
    /// Another status with which it answers the same.
    pub also: Option<u16>,
    /// The media types of an answer that is no JSON.
    pub media: &'static [&'static str],
}

/// A body.
pub struct Body {
    /// What it is.
    pub schema: Schema,
    /// Whether there must be one: none at all is an empty object.
    pub is_required: bool,
}

impl Operation {
    pub fn answers(status: u16, content: Members) -> Self {
        Self { answer: (status, Some(object(content))), ..Self::default() }
    }

    pub fn ends() -> Self {
        Self { answer: (204, None), ..Self::default() }
    }

    pub fn takes(self, required: Members, optional: Members) -> Self {
        let is_required = !required.is_empty();
        Self { body: Some(Body { schema: object_with(required, optional), is_required }), ..self }
    }

    /// Whatever else is true of the body as a whole, such as which fields cannot stand together.
    pub fn if_only(mut self, more: Value) -> Self {
        if let (Some(body), Value::Object(more)) = (&mut self.body, more)
            && let Some(schema) = body.schema.as_object_mut()
        {
            schema.extend(more);
        }
        self
    }

    pub fn query(self, query: Members) -> Self {
        Self { query, ..self }
    }

    /// A list in pages.
    pub fn pages(name: &'static str, of: &str, filters: Members) -> Self {
        let limit = described(whole(1, 100), "How many there are on a page.");
        let cursor = described(cursor(), "`nextCursor` of the page before.");
        Self::answers(200, vec![(name, list(refer(of))), ("nextCursor", nullable(text()))])
            .query([vec![("limit", limit), ("cursor", cursor)], filters].concat())
    }
}
