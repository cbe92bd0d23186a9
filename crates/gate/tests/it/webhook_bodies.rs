//! Webhooks on their way through the gate: which pass, which bodies are read, and who is slowed.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_core::{
    key,
    request_target::RequestTarget,
    time::{HOUR, MILLISECOND, SECOND, Span, Timestamp},
};
use keyward_gate::{
    admission::Admission,
    denial::Denial,
    gate::Identity,
    in_flight::{InFlight, READ_WITHIN, Sender},
};
use keyward_policy::{Requirement, Route, Webhook};
use keyward_testing::{
    NOON,
    call::{self, Call},
    fake_platform::{CALLER, FakePlatform, Request},
    jose,
    policy::POLICY,
};

const STRIPE: Webhook = Webhook::stripe("STRIPE_SECRET");
const BODY: &[u8] = br#"{"id":"evt_1"}"#;

fn platform() -> FakePlatform {
    let platform = FakePlatform::new();
    platform.named_secrets.borrow_mut().insert("STRIPE_SECRET", "whsec_test");
    platform
}

fn signature(at: Timestamp, body: &[u8]) -> String {
    let seconds = at.0 / 1_000;
    let mac = jose::mac(b"whsec_test", &[format!("{seconds}.").as_bytes(), body].concat());
    format!("t={seconds},v1={}", key::hex(&mac))
}

fn forged(at: Timestamp) -> String {
    signature(at, b"another body")
}

fn send(platform: &FakePlatform, address: &'static str, request: &Request<'_>) -> Result<(), Denial> {
    let route = Route { requires: Requirement::Webhook(&STRIPE), ..POLICY.realms[0].routes[0] };
    let caller = keyward_gate::client_info::ClientInfo { method: "POST", address: Some(address), ..CALLER };
    match platform.authenticate(
        &POLICY.realms[0],
        &route,
        RequestTarget::of("https://a.example/api/x"),
        caller,
        request,
    ) {
        Ok(Admission::Pass(accepted)) => {
            assert_eq!(accepted.permit.identity(), &Identity::Sender);
            Ok(())
        }
        Ok(Admission::Redirect(_)) => panic!("no link was followed"),
        Err(refused) => Err(refused.denial),
    }
}

fn deliver(platform: &FakePlatform, address: &'static str, signature: &str) -> Result<(), Denial> {
    let fields = [("stripe-signature", signature)];
    send(platform, address, &Request { fields: &fields, body: BODY, ..Request::default() })
}

