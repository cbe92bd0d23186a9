//! What is told behind an answer: usage, leases, refusals, and where a key was used from.

use super::*;

#[test]
fn what_was_counted_is_told_behind_an_answer_by_one_request_at_a_time() {
    let (platform, bearer) = known(&record());
    let fields = [("authorization", bearer.as_str())];
    let request = Request { url: ORDERS, fields: &fields, ..Request::default() };
    let empty = |verdict: Verdict<'_>| verdict.background.is_empty();
    assert!(empty(handle(&platform, &Request { url: "https://url.example/", ..Request::default() })));
    let _ = handle(&platform, &request);
    while !empty(handle(&platform, &request)) {}
    platform.asked();
    // A refusal is counted by the isolate, which has something to tell from then on.
    platform.tell(&platform.new_key(1), &Record { version: 2, scopes: Vec::new(), ..record() });
    platform.pass_time(10 * SECOND);
    let verdict = handle(&platform, &request);
    assert!(matches!(verdict.outcome, Outcome::Answer(_)));
    assert!(!verdict.background.is_empty());
    assert!(empty(handle(&platform, &request)), "one round at a time");
    platform.asked();
    now(platform.gate(Some(&*POLICY)).run(verdict.background));
    assert!(platform.asked().contains(&"Coordinator report".to_owned()));
}

#[test]
fn a_lease_that_a_request_came_by_ends_and_is_reported_behind_an_answer() {
    let limits = Limits { per_minute: Some(100_000), ..Limits::default() };
    let (platform, shown) = known(&Record { limits, ..record() });
    let fields = [("authorization", shown.as_str())];
    let request = Request { url: ORDERS, fields: &fields, ..Request::default() };
    let reported = Rc::new(Cell::new(0));
    let count = Rc::clone(&reported);
    *platform.meanwhile.borrow_mut() = Some(Box::new(move |_, call, _| {
        if let CoordinatorCall::Report { leases, .. } = call {
            count.set(count.get() + leases.len());
        }
    }));
    // Until the key is used so often that the isolate has a lease, and asks nobody any more.
    let mut backgrounds = Vec::new();
    while backgrounds.is_empty() || !platform.asked().is_empty() {
        assert!(backgrounds.len() < 1_000, "no lease was given");
        platform.pass_time(Span::from_ms(10));
        let verdict = handle(&platform, &request);
        assert!(matches!(verdict.outcome, Outcome::Forward(_)));
        backgrounds.push(verdict.background);
    }
    assert_eq!(reported.get(), 0);
    for background in backgrounds {
        now(platform.gate(Some(&POLICY)).run(background));
    }
    assert_eq!(reported.get(), 1);
}

