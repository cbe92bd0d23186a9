//! Stands in for the crate of this name, which worker-build lists but does not use.
