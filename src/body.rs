//! Bodies that the gate reads or copies, each in the room that it has for them.

use std::{cell::RefCell, rc::Rc};

use js_sys::{Promise, Uint8Array, futures::JsFuture};
use wasm_bindgen::{
    JsCast, JsValue,
    prelude::{Closure, wasm_bindgen},
};
use worker::{Context, web_sys};

use super::{background, clock};
use keyward_core::time::Span;
use keyward_gate::{
    denial::Denial,
    in_flight::{InFlight, Room},
};

/// How long room is kept beyond what a body may take: whoever reads it gives it back.
const SPARE: Span = Span::from_secs(1);
/// Bytes of a body that are looked at at once.
const PIECE_BYTES: u32 = 64 * 1024;

/// The bodies of one kind that are in flight, and the room for them.
pub type Bodies = Rc<RefCell<InFlight>>;

thread_local! {
    static WEBHOOKS: Bodies = Rc::new(RefCell::new(InFlight::of_webhooks()));
    static COPIES: Bodies = Rc::new(RefCell::new(InFlight::of_copies()));
    static STRANGERS: Bodies = Rc::new(RefCell::new(InFlight::of_strangers()));
    static THE_KNOWN: Bodies = Rc::new(RefCell::new(InFlight::of_the_known()));
}

/// Those of webhooks.
pub fn webhooks() -> Bodies {
    WEBHOOKS.with(Rc::clone)
}

/// The copies that are taken to see where a body ends.
pub fn copies() -> Bodies {
    COPIES.with(Rc::clone)
}

/// Those of admin calls by nobody who has proved who it is.
pub fn strangers() -> Bodies {
    STRANGERS.with(Rc::clone)
}

/// Those of admin calls by somebody who has.
pub fn the_known() -> Bodies {
    THE_KNOWN.with(Rc::clone)
}

#[wasm_bindgen(raw_module = "keyward-body")]
extern "C" {
    #[wasm_bindgen(catch, js_name = read)]
    fn read_all(
        request: &web_sys::Request,
        most: u32,
        milliseconds: u32,
        gives_way: &Promise,
        grow: &Closure<dyn FnMut(u32) -> bool>,
    ) -> Result<Promise, JsValue>;
    #[wasm_bindgen(js_name = takePlace)]
    fn take_place(name: &str) -> Promise;
    #[wasm_bindgen(js_name = leavePlace)]
    fn leave_place(name: &str);
    #[wasm_bindgen(js_name = vacatePlace)]
    fn vacate_place(name: &str);
}

/// Room for a body, until this is dropped, whose request is told when it has to give way.
pub struct Place {
    room: Room,
    name: String,
    gives_way: Promise,
}

impl Place {
    /// Takes it.
    ///
    /// # Errors
    /// [`Denial::Overloaded`]
    pub fn take(all: &Bodies, whose: &str, bytes: usize, span: Span) -> Result<Self, Denial> {
        let taken = Room::take(all, whose, bytes, clock::now(), span);
        let (room, gave_way) = taken.ok_or(Denial::Overloaded)?;
        gave_way.iter().for_each(|name| vacate_place(name));
        let name = room.name();
        Ok(Self { gives_way: take_place(&name), room, name })
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

/// A body that was read, in its room until this is dropped.
pub struct Held {
    /// The body.
    pub bytes: Uint8Array,
    place: Rc<Place>,
}

impl Held {
    /// It is needed for this long.
    pub fn keep(&self, span: Span) {
        self.place.room.keep(clock::now(), span);
    }
}

/// Why there is no body, of which `src/body.js` has the words (`NO_BODY`).
fn no_body(why: &JsValue) -> Denial {
    match why.as_string().as_deref() {
        Some("too large") => Denial::BodyTooLarge,
        Some("late") => Denial::LateBody,
        Some("broken off") => Denial::BrokenBody,
        Some("gave way") => Denial::Overloaded,
        _ => Denial::Internal,
    }
}

/// Reads a request's body, and shows it piece by piece; `None` if it has none. `declared` is the length in bytes that its
/// header says, if it says one.
///
/// # Errors
/// As [`keyward_gate::request::RequestParts::body`].
pub async fn read(
    (request, context): (&web_sys::Request, &Context),
    declared: Option<u64>,
    (all, whose): (&Bodies, &str),
    most: usize,
    within: Span,
    mut see: impl FnMut(&[u8]),
) -> Result<Option<Held>, Denial> {
    if request.body().is_none() {
        return Ok(None);
    }
    let bytes = declared.unwrap_or_default().min(most as u64) as usize;
    let place = Rc::new(Place::take(all, whose, bytes, within + SPARE)?);
    let grow = Closure::new({
        let place = Rc::clone(&place);
        move |bytes: u32| place.grow(bytes as usize)
    });
    let body = read_all(request, most as u32, within.timer_ms(), place.gives_way(), &grow)
        .map_err(|_| Denial::Internal)?;
    let reading = body.clone();
    // Else the runtime would end this with the client's connection, and nobody would give the room back.
    background::keep_request(context, async move {
        let _ = JsFuture::from(reading).await;
    });
    let body = JsFuture::from(body).await.map_err(|_| Denial::Internal)?;
    let body: Uint8Array = body.dyn_into().map_err(|why| no_body(&why))?;
    if !place.room.has_come(body.length() as usize, clock::now(), SPARE) {
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
    Ok(Some(Held { bytes: body, place }))
}
