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
        ids,
        input::Input,
        password,
        principal::{Member, Principal, Role},
        schema,
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

/// Stores a new member.
pub fn insert(
    turn: &mut Turn<'_>,
    tenant_id: &str,
    email: &str,
    role: Role,
    password: &str,
) -> Result<Person, SqlError> {
    let person = Person {
        id: ids::id("mem_", turn.entropy),
        tenant_id: tenant_id.to_owned(),
        email: email.to_owned(),
        role,
        password: password.to_owned(),
        created_at: turn.now,
    };
    let columns = [
        ("id", person.id.as_str().into()),
        ("tenant_id", tenant_id.into()),
        ("email", email.into()),
        ("role", word(role).into()),
        ("password", password.into()),
        ("created_at", turn.now.into()),
        ("updated_at", turn.now.into()),
    ];
    schema::insert(turn.db, "members", &columns)?;
    Ok(person)
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
    require_fresh_password(turn, member)?;
    let mut body = Input::body(&turn.call.body, &["email", "role", "password"])?;
    let address = body.required("email", email::chosen);
    let role = body.required("role", |value| words::read(value, &Role::ALL));
    let chosen = body.required("password", password::chosen);
    let (Some(address), Some(role), Some(chosen)) = (address, role, chosen) else {
        return Err(body.refusal().into());
    };
    body.finish()?;
    require_free(turn, &address)?;
    let stored = turn.set_password(&chosen)?;

    let person = insert(turn, &member.tenant.id, &address, role, &stored)?;
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
    let known: &[&str] = if own { &["role", "password", "currentPassword"] } else { &["role", "password"] };
    let mut body = Input::body(&turn.call.body, known)?;
    let role = body.present("role", |value| words::read(value, &Role::ALL));
    let chosen = body.present("password", password::chosen);
    let current = body.present("currentPassword", password::typed);
    if own && chosen.is_some() && !body.has("currentPassword") {
        body.refuse("currentPassword", "is required to change your own password");
    }
    body.finish()?;

    let person = Person::load(turn.db, &member.tenant.id, id)?.ok_or_else(|| Refusal::not_found("member"))?;
    let role = role.filter(|role| *role != person.role);
    if role.is_some() {
        member.require_owner()?;
        require_another_owner(turn, &person)?;
    }
    if role.is_some() || (chosen.is_some() && !own) {
        require_fresh_password(turn, member)?;
    }
    if let (true, Some(current)) = (chosen.is_some(), current)
        && !turn.check_password(&person.email, &current, Some(&person.password))?
    {
        note(turn, member, "session.refused", &person.id, Value::Null, Value::Null)?;
        return Err(Refusal::new(Code::InvalidCredentials, "The present password is wrong.").into());
    }
    let stored = match &chosen {
        Some(chosen) => turn.set_password(chosen)?,
        None => person.password.clone(),
    };

    let changed = Person { role: role.unwrap_or(person.role), password: stored, ..person.clone() };
    if role.is_none() && chosen.is_none() {
        return Ok(Outcome::ok(json!({ "member": person.view() })));
    }
    let columns = [
        ("role", word(changed.role).into()),
        ("password", changed.password.as_str().into()),
        ("updated_at", turn.now.into()),
    ];
    schema::update(turn.db, "members", id, &columns)?;
    // Whoever was signed in with the old role or password is so no longer; only one's own present session stays.
    let spared = if own { member.session.as_str() } else { "" };
    turn.db.run("DELETE FROM sessions WHERE member_id = ? AND hash <> ?", &[id.into(), spared.into()])?;
    let (before, mut after) = audit::difference(&person.view(), &changed.view());
    if let (true, Some(after)) = (chosen.is_some(), after.as_object_mut()) {
        after.insert("passwordChanged".to_owned(), true.into());
    }
    note(turn, member, "member.edit", id, before, after)?;
    Ok(Outcome::ok(json!({ "member": changed.view() })))
}

/// `DELETE /members/{id}`
pub fn remove(turn: &mut Turn<'_>, member: &Member, id: &str) -> Handled {
    require_fresh_password(turn, member)?;
    let person = Person::load(turn.db, &member.tenant.id, id)?.ok_or_else(|| Refusal::not_found("member"))?;
    require_another_owner(turn, &person)?;

    turn.db.run("DELETE FROM sessions WHERE member_id = ?", &[id.into()])?;
    turn.db.run("DELETE FROM members WHERE id = ?", &[id.into()])?;
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

fn require_fresh_password(turn: &Turn<'_>, member: &Member) -> Result<(), Refusal> {
    if turn.policy.admin.step_up_roles { member.require_fresh_password(turn.now) } else { Ok(()) }
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
