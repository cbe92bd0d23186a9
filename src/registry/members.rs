//! People: their roles and passwords. E-mail addresses are unique over all tenants, since signing
//! in comes before a tenant is known.

use serde::Deserialize;
use serde_json::{Value, json};
use unicode_normalization::UnicodeNormalization;

use crate::{
    registry::{
        Handled, Outcome, Turn,
        audit::{self, Deed},
        cursor, email,
        error::{Code, Refusal, Stop},
        guard::{Act, Authorised},
        ids,
        input::Input,
        password,
        principal::{Member, Principal, Role},
        quotas::{self, Quota},
        schema, sessions,
        words::{self, word},
    },
    sql::{self, Sql, SqlError},
    time::Timestamp,
};

const COLUMNS: &str = "id, tenant_id, email, role, password, created_at";

/// A member as stored.
#[derive(Clone, Deserialize)]
pub struct Person {
    /// Id.
    pub id: String,
    /// Whose member.
    pub tenant_id: String,
    /// In lower case.
    pub email: String,
    /// Role.
    pub role: Role,
    /// The stored form of the password.
    pub password: String,
    /// Since when.
    pub created_at: Timestamp,
}

impl Person {
    /// The member with this address, of whatever tenant: for signing in only.
    pub fn by_email(db: &dyn Sql, email: &str) -> Result<Option<Self>, SqlError> {
        // Before addresses were kept in one normal form, they were kept as typed.
        let decomposed: String = email.nfd().collect();
        let statement = format!("SELECT {COLUMNS} FROM members WHERE email IN (?, ?)");
        sql::query_one(db, &statement, &[email.into(), decomposed.into()])
    }

    /// The tenant's member with this id.
    pub fn load(db: &dyn Sql, tenant_id: &str, id: &str) -> Result<Option<Self>, SqlError> {
        let statement = format!("SELECT {COLUMNS} FROM members WHERE tenant_id = ? AND id = ?");
        sql::query_one(db, &statement, &[tenant_id.into(), id.into()])
    }

    /// As the API shows it.
    pub fn view(&self) -> Value {
        json!({
            "id": self.id,
            "email": self.email,
            "role": self.role,
            "tenantId": self.tenant_id,
            "createdAt": self.created_at.to_rfc3339(),
        })
    }
}

/// Refuses an address that somebody has.
pub fn require_free(turn: &Turn<'_>, email: &str) -> Result<(), Stop> {
    match Person::by_email(turn.db, email)? {
        Some(_) => {
            Err(Refusal::new(Code::Conflict, "This e-mail address cannot be added: it is in use.").into())
        }
        None => Ok(()),
    }
}

/// Somebody joins, leaves, or becomes another.
pub struct Membership<'a> {
    /// In which tenant.
    pub tenant_id: &'a str,
    /// As before; `None` for who joins.
    pub before: Option<&'a Person>,
    /// As afterwards; `None` for who leaves.
    pub after: Option<&'a Person>,
    /// The session in which the person typed the present password with this very call.
    pub typed_in: Option<&'a str>,
}

/// A new member, who is not stored yet.
pub fn new(turn: &mut Turn<'_>, tenant_id: &str, email: &str, role: Role, password: &str) -> Person {
    Person {
        id: ids::id("mem_", turn.entropy),
        tenant_id: tenant_id.to_owned(),
        email: email.to_owned(),
        role,
        password: password.to_owned(),
        created_at: turn.now,
    }
}

