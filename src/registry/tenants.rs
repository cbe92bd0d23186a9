//! Tenants: the operator's own and its customers'. A change of one concerns each of its keys, whose
//! records carry what a decision needs of the tenant.

use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{
    key,
    record::TenantStatus,
    registry::{
        Handled, Outcome, Turn,
        audit::{self, Deed},
        cursor,
        effect::Effect,
        email,
        error::{Refusal, Stop},
        guard::{Act, Authorised},
        ids,
        input::{self, Input},
        keys::limits,
        members::{self, Membership, Person},
        outbox,
        outcome::Freshness,
        password,
        principal::{Principal, Role},
        quotas::{self, Own},
        room, schema,
        words::{self, word},
    },
    sql::{self, Sql, SqlError, Value as Bound},
    time::Timestamp,
};

const COLUMNS: &str =
    "id, code, name, status, plan, per_minute, per_day, operator, quotas, created_at, updated_at";
const FIELDS: [&str; 6] = ["name", "code", "status", "plan", "rateLimit", "quotas"];

/// Characters of a code that the gate chooses: none that is easily taken for another. So many codes there
/// are (2^30) that a few attempts find a free one.
const CODE_ALPHABET: &[u8; 32] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";
const CODE_LENGTH: usize = 6;
const CODE_ATTEMPTS: usize = 8;

/// A tenant as stored.
#[derive(Clone, Debug, Deserialize)]
pub struct Tenant {
    /// A UUID.
    pub id: String,
    /// A short name of its own, for keys and hosts that carry one; never changed. Tenants that were made
    /// before there were codes have none.
    pub code: Option<String>,
    /// For people.
    pub name: String,
    /// Whether its keys pass and its members may act.
    pub status: TenantStatus,
    /// What it may do.
    #[serde(flatten)]
    pub terms: Terms,
    /// Whether it is the one that was set up first, whose owners manage tenants.
    #[serde(deserialize_with = "flag")]
    pub operator: bool,
    /// Quotas that it was given in place of the policy's.
    #[serde(default, deserialize_with = "own_quotas")]
    pub quotas: Own,
    /// Since when.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// What a tenant was given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Terms {
    /// Its plan, which routes may ask for.
    pub plan: Option<String>,
    /// Limit per minute of its keys that name none.
    pub per_minute: Option<u32>,
    /// Limit per day of its keys that name none.
    pub per_day: Option<u32>,
}

impl Terms {
    /// Whether keys may be able to do less under these than under `other`. What a plan opens, routes say.
    pub fn take_from(&self, other: &Self) -> bool {
        let less = |own: Option<u32>, other: Option<u32>| {
            own.is_some_and(|own| other.is_none_or(|other| own < other))
        };
        // One that is taken out leaves the realm's, which may be lower.
        let lower =
            |own: Option<u32>, other: Option<u32>| less(own, other) || own.is_none() && other.is_some();
        self.plan != other.plan
            || lower(self.per_minute, other.per_minute)
            || lower(self.per_day, other.per_day)
    }
}

fn flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Ok(u8::deserialize(deserializer)? != 0)
}

fn own_quotas<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Own, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    text.map_or_else(|| Ok(Own::new()), |text| serde_json::from_str(&text).map_err(serde::de::Error::custom))
}

impl Tenant {
    /// The tenant with this id.
    pub fn load(db: &dyn Sql, id: &str) -> Result<Option<Self>, SqlError> {
        sql::query_one(db, &format!("SELECT {COLUMNS} FROM tenants WHERE id = ?"), &[id.into()])
    }

    /// The operator's, once set-up is done.
    pub fn operator(db: &dyn Sql) -> Result<Option<Self>, SqlError> {
        sql::query_one(db, &format!("SELECT {COLUMNS} FROM tenants WHERE operator = 1"), &[])
    }

