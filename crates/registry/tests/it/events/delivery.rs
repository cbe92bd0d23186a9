//! Events are delivered at least once, in order for each key, whatever the receiver does.

use keyward_registry::events::{queue, retention, sending};

use super::*;

#[test]
fn a_receiver_that_is_down_for_a_day_loses_nothing_and_is_asked_less_and_less_often() {
    let (fixture, owner) = open();
    fixture.receiver.borrow_mut().extend([const { Some(503) }; 10_000]);
    let ids: Vec<String> = (0..5).map(|_| fixture.key(&owner, json!({})).key_id()).collect();
    fixture.pass_with_alarms(Span::from_hours(12));
    let owner = fixture.sign_in("owner@example.com");
    for id in &ids {
        fixture.post(&owner, &format!("/api-keys/{id}/revoke"), json!({})).expect(200);
    }
    fixture.pass_with_alarms(Span::from_hours(12));
    let attempts = fixture.received.borrow().len();
    assert!((140..200).contains(&attempts), "{attempts} attempts in a day");
    let failing = status(&fixture, &fixture.sign_in("owner@example.com"));
    assert_eq!((&failing["state"], &failing["error"]), (&json!("failing"), &json!("answered 503")));
    assert_eq!((&failing["waiting"], &failing["lost"]), (&json!(10), &json!(0)));

    fixture.receiver.borrow_mut().clear();
    fixture.pass_with_alarms(queue::LAST_RETRY * 2);
    for id in &ids {
        let of: Vec<String> =
            taken(&fixture).into_iter().filter(|(_, of)| of == id).map(|(kind, _)| kind).collect();
        assert_eq!(of, ["key.created", "key.revoked"]);
    }
    let well = status(&fixture, &fixture.sign_in("owner@example.com"));
    assert_eq!((&well["state"], &well["waiting"], &well["error"]), (&json!("ok"), &json!(0), &Value::Null));
}

#[test]
fn each_attempt_has_the_same_id_and_body_and_its_own_time_and_signature() {
    let (fixture, owner) = open();
    fixture.receiver.borrow_mut().extend([Some(500), Some(302), None]);
    fixture.key(&owner, json!({}));
    fixture.pass_with_alarms(Span::from_mins(5));
    let received = fixture.received.borrow();
    assert_eq!(
        received.iter().map(|received| received.status).collect::<Vec<_>>(),
        [Some(500), Some(302), None, Some(200)]
    );
    let of = |name: &str| {
        received.iter().map(|received| field(received, name).to_owned()).collect::<BTreeSet<_>>()
    };
    assert_eq!(
        (of("webhook-id").len(), of("webhook-timestamp").len(), of("webhook-signature").len()),
        (1, 4, 4)
    );
    assert_eq!(received.iter().map(|received| &received.body).collect::<BTreeSet<_>>().len(), 1);
}

#[test]
fn a_slow_receiver_keeps_no_key_from_being_published() {
    let (fixture, owner) = open();
    fixture.key(&owner, json!({}));
    fixture.receiver.borrow_mut().push_back(None);
    fixture.pass_with_alarms(Span::from_secs(2));
    assert_eq!(fixture.received.borrow().len(), 1, "it is asked, and does not answer");
    fixture.kv_is_down.set(true);
    let id = fixture.key(&owner, json!({})).key_id();
    fixture.kv_is_down.set(false);
    fixture.pass_with_alarms(Span::from_secs(5));
    assert!(fixture.published(&id).is_some());
    assert_eq!(fixture.received.borrow().len(), 1, "it is sent one event at a time");
    fixture.pass_with_alarms(sending::PATIENCE);
    assert!(fixture.log.borrow().iter().any(|line| line == "events: endpoint main: no answer within 15 s"));
}

