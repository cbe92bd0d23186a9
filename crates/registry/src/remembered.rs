//! A request with an `Idempotency-Key`, as its answer refers to it.

use keyward_core::{
    sql::{Sql, SqlError},
    time::Timestamp,
};

/// A request whose answer is remembered, to which what the answer promises is added once it is known.
#[derive(Clone, Debug)]
pub struct Remembered {
    pub(super) tenant_id: String,
    pub(super) name: String,
    /// What was promised, if that is known already.
    pub promised_at: Option<Timestamp>,
}

impl Remembered {
    /// Remembers what the answer promises, for a repeat: the first promise stays.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn promise(&self, db: &dyn Sql, by: Timestamp) -> Result<(), SqlError> {
        let first =
            "UPDATE idempotency SET promised_at = ? WHERE tenant_id = ? AND name = ? AND promised_at IS NULL";
        db.run(first, &[by.into(), self.tenant_id.as_str().into(), self.name.as_str().into()])?;
        Ok(())
    }
}
