//! A key to be made.

use keyward_core::record::KeyKind;
use keyward_policy::Realm;

use crate::keys::{key_quotas::Growth, settings::Settings};

/// A key to be made.
pub struct NewKey<'a> {
    /// For which realm.
    pub realm: &'static Realm,
    /// Secret or publishable.
    pub kind: KeyKind,
    /// What its owner sets.
    pub settings: &'a Settings,
    /// The key that it replaces.
    pub rotated_from: Option<&'a str>,
    /// How it changes the number of keys.
    pub growth: Growth,
}
