//! Changing a key that there is: the one way in which it is written.

use keyward_core::{
    record::PAUSED,
    sql::{SqlError, Value as Bound},
    time::Timestamp,
};

use serde_json::Value;

use crate::{
    authorise::Authorised,
    context::RequestContext,
    keys::{
        key::{self, Key},
        settings::Settings,
    },
    principal::Principal,
    rows,
};

/// A change of a key.
pub struct Change<'a> {
    /// The key as it is.
    pub key: &'a Key,
    /// Its settings as they are to be.
    pub settings: Settings,
    /// What puts an end to it.
    pub ending: Ending,
}

/// What puts an end to a key, for good or for now.
#[derive(Clone)]
pub enum Ending {
    /// Nothing but its own expiry.
    None,
    /// It is revoked.
    Revoked {
        /// By whom, as the API shows it.
        by: Value,
        /// Why, for people.
        reason: Option<String>,
    },
    /// A rotation's grace puts an end on it.
    At(Timestamp),
    /// It is paused.
    Paused,
    /// It is no longer paused.
    Resumed,
}

impl Ending {
    /// It is revoked by this principal.
    pub fn revoked(principal: &Principal, reason: Option<String>) -> Self {
        Self::Revoked { by: principal.actor().view(), reason }
    }
}

impl<'a> Change<'a> {
    /// That only puts an end to it, or none.
    pub fn of_ending(key: &'a Key, ending: Ending) -> Self {
        Self { key, settings: key.settings.clone(), ending }
    }
}

impl Authorised<Change<'_>> {
    /// Stores it as the next version and puts that into the outbox, with one statement. `successor` is the key that
    /// replaces this one, if it is rotated; that alone is no new version.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn store(&self, context: &RequestContext<'_>, successor: Option<&str>) -> Result<(), SqlError> {
        let Change { key, settings, ending } = &**self;
        let link = successor.map(|id| ("rotated_to", Bound::from(id)));
        let resumed = || {
            let expires_at = ("expires_at", key.settings.expires_at.into());
            vec![expires_at, ("paused_at", Bound::Null), ("paused_expiry", Bound::Null)]
        };
        let mut changes: Vec<(&str, Bound)> = match ending {
            Ending::None if *settings == key.settings => {
                let link: Vec<_> = link.into_iter().collect();
                return if link.is_empty() {
                    Ok(())
                } else {
                    rows::update(context.db, "keys", &key.id, &link)
                };
            }
            Ending::None => settings.columns(&key.id, &key.prefix, &key.last4),
            Ending::Revoked { by, reason } => {
                let mut changes = resumed();
                changes.extend(key::revocation(context.now, by, reason.as_deref()));
                changes
            }
            Ending::Paused => vec![
                ("expires_at", PAUSED.into()),
                ("paused_at", context.now.into()),
                ("paused_expiry", key.settings.expires_at.into()),
            ],
            Ending::Resumed => resumed(),
            Ending::At(at) => vec![
                ("expires_at", (*at).into()),
                ("grace_ends_at", (*at).into()),
                ("own_expires_at", key.own_expiry().into()),
            ],
        };
        // While it is paused, its own expiry stands elsewhere.
        if key.paused_at.is_some() && matches!(ending, Ending::None) {
            for (column, _) in &mut changes {
                if *column == "expires_at" {
                    *column = "paused_expiry";
                }
            }
        }
        key::store(context.db, key, context.now, changes.into_iter().chain(link).collect())
    }
}
