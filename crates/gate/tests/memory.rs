//! One isolate's memory stays small, whatever comes: an isolate has 128 MB.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]
#![allow(unsafe_code, reason = "an allocator that counts is unsafe to implement")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::{Cell, RefCell},
    collections::HashMap,
    rc::Rc,
    sync::LazyLock,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

use keyward_core::{
    changes::{News, ReadChanges},
    record::{Limits, Record},
    secret::{Secret, Secrets},
    time::{MILLISECOND, Span, Timestamp},
    unavailable::CallFailed,
};
use keyward_gate::{
    client_info::ClientInfo,
    deadline::Deadline,
    denial::Denial,
    memory::Memory,
    pipeline::{Pipeline, Refused},
    platform::Platform,
};
use keyward_limits::{
    coordinator::Coordinator,
    lease::Grantor,
    limit::{Window, WindowState},
    wire::{Acquired, CoordinatorCall, GetReply, RouteHint},
};
use keyward_policy::{KeyFormat, KeyRequirement, Realm};
use keyward_testing::{NOON, fake_platform::now, policy::POLICY, record, secrets};
use serde::de::DeserializeOwned;

/// Bytes that are allocated now, and the most that ever were.
static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: everything is handed on to the system's allocator as it comes.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let live = LIVE.fetch_add(layout.size(), Relaxed) + layout.size();
        PEAK.fetch_max(live, Relaxed);
        // SAFETY: the caller's promise is that of this call.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller's promise is that of this call.
        unsafe { System.dealloc(pointer, layout) }
    }
}

const KEYS: u32 = 1_000_000;
/// Keys that are used again and again …
const HOT: u32 = 10;
/// … one of them after this number of others.
const HOT_EVERY: u32 = 40;
/// One key in this number has a record as large as the admin API allows.
const LARGE_EVERY: u32 = 20;
/// One key in this number is over its limit.
const LIMITED_EVERY: u32 = 4;
/// Of an isolate's 128 MB.
const MOST: usize = 128 << 20;

/// Keys without a check, so that made-up ones get as far as they can.
static REALM: LazyLock<Realm> =
    LazyLock::new(|| Realm { key: KeyFormat { checksum: 0, ..POLICY.realms[0].key }, ..POLICY.realms[0] });

/// What a request comes with.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Key {
    Real(u32),
    Forged(u32),
}

impl Key {
    fn text(self) -> Secret {
        let (kind, number) = match self {
            Self::Real(number) => ('R', number),
            Self::Forged(number) => ('F', number),
        };
        Secret::new(format!("kw_live_{kind}{number:029}"))
    }
}

/// KV and objects of a million keys, made up as they are asked for.
struct Million {
    immediate: Cell<Key>,
    small: String,
    large: String,
    limited: String,
    gates: RefCell<HashMap<u32, Coordinator>>,
    clock: Cell<Timestamp>,
    reads: Cell<u32>,
}

/// A record of a hundred of everything, as long as it may be.
fn large() -> Record {
    Record {
        scopes: (0..100)
            .map(|number| format!("area-of-some-length-{number:03}:action-of-some-length"))
            .collect(),
        allowed_ips: (0..100).map(|number| format!("0.0.0.0/{}", number % 33).parse().unwrap()).collect(),
        allowed_origins: (0..100).map(|number| format!("https://{number:0>240}.example")).collect(),
        ..small()
    }
}

fn small() -> Record {
    Record {
        limits: Limits { per_minute: Some(1_000_000), per_day: Some(100_000_000), ..Limits::default() },
        ..record()
    }
}

fn is_limited(number: u32) -> bool {
    number >= HOT && number.is_multiple_of(LIMITED_EVERY)
}

fn limited() -> Acquired {
    let state =
        |window| WindowState { window, limit: 1, remaining: 0, reset: Span::from_mins(1), of_tenant: false };
    let windows = vec![state(Window::Minute), state(Window::Day)];
    Acquired::Limited { windows, retry_after: Span::from_mins(1), lease: None, via: RouteHint::default() }
}

impl Million {
    fn record(&self, number: u32) -> &str {
        if number % LARGE_EVERY == 1 { &self.large } else { &self.small }
    }
}

impl Platform for Million {
    keyward_testing::only_keys!();

    /// The log says of nothing that it holds.
    async fn changes(&self, _: u32, _: &ReadChanges, _: Span) -> Result<News, CallFailed> {
        Ok(News::default())
    }

