//! Exact rate limits for requests that arrive at many places at once, without a call for each.
//!
//! # The problem
//! A key may make, say, 600 requests in any 60 seconds. Its requests arrive at hundreds of *isolates*, instances of a gate all
//! over the world that share no memory. If each counts for itself, the limit means nothing. If each asks one central
//! counter, every request waits for a call to the other side of the world.
//!
//! # What is promised
//! - **Never over.** No span of a window's length contains more admitted requests than the limit, counted over all isolates,
//!   whatever messages are lost, late or repeated, and whatever isolate dies. `docs/limits.md` proves it, and says what it
//!   assumes of clocks.
//! - **Few calls.** For a busy key at most one request in 20 causes a call, and the caller does not wait for it. A key far below
//!   its limit has a lease of a few requests for minutes from its first call on.
//! - **Little waste.** A client that saturates its limit gets at least 95 % of it. `Retry-After` is exact.
//! - **Bounded staleness.** A change of a key's record, or its revocation, applies everywhere within a time that the gate
//!   chooses.
//!
//! # The parts
//! - [`limit`]: a sliding window. It remembers requests one by one while they are few, in buckets when they are many.
//! - [`coordinator`]: the one object of a key that has its record and counts its windows. It admits single requests and
//!   grants *leases*, numbers of requests that it counts in advance.
//! - [`lease`]: the isolate's side. It admits requests under the leases it holds, decides how much to ask for next, and
//!   reports what was used.
//! - [`relay`]: objects between the two, for keys that more isolates use than one object could answer. They hold leases, and
//!   cut subleases from them.
//! - [`wire`]: the messages between all of these, as JSON.
//! - [`tally`], [`tellers`], [`usage`]: usage statistics, which follow the answers and never delay one.
//! - [`fallback`]: what an isolate admits while nobody answers, if a realm allows that.
//! - [`timing`]: the time bounds that both sides rely on.
//!
//! # One request's way
//! 1. The isolate asks its [`Lessee`](lease::Lessee) to admit the request. If a lease covers it, that is all: no call.
//! 2. Otherwise it sends an [`Acquire`](wire::Acquire): admit this request, here is what was used of earlier leases, and this
//!    many more are expected.
//! 3. The [`Coordinator`](coordinator::Coordinator) counts all of that, stores it, and answers with
//!    [`Acquired`](wire::Acquired): granted, with a lease; or limited, and for how long; or that the record has changed.
//! 4. The isolate admits the request, unless the answer took too long. Then it cancels the reservation and asks once more.
//! 5. While a few requests of the lease are left it asks for the next one, in the background. Shortly before a lease of seconds
//!    ends it reports it, so that unused requests are free again; what is left of one of minutes goes along with later calls.
//!
//! Everything here is pure: a state and a call go in, a new state and an answer come out. Time and randomness are arguments.
//! The caller brings the transport, the clock and a database ([`Sql`](keyward_core::sql::Sql)).
//!
//! # Example
//! One call serves 41 requests, and the limit holds:
//!
//! ```
//! use keyward_core::{
//!     record::{Cost, Limits, Record},
//!     time::Span,
//! };
//! use keyward_limits::{
//!     coordinator::Coordinator,
//!     lease::{self, Grantor, Lessee},
//!     timing::FIRST_ANSWER,
//!     wire::{Acquire, Acquired},
//! };
//! # let (record, now) = (keyward_testing::record(), keyward_testing::NOON);
//!
//! // The key's object is given the key's record: 600 requests a minute.
//! let mut coordinator = Coordinator::default();
//! coordinator.put(Record { limits: Limits { per_minute: Some(600), ..Limits::default() }, ..record });
//!
//! // An isolate asks it to admit one request, and for a lease for the 40 more that it expects.
//! let lease_length = lease::longest(Span::from_secs(5), true);
//! let call = Acquire {
//!     version: 1,
//!     immediate: true,
//!     within: FIRST_ANSWER,
//!     wants: 40,
//!     lease_length,
//!     client_id: 7,
//!     ..Acquire::default()
//! };
//! let Acquired::Granted { lease: Some(lease), windows, via, .. } = coordinator.acquire(&call, now) else { panic!() };
//! assert_eq!((lease.requests, windows[0].remaining), (40, 559));
//!
//! // The next 40 requests need no call. After that the isolate asks again.
//! let mut lessee = Lessee::default();
//! lessee.add_lease(Grantor::Coordinator, &lease, via, now, now);
//! let later = now + Span::from_secs(1);
//! assert_eq!((0..60).filter(|_| lessee.consume(Cost::ONE, later).is_some()).count(), 40);
//!
//! // It reports what it used along with its next call.
//! let leases = lessee.report(Grantor::Coordinator, later);
//! assert_eq!((leases[0].used, leases[0].open), (40, 0));
//! coordinator.acquire(&Acquire { leases, ..call }, later);
//! ```

pub mod coordinator;
pub mod counts;
pub mod fallback;
pub mod lease;
pub mod limit;
pub mod relay;
pub mod routes;
pub mod tally;
pub mod tellers;
pub mod timing;
pub mod usage;
pub mod used_from;
pub mod wire;
