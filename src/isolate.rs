//! What an isolate remembers between requests.

use std::{cell::RefCell, rc::Rc};

use super::settings::OsEntropy;
use keyward_core::entropy;
use keyward_gate::{jwt::Issuers, memory::Memory};

thread_local! {
    static MEMORY: Rc<RefCell<Memory>> = Rc::new(RefCell::new(Memory::of(u64::from_be_bytes(
        entropy::bytes(&mut OsEntropy),
    ))));
    static ISSUERS: Rc<Issuers> = Rc::default();
}

/// What it knows of keys; never borrowed while something is waited for.
pub fn memory() -> Rc<RefCell<Memory>> {
    MEMORY.with(Rc::clone)
}

/// What verifies tokens.
pub fn issuers() -> Rc<Issuers> {
    ISSUERS.with(Rc::clone)
}
