//! Names and other text for people: what can be seen is taken, what cannot is refused; and how text is found.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_registry::text::{check, folded, is_hidden};
use keyward_testing::registry_fixture::{PASSWORD, RegistryFixture};
use serde_json::json;

/// Default_Ignorable_Code_Point as Unicode publishes it (DerivedCoreProperties.txt), ranges in hex.
const IGNORABLE: &str = "00AD 034F 061C 115F-1160 17B4-17B5 180B-180D 180E 180F 200B-200F 202A-202E 2060-2064 2065 \
    2066-206F 3164 FE00-FE0F FEFF FFA0 FFF0-FFF8 1BCA0-1BCA3 1D173-1D17A E0000 E0001 E0002-E001F E0020-E007F \
    E0080-E00FF E0100-E01EF E01F0-E0FFF";

fn of(ranges: &str) -> impl Iterator<Item = char> {
    ranges.split_ascii_whitespace().flat_map(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let number = |hex| u32::from_str_radix(hex, 16).unwrap_or_default();
        (number(first)..=number(last)).filter_map(char::from_u32)
    })
}

#[test]
fn whatever_unicode_lets_be_ignored_is_refused_alone_and_within_a_latin_name_and_named() {
    assert_eq!(of(IGNORABLE).count(), 4_174);
    for c in of(IGNORABLE) {
        let code = format!("U+{:04X}", u32::from(c));
        for text in [format!("{c}"), format!("{c}ab"), format!("a{c}b"), format!("ab{c}"), format!("é{c}ü")]
        {
            let message = check(&text).expect_err(&code).to_string();
            assert!(message.contains(&code), "{message}");
        }
        assert!(is_hidden(c));
    }
}

#[test]
fn what_reorders_is_refused_in_every_script() {
    for c in of("061C 200E-200F 202A-202E 2066-2069") {
        for text in [format!("a{c}b"), format!("ש{c}ם"), format!("م{c}ن"), format!("名{c}前")] {
            assert!(check(&text).is_err_and(|error| error.to_string().contains("order")), "{text:?}");
        }
    }
}

#[test]
fn what_is_blank_or_a_line_break_or_no_character_is_refused() {
    for c in
        of("0000-001F 007F-009F 2028-2029 2800 3164 FFA0 FFF9-FFFC 1D159 FDD0-FDEF FFFE-FFFF 1FFFE 10FFFF")
    {
        assert!(check(&format!("a{c}b")).is_err(), "{:04X}", u32::from(c));
    }
    for only_marks in ["\u{301}", "\u{301}\u{302}", "\u{20dd}", "\u{e31}"] {
        assert!(check(only_marks).is_err(), "{only_marks:?}");
    }
}

#[test]
fn ordinary_names_of_every_script_pass() {
    for name in [
        "Till 4",
        "Café",
        "Cafe\u{301}",
        "Straße",
        "Ελλάδα",
        "Москва",
        "שלום",
        "שָׁלוֹם",
        "مرحبا",
        "می\u{200c}خواهم",
        "API\u{200c}ها",
        "हिन्दी",
        "क्\u{200d}ष",
        "ക്\u{200d}",
        "শ্রী",
        "ශ්\u{200d}රී",
        "ไทย",
        "ខ្មែរ",
        "မြန်မာ",
        "ქართული",
        "Հայերեն",
        "አማርኛ",
        "日本語",
        "葛\u{e0100}城市",
        "한국어",
        "ᠮᠣᠩᠭᠣᠯ",
        "ᠭᠠᠷ\u{180e}ᠠ",
        "ᠰ\u{180b}ᠠ",
        "Ⅷ",
        "½",
        "ﬁ",
        "100\u{a0}€",
        "全角\u{3000}スペース",
        "👩\u{200d}💻",
        "👩🏽\u{200d}🚀",
        "🏳\u{fe0f}\u{200d}🌈",
        "❤\u{fe0f}",
        "1\u{fe0f}\u{20e3}",
        "©\u{fe0f}",
        "🇩🇪",
        "🏴\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f}",
        "👨\u{200d}👩\u{200d}👧\u{200d}👦",
    ] {
        assert_eq!(check(name), Ok(()), "{name:?}");
    }
}

