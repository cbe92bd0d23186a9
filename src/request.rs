//! The runtime's request as [`keyward_gate::request::RequestParts`].

use std::{cell::OnceCell, ops::Range};

use js_sys::{Array, Promise, Reflect, Uint8Array, futures::JsFuture};
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};
use worker::{Context, web_sys};

use super::{
    body::{self, Bodies, Held},
    policy,
};
use keyward_core::{network, time::Span};
use keyward_gate::{denial::Denial, hint, in_flight::Sender, request::RequestParts};

#[wasm_bindgen(module = "/src/glue.js")]
extern "C" {
    #[wasm_bindgen(catch, js_name = hasContent)]
    fn has_content(request: &web_sys::Request, milliseconds: u32) -> Result<Promise, JsValue>;
    #[wasm_bindgen(js_name = valuesOf)]
    fn values_of(request: &web_sys::Request, names: &str) -> String;
    #[wasm_bindgen(js_name = coloOf)]
    fn colo_of(request: &web_sys::Request) -> Option<String>;
    #[wasm_bindgen(js_name = countryOf)]
    fn country_of(request: &web_sys::Request) -> Option<String>;
}

/// A request as it came in.
pub struct WebRequest<'a> {
    /// The runtime's.
    pub raw: web_sys::Request,
    /// What it came with.
    pub context: &'a Context,
    head: Lines,
    /// Of the headers whose values the head has, the names.
    names: &'static [&'static str],
    /// The values of the headers of [`hint::ELSEWHERE`], once one of them is asked for: then most of them are.
    elsewhere: OnceCell<Lines>,
    held: OnceCell<Held>,
}

/// Lines of text, which crosses once.
#[derive(Default)]
struct Lines {
    text: String,
    lines: Vec<Range<usize>>,
}

/// Lines of the head before the headers: the method, the URL, and `1` if there is a body.
const BEFORE_HEADERS: usize = 3;

/// Stands for a header that there is none of, which an empty one is not.
const NONE: &str = "\0";

impl Lines {
    /// The lines, if there are exactly `count`: a value that held a line break would be taken for two.
    fn of(text: String, count: usize) -> Option<Self> {
        let mut lines = Vec::with_capacity(count);
        let mut from = 0;
        for line in text.split('\n') {
            let to = from + line.len();
            lines.push(from..to);
            from = to + 1;
        }
        (lines.len() == count).then_some(Self { text, lines })
    }

    fn line(&self, number: usize) -> &str {
        self.lines.get(number).and_then(|line| self.text.get(line.clone())).unwrap_or_default()
    }

    fn value(&self, number: usize) -> Option<String> {
        Some(self.line(number)).filter(|value| *value != NONE).map(str::to_owned)
    }
}

impl<'a> WebRequest<'a> {
    /// A request of which `src/entry.js` has gathered the head, with the headers that [`policy::usual_headers`] names.
    pub fn of(head: String, raw: web_sys::Request, context: &'a Context) -> Self {
        let names = policy::usual_headers();
        match Lines::of(head, BEFORE_HEADERS + names.len()) {
            Some(head) => Self::with(head, names, raw, context),
            None => Self::unread(raw, context),
        }
    }

    /// One of which nothing has been gathered.
    pub fn unread(raw: web_sys::Request, context: &'a Context) -> Self {
        let has_body = if raw.body().is_some() { "1" } else { "" };
        let head = Lines::of(format!("{}\n{}\n{has_body}", raw.method(), raw.url()), BEFORE_HEADERS);
        Self::with(head.unwrap_or_default(), &[], raw, context)
    }

    fn with(
        head: Lines,
        names: &'static [&'static str],
        raw: web_sys::Request,
        context: &'a Context,
    ) -> Self {
        Self { raw, context, head, names, elsewhere: OnceCell::new(), held: OnceCell::new() }
    }

    fn elsewhere(&self) -> &Lines {
        self.elsewhere.get_or_init(|| {
            let values = values_of(&self.raw, &hint::ELSEWHERE.join("\n"));
            Lines::of(values, hint::ELSEWHERE.len()).unwrap_or_default()
        })
    }

    /// The network that it comes from.
    pub fn network(&self) -> String {
        network::of(&self.header("cf-connecting-ip").unwrap_or_default())
    }

    /// Reads the body into the room that somebody has for such bodies, and shows it piece by piece; `None` if there is
    /// none.
    ///
    /// # Errors
    /// As [`RequestParts::body`].
    pub async fn read_body(
        &self,
        room: (&Bodies, Sender),
        most: usize,
        within: Span,
        see: impl FnMut(&[u8]),
    ) -> Result<Option<Held>, Denial> {
        body::read((&self.raw, self.context), room, most, within, see).await
    }

    /// Whether the body was read.
    pub fn has_held(&self) -> bool {
        self.held.get().is_some()
    }

    /// The body, if it was read, with its room for this long.
    pub fn held(&self, span: Span) -> Option<&Array<Uint8Array>> {
        let held = self.held.get()?;
        held.keep(span);
        Some(&held.pieces)
    }
}

impl RequestParts for WebRequest<'_> {
    fn method(&self) -> &str {
        self.head.line(0)
    }

    fn url(&self) -> &str {
        self.head.line(1)
    }

    fn header(&self, name: &str) -> Option<String> {
        let place = |names: &[&str]| names.iter().position(|known| *known == name);
        if let Some(at) = place(self.names) {
            return self.head.value(BEFORE_HEADERS + at);
        }
        match place(&hint::ELSEWHERE) {
            Some(at) => self.elsewhere().value(at),
            None => self.raw.headers().get(name).ok().flatten(),
        }
    }

    fn tls_version(&self) -> Option<String> {
        let cf = Reflect::get(&self.raw, &"cf".into()).ok()?;
        Reflect::get(&cf, &"tlsVersion".into()).ok()?.as_string()
    }

    fn country(&self) -> Option<String> {
        country_of(&self.raw)
    }

    fn colo(&self) -> Option<String> {
        colo_of(&self.raw)
    }

    fn has_body(&self) -> bool {
        !self.head.line(2).is_empty()
    }

    async fn has_content(&self, within: Span) -> bool {
        match has_content(&self.raw, within.timer_ms()) {
            Ok(promise) => JsFuture::from(promise).await.map_or(true, |has| has.is_truthy()),
            Err(_) => true,
        }
    }

    async fn body(
        &self,
        most: usize,
        within: Span,
        is_known: bool,
        see: impl FnMut(&[u8]),
    ) -> Result<(), Denial> {
        let sender = Sender { name: self.network(), is_known };
        let read = self.read_body((&body::webhooks(), sender), most, within, see).await?;
        match read {
            None => Ok(()),
            Some(held) => self.held.set(held).map_err(|_| Denial::Internal),
        }
    }
}
