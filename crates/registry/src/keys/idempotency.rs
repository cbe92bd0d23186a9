//! `Idempotency-Key` on what makes a key: the same request again within 24 hours gets the same
//! answer, plaintext included, although no plaintext is stored. A key made under an idempotency key
//! takes its characters from an HMAC of a stored random nonce under the deployment's secret, so that
//! a repeat can compute it anew and nobody who reads the database can. Only the caller who made the
//! key may repeat: to anybody else of the tenant its plaintext would be a key that was never theirs. Each repeat that
//! shows a key is audited.

use keyward_core::{
    entropy::{self, Entropy},
    key::{self, hex},
    record::Mode,
    secret::{Secret, Secrets},
    sql::{self, Sql, SqlError, Value as Bound},
    time::{Span, Timestamp},
};
use keyward_policy::KeyFormat;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::{
    call_state::CreatedKey,
    context::RequestContext,
    error::{ApiError, Code},
    handler::HandlerError,
    keys::{
        key::{self as stored_key, Key},
        settings::FIELDS,
    },
    principal::Principal,
    remembered::Remembered,
    rows,
    tenants::tenant::Tenant,
};

const PURPOSE: &str = "keyward idempotent create 1";
/// How long a request is remembered.
pub const LIFE: Span = Span::from_days(1);
const LONGEST_NAME: usize = 255;
/// A setting whose JSON is longer than this is not remembered with an answer: the key's own row has it.
const LONG_BYTES: usize = 256;
/// The member of an answer that is the key.
const KEY: &str = "apiKey";

/// A request that carries an `Idempotency-Key`.
#[derive(Clone, Debug)]
pub struct Token {
    tenant_id: String,
    name: String,
    request: String,
}

/// What was answered before.
pub struct Replay {
    /// The answer's body, without the plaintext.
    pub body: Value,
    /// The plaintext.
    pub plaintext: Secret,
    /// The key that was made, as it is now.
    pub key: Key,
    /// The request, with what was promised then.
    pub token: Remembered,
}

impl Replay {
    /// Whether the key was shown. If not, the request was begun only.
    pub fn is_shown(&self) -> bool {
        self.key.deliver_by.is_none()
    }

    /// The key, to be told and shown.
    pub fn created_key(self) -> CreatedKey {
        CreatedKey { id: self.key.id, plaintext: self.plaintext }
    }
}

struct Row {
    request: String,
    nonce: String,
    key_id: String,
    answer: String,
    promised_at: Option<Timestamp>,
}

keyward_core::from_row!(Row { request, nonce, key_id, answer, promised_at });

/// The characters of a key made under an idempotency key: HMACs of a counter.
struct Derived<'a> {
    secrets: &'a Secrets,
    token: &'a Token,
    nonce: &'a str,
    counter: u64,
}

impl Entropy for Derived<'_> {
    fn fill(&mut self, buffer: &mut [u8]) {
        for chunk in buffer.chunks_mut(32) {
            // Tenant, nonce and counter have a fixed length: no two lists of parts read the same.
            let counter = self.counter.to_be_bytes();
            let parts: [&[u8]; 4] = [
                self.token.tenant_id.as_bytes(),
                self.nonce.as_bytes(),
                &counter,
                self.token.name.as_bytes(),
            ];
            let block = self.secrets.mac(PURPOSE, &parts);
            chunk.iter_mut().zip(block).for_each(|(byte, random)| *byte = random);
            self.counter += 1;
        }
    }
}

impl Token {
    /// The token of this call, if it has one.
    ///
    /// # Errors
    /// INVALID_REQUEST for one that is empty, too long or not visible ASCII.
    pub fn of(context: &RequestContext<'_>, principal: &Principal) -> Result<Option<Self>, ApiError> {
        let Some(name) = context.call.idempotency_key.as_deref() else { return Ok(None) };
        if name.is_empty() || name.len() > LONGEST_NAME || !name.bytes().all(|byte| byte.is_ascii_graphic()) {
            let detail = format!(
                "Idempotency-Key must be 1 to {LONGEST_NAME} visible ASCII characters without spaces."
            );
            return Err(ApiError::new(Code::InvalidRequest, detail));
        }
        let (path, caller, body) = (&context.call.path, principal.actor().view(), &context.call.body);
        let request = hex(&Sha256::digest(format!("{path}\n{caller}\n{body}")));
        Ok(Some(Self { tenant_id: principal.tenant_id().to_owned(), name: name.to_owned(), request }))
    }

