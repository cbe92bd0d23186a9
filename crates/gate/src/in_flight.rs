//! Bodies that are in memory whole: how long one is waited for, and how many bytes of them an isolate holds at once.
//! Each network, or credential, gets a part. Where room is short, what is still coming gives way: first what comes
//! slowly, then what is of whoever has most of it under way, so that nobody is kept out by those who send slowly, however
//! many they are, nor for what they have sent already.

use std::{cell::RefCell, cmp::Reverse, collections::HashMap, rc::Rc};

use keyward_core::{
    order,
    time::{Span, Timestamp},
};

/// How long a client may take to send such a body.
pub const READ_WITHIN: Span = Span::from_secs(10);

/// A body that has been coming for this long comes slowly.
const SLOW: Span = Span::from_secs(1);

/// What a request takes beside its body, in bytes.
const MIN_BYTES: usize = 4 * 1024;
const MIB: usize = 1 << 20;

/// The room for one kind of bodies, in an isolate.
#[derive(Debug)]
pub struct InFlight {
    kind: &'static str,
    most: usize,
    most_of_one: usize,
    /// In the order in which they came.
    held: Vec<Body>,
    total: usize,
    parts: HashMap<String, usize>,
    next: u64,
}

#[derive(Debug)]
struct Body {
    /// Greater than of those that came before.
    id: u64,
    whose: String,
    bytes: usize,
    /// Since when it is held, and for how long.
    since: Timestamp,
    span: Span,
    is_coming: bool,
}

impl InFlight {
    /// Room for `most` bytes, of which one network or credential may take `most_of_one`.
    pub fn new(kind: &'static str, most: usize, most_of_one: usize) -> Self {
        Self { kind, most, most_of_one, held: Vec::new(), total: 0, parts: HashMap::new(), next: 0 }
    }

    /// For webhooks: 32 MiB of an isolate's 128, and 4 MiB of a network's. One that is larger is there alone of its network.
    pub fn of_webhooks() -> Self {
        Self::new("webhook", 32 * MIB, 4 * MIB)
    }

    /// For copies of bodies of GET and HEAD: 16 MiB, and 4 MiB of a network's.
    pub fn of_copies() -> Self {
        Self::new("copy", 16 * MIB, 4 * MIB)
    }

    /// For calls of the admin API by those who have proved nothing: 4 MiB, and 1 MiB of a network's.
    pub fn of_strangers() -> Self {
        Self::new("stranger", 4 * MIB, MIB)
    }

    /// For calls of the admin API with a session, key or set-up token that is one: 4 MiB, and 1 MiB of a credential's.
    pub fn of_the_known() -> Self {
        Self::new("known", 4 * MIB, MIB)
    }

    /// Takes room for a body that is coming, for this long, or until it is given back: its place, and the places that it took the room
    /// from, whose requests are to be told. `None` if there is none. The runtime ends requests without a word, so that
    /// what is not given back has to end by itself.
    pub fn take(&mut self, whose: &str, bytes: usize, now: Timestamp, span: Span) -> Option<(u64, Vec<u64>)> {
        let bytes = bytes.max(MIN_BYTES);
        let gave_way = self.make_room(whose, bytes, bytes, now)?;
        self.next += 1;
        self.total += bytes;
        *self.parts.entry(whose.to_owned()).or_default() += bytes;
        let id = self.next;
        self.held.push(Body { id, whose: whose.to_owned(), bytes, since: now, span, is_coming: true });
        Some((id, gave_way))
    }

    /// Takes more room, `bytes` in all, for a body that is coming without a declared length.
    pub fn grow(&mut self, id: u64, bytes: usize, now: Timestamp) -> Option<Vec<u64>> {
        let held = self.held(id)?;
        let more = bytes.saturating_sub(held.bytes);
        // It does not give way to itself.
        held.is_coming = false;
        let whose = held.whose.clone();
        let gave_way = self.make_room(&whose, more, bytes, now);
        let held = self.held(id)?;
        held.is_coming = true;
        if gave_way.is_some() {
            held.bytes += more;
            self.total += more;
            *self.parts.entry(whose).or_default() += more;
        }
        gave_way
    }

    /// Makes room for these bytes of a body that has `whole` of them by then.
    fn make_room(&mut self, whose: &str, bytes: usize, whole: usize, now: Timestamp) -> Option<Vec<u64>> {
        let mut gave_way = Vec::new();
        let most_of_one = self.most_of_one.max(whole);
        if self.has_room(whose, bytes, most_of_one) {
            return Some(gave_way);
        }
        let is_over = |held: &&Body| !held.since.is_within(held.span, now);
        gave_way.extend(self.held.iter().filter(is_over).map(|held| held.id));
        gave_way.iter().for_each(|id| self.give_back(*id));
        let stays = || self.held.iter().filter(|held| !held.is_coming);
        let all: usize = stays().map(|held| held.bytes).sum();
        let own: usize = stays().filter(|held| held.whose == whose).map(|held| held.bytes).sum();
        if own + bytes > most_of_one || all + bytes > self.most {
            // Nobody gives way in vain.
            return None;
        }
        // First this sender's own bodies give way to its own limit.
        for id in self.in_order_of_giving_way(Some(whose), now) {
            if self.part_of(whose) + bytes <= most_of_one {
                break;
            }
            self.give_back(id);
            gave_way.push(id);
        }
        for id in self.in_order_of_giving_way(None, now) {
            if self.has_room(whose, bytes, most_of_one) {
                break;
            }
            self.give_back(id);
            gave_way.push(id);
        }
        Some(gave_way)
    }