impl Authorised<Membership<'_>> {
    /// Stores it. Whoever was signed in with another role or password, or is gone, is so no longer.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn store(&self, turn: &Turn<'_>) -> Result<(), SqlError> {
        let rights = |person: &Person| {
            [
                ("role", word(person.role).into()),
                ("password", person.password.as_str().into()),
                ("updated_at", turn.now.into()),
            ]
        };
        match (self.before, self.after) {
            (None, Some(person)) => {
                let mut columns = vec![
                    ("id", person.id.as_str().into()),
                    ("tenant_id", person.tenant_id.as_str().into()),
                    ("email", person.email.as_str().into()),
                    ("created_at", person.created_at.into()),
                ];
                columns.extend(rights(person));
                schema::insert(turn.db, "members", &columns)
            }
            (Some(old), Some(new)) => {
                schema::update(turn.db, "members", &old.id, &rights(new))?;
                // Who typed the password may stay in this session, unless it began with another role.
                let spared = self.typed_in.filter(|_| old.role == new.role);
                sessions::end_all(turn, &old.id, spared.unwrap_or_default())?;
                if old.password != new.password {
                    turn.forget_networks(&old.id)?;
                }
                if self.typed_in.is_some() { turn.remember_network(&old.id) } else { Ok(()) }
            }
            (Some(person), None) => {
                sessions::end_all(turn, &person.id, "")?;
                turn.forget_networks(&person.id)?;
                turn.db.run("DELETE FROM members WHERE id = ?", &[person.id.as_str().into()])?;
                Ok(())
            }
            (None, None) => Ok(()),
        }
    }
}

/// Whether anybody was ever made a member: the last owner cannot be removed.
pub fn exist(db: &dyn Sql) -> Result<bool, SqlError> {
    Ok(!db.run("SELECT 1 FROM members LIMIT 1", &[])?.is_empty())
}

/// `GET /members`: in the order they were added.
pub fn list(turn: &mut Turn<'_>, principal: &Principal, _: &str) -> Handled {
    #[derive(Deserialize)]
    struct Row {
        position: i64,
        #[serde(flatten)]
        person: Person,
    }
    let tenant_id = principal.tenant_id();
    let mut query = Input::query(&turn.call.query, &cursor::PARAMETERS);
    let page = turn.page("members", tenant_id, &mut query);
    query.finish()?;

    let statement = format!(
        "SELECT rowid AS position, {COLUMNS} FROM members WHERE tenant_id = ? AND rowid > ? ORDER BY rowid LIMIT ?"
    );
    let values = [tenant_id.into(), page.after.unwrap_or_default().into(), page.rows().into()];
    let rows = sql::query::<Row>(turn.db, &statement, &values)?;
    let (rows, next) = page.cut(turn.secrets, rows, |row| row.position);
    let members: Vec<Value> = rows.iter().map(|row| row.person.view()).collect();
    Ok(Outcome::ok(json!({ "members": members, "nextCursor": next })))
}

/// `GET /members/{id}`
pub fn show(turn: &mut Turn<'_>, principal: &Principal, id: &str) -> Handled {
    let person = Person::load(turn.db, principal.tenant_id(), id)?;
    let person = person.ok_or_else(|| Refusal::not_found("member"))?;
    Ok(Outcome::ok(json!({ "member": person.view() })))
}

/// `POST /members`
pub fn add(turn: &mut Turn<'_>, member: &Member, _: &str) -> Handled {
    let (principal, tenant) = (Principal::from(member), &member.tenant);
    let joins = |after| Membership { tenant_id: &tenant.id, before: None, after, typed_in: None };
    joins(None).require(turn, &principal)?;
    let mut body = Input::body(&turn.call.body, &["email", "role", "password"])?;
    let address = body.required("email", email::chosen);
    let role = body.required("role", |value| words::read(value, &Role::ALL));
    let context = [address.as_deref().unwrap_or_default(), &tenant.name];
    let chosen = body.required("password", |value| password::chosen(value, &context));
    let (Some(address), Some(role), Some(chosen)) = (address, role, chosen) else {
        return Err(body.refusal().into());
    };
    body.finish()?;
    require_free(turn, &address)?;
    let members = quotas::used(turn.db, &member.tenant.id, Quota::Members, turn.now)?;
    turn.require_quota(&member.tenant, Quota::Members, members, 1)?;
    let stored = turn.set_password(&chosen)?;

    let person = new(turn, &tenant.id, &address, role, &stored);
    turn.authorise(&principal, joins(Some(&person)))?.store(turn)?;
    note(turn, member, "member.create", &person.id, Value::Null, person.view())?;
    Ok(turn.created(&format!("/members/{}", person.id), json!({ "member": person.view() })))
}

