//! What is counted of a request.

use serde::Serialize;

/// What is counted of a request: one row of Cloudflare's Analytics Engine. `docs/watching.md` says what each column is; a column is
/// never given another meaning.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DataPoint<'a> {
    /// What rows are sampled by.
    pub indexes: [&'a str; 1],
    /// `blob1` …
    pub blobs: [&'a str; 6],
    /// `double1` …
    pub doubles: [f64; 3],
}
