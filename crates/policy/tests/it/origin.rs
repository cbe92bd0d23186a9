//! An origin is compared in the form in which browsers send it, however it is written.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use keyward_policy::origin::{is_within, normalise, normalise_below};

#[test]
fn an_origin_has_one_form_however_it_is_written() {
    for (written, form) in [
        ("https://app.example", "https://app.example"),
        ("HTTPS://App.Example/", "https://app.example"),
        ("https://app.example:443", "https://app.example"),
        ("https://app.example:0443/", "https://app.example"),
        ("https://app.example:8443", "https://app.example:8443"),
        ("HTTP://LOCALHOST:80", "http://localhost"),
        ("http://localhost:3000/", "http://localhost:3000"),
        ("http://shop.localhost:443", "http://shop.localhost:443"),
        ("http://127.0.0.2:8080", "http://127.0.0.2:8080"),
        ("https://my_app.example", "https://my_app.example"),
        ("https://192.0.2.1", "https://192.0.2.1"),
        ("https://[2001:DB8:0:0:0:0:0:1]:443/", "https://[2001:db8::1]"),
        ("https://[::ffff:192.0.2.1]", "https://[::ffff:c000:201]"),
        ("capacitor://localhost", "capacitor://localhost"),
        ("Ionic://Localhost/", "ionic://localhost"),
        (
            "chrome-extension://ABCDEFGHIJKLMNOPabcdefghijklmnop",
            "chrome-extension://abcdefghijklmnopabcdefghijklmnop",
        ),
        (
            "moz-extension://2c127fa4-62c7-7e4f-90e5-472b45eecfdc",
            "moz-extension://2c127fa4-62c7-7e4f-90e5-472b45eecfdc",
        ),
        ("https://XN--bcher-kva.example", "https://xn--bcher-kva.example"),
    ] {
        assert_eq!(normalise(written).unwrap(), form, "{written}");
        assert_eq!(normalise(form).unwrap(), form);
    }
}

#[test]
fn what_browsers_never_send_as_an_origin_is_refused() {
    for text in [
        "",
        "*",
        "null",
        "app.example",
        "//app.example",
        "https://",
        "https:///",
        "https://app.example//",
        "https://app.example/x",
        "https://app.example?",
        "https://app.example#",
        "https://user@app.example",
        "https://*.example",
        "https://app.example:",
        "https://app.example:0",
        "https://app.example:+1",
        "https://app.example:65536",
        "https://app..example",
        "https://bücher.example",
        "https://app.example, https://b.example",
        " https://app.example",
        "https://app.example\n",
        "https://1.2.3",
        "https://0x7f.1",
        "https://192.0.2.01",
        "https://256.0.0.1",
        "https://[::1",
        "https://[::g]",
        "ftp://app.example",
        "file:///index.html",
        "data://a",
        "javascript://a",
        "capacitor://",
        "capacitor://localhost/x",
        "capacitor://user@localhost",
        "capacitor://*",
        "capacitor://localhost:80",
        "http://app.example",
        "http://192.168.0.1",
        "http://localhost.example",
    ] {
        assert!(normalise(text).is_err(), "{text}");
    }
}

#[test]
fn a_domain_stands_for_every_host_below_it_and_no_other() {
    for (written, form) in [
        ("https://*.example.com", "https://*.example.com"),
        ("HTTPS://*.Example.Com:443/", "https://*.example.com"),
        ("https://*.shop.example.com:8443", "https://*.shop.example.com:8443"),
    ] {
        assert_eq!(normalise_below(written).unwrap().unwrap(), form, "{written}");
    }
    for none in [
        "https://*.com",
        "https://*.",
        "https://*.1.2.3.4",
        "https://*.[::1]",
        "https://*.a.example/x",
        "https://*.*.example.com",
        "https://*.u@example.com",
        "https://*.example.com.",
    ] {
        assert!(normalise_below(none).unwrap().is_err(), "{none}");
    }
    for other in [
        "https://example.com",
        "http://*.example.com",
        "*.example.com",
        "https://a.*.example.com",
        "https://*example.com",
    ] {
        assert!(normalise_below(other).is_none(), "{other}");
        assert!(other == "https://example.com" || normalise(other).is_err(), "{other}");
    }
    for (origin, expected) in [
        ("https://a.example.com", true),
        ("https://a.b.example.com", true),
        ("https://example.com", false),
        ("https://.example.com", false),
        ("https://evilexample.com", false),
        ("https://a.example.com.evil.test", false),
        ("https://evil.test/.example.com", false),
        ("https://evil.test#.example.com", false),
        ("https://evil.test:1.example.com", false),
        ("https://user@a.example.com", false),
        ("https://a..example.com", false),
        ("http://a.example.com", false),
        ("https://a.example.com:8443", false),
        ("https://*.example.com", false),
        ("null", false),
        ("", false),
    ] {
        assert_eq!(is_within("https://*.example.com", origin), expected, "{origin}");
    }
    assert!(is_within("https://app.example.com", "https://app.example.com"));
    assert!(!is_within("https://app.example.com", "https://a.app.example.com"));
}