/// `PATCH /members/{id}`: an owner changes role or password of anybody; everybody changes the own
/// password, with the present one.
pub fn edit(turn: &mut Turn<'_>, member: &Member, id: &str) -> Handled {
    let own = member.id == id;
    if !own {
        member.require_owner()?;
    }
    let (principal, tenant) = (Principal::from(member), &member.tenant);
    let person = Person::load(turn.db, &tenant.id, id)?;
    let known: &[&str] = if own { &["role", "password", "currentPassword"] } else { &["role", "password"] };
    let mut body = Input::body(&turn.call.body, known)?;
    let role = body.present("role", |value| words::read(value, &Role::ALL));
    let context = [person.as_ref().map_or("", |person| person.email.as_str()), &tenant.name];
    let chosen = body.present("password", |value| password::chosen(value, &context));
    let current = body.present("currentPassword", password::typed);
    if own && chosen.is_some() && !body.has("currentPassword") {
        body.refuse("currentPassword", "is required to change your own password");
    }
    body.finish()?;

    let person = person.ok_or_else(|| Refusal::not_found("member"))?;
    let role = role.filter(|role| *role != person.role);
    if role.is_none() && chosen.is_none() {
        return Ok(Outcome::ok(json!({ "member": person.view() })));
    }
    let mut changed = Person { role: role.unwrap_or(person.role), ..person.clone() };
    let asked = changed.clone();
    let current = current.filter(|_| chosen.is_some());
    let typed_in = current.is_some().then_some(member.session.as_str());
    let becomes =
        |after| Membership { tenant_id: &tenant.id, before: Some(&person), after: Some(after), typed_in };
    becomes(&asked).require(turn, &principal)?;
    if role.is_some() {
        require_another_owner(turn, &person)?;
    }
    if let Some(current) = current
        && !turn.check_in_session(member, &current, &person)?
    {
        note(turn, member, "session.refused", &person.id, Value::Null, Value::Null)?;
        return Err(Refusal::new(Code::InvalidCredentials, "The present password is wrong.").into());
    }
    if let Some(chosen) = &chosen {
        changed.password = turn.set_password(chosen)?;
    }

    turn.authorise(&principal, becomes(&changed))?.store(turn)?;
    let (before, mut after) = audit::difference(&person.view(), &changed.view());
    if let (true, Some(after)) = (chosen.is_some(), after.as_object_mut()) {
        after.insert("passwordChanged".to_owned(), true.into());
    }
    note(turn, member, "member.edit", id, before, after)?;
    Ok(Outcome::ok(json!({ "member": changed.view() })))
}

/// `DELETE /members/{id}`
pub fn remove(turn: &mut Turn<'_>, member: &Member, id: &str) -> Handled {
    let (principal, tenant_id) = (Principal::from(member), member.tenant.id.as_str());
    let leaves = |before| Membership { tenant_id, before, after: None, typed_in: None };
    leaves(None).require(turn, &principal)?;
    let person = Person::load(turn.db, tenant_id, id)?.ok_or_else(|| Refusal::not_found("member"))?;
    require_another_owner(turn, &person)?;

    turn.authorise(&principal, leaves(Some(&person)))?.store(turn)?;
    note(turn, member, "member.delete", id, person.view(), Value::Null)?;
    Ok(Outcome::no_content())
}

/// Nobody may take the last owner away: nobody could give the role back.
fn require_another_owner(turn: &Turn<'_>, person: &Person) -> Result<(), Stop> {
    #[derive(Deserialize)]
    struct Owners {
        others: u32,
    }
    let count = "SELECT COUNT(*) AS others FROM members WHERE tenant_id = ? AND role = ? AND id <> ?";
    let values = [person.tenant_id.as_str().into(), word(Role::Owner).into(), person.id.as_str().into()];
    let others = sql::query_one::<Owners>(turn.db, count, &values)?.map_or(0, |owners| owners.others);
    if person.role == Role::Owner && others == 0 {
        let detail = "This is the tenant's last owner. Make somebody else an owner first.";
        return Err(Refusal::new(Code::Conflict, detail).into());
    }
    Ok(())
}

fn note(
    turn: &Turn<'_>,
    member: &Member,
    action: &'static str,
    target: &str,
    before: Value,
    after: Value,
) -> Result<(), SqlError> {
    turn.audit(&Deed { tenant_id: &member.tenant.id, actor: &member.actor(), action, target, before, after })
}
