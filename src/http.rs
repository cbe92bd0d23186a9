//! Reading requests and making answers.

use std::{
    cell::{OnceCell, RefCell},
    rc::Rc,
};

use js_sys::{Promise, Reflect, Uint8Array, futures::JsFuture};
use wasm_bindgen::{
    JsCast, JsValue,
    prelude::{Closure, wasm_bindgen},
};
use worker::{Context, Result, web_sys};

use super::clock;
use keyward_core::{key, network, time::SECOND};
use keyward_gate::{
    admission,
    client_info::ClientInfo,
    cors,
    denial::Denial,
    in_flight::{InFlight, Room},
    refusal::Answer,
    webhook,
};

thread_local! {
    static WEBHOOKS: Rc<RefCell<InFlight>> = Rc::new(RefCell::new(InFlight::of_webhooks()));
    static COPIES: Rc<RefCell<InFlight>> = Rc::new(RefCell::new(InFlight::of_copies()));
    static STRANGERS: Rc<RefCell<InFlight>> = Rc::new(RefCell::new(InFlight::of_strangers()));
    static THE_KNOWN: Rc<RefCell<InFlight>> = Rc::new(RefCell::new(InFlight::of_the_known()));
}

#[wasm_bindgen(module = "/src/glue.js")]
extern "C" {
    #[wasm_bindgen(catch, js_name = hasContent)]
    fn has_content(request: &web_sys::Request, milliseconds: u32) -> std::result::Result<Promise, JsValue>;
}

#[wasm_bindgen(module = "/src/body.js")]
extern "C" {
    #[wasm_bindgen(catch)]
    fn read(
        request: &web_sys::Request,
        most: u32,
        milliseconds: u32,
        gives_way: &Promise,
        grow: &Closure<dyn FnMut(u32) -> bool>,
    ) -> std::result::Result<Promise, JsValue>;
    #[wasm_bindgen(js_name = takePlace)]
    fn take_place(name: &str) -> Promise;
    #[wasm_bindgen(js_name = leavePlace)]
    fn leave_place(name: &str);
    #[wasm_bindgen(js_name = vacatePlace)]
    fn vacate_place(name: &str);
    #[wasm_bindgen(catch)]
    fn answer(
        request: &web_sys::Request,
        status: u16,
        headers: Vec<String>,
        text: &str,
    ) -> std::result::Result<web_sys::Response, JsValue>;
}

/// What the gate reads of every request. A header read crosses into JavaScript, so only these are.
pub struct Client {
    /// The method, in upper case as sent.
    pub method: String,
    /// The address, as the platform tells it; what a client says of itself is not read.
    pub address: Option<String>,
    /// The `Origin` header.
    pub origin: Option<String>,
    /// Whether there is an `Upgrade` header, read for GET only.
    upgrades: bool,
    /// `Access-Control-Request-Method`, read for OPTIONS only.
    requested_method: Option<String>,
    headers: web_sys::Headers,
}

impl Client {
    /// Reads them.
    pub fn of(request: &web_sys::Request) -> Result<Self> {
        let headers = request.headers();
        let method = request.method();
        let requested_method =
            if method == "OPTIONS" { headers.get("access-control-request-method")? } else { None };
        let upgrades = method == "GET" && headers.has("upgrade")?;
        Ok(Self {
            upgrades,
            address: headers.get("cf-connecting-ip")?,
            origin: headers.get("origin")?,
            method,
            requested_method,
            headers,
        })
    }

    /// `Accept`, which only refusals look at.
    pub fn accept(&self) -> Option<String> {
        self.headers.get("accept").ok().flatten()
    }

    /// `Destination`, which only COPY and MOVE have (RFC 4918, section 10.3).
    pub fn destination(&self) -> Option<String> {
        let has_one = matches!(self.method.as_str(), "COPY" | "MOVE");
        has_one.then(|| self.headers.get("destination").ok().flatten()).flatten()
    }

    /// What a check looks at.
    pub fn caller(&self) -> ClientInfo<'_> {
        ClientInfo {
            method: &self.method,
            upgrades: self.upgrades,
            address: self.address.as_deref(),
            origin: self.origin.as_deref(),
            tenant: None,
        }
    }

    /// Whether this is a CORS preflight.
    pub fn is_preflight(&self) -> bool {
        cors::is_preflight(&self.method, self.origin.as_deref(), self.requested_method.as_deref())
    }
}

/// A request as the pure half looks at it.
pub struct Incoming<'a> {
    request: &'a web_sys::Request,
    context: &'a Context,
    headers: web_sys::Headers,
    room: Rc<RefCell<InFlight>>,
    whose: String,
    /// Whether the body itself is needed once it has been shown.
    is_kept: bool,
    held: OnceCell<(Option<Uint8Array>, Rc<Place>)>,
}