#[test]
fn an_event_that_is_never_taken_holds_up_its_own_key_alone() {
    let (fixture, owner) = open();
    let stuck = fixture.key(&owner, json!({})).key_id();
    fixture.refused_subject.replace(Some(stuck.clone()));
    let other = fixture.key(&owner, json!({})).key_id();
    fixture.pass_with_alarms(Span::from_secs(30));
    fixture.post(&owner, &format!("/api-keys/{other}/revoke"), json!({})).expect(200);
    fixture.post(&owner, &format!("/api-keys/{stuck}/revoke"), json!({})).expect(200);
    fixture.pass_with_alarms(Span::from_mins(1));
    assert_eq!(taken(&fixture), [("key.created".into(), other.clone()), ("key.revoked".into(), other)]);
    assert!(sleeps(&fixture), "what waits for it wakes nobody up");
    fixture.refused_subject.replace(None);
    fixture.pass_with_alarms(queue::LAST_RETRY * 2);
    let last = taken(&fixture).split_off(2);
    assert_eq!(last, [("key.created".into(), stuck.clone()), ("key.revoked".into(), stuck)]);
}

#[test]
fn a_receiver_that_is_gone_is_left_alone_until_somebody_replays() {
    let (fixture, owner) = open();
    let first = fixture.key(&owner, json!({})).key_id();
    fixture.pass_with_alarms(Span::from_secs(10));
    fixture.receiver.borrow_mut().push_back(Some(410));
    let second = fixture.key(&owner, json!({})).key_id();
    fixture.pass_with_alarms(DAY);
    assert_eq!(fixture.received.borrow().len(), 2);
    let owner = fixture.sign_in("owner@example.com");
    assert_eq!(status(&fixture, &owner)["state"], "gone");

    let events = fixture.get(&owner, "/events").expect(200).body;
    let after = json!({"after": events["events"][0]["id"]});
    let answer = fixture.post(&owner, "/events/endpoints/main/replay", after).expect(200);
    assert_eq!(answer.body["endpoint"]["state"], "ok");
    fixture.pass_with_alarms(Span::from_secs(10));
    fixture.post(&owner, "/events/endpoints/main/replay", json!({})).expect(200);
    fixture.pass_with_alarms(Span::from_secs(10));
    let ids: Vec<String> = taken(&fixture).into_iter().map(|(_, id)| id).collect();
    assert_eq!(ids, [first.clone(), second.clone(), first, second]);
    fixture.post(&owner, "/events/endpoints/other/replay", json!({})).refused(404, "NOT_FOUND");
    let strange = json!({"after": "evt_00"});
    fixture.post(&owner, "/events/endpoints/main/replay", strange).refused(400, "VALIDATION_FAILED");
}

#[test]
fn a_secret_that_is_missing_is_named_and_nothing_is_sent_without_a_signature() {
    let endpoint =
        EventEndpoint { secrets: &["EVENTS_SECRET", "EVENTS_SECRET_OLD"], ..endpoint(&EventType::ALL) };
    let (fixture, owner) = RegistryFixture::open_over(policy_of(&[endpoint]));
    fixture.key(&owner, json!({}));
    fixture.pass_with_alarms(Span::from_mins(1));
    assert!(fixture.received.borrow().is_empty());
    assert_eq!(status(&fixture, &owner)["error"], "the secret EVENTS_SECRET_OLD is not set");
}

#[test]
fn what_is_older_than_30_days_is_dropped_and_counted_for_who_did_not_get_it() {
    let (fixture, owner) = open();
    fixture.receiver.borrow_mut().extend([const { Some(500) }; 10_000]);
    fixture.key(&owner, json!({}));
    fixture.pass_with_alarms(retention::KEPT_FOR + DAY);
    let owner = fixture.sign_in("owner@example.com");
    assert_eq!(status(&fixture, &owner)["lost"], 1);
    assert_eq!(fixture.get(&owner, "/events").expect(200).body["events"], json!([]));
}

