//! What a caller wants to know of the gate's decisions: why a request would pass or not, which routes a key may call. The
//! Registry checks the question and adds the record; the gate answers ([`keyward_core::question`]).

use std::net::IpAddr;

use keyward_core::{
    key, order,
    question::{Question, SupposedRequest},
    record::Record,
    request_target::RequestTarget,
    route, sql,
};
use keyward_policy::{method, origin::WebOrigin, scope};
use serde_json::Value;

use crate::{
    admin_call::AdminReply,
    context::RequestContext,
    handler::{HandlerError, HandlerResult},
    input::{self, FieldErrors, Input, invalid},
    keys::key::Key,
    outcome::Outcome,
    principal::Principal,
};

/// Longest path, and longest key that anybody may ask about.
const LONGEST: usize = 2_000;
/// Most scopes that one call names.
const MOST_SCOPES: usize = 100;

/// `GET /routes`
pub fn routes(context: &mut RequestContext<'_>, principal: &Principal, _: &str) -> HandlerResult {
    let mut query = Input::query(&context.call.query, &["realm", "keyId", "scopes"]);
    let realm = realm(context, &mut query);
    let key_id = one_of_two(&mut query, "scopes");
    let scopes = query.optional("scopes", scopes);
    query.finish()?;
    let record = match scopes {
        Some(scopes) => {
            let tenant = principal.tenant().of_record();
            Some(Record::live(String::new(), String::new(), tenant, scopes))
        }
        None => record_of_id(context, principal, key_id)?,
    };
    ask(&Question { tenant: principal.tenant().of_record(), realm, request: None, key: None, record })
}

/// `POST /explain`
pub fn explain(context: &mut RequestContext<'_>, principal: &Principal, _: &str) -> HandlerResult {
    let known = ["realm", "host", "method", "path", "keyId", "key", "address", "origin", "sessionId"];
    let mut body = Input::body(&context.call.body, &known)?;
    let realm = realm(context, &mut body);
    let host = text(&mut body, "host", host);
    let methods: Vec<_> = method::USUAL.iter().chain(method::NAMED).map(|name| (*name, *name)).collect();
    let method = body.required("method", |value| input::one_of(value, &methods));
    let path = body.required("path", |value| path(context, value));
    let key_id = one_of_two(&mut body, "key");
    let key = text(&mut body, "key", visible);
    let address = text(&mut body, "address", address);
    let origin = text(&mut body, "origin", origin);
    let session_id = text(&mut body, "sessionId", visible);
    body.finish()?;
    let record = match &key {
        Some(key) => record_of_key(context, principal, key)?,
        None => record_of_id(context, principal, key_id)?,
    };
    let request = SupposedRequest {
        method: method.unwrap_or_default().to_owned(),
        path: path.unwrap_or_default(),
        host,
        address,
        origin,
        session_id,
    };
    ask(&Question { tenant: principal.tenant().of_record(), realm, request: Some(request), key, record })
}

/// The question, in place of an answer: as text, which the whole record is written to anyway.
fn ask(question: &Question) -> HandlerResult {
    Ok(Outcome::ok(serde_json::to_string(question).unwrap_or_default().into()))
}

/// Reads the question that an answer holds; `None` if another build asks it.
pub fn asked(reply: &AdminReply) -> Option<Question> {
    let text: String = keyward_json::from_str(&reply.body).ok()?;
    keyward_json::from_str(&text).ok()
}

fn realm(context: &RequestContext<'_>, input: &mut Input) -> Option<String> {
    let realms: Vec<(&str, &str)> = context.policy.realms.iter().map(|realm| (realm.id, realm.id)).collect();
    input.optional("realm", |value| input::one_of(value, &realms)).map(str::to_owned)
}

/// `keyId`, beside which `other` cannot stand.
fn one_of_two(input: &mut Input, other: &str) -> Option<String> {
    let id = text(input, "keyId", input::text);
    if id.is_some() && text(input, other, input::text).is_some() {
        input.refuse(other, "cannot stand beside keyId: name the one or the other");
    }
    id
}

