//! What only shows when parts are compared: realms and routes that no request can reach.

use super::{mistake::Report, realm::Draft};
use crate::model::Admin;

/// Notes every such mistake.
pub(super) fn check(_admin: &Admin, _drafts: &[Draft], _report: &Report<'_>) {}