impl<'a> Incoming<'a> {
    /// Of this request to a realm.
    pub fn of(request: &'a web_sys::Request, context: &'a Context) -> Self {
        let (headers, held) = (request.headers(), OnceCell::new());
        let whose = network_of(&headers);
        Self { request, context, headers, room: WEBHOOKS.with(Rc::clone), whose, is_kept: true, held }
    }

    /// Of this request to the admin API; with what proves that it is made by somebody here, if anything does.
    pub fn of_admin_call(request: &'a web_sys::Request, context: &'a Context, proof: Option<String>) -> Self {
        let (headers, held) = (request.headers(), OnceCell::new());
        let room = if proof.is_some() { &THE_KNOWN } else { &STRANGERS }.with(Rc::clone);
        let whose = proof.unwrap_or_else(|| network_of(&headers));
        Self { request, context, headers, room, whose, is_kept: false, held }
    }

    /// Holds the room of what was read for `milliseconds` more, or until this is dropped. The body, if it was
    /// kept.
    pub fn hold(&self, milliseconds: u32) -> Option<&Uint8Array> {
        let (body, place) = self.held.get()?;
        place.room.keep_until(clock::now().plus(milliseconds.into()));
        body.as_ref()
    }
}

/// The network that a request comes from.
fn network_of(headers: &web_sys::Headers) -> String {
    network::of(&headers.get("cf-connecting-ip").ok().flatten().unwrap_or_default())
}

/// Room for a body, until this is dropped, whose request is told when it has to give way.
pub struct Place {
    room: Room,
    name: String,
    gives_way: Promise,
}

impl Place {
    fn take(
        all: &Rc<RefCell<InFlight>>,
        whose: &str,
        bytes: usize,
        milliseconds: i64,
    ) -> std::result::Result<Self, Denial> {
        let now = clock::now();
        let taken = Room::take(all, whose, bytes, now, now.plus(milliseconds));
        let (room, gave_way) = taken.ok_or(Denial::Overloaded)?;
        gave_way.iter().for_each(|name| vacate_place(name));
        let name = room.name();
        Ok(Self { gives_way: take_place(&name), room, name })
    }

    /// For the copy of a body that is taken to see where it ends, if one is ([`unfit_body`]).
    ///
    /// # Errors
    /// [`Denial::Overloaded`]
    pub fn of_copy(
        request: &web_sys::Request,
        milliseconds: i64,
    ) -> std::result::Result<Option<Self>, Denial> {
        if !is_copied(request) || request.body().is_none() {
            return Ok(None);
        }
        let headers = request.headers();
        let bytes = said_length(&headers).unwrap_or_default();
        COPIES.with(|all| Self::take(all, &network_of(&headers), bytes, milliseconds)).map(Some)
    }

    /// Takes more room, `bytes` in all; whether there is.
    fn grow(&self, bytes: usize) -> bool {
        let gave_way = self.room.grow(bytes, clock::now());
        gave_way.iter().flatten().for_each(|name| vacate_place(name));
        gave_way.is_some()
    }

    /// Settles when the request has to give way.
    pub fn gives_way(&self) -> &Promise {
        &self.gives_way
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        leave_place(&self.name);
    }
}

/// Whether the runtime sends on the body of such a request by itself, so that the gate sees a copy only.
fn is_copied(request: &web_sys::Request) -> bool {
    matches!(request.method().as_str(), "GET" | "HEAD")
}

/// The length that a request says its body has. Of what is no number nobody knows how much comes.
fn said_length(headers: &web_sys::Headers) -> Option<usize> {
    let length = headers.get("content-length").ok().flatten()?;
    Some(length.parse::<u64>().ok().and_then(|length| length.try_into().ok()).unwrap_or(usize::MAX))
}

/// Bytes of a body that are looked at at once.
const PIECE_BYTES: u32 = 64 * 1024;

impl admission::RequestParts for Incoming<'_> {
    fn header(&self, name: &str) -> Option<String> {
        self.headers.get(name).ok().flatten()
    }

    async fn body(
        &self,
        most: usize,
        within_ms: i64,
        mut see: impl FnMut(&[u8]),
    ) -> std::result::Result<(), Denial> {
        if self.request.body().is_none() {
            return Ok(());
        }
        let bytes = said_length(&self.headers).unwrap_or_default().min(most);
        let place = Rc::new(Place::take(&self.room, &self.whose, bytes, within_ms + SECOND)?);
        let grow = Closure::new({
            let place = Rc::clone(&place);
            move |bytes: u32| place.grow(bytes as usize)
        });
        let body = read(self.request, most as u32, within_ms as u32, &place.gives_way, &grow)
            .map_err(|_| Denial::Internal)?;
        let reading = body.clone();
        // Else the runtime would end this with the client's connection, and nobody would give the room back.
        self.context.wait_until(async move {
            let _ = JsFuture::from(reading).await;
        });
        let body = JsFuture::from(body).await.map_err(|_| Denial::Internal)?;
        let body: Uint8Array = body.dyn_into().map_err(|why| match why.as_string().as_deref() {
            Some("too large") => Denial::BodyTooLarge,
            Some("late") => Denial::LateBody,
            Some("broken off") => Denial::BrokenBody,
            Some("gave way") => Denial::Overloaded,
            _ => Denial::Internal,
        })?;
        if !place.room.has_come(body.length() as usize, clock::now().plus(SECOND)) {
            return Err(Denial::Overloaded);
        }
        // The body is in memory once: here there is a piece of it at a time.
        let mut piece = Vec::new();
        let mut at = 0;
        while at < body.length() {
            let end = at.saturating_add(PIECE_BYTES).min(body.length());
            piece.resize((end - at) as usize, 0);
            body.subarray(at, end).copy_to(&mut piece);
            see(&piece);
            at = end;
        }
        self.held.set((self.is_kept.then_some(body), place)).map_err(|_| Denial::Internal)
    }
}