#[test]
fn an_event_that_is_never_taken_is_tried_less_and_less_often_however_many_others_are_taken() {
    let (fixture, owner) = open();
    let stuck = fixture.key(&owner, json!({})).key_id();
    fixture.refused_subject.replace(Some(stuck.clone()));
    for _ in 0..12 {
        fixture.key(&owner, json!({}));
        fixture.pass_with_alarms(Span::from_secs(5));
    }
    let received = fixture.received.borrow();
    let attempts = received.iter().filter(|received| body(received)["data"]["keyId"] == json!(stuck)).count();
    assert!((2..=5).contains(&attempts), "{attempts} attempts in a minute");
}

#[test]
fn an_endpoint_that_is_taken_out_and_put_back_gets_nothing_of_what_was_before() {
    let (mut fixture, owner) = open();
    fixture.receiver.borrow_mut().extend([const { Some(503) }; 100]);
    fixture.key(&owner, json!({}));
    fixture.pass_with_alarms(Span::from_secs(1));
    for endpoints in [&[][..], &[endpoint(&EventType::ALL)]] {
        fixture.restart(policy_of(endpoints));
        fixture.run(fixture.publisher.open()).unwrap();
    }
    fixture.receiver.borrow_mut().clear();
    let id = fixture.key(&owner, json!({})).key_id();
    fixture.pass_with_alarms(Span::from_mins(1));
    assert_eq!(taken(&fixture), [("key.created".to_owned(), id)]);
    assert_eq!(fixture.get(&owner, "/events").expect(200).body["events"].as_array().unwrap().len(), 2);
}

#[test]
fn a_receiver_that_is_gone_is_not_asked_when_another_is() {
    let other =
        EventEndpoint { name: "other", url: "https://other.example.com", ..endpoint(&EventType::ALL) };
    let (fixture, owner) = RegistryFixture::open_over(policy_of(&[endpoint(&EventType::ALL), other]));
    fixture.receiver.borrow_mut().push_back(Some(410));
    for _ in 0..3 {
        fixture.key(&owner, json!({}));
        fixture.pass_with_alarms(Span::from_mins(1));
    }
    let received = fixture.received.borrow();
    let of = |url: &str| received.iter().filter(|received| received.url == url).count();
    assert_eq!((of(URL), of(other.url)), (1, 3));
    assert!(sleeps(&fixture), "what nobody is to get wakes nobody up");
}

#[test]
fn a_replay_is_sent_at_once_and_skips_nothing_that_was_not_sent_yet() {
    let (fixture, owner) = open();
    fixture.receiver.borrow_mut().extend([const { Some(503) }; 100]);
    fixture.key(&owner, json!({}));
    fixture.pass_with_alarms(Span::from_hours(1));
    fixture.receiver.borrow_mut().clear();
    fixture.receiver.borrow_mut().push_back(Some(410));
    fixture.post(&owner, "/events/endpoints/main/replay", json!({})).expect(200);
    fixture.pass_with_alarms(Span::from_secs(10));
    assert_eq!(status(&fixture, &owner)["state"], "gone");
    for _ in 0..3 {
        fixture.key(&owner, json!({}));
    }
    let events = fixture.get(&owner, "/events").expect(200).body["events"].clone();
    fixture.post(&owner, "/events/endpoints/main/replay", json!({"after": events[2]["id"]})).expect(200);
    fixture.pass_with_alarms(Span::from_secs(10));
    let ids: Vec<&str> =
        events.as_array().unwrap().iter().map(|event| event["id"].as_str().unwrap()).collect();
    assert_eq!(taken_ids(&fixture), ids);
}

#[test]
fn a_replay_sends_at_once_what_waited_for_its_next_attempt() {
    let (fixture, owner) = open();
    let stuck = fixture.key(&owner, json!({})).key_id();
    fixture.refused_subject.replace(Some(stuck.clone()));
    fixture.pass_with_alarms(Span::from_hours(1));
    fixture.refused_subject.replace(None);
    let events = fixture.get(&owner, "/events").expect(200).body["events"].clone();
    fixture.post(&owner, "/events/endpoints/main/replay", json!({"after": events[0]["id"]})).expect(200);
    fixture.pass_with_alarms(Span::from_secs(1));
    assert_eq!(taken(&fixture), [("key.created".to_owned(), stuck)]);
}

