//! What concerns several crates: stored and sent formats, documents, the whole way of a request. One binary, so that it is
//! linked once.

mod admin_order;
mod attacks;
mod docs;
mod golden;
mod policy;
mod ready;
mod storage;
mod strict;
mod usage;