    fn place_of(&self, id: u64) -> Option<usize> {
        self.held.binary_search_by_key(&id, |held| held.id).ok()
    }

    fn held(&mut self, id: u64) -> Option<&mut Body> {
        let at = self.place_of(id)?;
        self.held.get_mut(at)
    }

    fn part_of(&self, whose: &str) -> usize {
        self.parts.get(whose).copied().unwrap_or_default()
    }

    fn has_room(&self, whose: &str, bytes: usize, most_of_one: usize) -> bool {
        self.total + bytes <= self.most && self.part_of(whose) + bytes <= most_of_one
    }

    /// The bodies that are still coming, of all or of one: slow ones first, then those of whoever has most of them
    /// under way, and the oldest first.
    fn in_order_of_giving_way(&self, whose: Option<&str>, now: Timestamp) -> Vec<u64> {
        let coming = || self.held.iter().filter(|held| held.is_coming);
        let mut under_way: HashMap<&str, usize> = HashMap::new();
        for held in coming() {
            *under_way.entry(&held.whose).or_default() += held.bytes;
        }
        let theirs = coming().filter(|held| whose.is_none_or(|whose| held.whose == whose));
        let ranked = theirs.map(|held| {
            let is_slow = !held.since.is_within(SLOW, now);
            let most = under_way.get(held.whose.as_str()).copied().unwrap_or_default();
            (Reverse((is_slow, most)), held.id)
        });
        order::sorted(ranked).into_iter().map(|(_, id)| id).collect()
    }

    /// The body is here, with `bytes`, and is held for this long; from now on it does not give way. Whether its
    /// place was still its own.
    pub fn has_come(&mut self, id: u64, bytes: usize, now: Timestamp, span: Span) -> bool {
        let Some(held) = self.held(id) else { return false };
        let saved = held.bytes.saturating_sub(bytes.max(MIN_BYTES));
        held.bytes -= saved;
        (held.since, held.span) = (now, span);
        held.is_coming = false;
        let whose = held.whose.clone();
        self.make_free(&whose, saved);
        true
    }

    /// Holds what has come for this long.
    pub fn keep(&mut self, id: u64, now: Timestamp, span: Span) {
        if let Some(held) = self.held(id) {
            (held.since, held.span) = (now, span);
        }
    }

    /// Gives room back.
    pub fn give_back(&mut self, id: u64) {
        if let Some(at) = self.place_of(id) {
            let Body { whose, bytes, .. } = self.held.remove(at);
            self.make_free(&whose, bytes);
        }
    }

    fn make_free(&mut self, whose: &str, bytes: usize) {
        self.total -= bytes;
        if let Some(part) = self.parts.get_mut(whose) {
            *part -= bytes;
            if *part == 0 {
                self.parts.remove(whose);
            }
        }
    }
}

/// Room that is given back when this is dropped.
#[derive(Debug)]
pub struct Room {
    all: Rc<RefCell<InFlight>>,
    id: u64,
}

impl Room {
    /// As [`InFlight::take`]; the places by their names.
    pub fn take(
        all: &Rc<RefCell<InFlight>>,
        whose: &str,
        bytes: usize,
        now: Timestamp,
        span: Span,
    ) -> Option<(Self, Vec<String>)> {
        let (id, gave_way) = all.borrow_mut().take(whose, bytes, now, span)?;
        let room = Self { all: Rc::clone(all), id };
        let names = gave_way.into_iter().map(|id| room.name_of(id)).collect();
        Some((room, names))
    }

    /// As [`InFlight::grow`]; the places by their names.
    pub fn grow(&self, bytes: usize, now: Timestamp) -> Option<Vec<String>> {
        let gave_way = self.all.borrow_mut().grow(self.id, bytes, now)?;
        Some(gave_way.into_iter().map(|id| self.name_of(id)).collect())
    }

    /// The name of this place, which no other has.
    pub fn name(&self) -> String {
        self.name_of(self.id)
    }

    fn name_of(&self, id: u64) -> String {
        format!("{} {id}", self.all.borrow().kind)
    }

    /// As [`InFlight::has_come`].
    pub fn has_come(&self, bytes: usize, now: Timestamp, span: Span) -> bool {
        self.all.borrow_mut().has_come(self.id, bytes, now, span)
    }

    /// As [`InFlight::keep`].
    pub fn keep(&self, now: Timestamp, span: Span) {
        self.all.borrow_mut().keep(self.id, now, span);
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.all.borrow_mut().give_back(self.id);
    }
}
