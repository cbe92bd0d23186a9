//! Text of others in the log: bounded, on one line, without what may be secret.

use keyward_core::foreign_text::{MOST_CHARS, shown};

#[test]
fn urls_are_without_user_info_query_and_fragment_wherever_they_stand() {
    for (text, expected) in [
        ("https://id.example/keys?token=s3cret", "https://id.example/keys"),
        ("https://id.example/keys#s3cret", "https://id.example/keys"),
        ("https://id.example?s3cret", "https://id.example"),
        ("https://user:s3cret@id.example/keys", "https://id.example/keys"),
        ("https://s3cret@x@id.example", "https://id.example"),
        ("https://s3cret@id.example\\keys", "https://id.example\\keys"),
        (
            "Error: GET https://a:s3cret@id.example/a?b failed: 500",
            "Error: GET https://id.example/a failed: 500",
        ),
        ("(\"https://id.example/a?s3cret\")", "(\"https://id.example/a"),
        ("postgres://u:s3cret@db/x wss://s3cret@y/z", "postgres://db/x wss://y/z"),
        ("a://s3cret@b://s3cret@c", "a://b://c"),
        ("GET /keys?token=s3cret: 404", "GET /keys 404"),
        ("//id.example/keys?token=s3cret", "//id.example/keys"),
        ("/go?to=https://u:s3cret@id.example/", "/go"),
        ("/admin/#setup=s3cret", "/admin/"),
        ("https://id.example/path@2/x", "https://id.example/path@2/x"),
        ("why?https://id.example/a?s3cret", "why?https://id.example/a"),
        ("see#https://id.example/a#s3cret", "see#https://id.example/a"),
        ("(a?b#c?d://u:s3cret@x/?s3cret#s3cret)", "(a?b#c?d://x/"),
        ("why?not#token=s3cret", "why"),
        ("what now? a#b c@d", "what now? a#b c@d"),
    ] {
        assert_eq!(shown(text), expected);
    }
}

#[test]
fn it_is_one_line_in_which_everything_is_seen() {
    assert_eq!(shown("one\r\ntwo\tthree\u{7f}\u{85}\u{1b}[2Jfour"), "one two three [2Jfour");
    assert_eq!(shown("a\u{2028}b\u{202e}c\u{200b}d\u{feff}e"), "a b c d e");
    assert_eq!(shown("naïve 日本語 🙂"), "naïve 日本語 🙂");
    assert_eq!(shown("plain, \"quoted\" \\ text"), "plain, \"quoted\" \\ text");
    assert_eq!(shown(""), "");
}

#[test]
fn it_has_a_bound_in_characters_whatever_they_are() {
    for unit in ["x", "日", "🙂", "a b ", "https://u@h/?q ", "\n"] {
        for count in [MOST_CHARS / 2, MOST_CHARS, MOST_CHARS + 1, 100 * MOST_CHARS] {
            let text = unit.repeat(count);
            let shown = shown(&text);
            let chars = shown.chars().count();
            assert!(chars <= MOST_CHARS, "{chars} of {unit:?}");
            assert!(
                chars < MOST_CHARS || shown.ends_with('…') || text.chars().count() == MOST_CHARS,
                "{unit:?}"
            );
        }
    }
    assert_eq!(shown(&"x".repeat(MOST_CHARS)), "x".repeat(MOST_CHARS));
    assert_eq!(shown(&"x".repeat(MOST_CHARS + 1)), format!("{}…", "x".repeat(MOST_CHARS - 1)));
}