    /// What was answered to this request before.
    ///
    /// # Errors
    /// IDEMPOTENCY_MISMATCH if the token was used for another request, or by another caller; CONFLICT if the key has
    /// left the list, or cannot be computed anew, since the secret it was made under is gone.
    pub fn replay(
        &self,
        context: &RequestContext<'_>,
        tenant: &Tenant,
    ) -> Result<Option<Replay>, HandlerError> {
        // The clock was set back: what was remembered ahead of it is so for no longer than what is new.
        let back = "UPDATE idempotency SET created_at = ? WHERE created_at > ?";
        context.db.run(back, &[context.now.into(), context.now.into()])?;
        context.db.run("DELETE FROM idempotency WHERE created_at <= ?", &[(context.now - LIFE).into()])?;
        let row = sql::query_one::<Row>(
            context.db,
            "SELECT request, nonce, key_id, answer, promised_at FROM idempotency WHERE tenant_id = ? AND name = ?",
            &[self.tenant_id.as_str().into(), self.name.as_str().into()],
        )?;
        let Some(row) = row else { return Ok(None) };
        if row.request != self.request {
            let detail = "This Idempotency-Key was used for another request, or by somebody else, within 24 hours. Use a new one.";
            return Err(ApiError::new(Code::IdempotencyMismatch, detail).into());
        }
        let Some(key) = stored_key::load(context.db, &self.tenant_id, &row.key_id)? else {
            let detail = "This request was carried out before. The key that it made has ended since, and has left the list to \
                          make room for newer ones: it cannot be shown again. Make a new one, with a new Idempotency-Key.";
            return Err(ApiError::new(Code::Conflict, detail).into());
        };
        let shown_again = || {
            let format = context.policy.realm(&key.realm)?.key;
            let part = key::tenant_part(&format, &tenant.id, tenant.code.as_deref())?;
            let made = self.make((&format, part), key.settings.mode, context.secrets, &row.nonce);
            (key::storage_hash(&format, context.secrets, made.expose()) == key.hash).then_some(made)
        };
        let Some(plaintext) = shown_again() else {
            let detail = "This request was carried out before, but its key cannot be shown again: \
                          the deployment's secret or the realm's key format has changed since. Rotate it, or make a new one.";
            return Err(ApiError::new(Code::Conflict, detail).into());
        };
        let mut body: Value = keyward_json::parse(&row.answer).unwrap_or_default();
        complete(&mut body, &key.view(tenant, context.policy, context.now));
        let token = Remembered { promised_at: row.promised_at, ..self.remembered() };
        Ok(Some(Replay { body, plaintext, key, token }))
    }

    /// To add to it what the answer promises.
    pub fn remembered(&self) -> Remembered {
        Remembered { tenant_id: self.tenant_id.clone(), name: self.name.clone(), promised_at: None }
    }

    fn make(&self, (format, part): (&KeyFormat, &str), mode: Mode, secrets: &Secrets, nonce: &str) -> Secret {
        let mut entropy = Derived { secrets, token: self, nonce, counter: 0 };
        key::generate(format, part, mode, secrets, &mut entropy)
    }
}

/// Makes the plaintext of a key with this tenant's part. The nonce is `Some` if the call carries a token.
pub fn plaintext(
    context: &mut RequestContext<'_>,
    token: Option<&Token>,
    (format, part): (&KeyFormat, &str),
    mode: Mode,
) -> (Secret, Option<String>) {
    match token {
        Some(token) => {
            let nonce = hex(&entropy::bytes::<16>(context.entropy));
            (token.make((format, part), mode, context.secrets, &nonce), Some(nonce))
        }
        None => (key::generate(format, part, mode, context.secrets, context.entropy), None),
    }
}

/// Puts those settings into a remembered answer that it leaves to `key`, another view of the same key.
/// Whether there were any.
fn complete(answer: &mut Value, key: &Value) -> bool {
    let Some(remembered) = answer.get_mut(KEY).and_then(Value::as_object_mut) else { return false };
    let before = remembered.len();
    for field in FIELDS {
        if let Some(value) = key.get(field) {
            remembered.entry(field).or_insert_with(|| value.clone());
        }
    }
    remembered.len() > before
}

/// Settings of a key change: answers that leave them to its row get them as they were. How much that is counts, as
/// what is set on keys does, for as long as the answer is kept. The answer is how much more that is now.
///
/// # Errors
/// What SQLite says.
pub fn settings_change(db: &dyn Sql, key_id: &str, before: &Value) -> Result<u64, SqlError> {
    struct Row {
        rowid: i64,
        answer: String,
    }
    keyward_core::from_row!(Row { rowid, answer });
    let mut kept: u64 = 0;
    let of_key = "SELECT rowid, answer FROM idempotency WHERE key_id = ?";
    for row in sql::query::<Row>(db, of_key, &[key_id.into()])? {
        let mut answer: Value = keyward_json::parse(&row.answer).unwrap_or_default();
        if complete(&mut answer, before) {
            let answer = answer.to_string();
            let more = u64::try_from(answer.len().saturating_sub(row.answer.len())).unwrap_or_default();
            kept = kept.saturating_add(more);
            let values = [answer.into(), i64::try_from(more).unwrap_or_default().into(), row.rowid.into()];
            db.run("UPDATE idempotency SET answer = ?, kept = kept + ? WHERE rowid = ?", &values)?;
        }
    }
    Ok(kept)
}

/// An answer as it is remembered: without settings that are long, since a repeat takes them from the key. It must not
/// hold the plaintext.
fn stored(answer: &Value) -> Bound {
    let mut answer = answer.clone();
    if let Some(key) = answer.get_mut(KEY).and_then(Value::as_object_mut) {
        key.retain(|name, value| !FIELDS.contains(&name.as_str()) || value.to_string().len() <= LONG_BYTES);
    }
    answer.to_string().into()
}

/// Remembers a request and the key that it made, with what is known of its answer.
pub fn remember(
    context: &RequestContext<'_>,
    token: &Token,
    nonce: String,
    key_id: &str,
    answer: &Value,
) -> Result<(), SqlError> {
    let columns = [
        ("tenant_id", token.tenant_id.as_str().into()),
        ("name", token.name.as_str().into()),
        ("request", token.request.as_str().into()),
        ("nonce", nonce.into()),
        ("key_id", key_id.into()),
        ("answer", stored(answer)),
        ("created_at", context.now.into()),
    ];
    rows::insert(context.db, "idempotency", &columns)
}

/// Remembers the request's whole answer.
pub fn answer(context: &RequestContext<'_>, token: &Token, answer: &Value) -> Result<(), SqlError> {
    let whole = "UPDATE idempotency SET answer = ? WHERE tenant_id = ? AND name = ?";
    let (tenant_id, name) = (token.tenant_id.as_str(), token.name.as_str());
    context.db.run(whole, &[stored(answer), tenant_id.into(), name.into()]).map(drop)
}
