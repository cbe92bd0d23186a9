//! Reading requests and making answers.

use js_sys::{Promise, Reflect, Uint8Array, futures::JsFuture};
use wasm_bindgen::{JsCast, JsValue, prelude::wasm_bindgen};
use worker::{Result, web_sys};

use crate::{admission, cors, denial::Denial, key, pipeline::Caller, refusal::Answer};

#[wasm_bindgen(module = "/src/edge/glue.js")]
extern "C" {
    #[wasm_bindgen(catch, js_name = hasContent)]
    fn has_content(request: &web_sys::Request, milliseconds: u32) -> std::result::Result<Promise, JsValue>;
    #[wasm_bindgen(catch)]
    fn peek(request: &web_sys::Request, most: u32) -> std::result::Result<Promise, JsValue>;
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
    pub fn caller(&self) -> Caller<'_> {
        Caller {
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
    headers: web_sys::Headers,
}

impl<'a> Incoming<'a> {
    /// Of this request, whose body stays as it is.
    pub fn of(request: &'a web_sys::Request) -> Self {
        Self { request, headers: request.headers() }
    }
}

impl admission::Incoming for Incoming<'_> {
    fn header(&self, name: &str) -> Option<String> {
        self.headers.get(name).ok().flatten()
    }

    async fn body(&self, most: usize) -> std::result::Result<Vec<u8>, Denial> {
        let promise = peek(self.request, most as u32).map_err(|_| Denial::Internal)?;
        let bytes = JsFuture::from(promise).await.map_err(|_| Denial::BrokenBody)?;
        bytes.dyn_into::<Uint8Array>().map(|bytes| bytes.to_vec()).map_err(|_| Denial::BodyTooLarge)
    }
}

/// How long content that need not be there is waited for.
const CONTENT_PATIENCE_MS: u32 = 5_000;

/// What is wrong with a request's body, as far as it is seen before the request is counted: a length that no
/// stream of the runtime has, or none where the runtime would forward the request without its body.
pub async fn unfit_body(request: &web_sys::Request) -> Option<Denial> {
    request.body()?;
    let length = request.headers().get("content-length").ok()?;
    if let Some(length) = length {
        let most = js_sys::Number::MAX_SAFE_INTEGER as u64;
        return length.parse::<u64>().map_or(true, |length| length > most).then_some(Denial::BodyTooLarge);
    }
    if !matches!(request.method().as_str(), "GET" | "HEAD") {
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
