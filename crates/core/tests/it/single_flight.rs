//! Who waits for a call goes on when that ends, whatever begins next.

use std::{cell::Cell, pin::pin};

use futures::{FutureExt as _, executor::block_on, future::join3};
use keyward_core::single_flight::SingleFlight;

#[test]
fn who_waits_goes_on_when_the_call_ends_also_if_another_has_begun_by_then() {
    let (flight, went_on) = (SingleFlight::default(), Cell::new(0));
    let wait = || async {
        flight.ends().await;
        // The first of them makes the next call, before the other one looks.
        if went_on.replace(went_on.get() + 1) == 0 {
            flight.begin();
        }
    };
    flight.begin();
    let call = async { drop(flight.guard()) };
    block_on(join3(wait(), wait(), call));
    assert_eq!(went_on.get(), 2);
    assert!(flight.is_under_way(), "the next one");
}

#[test]
fn nobody_waits_where_no_call_is_under_way_and_a_call_that_is_dropped_has_ended() {
    let flight = SingleFlight::default();
    block_on(flight.ends());
    flight.begin();
    let guard = flight.guard();
    let mut waits = pin!(flight.ends());
    assert_eq!(waits.as_mut().now_or_never(), None);
    drop(guard);
    assert_eq!(waits.now_or_never(), Some(()));
}
