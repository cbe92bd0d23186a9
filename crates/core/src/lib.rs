//! What every part of Keyward stands on. Nothing here waits, reads a clock or knows a platform: time ([`time::Timestamp`]),
//! randomness ([`entropy::Entropy`]) and storage ([`sql::Sql`]) are arguments, so that tests choose them.
//!
//! At its centre are keys. A [`key`] is text that only its owner has: a prefix, random characters, and a checksum made with
//! the deployment's [`secret::Secrets`], by which a made-up key is refused without a lookup. Whatever is kept of it is kept
//! under a hash; what a decision needs of it is its [`record`]: tenant, scopes, limits, status.
//!
//! ```
//! use keyward_core::{key, record::{Mode, Record}, time::{Span, Timestamp}};
//! use keyward_testing::{Seeded, policy::POLICY, record, secrets};
//!
//! let (format, secrets) = (&POLICY.realms[0].key, secrets());
//! let key = key::generate(format, "", Mode::Live, &secrets, &mut Seeded::new(1));
//! assert!(key.expose().starts_with("kw_live_"));
//! assert!(key::is_well_formed(format, &secrets, key.expose()));
//! assert!(!key::is_well_formed(format, &secrets, "kw_live_that_somebody_made_up"));
//!
//! // Stores know it by this name only.
//! let name = key::kv_key(&key::storage_hash(format, &secrets, key.expose()));
//! assert!(!name.contains(key.expose()));
//!
//! // A record may hold until some moment. What is the time now is an argument, too.
//! let now = Timestamp::parse_rfc3339("2026-11-22T03:00:00Z").unwrap();
//! let record = Record { expires_at: Some(now + Span::from_days(30)), ..record() };
//! assert!(record.expires_at > Some(now));
//! ```
//!
//! | what | where |
//! | --- | --- |
//! | moments and spans | [`time`] |
//! | keys, their records, links and sessions | [`key`], [`record`], [`link`], [`session_id`], [`secret`] |
//! | which realm and route a request is for | [`request_target`], [`route`] |
//! | HTTP: cookies, forms, challenges, problem details, networks | [`cookie`], [`form`], [`challenge`], [`problem`], [`network`] |
//! | an object's database, and JSON that is read strictly | [`sql`], [`json`], [`strict`] |
//! | what the Registry's object is asked, what the gate is, and what it found | [`registry_call`], [`changes`], [`question`], [`sign_in_token`] |
//! | what fails: circuit breakers, errors, the log | [`breaker`], [`unavailable`], [`log`], [`foreign_text`] |
//! | one call for all that need its result | [`single_flight`] |

pub mod breaker;
pub mod challenge;
pub mod changes;
pub mod cookie;
pub mod data_point;
pub mod entropy;
pub mod foreign_text;
pub mod form;
pub mod json;
pub mod jurisdiction;
pub mod key;
pub mod link;
pub mod log;
pub mod network;
pub mod order;
pub mod problem;
pub mod question;
pub mod record;
pub mod registry_call;
pub mod request_line;
pub mod request_target;
pub mod route;
pub mod secret;
pub mod session_id;
pub mod sign_in_token;
pub mod single_flight;
pub mod sql;
pub mod strict;
pub mod time;
pub mod unavailable;
