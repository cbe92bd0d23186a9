//! Work that is often done at once: it needs no promise then, and no task.

use std::{
    future::poll_fn,
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
};

use futures_util::task::AtomicWaker;
use js_sys::futures::future_to_promise;
use wasm_bindgen::JsValue;

use super::clock;

/// Wakes the task that goes on with what was begun without one.
#[derive(Default)]
struct Relay(AtomicWaker);

impl Wake for Relay {
    fn wake(self: Arc<Self>) {
        self.0.wake();
    }
}

/// The result, if the work waits for nothing; else the promise of it. What was begun goes on: nothing is done twice.
pub fn result_or_promise(work: impl Future<Output = JsValue> + 'static) -> JsValue {
    let mut work: Pin<Box<dyn Future<Output = JsValue>>> = Box::pin(work);
    let relay = Arc::new(Relay::default());
    // It is known to some things that wait from the beginning, and to them for good.
    let waker = Waker::from(Arc::clone(&relay));
    let begun = clock::standing_still(|| work.as_mut().poll(&mut Context::from_waker(&waker)));
    if let Poll::Ready(result) = begun {
        return result;
    }
    let rest = poll_fn(move |context| {
        relay.0.register(context.waker());
        work.as_mut().poll(&mut Context::from_waker(&waker))
    });
    future_to_promise(AssertUnwindSafe(async move { Ok(rest.await) })).into()
}
