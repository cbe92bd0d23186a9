//! Nothing that anybody sends is answered with much more than it was, or takes much more memory than it is long. Each
//! entry of the pure half gets texts that are made to be bad for it, and every byte that is allocated meanwhile is
//! counted.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod allocations;
mod texts;

use allocations::peak_of;
use texts::{bodies, lines, many};

use keyward_core::json::{self, JsonError};
use keyward_core::{cookie, key, link, request_target::RequestTarget, route, session_id, time::Timestamp};
use keyward_gate::{
    admin::refuse_key_in_url,
    client_info::ClientInfo,
    cors, credential, forwarding, gate, hint,
    jwt::Token,
    refusal::{self, mcp},
    webhook,
};
use keyward_policy::{Link, Policy, Realm, Requirement, Span};
use keyward_registry::{
    cursor, email,
    error::MOST_FIELDS,
    freshness::Telling,
    front::{self, Head, MOST_BYTES},
    input::{self, Input},
    password, text,
};
use keyward_testing::registry_fixture::{RegistryFixture, policy_with};
use keyward_testing::{NOON, jose, policy::POLICY, secrets};
use serde_json::{Value, json};

/// Runs an entry on a text; what it returns is what comes back of it, in bytes.
#[track_caller]
fn bounded(name: &str, text: &str, entry: impl FnOnce(&str) -> usize) {
    let (output, peak) = peak_of(|| entry(text));
    let shown: String = text.chars().take(60).collect();
    assert!(
        output <= 16 * 1024 + 3 * text.len(),
        "{name}: {output} bytes come back of {}: {shown}",
        text.len()
    );
    assert!(
        peak <= 256 * 1024 + 128 * text.len(),
        "{name}: {peak} bytes are held for {}: {shown}",
        text.len()
    );
}

/// A realm with everything that a realm can have.
fn realm() -> &'static Realm {
    const LINK: Link = Link {
        parameter: "token",
        prefix: "st_",
        life: Span::from_secs(60),
        cookie: "__Host-shop",
        session_life: Span::from_secs(60),
    };
    let policy = policy_with(|realm| {
        realm.jwt = Some(jose::SHARED);
        realm.link = Some(LINK);
        realm.session_id_header = Some("x-session-id");
        realm.forwarded = true;
    });
    &policy.realms[0]
}

fn size(headers: &[(&str, String)]) -> usize {
    headers.iter().map(|(name, value)| name.len() + value.len()).sum()
}