#[test]
fn an_event_is_tried_again_after_5_seconds_and_twice_as_long_each_time_up_to_10_minutes() {
    let (fixture, owner) = open();
    fixture.receiver.borrow_mut().extend([const { Some(503) }; 9]);
    fixture.key(&owner, json!({}));
    fixture.pass_with_alarms(Span::from_hours(1));
    let received = fixture.received.borrow();
    let at: Vec<i64> =
        received.iter().map(|received| field(received, "webhook-timestamp").parse().unwrap()).collect();
    let waits: Vec<i64> = at.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(waits, [5, 10, 20, 40, 80, 160, 320, 600, 600]);
}

#[test]
fn a_failure_by_a_clock_that_was_ahead_keeps_no_event_back_once_it_is_right() {
    let (fixture, owner) = open();
    let right = fixture.now.get();
    fixture.key(&owner, json!({}));
    fixture.now.set(right + DAY);
    fixture.receiver.borrow_mut().extend([const { Some(503) }; 100]);
    fixture.pass_with_alarms(Span::from_mins(1));
    fixture.receiver.borrow_mut().clear();
    fixture.now.set(right);
    fixture.key(&owner, json!({}));
    fixture.pass_with_alarms(Span::from_mins(1));
    assert_eq!(types(&fixture), ["key.created", "key.created"]);
}

#[test]
fn of_events_that_wait_five_hundred_are_looked_through_at_a_time_and_all_are_sent() {
    let (fixture, owner) = open();
    fixture.key(&owner, json!({}));
    more_events(&fixture, 1_200, None);
    fixture.receiver.borrow_mut().extend([const { Some(503) }; 5]);
    fixture.pass_with_alarms(Span::from_secs(40));
    // And the three that have failed before the queue was filled last.
    assert_eq!(status(&fixture, &owner)["waiting"], 503);
    fixture.pass_with_alarms(Span::from_mins(10));
    assert_eq!(taken(&fixture).len(), 1201);
}

/// Events of `subject`, or each of a key of its own.
fn more_events(fixture: &RegistryFixture, count: u32, subject: Option<&str>) {
    let more = "WITH RECURSIVE more (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM more WHERE n < ?1)
        INSERT INTO events (type, tenant_id, subject, at, data)
        SELECT type, tenant_id, COALESCE(?2, 'key_' || n), at, data
        FROM (SELECT * FROM events ORDER BY number LIMIT 1), more";
    fixture.db.run(more, &[count.into(), subject.map(str::to_owned).into()]).unwrap();
}

#[test]
fn however_many_events_wait_behind_one_that_is_never_taken_those_of_other_keys_are_sent() {
    let (fixture, owner) = open();
    let stuck = fixture.key(&owner, json!({})).key_id();
    fixture.refused_subject.replace(Some(stuck.clone()));
    more_events(&fixture, 1_200, Some(&stuck));
    fixture.pass_with_alarms(Span::from_mins(1));
    let other = fixture.key(&owner, json!({})).key_id();
    fixture.pass_with_alarms(queue::LAST_RETRY * 2);
    assert_eq!(taken(&fixture), [("key.created".to_owned(), other)]);
    assert!(sleeps(&fixture), "what waits for it wakes nobody up");
    fixture.refused_subject.replace(None);
    fixture.pass_with_alarms(queue::LAST_RETRY * 2);
    assert_eq!(taken(&fixture).len(), 1_202);
}

