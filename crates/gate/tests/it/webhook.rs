//! Webhooks: the senders' own examples pass, whatever differs from them does not.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_core::{secret::Secret, time::Timestamp};
use keyward_gate::webhook::{Check, Error};
use keyward_policy::{SecretForm, SignatureEncoding, SignedPart, Span, Webhook, WebhookTime};
use proptest::prelude::*;

/// A request as its sender signed it.
#[derive(Clone)]
struct Delivery {
    webhook: Webhook,
    secret: &'static str,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    sent: Timestamp,
}

impl Delivery {
    fn new(
        webhook: Webhook,
        secret: &'static str,
        headers: &[(&'static str, &str)],
        body: &str,
        seconds: i64,
    ) -> Self {
        let headers = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        Self { webhook, secret, headers, body: body.into(), sent: Timestamp(seconds * 1_000) }
    }

    fn verify_at(&self, now: Timestamp) -> Result<(), Error> {
        let header = |name: &str| {
            let values: Vec<_> = self
                .headers
                .iter()
                .filter(|(own, _)| *own == name)
                .map(|(_, value)| value.as_str())
                .collect();
            (!values.is_empty()).then(|| values.join(", "))
        };
        let mut check = Check::begin(&self.webhook, &[Secret::new(self.secret)], header, now)?;
        // In pieces that are of no size in particular.
        self.body.chunks(7).for_each(|piece| check.see(piece));
        check.finish()
    }

    fn verify(&self) -> Result<(), Error> {
        self.verify_at(self.sent)
    }

    fn header(&mut self, name: &str) -> &mut String {
        &mut self.headers.iter_mut().find(|(own, _)| *own == name).unwrap().1
    }

    /// The same with another value of a header.
    fn with(&self, name: &str, value: &str) -> Self {
        let mut changed = self.clone();
        *changed.header(name) = value.to_owned();
        changed
    }
}

/// Made with Stripe's own library (npm `stripe` 23.1.0, `generateTestHeaderString`).
fn stripe() -> Delivery {
    Delivery::new(
        Webhook::stripe("STRIPE_SECRET"),
        "whsec_test_secret",
        &[(
            "stripe-signature",
            "t=1900000000,v1=4a8b11e7c295811ac51f948e29c0e29950c108ffba7d9907e4bb784f593ca176",
        )],
        r#"{"id":"evt_1","object":"event","type":"checkout.session.completed"}"#,
        1_900_000_000,
    )
}

/// From the tests of Square's own libraries.
fn square() -> Delivery {
    Delivery::new(
        Webhook::square(
            "SQUARE_SECRET",
            &[
                SignedPart::Text("https://webhook.site/679a4f3a-dcfa-49ee-bac5-9d0edad886b9"),
                SignedPart::Body,
            ],
        ),
        "Ibxx_5AKakO-3qeNVR61Dw",
        &[("x-square-hmacsha256-signature", "GF4YkrJgGBDZ9NIYbNXBnMzqb2HoL4RW/S6vkZ9/2N4=")],
        r#"{"merchant_id":"MLEFBHHSJGVHD","type":"webhooks.test_notification","event_id":"ac3ac95b-f97d-458c-a6e6-18981597e05f","created_at":"2022-07-13T20:30:59.037339943Z","data":{"type":"webhooks","id":"bc368e64-01aa-407e-b46e-3231809b1129"}}"#,
        1_657_744_259,
    )
}

/// From the documentation of Standard Webhooks.
fn standard() -> Delivery {
    Delivery::new(
        Webhook::standard("SENDER_SECRET"),
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        &[
            ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
            ("webhook-timestamp", "1614265330"),
            ("webhook-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
        ],
        r#"{"test": 2432232314}"#,
        1_614_265_330,
    )
}

/// From GitHub's documentation of its webhooks: no time, one tagged signature.
fn github() -> Delivery {
    Delivery::new(
        Webhook::github("GITHUB_SECRET"),
        "It's a Secret to Everybody",
        &[("x-hub-signature-256", "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17")],
        "Hello, World!",
        1_900_000_000,
    )
}

/// From Slack's documentation of its requests: a time in a header of its own, in front of the body.
fn slack() -> Delivery {
    Delivery::new(
        Webhook {
            header: "x-slack-signature",
            separator: None,
            tag: "v0=",
            encoding: SignatureEncoding::Hex,
            content: &[
                SignedPart::Text("v0:"),
                SignedPart::Timestamp,
                SignedPart::Text(":"),
                SignedPart::Body,
            ],
            timestamp: Some(WebhookTime::Header("x-slack-request-timestamp")),
            tolerance: Span::from_mins(5),
            secret: "SLACK_SECRET",
            other_secrets: &[],
            max_body: None,
            secret_form: SecretForm::Text,
        },
        "8f742231b10e8888abcd99yyyzzz85a5",
        &[
            ("x-slack-request-timestamp", "1531420618"),
            ("x-slack-signature", "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"),
        ],
        "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c",
        1_531_420_618,
    )
}

fn all() -> [Delivery; 5] {
    [stripe(), square(), standard(), github(), slack()]
}

#[test]
fn the_examples_that_senders_publish_pass() {
    for delivery in all() {
        assert_eq!(delivery.verify(), Ok(()), "{}", delivery.webhook.header);
    }
}

#[test]
fn a_changed_byte_of_the_body_or_another_secret_is_refused() {
    for delivery in all() {
        for at in 0..delivery.body.len() {
            let mut changed = delivery.clone();
            changed.body[at] ^= 1;
            assert_eq!(changed.verify(), Err(Error::BadSignature), "{}", delivery.webhook.header);
        }
        for body in [Vec::new(), [&delivery.body[..], b"\n"].concat()] {
            let changed = Delivery { body, ..delivery.clone() };
            assert_eq!(changed.verify(), Err(Error::BadSignature), "{}", delivery.webhook.header);
        }
        let other = Delivery { secret: "b3RoZXIgc2VjcmV0", ..delivery.clone() };
        assert_eq!(other.verify(), Err(Error::BadSignature), "{}", delivery.webhook.header);
    }
}

#[test]
fn a_missing_empty_or_repeated_header_is_refused() {
    for delivery in all() {
        for (at, (name, value)) in delivery.headers.iter().enumerate() {
            let mut missing = delivery.clone();
            missing.headers.remove(at);
            assert_eq!(missing.verify(), Err(Error::MissingHeader(name)));
            assert_eq!(delivery.with(name, "").verify(), Err(Error::MissingHeader(name)));
            let mut twice = delivery.clone();
            twice.headers.push((name, value.clone()));
            assert_eq!(twice.verify(), Err(Error::RepeatedHeader(name)));
        }
    }
}

#[test]
fn what_was_sent_too_long_ago_or_in_the_future_is_refused() {
    for delivery in [stripe(), standard(), slack()] {
        for (offset, expected) in [
            (300_000, Ok(())),
            (300_001, Err(Error::TooOld)),
            (-300_000, Ok(())),
            (-300_001, Err(Error::FromTheFuture)),
        ] {
            assert_eq!(delivery.verify_at(delivery.sent + Span::from_ms(offset)), expected, "{offset}");
        }
        let mut strict = delivery.clone();
        strict.webhook.tolerance = Span::from_secs(10);
        assert_eq!(strict.verify_at(delivery.sent.plus(Span::from_ms(10_001))), Err(Error::TooOld));
    }
}

#[test]
fn a_time_that_was_not_signed_is_refused() {
    let shifted = standard().with("webhook-timestamp", "1614265331");
    assert_eq!(shifted.verify(), Err(Error::BadSignature));
    let mut shifted = stripe();
    *shifted.header("stripe-signature") =
        shifted.header("stripe-signature").replace("t=1900000000", "t=1900000001");
    assert_eq!(shifted.verify(), Err(Error::BadSignature));
}

#[test]
fn there_is_exactly_one_time_and_it_is_a_number_of_seconds() {
    for time in
        ["now", "+1614265330", "-1614265330", "1614265330.0", " 1614265330", "1e9", "1614265330000000000000"]
    {
        let header = "webhook-timestamp";
        assert_eq!(standard().with(header, time).verify(), Err(Error::MalformedTime(header)), "{time}");
    }
    let header = "stripe-signature";
    let signature = stripe().header(header).split_once(',').unwrap().1.to_owned();
    for entries in [
        signature.clone(),
        format!("t=,{signature}"),
        format!("t=now,{signature}"),
        format!("t=1900000000,t=1900000000,{signature}"),
        format!("t=1900000000,{signature},t=1"),
    ] {
        let changed = stripe().with(header, &entries);
        assert_eq!(changed.verify(), Err(Error::MalformedTime(header)), "{entries}");
    }
}

#[test]
fn one_right_signature_among_several_is_enough() {
    let stripes = "0".repeat(64);
    let mut delivery = stripe();
    let right = delivery.header("stripe-signature").clone();
    for entries in [
        format!("{right},v1={stripes}"),
        right.replace("v1=", &format!("v1={stripes},v1=")),
        right.replace("v1=", "v0=something,v1="),
        right.replace("4a8b11e7", "4A8B11E7"),
    ] {
        assert_eq!(delivery.with("stripe-signature", &entries).verify(), Ok(()), "{entries}");
    }
    let right = standard().header("webhook-signature").clone();
    for entries in [format!("v1,AAAA {right}"), format!("{right} v1a,AAAA"), format!("{right}  v1,")] {
        assert_eq!(standard().with("webhook-signature", &entries).verify(), Ok(()), "{entries}");
    }
}

#[test]
fn a_signature_of_another_version_or_form_is_none() {
    for (delivery, value, expected) in [
        (stripe(), "t=1900000000", Error::NoSignature),
        (
            stripe(),
            "t=1900000000,v0=4a8b11e7c295811ac51f948e29c0e29950c108ffba7d9907e4bb784f593ca176",
            Error::NoSignature,
        ),
        (stripe(), "t=1900000000,v1=", Error::MalformedSignature),
        (stripe(), "t=1900000000,v1=4a8b11e7", Error::MalformedSignature),
        (standard(), "v2,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", Error::NoSignature),
        (standard(), "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", Error::NoSignature),
        (standard(), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE", Error::MalformedSignature),
        (standard(), "v1,g0hM9SsE-OTPJTGt_tmIKtSyZlE3uFJELVlNIOLJ1OE=", Error::MalformedSignature),
        (square(), "gf4ykrjggbdz9niybnxbnmzqb2hol4rw/s6vkz9/2n4=", Error::BadSignature),
        (github(), "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17", Error::NoSignature),
    ] {
        let header = delivery.webhook.header;
        assert_eq!(delivery.with(header, value).verify(), Err(expected), "{header}: {value}");
    }
}

#[test]
fn what_no_body_could_make_right_is_refused_before_the_body() {
    for delivery in all() {
        let begin = |delivery: &Delivery| {
            let header = |name: &str| {
                delivery.headers.iter().find(|(own, _)| *own == name).map(|(_, value)| value.clone())
            };
            Check::begin(&delivery.webhook, &[Secret::new(delivery.secret)], header, delivery.sent).err()
        };
        assert_eq!(begin(&delivery), None);
        let header = delivery.webhook.header;
        let value = delivery.headers.iter().find(|(name, _)| *name == header).unwrap().1.clone();
        let end = value.len();
        let odd = format!("{}!{}", &value[..end - 4], &value[end - 3..]);
        for wrong in [value[..end - 2].to_owned(), format!("{value}0"), odd] {
            assert_eq!(begin(&delivery.with(header, &wrong)), Some(Error::MalformedSignature), "{wrong}");
        }
    }
}

#[test]
fn what_is_signed_may_stand_before_and_after_the_body() {
    let webhook = Webhook {
        content: &[SignedPart::Text("<"), SignedPart::Body, SignedPart::Text(">")],
        ..github().webhook
    };
    // printf '<Hello, World!>' | openssl dgst -sha256 -hmac "It's a Secret to Everybody"
    let signed = "sha256=66fae49b945f3d67301193472c45d38d08f6cbf357c095eab1978c192e665359";
    let delivery = Delivery { webhook, ..github() }.with("x-hub-signature-256", signed);
    assert_eq!(delivery.verify(), Ok(()));
}

#[test]
fn svix_signs_as_standard_webhooks_does_under_names_of_its_own() {
    let standard = standard();
    let renamed = |name: &str| match name {
        "webhook-id" => "svix-id",
        "webhook-timestamp" => "svix-timestamp",
        "webhook-signature" => "svix-signature",
        other => panic!("{other}"),
    };
    let headers = standard.headers.iter().map(|(name, value)| (renamed(name), value.clone())).collect();
    let svix = Delivery { webhook: Webhook::svix("SVIX_SECRET"), headers, ..standard.clone() };
    assert_eq!(svix.verify(), Ok(()));
    assert_eq!(svix.with("svix-id", "msg_other").verify(), Err(Error::BadSignature));
    let unnamed = Delivery { webhook: Webhook::svix("SVIX_SECRET"), ..standard };
    assert_eq!(unnamed.verify(), Err(Error::MissingHeader("svix-signature")));
}

#[test]
fn while_a_secret_is_replaced_the_old_and_the_new_one_are_right_and_no_other() {
    for delivery in all() {
        let check = |secrets: &[&str]| {
            let header = |name: &str| {
                delivery.headers.iter().find(|(own, _)| *own == name).map(|(_, value)| value.clone())
            };
            let secrets: Vec<_> = secrets.iter().map(|text| Secret::new(*text)).collect();
            let mut check = Check::begin(&delivery.webhook, &secrets, header, delivery.sent)?;
            delivery.body.chunks(7).for_each(|piece| check.see(piece));
            check.finish()
        };
        let (right, other) = (delivery.secret, "whsec_b3RoZXIgc2VjcmV0IG9mIG5vYm9keQ==");
        assert_eq!(check(&[right, other]), Ok(()));
        assert_eq!(check(&[other, right]), Ok(()));
        assert_eq!(check(&[other, other]), Err(Error::BadSignature));
        assert_eq!(check(&[]), Err(Error::BadSignature), "nothing is right without a secret");
        assert_eq!(check(&[right, ""]), Err(Error::UnfitSecret));
    }
}

#[test]
fn another_notification_url_is_refused() {
    let mut delivery = square();
    delivery.webhook.content =
        &[SignedPart::Text("https://webhook.site/679a4f3a-dcfa-49ee-bac5-9d0edad886b9/"), SignedPart::Body];
    assert_eq!(delivery.verify(), Err(Error::BadSignature));
}

#[test]
fn a_secret_that_is_not_written_as_the_policy_says_is_the_deployments_fault() {
    for secret in ["", "whsec_", "whsec_not base64!"] {
        assert_eq!(Delivery { secret, ..standard() }.verify(), Err(Error::UnfitSecret), "{secret}");
    }
    let bare = Delivery { secret: "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", ..standard() };
    assert_eq!(bare.verify(), Ok(()), "the prefix may be left out");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_sent_gets_an_answer(which in 0..5_usize, value in "[ -~é]{0,80}", time in "[0-9a-z+.-]{0,20}") {
        let delivery = &all()[which];
        let mut delivery = delivery.with(delivery.webhook.header, &value);
        if let Some(WebhookTime::Header(name)) = delivery.webhook.timestamp {
            delivery = delivery.with(name, &time);
        }
        prop_assert!(delivery.verify().is_err());
    }
}