/// How long content that need not be there is waited for.
const CONTENT_PATIENCE_MS: u32 = 5_000;

/// What is wrong with a request's body, as far as it is seen before the request is counted: a length that no
/// stream of the runtime has, or one of which the gate would hold too much, or none where the runtime would forward
/// the request without its body.
pub async fn unfit_body(request: &web_sys::Request) -> Option<Denial> {
    request.body()?;
    let length = request.headers().get("content-length").ok()?;
    let is_copied = is_copied(request);
    if let Some(length) = length {
        // To see where the body of a GET ends, the gate takes a copy, of which it may have to hold all.
        let most =
            if is_copied { webhook::MOST_BYTES as u64 } else { js_sys::Number::MAX_SAFE_INTEGER as u64 };
        return length.parse::<u64>().map_or(true, |length| length > most).then_some(Denial::BodyTooLarge);
    }
    if !is_copied {
        return None;
    }
    let has_content = match has_content(request, CONTENT_PATIENCE_MS) {
        Ok(promise) => JsFuture::from(promise).await.map_or(true, |has| has.is_truthy()),
        Err(_) => true,
    };
    has_content.then_some(Denial::LengthRequired)
}

/// The version of TLS that a request came over, as the platform names it: `TLSv1.3`.
pub fn tls_version(request: &web_sys::Request) -> Option<String> {
    let cf = Reflect::get(request, &"cf".into()).ok()?;
    Reflect::get(&cf, &"tlsVersion".into()).ok()?.as_string()
}

/// An answer of the gate's own.
pub fn respond(answer: &Answer) -> Result<web_sys::Response> {
    let headers = web_sys::Headers::new()?;
    for (name, value) in &answer.headers {
        headers.append(name, value)?;
    }
    let init = web_sys::ResponseInit::new();
    init.set_status(answer.status);
    init.set_headers(&headers);
    let body = (!answer.body.is_empty()).then_some(answer.body.as_str());
    Ok(web_sys::Response::new_with_opt_str_and_init(body, &init)?)
}

/// An answer of the gate's own to this request, of which a body may still be coming.
pub fn respond_to(request: &web_sys::Request, answer: &Answer) -> Result<web_sys::Response> {
    if request.body().is_none() {
        return respond(answer);
    }
    let headers = answer.headers.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
    respond_with(request, answer.status, headers.collect(), &answer.body)
}

/// The same, in parts.
pub fn respond_with(
    request: &web_sys::Request,
    status: u16,
    headers: Vec<(String, String)>,
    body: &str,
) -> Result<web_sys::Response> {
    let headers = headers.into_iter().flat_map(|(name, value)| [name, value]).collect();
    Ok(answer(request, status, headers, body)?)
}

/// `GET /healthz`: the Worker runs. Asks nobody else, so that it says only that.
pub fn health(method: &str) -> Result<web_sys::Response> {
    let (status, body) = match method {
        "GET" => (200, format!("{{\"status\":\"ok\",\"version\":\"{}\"}}", env!("CARGO_PKG_VERSION"))),
        "HEAD" => (200, String::new()),
        _ => (405, String::new()),
    };
    let mut headers =
        vec![("Content-Type", "application/json".to_owned()), ("Cache-Control", "no-store".to_owned())];
    if status == 405 {
        headers.push(("Allow", "GET, HEAD".to_owned()));
    }
    respond(&Answer { status, headers, body })
}

/// A new id for one request: 128 random bits.
pub fn request_id() -> String {
    let mut bytes = [0; 16];
    super::settings::OsEntropy.fill_bytes(&mut bytes);
    key::hex(&bytes)
}

/// Names and values, one after the other, an entry a line: one string crosses where a list would cross
/// entry by entry. No header field holds a line break: the platform takes none in and none is made here.
pub fn flat(fields: &[(&str, String)]) -> String {
    let mut text = String::new();
    for part in fields.iter().flat_map(|(name, value)| [*name, value.as_str()]) {
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(part);
    }
    text
}
