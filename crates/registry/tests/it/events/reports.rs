//! Events that coordinators' reports cause: of limits of which most is used, and of guessing.

use keyward_registry::events::retention;

use super::*;

/// A coordinator's report.
fn report(fixture: &RegistryFixture, report: Value) {
    let report = serde_json::from_value(report).unwrap();
    fixture.run(fixture.publisher.take_usage(&report, None)).unwrap();
    fixture.pass_with_alarms(Span::from_secs(5));
}

#[test]
fn each_share_of_a_limit_is_told_once_in_a_window() {
    let (fixture, owner) = open();
    let id = fixture.key(&owner, json!({})).key_id();
    let reach = |window: &str, percent: u64, limit: u64| {
        let reached = json!([{"window": window, "percent": percent, "limit": limit}]);
        report(&fixture, json!({"keyId": id, "lastUsedAt": null, "hours": [], "reached": reached}));
    };
    let told = || -> Vec<Value> {
        let bodies = fixture.received.borrow().iter().map(body).collect::<Vec<_>>();
        let told = bodies.iter().filter(|body| body["type"] == "key.limit_reached");
        let told: Vec<Value> =
            told.map(|body| json!([body["data"]["limit"], body["data"]["percent"]])).collect();
        fixture.received.borrow_mut().clear();
        told
    };
    reach("perDay", 80, 1_000);
    reach("perDay", 80, 1_000);
    assert_eq!(told(), [json!(["perDay", 80])]);
    reach("perDay", 100, 1_000);
    assert_eq!(told(), [json!(["perDay", 95]), json!(["perDay", 100])]);
    reach("perDay", 80, 2_000);
    assert_eq!(told(), [json!(["perDay", 80])], "another limit");
    reach("perDay", 80, 1_000);
    assert_eq!(told(), [json!(["perDay", 80])], "the limit of before, set anew");
    reach("perDay", 80, 2_000);
    told();
    reach("perMinute", 80, 60);
    fixture.pass_with_alarms(Span::from_mins(10));
    reach("perMinute", 80, 60);
    assert_eq!(told(), [json!(["perMinute", 80])], "it fills and empties all day");
    reach("total", 80, 10);
    reach("perMonth", 80, 10);
    told();
    fixture.pass_with_alarms(DAY * 32);
    for (window, limit) in
        [("perMinute", 60), ("perDay", 2_000), ("total", 10), ("perMonth", 10), ("perEon", 10)]
    {
        reach(window, 80, limit);
    }
    let anew = ["perMinute", "perDay", "perMonth"].map(|window| json!([window, 80]));
    assert_eq!(told(), anew, "a total never begins anew");
}

#[test]
fn many_requests_with_keys_that_nobody_has_are_told_once_an_hour_for_each_realm() {
    let (fixture, _) = open();
    let hour = fixture.now.get().floor(Span::from_hours(1));
    let guess = |hour: Timestamp, refused: Value| {
        let hours = json!([{"hour": hour.0, "accepted": 0, "refused": refused}]);
        report(&fixture, json!({"keyId": "unattributed", "lastUsedAt": null, "hours": hours}));
    };
    guess(hour, json!({"api INVALID_API_KEY": 99, "api NO_ROUTE": 500}));
    for hours in [-2, 1] {
        guess(hour + Span::from_hours(hours), json!({"api INVALID_API_KEY": 500}));
    }
    assert!(fixture.received.borrow().is_empty(), "too few, too late or too early");
    guess(hour, json!({"api INVALID_API_KEY": 100, "other INVALID_API_KEY": 5}));
    guess(hour, json!({"api INVALID_API_KEY": 300}));
    guess(hour, json!({"other INVALID_API_KEY": 300}));
    fixture.pass_with_alarms(Span::from_hours(1));
    guess(hour + Span::from_hours(1), json!({"api INVALID_API_KEY": 300}));
    let told: Vec<Value> = fixture.received.borrow().iter().map(body).collect();
    assert_eq!(told[0]["data"]["since"], json!(hour.to_rfc3339()));
    let told: Vec<Value> = told
        .iter()
        .map(|body| json!([body["type"], body["data"]["realm"], body["data"]["refused"]]))
        .collect();
    let of = |realm: &str, count: u64| json!(["guessing.detected", realm, count]);
    assert_eq!(told, [of("api", 100), of("other", 300), of("api", 300)]);
}