#[test]
fn what_a_client_sends_to_the_gate_costs_in_proportion() {
    let (realm, secrets) = (realm(), secrets());
    let policy: &'static Policy =
        Box::leak(Box::new(Policy { realms: std::slice::from_ref(realm), ..*POLICY }));
    let route = &realm.routes[1];
    let Requirement::Key(_) = route.requires else { panic!("a route that takes keys") };
    let own = RequestTarget::of("https://api.example.com/api/orders");
    let stripe = webhook_of_stripe();
    let caller = |origin| ClientInfo {
        method: "GET",
        upgrades: false,
        address: Some("192.0.2.1"),
        origin,
        tenant: None,
        token: None,
    };
    for line in lines() {
        for url in [
            format!("https://api.example.com/api/public/{line}"),
            format!("https://api.example.com/api/orders?{line}"),
            format!("https://{line}/api/orders"),
            line.clone(),
        ] {
            bounded("the URL", &url, |url| {
                let target = RequestTarget::of(url);
                let side = route::builtin_route(policy, target).is_some();
                let planned = route::match_route(policy, "GET", target, false);
                let refused = planned
                    .err()
                    .map_or(0, |(realm, why)| refusal::refuse(&why.into(), realm, "r").body.len());
                let permit = gate::pass_without_key(&Requirement::Public).unwrap();
                let added = forwarding::added(realm, &permit, target, caller(None), "r");
                let followed = link::follow(&realm.link.unwrap(), target);
                let found = credential::is_in_url(realm, target, Some(&secrets))
                    || credential::is_in_url(realm, target, None)
                    || credential::is_link_in_url(&realm.link.unwrap(), target, Some(&secrets));
                usize::from(side || found)
                    + refused
                    + size(&added)
                    + followed.map_or(0, |it| it.map_or(0, |it| it.url.len()))
            });
        }
        bounded("header fields", &line, |line| {
            let header = |_: &str| Some(line.to_owned());
            let taken = credential::take(realm, own, Some(&secrets), None, header);
            let denial = match taken {
                Err(denial) => denial,
                Ok(_) => keyward_gate::denial::Denial::MissingCredential {
                    by: &[],
                    stray: hint::stray(realm, &[], header),
                },
            };
            let answer = mcp::respond(refusal::refuse(&denial, Some(realm), "r"));
            let session = session_id::take(realm, route, header).map_or(0, |id| id.map_or(0, |id| id.len()));
            let stays = route::stays_on_route(policy, realm, route, "COPY", own, Some(line));
            let permit = gate::pass_without_key(&Requirement::Public).unwrap();
            let removed = forwarding::credentials(policy.realms, realm, &permit, Some(&secrets), header);
            let answered = forwarding::answer(realm, Some(line), &[], "r");
            let asked = mcp::is_asked_for("POST", Some(line));
            let cors = cors::preflight_headers(&realm.cors.unwrap(), line);
            let secret = keyward_core::secret::Secret::new("whsec_x");
            let signed = webhook::Check::begin(&stripe, std::slice::from_ref(&secret), header, NOON).is_ok();
            answer.body.len()
                + size(&answer.headers)
                + session
                + removed.len()
                + size(&answered.set)
                + size(&cors)
                + usize::from(stays || asked || signed)
        });
        bounded("a credential", &line, |line| {
            let shape = key::shape(&realm.key, &secrets, line);
            let slip = hint::slip(&realm.key, line);
            let token = Token::read(line, &jose::SHARED).is_ok();
            let cookies = cookie::value(line, "__Host-shop").is_ok();
            usize::from(shape == key::Shape::Possible || slip.is_some() || token || cookies)
        });
    }
    // A token whose signature is right and whose claims are as many as fit.
    for unit in ["\"\",", "{\"\":0},", "[],", "\"a\","] {
        let claims = format!("{{\"iss\":\"x\",\"scope\":[{}]}}", many(unit, 5_000).trim_end_matches(','));
        let token = jose::Key::Shared.sign_text("{\"alg\":\"HS256\"}", &claims);
        bounded("a token", &token, |token| {
            usize::from(jose::verify(token, &jose::SHARED, &jose::shared_keys(), NOON).is_ok())
        });
    }
}

/// The scheme of Stripe, as a policy has it.
fn webhook_of_stripe() -> keyward_policy::Webhook {
    let gw = keyward_policy::compile::compile("gw", |_| {
        Ok(include_str!("../../examples/gw/keyward.toml").to_owned())
    });
    let routes = gw.unwrap().realms[0].routes;
    routes
        .iter()
        .find_map(|route| match route.requires {
            Requirement::Webhook(webhook) => Some(*webhook),
            _ => None,
        })
        .unwrap()
}

#[test]
fn what_a_client_sends_to_the_admin_apis_front_costs_in_proportion() {
    let secrets = secrets();
    for line in lines() {
        let some = || Some(line.clone());
        let heads = [
            Head { authorization: some(), ..Head::default() },
            Head { authorization: Some(format!("Bearer {line}")), cookie: some(), ..Head::default() },
            Head { cookie: some(), origin: some(), fetch_site: some(), ..Head::default() },
            Head { content_type: some(), content_length: some(), ..Head::default() },
        ];
        for head in heads {
            bounded("a head", &line, |line| {
                let url = format!("https://api.example.com/api/admin/api-keys?{line}");
                let judged = front::judge("POST", "https://api.example.com", &head, front::MOST_BYTES);
                let in_url = refuse_key_in_url(&POLICY, RequestTarget::of(&url), Some(&secrets), "r");
                let body =
                    front::body_text(front::BodyForm::JSON, head.content_type.as_deref(), b"{}".to_vec())
                        .is_ok();
                let judged =
                    judged.map_or_else(|refusal| refusal.reply("r").body.len(), |_| usize::from(body));
                judged + in_url.map_or(0, |reply| reply.body.len())
            });
        }
        bounded("a query", &line, |line| {
            let refused = Input::query(line, &["limit", "cursor"]).refusal();
            assert!(refused.fields.len() <= MOST_FIELDS);
            refused.reply("r").body.len()
        });
        bounded("a cursor", &line, |line| usize::from(cursor::decode(&secrets, "keys", "t", line).is_some()));
        bounded("a time", &line, |line| usize::from(Timestamp::parse_rfc3339(line).is_some()));
    }
}

