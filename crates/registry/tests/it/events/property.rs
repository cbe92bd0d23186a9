//! Whatever fails, each event is delivered, and those of a key in order.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// What a test does with a Registry and its receiver.
#[derive(Clone, Debug)]
enum Step {
    Create,
    Revoke(usize),
    Rotate(usize),
    Answers(Vec<Option<u16>>),
    Pass(i64),
    Crash,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let answer =
        prop_oneof![4 => Just(Some(200)), 2 => Just(Some(500)), 1 => Just(None), 1 => Just(Some(301))];
    let step = prop_oneof![
        3 => Just(Step::Create),
        3 => (0..8usize).prop_map(Step::Revoke),
        2 => (0..8usize).prop_map(Step::Rotate),
        3 => prop::collection::vec(answer, 1..8).prop_map(Step::Answers),
        4 => (0..120_000i64).prop_map(Step::Pass),
        2 => Just(Step::Crash),
    ];
    prop::collection::vec(step, 1..30)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// The second reading of the promise: a list of what was done, and of each key what of it came first for the first time.
    #[test]
    fn whatever_fails_and_crashes_each_event_is_delivered_and_those_of_a_key_in_order(steps in steps()) {
        let policy = policy_of(&[endpoint(&EventType::ALL)]);
        let (mut fixture, owner) = RegistryFixture::open_over(policy);
        let mut keys: Vec<String> = Vec::new();
        let mut done: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for step in steps {
            let key = |index: usize| keys.get(index).cloned();
            match step {
                Step::Create => {
                    let id = fixture.key(&owner, json!({})).key_id();
                    done.entry(id.clone()).or_default().push("key.created");
                    keys.push(id);
                }
                Step::Revoke(index) => {
                    let Some(id) = key(index) else { continue };
                    if fixture.post(&owner, &format!("/api-keys/{id}/revoke"), json!({})).status == 200 {
                        let of = done.get_mut(&id).unwrap();
                        if !of.contains(&"key.revoked") { of.push("key.revoked"); }
                    }
                }
                Step::Rotate(index) => {
                    let Some(id) = key(index) else { continue };
                    let rotate = json!({"graceSeconds": 3600});
                    let answer = fixture.post(&owner, &format!("/api-keys/{id}/rotate"), rotate);
                    if answer.status == 201 {
                        done.entry(answer.key_id()).or_default().push("key.created");
                        done.get_mut(&id).unwrap().push("key.rotated");
                    }
                }
                Step::Answers(answers) => fixture.receiver.borrow_mut().extend(answers),
                Step::Pass(ms) => fixture.pass_with_alarms(Span::from_ms(ms)),
                Step::Crash => {
                    fixture.restart(policy);
                    fixture.run(fixture.publisher.open()).unwrap();
                }
            }
        }
        fixture.pass_with_alarms(Span::from_hours(6));
        let mut first: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut known = BTreeSet::new();
        for ((kind, key), event) in taken(&fixture).into_iter().zip(taken_ids(&fixture)) {
            if known.insert(event) {
                first.entry(key).or_default().push(kind);
            }
        }
        let told = |kinds: Vec<&str>| kinds.into_iter().map(str::to_owned).collect::<Vec<_>>();
        // A rotated key's grace is told as an expiry only where it is longer than a day.
        let done: BTreeMap<String, Vec<String>> = done.into_iter().map(|(id, kinds)| (id, told(kinds))).collect();
        prop_assert_eq!(first, done);
        let at: Timestamp = fixture.now.get();
        prop_assert!(fixture.next_due().is_none_or(|due| due > at));
    }
}
