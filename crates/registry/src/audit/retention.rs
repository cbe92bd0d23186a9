//! The beginning of a chain that was cut: a checkpoint with the place and hash of the last entry that is gone, signed
//! with the deployment's secret, so that whoever can write the database cannot cut by themselves.

use keyward_core::{
    key::hex,
    secret::Secrets,
    sql::{self, Sql, SqlError},
    time::Timestamp,
};
use serde_json::{Map, Value};
use subtle::ConstantTimeEq;

use super::{
    canonical::{canonical, hash},
    chain::{self, BEGINNING, Row, follows, rows_after},
    daily,
    event::REFUSED,
};

use crate::to_json::{ToJson, object};

const PURPOSE: &str = "keyward audit checkpoint 1";
/// Most entries of one tenant that are cut off at once.
const ENTRIES_AT_ONCE: usize = 100;

/// What is known of the entries that are gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    tenant_id: String,
    /// Place of the last one.
    pub seq: i64,
    /// Its hash.
    pub hash: String,
    /// Its time.
    time: String,
    /// How many are gone.
    entries: i64,
    /// When they were cut off.
    cut_at: String,
}

impl ToJson for Checkpoint {
    fn to_json(&self) -> Value {
        object!({
            "tenantId": self.tenant_id,
            "seq": self.seq,
            "hash": self.hash,
            "time": self.time,
            "entries": self.entries,
            "cutAt": self.cut_at,
        })
    }
}

/// A checkpoint as stored.
pub struct Stored {
    checkpoint: String,
    mac: String,
}

keyward_core::from_row!(Stored { checkpoint, mac });

impl Stored {
    /// That of a tenant, if its chain was ever cut.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn load(db: &dyn Sql, tenant_id: &str) -> Result<Option<Self>, SqlError> {
        let of_tenant = "SELECT checkpoint, mac FROM audit_checkpoints WHERE tenant_id = ?";
        sql::query_one(db, of_tenant, &[tenant_id.into()])
    }

    /// What it says, if that is of this tenant and signed with a secret of the deployment.
    pub fn verified(&self, secrets: &Secrets, tenant_id: &str) -> Option<Checkpoint> {
        let parts: [&[u8]; 1] = [self.checkpoint.as_bytes()];
        let mut macs = secrets.macs(PURPOSE, &parts);
        let signed = macs.any(|mac| bool::from(hex(&mac).as_bytes().ct_eq(self.mac.as_bytes())));
        self.read().filter(|checkpoint| signed && checkpoint.tenant_id == tenant_id)
    }

    /// What it says, be it signed or not.
    pub fn read(&self) -> Option<Checkpoint> {
        let checkpoint = keyward_json::parse(&self.checkpoint).ok()?;
        let text = |name: &str| checkpoint.get(name)?.as_str().map(str::to_owned);
        let number = |name: &str| checkpoint.get(name)?.as_i64();
        Some(Checkpoint {
            tenant_id: text("tenantId")?,
            seq: number("seq")?,
            hash: text("hash")?,
            time: text("time")?,
            entries: number("entries")?,
            cut_at: text("cutAt")?,
        })
    }

    /// As the API shows it.
    pub fn view(&self, signed: bool) -> Value {
        let mut view: Map<String, Value> = keyward_json::from_str(&self.checkpoint).unwrap_or_default();
        view.insert("signed".to_owned(), signed.into());
        Value::Object(view)
    }

    fn is_of(&self, secrets: &Secrets) -> bool {
        hex(&secrets.mac(PURPOSE, &[self.checkpoint.as_bytes()])) == self.mac
    }
}

fn store(db: &dyn Sql, secrets: &Secrets, checkpoint: &Checkpoint) -> Result<(), SqlError> {
    let text = canonical(&checkpoint.to_json());
    let mac = hex(&secrets.mac(PURPOSE, &[text.as_bytes()]));
    let put = "INSERT OR REPLACE INTO audit_checkpoints (tenant_id, checkpoint, mac) VALUES (?, ?, ?)";
    db.run(put, &[checkpoint.tenant_id.as_str().into(), text.into(), mac.into()])?;
    Ok(())
}

