//! Windows, leases, the coordinator and relays. One binary, so that it is linked once.

mod budgets;
mod clocks;
mod common;
mod coordinator;
mod coordinator_turns;
mod deferred;
mod every_window;
mod in_flight;
mod ledger;
mod lessee;
mod object;
mod relay;
mod relay_server;
mod routes;
mod usage;
mod used_from;
mod windows;
