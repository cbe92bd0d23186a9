//! Reading what a call says of a tenant.

use keyward_core::{key, secret::Secret, sql::SqlError};
use serde_json::Value;

use crate::{
    context::RequestContext,
    email,
    input::{self, FieldErrors, Input},
    keys::limits,
    password::rules as password,
    tenants::{store::is_free, tenant::TenantPlan},
};

/// A name, for people.
///
/// # Errors
/// What is wrong with it.
pub fn name(value: &Value) -> Result<String, FieldErrors> {
    input::line(value, 1, 100)
}

/// A code, for keys and hosts.
///
/// # Errors
/// What is wrong with it.
pub fn code(value: &Value) -> Result<String, FieldErrors> {
    let code = input::text(value)?;
    if key::is_tenant_code(&code) {
        Ok(code)
    } else {
        input::invalid("must be 2 to 32 letters, digits and hyphens, with no hyphen at either end")
    }
}

/// Notes that a code is another tenant's.
///
/// # Errors
/// What SQLite says.
pub fn refuse_taken(
    body: &mut Input,
    context: &RequestContext<'_>,
    code: Option<&str>,
) -> Result<(), SqlError> {
    if let Some(code) = code
        && !is_free(context.db, code)?
    {
        body.refuse("code", "is another tenant's");
    }
    Ok(())
}

/// A plan goes to origins in a header field, which holds no more than ASCII safely (RFC 9110, 5.5).
fn plan_name(value: &Value) -> Result<String, FieldErrors> {
    let name = input::line(value, 1, 50)?;
    if name.is_ascii() {
        Ok(name)
    } else {
        input::invalid("can only hold ASCII characters: origins get it in a header field")
    }
}

/// Reads plan and limits over what holds so far.
pub fn plan(body: &mut Input, context: &RequestContext<'_>, mut plan: TenantPlan) -> TenantPlan {
    if let Some(name) = body.nullable("plan", plan_name) {
        plan.name = name;
    }
    if let Some(windows) =
        body.nullable("rateLimit", |value| limits::read(value, &limits::highest(context.policy)))
    {
        plan.rate_limit = windows.unwrap_or_default();
    }
    if let Some(pool) = body.nullable("pool", limits::read_pool) {
        plan.pool = pool.unwrap_or_default();
    }
    plan
}

/// The first owner: e-mail address and password.
///
/// # Errors
/// What is wrong with them.
pub fn owner(
    value: &Value,
    tenant: &str,
    has_passwords: bool,
) -> Result<(String, Option<Secret>), FieldErrors> {
    let Some(object) = value.as_object() else {
        return input::invalid("must be an object with email and password");
    };
    let mut wrong: FieldErrors = object
        .keys()
        .filter(|name| !["email", "password"].contains(&name.as_str()))
        .map(|name| {
            (format!(".{}", input::shown(name)), "is not a field here: there are email, password".to_owned())
        })
        .collect();
    let mut note =
        |at: &str, errors: FieldErrors| wrong.extend(errors.into_iter().map(|(_, m)| (at.to_owned(), m)));
    let missing = || input::invalid("is required");
    let given = object.get("email");
    let email = given.map_or_else(missing, email::chosen).map_err(|errors| note(".email", errors));
    let account = [given.and_then(Value::as_str).unwrap_or_default(), tenant];
    let chosen = match object.get("password") {
        None if has_passwords => input::invalid("is required"),
        chosen => chosen.map(|chosen| password::chosen(chosen, &account)).transpose(),
    };
    let chosen = chosen.map_err(|errors| note(".password", errors));
    match (email, chosen) {
        (Ok(email), Ok(chosen)) if wrong.is_empty() => Ok((email, chosen)),
        _ => Err(wrong),
    }
}
