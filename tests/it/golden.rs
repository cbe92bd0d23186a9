//! Golden vectors of everything that is stored or sent between versions. A change that makes one of
//! these fail turns live keys away or cannot read what an earlier version stored: add a new version
//! beside the old one instead. The key vectors were computed with another tool (Python's hmac).

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_core::{
    key,
    link::{Redeem, Redeemed, Session},
    question::{Question, SupposedRequest},
    record::{Cost, Format, KeyKind, Limits, Mode, PAUSED, Record, Status, Tenant, TenantStatus},
    registry_call::{GetHealth, RegistryCall as _, RegistryHealth},
    secret::Secrets,
    time::{MILLISECOND, Span, Timestamp},
};
use keyward_gate::{
    Open,
    denial::Denial,
    gate::{RequestContext, decide},
};
use keyward_limits::{
    coordinator::{Coordinator, Counts},
    limit::{Window, WindowState},
    routes::OnRoutes,
    timing::LONG_LEASE,
    usage::Usage,
    wire::{
        Acquire, Acquired, Cancelled, CoordinatorCall, Found, GetReply, Lease, LeaseReport, PutAck, Reached,
        RefusalCounts, RouteHint, Tally, TallyHour, UNATTRIBUTED, UsageHour, UsageReport, UsageTaken,
    },
};
use keyward_policy::{Hash, KeyFormat, KeyRequirement, Realm};
use keyward_registry::admin_call::AdminCall;
use keyward_testing::{IMPORTED, NOON, policy::POLICY, record};
use serde::{Serialize, de::DeserializeOwned};

const SECRET: &str = "golden-secret-0123456789-0123456789";
const KEY: &str = "kw_live_0123456789ABCDEFGHIJKLMNOPabcdfdzmSV";

fn pinned<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(value: &T, text: &str) {
    assert_eq!(serde_json::to_string(value).unwrap(), text);
    assert_eq!(&keyward_json::from_str::<T>(text).unwrap(), value);
}

#[test]
fn the_keyed_check_of_a_key() {
    assert!(key::is_well_formed(&POLICY.realms[0].key, &Secrets::new(SECRET, None), KEY));
}

#[test]
fn the_names_under_which_a_key_is_stored() {
    let secrets = Secrets::new(SECRET, None);
    let plain = POLICY.realms[0].key;
    let keyed = KeyFormat { hash: Hash::HmacSha256, ..plain };
    let sha256 = "sha256:fa89ac37abe5c387c355d7db36e9c6310a6bbc31dbf2cee1b1292fa47dd14c24";
    assert_eq!(key::storage_hash(&plain, &secrets, KEY), sha256);
    assert_eq!(
        key::storage_hash(&keyed, &secrets, KEY),
        "hmac-sha256:2a81316b957ba88e3b2ca4ce195bc198498c9291565e3ddd70c6cca61f9cfd95"
    );
    assert_eq!(key::kv_key(sha256), format!("key:{sha256}"));
}

#[test]
fn the_names_under_which_a_key_is_stored_that_was_made_elsewhere() {
    let secrets = Secrets::new(SECRET, None);
    let realm = Realm { imported: Some(IMPORTED), ..POLICY.realms[0] };
    // printf %s old_live_0123456789abcdefghijklmn | sha256sum
    let sha256 = key::unhex("93bb1505f169f85d54b5ca90130cb75ca8d112d1cc4b4c24b5c3c098b20c47e6").unwrap();
    let sha256 = sha256.try_into().unwrap();
    let name = "hmac-sha256:0e021db8fde0b3c2ba8e84d71c1e57e6894d0ea7252b9d982a75565bf7082290";
    assert_eq!(key::imported_names("default", &secrets, &sha256), [name]);
    assert_eq!(key::names(&realm, &secrets, "old_live_0123456789abcdefghijklmn"), [name]);
    assert_eq!(
        key::claimed_names("t-1", "default", &secrets, &sha256),
        ["hmac-sha256:15c905f06d57c2ceea5fa9f1aefbd8c3e172a9666408e622713ac14c39b4eb8d"]
    );
}