    /// As the API shows it.
    pub fn view(&self) -> Value {
        json!({
            "id": self.id,
            "code": self.code,
            "name": self.name,
            "status": self.status,
            "plan": self.terms.plan,
            "rateLimit": { "perMinute": self.terms.per_minute, "perDay": self.terms.per_day },
            "quotas": self.quotas,
            "operator": self.operator,
            "createdAt": self.created_at.to_rfc3339(),
            "updatedAt": self.updated_at.to_rfc3339(),
        })
    }
}

/// Stores a new, active tenant, with this free code or one that is chosen here, and returns its id.
pub fn insert(
    turn: &mut Turn<'_>,
    name: &str,
    code: Option<String>,
    operator: bool,
    terms: &Terms,
) -> Result<String, SqlError> {
    let id = ids::uuid(turn.entropy);
    let code = match code {
        Some(code) => code,
        None => new_code(turn.db, &id)?,
    };
    let columns = [
        ("id", id.as_str().into()),
        ("code", code.into()),
        ("name", name.into()),
        ("status", word(TenantStatus::Active).into()),
        ("plan", terms.plan.clone().into()),
        ("per_minute", terms.per_minute.into()),
        ("per_day", terms.per_day.into()),
        ("operator", operator.into()),
        ("created_at", turn.now.into()),
        ("updated_at", turn.now.into()),
    ];
    schema::insert(turn.db, "tenants", &columns)?;
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
fn is_free(db: &dyn Sql, code: &str) -> Result<bool, SqlError> {
    let statement = format!("SELECT {COLUMNS} FROM tenants WHERE code = ? COLLATE NOCASE");
    Ok(sql::query_one::<Tenant>(db, &statement, &[code.into()])?.is_none())
}

/// Id of the operator's tenant, which is made when it is first needed.
pub fn operator_id(turn: &mut Turn<'_>) -> Result<String, SqlError> {
    match Tenant::operator(turn.db)? {
        Some(tenant) => Ok(tenant.id),
        None => insert(turn, "Operator", None, true, &Terms::default()),
    }
}

/// `GET /tenants`: in the order they were made.
pub fn list(turn: &mut Turn<'_>, principal: &Principal, _: &str) -> Handled {
    #[derive(Deserialize)]
    struct Row {
        position: i64,
        #[serde(flatten)]
        tenant: Tenant,
    }
    let mut query = Input::query(&turn.call.query, &cursor::PARAMETERS);
    let page = turn.page("tenants", principal.tenant_id(), &mut query);
    query.finish()?;

    let statement =
        format!("SELECT rowid AS position, {COLUMNS} FROM tenants WHERE rowid > ? ORDER BY rowid LIMIT ?");
    let values = [page.after.unwrap_or_default().into(), page.rows().into()];
    let rows = sql::query::<Row>(turn.db, &statement, &values)?;
    let (rows, next) = page.cut(turn.secrets, rows, |row| row.position);
    let tenants: Vec<Value> = rows.iter().map(|row| row.tenant.view()).collect();
    Ok(Outcome::ok(json!({ "tenants": tenants, "nextCursor": next })))
}

/// `GET /tenants/{id}`
pub fn show(turn: &mut Turn<'_>, _: &Principal, id: &str) -> Handled {
    let tenant = Tenant::load(turn.db, id)?.ok_or_else(|| Refusal::not_found("tenant"))?;
    Ok(Outcome::ok(json!({
        "tenant": tenant.view(),
        "quotas": quotas::view(turn, &tenant)?,
        "storage": room::view(turn.db, turn.policy)?,
    })))
}

/// The first owner of a tenant.
fn joins<'a>(tenant_id: &'a str, after: Option<&'a Person>) -> Membership<'a> {
    Membership { tenant_id, before: None, after, typed_in: None }
}

/// `POST /tenants`, with its first owner if one is named.
pub fn add(turn: &mut Turn<'_>, principal: &Principal, _: &str) -> Handled {
    let mut body = Input::body(&turn.call.body, &["name", "code", "plan", "rateLimit", "owner"])?;
    let name = body.required("name", name);
    let code = body.optional("code", code);
    refuse_taken(&mut body, turn, code.as_deref())?;
    let terms = terms(&mut body, turn, Terms::default());
    let tenant_name = name.as_deref().unwrap_or_default().to_owned();
    let owner = body.optional("owner", |value| owner(value, &tenant_name));
    if owner.is_some() && matches!(principal, Principal::SetUp(_)) {
        body.refuse("owner", "cannot be made before the operator's own: do the set-up first");
    }
    let Some(name) = name else { return Err(body.refusal().into()) };
    body.finish()?;
    let owner = match owner {
        Some((email, password)) => {
            joins("", None).require(turn, principal)?;
            members::require_free(turn, &email)?;
            Some((email, turn.set_password(&password)?))
        }
        None => None,
    };

    let id = insert(turn, &name, code, false, &terms)?;
    let person = match owner {
        Some((email, stored)) => {
            let person = members::new(turn, &id, &email, Role::Owner, &stored);
            turn.authorise(principal, joins(&id, Some(&person)))?.store(turn)?;
            Some(person)
        }
        None => None,
    };
    let tenant = Tenant::load(turn.db, &id)?.ok_or_else(|| Refusal::not_found("tenant"))?;
    let view = tenant.view();
    note(turn, principal, &id, "tenant.create", &id, (&Value::Null, &view))?;
    let mut answer = json!({ "tenant": view });
    if let (Some(person), Some(answer)) = (person, answer.as_object_mut()) {
        note(turn, principal, &id, "member.create", &person.id, (&Value::Null, &person.view()))?;
        answer.insert("owner".to_owned(), person.view());
    }
    Ok(turn.created(&format!("/tenants/{id}"), answer))
}

/// A tenant becomes another.
pub struct Revision<'a> {
    /// As before.
    pub old: &'a Tenant,
    /// As afterwards.
    pub new: &'a Tenant,
}

