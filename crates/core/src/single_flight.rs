//! Single flight: one call at a time, whose end all wait for that need what it brings.
//!
//! ```
//! use futures::{executor::block_on, future::join};
//! use keyward_core::single_flight::SingleFlight;
//!
//! let flight = SingleFlight::default();
//! flight.begin();
//! let call = async { drop(flight.guard()) };
//! block_on(join(flight.ends(), call));
//! assert!(!flight.is_under_way());
//! ```

use std::{
    cell::RefCell,
    future::poll_fn,
    task::{Poll, Waker},
};

/// Whether a call is under way, and who waits for its end.
#[derive(Debug, Default)]
pub struct SingleFlight(RefCell<Option<Vec<Waker>>>);

/// Held while the call is made. However it ends, all that wait for it are woken together, so that no later caller takes what
/// was asked for an earlier one.
#[derive(Debug)]
#[must_use]
pub struct Guard<'a>(&'a SingleFlight);

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        self.0.0.take().into_iter().flatten().for_each(Waker::wake);
    }
}

impl SingleFlight {
    /// Whether a call is under way.
    pub fn is_under_way(&self) -> bool {
        self.0.borrow().is_some()
    }

    /// A call begins, which [`Self::guard`] ends. To be asked first: [`Self::is_under_way`].
    pub fn begin(&self) {
        self.0.replace(Some(Vec::new()));
    }

    /// For whoever makes the call.
    pub fn guard(&self) -> Guard<'_> {
        Guard(self)
    }

    /// Waits for the end of the call that is under way, also if another one has begun by then.
    pub async fn ends(&self) {
        let mut is_waiting = false;
        poll_fn(|context| match self.0.borrow_mut().as_mut() {
            Some(waiting) if !is_waiting => {
                is_waiting = true;
                waiting.push(context.waker().clone());
                Poll::Pending
            }
            _ => Poll::Ready(()),
        })
        .await;
    }
}
