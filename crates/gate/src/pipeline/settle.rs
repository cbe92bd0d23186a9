//! Tells objects of [requests that are open](super::open): that they are still in flight, that they have ended, and what they
//! have used of their budgets.

use std::pin::pin;

use futures_util::future::{Either, join, join_all, select};
use keyward_policy::KeyRequirement;

use super::{
    cached_record::CachedRecord,
    call::{dependency, owner},
    charge::CountedBy,
    context::Pipeline,
    open::{Open, Place},
    pool::Charge,
};
use crate::platform::Platform;
use keyward_core::{time::Span, unavailable::Unavailable};
use keyward_limits::{
    lease::Grantor,
    timing::{BACKGROUND_ANSWER, GOES_ON, IN_FLIGHT},
    wire::{CoordinatorCall, Found},
};

/// Most attempts to say that a request has ended, or what it has used.
const MAX_ATTEMPTS: usize = 3;
/// The pause between two.
const PAUSE: Span = Span::from_secs(1);

/// What an answer says that its request has used. Anything but a whole number says nothing: then all of it counts as used.
fn units(text: &str) -> Option<u32> {
    let is_number = (1..=19).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    let number: u64 = is_number.then(|| text.parse().ok()).flatten()?;
    Some(u32::try_from(number).unwrap_or(u32::MAX))
}

impl<P: Platform> Pipeline<'_, P> {
    /// The request with this key that was charged so, if there is more to hear of it.
    pub(super) fn open(
        &self,
        cached: &CachedRecord,
        charge: &Charge,
        requirement: &KeyRequirement,
    ) -> Option<Open> {
        let budget = requirement.budget;
        let header = budget.and_then(|budget| budget.header).map(str::to_owned);
        let reserve = budget.map_or(0, |_| requirement.cost.units());
        let by_call = budget.is_some_and(|budget| budget.call);
        let place = |hash: &str, counted_by, in_flight| match counted_by {
            CountedBy::Coordinator { call, .. } if budget.is_some() || in_flight => {
                Some(Place { call, hash: hash.to_owned(), in_flight })
            }
            _ => None,
        };
        let in_flight = self.is_counted_in_flight(&cached.record);
        let of_key = charge.counted_by.and_then(|counted_by| place(&cached.hash, counted_by, in_flight));
        let of_pool = charge.pool.as_ref();
        let of_pool = of_pool.and_then(|pool| place(&pool.name, pool.counted_by, pool.in_flight));
        let places: Vec<_> = of_key.into_iter().chain(of_pool).collect();
        (!places.is_empty()).then_some(Open { header, reserve, by_call, places })
    }

    /// Says what there is to say of a request, until it has ended.
    pub async fn follow_open(
        &self,
        request: &Open,
        used: impl Future<Output = Option<String>>,
        ended: impl Future<Output = ()>,
    ) {
        let settle = async {
            if (request.header.is_some() || request.reserve > 0)
                && let Some(used) = used.await.as_deref().and_then(units)
            {
                let settle =
                    |place| self.say_at_last(place, CoordinatorCall::Settle { call: place.call, used });
                join_all(request.places.iter().map(settle)).await;
            }
        };
        let follow = async {
            if request.places.iter().any(|place| place.in_flight) {
                self.follow_in_flight(&request.places, ended).await;
            }
        };
        join(settle, follow).await;
    }

    /// Takes in what an origin says by a call, with the token that came with a request. Whether that was open somewhere: one of a
    /// caller without limits always is, until its end. `None` for what is no token; no object is asked about that.
    pub async fn settle_by_call(&self, token: &str, used: u32) -> Option<Result<bool, Unavailable>> {
        let (end, places) = Open::of_token(token, self.secrets.as_deref().ok()?)?;
        if end <= self.platform.now() {
            return Some(Ok(false));
        }
        let settle = async |place: &Place| {
            self.say(&place.hash, &CoordinatorCall::Settle { call: place.call, used }).await
        };
        let said = join_all(places.iter().map(settle)).await;
        Some(said.into_iter().try_fold(places.is_empty(), |found, said| Ok(said? || found)))
    }

    /// Says that a request goes on until it has ended, and then that.
    async fn follow_in_flight(&self, places: &[Place], ended: impl Future<Output = ()>) {
        let says = |length| {
            let places = places.iter().filter(|place| place.in_flight);
            places.map(move |place| (place, CoordinatorCall::InFlight { call: place.call, length }))
        };
        let mut ended = pin!(ended);
        while let Either::Right(_) = select(ended.as_mut(), pin!(self.platform.wait(GOES_ON))).await {
            let said = says(IN_FLIGHT).map(async |(place, goes_on)| self.say(&place.hash, &goes_on).await);
            // What an object has given up it does not take back: another one may have the place.
            if join_all(said).await.iter().all(|said| *said == Ok(false)) {
                return;
            }
        }
        join_all(says(Span::ZERO).map(|(place, over)| self.say_at_last(place, over))).await;
    }

    /// Says what is true for good, so that it may be said again.
    async fn say_at_last(&self, place: &Place, said: CoordinatorCall) {
        for _ in 0..MAX_ATTEMPTS {
            if self.say(&place.hash, &said).await.is_ok() {
                return;
            }
            self.platform.wait(PAUSE).await;
        }
    }

    /// Whether the request of which this is said was open.
    async fn say(&self, hash: &str, said: &CoordinatorCall) -> Result<bool, Unavailable> {
        let record = self.memory.borrow().peek(hash);
        let of = dependency(hash, owner(record.as_ref()), Grantor::Coordinator);
        let say =
            async |within| self.platform.coordinator::<Found>(hash, Grantor::Coordinator, said, within).await;
        self.ask_of(of, BACKGROUND_ANSWER, say).await.map(|answer| answer.found)
    }
}
