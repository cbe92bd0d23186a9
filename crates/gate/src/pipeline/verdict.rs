//! What a check comes to.

use std::rc::Rc;

use super::{background::BackgroundTask, open::Open};
use crate::{denial::Denial, gate::Permit};
use keyward_core::record::Record;
use keyward_limits::limit::WindowState;

/// A request that may pass.
#[derive(Debug)]
pub struct Accepted {
    /// Proof, and the verified identity.
    pub permit: Permit,
    /// What is left in the key's windows.
    pub windows: Vec<WindowState>,
    /// What is to be done once the answer is on its way.
    pub background: Option<BackgroundTask>,
    /// The same for the pool of the key's tenant.
    pub pool: Option<BackgroundTask>,
    /// What objects have to hear of it later.
    pub open: Option<Open>,
}

/// A request that may not.
#[derive(Debug)]
pub struct Refused {
    /// Why.
    pub denial: Denial,
    /// Whose key it was, if the key is known.
    pub key: Option<KnownKey>,
}

/// A key that there is, in order or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownKey {
    /// What is known of it, for the log.
    pub record: Rc<Record>,
    /// Its storage hash, under which its refusals are counted.
    pub hash: String,
}

impl From<Denial> for Refused {
    fn from(denial: Denial) -> Self {
        Self { denial, key: None }
    }
}
