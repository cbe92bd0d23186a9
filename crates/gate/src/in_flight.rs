//! Bodies that are in memory whole: how long one is waited for, and how many bytes of them an isolate holds at once.
//! Room is taken as bytes come, so that a header alone holds nothing. Each network, or credential, gets a part. A body that
//! is larger than the part does not count against it: there may be one of each network beside what is small, and it drives
//! nobody else's out unless its network is known. Where room is short, what is still coming gives way: first what comes
//! slowly, then what is of unknown networks, then what is of whoever has most of it under way. So nobody is kept out by
//! those who send slowly, however many they are, nor for what they have sent already.

use std::{cell::RefCell, cmp::Reverse, collections::HashMap, rc::Rc};

use keyward_core::{
    order,
    time::{Span, Timestamp},
};

/// How long a client may take to send such a body.
pub const READ_WITHIN: Span = Span::from_secs(10);

/// A body comes slowly if it has been coming for longer than this, and as long again for each MiB of it.
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
    next: u64,
}

/// Who sends a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sender {
    /// The network or credential.
    pub name: String,
    /// Whether it has lately sent what was found to be right.
    pub is_known: bool,
}

impl Sender {
    /// Somebody who has sent nothing yet that was found to be right.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), is_known: false }
    }
}

#[derive(Clone, Debug)]
struct Body {
    /// Greater than of those that came before.
    id: u64,
    sender: Sender,
    bytes: usize,
    /// Since when it is held, and for how long.
    since: Timestamp,
    span: Span,
    is_coming: bool,
}

impl Body {
    fn is_slow(&self, now: Timestamp) -> bool {
        let mibs = i64::try_from(self.bytes / MIB).unwrap_or(i64::MAX);
        !self.since.is_within(SLOW + SLOW * mibs, now)
    }
}

impl InFlight {
    /// Room for `most` bytes, of which one network or credential may take `most_of_one`, beside one body that is larger.
    pub fn new(kind: &'static str, most: usize, most_of_one: usize) -> Self {
        Self { kind, most, most_of_one, held: Vec::new(), total: 0, next: 0 }
    }

    /// For webhooks: 32 MiB of an isolate's 128, and 4 MiB of a network's, beside one that is larger.
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
    pub fn take(
        &mut self,
        sender: Sender,
        bytes: usize,
        now: Timestamp,
        span: Span,
    ) -> Option<(u64, Vec<u64>)> {
        let id = self.next + 1;
        let body = Body { id, sender, bytes: bytes.max(MIN_BYTES), since: now, span, is_coming: true };
        let gave_way = self.make_room(&body, body.bytes, now)?;
        self.next = id;
        self.total += body.bytes;
        self.held.push(body);
        Some((id, gave_way))
    }

    /// Takes more room, `bytes` in all, for more of a body that is coming.
    pub fn grow(&mut self, id: u64, bytes: usize, now: Timestamp) -> Option<Vec<u64>> {
        let held = self.held(id)?;
        let more = bytes.saturating_sub(held.bytes);
        let grown = Body { bytes: held.bytes + more, ..held.clone() };
        let gave_way = self.make_room(&grown, more, now)?;
        self.held(id)?.bytes = grown.bytes;
        self.total += more;
        Some(gave_way)
    }

    /// Makes room for `more` bytes, with which `body` is as large as it says.
    fn make_room(&mut self, body: &Body, more: usize, now: Timestamp) -> Option<Vec<u64>> {
        let mut gave_way = Vec::new();
        if self.has_room(body, more, |_| true) {
            return Some(gave_way);
        }
        let is_over = |held: &&Body| held.id != body.id && !held.since.is_within(held.span, now);
        gave_way.extend(self.held.iter().filter(is_over).map(|held| held.id));
        gave_way.iter().for_each(|id| self.give_back(*id));
        let may_drive_out = !self.is_large(body) || body.sender.is_known;
        let gives_way = |all: &Self, held: &Body| {
            held.is_coming && held.id != body.id && (may_drive_out || all.shares_part(held, body))
        };
        if !self.has_room(body, more, |held| !gives_way(self, held)) {
            // Nobody gives way in vain.
            return None;
        }
        // First what counts against the same part.
        for own in [true, false] {
            let goes = |held: &Body| gives_way(self, held) && (!own || self.shares_part(held, body));
            for id in self.in_order_of_giving_way(now, goes) {
                let is_enough = if own {
                    self.part_has_room(body, |_| true)
                } else {
                    self.has_room(body, more, |_| true)
                };
                if is_enough {
                    break;
                }
                self.give_back(id);
                gave_way.push(id);
            }
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

    /// Whether it is larger than all that one may have of what is small.
    fn is_large(&self, body: &Body) -> bool {
        body.bytes > self.most_of_one
    }

    /// Whether `other`, which is not `body`, counts against the same part as it does.
    fn shares_part(&self, other: &Body, body: &Body) -> bool {
        other.id != body.id
            && other.sender.name == body.sender.name
            && self.is_large(other) == self.is_large(body)
    }

    /// Whether `body` fits beside those that stay.
    fn has_room(&self, body: &Body, more: usize, stays: impl Fn(&Body) -> bool) -> bool {
        let gone: usize = self.held.iter().filter(|held| !stays(held)).map(|held| held.bytes).sum();
        self.total - gone + more <= self.most && self.part_has_room(body, stays)
    }

    /// Whether its sender's part has room for `body` beside those that stay.
    fn part_has_room(&self, body: &Body, stays: impl Fn(&Body) -> bool) -> bool {
        let mut others = self.held.iter().filter(|held| self.shares_part(held, body) && stays(held));
        if self.is_large(body) {
            return others.next().is_none();
        }
        others.map(|held| held.bytes).sum::<usize>() + body.bytes <= self.most_of_one
    }

    /// Those of the bodies that are still coming: slow ones first, then those of the unknown, then those of whoever has most
    /// of them under way, and the oldest first.
    fn in_order_of_giving_way(&self, now: Timestamp, goes: impl Fn(&Body) -> bool) -> Vec<u64> {
        let coming = || self.held.iter().filter(|held| held.is_coming);
        let mut under_way: HashMap<&str, usize> = HashMap::new();
        for held in coming() {
            *under_way.entry(&held.sender.name).or_default() += held.bytes;
        }
        let ranked = coming().filter(|held| goes(held)).map(|held| {
            let most = under_way.get(held.sender.name.as_str()).copied().unwrap_or_default();
            (Reverse((held.is_slow(now), !held.sender.is_known, most)), held.id)
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
        self.total -= saved;
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
            self.total -= self.held.remove(at).bytes;
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
        sender: Sender,
        bytes: usize,
        now: Timestamp,
        span: Span,
    ) -> Option<(Self, Vec<String>)> {
        let (id, gave_way) = all.borrow_mut().take(sender, bytes, now, span)?;
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