#[test]
fn refusals_that_belong_to_no_key_are_told_to_a_relay_in_one_call_for_all_of_some_seconds() {
    let (platform, shown) = known(&Record { scopes: Vec::new(), ..record() });
    let told = Rc::new(RefCell::new(Vec::new()));
    let note = Rc::clone(&told);
    *platform.meanwhile.borrow_mut() = Some(Box::new(move |_, call, _| {
        if let CoordinatorCall::Report { refused, tally: Some(tally), .. } = call {
            let latest = tally.latest.iter().map(|refusal| {
                assert_eq!(refusal["requestId"].as_str().unwrap().len(), 32);
                ["code", "realm", "route", "method", "network", "country"]
                    .map(|field| refusal[field].to_string())
                    .join(" ")
            });
            let routes = json!(tally.hours[0].routes);
            note.borrow_mut().push((refused.clone(), latest.collect::<Vec<_>>(), routes.to_string()));
        }
    }));
    let nothing: [(&str, &str); 0] = [];
    let wrong = [("authorization", "Bearer nonsense")];
    let own = [("authorization", shown.as_str())];
    let mut rounds = Vec::new();
    for (url, fields) in [
        (ORDERS, &nothing[..]),
        (ORDERS, &wrong),
        ("https://gate.example/api/nothing", &nothing),
        ("https://elsewhere.example/", &nothing),
        (ORDERS, &nothing),
        (ORDERS, &own),
    ] {
        let request = Request { url, fields, country: Some("CH"), ..Request::default() };
        let verdict = handle(&platform, &request);
        assert!(matches!(verdict.outcome, Outcome::Answer(_)));
        rounds.push(verdict.background);
        platform.pass_time(Span::from_ms(500));
    }
    platform.asked();
    for round in rounds {
        now(platform.gate(Some(&POLICY)).run(round));
    }
    let mut asked = platform.asked();
    asked.sort();
    assert_eq!(asked, ["Coordinator report", "Relay report"]);
    let count = |code: &str, count: u64| (code.to_owned(), count);
    let of_none = [
        count("default MISSING_AUTHORIZATION", 2),
        count("default INVALID_API_KEY", 1),
        count("default NO_ROUTE", 1),
        count(" NO_REALM", 1),
    ];
    told.borrow_mut().sort();
    // The first four in detail, never with the path.
    let latest = [
        r#""MISSING_AUTHORIZATION" "default" "/api/orders*" "GET" null "CH""#,
        r#""INVALID_API_KEY" "default" "/api/orders*" "GET" null "CH""#,
        r#""NO_ROUTE" "default" null "GET" null "CH""#,
        r#""NO_REALM" null null "GET" null "CH""#,
    ];
    let of_key = r#""INSUFFICIENT_SCOPE" "default" "/api/orders*" "GET" null "CH""#;
    let on_route = |count| json!({ "refused": { "default GET /api/orders*": count } }).to_string();
    let expected = [
        (of_none.into(), latest.map(str::to_owned).to_vec(), on_route(3)),
        ([count("INSUFFICIENT_SCOPE", 1)].into(), vec![of_key.to_owned()], on_route(1)),
    ];
    assert_eq!(*told.borrow(), expected);
}

#[test]
fn where_a_key_was_used_from_goes_with_the_calls_that_are_made_anyway_and_never_with_the_path() {
    let limits = Limits { per_minute: Some(1_000), ..Limits::default() };
    let (platform, key) = published(&Record { limits, ..record() });
    let shown = format!("Bearer {}", key.expose());
    let told = || {
        let gates = platform.gates.borrow();
        gates[&platform.hash(&key)].report(platform.clock.now()).unwrap().last_used_from.unwrap()
    };
    let send = |path: &str, address| {
        let url = format!("https://gate.example{path}");
        let fields = [("authorization", shown.as_str()), ("cf-connecting-ip", address)];
        let request = Request { url: &url, fields: &fields, country: Some("CH"), ..Request::default() };
        let verdict = handle(&platform, &request);
        let background = verdict.background;
        forward(Verdict { background: Background::default(), ..verdict });
        background
    };
    send("/api/orders/17?secret", "2001:db8:1:2:3::4");
    assert_eq!(platform.asked(), ["KV", "Coordinator take"]);
    let expected = json!({ "network": "2001:db8:1:2::/64", "country": "CH", "route": "/api/orders*" });
    assert_eq!(told(), expected, "the object admitted it");
    let on_routes = |of: &Value| of["hours"][0]["routes"].clone();
    let counted = |count| json!({ "accepted": { "default GET /api/orders*": count } });
    let report = platform.gates.borrow()[&platform.hash(&key)].report(platform.clock.now()).unwrap();
    assert_eq!(on_routes(&json!(report)), counted(1));
    // What a relay admits the gate counts, and tells of it behind an answer.
    platform.gather(&key);
    send("/api/orders/18", "192.0.2.1");
    platform.asked();
    let last = send("/api/orders/19", "192.0.2.2");
    assert_eq!(platform.asked(), ["Relay take"]);
    now(platform.gate(Some(&POLICY)).run(last));
    let mut relays = platform.relays.borrow_mut();
    let relay = relays.get_mut(&platform.hash(&key)).unwrap();
    let (told, _) = relay.begin_delivery(platform.clock.now()).unwrap();
    let expected = json!({ "network": "192.0.2.2", "country": "CH", "route": "/api/orders*" });
    assert_eq!(told.last_used_from, Some(expected));
    assert_eq!(on_routes(&json!(told)), counted(1));
}
