//! Which routes there are, what each asks for, and what a key may call.

use super::*;

fn routes(question: Question) -> Vec<Value> {
    let answer = ask(&FakePlatform::new(), &question);
    answer["routes"].as_array().unwrap().clone()
}

fn every_route() -> Question {
    Question { request: None, ..about(request("GET", "/"), None, None) }
}

#[test]
fn every_route_is_listed_in_the_order_of_the_policy_with_what_it_needs() {
    let listed = routes(every_route());
    let of_policy = policy()
        .realms
        .iter()
        .flat_map(|realm| realm.routes.iter().map(|route| (realm.id, route.path.source)));
    let found: Vec<_> =
        listed.iter().map(|it| (it["realm"].as_str().unwrap(), it["path"].as_str().unwrap())).collect();
    assert_eq!(found, of_policy.collect::<Vec<_>>());
    let needs = |by: Value, scopes: Value, held_by: Value| json!({ "by": by, "scopes": scopes, "heldBy": held_by, "plans": [], "testKeys": "read", "sessionId": false, "optional": false, "all": false });
    let orders = json!({ "orders:read": ["*", "orders:read", "orders:*", "orders:write"] });
    let expected = json!({
        "realm": "shop", "methods": ["GET", "HEAD"], "path": "/api/orders*", "freshnessSeconds": 5, "cost": 1, "limitedByNetwork": false,
        "needs": needs(json!(["key", "publishable"]), json!(["orders:read"]), orders), "mayCall": null, "code": null,
    });
    assert_eq!(listed[2], expected);
    assert_eq!(listed[0]["needs"], needs(json!([]), json!([]), json!({})));
    assert_eq!(listed[1]["needs"]["by"], json!(["webhook"]));
    assert_eq!((&listed[5]["needs"]["testKeys"], &listed[5]["cost"]), (&json!("none"), &json!(7)));
    assert_eq!(listed[0]["cost"], 1);
    assert_eq!(listed[4]["needs"]["plans"], json!(["pro", "team"]));
    assert_eq!(listed[7]["needs"]["sessionId"], true);
    assert_eq!(
        (&listed[8]["needs"]["optional"], &listed[8]["limitedByNetwork"]),
        (&json!(true), &json!(true))
    );
    let of_realm = routes(Question { realm: Some("apps".into()), ..every_route() });
    assert_eq!(of_realm, listed[10..]);
}

#[test]
fn which_methods_of_a_route_a_key_may_call_is_what_the_gate_decides() {
    let may = |record: Record| -> Vec<(Value, Value)> {
        let listed = routes(Question { record: Some(record), ..every_route() });
        listed.iter().map(|route| (route["mayCall"].clone(), route["code"].clone())).collect()
    };
    let none = || json!([]);
    let of_test_key = may(Record {
        mode: Mode::Test,
        allowed_ips: vec!["192.0.2.0/24".parse().unwrap()],
        scopes: vec!["orders:write".into()],
        ..shop_record()
    });
    assert_eq!(of_test_key[0].0.as_array().unwrap().len(), 7, "nothing is asked for");
    assert_eq!(of_test_key[1], (none(), json!("NOT_CONFIGURED")), "no key is a sender's signature");
    assert_eq!(of_test_key[2], (json!(["GET", "HEAD"]), Value::Null), "from one of its addresses");
    assert_eq!(of_test_key[3], (none(), json!("TEST_MODE")));
    assert_eq!(of_test_key[4], (none(), json!("PLAN_REQUIRED")));
    assert_eq!(of_test_key[7].0, json!(["GET", "HEAD", "OPTIONS"]), "in a session; a part of its methods");
    assert_eq!(of_test_key[7].1, "TEST_MODE");
    assert_eq!(of_test_key[9], (none(), json!("INVALID_API_KEY")), "of another realm");
    assert_eq!(of_test_key[10], (none(), json!("INVALID_TOKEN")));
    let of_page = may(Record {
        kind: KeyKind::Publishable,
        allowed_origins: vec!["https://app.example".into()],
        ..shop_record()
    });
    assert_eq!(of_page[2].0, json!(["GET", "HEAD"]), "from one of its pages");
    assert_eq!(of_page[3], (none(), json!("ORIGIN_RESTRICTED")));
    assert_eq!(of_page[6].0, json!(["GET"]));
    // One that nobody has is of each realm.
    let supposed = Record { realm: String::new(), scopes: vec!["files:read".into()], ..record() };
    assert_eq!(may(supposed.clone())[2], (none(), json!("INSUFFICIENT_SCOPE")));
    assert_eq!(may(supposed)[9], (none(), json!("PLAN_REQUIRED")));
    assert!(policy().realms[2].credentials.iter().all(|source| source.kind == SourceKind::Jwt));
}
