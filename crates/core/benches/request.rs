//! What a request costs before its record is looked at: its route, its key's shape and hash.

#![allow(clippy::unwrap_used, reason = "a bench fails by panicking")]

use std::hint::black_box;

use criterion::Criterion;
use keyward_core::{
    key,
    record::Mode,
    request_target::RequestTarget,
    route::{RouteMatch, match_route},
};
use keyward_policy::{Policy, compile::compile};
use keyward_testing::{Seeded, policy::POLICY, secrets};

/// Four hundred routes, with camel case in some.
fn large_policy() -> Policy {
    let mut text = r#"
        [[realm]]
        id = "large"
        hosts = ["api.example.com"]
        paths = ["/api/*"]
        origin = { binding = "ORIGIN" }
        credentials = [{ header = "Authorization", scheme = "Bearer" }]
    "#
    .to_owned();
    for i in 0..400 {
        let name = if i % 10 == 0 { "manyThings" } else { "things" };
        let route = format!("path = \"/api/v1/{name}{i}/{{id}}/parts\"\nrequires = \"key\"\n");
        text.push_str(&format!("[[realm.route]]\n{route}"));
    }
    compile("keyward.toml", |_| Ok(text.clone())).unwrap()
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let url = "https://api.example.com/api/orders/4711?page=2";
    let plan = || match_route(&POLICY, "GET", RequestTarget::of(black_box(url)), false);
    assert!(matches!(plan(), Ok(RouteMatch::Route(..))));
    criterion.bench_function("plan: realm and route of a URL", |bencher| bencher.iter(plan));

    let large = large_policy();
    for (what, url) in [
        ("of 400 routes, one of the last", "https://api.example.com/api/v1/things399/4711/parts"),
        (
            "of 400 routes, spelt so that it may be read as others",
            "https://api.example.com/api/v1/things399/A:1/parts",
        ),
    ] {
        let plan = || match_route(&large, "GET", RequestTarget::of(black_box(url)), false);
        assert!(matches!(plan(), Ok(RouteMatch::Route(..))));
        criterion.bench_function(&format!("plan: {what}"), |bencher| bencher.iter(plan));
    }

    let (format, secrets) = (&POLICY.realms.first().unwrap().key, secrets());
    let good = key::generate(format, "", Mode::Live, &secrets, &mut Seeded::new(1));
    let shape = |text| key::shape(format, &secrets, black_box(text));
    assert_eq!(shape(good.expose()), key::Shape::Possible);
    criterion.bench_function("shape: a key", |bencher| bencher.iter(|| shape(good.expose())));
    let forged = format!("kw_live_{}", "0".repeat(36));
    assert_eq!(shape(&forged), key::Shape::Impossible);
    criterion.bench_function("shape: a forged key", |bencher| bencher.iter(|| shape(&forged)));
    criterion.bench_function("hash: the name under which a key is stored", |bencher| {
        bencher.iter(|| key::storage_hashes(format, &secrets, black_box(good.expose())));
    });
    criterion.final_summary();
}
