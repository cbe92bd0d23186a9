//! Leases, over many isolates and a network that delays, loses and reorders: never over the limit, little wasted, few
//! calls, revoked in time. The real pipeline, coordinators and relays run in virtual time against an exact log of what
//! reached the origin. One binary, so that it is linked once.

mod calls;
mod change_log;
mod common;
mod crowd;
mod figures;
mod never_over;
mod pools;
mod revocation;
mod seconds;
mod utilisation;
