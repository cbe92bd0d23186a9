//! Usage by key and hour, as the coordinators report it, how long it is kept, and what of it a caller asks for.

pub mod counts;
pub mod points;
pub mod refusals;
pub mod report;
pub mod retention;
pub mod routes;
pub mod totals;

pub use report::{apply, tenant_of};
