//! What is decided of a call of the admin API, and of a request for its page, before the Registry is asked.

pub mod answer;
pub mod body;
pub mod failures;
pub mod page;
pub mod request;
pub mod token;

pub use body::{BodyError, BodyForm, BodyRoom, HELD_FOR, MOST_BYTES, body_text, settlement, too_large};
pub use failures::{
    Failures, REFUSED_SIGN_IN, failures_of_open, failures_of_shown, held_back, is_failure, keep_back, proof,
};
pub use page::{File, HSTS, PAGE_HEADERS, Page, page};
pub use request::{
    Credential, Head, agent, credential, judge, of_operator, require_declared_size, require_same_origin,
};
pub use token::token;
