//! Fields of people and of what they show.

use keyward_registry::principal::Role;
use serde_json::json;

use crate::schema::{Schema, described, one_of_enum, text, text_of_length};

pub fn email() -> Schema {
    json!({ "type": "string", "format": "email", "maxLength": 254 })
}

/// One that is chosen; what is guessable is refused beside.
pub fn password() -> Schema {
    text_of_length(12, 200)
}

pub fn typed_password() -> Schema {
    text_of_length(0, 200)
}

pub fn shown_passkey() -> Schema {
    let shown = json!({
        "type": "object",
        "required": ["id", "response"],
        "properties": { "id": text(), "response": { "type": "object" } },
    });
    described(shown, "What `PublicKeyCredential.toJSON()` gives.")
}

pub fn issued() -> Schema {
    described(text(), "A token of the issuer that the policy names, in place of a password.")
}

pub fn code() -> Schema {
    described(text(), "The code that the issuer has sent the browser back with, beside `state`.")
}

pub fn state() -> Schema {
    described(text(), "The `state` that came with `code`. It has to be that of the browser's cookie.")
}

pub fn role() -> Schema {
    one_of_enum(&Role::ALL)
}

pub fn session_id() -> Schema {
    json!({ "type": "string", "pattern": "^[A-Za-z0-9._~:-]{1,128}$" })
}
