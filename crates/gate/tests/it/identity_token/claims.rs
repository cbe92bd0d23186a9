//! What a token says of whoever asks.

use super::*;

#[test]
fn a_token_says_who_asks() {
    let metadata = Some(r#"{"customer":"c-7"}"#.to_owned());
    let (platform, key) = deployment(&Record { metadata, ..unlimited() });
    let of_key = json!({
        "iss": "https://api.example.com", "aud": "default", "sub": "key_1", "by": "key", "tenant": "tenant-1",
        "scope": "orders:read", "mode": "live", "metadata": { "customer": "c-7" },
    });
    assert_eq!(said(&by_key(&platform, *POLICY, "/orders", &key)), of_key);

    let mut page = Record {
        kind: KeyKind::Publishable,
        mode: Mode::Test,
        allowed_origins: vec!["https://shop.example".into()],
        version: 2,
        ..unlimited()
    };
    page.tenant.plan = Some("pro".into());
    let (platform, key) = deployment(&page);
    let bearer = format!("Bearer {}", key.expose());
    let fields = [("authorization", bearer.as_str()), ("origin", "https://shop.example")];
    let of_page = json!({
        "iss": "https://api.example.com", "aud": "default", "sub": "key_1", "by": "publishable", "tenant": "tenant-1",
        "plan": "pro", "scope": "orders:read", "mode": "test",
    });
    assert_eq!(said(&token(&platform, *POLICY, "/orders", &fields)), of_page);

    let of_person = json!({
        "iss": "https://api.example.com", "aud": "default", "sub": "user-17", "by": "jwt", "tenant": "tenant-1",
        "scope": "orders:read orders:write",
    });
    let theirs = Key::Shared.token(&jose::claims(NOON));
    assert_eq!(said(&token(&platform, *POLICY, "/orders", &[("x-token", &theirs)])), of_person);

    let session = Session {
        realm: "default".into(),
        tenant: page.tenant,
        subject: Some("cart-7".into()),
        session_id: Some("chat-1".into()),
        expires_at: NOON.plus(MINUTE),
    };
    let cookie = format!("__Host-shop={}", session.seal(&platform.secrets).expose());
    let of_session = json!({
        "iss": "https://api.example.com", "aud": "default", "sub": "cart-7", "by": "session", "tenant": "tenant-1",
        "plan": "pro",
    });
    assert_eq!(said(&token(&platform, *POLICY, "/page", &[("cookie", &cookie)])), of_session);
}

#[test]
fn a_token_tells_no_metadata_that_the_policy_does_not_name_and_no_tenant_where_there_is_none() {
    let mut record = Record { metadata: Some(r#"{"customer":"c-1"}"#.into()), ..unlimited() };
    record.tenant.id = String::new();
    let (platform, key) = deployment(&record);
    let named = said(&by_key(&platform, *POLICY, "/orders", &key));
    assert_eq!((named.get("tenant"), &named["metadata"]["customer"]), (None, &json!("c-1")));
    let text = TEXT.replace("FRESHNESS", "10s").replace("LIMITS", "");
    let text = text.replace("metadata = [\"customer\", \"region\"]\n", "");
    let policy = compile("keyward.toml", |_| Ok(text.clone())).unwrap_or_else(|error| panic!("{error:#}"));
    let unnamed = said(&by_key(&platform, Box::leak(Box::new(policy)), "/orders", &key));
    assert_eq!(unnamed.get("metadata"), None);
}

#[test]
fn a_key_and_a_token_are_both_told_and_only_the_scopes_that_both_hold() {
    let (platform, key) = deployment(&Record { scopes: vec!["*".into()], ..unlimited() });
    let bearer = format!("Bearer {}", key.expose());
    let of_both = |user: &str| {
        let mut shown = jose::claims(NOON);
        shown["sub"] = json!(user);
        let shown = Key::Shared.token(&shown);
        said(&token(&platform, *POLICY, "/both", &[("authorization", &bearer), ("x-token", &shown)]))
    };
    // Beside a key that may do everything, each token says what its own user may, also while the other's is remembered.
    for user in ["user-17", "user-18"] {
        let expected = json!({
            "iss": "https://api.example.com", "aud": "default", "sub": "key_1", "by": "key", "user": user,
            "tenant": "tenant-1", "scope": "orders:read", "mode": "live",
        });
        assert_eq!(of_both(user), expected);
    }
}

#[test]
fn a_request_of_nobodys_has_a_token_that_names_nobody() {
    let (platform, _) = deployment(&unlimited());
    let of_nobody = json!({ "iss": "https://api.example.com", "aud": "default" });
    assert_eq!(said(&token(&platform, *POLICY, "/status", &[])), of_nobody);

    let seconds = NOON.0 / 1_000;
    let mac = jose::mac(b"whsec_of_the_shop", format!("{seconds}.{{}}").as_bytes());
    let signature = format!("t={seconds},v1={}", keyward_core::key::hex(&mac));
    let request = Request {
        method: "POST",
        url: "https://api.example.com/hook",
        fields: &[("stripe-signature", &signature), ("content-length", "2")],
        body: b"{}",
        ..Request::default()
    };
    let of_sender = json!({ "iss": "https://api.example.com", "aud": "default", "by": "webhook" });
    assert_eq!(said(&told(&platform, *POLICY, &request).unwrap().unwrap()), of_sender);
}

/// Origins read it: what is in it now stays.
#[test]
fn the_token_of_a_fixed_key_and_time() {
    let (platform, key) = deployment(&unlimited());
    // {"iss":"https://api.example.com","aud":"default","sub":"key_1","by":"key","tenant":"tenant-1","scope":"orders:read",
    //  "mode":"live","iat":1900000000,"exp":1900000010}
    let parts = [
        "eyJhbGciOiJFZERTQSIsImtpZCI6ImtQcktfcW14VldhWVZBOXd3QkY2SXVvM3ZWeno3VHhIQ1R3WEJ5Z3JTNGsiLCJ0eXAiOiJKV1QifQ",
        "eyJpc3MiOiJodHRwczovL2FwaS5leGFtcGxlLmNvbSIsImF1ZCI6ImRlZmF1bHQiLCJzdWIiOiJrZXlfMSIsImJ5Ijoia2V5IiwidGVuYW50IjoidGVuYW50LTEiLCJzY29wZSI6Im9yZGVyczpyZWFkIiwibW9kZSI6ImxpdmUiLCJpYXQiOjE5MDAwMDAwMDAsImV4cCI6MTkwMDAwMDAxMH0",
        "g_eZ_Y291hSRD7-OAiPYTUWmdeLcxnO18l1f69hnkkb8cy1p-7toMWAw4tR4uuXMfZPf-Va0jx-6pUK81xzrCQ",
    ];
    assert_eq!(by_key(&platform, *POLICY, "/orders", &key), parts.join("."));
}

#[test]
fn a_realm_that_asks_for_none_has_none() {
    let (platform, key) = deployment(&unlimited());
    let url = "https://api.example.com/api/orders";
    let bearer = format!("Bearer {}", key.expose());
    let request = Request { url, fields: &[("authorization", &bearer)], ..Request::default() };
    assert_eq!(told(&platform, &keyward_testing::policy::POLICY, &request).unwrap(), None);
}
