//! What a deployment pays for, in dollars a million, by Cloudflare's public price pages
//! (<https://developers.cloudflare.com/workers/platform/pricing/>, late 2026). Left out: what a plan includes, and the time
//! that objects are in memory.

/// Requests of a Worker.
pub const REQUESTS: f64 = 0.30;
/// Milliseconds of CPU; each request is taken for one.
pub const CPU: f64 = 0.02;
/// Reads of KV.
pub const KV_READS: f64 = 0.50;
/// Calls of Durable Objects, and alarms.
pub const CALLS: f64 = 0.15;
/// Rows that Durable Objects write; an alarm that is set counts as one.
pub const ROWS: f64 = 1.00;
