//! `GET /metrics`: what whoever runs the deployment watches, for Prometheus. All of it is read from counts that are kept
//! anyway, so that a scrape costs the same however many keys there are, and labels have only values of the policy and of this
//! code: never a key, a tenant, or what a stranger sends.

pub mod counters;
mod exposition;
mod read;

pub use exposition::{Exposition, Kind, Metric};
pub use read::{METRICS, show};
