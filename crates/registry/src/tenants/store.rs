//! Storing tenants: a new one, with its code, and one that becomes another.

use keyward_core::{
    record::TenantStatus,
    sql::{Sql, SqlError, Value as Bound},
};
use sha2::{Digest, Sha256};

use crate::{
    authorise::Authorised,
    context::RequestContext,
    enum_text::text_of,
    ids, rows,
    tenants::tenant::{Tenant, TenantPlan, pool_column},
    to_json::ToJson,
};

/// Characters of a code that the gate chooses: none that is easily taken for another. So many codes there
/// are (2^30) that a few attempts find a free one.
const CODE_ALPHABET: &[u8; 32] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";
const CODE_LENGTH: usize = 6;
const CODE_ATTEMPTS: usize = 8;

/// Stores a new, active tenant, with this free code or one that is chosen here, and returns its id.
pub fn insert(
    context: &mut RequestContext<'_>,
    name: &str,
    code: Option<String>,
    operator: bool,
    plan: &TenantPlan,
) -> Result<String, SqlError> {
    let id = ids::uuid(context.entropy);
    let code = match code {
        Some(code) => code,
        None => new_code(context.db, &id)?,
    };
    let columns = [
        ("id", id.as_str().into()),
        ("code", code.into()),
        ("name", name.into()),
        ("status", text_of(TenantStatus::Active).into()),
        ("plan", plan.name.clone().into()),
        ("pool", pool_column(plan.pool)),
        ("pool_due", plan.of_all(context.policy).map(|_| context.now).into()),
        ("operator", operator.into()),
        ("created_at", context.now.into()),
        ("updated_at", context.now.into()),
    ];
    let columns: Vec<_> = rows::limit_columns(plan.rate_limit).chain(columns).collect();
    rows::insert(context.db, "tenants", &columns)?;
    Ok(id)
}

/// A free code, made from the tenant's id.
fn new_code(db: &dyn Sql, id: &str) -> Result<String, SqlError> {
    for attempt in 0..CODE_ATTEMPTS {
        let digest = Sha256::digest(format!("{id} {attempt}"));
        let character = |byte: &u8| CODE_ALPHABET.get(usize::from(byte % 32)).map(|byte| char::from(*byte));
        let code: String = digest.iter().take(CODE_LENGTH).filter_map(character).collect();
        if is_free(db, &code)? {
            return Ok(code);
        }
    }
    Err(SqlError("no free code for a tenant was found".to_owned()))
}

/// Whether no tenant has this code, in any case: hosts are compared without.
pub fn is_free(db: &dyn Sql, code: &str) -> Result<bool, SqlError> {
    Ok(db.run("SELECT 1 FROM tenants WHERE code = ? COLLATE NOCASE", &[code.into()])?.is_empty())
}

/// Id of the operator's tenant, which is made when it is first needed.
pub fn operator_id(context: &mut RequestContext<'_>) -> Result<String, SqlError> {
    match Tenant::operator(context.db)? {
        Some(tenant) => Ok(tenant.id),
        None => insert(context, "Operator", None, true, &TenantPlan::default()),
    }
}

/// A tenant becomes another.
pub struct Revision<'a> {
    /// As before.
    pub old: &'a Tenant,
    /// As afterwards.
    pub new: &'a Tenant,
}

impl Authorised<Revision<'_>> {
    /// Stores it.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn store(&self, context: &RequestContext<'_>) -> Result<(), SqlError> {
        let Revision { new, .. } = **self;
        let columns = [
            ("name", new.name.as_str().into()),
            ("code", new.code.clone().into()),
            ("status", text_of(new.status).into()),
            ("plan", new.plan.name.clone().into()),
            ("pool", pool_column(new.plan.pool)),
            ("quotas", (!new.quotas.is_empty()).then(|| new.quotas.to_json().to_string()).into()),
            ("updated_at", Bound::from(context.now)),
        ];
        let columns: Vec<_> = rows::limit_columns(new.plan.rate_limit).chain(columns).collect();
        rows::update(context.db, "tenants", &new.id, &columns)
    }
}
