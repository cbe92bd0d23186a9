//! Bodies that the gate itself has to read before it knows who sends them: how long it waits for one, and how
//! many bytes of them an isolate holds at once. Whoever could fill the room for all would keep senders
//! out, so one network gets a part of it.

use std::{
    cell::RefCell,
    collections::{BTreeMap, HashMap},
    rc::Rc,
};

use crate::time::{SECOND, Timestamp};

/// How long a client may take to send such a body.
pub const READ_WITHIN: i64 = 10 * SECOND;

/// What a request takes beside its body, in bytes.
const LEAST: usize = 1024;
const MIB: usize = 1 << 20;

/// The room for one kind of bodies, in an isolate.
#[derive(Debug)]
pub struct InFlight {
    most: usize,
    most_of_network: usize,
    held: BTreeMap<u64, Held>,
    total: usize,
    networks: HashMap<String, usize>,
    next: u64,
}

#[derive(Debug)]
struct Held {
    network: String,
    bytes: usize,
    until: Timestamp,
}

impl InFlight {
    /// Room for so many bytes, of which one network may take so many.
    pub fn new(most: usize, most_of_network: usize) -> Self {
        Self { most, most_of_network, held: BTreeMap::new(), total: 0, networks: HashMap::new(), next: 0 }
    }

    /// For webhooks: 32 MiB of an isolate's 128, and 4 MiB of a network's.
    pub fn of_webhooks() -> Self {
        Self::new(32 * MIB, 4 * MIB)
    }

    /// For the admin API: 4 MiB, and 1 MiB of a network's.
    pub fn of_admin_calls() -> Self {
        Self::new(4 * MIB, MIB)
    }

    /// Takes room for a body until then, or until it is given back; `None` if there is none. The runtime ends requests
    /// without a word, so that what is not given back has to end by itself.
    pub fn take(&mut self, network: &str, bytes: usize, now: Timestamp, until: Timestamp) -> Option<u64> {
        let bytes = bytes.max(LEAST);
        if !self.has_room(network, bytes) {
            let ended = self.held.iter().filter(|(_, held)| held.until <= now).map(|(id, _)| *id);
            for id in ended.collect::<Vec<_>>() {
                self.give_back(id);
            }
            if !self.has_room(network, bytes) {
                return None;
            }
        }
        self.next += 1;
        self.total += bytes;
        *self.networks.entry(network.to_owned()).or_default() += bytes;
        self.held.insert(self.next, Held { network: network.to_owned(), bytes, until });
        Some(self.next)
    }

    fn has_room(&self, network: &str, bytes: usize) -> bool {
        let of_network = self.networks.get(network).copied().unwrap_or_default();
        self.total + bytes <= self.most && of_network + bytes <= self.most_of_network
    }

    /// Holds what was taken until then.
    pub fn keep_until(&mut self, id: u64, until: Timestamp) {
        if let Some(held) = self.held.get_mut(&id) {
            held.until = until;
        }
    }

    /// Gives room back.
    pub fn give_back(&mut self, id: u64) {
        let Some(Held { network, bytes, .. }) = self.held.remove(&id) else { return };
        self.total -= bytes;
        if let Some(of_network) = self.networks.get_mut(&network) {
            *of_network -= bytes;
            if *of_network == 0 {
                self.networks.remove(&network);
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
    /// As [`InFlight::take`], for the time that reading a body may take.
    pub fn take(all: &Rc<RefCell<InFlight>>, network: &str, bytes: usize, now: Timestamp) -> Option<Self> {
        let id = all.borrow_mut().take(network, bytes, now, now.plus(READ_WITHIN + SECOND))?;
        Some(Self { all: Rc::clone(all), id })
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
