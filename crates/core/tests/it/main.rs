//! What every part stands on. One binary, so that it is linked once.

mod json;
mod keys;
mod links;