#[test]
fn a_text_costs_in_proportion_in_every_form_that_it_is_brought_into() {
    for unit in [
        "a",
        "ﷺ",
        "İ",
        "ΐ",
        "\u{300}",
        "\u{1f3f4}",
        "\u{1f3f4}\u{e0061}",
        "\u{feff}",
        "a\u{200d}",
        "\u{1d160}",
        "각",
    ] {
        let text = many(unit, MOST_BYTES);
        // Eighteen characters of one is the most that form NFKC makes.
        let forms = |text: &str| {
            let folded = text::folded(text).len();
            assert!(folded <= 18 * text.len(), "{folded}");
            text::unfolded(text).map(|form| form.len()).into_iter().max().unwrap()
        };
        bounded("forms", &text, |text| forms(text) / 4);
        let value = Value::from(text.as_str());
        bounded("a value", &text, |_| {
            let wrong = [
                email::typed(&value).err(),
                email::chosen(&value).err(),
                password::typed(&value).err(),
                password::chosen(&value, &["owner@example.com", "Acme"]).err(),
                input::search(&value, 100).err(),
                input::line(&value, 1, 100).err(),
            ];
            wrong.into_iter().flatten().flatten().map(|(at, message)| at.len() + message.len()).sum()
        });
    }
}

#[test]
fn a_body_costs_in_proportion_in_every_call_that_takes_one() {
    let (fixture, owner) = RegistryFixture::open();
    let id = fixture.key(&owner, json!({})).key_id();
    let (_, member) = fixture.member(&owner, "viewer@example.com", "viewer");
    let key = |path: &str| format!("/api-keys/{id}{path}");
    let calls = [
        ("POST", "/session".to_owned()),
        ("POST", "/setup".to_owned()),
        ("POST", "/session/step-up".to_owned()),
        ("POST", "/api-keys".to_owned()),
        ("PATCH", key("")),
        ("POST", key("/revoke")),
        ("POST", key("/rotate")),
        ("POST", "/links".to_owned()),
        ("POST", "/members".to_owned()),
        ("PATCH", format!("/members/{member}")),
        ("POST", "/tenants".to_owned()),
    ];
    for body in bodies() {
        assert!(body.len() <= MOST_BYTES, "{}", body.len());
        bounded("JSON", &body, |body| match json::read(body, MOST_FIELDS + 1) {
            Ok((_, repeated)) => repeated.iter().map(String::len).sum(),
            Err(JsonError::BeyondRange(path)) => path.len(),
            Err(JsonError::Malformed(_)) => 0,
        });
        for (method, path) in &calls {
            // Of somebody who has not signed in: that is answered before the body is looked at, but in open calls.
            for token in [owner.as_str(), ""] {
                let mut call = fixture.call(method, token, path, Value::Null);
                call.body.clone_from(&body);
                bounded(path, &body, |_| {
                    let outcome = fixture.step(&call);
                    let reply = outcome.reply(Telling { at: NOON, pending: 0 }, "r");
                    let answer: Value = serde_json::from_str(&reply.body).unwrap_or_default();
                    assert!(reply.status < 400 || reply.body.len() < 16 * 1024, "{path}: {}", reply.body);
                    assert!(answer["errors"].as_array().is_none_or(|errors| errors.len() <= MOST_FIELDS));
                    reply.body.len()
                        + reply.headers.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>()
                });
            }
        }
    }
    // Nobody's attempts are remembered for ever, and of what was refused nothing is kept. The ballast was there before.
    let stored: usize = fixture.dump().lines().filter(|row| !row.starts_with("ballast ")).map(str::len).sum();
    assert!(stored < 200 * 1024, "{stored} bytes are stored");
}

#[test]
fn of_many_mistakes_the_first_are_named_and_that_there_are_more() {
    let fields = |count: usize| {
        let body: serde_json::Map<String, Value> =
            (0..count).map(|n| (format!("f{n:04}"), json!(0))).collect();
        RegistryFixture::empty().post("", "/session", body.into()).expect(400)
    };
    // `email` and `password` are wrong, too.
    let few = fields(MOST_FIELDS - 2);
    assert_eq!(few.fields().len(), MOST_FIELDS);
    let rest = format!("{} more are wrong", MOST_FIELDS - 1);
    assert!(few.body["detail"].as_str().unwrap().contains(&rest), "{}", few.body["detail"]);
    for count in [MOST_FIELDS - 1, MOST_FIELDS, 5_000] {
        let lot = fields(count);
        assert_eq!(lot.fields().len(), MOST_FIELDS, "{count}");
        assert!(lot.body["detail"].as_str().unwrap().contains("More is wrong"), "{}", lot.body["detail"]);
    }
}