#[test]
fn joiners_and_tags_that_do_nothing_are_refused() {
    for name in [
        "Ti\u{200c}ll",
        "Till\u{200d}",
        "\u{200d}Till",
        "م\u{200c}",
        "م\u{200c} ن",
        "م\u{200c}\u{200c}ن",
        "👩\u{200d}",
        "a\u{fe0f}",
        "é\u{fe0f}",
        "❤\u{fe0f}\u{fe0f}",
        "🏴\u{e0067}",
        "🏴\u{e0067}a",
        "a\u{e0067}\u{e007f}",
        "a\u{180b}",
    ] {
        assert!(check(name).is_err(), "{name:?}");
    }
}

#[test]
fn search_knows_neither_case_nor_normal_form_nor_what_is_not_seen() {
    for (stored, wanted) in [
        ("Café", "CAFE\u{301}"),
        ("Cafe\u{301}", "café"),
        ("\u{feff}Acme", "acme"),
        ("ＡＣＭＥ", "acme"),
        ("ﬁnance", "FIN"),
        ("ΟΔΟΣ", "οδοσ"),
        ("οδος", "ΟΔΟΣ"),
        ("한국", "\u{1112}\u{1161}\u{11ab}\u{1100}\u{116e}\u{11a8}"),
        ("Ti\u{200b}ll", "till"),
    ] {
        assert!(folded(stored).contains(&folded(wanted)), "{stored:?} {wanted:?}");
    }
}

#[test]
fn every_text_for_people_is_refused_when_it_cannot_be_seen_and_the_answer_names_the_code_point() {
    let (fixture, owner) = RegistryFixture::open();
    let key = format!("/api-keys/{}", fixture.key(&owner, json!({})).key_id());
    let (_, tenant) = fixture.tenant(&owner, "shop");
    let tenant = format!("/tenants/{tenant}");
    for c in [
        '\u{200b}',
        '\u{202e}',
        '\u{2028}',
        '\u{2800}',
        '\u{115f}',
        '\u{3164}',
        '\u{ad}',
        '\u{feff}',
        '\u{2066}',
        '\u{e0041}',
        '\u{85}',
    ] {
        let text = format!("a{c}b");
        let scopes = json!(["orders:read"]);
        let calls = [
            ("POST", "/api-keys", json!({"name": text, "scopes": scopes}), "name"),
            ("PATCH", &*key, json!({"name": text}), "name"),
            ("POST", "/api-keys", json!({"name": "n", "scopes": scopes, "tags": ["t", text]}), "tags[1]"),
            ("POST", &*format!("{key}/revoke"), json!({"reason": text}), "reason"),
            ("POST", "/tenants", json!({"name": text}), "name"),
            ("PATCH", &*tenant, json!({"name": text}), "name"),
            ("PATCH", &*tenant, json!({"plan": text}), "plan"),
            (
                "POST",
                "/members",
                json!({"email": format!("a{c}b@example.com"), "role": "viewer", "password": PASSWORD}),
                "email",
            ),
            (
                "POST",
                "/members",
                json!({"email": format!("a@exa{c}mple.com"), "role": "viewer", "password": PASSWORD}),
                "email",
            ),
        ];
        for (method, path, body, field) in calls {
            let answer = fixture.send(fixture.call(method, &owner, path, body));
            answer.refused(400, "VALIDATION_FAILED");
            assert_eq!(answer.fields(), [field], "{method} {path} U+{:04X}", u32::from(c));
            if field != "email" {
                assert!(
                    answer.message(field).contains(&format!("U+{:04X}", u32::from(c))),
                    "{}",
                    answer.text
                );
            }
            assert!(!answer.text.contains(c), "it is not repeated as it is");
        }
        for alone in [format!("{c}"), format!(" {c} ")] {
            let answer = fixture.post(&owner, "/api-keys", json!({"name": alone, "scopes": scopes}));
            assert_eq!(answer.fields(), ["name"]);
        }
    }
}

#[test]
fn a_name_that_was_taken_before_is_still_shown_and_its_key_can_be_edited() {
    use keyward_core::sql::Sql;
    let (fixture, owner) = RegistryFixture::open();
    let id = fixture.key(&owner, json!({})).key_id();
    fixture.db.run("UPDATE keys SET name = ?", &["a\u{202e}b".into()]).unwrap();
    let path = format!("/api-keys/{id}");
    assert_eq!(fixture.get(&owner, &path).expect(200).body["apiKey"]["name"], "a\u{202e}b");
    let edited = fixture.patch(&owner, &path, json!({"tags": ["t"]})).expect(200);
    assert_eq!(edited.body["apiKey"]["name"], "a\u{202e}b");
    fixture.post(&owner, &format!("{path}/rotate"), json!({})).expect(201);
}
