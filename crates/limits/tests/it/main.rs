//! Windows, the coordinator and relays. One binary, so that it is linked once.

mod coordinator_turns;
mod limits;
mod relay;
