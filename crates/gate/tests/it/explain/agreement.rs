//! In thousands of random cases, what is explained is what the gate answers to the same request.

use super::*;

/// What the gate itself answers: its status and code, or that it forwards.
fn answered(
    platform: &FakePlatform,
    supposed: &SupposedRequest,
    key: Option<&Secret>,
) -> Option<(u16, String)> {
    let host = supposed.host.as_deref().unwrap();
    let url = format!("https://{host}{}", supposed.path);
    let mut fields = Vec::new();
    let key = key.map(Secret::expose).unwrap_or_default();
    let bearer = format!("Bearer {key}");
    match host {
        _ if key.is_empty() => {}
        host if host.ends_with("tenants.example") => fields.push(("x-api-key", key)),
        _ => fields.push(("authorization", bearer.as_str())),
    }
    for (name, value) in [
        ("cf-connecting-ip", &supposed.address),
        ("origin", &supposed.origin),
        ("x-session-id", &supposed.session_id),
    ] {
        fields.extend(value.as_deref().map(|value| (name, value)));
    }
    let request = Request { method: &supposed.method, url: &url, fields: &fields, ..Request::default() };
    match platform.handle(policy(), &request).outcome {
        Outcome::Forward(_) => None,
        Outcome::Answer(answer) => {
            let body: Value = serde_json::from_str(&answer.body).unwrap();
            let code = body["code"].as_str().or(body["error"]["code"].as_str()).unwrap();
            Some((answer.status, code.to_owned()))
        }
        Outcome::Builtin(_) => panic!("no realm's"),
    }
}

fn records() -> impl Strategy<Value = Record> {
    let whose = (
        select(vec!["shop", "shop", "shop", "tenants"]),
        select(vec![Some("ABC"), Some("XYZ"), None]),
        select(vec![None, Some("pro"), Some("free")]),
        prop::bool::weighted(0.9),
    );
    let what = (
        select(vec![KeyKind::Secret, KeyKind::Secret, KeyKind::Publishable]),
        prop::bool::weighted(0.8),
        prop::bool::weighted(0.9),
        select(vec![None, None, Some(NOON), Some(NOON.plus(MILLISECOND)), Some(PAUSED)]),
    );
    let bounds = (
        subsequence(vec!["orders:read", "orders:write", "files:*", "*"], 0..3),
        subsequence(vec!["192.0.2.0/24", "2001:db8::/32"], 0..2),
        subsequence(vec!["https://app.example", "https://other.example"], 0..2),
    );
    (whose, what, bounds).prop_map(|(whose, what, bounds)| {
        let mut record = Record { realm: whose.0.into(), kind: what.0, expires_at: what.3, ..shop_record() };
        record.paused = what.3 == Some(PAUSED);
        record.tenant.code = whose.1.map(str::to_owned);
        record.tenant.plan = whose.2.map(str::to_owned);
        record.tenant.status = if whose.3 { TenantStatus::Active } else { TenantStatus::Inactive };
        record.mode = if what.1 { Mode::Live } else { Mode::Test };
        record.status = if what.2 { Status::Active } else { Status::Revoked };
        record.scopes = bounds.0.into_iter().map(str::to_owned).collect();
        record.allowed_ips = bounds.1.into_iter().map(|range| range.parse().unwrap()).collect();
        record.allowed_origins = bounds.2.into_iter().map(str::to_owned).collect();
        record
    })
}

fn requests() -> impl Strategy<Value = SupposedRequest> {
    let methods = select(vec!["GET", "GET", "GET", "HEAD", "POST", "DELETE", "OPTIONS", "MKCOL", "COPY"]);
    let paths = select(vec![
        "/api/orders",
        "/api/orders/7?limit=5",
        "/api/public/x",
        "/api/both",
        "/api/live",
        "/api/pages",
        "/api/chat/7",
        "/api/events",
        "/api/catalog",
        "/api/nothing",
        "/elsewhere",
        "/things",
        "/",
        "/api/a%2Fb",
        "/api/orders//7",
        "/api/orders?api_key=x",
        "/api/orders?k=shop_live_abc",
    ]);
    let hosts = select(vec![
        "shop.example",
        "shop.example",
        "a.shop.example:8443",
        "abc.tenants.example",
        "xyz.tenants.example",
        "apps.example",
        "nobody.example",
    ]);
    let addresses = option::of(select(vec!["192.0.2.7", "198.51.100.1", "2001:db8::1", "::ffff:192.0.2.7"]));
    let origins = option::weighted(0.3, select(vec!["https://app.example", "https://evil.example", "null"]));
    let sessions = option::of(select(vec!["chat-7", "not fit"]));
    (methods, paths, hosts, addresses, origins, sessions).prop_map(
        |(method, path, host, address, origin, session_id)| SupposedRequest {
            method: method.into(),
            path: path.into(),
            host: Some(host.into()),
            address: address.map(str::to_owned),
            origin: origin.map(str::to_owned),
            session_id: session_id.map(str::to_owned),
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn what_is_explained_is_what_the_gate_answers(
        record in records(),
        request in requests(),
        shown in select(vec!["its text", "its id", "its id", "unknown", "made up", "foreign", "twice", "nothing"]),
    ) {
        let platform = FakePlatform::new();
        platform.named_secrets.borrow_mut().insert("EVENTS_SECRET", "events-secret-0123456789-0123456789");
        let real = key_of(&platform, &record);
        let format = &policy().realm(&record.realm).unwrap().key;
        for hash in key::storage_hashes(format, &platform.secrets, real.expose()) {
            platform.gates.borrow_mut().entry(hash).or_default().put(record.clone());
        }
        let other = match shown {
            "unknown" => Some(key::generate(format, "ABC", Mode::Live, &platform.secrets, &mut Seeded::new(10))),
            "made up" => Some(Secret::new(format!("{}x", real.expose()))),
            "foreign" => Some(Secret::new("sk_live_something")),
            "twice" => Some(Secret::new(format!("{0},{0}", real.expose()))),
            _ => None,
        };
        let (sent, question) = match shown {
            "nothing" => (None, about(request.clone(), None, None)),
            "its text" => (Some(&real), about(request.clone(), Some(&real), Some(record))),
            "its id" => (Some(&real), about(request.clone(), None, Some(record))),
            _ => (other.as_ref(), about(request.clone(), other.as_ref(), None)),
        };
        let answer = ask(&platform, &question);
        prop_assert_eq!(platform.asked(), Vec::<String>::new(), "it asks nobody");
        prop_assert!(platform.logged.borrow().is_empty());
        prop_assert_eq!(explained(&answer), answered(&platform, &request, sent), "{}", answer);
        // The last step, and only that, is not passed where it is refused.
        let failed = answer["steps"].as_array().unwrap().iter().position(|step| step["ok"] == false);
        let last = steps(&answer).len() - 1;
        prop_assert_eq!(failed, explained(&answer).map(|_| last));
        prop_assert_eq!(answer["allowed"].as_bool(), Some(failed.is_none()));
    }
}
