//! Which headers and schemes a policy may name for credentials.

use keyward_policy::compile::compile;

/// Whether a policy with this builds in place of its one credential source.
fn takes_credentials(sources: &str) -> bool {
    let text = include_str!("mistakes/right.toml").replace("[{ header = \"X-Api-Key\" }]", sources);
    compile("keyward.toml", |_| Ok(text.clone())).is_ok()
}

#[test]
fn only_headers_without_another_meaning_hold_credentials() {
    let of = |header: &str| takes_credentials(&format!("[{{ header = \"{header}\" }}]"));
    for own in [
        "Authorization",
        "X-Api-Key",
        "Api-Key",
        "X-Auth-Token",
        "X-Access-Token",
        "Private-Token",
        "X-Goog-Api-Key",
    ] {
        assert!(of(own), "{own}");
    }
    for other in [
        "Proxy-Authorization",
        "Proxy-Connection",
        "Expect",
        "If-Match",
        "If-None-Match",
        "If-Modified-Since",
        "If-Range",
        "User-Agent",
        "Idempotency-Key",
        "Forwarded",
        "X-Forwarded-For",
        "X-Forwarded-Anything",
        "X-Real-IP",
        "CF-Ray",
        "CF-Access-Client-Secret",
        "Range",
        "Accept",
        "Accept-Language",
        "Content-Type",
        "Content-Anything",
        "Sec-Fetch-Site",
        "Access-Control-Request-Method",
        "Via",
        "Date",
        "TE",
        "Trailer",
        "Upgrade",
        "Connection",
        "Keep-Alive",
        "Host",
        "Cookie",
        "Origin",
        "Referer",
        "From",
        "Max-Forwards",
        "Pragma",
        "Cache-Control",
        "Prefer",
        "Priority",
        "Depth",
        "Destination",
        "Overwrite",
        "Lock-Token",
        "Timeout",
        "Traceparent",
        "Early-Data",
        "DPoP",
        "Last-Event-ID",
        "X-HTTP-Method-Override",
        "X-Request-Id",
        "X-CSRF-Token",
        "Keyward-Tenant",
        "WWW-Authenticate",
        "Location",
    ] {
        for spelling in [other.to_owned(), other.to_uppercase(), other.replace('-', "_")] {
            assert!(!of(&spelling), "{spelling}");
        }
    }
    assert!(!of("X_Api_Key") && !of("api_key"));
}

#[test]
fn only_basic_and_schemes_before_a_key_as_it_is_hold_keys() {
    let of = |scheme: &str| {
        takes_credentials(&format!("[{{ header = \"Authorization\", scheme = \"{scheme}\" }}]"))
    };
    for scheme in ["Bearer", "bearer", "Token", "ApiKey", "Api-Key", "Key", "GenieKey", "Basic", "BASIC"] {
        assert!(of(scheme), "{scheme}");
    }
    for scheme in [
        "Digest",
        "Negotiate",
        "NTLM",
        "DPoP",
        "HOBA",
        "SCRAM-SHA-256",
        "AWS4-HMAC-SHA256",
        "Bearer:",
        "Bearer ",
        " Bearer",
        "",
        "A B",
    ] {
        assert!(!of(scheme), "{scheme:?}");
    }
    assert!(takes_credentials(
        "[{ header = \"Authorization\", scheme = \"Bearer\" }, { header = \"Authorization\", scheme = \"ApiKey\" }]"
    ));
}
