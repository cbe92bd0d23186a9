//! Which objects a database, and what is in KV, belong to: those of the jurisdiction under which they were made. Under a policy
//! that names another one nothing is answered and nothing is published.
//!
//! The database has it in a row, from when it is first opened; one from before jurisdictions belongs to none. For KV it stands
//! under [`MARKER`], from before the first record is put there. An empty database asks KV each time it is opened: what is
//! there may belong to the objects of another jurisdiction, which this one cannot see.

use std::rc::Rc;

use keyward_core::{
    jurisdiction::{self, MARKER, Marker, Misplaced},
    record::Jurisdiction,
    sql::{self, Sql, SqlError},
    time::Span,
};

use crate::{
    backup::search::KvNames,
    memory::Memory,
    publish_error::PublishError,
    publisher::{PATIENCE, Publisher},
    task::Task,
};

/// What waits for the marker to be written looks again after this time. Writing it takes twice [`PATIENCE`] at most.
const LOOK_AGAIN: Span = Span::from_ms(50);

/// The marker is being written until this is dropped.
struct Marking<'a>(&'a Memory);

impl<'a> Marking<'a> {
    fn begin(memory: &'a Memory) -> Self {
        memory.is_marking.set(true);
        Self(memory)
    }
}

impl Drop for Marking<'_> {
    fn drop(&mut self) {
        self.0.is_marking.set(false);
    }
}

/// What the database says.
struct Home {
    jurisdiction: Option<String>,
    is_marked: i64,
}

keyward_core::from_row!(Home { jurisdiction, is_marked });

impl Publisher {
    /// Refuses a database that belongs elsewhere, and an empty one where KV does.
    ///
    /// # Errors
    /// [`Misplaced`], what SQLite says, or that KV did not answer.
    pub(crate) async fn settle(&self) -> Result<(), PublishError> {
        let (db, policy) = (self.platform.db(), self.platform.policy().jurisdiction);
        let home = sql::query_one::<Home>(db, "SELECT jurisdiction, is_marked FROM home", &[])?;
        let has_data = has_data(db)?;
        match &home {
            Some(home) => jurisdiction::check(of_name(home.jurisdiction.as_deref())?, policy)?,
            None if has_data => jurisdiction::check(None, policy)?,
            None => {}
        }
        if !has_data && self.check_marker().await?.is_none() && policy.is_some() {
            // Builds from before jurisdictions have put keys there, and no marker.
            let KvNames { names, next } = self.within(PATIENCE, self.platform.names("")).await?;
            // A page may be empty although more follow.
            let is_empty = names.is_empty() && next.is_none();
            jurisdiction::check(policy.filter(|_| is_empty), policy)?;
        }
        if home.is_none() {
            let name = policy.map(Jurisdiction::name);
            db.run("INSERT OR IGNORE INTO home (one, jurisdiction) VALUES (1, ?)", &[name.into()])?;
        }
        self.memory.is_marked.set(home.is_some_and(|home| home.is_marked == 1));
        Ok(())
    }

    /// Says in KV whose it is, once there is something that could be published.
    ///
    /// # Errors
    /// [`Misplaced`] if it is another's, what SQLite says, or that KV did not answer.
    pub(crate) async fn mark(&self) -> Result<(), PublishError> {
        let (db, memory) = (self.platform.db(), &self.memory);
        // Once: KV takes one write a second under a key.
        while memory.is_marking.get() {
            self.platform.pause(LOOK_AGAIN).await;
        }
        if memory.is_marked.get() || !has_data(db)? {
            return Ok(());
        }
        let _marking = Marking::begin(memory);
        if self.check_marker().await?.is_none() {
            let marker = serde_json::to_string(&Marker::of(self.platform.policy().jurisdiction))?;
            self.within(PATIENCE, self.platform.put(MARKER, &marker)).await?;
        }
        db.run("UPDATE home SET is_marked = 1", &[])?;
        memory.is_marked.set(true);
        Ok(())
    }

    /// The same behind what is being done, which does not fail with it: it is tried again with the next call or alarm, and
    /// before anything is published.
    pub(crate) fn mark_behind(self: &Rc<Self>) {
        if self.memory.is_marked.get() {
            return;
        }
        let this = Rc::clone(self);
        self.platform.spawn(Box::pin(async move {
            if let Err(error) = this.mark().await {
                this.platform.log(Task::Publishing, &error.to_string(), None);
            }
        }));
    }

    async fn check_marker(&self) -> Result<Option<String>, PublishError> {
        let marker = self.within(PATIENCE, self.platform.read(MARKER)).await?;
        Marker::check(marker.as_deref(), self.platform.policy().jurisdiction)?;
        Ok(marker)
    }
}

/// Whether there is a tenant: set-up makes the first, and whoever has the set-up token.
fn has_data(db: &dyn Sql) -> Result<bool, SqlError> {
    Ok(!db.run("SELECT 1 FROM tenants LIMIT 1", &[])?.is_empty())
}

/// # Errors
/// A newer build wrote it.
fn of_name(name: Option<&str>) -> Result<Option<Jurisdiction>, Misplaced> {
    let known = |name: &str| Jurisdiction::NAMES.into_iter().find(|(known, _)| *known == name);
    name.map(|name| known(name).map(|(_, it)| it).ok_or(Misplaced::Unreadable)).transpose()
}