#[test]
fn the_record() {
    let full = Record {
        v: Format::V1,
        jurisdiction: None,
        id: "key_1".into(),
        realm: "default".into(),
        tenant: Tenant {
            id: "t-1".into(),
            code: None,
            status: TenantStatus::Inactive,
            plan: Some("pro".into()),
            pool: None,
        },
        kind: KeyKind::Publishable,
        mode: Mode::Test,
        status: Status::Revoked,
        version: 7,
        expires_at: Some(Timestamp(1_900_000_000_000)),
        scopes: vec!["orders:read".into(), "admin:*".into()],
        allowed_ips: vec!["192.0.2.0/24".parse().unwrap(), "2001:db8::/32".parse().unwrap()],
        allowed_origins: vec!["https://shop.example".into()],
        limits: Limits { per_minute: Some(60), ..Limits::default() },
        strict: true,
        replaced: true,
        paused: false,
        tenant_change: 12,
        metadata: Some(r#"{"customer":"c-7"}"#.into()),
    };
    pinned(
        &full,
        r#"{"v":"1","id":"key_1","realm":"default","tenant":{"id":"t-1","status":"INACTIVE","plan":"pro"},"kind":"publishable","mode":"test","status":"REVOKED","version":7,"expiresAt":1900000000000,"scopes":["orders:read","admin:*"],"allowedIps":["192.0.2.0/24","2001:db8::/32"],"allowedOrigins":["https://shop.example"],"limits":{"perMinute":60,"perDay":null},"strict":true,"replaced":true,"tenantChange":12,"metadata":"{\"customer\":\"c-7\"}"}"#,
    );
}

#[test]
fn a_records_limits_of_every_window_and_of_none() {
    let every = Limits::each(|window| Some(window as u32 + 1));
    let text = r#"{"perSecond":1,"perMinute":2,"perHour":3,"perDay":4,"perMonth":5,"total":6,"inFlight":7}"#;
    pinned(&every, text);
    let in_flight = Limits { in_flight: Some(5), ..Limits::default() };
    pinned(&in_flight, r#"{"perMinute":null,"perDay":null,"inFlight":5}"#);
    // As builds that know two windows write and need it.
    pinned(&Limits::default(), r#"{"perMinute":null,"perDay":null}"#);
    for cut_short in [r#"{"perMinute":null}"#, r#"{"perDay":null}"#] {
        assert!(keyward_json::from_str::<Limits>(cut_short).is_err());
    }
}

/// As the build before this one read a record: without `paused`, and by its expiry.
#[test]
fn a_paused_key_is_one_that_expired_long_ago_to_a_build_that_knows_no_pauses() {
    let paused = Record { paused: true, expires_at: Some(PAUSED), ..record() };
    let published = serde_json::to_string(&paused).unwrap();
    assert!(published.contains(r#""status":"ACTIVE""#) && published.contains(r#""expiresAt":0"#));
    assert!(published.ends_with(r#""paused":true}"#), "{published}");
    pinned(&paused, &published);
    let before: Record = serde_json::from_str(&published.replace(r#","paused":true"#, "")).unwrap();
    let decided = |record: Record| {
        let context = RequestContext {
            method: "GET",
            upgrades: false,
            address: None,
            origin: None,
            tenant: None,
            token: None,
            now: NOON,
        };
        decide(&POLICY.realms[0], &KeyRequirement::ANY_KEY, &record.into(), context).unwrap_err()
    };
    assert_eq!(decided(before), Denial::ExpiredKey { replaced: false });
    assert_eq!(decided(paused), Denial::PausedKey);
}

#[test]
fn the_registrys_questions_to_the_gate() {
    // Not `Debug`, since a key may stand in it.
    let same = |question: &Question, text: &str| {
        assert_eq!(serde_json::to_string(question).unwrap(), text);
        let read = keyward_json::from_str::<Question>(text).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), text);
    };
    let tenant = Tenant {
        id: "t-1".into(),
        code: Some("ABC".into()),
        status: TenantStatus::Active,
        plan: None,
        pool: None,
    };
    let request = SupposedRequest {
        method: "GET".into(),
        path: "/api/orders?a=1".into(),
        host: Some("api.example".into()),
        address: Some("192.0.2.7".into()),
        origin: Some("https://app.example".into()),
        session_id: Some("chat-7".into()),
    };
    let whole = Question {
        tenant: tenant.clone(),
        realm: Some("default".into()),
        request: Some(request),
        key: Some(KEY.into()),
        record: None,
    };
    let tenant_text = r#"{"id":"t-1","code":"ABC","status":"ACTIVE","plan":null}"#;
    same(
        &whole,
        &format!(
            r#"{{"tenant":{tenant_text},"realm":"default","request":{{"method":"GET","path":"/api/orders?a=1","host":"api.example","address":"192.0.2.7","origin":"https://app.example","sessionId":"chat-7"}},"key":"{KEY}","record":null}}"#
        ),
    );
    let of_routes = Question { tenant, realm: None, request: None, key: None, record: Some(record()) };
    let record_text = serde_json::to_string(&record()).unwrap();
    same(
        &of_routes,
        &format!(
            r#"{{"tenant":{tenant_text},"realm":null,"request":null,"key":null,"record":{record_text}}}"#
        ),
    );
}

#[test]
fn the_calls_to_a_key_gate_and_its_answers() {
    let refused: RefusalCounts = [("TEST_MODE".to_owned(), 2)].into();
    pinned(&CoordinatorCall::Get, r#"{"op":"find"}"#);
    let leases = vec![LeaseReport { id: 7, used: 5, age: Span::from_ms(20), open: 1 }];
    let take = Acquire {
        version: 3,
        immediate: true,
        within: Span::from_ms(500),
        wants: 40,
        queued: 2,
        lease_length: Span::from_ms(4_750),
        client_id: 9,
        leases: leases.clone(),
        unreported: 1,
        cancelled: Some(Timestamp(1_900_000_000_750)),
        isolates: 4,
        refused: refused.clone(),
        ..Acquire::default()
    };
    pinned(
        &CoordinatorCall::Acquire(take),
        r#"{"op":"take","version":3,"atHand":true,"withinMs":500,"expected":40,"waiting":2,"lifeMs":4750,"asker":9,"leases":[{"id":7,"used":5,"ageMs":20,"open":1}],"unasked":1,"unused":1900000000750,"isolates":4,"refused":{"TEST_MODE":2}}"#,
    );
    pinned(
        &CoordinatorCall::Report { refused, leases, tally: None },
        r#"{"op":"report","refused":{"TEST_MODE":2},"leases":[{"id":7,"used":5,"ageMs":20,"open":1}]}"#,
    );
    let hour = TallyHour {
        at: NOON,
        last_used_at: Some(NOON.plus(-MILLISECOND)),
        accepted: 7,
        refused: [("TEST_MODE".to_owned(), 2)].into(),
        ..TallyHour::default()
    };
    let cancelled =
        vec![Cancelled { call: 4, reservation: Some(NOON) }, Cancelled { call: 5, reservation: None }];
    let refusal = serde_json::json!({ "requestId": "1f" });
    let used = Some(serde_json::json!({ "country": "CH" }));
    let tally = Tally {
        teller: 11,
        number: 6,
        sent: NOON,
        hours: vec![hour],
        cancelled,
        latest: vec![refusal],
        last_used_from: used.clone(),
    };
    pinned(
        &CoordinatorCall::Report { refused: tally.refused(), leases: Vec::new(), tally: Some(tally) },
        r#"{"op":"report","refused":{"TEST_MODE":2},"leases":[],"tally":{"teller":11,"number":6,"sent":1900000000000,"hours":[{"at":1900000000000,"lastUsedAt":1899999999999,"accepted":7,"refused":{"TEST_MODE":2}}],"unused":[{"call":4,"place":1900000000000},{"call":5}],"latest":[{"requestId":"1f"}],"lastUsedFrom":{"country":"CH"}}}"#,
    );
    let take = Acquire {
        version: 1,
        immediate: true,
        wants_for_long: 2,
        lease_length: LONG_LEASE,
        ..Acquire::default()
    };
    pinned(
        &CoordinatorCall::Acquire(take),
        r#"{"op":"take","version":1,"atHand":true,"withinMs":0,"expected":0,"expectedForLong":2,"waiting":0,"lifeMs":180000,"asker":0,"leases":[],"unasked":0,"isolates":0,"refused":{}}"#,
    );
    // An object that does not know `cost` counts 1, and its answer does not say more.
    let take = Acquire { version: 1, immediate: true, cost: Cost::new(5), ..Acquire::default() };
    pinned(
        &CoordinatorCall::Acquire(take),
        r#"{"op":"take","version":1,"atHand":true,"cost":5,"withinMs":0,"expected":0,"waiting":0,"lifeMs":0,"asker":0,"leases":[],"unasked":0,"isolates":0,"refused":{}}"#,
    );
    pinned(
        &Acquired::Granted {
            windows: Vec::new(),
            delay: Span::ZERO,
            reservation: Some(NOON),
            cost: Cost::new(5),
            lease: None,
            via: RouteHint::default(),
            open: false,
        },
        r#"{"outcome":"granted","windows":[],"waitMs":0,"place":1900000000000,"cost":5,"lease":null,"via":{"relay":false,"ageMs":0}}"#,
    );
    // The object of what belongs to no key, and the first word of its codes is a realm.
    assert_eq!(UNATTRIBUTED, "unattributed");
    let tally = Some(Tally::default());
    let take = Acquire { call: 3, cancelled_call: 2, tally, from: used, ..Acquire::default() };
    pinned(
        &CoordinatorCall::Acquire(take),
        r#"{"op":"take","version":0,"atHand":false,"withinMs":0,"expected":0,"waiting":0,"lifeMs":0,"asker":0,"leases":[],"unasked":0,"unusedCall":2,"isolates":0,"refused":{},"call":3,"tally":{"teller":0,"number":0,"sent":0},"from":{"country":"CH"}}"#,
    );
    let tell = serde_json::to_value(CoordinatorCall::Put { record: record() }).unwrap();
    assert_eq!(
        (tell["op"].as_str(), &tell["record"]),
        (Some("tell"), &serde_json::to_value(record()).unwrap())
    );
    pinned(&PutAck { version: 4 }, r#"{"version":4}"#);
    pinned(&GetReply { record: None }, r#"{"record":null}"#);
    let windows = vec![WindowState {
        window: Window::Minute,
        limit: 5,
        remaining: 4,
        reset: Span::from_mins(1),
        of_tenant: false,
    }];
    let via = RouteHint { relay: true, age: Span::from_ms(3), hold: Span::from_ms(12) };
    let lease = Some(Lease { id: 8, requests: 30, length: Span::from_ms(4_750), ..Lease::default() });
    pinned(
        &Acquired::Granted {
            windows: windows.clone(),
            delay: Span::from_ms(11),
            reservation: Some(NOON),
            cost: Cost::ONE,
            lease,
            via,
            open: false,
        },
        r#"{"outcome":"granted","windows":[{"window":"minute","limit":5,"remaining":4,"resetMs":60000}],"waitMs":11,"place":1900000000000,"lease":{"id":8,"requests":30,"lifeMs":4750},"via":{"relay":true,"ageMs":3,"holdMs":12}}"#,
    );
    pinned(
        &Acquired::Limited { windows, retry_after: Span::from_ms(12), lease: None, via },
        r#"{"outcome":"limited","windows":[{"window":"minute","limit":5,"remaining":4,"resetMs":60000}],"retryAfterMs":12,"via":{"relay":true,"ageMs":3,"holdMs":12}}"#,
    );
    // Older builds do not say that a lease may be deferred, since they would use it at once.
    let opens = vec![Span::from_ms(900), Span::from_ms(2_000)];
    let deferred = Lease { id: 9, requests: 3, length: Span::from_ms(8_750), opens };
    pinned(
        &CoordinatorCall::Acquire(Acquire { may_defer: true, ..Acquire::default() }),
        r#"{"op":"take","version":0,"atHand":false,"withinMs":0,"expected":0,"waiting":0,"lifeMs":0,"defers":true,"asker":0,"leases":[],"unasked":0,"isolates":0,"refused":{}}"#,
    );
    pinned(
        &Acquired::Limited {
            windows: Vec::new(),
            retry_after: Span::from_ms(900),
            lease: Some(deferred),
            via: RouteHint::default(),
        },
        r#"{"outcome":"limited","windows":[],"retryAfterMs":900,"lease":{"id":9,"requests":3,"lifeMs":8750,"opensMs":[900,2000]},"via":{"relay":false,"ageMs":0}}"#,
    );
    // Older builds read the minute and the day, and no others among them.
    let state =
        |window| WindowState { window, limit: 5, remaining: 4, reset: Span::from_ms(9), of_tenant: false };
    let every = Window::ALL.map(state).to_vec();
    const EVERY: &str = r#""windows":[{"window":"minute","limit":5,"remaining":4,"resetMs":9},{"window":"day","limit":5,"remaining":4,"resetMs":9}],"moreWindows":[{"window":"second","limit":5,"remaining":4,"resetMs":9},{"window":"hour","limit":5,"remaining":4,"resetMs":9},{"window":"month","limit":5,"remaining":4,"resetMs":9},{"window":"total","limit":5,"remaining":4,"resetMs":9}]"#;
    pinned(
        &Acquired::Granted {
            windows: every.clone(),
            delay: Span::ZERO,
            reservation: None,
            cost: Cost::ONE,
            lease: None,
            via,
            open: true,
        },
        &format!(
            r#"{{"outcome":"granted",{EVERY},"waitMs":0,"lease":null,"via":{{"relay":true,"ageMs":3,"holdMs":12}},"open":true}}"#
        ),
    );
    pinned(
        &Acquired::Limited { windows: every, retry_after: Span::from_ms(12), lease: None, via },
        &format!(
            r#"{{"outcome":"limited",{EVERY},"retryAfterMs":12,"via":{{"relay":true,"ageMs":3,"holdMs":12}}}}"#
        ),
    );
    pinned(
        &Acquired::Busy { windows: Vec::new(), limit: 3, by_budgets: false },
        r#"{"outcome":"busy","windows":[],"limit":3}"#,
    );
    let by_budgets = Acquired::Busy { windows: Vec::new(), limit: 2, by_budgets: true };
    pinned(&by_budgets, r#"{"outcome":"busy","windows":[],"limit":2,"byBudgets":true}"#);
    let length = Span::from_mins(1);
    let acquire = Acquire { call: 3, in_flight: length, budget: length, ..Acquire::default() };
    pinned(
        &CoordinatorCall::Acquire(acquire),
        r#"{"op":"take","version":0,"atHand":false,"withinMs":0,"expected":0,"waiting":0,"lifeMs":0,"asker":0,"leases":[],"unasked":0,"isolates":0,"refused":{},"call":3,"inFlightMs":60000,"budgetMs":60000}"#,
    );
    pinned(
        &CoordinatorCall::InFlight { call: 3, length: Span::ZERO },
        r#"{"op":"inFlight","call":3,"lifeMs":0}"#,
    );
    pinned(&CoordinatorCall::Settle { call: 3, used: 7 }, r#"{"op":"settle","call":3,"used":7}"#);
    pinned(&Found { found: true }, r#"{"found":true}"#);
    pinned(&Acquired::Unknown, r#"{"outcome":"unknown"}"#);
    pinned(&Acquired::Unreached { slow: true }, r#"{"outcome":"unreached","slow":true}"#);
}

#[test]
fn the_report_of_usage() {
    let hour = UsageHour {
        hour: Timestamp(3_600_000),
        accepted: 5,
        refused: [("TEST_MODE".to_owned(), 2)].into(),
        ..UsageHour::default()
    };
    pinned(
        &UsageReport {
            key_id: "key_1".into(),
            last_used_at: Some(Timestamp(3_600_001)),
            hours: vec![hour],
            ..UsageReport::default()
        },
        r#"{"keyId":"key_1","lastUsedAt":3600001,"hours":[{"hour":3600000,"accepted":5,"refused":{"TEST_MODE":2}}]}"#,
    );
}

#[test]
fn the_report_of_usage_that_was_partly_taken_back_and_its_answer() {
    let hour = UsageHour { hour: Timestamp(3_600_000), taken_back: 1, ..UsageHour::default() };
    let refusal = serde_json::json!({ "requestId": "1f", "time": 5 });
    pinned(
        &UsageReport {
            key_id: "key_1".into(),
            last_used_at: None,
            hours: vec![hour],
            sent: Some(NOON),
            latest: vec![refusal],
            near_limit_at: Some(Timestamp(6)),
            last_used_from: Some(serde_json::json!({ "country": "CH" })),
            reached: vec![Reached { window: "perDay".into(), percent: 95, limit: 100 }],
        },
        r#"{"keyId":"key_1","lastUsedAt":null,"hours":[{"hour":3600000,"accepted":0,"refused":{},"takenBack":1}],"sent":1900000000000,"latest":[{"requestId":"1f","time":5}],"nearLimitAt":6,"lastUsedFrom":{"country":"CH"},"reached":[{"window":"perDay","percent":95,"limit":100}]}"#,
    );
    pinned(&UsageTaken::default(), "{}");
    pinned(&UsageTaken { early: vec![Timestamp(7_200_000)] }, r#"{"early":[7200000]}"#);
}

#[test]
fn counts_by_route_in_every_message_and_in_what_is_kept() {
    let counts = |count| [("api GET /orders/{id}".to_owned(), count)].into();
    let routes = OnRoutes { accepted: counts(3), refused: counts(2), taken_back: counts(1) };
    const ROUTES: &str = r#""routes":{"accepted":{"api GET /orders/{id}":3},"refused":{"api GET /orders/{id}":2},"takenBack":{"api GET /orders/{id}":1}}"#;
    pinned(
        &TallyHour { at: NOON, routes: routes.clone(), ..TallyHour::default() },
        &format!(r#"{{"at":1900000000000,"accepted":0,"refused":{{}},{ROUTES}}}"#),
    );
    pinned(
        &UsageHour { hour: Timestamp(3_600_000), routes, ..UsageHour::default() },
        &format!(r#"{{"hour":3600000,"accepted":0,"refused":{{}},{ROUTES}}}"#),
    );
    let route = Some("api GET /orders/{id}".to_owned());
    pinned(
        &CoordinatorCall::Acquire(Acquire { route, ..Acquire::default() }),
        r#"{"op":"take","version":0,"atHand":false,"withinMs":0,"expected":0,"waiting":0,"lifeMs":0,"asker":0,"leases":[],"unasked":0,"isolates":0,"refused":{},"route":"api GET /orders/{id}"}"#,
    );
    let mut usage = Usage::default();
    usage.accept_on(2, &counts(2), NOON);
    usage.take_back(NOON, Some("api GET /orders/{id}"));
    pinned(
        &usage,
        r#"{"lastUsedAt":1900000000000,"hours":{"1899997200000":{"accepted":1,"refused":{},"reported":false,"takenBack":1,"routes":{"accepted":{"api GET /orders/{id}":2},"takenBack":{"api GET /orders/{id}":1}}}},"lastReport":null}"#,
    );
    // What older builds have stored and send has none, and what newer ones add is no matter.
    assert_eq!(keyward_json::from_str::<OnRoutes>(r#"{"later":1}"#).unwrap(), OnRoutes::default());
}

#[test]
fn the_counts_that_a_key_gate_keeps() {
    let mut gate = Coordinator::default();
    gate.put(record());
    let take = Acquire { version: 1, immediate: true, within: Span::from_ms(500), ..Acquire::default() };
    gate.acquire(&take, NOON);
    gate.acquire(
        &Acquire { queued: 3, lease_length: Span::from_ms(4_750), ..take },
        NOON.plus(Span::from_ms(5)),
    );
    pinned::<Counts>(
        &gate.counts,
        r#"{"minute":[[1900000000750,1900000000750,1],[1900000000755,1900000000755,1]],"day":[[1900000000750,1900000000755,2]],"leases":{"open":[{"id":1,"used":0,"open":3,"latest":1900000005005,"lifeMs":4750}],"lastId":1},"usage":{"lastUsedAt":1900000000005,"hours":{"1899997200000":{"accepted":2,"refused":{},"reported":false}},"lastReport":null},"latest":1900000000005}"#,
    );
    // A long lease that lapses unused, and one that is open.
    let mut gate = Coordinator::default();
    gate.put(Record { limits: Limits { per_minute: Some(100), ..Limits::default() }, ..record() });
    let few = Acquire { version: 1, wants_for_long: 2, lease_length: LONG_LEASE, ..Acquire::default() };
    gate.acquire(&few, NOON);
    gate.acquire(&few, NOON.plus(Span::from_mins(4)));
    let stored = serde_json::to_value(&gate.counts).unwrap();
    assert_eq!(
        stored["leases"].to_string(),
        r#"{"lapsedIn":[["minute",[[1900000180250,1900000180250,3]]]],"lastId":2,"open":[{"id":2,"latest":1900000420250,"lifeMs":180000,"open":2,"used":0}]}"#
    );
    assert_eq!(keyward_json::from_value::<Counts>(&stored).unwrap(), gate.counts);
    // Reported, and counted again.
    let mut usage = Usage::default();
    usage.accept(2, NOON);
    usage.reported(&usage.report("key_1", NOON), &[], NOON);
    usage.accept(1, NOON.plus(Span::from_ms(7)));
    usage.used_from(Some(&serde_json::json!({ "country": "CH" })), NOON.plus(Span::from_ms(7)));
    pinned(
        &usage,
        r#"{"lastUsedAt":1900000000007,"lastUsedFrom":{"country":"CH"},"hours":{"1899997200000":{"accepted":3,"refused":{},"reported":false,"told":{"hour":1899997200000,"accepted":2,"refused":{}}}},"lastReport":1900000000000}"#,
    );
    usage.near_limit(NOON);
    let stored = serde_json::to_string(&usage).unwrap();
    assert!(stored.ends_with(r#","lastReport":1900000000000,"nearLimitAt":1900000000000}"#), "{stored}");
    assert_eq!(keyward_json::from_str::<Usage>(&stored).unwrap(), usage);
    // As older builds have stored them.
    let older = r#"{"leases":{"open":[{"id":1,"used":0,"open":3,"latest":1900000005005}],"lastId":1}}"#;
    assert!(keyward_json::from_str::<Counts>(older).is_ok());
}

#[test]
fn the_counts_with_open_requests() {
    let mut coordinator = Coordinator::default();
    let limits = Limits { in_flight: Some(2), per_minute: Some(9), ..Limits::default() };
    coordinator.put(Record { limits, version: 1, ..record() });
    let length = Span::from_mins(1);
    let (call, cost) = (7, Cost::new(4));
    let acquire = Acquire {
        version: 1,
        immediate: true,
        call,
        cost,
        in_flight: length,
        budget: length,
        ..Acquire::default()
    };
    coordinator.acquire(&acquire, NOON);
    // To a build that knows no budgets it is a lease that nobody reports, of no version.
    pinned::<Counts>(
        &coordinator.counts,
        r#"{"minute":[],"day":[],"leases":{"open":[{"id":7,"used":0,"open":4,"latest":1900000060250,"lifeMs":60000,"budget":true}],"lastId":0},"usage":{"lastUsedAt":1900000000000,"hours":{"1899997200000":{"accepted":1,"refused":{},"reported":false}},"lastReport":null},"latest":1900000000000,"inFlight":[{"call":7,"until":1900000060000}]}"#,
    );
}

#[test]
fn the_counts_with_those_who_told_them_and_what_a_newer_build_added() {
    pinned::<Counts>(
        &keyward_json::from_str(r#"{"tellers":[[11,6,1900000000000,1900000000001]],"later":{"a":[1]}}"#)
            .unwrap(),
        r#"{"minute":[],"day":[],"leases":{"open":[],"lastId":0},"usage":{"lastUsedAt":null,"hours":{},"lastReport":null},"latest":0,"tellers":[[11,6,1900000000000,1900000000001]],"later":{"a":[1]}}"#,
    );
}

#[test]
fn what_an_origin_settles_a_budget_with() {
    let open = Open::read("-:0:0 7 sha256:00 0 8 pool:tenant-1 1").unwrap();
    let token = "kwb_MTkwMDAwMDAwMDAwMCA3IHNoYTI1NjowMCAwIDggcG9vbDp0ZW5hbnQtMSAx.xvj-3PNfdgZ-1uVA3Cu1i6IX0WDp4Hj6AHM515SZeMU";
    assert_eq!(open.token(NOON, &Secrets::new(SECRET, None)), token);
}

#[test]
fn links_and_sessions() {
    let session = Session {
        realm: "shop".into(),
        tenant: Tenant {
            id: "t-1".into(),
            code: Some("A1".into()),
            status: TenantStatus::Active,
            plan: None,
            pool: None,
        },
        subject: Some("cart-7".into()),
        session_id: None,
        expires_at: NOON,
    };
    pinned(
        &Redeem { hash: "sha256:00".into(), realm: "shop".into() },
        r#"{"hash":"sha256:00","realm":"shop"}"#,
    );
    pinned(&Redeemed::Used, r#"{"outcome":"used"}"#);
    pinned(&Redeemed::Expired, r#"{"outcome":"expired"}"#);
    pinned(&Redeemed::Unknown, r#"{"outcome":"unknown"}"#);
    pinned(
        &Redeemed::Granted(session.clone()),
        r#"{"outcome":"granted","realm":"shop","tenant":{"id":"t-1","code":"A1","status":"ACTIVE","plan":null},"subject":"cart-7","sessionId":null,"expiresAt":1900000000000}"#,
    );
    let cookie = "kw_session_eyJyZWFsbSI6InNob3AiLCJ0ZW5hbnQiOnsiaWQiOiJ0LTEiLCJjb2RlIjoiQTEiLCJzdGF0dXMiOiJBQ1RJVkUiLCJwbGFuIjpudWxsfSwic3ViamVjdCI6ImNhcnQtNyIsInNlc3Npb25JZCI6bnVsbCwiZXhwaXJlc0F0IjoxOTAwMDAwMDAwMDAwfQ.6H0dSWjzCCVyYzzuVYlJd2LVQUXxiXKprXk1squ47a4";
    assert_eq!(session.seal(&Secrets::new(SECRET, None)).expose(), cookie);
}

#[test]
fn what_the_registrys_object_is_asked_and_what_it_says_of_itself() {
    let paths = [AdminCall::PATH, GetHealth::PATH, Redeem::PATH, UsageReport::PATH];
    assert_eq!(paths, ["/admin", "/ready", "/redeem", "/usage"]);
    pinned(&GetHealth {}, "{}");
    pinned(&RegistryHealth::default(), r#"{"fault":null,"setUp":null}"#);
}

/// What the object of a tenant's pool is told, and what each key's record and the change log say of it.
#[test]
fn a_pool_is_stored_and_sent_so() {
    let pool = Limits { per_minute: Some(5), total: Some(9), ..Limits::default() };
    let tenant = Tenant {
        id: "t-1".into(),
        code: Some("ABC".into()),
        status: TenantStatus::Active,
        plan: Some("pro".into()),
        pool: Some(pool),
    };
    let of_tenant = "{\"id\":\"t-1\",\"code\":\"ABC\",\"status\":\"ACTIVE\",\"plan\":\"pro\",\"pool\":{\"perMinute\":5,\"perDay\":null,\"total\":9}}";
    assert_eq!(serde_json::to_string(&tenant).unwrap(), of_tenant);
    assert_eq!(keyward_json::from_str::<Tenant>(of_tenant).unwrap(), tenant);
    assert_eq!(keyward_core::record::pool_name("t-1"), "tenant-t-1");
    let record = Record::of_pool(&tenant, pool, 7);
    let text = "{\"v\":\"1\",\"id\":\"tenant-t-1\",\"realm\":\"\",\"tenant\":{\"id\":\"t-1\",\"status\":\"ACTIVE\",\"plan\":null},\"kind\":\"secret\",\"mode\":\"live\",\"status\":\"ACTIVE\",\"version\":7,\"expiresAt\":null,\"scopes\":[],\"allowedIps\":[],\"allowedOrigins\":[],\"limits\":{\"perMinute\":5,\"perDay\":null,\"total\":9},\"tenantChange\":7}";
    assert_eq!(serde_json::to_string(&record).unwrap(), text);
    assert_eq!(keyward_json::from_str::<Record>(text).unwrap(), record);
}
