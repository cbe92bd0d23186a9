//! Links that sign somebody in: a token works once, and what it becomes is a session in a cookie.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_core::{
    cookie::{self, Repeated, SameSite},
    key,
    link::{self, LinkState, RedeemError, Session},
    record::Mode,
    request_target::RequestTarget,
    secret::{Secret, Secrets},
    time::{MILLISECOND, SECOND, Timestamp},
};
use keyward_policy::{KeyFormat, Link, Span};
use keyward_testing::{NOON, SECRET, Seeded, record, secrets};
use proptest::prelude::*;

const LINK: Link = Link {
    parameter: "token",
    prefix: "st_",
    life: Span::from_secs(900),
    cookie: "__Host-store-session",
    session_life: Span::from_secs(43_200),
};

fn new(format: &KeyFormat) -> String {
    key::generate(format, "", Mode::Live, &secrets(), &mut Seeded::new(1)).expose().to_owned()
}

/// Token and URL that are left of a URL.
fn follow(url: &str) -> Result<Option<(String, String)>, Repeated> {
    let followed = link::follow(&LINK, RequestTarget::of(url))?;
    Ok(followed.map(|followed| (followed.token.expose().to_owned(), followed.url)))
}

#[test]
fn a_token_is_told_apart_from_forgeries_without_a_lookup() {
    let format = LINK.token();
    let made = new(&format);
    assert!(made.starts_with("st_"), "{made}");
    assert!(key::is_well_formed(&format, &secrets(), &made));
    for at in 0..made.len() {
        let mut forged = made.clone().into_bytes();
        forged[at] = if forged[at] == b'x' { b'y' } else { b'x' };
        let forged = String::from_utf8(forged).unwrap();
        assert!(!key::is_well_formed(&format, &secrets(), &forged), "{forged}");
    }
}

fn session() -> Session {
    Session {
        realm: "shop".into(),
        tenant: record().tenant,
        subject: Some("cart-7".into()),
        session_id: None,
        expires_at: NOON,
    }
}

#[test]
fn a_session_holds_until_its_end_in_its_own_realm_and_deployment() {
    let sealed = session().seal(&secrets());
    let open = |realm, secrets: &Secrets, now| Session::open(&sealed, realm, secrets, now);
    let before = NOON.plus(-MILLISECOND);
    assert_eq!(open("shop", &secrets(), before), Some(session()));
    assert_eq!(open("shop", &secrets(), NOON), None, "it has ended");
    assert_eq!(open("other", &secrets(), before), None);
    let others = Secrets::new("another deployment's secret, long enough", None);
    assert_eq!(open("shop", &others, before), None);
    let rotated = Secrets::new("a newer secret of this deployment, long enough", Some(SECRET));
    assert_eq!(open("shop", &rotated, before), Some(session()));
}

#[test]
fn a_session_with_any_byte_changed_is_none() {
    let sealed = session().seal(&secrets()).expose().to_owned();
    for at in 0..sealed.len() {
        for with in ["A", "."] {
            let mut forged = sealed.clone();
            forged.replace_range(at..=at, with);
            if forged != sealed {
                assert_eq!(
                    Session::open(&Secret::new(forged), "shop", &secrets(), NOON.plus(-MILLISECOND)),
                    None,
                    "{at}"
                );
            }
        }
    }
    for text in ["", "kw_session_", "kw_session_.", "kw_session_e30.", "st_0123"] {
        assert_eq!(
            Session::open(&Secret::new(text), "shop", &secrets(), NOON.plus(-MILLISECOND)),
            None,
            "{text}"
        );
    }
}

#[test]
fn the_token_leaves_the_url_and_every_other_byte_stays() {
    for (query, rest) in [
        ("token=st_abc123", ""),
        ("token=st_abc123&", ""),
        ("token=st_abc123&a=1", "?a=1"),
        ("a=1&token=st_abc123", "?a=1"),
        ("a=%20+%2B&token=st_abc123&b", "?a=%20+%2B&b"),
        ("&&a=1&token=st_abc123&&b==", "?&&a=1&&b=="),
        ("%74oken=st%5Fabc123&a=1", "?a=1"),
        ("xtoken=1&token=st_abc123&Token=2&token2=3", "?xtoken=1&Token=2&token2=3"),
        ("a=token=1&token=st_abc123", "?a=token=1"),
    ] {
        let expected = ("st_abc123".to_owned(), format!("https://mystore.com/checkout{rest}"));
        let url = format!("https://mystore.com/checkout?{query}");
        assert_eq!(follow(&url), Ok(Some(expected)), "{query}");
    }
}

#[test]
fn a_url_without_the_token_is_left_alone() {
    for query in ["", "?", "?a=1", "?Token=st_abc123", "?a=token", "?a&tokens=1"] {
        assert_eq!(follow(&format!("https://mystore.com/checkout{query}")), Ok(None), "{query}");
    }
}

#[test]
fn two_tokens_in_a_url_are_refused_however_they_are_written() {
    for query in
        ["token=a&token=a", "token=a&b&token=c", "token=a&%74oken=b", "token&token=a", "token=&token=a"]
    {
        assert_eq!(follow(&format!("https://mystore.com/?{query}")), Err(Repeated), "{query}");
    }
}

