//! What the tables here say of every character, and of many sequences: for `tests/e2e/unicode.test.mjs`, which compares it
//! with what the platform's engine says. Lines of fields with a tab between them.

#![allow(clippy::print_stdout, reason = "it prints")]

use keyward_unicode::{is_alphanumeric, is_mark, lower, nfc, nfd, nfkc, nfkd, upper, without_marks};

/// Sequences, beside each character alone.
const SEQUENCES: u32 = 20_000;
/// Characters that meet in them: bases, marks of several classes, jamo, composites, sigmas and what has no single upper
/// case.
const MEETING: &str = "aAeß İıΣσςΑάǰŉﬁﬃⅣ②㎏ﾊﾟ\u{1100}\u{1161}\u{11a8}각\u{300}\u{301}\u{323}\u{327}\u{345}\u{5b0}\u{64b}\u{94d}\u{9be}\u{9c7}\u{1d165}\u{302e}א\u{fb1d}한Å\u{212b}\u{958}ẛ̣";

fn main() {
    for c in '\0'..=char::MAX {
        let text = c.to_string();
        let upper = upper(c).map(String::from).unwrap_or_default();
        let forms = [
            nfc(&text).into_owned(),
            nfd(&text).into_owned(),
            nfkc(&text).into_owned(),
            nfkd(&text).into_owned(),
        ];
        if forms.iter().any(|form| *form != text) || lower(&text) != text || upper != text {
            println!("C\t{text}\t{}\t{}\t{upper}", forms.join("\t"), lower(&text));
        }
    }
    ranges("M", is_mark);
    ranges("A", is_alphanumeric);
    let meeting: Vec<char> = MEETING.chars().collect();
    let mut state = 1_u32;
    let mut chance = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 16) as usize
    };
    for _ in 0..SEQUENCES {
        let length = 1 + chance() % 7;
        let text: String =
            (0..length).filter_map(|_| meeting.get(chance() % meeting.len()).copied()).collect();
        let (nfc, nfd, nfkc, nfkd) = (nfc(&text), nfd(&text), nfkc(&text), nfkd(&text));
        println!("S\t{text}\t{nfc}\t{nfd}\t{nfkc}\t{nfkd}\t{}\t{}", lower(&text), without_marks(&text));
    }
}

/// The ranges of characters for which something holds.
fn ranges(name: &str, holds: impl Fn(char) -> bool) {
    let mut begin = None;
    for c in '\0'..=char::MAX {
        match (holds(c), begin) {
            (true, None) => begin = Some(c),
            (false, Some(first)) => {
                println!("{name}\t{:x}\t{:x}", u32::from(first), u32::from(c) - 1);
                begin = None;
            }
            _ => {}
        }
    }
}