    async fn read(&self, _: &str, _: Span) -> Result<Option<String>, CallFailed> {
        self.reads.set(self.reads.get() + 1);
        Ok(match self.immediate.get() {
            Key::Real(number) => Some(self.record(number).to_owned()),
            Key::Forged(_) => None,
        })
    }

    async fn coordinator<T: DeserializeOwned>(
        &self,
        _: &str,
        _: Grantor,
        call: &CoordinatorCall,
        _: Span,
    ) -> Result<T, CallFailed> {
        let answer = match self.immediate.get() {
            Key::Forged(_) => serde_json::to_string(&GetReply { record: None }).unwrap(),
            Key::Real(number) if is_limited(number) => self.limited.clone(),
            Key::Real(number) => {
                let mut gates = self.gates.borrow_mut();
                let mut new = Coordinator::default();
                let gate = if number < HOT { gates.entry(number).or_default() } else { &mut new };
                if gate.record.is_none() {
                    gate.put(keyward_json::from_str(self.record(number)).unwrap());
                }
                gate.answer(call.clone(), self.clock.get()).unwrap().0
            }
        };
        Ok(keyward_json::from_str(&answer).unwrap())
    }

    async fn exceeds(&self, _: &str, _: &str, _: Span) -> Result<bool, CallFailed> {
        Ok(true)
    }

    fn now(&self) -> Timestamp {
        self.clock.get()
    }

    async fn wait(&self, span: Span) {
        self.clock.set(self.clock.get() + span);
    }
}

struct Isolate {
    platform: Million,
    memory: Rc<RefCell<Memory>>,
    secrets: Rc<Secrets>,
}

impl Isolate {
    /// One request, from an address of its own.
    fn check(&self, key: Key, address: u32) -> Result<(), Refused> {
        self.platform.immediate.set(key);
        let address = std::net::Ipv4Addr::from_bits(address).to_string();
        let caller = ClientInfo {
            method: "GET",
            upgrades: false,
            address: Some(&address),
            origin: None,
            tenant: None,
            token: None,
        };
        let pipeline = Pipeline {
            jurisdiction: None,
            platform: &self.platform,
            request_id: None,
            from: None,
            memory: Rc::clone(&self.memory),
            issuers: Rc::default(),
            secrets: Ok(Rc::clone(&self.secrets)),
            deadline: Deadline::within(REALM.decision_timeout, self.platform.clock.get()),
        };
        let checked =
            now(pipeline.check(&REALM, REALM.freshness, &KeyRequirement::ANY_KEY, &key.text(), caller));
        checked.map(drop)
    }
}

#[test]
fn a_million_keys_and_a_million_forged_ones_fit_and_hot_keys_are_served_from_memory() {
    let platform = Million {
        immediate: Cell::new(Key::Real(0)),
        small: serde_json::to_string(&small()).unwrap(),
        large: serde_json::to_string(&large()).unwrap(),
        limited: serde_json::to_string(&limited()).unwrap(),
        gates: RefCell::default(),
        clock: Cell::new(NOON),
        reads: Cell::new(0),
    };
    let isolate = Isolate { platform, memory: Rc::default(), secrets: Rc::new(secrets()) };
    for hot in 0..HOT {
        isolate.check(Key::Real(hot), 1).unwrap();
    }
    let before = LIVE.load(Relaxed);
    PEAK.store(before, Relaxed);
    for number in 0..KEYS {
        isolate.platform.clock.set(isolate.platform.clock.get().plus(MILLISECOND));
        let real = HOT + number;
        assert_eq!(isolate.check(Key::Real(real), 1).is_err(), is_limited(real));
        if is_limited(real) {
            // Refused from memory, and counted there.
            isolate.check(Key::Real(real), 1).unwrap_err();
        }
        let refused = isolate.check(Key::Forged(number), number << 8);
        assert!(matches!(refused, Err(Refused { denial: Denial::UnknownKey { slip: None }, .. })));
        if number % HOT_EVERY == 0 {
            let reads = isolate.platform.reads.get();
            isolate.check(Key::Real(number / HOT_EVERY % HOT), 1).unwrap();
            assert_eq!(isolate.platform.reads.get(), reads, "a hot key was read again");
        }
    }
    let most = PEAK.load(Relaxed);
    println!("{} MB at the most, {} MB before", most >> 20, before >> 20);
    assert!(most < MOST, "{most} bytes");
}