/// Signs a tenant's checkpoint with the present secret, if it was signed with one before: that will be gone some day.
///
/// # Errors
/// What SQLite says.
pub fn sign_again(db: &dyn Sql, secrets: &Secrets, tenant_id: &str) -> Result<(), SqlError> {
    let Some(stored) = Stored::load(db, tenant_id)?.filter(|stored| !stored.is_of(secrets)) else {
        return Ok(());
    };
    match stored.verified(secrets, tenant_id) {
        Some(checkpoint) => store(db, secrets, &checkpoint),
        None => Ok(()),
    }
}

/// Cuts off the entries of a tenant that are older than `before`, [`ENTRIES_AT_ONCE`] at most; the newest always stays. A chain
/// that is not whole is not cut, since the fault could no longer be seen.
///
/// # Errors
/// What SQLite says.
pub fn cut(
    db: &dyn Sql,
    secrets: &Secrets,
    tenant_id: &str,
    before: Timestamp,
    now: Timestamp,
) -> Result<(), SqlError> {
    let mut checkpoint = match Stored::load(db, tenant_id)? {
        None => None,
        Some(stored) => match stored.verified(secrets, tenant_id) {
            None => return Ok(()),
            checkpoint => checkpoint,
        },
    };
    let field = |row: &Row, name: &str| {
        let entry: Value = keyward_json::parse(&row.entry).unwrap_or_default();
        entry.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let is_old = |time: &str| Timestamp::parse_rfc3339(time).is_some_and(|time| time < before);
    // Mostly there is nothing to cut: that is seen from the first one alone.
    if !rows_after(db, tenant_id, 0, 1)?.first().is_some_and(|row| is_old(&field(row, "time"))) {
        return Ok(());
    }
    let beginning = checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.seq);
    let mut refused: i64 = 0;
    let rows = rows_after(db, tenant_id, 0, u32::try_from(ENTRIES_AT_ONCE + 1).unwrap_or(u32::MAX))?;
    // The last one that was read is never cut: it is the newest, or the next run goes on from it.
    for row in rows.iter().take(rows.len().saturating_sub(1)) {
        let (seq, previous) = checkpoint
            .as_ref()
            .map_or((1, BEGINNING.to_owned()), |checkpoint| (checkpoint.seq + 1, checkpoint.hash.clone()));
        let time = field(row, "time");
        let whole = row.seq == seq && row.hash == hash(&row.entry) && follows(&row.entry, seq, &previous);
        if !whole || !is_old(&time) {
            break;
        }
        refused += i64::from(field(row, "action") == REFUSED);
        checkpoint = Some(Checkpoint {
            tenant_id: tenant_id.to_owned(),
            seq,
            hash: row.hash.clone(),
            time,
            entries: seq,
            cut_at: now.to_rfc3339(),
        });
    }
    let Some(checkpoint) = checkpoint.filter(|checkpoint| checkpoint.seq > beginning) else { return Ok(()) };
    store(db, secrets, &checkpoint)?;
    let cut_off = "DELETE FROM audit WHERE tenant_id = ? AND seq <= ?";
    db.run(cut_off, &[tenant_id.into(), checkpoint.seq.into()])?;
    daily::forget_refused(db, tenant_id, refused)
}

/// How many entries a tenant has itself caused and are kept.
///
/// # Errors
/// What SQLite says.
pub fn entries(db: &dyn Sql, tenant_id: &str) -> Result<u64, SqlError> {
    let cut =
        Stored::load(db, tenant_id)?.and_then(|stored| stored.read()).map_or(0, |checkpoint| checkpoint.seq);
    let own = chain::end(db, tenant_id)?.0 - cut - daily::refused(db, tenant_id)?;
    Ok(u64::try_from(own).unwrap_or_default())
}
