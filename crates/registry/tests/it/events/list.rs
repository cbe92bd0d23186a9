//! Events and endpoints in the admin API.

use super::*;

#[test]
fn the_list_goes_on_after_an_event_and_shows_a_tenant_its_own() {
    let (fixture, owner) = open();
    let (other, tenant_id) = fixture.tenant(&owner, "acme");
    for _ in 0..3 {
        fixture.key(&owner, json!({}));
        fixture.key(&other, json!({}));
    }
    let page = fixture.get(&owner, "/events?limit=4").expect(200).body;
    let rest = fixture.get(&owner, &format!("/events?after={}", page["nextAfter"].as_str().unwrap())).body;
    let events = |page: &Value| page["events"].as_array().unwrap().clone();
    assert_eq!((events(&page).len(), events(&rest).len(), &rest["nextAfter"]), (4, 2, &Value::Null));
    let own = fixture.get(&other, "/events").expect(200).body;
    assert_eq!(events(&own).len(), 3);
    assert!(events(&own).iter().all(|event| event["data"]["tenantId"] == json!(tenant_id)));
    let foreign = events(&page)[0]["id"].as_str().unwrap().to_owned();
    fixture.get(&other, &format!("/events?after={foreign}")).refused(400, "VALIDATION_FAILED");
    fixture.get(&other, "/events/endpoints").refused(403, "FORBIDDEN");
    fixture.post(&other, "/events/endpoints/main/replay", json!({})).refused(403, "FORBIDDEN");
}

#[test]
fn a_tenant_s_own_list_goes_on_after_an_event_too() {
    let (fixture, owner) = open();
    let (other, _) = fixture.tenant(&owner, "acme");
    for _ in 0..3 {
        fixture.key(&other, json!({}));
    }
    let page = fixture.get(&other, "/events?limit=2").expect(200).body;
    let after = page["nextAfter"].as_str().unwrap();
    let rest = fixture.get(&other, &format!("/events?after={after}")).expect(200).body;
    assert_eq!((page["events"].as_array().unwrap().len(), rest["events"].as_array().unwrap().len()), (2, 1));
}

#[test]
fn an_endpoint_is_shown_with_what_it_wants_what_waits_for_it_and_how_it_is_doing() {
    let other = EventEndpoint { name: "other", ..endpoint(&[EventType::Revoked]) };
    let (fixture, owner) = RegistryFixture::open_over(policy_of(&[endpoint(&EventType::ALL), other]));
    let shown =
        |index: usize| fixture.get(&owner, "/events/endpoints").expect(200).body["endpoints"][index].clone();
    let unheard = json!({
        "name": "other", "types": ["key.revoked"], "state": "ok", "lastDelivered": null, "lastDeliveredAt": null,
        "waiting": 0, "lost": 0, "failures": 0, "failingSince": null, "nextAttemptAt": null, "goneAt": null,
        "error": null,
    });
    fixture.receiver.borrow_mut().extend([const { Some(503) }; 3]);
    fixture.key(&owner, json!({}));
    fixture.pass_with_alarms(Span::from_secs(2));
    let begun = shown(0);
    assert_eq!((&begun["failures"], &begun["waiting"]), (&json!(1), &json!(1)));
    fixture.key(&owner, json!({}));
    fixture.pass_with_alarms(Span::from_secs(1));
    assert!(sleeps(&fixture), "nothing is due before the next attempt");
    fixture.pass_with_alarms(Span::from_secs(19));
    let failing = shown(0);
    assert_eq!((&failing["failures"], &failing["failingSince"]), (&json!(3), &begun["failingSince"]));
    let now = json!(fixture.now.get().to_rfc3339());
    assert!(failing["nextAttemptAt"].as_str() > now.as_str(), "{failing}");
    assert_eq!(shown(1), unheard);

    fixture.pass_with_alarms(Span::from_mins(1));
    let well = shown(0);
    let last = taken_ids(&fixture).pop();
    assert_eq!((&well["lastDelivered"], &well["failures"]), (&json!(last), &json!(0)));
    assert!(well["lastDeliveredAt"].as_str() > now.as_str(), "{well}");
    assert_eq!((&well["failingSince"], &well["nextAttemptAt"]), (&Value::Null, &Value::Null));

    fixture.receiver.borrow_mut().push_back(Some(410));
    fixture.key(&owner, json!({}));
    fixture.pass_with_alarms(Span::from_mins(1));
    let gone = shown(0);
    assert_eq!((&gone["state"], &gone["error"]), (&json!("gone"), &json!("answered 410")));
    assert!(gone["goneAt"].as_str() > well["lastDeliveredAt"].as_str(), "{gone}");
}

#[test]
fn the_audit_says_who_had_events_sent_once_more() {
    let (fixture, owner) = open();
    fixture.post(&owner, "/events/endpoints/main/replay", json!({})).expect(200);
    let entries = fixture.get(&owner, "/audit?action=events.replay").expect(200).body["entries"].clone();
    assert_eq!((&entries[0]["target"], &entries[0]["after"]), (&json!("main"), &json!({"after": null})));
}
