//! Cookies, links in URLs, and the sessions that they become.
//!
//! Input: lines with a query, a `Cookie` header, the session's subject, and text that replaces a part of the sealed
//! session, after a number that says which.

use keyward_core::{
    cookie,
    link::{self, Session},
    record::{Tenant, TenantStatus},
    request_target::RequestTarget,
    secret::Secret,
    time::{SECOND, Timestamp},
};
use keyward_policy::Link;
use percent_encoding::percent_decode_str;

use crate::support::{NOW, lines, realm_named, secrets, text};

pub fn run(data: &[u8]) {
    let text = text(data);
    let ([query, cookies, subject], change) = lines(&text);
    let link = realm_named("shop").link.expect("it has one");
    follow(&link, query);
    one_cookie(cookies, link.cookie);
    sealed(subject, change);
    assert!(
        Session::open(&Secret::new(change), "shop", secrets(), NOW).is_none(),
        "nobody makes one up: {change}"
    );
}

fn follow(link: &Link, query: &str) {
    let query = query.split('#').next().unwrap_or_default();
    let url = format!("https://shop.example/a?{query}");
    let is_token = |pair: &&str| {
        let name = pair.split('=').next().unwrap_or_default();
        percent_decode_str(name).decode_utf8_lossy() == link.parameter
    };
    let tokens: Vec<_> = query.split('&').filter(is_token).collect();
    match (link::follow(link, RequestTarget::of(&url)), &tokens[..]) {
        (Ok(None), []) => {}
        (Err(_), [_, _, ..]) => {}
        (Ok(Some(followed)), [pair]) => {
            let token = pair.split_once('=').map_or("", |(_, token)| token);
            assert_eq!(followed.token.expose(), percent_decode_str(token).decode_utf8_lossy());
            // The URL has everything else, and leads to no other server or path.
            let left = RequestTarget::of(&followed.url);
            assert_eq!((left.origin, left.path), ("https://shop.example", "/a"));
            let others: Vec<_> = query.split('&').filter(|pair| !is_token(pair)).collect();
            assert_eq!(left.query, others.join("&"));
            assert!(matches!(link::follow(link, left), Ok(None)), "it is followed again: {}", followed.url);
        }
        (followed, tokens) => {
            panic!("{} of {tokens:?}", if followed.is_ok() { "it is followed" } else { "repeated" })
        }
    }
}

/// RFC 6265, section 5.4, read sign by sign; a comma counts as what parts two cookies.
fn one_cookie(header: &str, name: &str) {
    let mut found = Vec::new();
    for pair in header.split([';', ',']) {
        let pair = pair.trim();
        let Some(end) = pair.find('=') else { continue };
        if &pair[..end] == name && pair.len() > end + 1 {
            found.push(&pair[end + 1..]);
        }
    }
    match (cookie::value(header, name), &found[..]) {
        (Ok(None), []) => {}
        (Ok(Some(value)), [one]) => assert_eq!(value, *one),
        (Err(_), [_, _, ..]) => {}
        (value, found) => panic!("{value:?} of {found:?}"),
    }
    if let Ok(Some(value)) = cookie::value(header, name) {
        assert!(!value.contains([';', ',']));
    }
}

fn sealed(subject: &str, change: &str) {
    let session = Session {
        realm: "shop".into(),
        tenant: Tenant { id: "t".into(), code: None, status: TenantStatus::Active, plan: None, pool: None },
        subject: Some(subject.to_owned()),
        session_id: None,
        expires_at: NOW.plus(SECOND),
    };
    let value = session.seal(secrets());
    assert!(value.expose().bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)));
    let open = |value: &Secret, realm: &str, now: Timestamp| Session::open(value, realm, secrets(), now);
    assert_eq!(open(&value, "shop", NOW).as_ref(), Some(&session));
    assert!(open(&value, "app", NOW).is_none() && open(&value, "shop", session.expires_at).is_none());
    let (place, change) = change.split_once(' ').unwrap_or(("0", change));
    let place = place.parse::<usize>().unwrap_or_default() % value.expose().len();
    let mut changed = value.expose().to_owned();
    let end = (place + change.len()).min(changed.len());
    changed.replace_range(place..end, change);
    if changed != value.expose() {
        assert!(
            open(&Secret::new(&changed), "shop", NOW).is_none(),
            "{changed} holds, for {}",
            value.expose()
        );
    }
}
