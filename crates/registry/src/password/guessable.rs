//! Passwords that are tried first (NIST SP 800-63B, 3.1.1.2): commonly used ones, what belongs to the account, what repeats
//! and what goes on as everybody expects. There is no rule of composition: a password is taken apart into as few parts as
//! possible, each of which somebody who guesses has in a list, and it must have more than a few.

use keyward_unicode::is_alphanumeric;

use crate::text;

/// Words, names and short passwords that lists of the most used passwords are made of, one a line.
const COMMON: &str = include_str!("common.txt");
/// Part of every deployment.
const PRODUCT: &str = "keyward";
/// Keys beside each other on keyboards, in both directions as every part is looked for.
const ROWS: [&str; 16] = [
    "1234567890-=",
    "qwertyuiop[]",
    "asdfghjkl;'",
    "zxcvbnm,./",
    "qwertzuiopü+",
    "asdfghjklöä#",
    "yxcvbnm,.-",
    "azertyuiop",
    "qsdfghjklm",
    "wxcvbn",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm",
    "qazwsxedcrfvtgbyhnujm",
    "1qay2wsx3edc4rfv5tgb6zhn7ujm",
    "!qaz@wsx#edc$rfv%tgb",
    "!@#$%^&*()_+",
    "!\"§$%&/()=",
];
/// Characters of the shortest run along a row of keys or the alphabet: fewer can be chance.
const SHORTEST_RUN_CHARS: usize = 3;
/// Parts that a password has at least. A character that nothing explains is a part.
const FEWEST_PARTS: usize = 7;
/// Characters that are looked at: the work grows faster than their number.
const LOOKED_AT_CHARS: usize = 100;

/// Whether somebody who guesses tries it among the first. `account` is what belongs to the account.
pub fn is_guessable(password: &str, account: &[&str]) -> bool {
    let text: Vec<char> = text::folded(password).chars().take(LOOKED_AT_CHARS).collect();
    let own: Vec<Vec<char>> = account.iter().flat_map(|text| words(text)).collect();
    parts(&text, &own) < FEWEST_PARTS
}

/// A text itself and the words in it.
fn words(text: &str) -> Vec<Vec<char>> {
    let text = text::folded(text);
    let pieces = text.split(|c: char| !is_alphanumeric(c));
    std::iter::once(text.as_str())
        .chain(text.split('@'))
        .chain(pieces)
        .filter(|word| word.chars().count() >= SHORTEST_RUN_CHARS)
        .map(|word| word.chars().collect())
        .collect()
}

/// The fewest parts that the text can be taken apart into.
fn parts(text: &[char], own: &[Vec<char>]) -> usize {
    let lists = |words: &mut dyn Iterator<Item = &'static str>| -> Vec<Vec<char>> {
        words.map(|word| word.chars().collect()).collect()
    };
    let (common, rows) = (lists(&mut COMMON.lines().chain([PRODUCT])), lists(&mut ROWS.into_iter()));
    // The fewest parts of what comes before each place.
    let mut fewest = vec![0];
    for end in 1..=text.len() {
        let parts_with_last = |length: usize| {
            let begin = end - length;
            let (so_far, part) = (*fewest.get(begin)?, text.get(begin..end)?);
            // Perhaps reaching into itself, as the second `a` to the end of `aaaa` repeats the first to the third.
            let stood_before = || text.windows(length).take(begin).any(|earlier| earlier == part);
            let is_known = || {
                is_run(part, &rows)
                    || is_year(part)
                    || stood_before()
                    || common.iter().chain(own).any(|word| reads(part, word))
            };
            (length == 1 || is_known()).then_some(so_far + 1)
        };
        fewest.push((1..=end).filter_map(parts_with_last).min().unwrap_or(end));
    }
    fewest.last().copied().unwrap_or_default()
}

/// Whether the part is this word, with what is often written for a letter.
fn reads(part: &[char], word: &[char]) -> bool {
    let stands_for = |written: char, letter: char| {
        written == letter
            || match written {
                '0' => letter == 'o',
                '1' | '!' => letter == 'i' || letter == 'l',
                '3' | '€' => letter == 'e',
                '4' | '@' => letter == 'a',
                '5' | '$' => letter == 's',
                '7' | '+' => letter == 't',
                '8' => letter == 'b',
                _ => false,
            }
    };
    part.len() == word.len() && part.iter().zip(word).all(|(written, letter)| stands_for(*written, *letter))
}

/// Whether each character follows from the one before: the same, the next or previous one, or the key beside it.
fn is_run(part: &[char], rows: &[Vec<char>]) -> bool {
    let steps = |step: i64| {
        part.windows(2).all(|pair| match pair {
            [one, other] => i64::from(u32::from(*other)) - i64::from(u32::from(*one)) == step,
            _ => false,
        })
    };
    let on_a_row = || {
        let backwards: Vec<char> = part.iter().rev().copied().collect();
        rows.iter().any(|row| row.windows(part.len()).any(|keys| keys == part || keys == backwards))
    };
    steps(0) && part.len() >= 2 || part.len() >= SHORTEST_RUN_CHARS && (steps(1) || steps(-1) || on_a_row())
}

/// A year that means something to somebody alive.
fn is_year(part: &[char]) -> bool {
    matches!(part, ['1', '9', ten, one] | ['2', '0', ten, one] if ten.is_ascii_digit() && one.is_ascii_digit())
}
