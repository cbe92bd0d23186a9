//! Stands in for the crate of this name, which only the program `worker-codegen` uses.