impl Authorised<Revision<'_>> {
    fn store(&self, turn: &Turn<'_>) -> Result<(), SqlError> {
        let Revision { new, .. } = **self;
        let columns = [
            ("name", new.name.as_str().into()),
            ("code", new.code.clone().into()),
            ("status", word(new.status).into()),
            ("plan", new.terms.plan.clone().into()),
            ("per_minute", new.terms.per_minute.into()),
            ("per_day", new.terms.per_day.into()),
            ("quotas", (!new.quotas.is_empty()).then(|| json!(new.quotas).to_string()).into()),
            ("updated_at", Bound::from(turn.now)),
        ];
        schema::update(turn.db, "tenants", &new.id, &columns)
    }
}

/// `PATCH /tenants/{id}`
pub fn edit(turn: &mut Turn<'_>, principal: &Principal, id: &str) -> Handled {
    let old = Tenant::load(turn.db, id)?.ok_or_else(|| Refusal::not_found("tenant"))?;
    let mut body = Input::body(&turn.call.body, &FIELDS)?;
    let mut new = old.clone();
    new.name = body.present("name", name).unwrap_or(new.name);
    if let Some(code) = body.present("code", code).filter(|code| old.code.as_ref() != Some(code)) {
        if old.code.is_some() {
            body.refuse("code", "cannot be changed: keys and hosts carry it");
        }
        refuse_taken(&mut body, turn, Some(&code))?;
        new.code = Some(code);
    }
    new.status = body.present("status", |value| words::read(value, &TenantStatus::ALL)).unwrap_or(new.status);
    new.terms = terms(&mut body, turn, new.terms);
    if let Some(own) = body.nullable("quotas", |value| quotas::read(value, &old.quotas)) {
        new.quotas = own.unwrap_or_default();
    }
    if old.operator && new.status == TenantStatus::Inactive {
        body.refuse("status", "cannot be INACTIVE for the operator's own tenant: nobody could undo it");
    }
    body.finish()?;

    let (before, after) = audit::difference(&old.view(), &new.view());
    if before != after {
        new.updated_at = turn.now;
        turn.authorise(principal, Revision { old: &old, new: &new })?.store(turn)?;
        if (old.status, &old.terms, &old.code) != (new.status, &new.terms, &new.code) {
            outbox::enqueue_tenant(turn.db, id, turn.now)?;
        }
        note(turn, principal, id, "tenant.edit", id, (&before, &after))?;
    }
    let answer = Outcome::ok(json!({ "tenant": new.view() })).publish(outbox::untold(turn.db, id)?);
    Ok(answer.gradual().promise("", "effectiveEverywhereBy", Freshness::of_all(turn.policy), None))
}