#[test]
fn an_empty_token_is_one_that_is_not_well_formed() {
    for query in ["token", "token="] {
        let (token, _) = follow(&format!("https://mystore.com/?{query}")).unwrap().unwrap();
        assert!(!key::is_well_formed(&LINK.token(), &secrets(), &token));
    }
}

#[test]
fn a_redirect_never_leads_to_another_host() {
    for path in ["//evil.example", "///evil.example/a", "/\\evil.example", "/@evil.example"] {
        let (_, url) = follow(&format!("https://mystore.com{path}?token=st_abc123")).unwrap().unwrap();
        assert_eq!(url, format!("https://mystore.com{path}"));
    }
}

#[test]
fn the_session_is_handed_over_in_a_cookie_that_only_this_host_gets_and_no_script_reads() {
    let session = session().seal(&secrets());
    let headers = link::redirect(&LINK, &session, "https://mystore.com/checkout?a=1".into());
    let cookie = format!(
        "__Host-store-session={}; Path=/; Max-Age=43200; HttpOnly; Secure; SameSite=Lax",
        session.expose()
    );
    let expected = [
        ("Location", "https://mystore.com/checkout?a=1"),
        ("Set-Cookie", &cookie),
        ("Cache-Control", "no-store"),
        ("Referrer-Policy", "no-referrer"),
    ];
    assert_eq!(headers.each_ref().map(|(name, value)| (*name, value.as_str())), expected);

    let sent = format!("a=b; __Host-store-session={}; c=d", session.expose());
    assert_eq!(link::session(&LINK, &sent).unwrap().unwrap().expose(), session.expose());
}

#[test]
fn a_cookie_is_read_only_if_it_stands_there_once() {
    for (header, expected) in [
        ("", Ok(None)),
        ("a", Ok(None)),
        ("a=", Ok(None)),
        ("a=1", Ok(Some("1"))),
        ("b=2;a=1", Ok(Some("1"))),
        ("b=2, a=1", Ok(Some("1"))),
        ("a=1=2; b", Ok(Some("1=2"))),
        ("A=1; xa=2; ax=3", Ok(None)),
        ("a=1; a=1", Err(Repeated)),
        ("a=1; b=2; a=3", Err(Repeated)),
        ("a=1, a=3", Err(Repeated)),
        ("a=1; a=", Ok(Some("1"))),
    ] {
        assert_eq!(cookie::value(header, "a"), expected, "{header}");
    }
    assert_eq!(
        cookie::clear("__Host-a", SameSite::Strict),
        "__Host-a=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Strict"
    );
}

#[test]
fn a_link_works_until_it_expires() {
    let link = LinkState::issue(&LINK, NOON);
    let at = |offset| {
        let mut link = link;
        link.redeem(NOON + Span::from_ms(offset))
    };
    assert_eq!(at(0), Ok(()));
    assert_eq!(at(900_000 - 1), Ok(()));
    assert_eq!(at(900_000), Err(RedeemError::Expired));
}

#[test]
fn a_link_that_was_used_stays_used() {
    let mut link = LinkState::issue(&LINK, NOON);
    assert_eq!(link.redeem(NOON), Ok(()));
    assert_eq!(link.redeem(NOON), Err(RedeemError::Used));
    assert_eq!(link.redeem(NOON.plus(10_000 * SECOND)), Err(RedeemError::Used));
    let stored = serde_json::to_string(&link).unwrap();
    assert_eq!(stored, format!(r#"{{"expiresAt":{},"usedAt":{}}}"#, NOON.0 + 900_000, NOON.0));
    let mut restored: LinkState = keyward_json::from_str(&stored).unwrap();
    assert_eq!(restored.redeem(NOON), Err(RedeemError::Used));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn however_often_and_whenever_it_is_tried_a_link_works_once_at_most(
        offsets in prop::collection::vec(-1_000_000_i64..2_000_000, 1..20),
    ) {
        let mut link = LinkState::issue(&LINK, NOON);
        let moments: Vec<Timestamp> = offsets.iter().map(|offset| NOON + Span::from_ms(*offset)).collect();
        let redeemed = moments.iter().filter(|moment| link.redeem(**moment).is_ok()).count();
        let in_time = moments.iter().any(|moment| *moment < link.expires_at);
        prop_assert_eq!(redeemed, usize::from(in_time));
    }

    #[test]
    fn what_is_left_of_a_query_is_what_was_there_beside_the_token(
        before in "[a-z%0-9=&+]{0,20}", after in "[a-z%0-9=&+]{0,20}",
    ) {
        let has_token = |query: &str| matches!(follow(&format!("https://a.example/?{query}")), Ok(Some(_)) | Err(_));
        prop_assume!(!has_token(&before) && !has_token(&after));
        let (_, url) = follow(&format!("https://a.example/?{before}&token=x&{after}")).unwrap().unwrap();
        prop_assert_eq!(url, format!("https://a.example/?{before}&{after}"));
    }
}
