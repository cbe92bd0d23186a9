//! Bodies that the gate reads or copies, each in the room that it has for them.

use std::{cell::RefCell, rc::Rc};

use js_sys::{Array, Promise, Uint8Array, futures::JsFuture};
use wasm_bindgen::{
    JsCast, JsValue,
    prelude::{Closure, wasm_bindgen},
};
use worker::{Context, web_sys};

use super::{background, clock};
use keyward_core::time::Span;
use keyward_gate::{
    denial::Denial,
    in_flight::{InFlight, Room, Sender},
};

/// How long room is kept beyond what a body may take: whoever reads it gives it back.
const SPARE: Span = Span::from_secs(1);
/// Bytes of a body that are looked at at once.
const PART_BYTES: u32 = 64 * 1024;

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
    /// The pieces of the body, or why there is none.
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
    pub fn take(all: &Bodies, sender: Sender, bytes: usize, span: Span) -> Result<Self, Denial> {
        let taken = Room::take(all, sender, bytes, clock::now(), span);
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
    /// The body, in pieces. Whoever sends it on takes them.
    pub pieces: Array<Uint8Array>,
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

/// Reads a request's body, and shows it piece by piece; `None` if it has none.
///
/// # Errors
/// As [`keyward_gate::request::RequestParts::body`].
pub async fn read(
    (request, context): (&web_sys::Request, &Context),
    (all, sender): (&Bodies, Sender),
    most: usize,
    within: Span,
    mut see: impl FnMut(&[u8]),
) -> Result<Option<Held>, Denial> {
    if request.body().is_none() {
        return Ok(None);
    }
    // It takes room as it comes: what a header says of its length may never come.
    let place = Rc::new(Place::take(all, sender, 0, within + SPARE)?);
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
    let body: Array = body.dyn_into().map_err(|why| no_body(&why))?;
    let pieces: Array<Uint8Array> = body.unchecked_into();
    let length: u32 = pieces.iter().map(|piece| piece.length()).sum();
    if !place.room.has_come(length as usize, clock::now(), SPARE) {
        return Err(Denial::Overloaded);
    }
    // The body is in memory once: here there is a part of it at a time.
    let mut part = Vec::new();
    for piece in pieces.iter() {
        let mut at = 0;
        while at < piece.length() {
            let end = at.saturating_add(PART_BYTES).min(piece.length());
            part.resize((end - at) as usize, 0);
            piece.subarray(at, end).copy_to(&mut part);
            see(&part);
            at = end;
        }
    }
    Ok(Some(Held { pieces, place }))
}