fn name(value: &Value) -> Result<String, input::Wrong> {
    input::line(value, 1, 100)
}

fn code(value: &Value) -> Result<String, input::Wrong> {
    let code = input::text(value)?;
    if key::is_tenant_code(&code) {
        Ok(code)
    } else {
        input::wrong("must be 2 to 32 letters, digits and hyphens, with no hyphen at either end")
    }
}

fn refuse_taken(body: &mut Input, turn: &Turn<'_>, code: Option<&str>) -> Result<(), SqlError> {
    if let Some(code) = code
        && !is_free(turn.db, code)?
    {
        body.refuse("code", "is another tenant's");
    }
    Ok(())
}

/// A plan goes to origins in a header field, which holds no more than ASCII safely (RFC 9110, 5.5).
fn plan(value: &Value) -> Result<String, input::Wrong> {
    let plan = input::line(value, 1, 50)?;
    if plan.is_ascii() {
        Ok(plan)
    } else {
        input::wrong("can only hold ASCII characters: origins get it in a header field")
    }
}

/// Reads plan and limits over what holds so far.
fn terms(body: &mut Input, turn: &Turn<'_>, mut terms: Terms) -> Terms {
    if let Some(plan) = body.nullable("plan", plan) {
        terms.plan = plan;
    }
    if let Some(windows) =
        body.nullable("rateLimit", |value| limits::read(value, &limits::highest(turn.policy)))
    {
        let windows = windows.unwrap_or_default();
        (terms.per_minute, terms.per_day) = (windows.per_minute, windows.per_day);
    }
    terms
}

/// The first owner: e-mail address and password.
fn owner(value: &Value, tenant: &str) -> Result<(String, crate::secret::Secret), input::Wrong> {
    let Some(object) = value.as_object() else {
        return input::wrong("must be an object with email and password");
    };
    let mut wrong: input::Wrong = object
        .keys()
        .filter(|name| !["email", "password"].contains(&name.as_str()))
        .map(|name| {
            (format!(".{}", input::shown(name)), "is not a field here: there are email, password".to_owned())
        })
        .collect();
    let mut note =
        |at: &str, errors: input::Wrong| wrong.extend(errors.into_iter().map(|(_, m)| (at.to_owned(), m)));
    let missing = Value::Null;
    let email =
        email::chosen(object.get("email").unwrap_or(&missing)).map_err(|errors| note(".email", errors));
    let context = [object.get("email").and_then(Value::as_str).unwrap_or_default(), tenant];
    let chosen = password::chosen(object.get("password").unwrap_or(&missing), &context)
        .map_err(|errors| note(".password", errors));
    match (email, chosen) {
        (Ok(email), Ok(chosen)) if wrong.is_empty() => Ok((email, chosen)),
        _ => Err(wrong),
    }
}

/// In the operator's chain and in the tenant's own: both may read what happened. No chain is too full for it, but the
/// operator's takes so many a day then, until its own quota is raised.
fn note(
    turn: &Turn<'_>,
    principal: &Principal,
    tenant_id: &str,
    action: &'static str,
    target: &str,
    (before, after): (&Value, &Value),
) -> Result<(), Stop> {
    if !turn.is_admitted(principal.tenant_id(), audit::daily::Kind::Tenants)? {
        let operator = Tenant::load(turn.db, principal.tenant_id())?;
        turn.require_audit(operator.as_ref().unwrap_or(principal.tenant()), Effect::Grows)?;
    }
    let actor = principal.actor();
    let mut chains = vec![principal.tenant_id(), tenant_id];
    chains.dedup();
    for tenant_id in chains {
        turn.audit(&Deed {
            tenant_id,
            actor: &actor,
            action,
            target,
            before: before.clone(),
            after: after.clone(),
        })?;
    }
    Ok(())
}
