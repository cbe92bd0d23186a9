//! No server reaches through one route what another one guards: models of real servers, and of what servers do in any
//! order, against a million paths that an attacker may have made. The models of nginx, Apache httpd, Node and Python were
//! compared with the servers themselves, the others with what their documents and past faults say.

#![allow(clippy::panic, clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod models;
mod reach;

use std::collections::BTreeMap;

use keyward_policy::Policy;
use models::{STEPS, Step};

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, most: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % most as u64) as usize
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }
}

const NAMES: &[&str] = &[
    "admin",
    "files",
    "secret",
    "me",
    "Files.d",
    "v1",
    "me:pause",
    "inner",
    "x",
    "gate",
    "api",
    "ADMIN",
    "Secret",
    "ädmin",
    "ｍｅ",
    "adm\u{131}n",
    "a\u{301}dmin",
    "ＦILES.D",
    "administration",
    "ADMINI~1",
    "admini~1",
    "AD3F2B~1",
];
const SIGNS: &[&str] = &[
    ".",
    "..",
    "...",
    " ",
    "\u{a0}",
    "\u{1680}",
    "\u{3000}",
    "+",
    ";",
    ";x=1",
    ";a/b",
    "%",
    "%2",
    "%2e",
    "%u002e",
    "%00",
    "%c0%ae",
    "%c0%af",
    "/",
    "//",
    "\\",
    "?",
    "#",
    "&",
    "=",
    ":",
    "::$DATA",
    ":$I30:$INDEX_ALLOCATION",
    "\0",
    "\t",
    "\r\n",
    "\u{7f}",
    "\u{85}",
    "\"",
    "<",
    ">",
    "*",
    "|",
    "～",
    "．",
    "．．",
    "／",
    "＼",
    "；",
    "％",
    "？",
    "\u{2025}",
    "\u{2024}",
    "\u{2215}",
    "\u{2216}",
    "\u{a5}",
    "\u{2044}",
    "\u{200d}",
    "\u{200b}",
    "\u{ad}",
    "\u{fe0f}",
    "\u{301}",
    "é",
    "日本",
    "😀",
    "ß",
    "1",
    "2f",
    "e",
    "\u{3002}",
    "\u{201d}",
    "\u{2028}",
    "\u{e000}",
];

fn encode(text: &str, random: &mut Random, of_ten: usize) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if c == '/' || random.below(10) >= of_ten {
            out.push(c);
        } else {
            let mut bytes = [0; 4];
            for byte in c.encode_utf8(&mut bytes).bytes() {
                out.push_str(&format!("%{byte:02x}"));
            }
        }
    }
    out
}

fn path(random: &mut Random) -> String {
    let mut path = String::new();
    for _ in 0..=random.below(4) {
        path.push('/');
        let (first, kind) = (random.below(4), random.below(10));
        if first > 0 {
            path.push_str(random.one(NAMES));
        }
        if kind > 4 {
            for _ in 0..=random.below(3) {
                path.push_str(random.one(SIGNS));
            }
        }
        if kind == 9 {
            path.push_str(random.one(NAMES));
        }
    }
    if random.below(8) == 0 {
        path.push('/');
    }
    for _ in 0..random.below(4) {
        let share = random.one(&["1", "3", "10"]).parse().unwrap();
        path = encode(&path, random, share);
    }
    path
}

struct Tally {
    passed: u32,
    refused: BTreeMap<String, u32>,
}

fn check(policy: &Policy, path: &str, random: &mut Random, tally: &mut Tally) {
    let mine: Vec<Step> = (0..1 + random.below(7)).map(|_| STEPS[random.below(STEPS.len())]).collect();
    match reach::check(policy, path, &mine) {
        Ok(true) => tally.passed += 1,
        Ok(false) => {}
        Err(why) => {
            let text = why.to_string();
            *tally.refused.entry(text.split(" U+").next().unwrap().to_owned()).or_default() += 1;
        }
    }
}

#[test]
fn no_server_reaches_through_one_route_what_another_guards() {
    let policy = reach::policy();
    let work = |seed| {
        let mut random = Random(seed);
        let mut tally = Tally { passed: 0, refused: BTreeMap::new() };
        for _ in 0..250_000 {
            let path = path(&mut random);
            check(policy, &path, &mut random, &mut tally);
        }
        tally
    };
    let tallies: Vec<Tally> = std::thread::scope(|scope| {
        let threads: Vec<_> = [11, 26, 2_026, 7].map(|seed| scope.spawn(move || work(seed))).into();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    for tally in tallies {
        assert!(tally.passed > 30_000, "{} passed", tally.passed);
        assert_eq!(tally.refused.len(), 16, "each reason for which a path is refused: {:#?}", tally.refused);
    }
}