#[test]
fn a_queue_is_bounded_and_full_it_wakes_nobody_up() {
    let (fixture, owner) = open();
    let stuck = fixture.key(&owner, json!({})).key_id();
    let other = fixture.key(&owner, json!({})).key_id();
    fixture.refused_subject.replace(Some(stuck.clone()));
    fixture.receiver.borrow_mut().extend([const { Some(503) }; 100]);
    more_events(&fixture, 6_000, Some(&stuck));
    fixture.pass_with_alarms(Span::from_hours(6));
    assert_eq!(status(&fixture, &owner)["waiting"], 5_000);
    fixture.receiver.borrow_mut().clear();
    while taken(&fixture).is_empty() {
        fixture.pass(queue::LAST_RETRY);
        fixture.alarm();
        fixture.run_tasks();
    }
    assert_eq!(taken(&fixture), [("key.created".to_owned(), other)]);
    fixture.pass(Span::from_secs(10));
    assert!(sleeps(&fixture), "though the receiver takes events, there is no room for more");
}

#[test]
fn a_tenant_keeps_its_latest_hundred_thousand_events_and_what_that_drops_is_counted() {
    let (fixture, owner) = open();
    let (other, tenant_id) = fixture.tenant(&owner, "acme");
    fixture.key(&owner, json!({}));
    fixture.key(&other, json!({}));
    // One waits, the others are not queued yet.
    fixture.receiver.borrow_mut().extend([const { Some(503) }; 10]);
    fixture.pass_with_alarms(Span::from_secs(1));
    let more = "WITH RECURSIVE more (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM more WHERE n < ?2 + 2)
        INSERT INTO events (type, tenant_id, subject, at, data)
        SELECT type, tenant_id, subject, at, data FROM events, more WHERE tenant_id = ?1";
    let most = retention::MOST_OF_TENANT;
    fixture.db.run(more, &[tenant_id.as_str().into(), most.into()]).unwrap();
    retention::bound(&fixture.db, &tenant_id).unwrap();
    let count = |of: &str| {
        let rows = fixture.db.run(of, &[tenant_id.as_str().into()]).unwrap();
        rows[0]["count"].as_i64().unwrap()
    };
    assert_eq!(count("SELECT COUNT(*) AS count FROM events WHERE tenant_id = ?"), i64::from(most));
    assert_eq!(count("SELECT COUNT(*) AS count FROM events WHERE tenant_id <> ?"), 1);
    let shown = status(&fixture, &owner);
    assert_eq!((&shown["lost"], &shown["waiting"]), (&json!(3), &json!(1)));
}

#[test]
fn a_receiver_that_is_slow_keeps_no_event_from_another_endpoint() {
    let other =
        EventEndpoint { name: "other", url: "https://other.example.com", ..endpoint(&EventType::ALL) };
    let (fixture, owner) = RegistryFixture::open_over(policy_of(&[endpoint(&EventType::ALL), other]));
    let of = |url: &str| fixture.received.borrow().iter().filter(|received| received.url == url).count();
    fixture.receiver.borrow_mut().push_back(None);
    fixture.key(&owner, json!({}));
    fixture.pass_with_alarms(Span::from_secs(2));
    assert_eq!((of(URL), of(other.url)), (1, 1));
    fixture.key(&owner, json!({}));
    fixture.pass_with_alarms(Span::from_secs(5));
    assert_eq!((of(URL), of(other.url)), (1, 2), "the first has still not answered");
}

#[test]
fn what_waits_for_an_endpoint_is_not_sent_once_it_does_not_want_its_type_any_more() {
    let (mut fixture, owner) = open();
    let stuck = fixture.key(&owner, json!({})).key_id();
    fixture.refused_subject.replace(Some(stuck.clone()));
    fixture.post(&owner, &format!("/api-keys/{stuck}/revoke"), json!({})).expect(200);
    fixture.pass_with_alarms(Span::from_mins(1));
    fixture.restart(policy_of(&[endpoint(&[EventType::Revoked])]));
    fixture.run(fixture.publisher.open()).unwrap();
    fixture.refused_subject.replace(None);
    fixture.pass_with_alarms(queue::LAST_RETRY * 2);
    assert_eq!(
        taken(&fixture),
        [("key.revoked".to_owned(), stuck)],
        "nor does it hold up the others of its key"
    );
}
