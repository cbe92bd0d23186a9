//! A coordinator in memory never knows more than its database: every statement of every call fails once.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_core::{
    record::{Record, Status},
    sql::SqlError,
};
use keyward_limits::{
    coordinator::{
        Counts, Keep,
        store::{self, Kept},
    },
    wire::{Acquire, CoordinatorCall, LeaseReport},
};
use keyward_testing::{Database, NOON, record};

use crate::common::{SECOND, ms};

fn take() -> CoordinatorCall {
    CoordinatorCall::Acquire(Acquire {
        version: 1,
        immediate: true,
        lease_length: ms(5_000),
        wants: 100,
        ..Acquire::default()
    })
}

fn call(db: &Database, object: &Kept, call: CoordinatorCall) -> Result<String, SqlError> {
    object.turn(db, |coordinator| Ok(coordinator.answer(call, NOON + ms(SECOND)).unwrap()))
}

fn known(db: &Database, object: &Kept) -> (Option<Record>, Counts) {
    object
        .turn(db, |coordinator| Ok(((coordinator.record.clone(), coordinator.counts.clone()), Keep::Nothing)))
        .unwrap()
}

#[test]
fn every_statement_of_every_call_may_fail_and_memory_is_as_the_disk() {
    let revoked = Record { version: 2, status: Status::Revoked, ..record() };
    let report = LeaseReport { id: 1, used: 2, open: 0, age: ms(0) };
    let calls = [
        ("the first record", vec![], CoordinatorCall::Put { record: record() }),
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
                let (db, object) = (Database::new(), Kept::default());
                for earlier in before.clone() {
                    call(&db, &object, earlier).unwrap();
                }
                (db, if woken { Kept::default() } else { object })
            };
            let (twin, object) = begin();
            let expected = call(&twin, &object, last.clone()).unwrap();
            for steps in 0.. {
                let (db, object) = begin();
                let stored = db.dump();
                db.fail_after(steps);
                let answer = call(&db, &object, last.clone());
                if db.has_not_failed() {
                    assert_eq!(answer.unwrap(), expected, "{what}");
                    assert!(steps > 0, "{what}: what did fail?");
                    break;
                }
                assert!(answer.is_err(), "{what} after {steps}");
                assert_eq!(db.dump(), stored, "{what} after {steps}");
                let disk = store::load(&db).unwrap();
                assert_eq!(known(&db, &object), (disk.record, disk.counts), "{what} after {steps}");
                assert_eq!(
                    call(&db, &object, last.clone()).unwrap(),
                    expected,
                    "{what} after {steps}, repeated"
                );
                assert_eq!(db.dump(), twin.dump(), "{what} after {steps}, repeated");
            }
        }
    }
}
