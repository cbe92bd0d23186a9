//! A coordinator in memory never knows more than its database: each single statement of each call fails once.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_core::{
    record::{Record, Status},
    sql::SqlError,
    time::SECOND,
};
use keyward_limits::{
    coordinator::{
        Counts, Keep,
        store::{self, Kept},
    },
    wire::{Acquire, CoordinatorCall, LeaseReport},
};
use keyward_testing::{Database, NOON, record};

fn take() -> CoordinatorCall {
    CoordinatorCall::Acquire(Acquire {
        version: 1,
        immediate: true,
        lease_length_ms: 5_000,
        wants: 100,
        ..Acquire::default()
    })
}

fn call(db: &Database, gate: &Kept, call: CoordinatorCall) -> Result<String, SqlError> {
    gate.turn(db, |gate| Ok(gate.answer(call, NOON.plus(SECOND)).unwrap()))
}

fn known(db: &Database, gate: &Kept) -> (Option<Record>, Counts) {
    gate.turn(db, |gate| Ok(((gate.record.clone(), gate.counts.clone()), Keep::Nothing))).unwrap()
}

#[test]
fn every_statement_of_every_call_may_fail_and_memory_is_as_the_disk() {
    let revoked = Record { version: 2, status: Status::Revoked, ..record() };
    let report = LeaseReport { id: 1, used: 2, open: 0, age_ms: 0 };
    let calls = [
        ("the first word of the key", vec![], CoordinatorCall::Put { record: record() }),
        (
            "a newer one",
            vec![CoordinatorCall::Put { record: record() }],
            CoordinatorCall::Put { record: revoked },
        ),
        ("a request", vec![CoordinatorCall::Put { record: record() }], take()),
        ("another", vec![CoordinatorCall::Put { record: record() }, take()], take()),
        (
            "a report",
            vec![CoordinatorCall::Put { record: record() }, take()],
            CoordinatorCall::Report {
                refused: [("TEST_MODE".to_owned(), 1)].into(),
                leases: vec![report],
                tally: None,
            },
        ),
    ];
    for (what, before, last) in calls {
        for woken in [false, true] {
            let begin = || {
                let (db, gate) = (Database::new(), Kept::default());
                for earlier in before.clone() {
                    call(&db, &gate, earlier).unwrap();
                }
                (db, if woken { Kept::default() } else { gate })
            };
            let (twin, gate) = begin();
            let expected = call(&twin, &gate, last.clone()).unwrap();
            for steps in 0.. {
                let (db, gate) = begin();
                let stored = db.dump();
                db.fail_after(steps);
                let answer = call(&db, &gate, last.clone());
                if db.has_not_failed() {
                    assert_eq!(answer.unwrap(), expected, "{what}");
                    assert!(steps > 0, "{what}: what did fail?");
                    break;
                }
                assert!(answer.is_err(), "{what} after {steps}");
                assert_eq!(db.dump(), stored, "{what} after {steps}");
                let disk = store::load(&db).unwrap();
                assert_eq!(known(&db, &gate), (disk.record, disk.counts), "{what} after {steps}");
                assert_eq!(
                    call(&db, &gate, last.clone()).unwrap(),
                    expected,
                    "{what} after {steps}, repeated"
                );
                assert_eq!(db.dump(), twin.dump(), "{what} after {steps}, repeated");
            }
        }
    }
}