#[test]
fn what_reports_say_is_told_for_each_key_by_itself_and_not_where_nobody_is_to_be_told() {
    let reach = |fixture: &RegistryFixture, id: &str| {
        let hour = fixture.now.get().floor(Span::from_hours(1)).0;
        // As nobody's requests are told: of a key it is no guess.
        let hours = json!([{"hour": hour, "accepted": 0, "refused": {"api INVALID_API_KEY": 500}}]);
        let reached = json!([{"window": "perDay", "percent": 80, "limit": 10}]);
        report(fixture, json!({"keyId": id, "lastUsedAt": null, "hours": hours, "reached": reached}));
    };
    let (fixture, owner) = open();
    let keys = [(); 2].map(|()| fixture.key(&owner, json!({})).key_id());
    keys.iter().for_each(|id| reach(&fixture, id));
    let told = taken(&fixture).split_off(2);
    assert_eq!(told, keys.map(|id| ("key.limit_reached".to_owned(), id)));

    let (fixture, owner) = RegistryFixture::open();
    reach(&fixture, &fixture.key(&owner, json!({})).key_id());
    assert_eq!(fixture.get(&owner, "/events").expect(200).body["events"], json!([]));
}

#[test]
fn what_was_told_is_forgotten_once_it_may_be_told_again() {
    let (fixture, owner) = open();
    let id = fixture.key(&owner, json!({})).key_id();
    let reached = json!([{"window": "perDay", "percent": 80, "limit": 10}]);
    report(&fixture, json!({"keyId": id, "lastUsedAt": null, "hours": [], "reached": reached}));
    let marks = |now: Timestamp| {
        retention::remove_old(&fixture.db, now).unwrap();
        fixture.db.run("SELECT 1 FROM event_marks", &[]).unwrap().len()
    };
    let now = fixture.now.get();
    assert_eq!((marks(now), marks(now + DAY * 2)), (1, 0));
}

#[test]
fn what_was_told_of_a_total_goes_with_its_key_and_edits_of_it_leave_nothing() {
    let (fixture, owner) = open();
    let id = fixture.key(&owner, json!({})).key_id();
    let reach = |limit: u64| {
        let reached = json!([
            {"window": "total", "percent": 100, "limit": limit}, {"window": "perDay", "percent": 80, "limit": 5}
        ]);
        report(&fixture, json!({"keyId": id, "lastUsedAt": null, "hours": [], "reached": reached}));
    };
    let marks = || fixture.db.run("SELECT 1 FROM event_marks", &[]).unwrap().len();
    (10..30).for_each(reach);
    assert_eq!(marks(), 4);
    fixture.db.run("DELETE FROM keys WHERE id = ?", &[id.as_str().into()]).unwrap();
    assert_eq!(marks(), 0);
}

#[test]
fn a_share_that_was_told_by_a_clock_that_was_ahead_is_told_again_once_it_is_right() {
    let (fixture, owner) = open();
    let id = fixture.key(&owner, json!({})).key_id();
    let reached = json!([{"window": "perMonth", "percent": 80, "limit": 5}]);
    let reach = || {
        report(&fixture, json!({"keyId": id, "lastUsedAt": null, "hours": [], "reached": reached}));
        types(&fixture).iter().filter(|kind| *kind == "key.limit_reached").count()
    };
    let right = fixture.now.get();
    fixture.now.set(right + DAY * 400);
    assert_eq!(reach(), 1);
    fixture.now.set(right);
    assert_eq!((reach(), reach()), (2, 2));
}
