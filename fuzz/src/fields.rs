//! Fields of the admin API: times, numbers, names, e-mail addresses, passwords, queries and cursors.
//!
//! Input: a byte that chooses, and text or JSON.

use keyward_core::time::Timestamp;
use keyward_registry::{
    cursor, email,
    front::agent,
    input::{self, Input},
    password,
    sessions::token,
    text as people,
};
use serde_json::Value;
use url::form_urlencoded;

use crate::support::{choice, secrets, shows, text};

pub fn run(data: &[u8]) {
    let (chosen, rest) = choice(data);
    let text = text(rest);
    match chosen % 8 {
        0 => time(&text),
        1 => numbers(&text),
        2 => line(&text),
        3 => address(&text),
        4 => secret(&text),
        5 => query(&text),
        6 => opaque(&text),
        _ => nested(&text),
    }
}

/// RFC 3339, read from its grammar (section 5.6).
fn time(text: &str) {
    let read = Timestamp::parse_rfc3339(text);
    match (read, plain_time(text)) {
        (Some(read), Some(plain)) => assert_eq!(read.0, plain, "{text:?}"),
        // A leap second, which this reading leaves out.
        (Some(_), None) => assert!(text.contains(":60"), "{text:?} is no time"),
        (None, Some(plain)) => panic!("{text:?} is {plain}"),
        (None, None) => {}
    }
    assert_eq!(input::time(&Value::from(text)).ok(), read);
    if let Some(read) = read {
        let written = read.to_rfc3339();
        assert!(
            !(0..253_402_300_800_000).contains(&read.0) || Timestamp::parse_rfc3339(&written) == Some(read),
            "{written}"
        );
    }
}

fn plain_time(text: &str) -> Option<i64> {
    let number = |range: std::ops::Range<usize>| {
        let digits = text.get(range)?;
        digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse::<i64>().ok())?
    };
    let is = |at: usize, signs: &str| text.get(at..=at).is_some_and(|sign| signs.contains(sign));
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
    let signs = is(4, "-") && is(7, "-") && is(10, "Tt ") && is(13, ":") && is(16, ":");
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = [31, if leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let month_days = *days.get(usize::try_from(month - 1).ok()?)?;
    if !signs || !(1..=month_days).contains(&day) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let rest = text.get(19..)?;
    let (fraction, offset) = match rest.strip_prefix('.') {
        None => (0, rest),
        Some(rest) => {
            let end = rest.bytes().position(|byte| !byte.is_ascii_digit()).filter(|end| *end > 0)?;
            let (digits, offset) = rest.split_at(end);
            (format!("{digits:0<3}").get(..3)?.parse::<i64>().ok()?, offset)
        }
    };
    let offset = match offset {
        "Z" | "z" => 0,
        _ => {
            let pair = |range: std::ops::Range<usize>| {
                let digits = offset.get(range)?;
                digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse::<i64>().ok())?
            };
            let (hours, minutes) = (pair(1..3)?, pair(4..6)?);
            if offset.len() != 6 || offset.get(3..4) != Some(":") || hours > 23 || minutes > 59 {
                return None;
            }
            let sign = match offset.get(..1)? {
                "+" => 1,
                "-" => -1,
                _ => return None,
            };
            sign * (hours * 60 + minutes)
        }
    };
    // Days from civil: each year begins in March.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * year + year.div_euclid(4) - year.div_euclid(100)
        + year.div_euclid(400)
        + (153 * month + 2) / 5
        + day
        - 1;
    let minutes = (days - 719_468) * 1_440 + hour * 60 + minute - offset;
    Some((minutes * 60 + second) * 1_000 + fraction)
}

fn numbers(text: &str) {
    let value = Value::from(text);
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let plain =
        is_number.then(|| text.trim_start_matches('0')).map(|text| if text.is_empty() { "0" } else { text });
    let plain = plain.filter(|text| text.len() < 10).map(|text| text.parse::<u32>().expect("it is short"));
    assert_eq!(input::whole_text(&value, 1, 100).ok(), plain.filter(|number| (1..=100).contains(number)));
    let Ok(value) = serde_json::from_str::<Value>(text) else { return };
    if let Ok(number) = input::whole(&value, 1, 1_000_000) {
        assert_eq!(value.as_f64(), Some(number.into()));
    }
    assert_eq!(input::flag(&value).ok(), value.as_bool());
}

