#!/bin/sh
# rustc, told to count which branches a program takes and what it compares: `cargo fuzz` says the same. Cargo runs it for the
# crates of this workspace alone (RUSTC_WORKSPACE_WRAPPER), so that those of others are compiled once, for tests and
# fuzzing. The sanitizers of `cargo fuzz`, which need a nightly compiler, look for faults that safe Rust cannot have.
exec "$@" \
  -Cpasses=sancov-module \
  -Cllvm-args=-sanitizer-coverage-level=4 \
  -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
  -Cllvm-args=-sanitizer-coverage-pc-table \
  -Cllvm-args=-sanitizer-coverage-trace-compares
