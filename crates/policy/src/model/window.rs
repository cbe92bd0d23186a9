//! The windows that a limit may have, in one list: whatever concerns all of them goes through it.

use serde::{Deserialize, Serialize};

use super::data::policy_data;
use crate::Span;

policy_data! {
/// A window: a limit is a number of requests in each.
#[derive(PartialOrd, Ord)]
pub enum Window {
    /// Any second.
    Second,
    /// Any 60 seconds.
    Minute,
    /// Any 3,600 seconds.
    Hour,
    /// Any 86,400 seconds.
    Day,
    /// A month of the calendar, in UTC.
    Month,
    /// All time.
    Total,
    /// No window, but a limit that is set as theirs are: of requests at the same time.
    InFlight,
}
}

/// Most requests that a key may have in flight: each is stored while it is.
pub const MOST_IN_FLIGHT: u32 = 1_000;

impl Window {
    /// Every window, the shortest first.
    pub const ALL: [Self; 6] = [Self::Second, Self::Minute, Self::Hour, Self::Day, Self::Month, Self::Total];

    /// Every limit that may be set.
    pub const LIMITS: [Self; 7] =
        [Self::Second, Self::Minute, Self::Hour, Self::Day, Self::Month, Self::Total, Self::InFlight];

    /// Its length, if that is always the same.
    pub const fn length(self) -> Option<Span> {
        Some(match self {
            Self::Second => Span::from_secs(1),
            Self::Minute => Span::from_mins(1),
            Self::Hour => Span::from_hours(1),
            Self::Day => Span::from_days(1),
            Self::Month | Self::Total | Self::InFlight => return None,
        })
    }

    /// The largest limit that can be set, whatever a realm's maximum.
    pub const fn most(self) -> u32 {
        match self {
            Self::InFlight => MOST_IN_FLIGHT,
            _ => u32::MAX,
        }
    }

    /// Its name in messages and in the `RateLimit` fields.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Second => "second",
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Month => "month",
            Self::Total => "total",
            Self::InFlight => "in-flight",
        }
    }

    /// Its limit's name in the policy and in tables.
    pub const fn setting(self) -> &'static str {
        match self {
            Self::Second => "per_second",
            Self::Minute => "per_minute",
            Self::Hour => "per_hour",
            Self::Day => "per_day",
            Self::Month => "per_month",
            Self::Total => "total",
            Self::InFlight => "in_flight",
        }
    }

    /// Its limit's name in JSON.
    pub const fn field(self) -> &'static str {
        match self {
            Self::Second => "perSecond",
            Self::Minute => "perMinute",
            Self::Hour => "perHour",
            Self::Day => "perDay",
            Self::Month => "perMonth",
            Self::Total => "total",
            Self::InFlight => "inFlight",
        }
    }

    /// What follows a number of requests: `600 requests a minute`.
    pub const fn phrase(self) -> &'static str {
        match self {
            Self::Second => "a second",
            Self::Minute => "a minute",
            Self::Hour => "an hour",
            Self::Day => "a day",
            Self::Month => "a month",
            Self::Total => "in total",
            Self::InFlight => "at the same time",
        }
    }
}

policy_data! {
/// Requests in each window; `None` is no limit.
#[derive(Default)]
pub struct Windows {
    /// In any second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_second: Option<u32>,
    /// In any 60 seconds.
    pub per_minute: Option<u32>,
    /// In any 3,600 seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_hour: Option<u32>,
    /// In any 86,400 seconds.
    pub per_day: Option<u32>,
    /// In a month of the calendar, in UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_month: Option<u32>,
    /// In all time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<u32>,
    /// At the same time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_flight: Option<u32>,
}
}

/// Access by window to a struct that has a limit for each.
#[macro_export]
macro_rules! by_window {
    ($name:ident) => {
        impl $name {
            /// The limit of a window.
            pub const fn get(&self, window: $crate::Window) -> Option<u32> {
                match window {
                    $crate::Window::Second => self.per_second,
                    $crate::Window::Minute => self.per_minute,
                    $crate::Window::Hour => self.per_hour,
                    $crate::Window::Day => self.per_day,
                    $crate::Window::Month => self.per_month,
                    $crate::Window::Total => self.total,
                    $crate::Window::InFlight => self.in_flight,
                }
            }

            /// For each window this limit.
            pub fn each(mut limit: impl FnMut($crate::Window) -> Option<u32>) -> Self {
                Self {
                    per_second: limit($crate::Window::Second),
                    per_minute: limit($crate::Window::Minute),
                    per_hour: limit($crate::Window::Hour),
                    per_day: limit($crate::Window::Day),
                    per_month: limit($crate::Window::Month),
                    total: limit($crate::Window::Total),
                    in_flight: limit($crate::Window::InFlight),
                }
            }
        }
    };
}

by_window!(Windows);

impl Windows {
    /// Every window that has a limit, the shortest first.
    pub fn set(&self) -> impl Iterator<Item = (Window, u32)> {
        Window::ALL.into_iter().filter_map(|window| Some((window, self.get(window)?)))
    }

    /// Windows of which the shorter can never be full, since the longer takes less. A total is none of them: it is topped up.
    pub fn contradictions(&self) -> impl Iterator<Item = [(Window, u32); 2]> {
        let sliding = || self.set().filter(|(window, _)| *window != Window::Total);
        sliding().zip(sliding().skip(1)).map(<[_; 2]>::from).filter(|[shorter, longer]| longer.1 < shorter.1)
    }
}

/// The units that a request counts as in every window of its key. 1 unless something says more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "u32")]
pub struct Cost(u32);

impl Cost {
    /// What a request costs of which nothing is said.
    pub const ONE: Self = Self(1);

    /// This many units, at least one.
    pub const fn new(units: u32) -> Self {
        if units == 0 { Self::ONE } else { Self(units) }
    }

    /// Whether it is that of most requests, which is left out where costs are written.
    pub fn is_one(&self) -> bool {
        *self == Self::ONE
    }

    /// How many units.
    pub const fn units(self) -> u32 {
        self.0
    }
}

impl Default for Cost {
    fn default() -> Self {
        Self::ONE
    }
}

impl From<u32> for Cost {
    fn from(units: u32) -> Self {
        Self::new(units)
    }
}