/// What people read shows what it holds.
fn line(text: &str) {
    let value = Value::from(text);
    if let Ok(line) = input::line(&value, 1, 100) {
        assert!((1..=100).contains(&line.chars().count()));
        assert!(!line.contains(['\n', '\r', '\0', '\u{202e}', '\u{feff}']) && line.trim() == line);
        assert!(line.chars().any(|c| !people::is_hidden(c)), "{line:?} shows nothing");
        assert_eq!(input::line(&Value::from(line.as_str()), 1, 100), Ok(line.clone()));
    }
    if let Ok(forms) = input::search(&value, 200) {
        assert!((1..=3).contains(&forms.len()));
    }
    let folded = people::folded(text);
    assert_eq!(people::folded(&folded), folded, "{text:?}");
    assert!(folded.len() <= 40 * text.len().max(1));
    let shown = input::shown(text);
    assert!(shown.chars().count() <= 65 && !shown.chars().any(people::is_hidden), "{shown:?}");
    if let Some(agent) = agent(Some(text)) {
        assert!(
            agent.len() <= 160 && !agent.is_empty() && agent.bytes().all(|byte| matches!(byte, b' '..=b'~'))
        );
    }
}

/// RFC 5321, 5322 and 6531, as far as the form goes.
fn address(text: &str) {
    let value = Value::from(text);
    let typed = email::typed(&value);
    if let Ok(chosen) = email::chosen(&value) {
        assert_eq!(typed.as_ref(), Ok(&chosen), "whoever is added can sign in");
        assert_eq!(email::chosen(&Value::from(chosen.as_str())).as_ref(), Ok(&chosen), "its form is its own");
        assert!(chosen.len() <= 254 && chosen.matches('@').count() == 1);
        assert!(
            !chosen.contains(['\r', '\n', ' ', ',', '<', '>', '"']) && !chosen.chars().any(people::is_hidden)
        );
    }
    if let Ok(typed) = typed {
        assert!(typed.len() <= 254);
        assert_eq!(email::typed(&Value::from(typed.as_str())), Ok(typed));
    }
}

/// No message shows a password.
fn secret(text: &str) {
    let told = |text: &str| {
        let value = Value::from(text);
        // To look whether a long one can be guessed takes milliseconds.
        let chosen = (text.len() < 16).then(|| password::chosen(&value, &["ada@example.com"]));
        let told =
            [password::rules::of_fit_length(&value), password::typed(&value)].into_iter().chain(chosen);
        format!("{:?}", told.filter_map(Result::err).flatten().map(|wrong| wrong.1).collect::<Vec<_>>())
    };
    assert!(text.chars().count() < 12 || !shows(text, told), "{}", told(text));
    assert!(!token::is_our_token(secrets(), text), "nobody makes a token up: {text}");
}

/// `application/x-www-form-urlencoded` as the URL standard reads it, where it is that.
fn query(text: &str) {
    const KNOWN: [&str; 3] = ["limit", "cursor", "search"];
    let mut query = Input::query(text, &KNOWN);
    let mut read = Vec::new();
    for name in KNOWN {
        if let Some(value) = query.optional(name, input::text) {
            read.push((name.to_owned(), value));
        }
    }
    if let Err(refusal) = query.finish() {
        return assert!(refusal.reply("0123").body.len() <= 32 * 1024);
    }
    let mut plain: Vec<(String, String)> = form_urlencoded::parse(text.as_bytes()).into_owned().collect();
    plain.sort_by_key(|(name, _)| KNOWN.iter().position(|known| known == name));
    assert_eq!(read, plain, "{text:?}");
}

fn opaque(text: &str) {
    // The engine sees what is compared, and learns a cursor that is made here: but none that is not.
    if let Some(position) = cursor::decode(secrets(), "keys", "t", text) {
        assert_eq!(cursor::encode(secrets(), "keys", "t", &position), text, "nobody makes a cursor up");
    }
    let position = cursor::Position { number: text.len() as i64 - 3, value: text.chars().take(40).collect() };
    let own = cursor::encode(secrets(), "keys", "t", &position);
    assert_eq!(cursor::decode(secrets(), "keys", "t", &own), Some(position));
    assert_eq!(cursor::decode(secrets(), "keys", "u", &own), None, "it is another tenant's");
    assert_eq!(cursor::decode(secrets(), "links", "t", &own), None, "it is another list's");
    let changed = format!("{text}{}", own.get(text.len()..).unwrap_or_default());
    let is_other = changed != own && changed != text;
    assert!(!is_other || cursor::decode(secrets(), "keys", "t", &changed).is_none());
}

/// Lists and dictionaries, of which a small one has no large answer.
fn nested(text: &str) {
    let Ok(value) = serde_json::from_str::<Value>(text) else { return };
    match input::list(&value, 1_000, |item| input::line(item, 1, 20)) {
        Ok(list) => assert!(list.iter().enumerate().all(|(at, item)| !list[..at].contains(item))),
        Err(wrong) => {
            assert!(wrong.len() <= 21 && wrong.iter().all(|(at, message)| at.len() + message.len() < 400))
        }
    }
    match input::dictionary(&value, 50, 100) {
        Ok(read) => {
            assert!(read.keys().all(|name| (1..=50).contains(&name.len()) && name.is_ascii()));
            assert_eq!(serde_json::to_value(&read).expect("it is text"), value);
        }
        Err(wrong) => {
            assert!(wrong.len() <= 50 && wrong.iter().all(|(at, message)| at.len() + message.len() < 400))
        }
    }
}