/// A field that may be left out, as text.
fn text(input: &mut Input, field: &str, read: fn(&Value) -> Result<String, FieldErrors>) -> Option<String> {
    input.optional(field, read)
}

fn record(context: &RequestContext<'_>, principal: &Principal, key: &Key) -> Record {
    let tenant = principal.tenant();
    key.record(tenant, context.policy)
}

fn record_of_id(
    context: &RequestContext<'_>,
    principal: &Principal,
    id: Option<String>,
) -> Result<Option<Record>, HandlerError> {
    let Some(id) = id else { return Ok(None) };
    Ok(Some(record(context, principal, &context.key(principal, &id)?)))
}

/// The record of a key of the principal's tenant. One of another tenant does not exist.
fn record_of_key(
    context: &RequestContext<'_>,
    principal: &Principal,
    key: &str,
) -> Result<Option<Record>, HandlerError> {
    let hashes = context.policy.realms.iter();
    let hashes = hashes.flat_map(|realm| key::names(realm, context.secrets, key));
    for hash in order::distinct(hashes) {
        let own = "SELECT * FROM keys WHERE hash = ? AND tenant_id = ?";
        let values = [hash.as_str().into(), principal.tenant_id().into()];
        if let Some(key) = sql::query_one::<Key>(context.db, own, &values)? {
            return Ok(Some(record(context, principal, &key)));
        }
    }
    Ok(None)
}

/// A host's name or address, perhaps with a port.
fn host(value: &Value) -> Result<String, FieldErrors> {
    let host = input::text(value)?.to_ascii_lowercase();
    let url = format!("https://{host}/");
    let target = RequestTarget::of(&url);
    if host.len() > 255 || !target.has_valid_host || target.authority() != host {
        return invalid("must be a host's name or address, perhaps with a port: api.example.com");
    }
    Ok(host)
}

/// An address, as the platform writes one.
fn address(value: &Value) -> Result<String, FieldErrors> {
    match input::text(value)?.parse::<IpAddr>() {
        Ok(address) => Ok(address.to_string()),
        Err(_) => invalid("must be one address, such as 203.0.113.7 or 2001:db8::7"),
    }
}

/// A web origin, as browsers send it.
fn origin(value: &Value) -> Result<String, FieldErrors> {
    match WebOrigin::parse(&input::text(value)?) {
        Ok(origin) => Ok(origin.to_string()),
        Err(bad) => invalid(bad.to_string()),
    }
}

/// A path and perhaps a query, as a request has it.
fn path(context: &RequestContext<'_>, value: &Value) -> Result<String, FieldErrors> {
    let path = visible(value)?;
    if !path.starts_with('/') || path.contains(['#', ' ']) {
        return invalid("must begin with / and be percent-encoded, without # or spaces: /api/orders?limit=5");
    }
    let url = format!("https://any{path}");
    if route::builtin_route(context.policy, RequestTarget::of(&url)).is_some() {
        return invalid("is one of the gate's own, about which no realm decides");
    }
    Ok(path)
}

/// What a header can hold. Nothing of it stands in an error: it may be a key.
fn visible(value: &Value) -> Result<String, FieldErrors> {
    let text = input::text(value)?;
    if !(1..=LONGEST).contains(&text.len()) || !text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return invalid(format!("must be 1 to {LONGEST} visible ASCII characters"));
    }
    Ok(text)
}

/// Scopes with commas between; none is no scope.
fn scopes(value: &Value) -> Result<Vec<String>, FieldErrors> {
    let text = input::text(value)?;
    let scopes: Vec<&str> = text.split(',').filter(|scope| !scope.is_empty()).collect();
    if scopes.len() > MOST_SCOPES || !scopes.iter().all(|scope| scope::is_held_form(scope)) {
        let example = "orders:read,orders:write, with area:* and * for many";
        return invalid(format!("must be at most {MOST_SCOPES} scopes with commas between: {example}"));
    }
    Ok(scopes.into_iter().map(str::to_owned).collect())
}
