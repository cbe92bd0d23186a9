//! A member's own passkeys: adding, listing and removing them.

use keyward_core::sql;
use serde_json::Value;

use super::{
    authenticator::{AuthenticatorData, NewKey},
    challenge::LIFE,
    cose::COSE_ALGORITHMS,
    passkey::{COLUMNS, NewPasskey, Passkey},
    shown::{Shown, host, id_text},
    sign_in::credentials,
};
use crate::{
    authorise::Authorised,
    context::RequestContext,
    error::{ApiError, Code},
    handler::{HandlerError, HandlerResult},
    ids,
    input::{self, Input},
    members::handlers::note,
    outcome::Outcome,
    principal::{Member, Principal},
    to_json::object,
};

/// Passkeys that a member has at the most.
const MOST_PASSKEYS: u32 = 20;
/// Most characters of a name.
const LONGEST_NAME: usize = 100;

/// What a challenge to make one is for.
fn made_in(member: &Member) -> String {
    format!("make {}", member.session)
}

/// Refuses one more, if there are as many as there may be or the password was not typed lately.
fn require_one_more<'a>(
    context: &RequestContext<'_>,
    member: &'a Member,
) -> Result<Authorised<NewPasskey<'a>>, HandlerError> {
    // Where only an issuer says who may sign in, a passkey must not say so after it has stopped.
    context.require_passwords()?;
    let act = NewPasskey { member_id: &member.id };
    let authorised = context.authorise(&Principal::from(member), act)?;
    let count = "SELECT COUNT(*) FROM passkeys WHERE member_id = ?";
    let there_are = sql::scalar::<u32>(context.db, count, &[member.id.as_str().into()])?;
    if there_are.unwrap_or_default() >= MOST_PASSKEYS {
        let detail = format!("You have {MOST_PASSKEYS} passkeys, which is the most. Remove one first.");
        return Err(ApiError::new(Code::Conflict, detail).into());
    }
    Ok(authorised)
}

/// `POST /passkeys/options`: what a browser needs to make one.
pub fn options(context: &mut RequestContext<'_>, member: &Member, _: &str) -> HandlerResult {
    require_one_more(context, member)?;
    Input::body(&context.call.body, &[])?.finish()?;
    let algorithm = |alg: &i64| object!({ "type": "public-key", "alg": alg });
    let options = object!({
        "rp": object!({ "id": host(context)?, "name": "Keyward" }),
        "user": object!({ "id": id_text(member.id.as_bytes()), "name": member.email, "displayName": member.email }),
        "challenge": context.new_challenge(&made_in(member)),
        "pubKeyCredParams": COSE_ALGORITHMS.iter().map(algorithm).collect::<Vec<_>>(),
        "timeout": LIFE.ms(),
        "excludeCredentials": credentials(context, member)?,
        "authenticatorSelection": object!({
            "residentKey": "required",
            "requireResidentKey": true,
            "userVerification": "required",
        }),
        "attestation": "none",
    });
    Ok(Outcome::ok(object!({ "publicKey": options })))
}

/// `POST /passkeys` (WebAuthn, 7.1). Who made the authenticator is not asked: any that the person chose will do. So the key is taken as
/// it stands in the authenticator's data, and nothing else says what it is.
pub fn add(context: &mut RequestContext<'_>, member: &Member, _: &str) -> HandlerResult {
    let authorised = require_one_more(context, member)?;
    let mut body = Input::body(&context.call.body, &["name", "passkey"])?;
    let name = body.required("name", |value| input::line(value, 1, LONGEST_NAME));
    let shown = body.required("passkey", Shown::read);
    let (Some(name), Some(shown)) = (name, shown) else { return Err(body.refusal().into()) };
    body.finish()?;
    let host = host(context)?;
    let challenge = shown.challenge(context, "webauthn.create", &made_in(member));
    let data = AuthenticatorData::read(&shown.authenticator, host);
    let made = data.and_then(|data| Some((data.new_key()?, data.counter, data.is_synced)));
    let made = made.filter(|(NewKey { id, .. }, ..)| id_text(id) == shown.id);
    let id = ids::id("pky_", context.entropy);
    let (Some(challenge), Some((made, counter, synced))) = (challenge, made) else { return Err(unfit()) };
    let taken = "SELECT 1 FROM passkeys WHERE credential = ?";
    if !context.db.run(taken, &[shown.id.as_str().into()])?.is_empty() {
        return Err(ApiError::new(Code::Conflict, "This passkey was added before.").into());
    }
    if !context.use_challenge(&challenge, &member.id)? {
        return Err(unfit());
    }
    let passkey = Passkey {
        id,
        credential: shown.id,
        tenant_id: member.tenant.id.clone(),
        member_id: member.id.clone(),
        host: host.to_owned(),
        name,
        key: made.key.to_jwk(),
        counter,
        synced,
        created_at: context.now,
        used_at: None,
    };
    authorised.store(context, &passkey)?;
    let view = passkey.view();
    note(context, member, "passkey.create", &passkey.id, Value::Null, view.clone())?;
    Ok(context.created(&format!("/passkeys/{}", passkey.id), object!({ "passkey": view })))
}

fn unfit() -> HandlerError {
    let message = "is none that was made for this page in the last five minutes, with a key that works here and by a person who \
                   was verified. Begin again with `POST /passkeys/options`";
    ApiError::field("passkey", message).into()
}

/// `GET /passkeys`: one's own, in the order they were added.
pub fn list(context: &mut RequestContext<'_>, member: &Member, _: &str) -> HandlerResult {
    let statement = format!(
        "SELECT number AS position, {COLUMNS} FROM passkeys
         WHERE member_id = ? AND tenant_id = ? AND number > ? ORDER BY number LIMIT ?"
    );
    let tenant_id = member.tenant.id.as_str();
    let values = [member.id.as_str().into(), tenant_id.into()];
    let (rows, next) = context.read_page::<Passkey>("passkeys", tenant_id, &statement, &values, 0)?;
    let rows: Vec<Value> = rows.iter().map(Passkey::view).collect();
    Ok(Outcome::ok(object!({ "passkeys": rows, "nextCursor": next })))
}

/// `DELETE /passkeys/{id}`
pub fn remove(context: &mut RequestContext<'_>, member: &Member, id: &str) -> HandlerResult {
    let passkey = Passkey::load(context, member, id)?.ok_or_else(|| ApiError::not_found("passkey"))?;
    context.db.run("DELETE FROM passkeys WHERE id = ?", &[id.into()])?;
    note(context, member, "passkey.delete", id, passkey.view(), Value::Null)?;
    Ok(Outcome::no_content())
}
