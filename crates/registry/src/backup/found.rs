//! After a restore: keys that KV has and the backup had not, because they were made after it. They pass, so somebody must be able to see
//! and revoke them. KV's names are gone through once; of a key that passes, a row is made from its record, which has all but its name
//! and what people see of it. A key whose tenant the backup does not know is revoked.

use std::rc::Rc;

use keyward_core::{
    key::{KV_PREFIX, kv_key},
    record::{Record, Status},
    sql::{self, Sql, SqlError, Value as Bound},
    time::{Span, Timestamp},
};
use serde_json::Value;

use super::{
    restore,
    search::{KvNames, search},
};
use crate::{
    audit::{
        chain::AuditLog,
        event::{Actor, AuditEvent},
    },
    enum_text::text_of,
    keys::key,
    publish_error::PublishError,
    publisher::{PATIENCE, Publisher},
    rows,
    task::Task,
    tenants::tenant::Tenant,
    to_json::{ToJson, object},
};

/// Calls after which one event ends its part of the search: what it publishes beside it makes some, too.
const MOST_CALLS: usize = 50;
/// How long is waited after a failure.
const RETRY: Span = Span::from_secs(30);
/// What such a key is called.
pub const NAME: &str = "Found after a restore";
/// Why one without a tenant is revoked.
pub const REASON: &str =
    "It was made after the backup from which the Registry was restored, by a tenant that is not in that";

impl Publisher {
    /// Looks at the next names of KV, if a search is under way.
    ///
    /// # Errors
    /// What SQLite or KV says. It goes on after a while.
    pub(crate) async fn find_keys(self: &Rc<Self>) -> Result<(), PublishError> {
        let db = self.platform.db();
        let now = self.platform.now();
        let Some(search) = search(db)?.filter(|search| search.search_due <= now) else { return Ok(()) };
        db.run("UPDATE restores SET search_due = ?", &[(now + RETRY).into()])?;
        let (mut from, mut calls) = (Some(search.search_from), 0);
        while let Some(cursor) = from.take_if(|_| calls < MOST_CALLS) {
            let names = self.platform.names(&cursor);
            let KvNames { names, next } = self.within(PATIENCE, names).await?;
            calls += 1 + self.find_among(&names).await?;
            let on = next.as_ref().map(|_| self.platform.now());
            let values = [next.clone().unwrap_or_default().into(), on.into()];
            db.run("UPDATE restores SET search_from = ?, search_due = ?", &values)?;
            from = next;
        }
        Ok(())
    }

    /// Takes in those of these that nobody here knows. Returns how many that was.
    async fn find_among(&self, names: &[String]) -> Result<usize, PublishError> {
        let db = self.platform.db();
        let unknown = unknown(db, names)?;
        for hash in &unknown {
            let kv_key = kv_key(hash);
            let text = self.platform.read(&kv_key);
            let Some(text) = self.within(PATIENCE, text).await? else { continue };
            match keyward_json::from_str::<Record>(&text) {
                Ok(record) => adopt(db, &record, hash, self.platform.now())?,
                Err(error) => {
                    let what = format!(
                        "KV has a record that cannot be read, of a key that is not in the backup: {error}"
                    );
                    self.platform.log(Task::Restore, &what, None);
                }
            }
        }
        Ok(unknown.len())
    }
}

/// The storage hashes among these names of KV that no key has here.
fn unknown(db: &dyn Sql, names: &[String]) -> Result<Vec<String>, SqlError> {
    let hashes: Vec<String> =
        names.iter().filter_map(|name| name.strip_prefix(KV_PREFIX)).map(str::to_owned).collect();
    let unknown = "SELECT value FROM json_each(?) WHERE value NOT IN (SELECT hash FROM keys)
        AND value NOT IN (SELECT hash FROM ended_imports)";
    sql::scalars(db, unknown, &[hashes.to_json().to_string().into()])
}

/// Makes a row of a key that passes, and puts it into the outbox.
fn adopt(db: &dyn Sql, record: &Record, hash: &str, now: Timestamp) -> Result<(), SqlError> {
    let is_over = record.expires_at.is_some_and(|end| end <= now);
    if record.status != Status::Active || is_over {
        return Ok(());
    }
    sql::transaction(db, || {
        let tenant = Tenant::load(db, &record.tenant.id)?.map(|tenant| tenant.id);
        let (Some(operator), Some(restored_at)) = (Tenant::operator(db)?, restore::done_at(db)?) else {
            return Ok(());
        };
        let is_known = tenant.is_some();
        let tenant_id = tenant.unwrap_or(operator.id);
        let by = Actor::system();
        let version = i64::try_from(record.version + 1).unwrap_or(i64::MAX);
        let text = |value: &dyn ToJson| Bound::from(value.to_json().to_string());
        let nets: Vec<String> = record.allowed_ips.iter().map(ToString::to_string).collect();
        let mut columns: Vec<(&str, Bound)> = vec![
            ("id", record.id.as_str().into()),
            ("tenant_id", tenant_id.as_str().into()),
            ("realm", record.realm.as_str().into()),
            ("kind", text_of(record.kind).into()),
            ("mode", text_of(record.mode).into()),
            ("name", NAME.into()),
            ("prefix", "".into()),
            ("last4", "".into()),
            ("hash", hash.into()),
            ("version", version.into()),
            ("scopes", text(&record.scopes)),
            ("allowed_ips", text(&nets)),
            ("allowed_origins", text(&record.allowed_origins)),
            ("tags", "[]".into()),
            ("metadata", "{}".into()),
            // What a key may do at the admin API, nobody has granted here.
            ("admin_scopes", "[]".into()),
            ("search", format!("{}\n{}", NAME.to_lowercase(), record.id).into()),
            // As those that the backup brought: its object is asked what it knows, which may be that the key was revoked.
            ("created_at", restored_at.into()),
            ("created_by", by.view().to_string().into()),
            ("updated_at", now.into()),
            ("expires_at", record.expires_at.into()),
            ("strict", record.strict.into()),
            ("publish_due", now.into()),
        ];
        columns.extend(rows::limit_columns(record.limits));
        let status = if is_known { Status::Active } else { Status::Revoked };
        match status {
            Status::Active => columns.push(("status", text_of(status).into())),
            Status::Revoked => columns.extend(key::revocation(now, &by.view(), Some(REASON))),
        }
        rows::insert(db, "keys", &columns)?;
        AuditLog::of_alarm(db, now).append(&AuditEvent {
            tenant_id: &tenant_id,
            actor: &by,
            action: "key.found",
            target: &record.id,
            before: Value::Null,
            after: object!({ "status": status, "scopes": record.scopes }),
        })
    })
}
