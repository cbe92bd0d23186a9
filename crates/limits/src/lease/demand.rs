//! How much an isolate expects to need of a key.

use keyward_core::{
    record::Cost,
    time::{Span, Timestamp},
};

/// Size of a lease in per cent of the predicted demand: a quarter in reserve.
const RESERVE_PERCENT: u64 = 125;
/// Demand is measured over this time. Only a whole period counts, so that one short burst is not taken for steady demand.
pub(super) const DEMAND_PERIOD: Span = Span::from_ms(200);
/// A key with a few requests a second has no or one request in a period. Its demand is the number of periods with a request
/// among this many before the current one, if that is more than half of them: a burst counts as one.
pub(super) const SPARSE_PERIODS: u32 = 5;

/// Recent demand, in units of requests that arrived.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Demand {
    /// When the current period began.
    began: Timestamp,
    /// In the current period.
    present: u32,
    /// In the one before.
    before: u32,
    /// A bit for each period in which there was a request, the lowest for the current one.
    used_periods: u32,
    /// Since a grantor was last asked.
    pub since_asked: u32,
}

impl Demand {
    /// A request arrived.
    pub fn count(&mut self, cost: Cost, now: Timestamp) {
        let since = now - self.began;
        let used_periods = self.used_periods(now);
        if !(Span::ZERO..DEMAND_PERIOD * 2).contains(&since) {
            *self = Self { began: now, present: 0, before: 0, ..*self };
        } else if since >= DEMAND_PERIOD {
            *self = Self { began: self.began + DEMAND_PERIOD, present: 0, before: self.present, ..*self };
        }
        self.used_periods = used_periods | 1;
        self.present = self.present.saturating_add(cost.units());
        self.since_asked = self.since_asked.saturating_add(cost.units());
    }

    /// Units of the last whole period, and of the current one.
    pub fn recent(&self, now: Timestamp) -> (u32, u32) {
        match now - self.began {
            since if since < DEMAND_PERIOD => (self.before, self.present),
            since if since < DEMAND_PERIOD * 2 => (self.present, 0),
            _ => (0, 0),
        }
    }

    /// Of the last whole periods, [`SPARSE_PERIODS`] of them, how many had a request; 0 for no more than half.
    pub fn sparse(&self, now: Timestamp) -> u32 {
        let last = (1 << SPARSE_PERIODS) - 1;
        let used = ((self.used_periods(now) >> 1) & last).count_ones();
        if used * 2 > SPARSE_PERIODS { used } else { 0 }
    }

    /// `used_periods`, as of now.
    fn used_periods(&self, now: Timestamp) -> u32 {
        let passed = u32::try_from((now - self.began) / DEMAND_PERIOD);
        passed.map_or(0, |periods| self.used_periods.checked_shl(periods).unwrap_or(0))
    }
}

/// Predicts how many units will be needed during a lease, with a reserve, from how many arrived within `span`.
pub(super) fn predict(lease_length: Span, arrived: u32, span: Span) -> u32 {
    let wants = u64::from(arrived) * u64::from(lease_length.timer_ms()) * RESERVE_PERCENT
        / 100
        / u64::from(span.timer_ms().max(1));
    u32::try_from(wants).unwrap_or(u32::MAX)
}
