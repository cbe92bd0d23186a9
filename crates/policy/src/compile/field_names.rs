//! Names of header fields that mean something else to the connection, the browser, the platform or the origin.

/// Of the IANA's HTTP Field Name Registry those that a request can have or an application could mistake, and some of
/// wide use that stand in none, in lower case.
const RESERVED: &str = "
a-im accept age allow alpn amp-cache-transform apply-to-redirect-ref authentication-control
authentication-info baggage cal-managed-id caldav-timezones capsule-protocol clear-site-data client-cert
client-cert-chain close connection cookie cookie2 cta-common-access-token dasl date dav default-style
delta-base deprecation depth derived-from destination dictionary-id differential-id digest dnt dpop
dpop-nonce early-data ediint-features etag expect expect-ct expires forwarded from hobareg host
http2-settings idempotency-key im include-referred-token-binding-id incremental isolation keep-alive
label last-event-id last-modified link link-template location lock-token max-forwards memento-datetime
meter mime-version negotiate nel odata-entityid odata-isolation odata-maxversion odata-version
ordering-type origin origin-agent-cluster oscore oslc-core-version overwrite p3p ping-from ping-to
position pragma prefer preference-applied priority public purpose range ratelimit ratelimit-policy
redirect-ref referer referrer-policy refresh repeatability-client-id repeatability-first-sent
repeatability-request-id repeatability-result replay-nonce reporting-endpoints repr-digest retry-after
save-data schedule-reply schedule-tag server server-timing service-worker service-worker-allowed
set-cookie set-cookie2 signature-input slug soapaction status-uri strict-transport-security sunset
surrogate-capability surrogate-control tcn te timeout timing-allow-origin topic traceparent tracestate
trailer transfer-encoding true-client-ip ttl upgrade upgrade-insecure-requests urgency uri
use-as-dictionary user-agent variant-vary vary via warning www-authenticate x-client-ip
x-cluster-client-ip x-content-type-options x-correlation-id x-csrf-token x-frame-options x-http-method
x-http-method-override x-method-override x-original-url x-real-ip x-request-id x-requested-with
x-rewrite-url x-xsrf-token
";
/// `x-forwarded-` and the like are what proxies say, `sec-` and `access-control-` what browsers say.
const PREFIXES: &[&str] = &[
    "accept-",
    "access-control-",
    "alt-",
    "cache-",
    "cdn-",
    "cf-",
    "content-",
    "cross-origin-",
    "if-",
    "keyward-",
    "proxy-",
    "sec-",
    "want-",
    "x-forwarded-",
];

/// Whether a field of this name, given in lower case, has a meaning of its own. `_` is read as `-`, as many servers
/// do (CGI, RFC 3875, section 4.1.18).
pub(super) fn is_reserved(name: &str) -> bool {
    let name = name.replace('_', "-");
    RESERVED.split_whitespace().any(|reserved| reserved == name)
        || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}
