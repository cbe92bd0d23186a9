//! Passwords that are typed at the same moment: whoever is right is let in, and whoever is wrong gains nothing by it.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_core::time::{MILLISECOND, SECOND, Span};
use keyward_registry::{CallState, Progress, attempts::Attempts, front};
use keyward_testing::{
    NOON, Seeded,
    registry_fixture::{PASSWORD, RegistryFixture},
};
use serde_json::json;

use crate::throttle::{HOME, OWNER, WRONG, crowd, flood, try_from};

/// So many people sign in at the same moment, each with these passwords.
fn at_once(fixture: &RegistryFixture, calls: impl IntoIterator<Item = (String, &'static str)>) -> Vec<u16> {
    let calls: Vec<_> = calls
        .into_iter()
        .map(|(email, password)| {
            fixture.call("POST", "", "/session", json!({"email": email, "password": password}))
        })
        .collect();
    fixture.send_at_once(&calls).iter().map(|answer| answer.status).collect()
}

#[test]
fn right_passwords_at_the_same_moment_are_all_let_in() {
    let (fixture, owner) = RegistryFixture::open();
    fixture.derivation.set(Span::from_ms(120));
    let before = fixture.now.get();
    assert_eq!(at_once(&fixture, (0..30).map(|_| (OWNER.to_owned(), PASSWORD))), [201; 30]);
    assert!(fixture.now.get().0 - before.0 <= 2_000, "and soon");
    let step_up = fixture.call("POST", &owner, "/session/step-up", json!({"password": PASSWORD}));
    let answers = fixture.send_at_once(&vec![step_up; 12]);
    assert_eq!(answers.iter().map(|answer| answer.status).collect::<Vec<_>>(), [204; 12]);
}

#[test]
fn right_passwords_at_the_same_moment_are_let_in_at_a_known_network_while_strangers_guess_or_neighbours_crowd()
 {
    let holds: [fn(&RegistryFixture); 2] = [|fixture| assert_eq!(flood(fixture, OWNER), 30), crowd];
    for hold in holds {
        let (fixture, _) = RegistryFixture::open();
        hold(&fixture);
        fixture.derivation.set(Span::from_ms(80));
        assert_eq!(at_once(&fixture, (0..12).map(|_| (OWNER.to_owned(), PASSWORD))), [201; 12]);
        // And what is wrong is refused before anybody could see that it was looked at.
        let before = fixture.now.get();
        let statuses = at_once(&fixture, (0..40).map(|_| (OWNER.to_owned(), WRONG)));
        // A crowd leaves room for a call now and then.
        assert!(statuses.iter().filter(|status| **status != 429).count() < 5);
        assert!(fixture.now.get() - before < front::REFUSED_SIGN_IN);
    }
}

#[test]
fn wrong_passwords_at_the_same_moment_get_no_more_attempts_by_waiting_and_a_bounded_wait() {
    let (fixture, _) = RegistryFixture::open();
    fixture.derivation.set(Span::from_ms(120));
    let (derivations, before) = (fixture.derivations.get(), fixture.now.get());
    let statuses = at_once(&fixture, (0..300).map(|_| (OWNER.to_owned(), WRONG)));
    let of = |status| statuses.iter().filter(|own| **own == status).count();
    assert_eq!((of(401), of(429)), (5, 295));
    assert_eq!(fixture.derivations.get() - derivations, 5);
    assert!(fixture.now.get().0 - before.0 <= 2_000);
    fixture.later(SECOND);
    try_from(&fixture, HOME, OWNER, PASSWORD).expect(201);
}

#[test]
fn a_derivation_that_never_ends_keeps_nobody_waiting_for_long() {
    let (fixture, _) = RegistryFixture::open();
    let sign_in = fixture.call("POST", "", "/session", json!({"email": OWNER, "password": PASSWORD}));
    for _ in 0..5 {
        let progress = fixture.registry().handle(
            &sign_in,
            &CallState::default(),
            fixture.now.get(),
            &mut Seeded::new(1),
        );
        assert!(matches!(progress, Progress::Derive(_)));
    }
    let before = fixture.now.get();
    // By then what was counted makes wait no longer.
    try_from(&fixture, HOME, OWNER, PASSWORD).expect(201);
    assert!((1..=2_000).contains(&(fixture.now.get().0 - before.0)));
}

#[test]
fn few_wait_at_a_time_and_nothing_grows_by_it() {
    let attempts = Attempts::default();
    attempts.begin("pair:a", NOON);
    let waiting = |now| (0..200).filter(|_| attempts.may_wait("pair:a", now)).count();
    assert_eq!(
        [waiting(NOON), waiting(NOON.plus(Span::from_ms(100))), waiting(NOON.plus(5 * SECOND))],
        [50, 50, 0]
    );
    assert_eq!(waiting(NOON.plus(-MILLISECOND)), 0, "a clock that was set back");
    for n in 0..2_000 {
        attempts.begin(&format!("pair:{n}"), NOON);
    }
    let may_wait = |subject| attempts.may_wait(subject, NOON.plus(Span::from_ms(200)));
    assert_eq!([may_wait("pair:0"), may_wait("pair:1999")], [false, true]);
}
