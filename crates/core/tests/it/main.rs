//! What every part stands on. One binary, so that it is linked once.

mod foreign_text;
mod json;
mod jurisdiction;
mod keys;
mod links;
mod network;
mod order;
mod secrets;
mod single_flight;
mod time;