#[test]
fn a_webhook_passes_with_its_senders_signature_and_nothing_else() {
    let platform = call::platform();
    let seconds = NOON.0 / 1_000;
    let body: &[u8] = br#"{"id":"evt_1"}"#;
    let sign = |secret: &str| {
        key::hex(&jose::mac(secret.as_bytes(), &[format!("{seconds}.").as_bytes(), body].concat()))
    };
    let signature = format!("t={seconds},v1={}", sign("whsec_test"));
    let route = Route { requires: Requirement::Webhook(&STRIPE), ..POLICY.realms[0].routes[0] };
    let sent =
        |fields, body| Call { method: "POST", fields, body, ..Call::of(call::realm(jose::PUBLIC), route) };
    let right = vec![("stripe-signature", signature.as_str())];
    assert_eq!(
        sent(right.clone(), body).told(&platform).unwrap(),
        [("Keyward-Request-Id", "req-1".to_owned())]
    );

    let invalid = |call: Call<'_>| matches!(call.told(&platform), Err(Denial::InvalidSignature { .. }));
    let forged = format!("t={seconds},v1={}", sign("whsec_other"));
    assert!(invalid(sent(right.clone(), br#"{"id":"evt_2"}"#)));
    assert!(invalid(sent(vec![("stripe-signature", &forged)], body)));
    assert!(invalid(sent(vec![("x-api-key", "kw_live_x")], body)), "a key is no signature");
    let large = vec![b'x'; 5 * 1024 * 1024];
    assert_eq!(sent(right.clone(), &large).told(&platform).unwrap_err(), Denial::BodyTooLarge);
    platform.named_secrets.borrow_mut().clear();
    assert_eq!(
        sent(right.clone(), body).told(&platform).unwrap_err(),
        Denial::NotConfigured { what: "STRIPE_SECRET" }
    );
    platform.named_secrets.borrow_mut().insert("STRIPE_SECRET", "");
    let unfit = sent(right, body).told(&platform).unwrap_err();
    assert!(matches!(unfit, Denial::UnfitSecret { secret: "STRIPE_SECRET", .. }), "{unfit:?}");
}

#[test]
fn no_body_is_read_of_what_its_headers_show_to_be_no_senders() {
    let right = signature(NOON, BODY);
    let old = signature(NOON.plus(-301 * SECOND), BODY);
    let cut = right[..right.len() - 1].to_owned();
    let twice = format!("{right}, {right}");
    let cases: [(&str, &[(&str, &str)]); 6] = [
        ("no signature", &[]),
        ("sent twice", &[("stripe-signature", &twice)]),
        ("too old", &[("stripe-signature", &old)]),
        ("too short", &[("stripe-signature", &cut)]),
        ("too large", &[("stripe-signature", &right), ("content-length", "1048577")]),
        ("no number", &[("stripe-signature", "t=x,v1=x")]),
    ];
    for (what, fields) in cases {
        let platform = platform();
        let request = Request { fields, body: BODY, ..Request::default() };
        assert!(send(&platform, "192.0.2.1", &request).is_err(), "{what}");
        assert_eq!(request.read.get(), 0, "{what}");
        assert_eq!(platform.asked(), Vec::<String>::new(), "{what}: it costs nothing");
    }
    let platform = platform();
    platform.named_secrets.borrow_mut().clear();
    let request = Request { fields: &[("stripe-signature", &right)], body: BODY, ..Request::default() };
    assert_eq!(send(&platform, "192.0.2.1", &request), Err(Denial::NotConfigured { what: "STRIPE_SECRET" }));
    assert_eq!(request.read.get(), 0);
}

#[test]
fn a_network_that_keeps_sending_forged_ones_is_held_back_before_a_body_is_read() {
    let platform = platform();
    platform.limited_addresses.borrow_mut().insert("webhook 192.0.2.1".into());
    assert!(matches!(deliver(&platform, "192.0.2.1", &forged(NOON)), Err(Denial::InvalidSignature { .. })));
    let right = signature(NOON, BODY);
    let request = Request { fields: &[("stripe-signature", &right)], body: BODY, ..Request::default() };
    assert!(matches!(send(&platform, "192.0.2.1", &request), Err(Denial::TooManyFailures { .. })));
    assert_eq!(request.read.get(), 0);
    assert_eq!(deliver(&platform, "192.0.2.2", &right), Ok(()), "another network is not");
    platform.clock.set(NOON.plus(10 * SECOND));
    assert_eq!(deliver(&platform, "192.0.2.1", &right), Ok(()), "and it is let in again");
}

#[test]
fn a_sender_that_shares_its_network_with_a_forger_still_passes() {
    let platform = platform();
    assert_eq!(deliver(&platform, "192.0.2.1", &signature(NOON, BODY)), Ok(()));
    platform.limited_addresses.borrow_mut().insert("webhook 192.0.2.1".into());
    for _ in 0..3 {
        assert!(matches!(
            deliver(&platform, "192.0.2.1", &forged(NOON)),
            Err(Denial::InvalidSignature { .. })
        ));
        assert_eq!(deliver(&platform, "192.0.2.1", &signature(NOON, BODY)), Ok(()));
    }
    let later = NOON.plus(HOUR);
    platform.clock.set(later);
    assert!(deliver(&platform, "192.0.2.1", &forged(later)).is_err());
    let held_back = deliver(&platform, "192.0.2.1", &signature(later, BODY));
    assert!(
        matches!(held_back, Err(Denial::TooManyFailures { .. })),
        "nothing came for an hour: {held_back:?}"
    );
}

#[test]
fn a_body_that_is_late_breaks_off_or_is_too_large_counts_as_a_failure_and_a_lack_of_room_does_not() {
    for (fault, counts) in [
        (Denial::LateBody, true),
        (Denial::BrokenBody, true),
        (Denial::BodyTooLarge, true),
        (Denial::Overloaded, false),
    ] {
        let platform = platform();
        let right = signature(NOON, BODY);
        let request = Request {
            fields: &[("stripe-signature", &right)],
            fault: Some(fault.clone()),
            ..Request::default()
        };
        assert_eq!(send(&platform, "192.0.2.1", &request), Err(fault.clone()));
        assert_eq!(platform.asked().contains(&"FAILURES".to_owned()), counts, "{fault:?}");
    }
}

#[test]
fn forged_webhooks_keep_no_keys_out() {
    let platform = platform();
    platform.limited_addresses.borrow_mut().insert("webhook 192.0.2.1".into());
    assert!(deliver(&platform, "192.0.2.1", &forged(NOON)).is_err());
    let key = platform.new_key(1);
    platform.tell(&key, &keyward_testing::record());
    assert!(platform.check(&key).is_ok());
}

const KIB: usize = 1024;

fn room(most: usize, most_of_one: usize) -> InFlight {
    InFlight::new("test", most, most_of_one)
}

/// Takes room for 20 KiB; the place, and those that gave way for it.
fn take(room: &mut InFlight, whose: &str) -> Option<(u64, Vec<u64>)> {
    room.take(Sender::new(whose), 20 * KIB, NOON, READ_WITHIN)
}

/// The same for a body that has come since.
fn fill(room: &mut InFlight, whose: &str) -> Option<u64> {
    let (place, gave_way) = take(room, whose)?;
    assert!(gave_way.is_empty());
    assert!(room.has_come(place, 20 * KIB, NOON, READ_WITHIN));
    Some(place)
}

#[test]
fn room_is_bounded_in_all_and_for_each_network() {
    let mut room = room(100 * KIB, 40 * KIB);
    let first = fill(&mut room, "a").unwrap();
    assert!(fill(&mut room, "a").is_some());
    assert_eq!(take(&mut room, "a"), None, "its part is used up");
    assert!(fill(&mut room, "b").is_some() && fill(&mut room, "b").is_some());
    assert!(fill(&mut room, "c").is_some());
    assert_eq!(take(&mut room, "c"), None, "all is used up");
    room.give_back(first);
    room.give_back(first);
    assert!(fill(&mut room, "c").is_some());
    assert_eq!(take(&mut room, "d"), None, "what is given back twice is free once");
}

#[test]
fn a_body_that_is_larger_than_a_networks_part_is_there_alone_of_it() {
    let mut room = room(200 * KIB, 20 * KIB);
    let large = |room: &mut InFlight, whose| room.take(Sender::new(whose), 60 * KIB, NOON, READ_WITHIN);
    let (first, _) = large(&mut room, "a").unwrap();
    assert_eq!(large(&mut room, "a").unwrap().1, [first], "its own gives way");
    let mut chunked = self::room(100 * KIB, 20 * KIB);
    let (id, _) = chunked.take(Sender::new("a"), 16 * KIB, NOON, READ_WITHIN).unwrap();
    assert_eq!(chunked.grow(id, 60 * KIB, NOON), Some(vec![]));
    assert_eq!(chunked.grow(id, 120 * KIB, NOON), None, "there is no more room than that");
}

#[test]
fn what_goes_beyond_a_networks_part_drives_out_its_own_and_not_even_what_comes_slowly_of_others() {
    let mut room = room(100 * KIB, 20 * KIB);
    take(&mut room, "slow").unwrap();
    let later = NOON.plus(2 * SECOND);
    let (own, _) = room.take(Sender::new("a"), 20 * KIB, later, READ_WITHIN).unwrap();
    assert_eq!(room.take(Sender::new("a"), 4 * KIB, later, READ_WITHIN).unwrap().1, [own]);
}

/// A large body beside a part of 20 KiB, and a small one.
const LARGE: usize = 60 * KIB;

fn known(name: &str) -> Sender {
    Sender { is_known: true, ..Sender::new(name) }
}

#[test]
fn a_large_body_and_small_ones_of_one_network_do_not_keep_each_other_out() {
    let mut room = room(100 * KIB, 20 * KIB);
    let (large, _) = room.take(Sender::new("a"), LARGE, NOON, READ_WITHIN).unwrap();
    let (small, gave_way) = room.take(Sender::new("a"), 16 * KIB, NOON, READ_WITHIN).unwrap();
    assert!(gave_way.is_empty(), "while both are coming");
    assert!(room.has_come(large, LARGE, NOON, READ_WITHIN));
    assert!(room.has_come(small, 16 * KIB, NOON, READ_WITHIN));
    let (next, gave_way) = room.take(Sender::new("a"), 4 * KIB, NOON, READ_WITHIN).unwrap();
    assert!(gave_way.is_empty(), "while both are at the origin");
    assert_eq!(room.take(Sender::new("a"), 4 * KIB, NOON, SECOND).unwrap().1, [next], "its part is bounded");
    assert_eq!(
        room.take(Sender::new("a"), 21 * KIB, NOON, SECOND),
        None,
        "and it has one large body at a time"
    );
    room.give_back(large);
    let (grows, _) = room.take(known("a"), 4 * KIB, NOON, SECOND).unwrap();
    assert_eq!(room.grow(grows, LARGE, NOON), Some(vec![]), "one that grows leaves the part");
}

#[test]
fn a_large_body_drives_nobody_elses_out_unless_its_network_is_known() {
    let mut room = room(100 * KIB, 20 * KIB);
    let small = ["a", "b", "c"].map(|whose| take(&mut room, whose).unwrap().0);
    for bytes in [60 * KIB, 41 * KIB] {
        assert_eq!(room.take(Sender::new("d"), bytes, NOON, SECOND), None, "there are 40 KiB left");
    }
    let (large, _) = room.take(Sender::new("d"), 30 * KIB, NOON, SECOND).unwrap();
    assert_eq!(room.grow(large, 41 * KIB, NOON), None);
    assert_eq!(room.take(known("e"), 55 * KIB, NOON, SECOND).unwrap().1, [large, small[0]]);
}

#[test]
fn those_of_known_networks_give_way_last_of_what_is_not_slow() {
    let mut room = room(100 * KIB, 60 * KIB);
    let (sender, _) = room.take(known("sender"), 60 * KIB, NOON, READ_WITHIN).unwrap();
    let others = ["a", "b"].map(|whose| take(&mut room, whose).unwrap().0);
    assert_eq!(take(&mut room, "c").unwrap().1, [others[0]], "though the sender has most under way");
    let later = NOON.plus(2 * SECOND);
    let (_, gave_way) = room.take(Sender::new("d"), 20 * KIB, later, SECOND).unwrap();
    assert_eq!(gave_way, [others[1]], "all are slow by now");
    for whose in ["e", "f"] {
        let (_, gave_way) = room.take(Sender::new(whose), 20 * KIB, later, READ_WITHIN).unwrap();
        assert!(!gave_way.is_empty());
    }
    assert!(!room.has_come(sender, 60 * KIB, later, SECOND), "nobody may be slow for long");
}

#[test]
fn a_large_body_may_take_a_second_more_for_each_mebibyte() {
    const MIB: usize = 1024 * KIB;
    let mut room = room(10 * MIB, MIB);
    let (large, _) = room.take(known("a"), 5 * MIB, NOON, READ_WITHIN).unwrap();
    let later = |ms| NOON.plus(Span::from_ms(ms));
    let (small, _) = room.take(Sender::new("b"), MIB, later(3_500), READ_WITHIN).unwrap();
    for whose in ["c", "d", "e", "f"] {
        assert!(room.take(Sender::new(whose), MIB, later(5_500), READ_WITHIN).unwrap().1.is_empty());
    }
    assert_eq!(room.take(Sender::new("g"), MIB, later(5_900), SECOND).unwrap().1, [small]);
    assert_eq!(room.take(Sender::new("h"), MIB, later(6_000), SECOND).unwrap().1, [large]);
}

#[test]
fn the_room_is_told_whether_the_network_has_delivered() {
    let platform = platform();
    let body_is_of_a_known_network = || {
        let sign = signature(platform.clock.now(), BODY);
        let request = Request { fields: &[("stripe-signature", &sign)], body: BODY, ..Request::default() };
        assert_eq!(send(&platform, "192.0.2.1", &request), Ok(()));
        request.read_of_known.get()
    };
    assert!(!body_is_of_a_known_network());
    assert!(body_is_of_a_known_network());
    platform.pass_time(2 * HOUR);
    assert!(!body_is_of_a_known_network());
}

#[test]
fn room_that_nobody_gives_back_is_free_when_its_time_is_over() {
    let mut room = room(20 * KIB, 20 * KIB);
    let end = NOON + READ_WITHIN;
    let id = fill(&mut room, "a").unwrap();
    assert_eq!(room.take(Sender::new("b"), KIB, end.plus(-MILLISECOND), SECOND), None);
    room.keep(id, end, SECOND);
    assert_eq!(room.take(Sender::new("b"), KIB, end, SECOND), None, "a longer time was asked for");
    let (_, gave_way) = room.take(Sender::new("b"), KIB, end.plus(SECOND), HOUR).unwrap();
    assert_eq!(gave_way, [id]);
}

#[test]
fn room_that_nobody_gives_back_is_free_when_the_clock_was_set_back_since() {
    let mut room = room(20 * KIB, 20 * KIB);
    let id = fill(&mut room, "a").unwrap();
    let (_, gave_way) = room.take(Sender::new("b"), KIB, NOON.plus(-HOUR), SECOND).unwrap();
    assert_eq!(gave_way, [id], "an hour would pass before its time is over");
}

#[test]
fn many_small_bodies_do_not_come_for_nothing() {
    let mut room = room(40 * KIB, 40 * KIB);
    let come = |room: &mut InFlight| {
        let (id, _) = room.take(Sender::new("a"), 0, NOON, SECOND)?;
        room.has_come(id, 0, NOON, SECOND).then_some(())
    };
    assert_eq!((0..20).filter(|_| come(&mut room).is_some()).count(), 10);
}

#[test]
fn a_body_of_which_the_length_is_not_said_takes_room_as_it_comes_and_keeps_what_it_has() {
    let mut room = room(100 * KIB, 100 * KIB);
    let chunked: Vec<_> =
        (0..5).map(|_| room.take(Sender::new("a"), 16 * KIB, NOON, SECOND).unwrap().0).collect();
    assert_eq!(room.grow(chunked[4], 36 * KIB, NOON), Some(vec![]), "there is room for that");
    assert_eq!(room.grow(chunked[4], 64 * KIB, NOON).as_deref(), Some(&chunked[..2]), "the oldest go");
    assert!(room.has_come(chunked[4], 60 * KIB, NOON, SECOND));
    assert_eq!(room.grow(chunked[0], 64 * KIB, NOON), None, "it has no place any more");
    assert_eq!(room.grow(chunked[2], 64 * KIB, NOON), None, "what has come stays");
    assert!(room.has_come(chunked[2], 8 * KIB, NOON, SECOND));
    assert!(room.has_come(chunked[3], 8 * KIB, NOON, SECOND));
    let rest = room.take(Sender::new("b"), 24 * KIB, NOON, SECOND).unwrap();
    assert!(rest.1.is_empty(), "60 and 16 are taken, and no more");
}

#[test]
fn who_sends_slowly_keeps_nobody_out_however_many_they_are() {
    let mut room = room(100 * KIB, 40 * KIB);
    // Three networks fill it all with what does not end, one of them more than others.
    let slow: Vec<_> = ["a", "a", "b", "b", "c"].map(|whose| take(&mut room, whose).unwrap().0).into();
    let (sender, gave_way) = take(&mut room, "sender").unwrap();
    assert_eq!(gave_way, [slow[0]], "the oldest of those that hold most");
    assert!(!room.has_come(slow[0], 20 * KIB, NOON, SECOND), "it has no place any more");
    for round in 0..20 {
        // They come again and again; the sender, who holds least, is not the one to go.
        let whose = ["a", "b", "c"][round % 3];
        let (_, gave_way) = take(&mut room, whose).unwrap();
        assert!(!gave_way.contains(&sender) && gave_way.len() == 1, "{round}");
    }
    assert!(room.has_come(sender, KIB, NOON, SECOND));
    // Of its own network the oldest goes, and what has come stays.
    let mut own = self::room(100 * KIB, 40 * KIB);
    let (stays, first) = (fill(&mut own, "a").unwrap(), take(&mut own, "a").unwrap().0);
    assert_eq!(take(&mut own, "a").unwrap().1, [first]);
    assert!(own.has_come(stays, KIB, NOON, SECOND));
}

#[test]
fn what_somebody_has_sent_before_makes_nothing_give_way_that_comes_next() {
    let mut room = room(160 * KIB, 160 * KIB);
    // A busy sender: what it has sent waits for the origin, and more comes.
    for _ in 0..4 {
        assert!(fill(&mut room, "sender").is_some());
    }
    let (next, _) = take(&mut room, "sender").unwrap();
    let others = ["a", "b", "a"].map(|whose| take(&mut room, whose).unwrap().0);
    assert_eq!(take(&mut room, "c").unwrap().1, [others[0]], "of those that have most under way");
    assert!(room.has_come(next, 20 * KIB, NOON, SECOND));
}

#[test]
fn what_comes_slowly_gives_way_first_whoever_sends_it() {
    let mut room = room(100 * KIB, 100 * KIB);
    let slow = ["a", "b"].map(|whose| take(&mut room, whose).unwrap().0);
    let later = NOON.plus(SECOND);
    let mut take = |whose| room.take(Sender::new(whose), 20 * KIB, later, READ_WITHIN).unwrap();
    // A sender with much at once, and then as many others as there is room for.
    let (quick, _) = take("sender");
    assert!(take("sender").1.is_empty() && take("sender").1.is_empty());
    assert_eq!(take("c").1, [slow[0]]);
    assert_eq!(take("d").1, [slow[1]]);
    assert!(room.has_come(quick, 20 * KIB, later, SECOND));
}

#[test]
fn nobody_gives_way_in_vain() {
    let mut room = room(100 * KIB, 40 * KIB);
    assert!(fill(&mut room, "a").is_some());
    let (slow, _) = take(&mut room, "a").unwrap();
    assert_eq!(room.take(Sender::new("a"), 40 * KIB, NOON, SECOND), None);
    assert!(room.has_come(slow, KIB, NOON, SECOND));
}

#[test]
fn a_network_that_is_held_back_may_try_one_now_and_then_with_little_time() {
    let platform = platform();
    platform.limited_addresses.borrow_mut().insert("webhook 192.0.2.1".into());
    assert!(deliver(&platform, "192.0.2.1", &forged(NOON)).is_err());
    let (mut tried, mut within) = (0, Span::ZERO);
    // A forger sends on, a hundred a second for two.
    for step in 1..=200 {
        let now = NOON + Span::from_ms(10 * step);
        platform.clock.set(now);
        let sign = forged(now);
        let request = Request { fields: &[("stripe-signature", &sign)], body: BODY, ..Request::default() };
        assert!(send(&platform, "192.0.2.1", &request).is_err());
        tried += request.read.get();
        within = within.max(request.read_within.get());
    }
    assert_eq!((tried, within), (4, Span::from_ms(500)), "one at a time, each half a second");
    // A sender's own gets its turn, and from then on is not held back at all.
    let now = NOON.plus(Span::from_ms(2_510));
    platform.clock.set(now);
    assert_eq!(deliver(&platform, "192.0.2.1", &signature(now, BODY)), Ok(()));
    for _ in 0..3 {
        assert!(matches!(
            deliver(&platform, "192.0.2.1", &forged(now)),
            Err(Denial::InvalidSignature { .. })
        ));
        assert_eq!(deliver(&platform, "192.0.2.1", &signature(now, BODY)), Ok(()));
    }
}
