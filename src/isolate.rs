//! What an isolate remembers between requests.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use super::settings::OsEntropy;
use keyward_core::entropy::{self, Pool};
use keyward_gate::{jwt::Issuers, memory::Memory, ready};

thread_local! {
    static MEMORY: Rc<RefCell<Memory>> = Rc::new(RefCell::new(Memory::of(u64::from_be_bytes(
        entropy::bytes(&mut OsEntropy),
    ))));
    static ISSUERS: Rc<Issuers> = Rc::default();
    static READINESS: Rc<RefCell<ready::Cache>> = Rc::default();
    static POOL: Cell<Pool> = Cell::default();
}

/// What it knows of keys; never borrowed while something is waited for.
pub fn memory() -> Rc<RefCell<Memory>> {
    MEMORY.with(Rc::clone)
}

/// What verifies tokens.
pub fn issuers() -> Rc<Issuers> {
    ISSUERS.with(Rc::clone)
}

/// What `/readyz` has found.
pub fn readiness() -> Rc<RefCell<ready::Cache>> {
    READINESS.with(Rc::clone)
}

/// 128 random bits for an id, not for a secret. The pool is gone if the platform has no randomness: nothing of it is used then.
pub fn pooled() -> [u8; 16] {
    let mut pool = POOL.take();
    let bytes = pool.take(&mut OsEntropy);
    POOL.set(pool);
    bytes
}
