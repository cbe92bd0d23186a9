//! Refusals as clients read them: a [`Denial`](crate::denial::Denial) becomes an HTTP answer.

mod answer;
pub mod challenge;
mod field_name;
pub mod mcp;
pub(crate) mod words;

pub use self::answer::{Answer, rate_limit_headers, refuse, status, told, x_rate_limit_headers};
