//! Texts that are made to be bad for whoever reads them.

use super::*;

/// So much of a text, over and over.
pub fn many(unit: &str, bytes: usize) -> String {
    unit.repeat(bytes / unit.len())
}

/// Texts for header fields, paths, queries and cookies.
pub fn lines() -> Vec<String> {
    const BYTES: usize = 32 * 1024;
    const UNITS: [&str; 33] = [
        "a",
        "%",
        "%25",
        "%2525",
        "%61",
        "kw_live_",
        "kw_live_kw_",
        "a=b&",
        "&",
        "=",
        ";",
        ",",
        ";,=",
        "/",
        "a/",
        "//",
        "-",
        " ",
        "\"",
        "(",
        "{",
        "[",
        ".",
        "eyJ",
        "eyJhIjoxfQ.",
        "Bearer ",
        "Bearer x, ",
        "token=x&",
        "t=1,v1=a,",
        "for=1;host=a,",
        "__Host-keyward-session=kws_a; ",
        "ﷺ",
        "\u{0}",
    ];
    let key = key::generate(
        &POLICY.realms[0].key,
        "",
        keyward_core::record::Mode::Live,
        &secrets(),
        &mut keyward_testing::Seeded::new(1),
    );
    let like_keys = many(&format!("{}x", &key.expose()[..key.expose().len() - 1]), BYTES);
    UNITS.iter().map(|unit| many(unit, BYTES)).chain([like_keys]).collect()
}

/// Bodies, as large as the admin API takes them.
pub fn bodies() -> Vec<String> {
    let room = MOST_BYTES - 64;
    let long = many("n", MOST_BYTES / 2);
    let deep = 100;
    let name = many("n", MOST_BYTES / 4 / deep);
    let nested =
        |inner: &str| format!("{}{inner}{}", format!("{{\"{name}\":").repeat(deep), "}".repeat(deep));
    let numbered = |to: usize| (0..to).map(|n| format!("\"f{n}\":0")).collect::<Vec<_>>().join(",");
    let twice = |unit: &str| format!("{{{}}}", many(unit, room).trim_end_matches(','));
    let in_field = |field: &str, value: String| format!("{{\"{field}\":{value}}}");
    let string = |unit: &str| format!("\"{}\"", many(unit, room));
    let list = |unit: &str| format!("[{}]", many(unit, room).trim_end_matches(','));
    let mut bodies = vec![
        // What was once answered with 180 MB.
        format!("{{\"{long}\":{{{}}}}}", many("\"a\":1,", MOST_BYTES / 2 - 64).trim_end_matches(',')),
        format!("{{\"{long}\":[{}]}}", many("{\"a\":1,\"a\":1},", MOST_BYTES / 2 - 64).trim_end_matches(',')),
        nested(&format!("{{{}}}", many("\"a\":1,", MOST_BYTES / 4).trim_end_matches(','))),
        nested(&format!("[{}]", many("1e9,", MOST_BYTES / 4).trim_end_matches(','))),
        nested("1e400"),
        format!("{{{}}}", numbered(6_000)),
        twice("\"a\":0,"),
        twice("\"\":0,"),
        twice("\"\":{\"\":0},"),
        list("[],"),
        list("{\"\":0},"),
        many("[", room),
        many("{\"a\":", room),
        string("a"),
    ];
    for field in [
        "name",
        "scopes",
        "tags",
        "allowedIps",
        "allowedOrigins",
        "metadata",
        "rateLimit",
        "expiresAt",
        "realm",
        "email",
        "password",
        "token",
        "role",
        "owner",
        "plan",
        "code",
        "url",
        "subject",
        "sessionId",
        "reason",
    ] {
        for unit in
            ["a", "ﷺ", "İ", "\u{300}", "\u{1f3f4}\u{e0061}", "\\u0000", "\\u202e", "a.", "@", "1.", ":"]
        {
            bodies.push(in_field(field, string(unit)));
        }
        for unit in ["0,", "\"\",", "[],", "{\"\":0},", "\"a:b\",", "\"1.1.1.1\",", "\"https://a\","] {
            bodies.push(in_field(field, list(unit)));
        }
        bodies.push(in_field(field, format!("{{{}}}", numbered(5_000))));
        bodies.push(in_field(field, nested("1")));
    }
    bodies
}
