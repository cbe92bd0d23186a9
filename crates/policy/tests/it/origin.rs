//! An origin is compared in the form in which browsers send it, however it is written.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use keyward_policy::origin::normalise;

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
        "http://app.example",
        "http://192.168.0.1",
        "http://localhost.example",
    ] {
        assert!(normalise(text).is_err(), "{text}");
    }
}
