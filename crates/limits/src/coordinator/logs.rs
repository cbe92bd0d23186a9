//! The logs of a key's windows.

use keyward_json::taken;
use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::{Map, Value};

use crate::limit::{SlidingWindowLog, Window};
use keyward_core::{
    record::{Cost, Limits},
    time::{Span, Timestamp},
};

/// A log for each window that has a limit, and for the minute and the day always. Stored as a member for each, by the
/// window's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logs([Option<SlidingWindowLog>; Window::ALL.len()]);

impl Default for Logs {
    fn default() -> Self {
        Self(Window::ALL.map(|window| is_always_kept(window).then(SlidingWindowLog::default)))
    }
}

fn is_always_kept(window: Window) -> bool {
    matches!(window, Window::Minute | Window::Day)
}

impl Logs {
    /// Takes them out of what was stored.
    ///
    /// # Errors
    /// What cannot be read.
    pub fn taken(stored: &mut Map<String, Value>) -> Result<Self, keyward_json::Error> {
        let mut logs = Self::default();
        for (window, log) in Window::ALL.into_iter().zip(&mut logs.0) {
            if log.is_some() || stored.contains_key(window.name()) {
                *log = Some(taken(stored, window.name())?);
            }
        }
        Ok(logs)
    }

    /// The log of a window, if there is one.
    pub fn get(&self, window: Window) -> Option<&SlidingWindowLog> {
        self.iter().find_map(|(other, log)| (other == window).then_some(log))
    }

    /// Every log, the shortest window first.
    pub fn iter(&self) -> impl Iterator<Item = (Window, &SlidingWindowLog)> {
        Window::ALL.into_iter().zip(&self.0).filter_map(|(window, log)| Some((window, log.as_ref()?)))
    }

    fn iter_mut(&mut self) -> impl Iterator<Item = (Window, &mut SlidingWindowLog)> {
        Window::ALL.into_iter().zip(&mut self.0).filter_map(|(window, log)| Some((window, log.as_mut()?)))
    }

    /// These limits hold. What was admitted before counts in a second or an hour that is new, as far as the minute and the day
    /// tell; a month and a total begin with what is admitted from now on.
    pub fn follow(&mut self, limits: Limits, now: Timestamp) {
        let of = |window| self.get(window).cloned().unwrap_or_default();
        let begins = Window::ALL.map(|window| match (window, self.get(window), limits.get(window)) {
            (_, Some(_), _) | (_, _, None) => None,
            (Window::Second, ..) => Some(of(Window::Minute)),
            (Window::Hour, ..) => Some(of(Window::Day)),
            _ => Some(SlidingWindowLog::since(
                of(Window::Minute).newest().map_or(now, |newest| newest.max(now)),
            )),
        });
        for ((window, log), begun) in Window::ALL.into_iter().zip(&mut self.0).zip(begins) {
            if begun.is_some() {
                *log = begun;
            } else if limits.get(window).is_none() && !is_always_kept(window) {
                *log = None;
            }
        }
    }

    /// Counts units in every window.
    pub fn count(&mut self, limits: Limits, at: Timestamp, requests: u32) {
        for (window, log) in self.iter_mut() {
            log.count(window, limits.get(window).is_some(), at, requests);
        }
    }

    /// Takes a request that was counted at this moment out of every window.
    pub fn cancel(&mut self, at: Timestamp, now: Timestamp, cost: Cost) {
        for (window, log) in self.iter_mut() {
            log.cancel(window, at, now, cost);
        }
    }

    /// Forgets what has left.
    pub fn expire(&mut self, now: Timestamp) {
        for (window, log) in self.iter_mut() {
            log.expire(window, now);
        }
    }

    /// The clock was set ([`SlidingWindowLog::shift`]).
    pub fn shift(&mut self, by: Span, latest: Timestamp) {
        for (window, log) in self.iter_mut() {
            log.shift(window, by, latest);
        }
    }
}

impl Serialize for Logs {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut members = serializer.serialize_map(None)?;
        for (window, log) in self.iter() {
            members.serialize_entry(window.name(), log)?;
        }
        members.end()
    }
}
