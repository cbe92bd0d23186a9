//! Bodies that are in memory whole: how long one is waited for, and how many bytes of them an isolate holds at once.
//! Each network, or credential, gets a part. Where room is short, what is still coming gives way: first what comes
//! slowly, then what is of whoever has most of it under way, so that nobody is kept out by those who send slowly, however
//! many they are, nor for what they have sent already.

use std::{
    cell::RefCell,
    cmp::Reverse,
    collections::{BTreeMap, HashMap},
    rc::Rc,
};

use keyward_core::time::{SECOND, Timestamp};

/// How long a client may take to send such a body.
pub const READ_WITHIN_MS: i64 = 10 * SECOND;

/// A body that has been coming for so long comes slowly.
const SLOW_MS: i64 = SECOND;

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
    held: BTreeMap<u64, Held>,
    total: usize,
    parts: HashMap<String, usize>,
    next: u64,
}

#[derive(Debug)]
struct Held {
    whose: String,
    bytes: usize,
    since: Timestamp,
    until: Timestamp,
    is_coming: bool,
}

impl InFlight {
    /// Room for `most` bytes, of which one network or credential may take `most_of_one`.
    pub fn new(kind: &'static str, most: usize, most_of_one: usize) -> Self {
        Self { kind, most, most_of_one, held: BTreeMap::new(), total: 0, parts: HashMap::new(), next: 0 }
    }

    /// For webhooks: 32 MiB of an isolate's 128, and 4 MiB of a network's.
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

    /// Takes room for a body that is coming, until then, or until it is given back: its place, and the places that it took the room
    /// from, whose requests are to be told. `None` if there is none. The runtime ends requests without a word, so that
    /// what is not given back has to end by itself.
    pub fn take(
        &mut self,
        whose: &str,
        bytes: usize,
        now: Timestamp,
        until: Timestamp,
    ) -> Option<(u64, Vec<u64>)> {
        let bytes = bytes.max(MIN_BYTES);
        let gave_way = self.make_room(whose, bytes, now)?;
        self.next += 1;
        self.total += bytes;
        *self.parts.entry(whose.to_owned()).or_default() += bytes;
        self.held
            .insert(self.next, Held { whose: whose.to_owned(), bytes, since: now, until, is_coming: true });
        Some((self.next, gave_way))
    }

    /// Takes more room, `bytes` in all, for a body that is coming without a declared length.
    pub fn grow(&mut self, id: u64, bytes: usize, now: Timestamp) -> Option<Vec<u64>> {
        let held = self.held.get_mut(&id)?;
        let more = bytes.saturating_sub(held.bytes);
        // It does not give way to itself.
        held.is_coming = false;
        let whose = held.whose.clone();
        let gave_way = self.make_room(&whose, more, now);
        let held = self.held.get_mut(&id)?;
        held.is_coming = true;
        if gave_way.is_some() {
            held.bytes += more;
            self.total += more;
            *self.parts.entry(whose).or_default() += more;
        }
        gave_way
    }

    fn make_room(&mut self, whose: &str, bytes: usize, now: Timestamp) -> Option<Vec<u64>> {
        let mut gave_way = Vec::new();
        if self.has_room(whose, bytes) {
            return Some(gave_way);
        }
        gave_way.extend(self.held.iter().filter(|(_, held)| held.until <= now).map(|(id, _)| *id));
        gave_way.iter().for_each(|id| self.give_back(*id));
        let stays = || self.held.values().filter(|held| !held.is_coming);
        let all: usize = stays().map(|held| held.bytes).sum();
        let own: usize = stays().filter(|held| held.whose == whose).map(|held| held.bytes).sum();
        if own + bytes > self.most_of_one || all + bytes > self.most {
            // Nobody gives way in vain.
            return None;
        }
        // Its own part is a matter of its own.
        for id in self.in_order_of_giving_way(Some(whose), now) {
            if self.part_of(whose) + bytes <= self.most_of_one {
                break;
            }
            self.give_back(id);
            gave_way.push(id);
        }
        for id in self.in_order_of_giving_way(None, now) {
            if self.has_room(whose, bytes) {
                break;
            }
            self.give_back(id);
            gave_way.push(id);
        }
        Some(gave_way)
    }

    fn part_of(&self, whose: &str) -> usize {
        self.parts.get(whose).copied().unwrap_or_default()
    }

    fn has_room(&self, whose: &str, bytes: usize) -> bool {
        self.total + bytes <= self.most && self.part_of(whose) + bytes <= self.most_of_one
    }

    /// The bodies that are still coming, of all or of one: slow ones first, then those of whoever has most of them
    /// under way, and the oldest first.
    fn in_order_of_giving_way(&self, whose: Option<&str>, now: Timestamp) -> Vec<u64> {
        let coming = || self.held.iter().filter(|(_, held)| held.is_coming);
        let mut under_way: HashMap<&str, usize> = HashMap::new();
        for (_, held) in coming() {
            *under_way.entry(&held.whose).or_default() += held.bytes;
        }
        let theirs = coming().filter(|(_, held)| whose.is_none_or(|whose| held.whose == whose));
        let mut order: Vec<_> = theirs
            .map(|(id, held)| {
                let is_slow = !(0..SLOW_MS).contains(&(now.0 - held.since.0));
                let most = under_way.get(held.whose.as_str()).copied().unwrap_or_default();
                (Reverse((is_slow, most)), *id)
            })
            .collect();
        order.sort_unstable();
        order.into_iter().map(|(_, id)| id).collect()
    }

    /// The body is here, with `bytes`, and is held until then; from now on it does not give way. Whether its
    /// place was still its own.
    pub fn has_come(&mut self, id: u64, bytes: usize, until: Timestamp) -> bool {
        let Some(held) = self.held.get_mut(&id) else { return false };
        let saved = held.bytes.saturating_sub(bytes.max(MIN_BYTES));
        held.bytes -= saved;
        held.until = until;
        held.is_coming = false;
        let whose = held.whose.clone();
        self.make_free(&whose, saved);
        true
    }

    /// Holds what was taken until then.
    pub fn keep_until(&mut self, id: u64, until: Timestamp) {
        if let Some(held) = self.held.get_mut(&id) {
            held.until = until;
        }
    }

    /// Gives room back.
    pub fn give_back(&mut self, id: u64) {
        if let Some(Held { whose, bytes, .. }) = self.held.remove(&id) {
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
        until: Timestamp,
    ) -> Option<(Self, Vec<String>)> {
        let (id, gave_way) = all.borrow_mut().take(whose, bytes, now, until)?;
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
    pub fn has_come(&self, bytes: usize, until: Timestamp) -> bool {
        self.all.borrow_mut().has_come(self.id, bytes, until)
    }

    /// Holds it until then.
    pub fn keep_until(&self, until: Timestamp) {
        self.all.borrow_mut().keep_until(self.id, until);
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.all.borrow_mut().give_back(self.id);
    }
}
