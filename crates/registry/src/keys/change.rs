//! Changing a key that there is: the one way in which it is written.

use keyward_core::{
    record::Status,
    sql::{SqlError, Value as Bound},
    time::Timestamp,
};

use crate::{
    authorise::Authorised,
    context::RequestContext,
    enum_text::text_of,
    keys::{
        key::{self, Key},
        settings::Settings,
    },
    rows,
};

/// A change of a key.
pub struct Change<'a> {
    /// The key as it is.
    pub key: &'a Key,
    /// Its settings as they are to be.
    pub settings: Settings,
    /// Whether it goes on.
    pub fate: Fate,
}

/// Whether a key goes on.
#[derive(Clone)]
pub enum Fate {
    /// As long as its settings say.
    Stays,
    /// It is revoked.
    Revoked {
        /// Why, for people.
        reason: Option<String>,
    },
    /// A rotation's grace puts an end on it.
    Ends(Timestamp),
}

impl<'a> Change<'a> {
    /// Of how long it goes on only.
    pub fn of_fate(key: &'a Key, fate: Fate) -> Self {
        Self { key, settings: key.settings.clone(), fate }
    }
}

impl Authorised<Change<'_>> {
    /// Stores it as the next version and puts that into the outbox, with one statement. `successor` is the key that
    /// replaces this one, if it is rotated; that alone is no new version.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn store(&self, context: &RequestContext<'_>, successor: Option<&str>) -> Result<(), SqlError> {
        let Change { key, settings, fate } = &**self;
        let link = successor.map(|id| ("rotated_to", Bound::from(id)));
        let changes: Vec<(&str, Bound)> = match fate {
            Fate::Stays if *settings == key.settings => {
                let link: Vec<_> = link.into_iter().collect();
                return if link.is_empty() {
                    Ok(())
                } else {
                    rows::update(context.db, "keys", &key.id, &link)
                };
            }
            Fate::Stays => settings.columns(&key.id, &key.prefix, &key.last4),
            Fate::Revoked { reason } => vec![
                ("status", text_of(Status::Revoked).into()),
                ("revoked_at", context.now.into()),
                ("revoke_reason", reason.clone().into()),
            ],
            Fate::Ends(at) => vec![
                ("expires_at", (*at).into()),
                ("grace_ends_at", (*at).into()),
                ("own_expires_at", key.own_expiry().into()),
            ],
        };
        key::store(context.db, key, context.now, changes.into_iter().chain(link).collect())
    }
}
