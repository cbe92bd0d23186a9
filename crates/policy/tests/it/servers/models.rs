//! What servers do to a path: one thing each, and the servers that do them one after the other.

use unicode_normalization::UnicodeNormalization;

/// One thing that a server does to a path. None: it refuses it.
pub type Step = fn(String) -> Option<String>;

fn octets(path: &str, strict: bool) -> Option<Vec<u8>> {
    let bytes = path.as_bytes();
    let (mut decoded, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while at < bytes.len() {
        let digits = (bytes[at] == b'%').then(|| bytes.get(at + 1..at + 3)).flatten();
        let digits = digits.filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        match digits {
            Some(digits) => {
                decoded.push(u8::from_str_radix(std::str::from_utf8(digits).unwrap(), 16).unwrap())
            }
            None if bytes[at] == b'%' && strict => return None,
            None => decoded.push(bytes[at]),
        }
        at += if digits.is_some() { 3 } else { 1 };
    }
    Some(decoded)
}

/// Percent-decoding that refuses what is none, and one that leaves it.
pub fn decode(path: String) -> Option<String> {
    if !path.contains('%') {
        return Some(path);
    }
    octets(&path, true).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}
pub fn decode_leniently(path: String) -> Option<String> {
    if !path.contains('%') {
        return Some(path);
    }
    octets(&path, false).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}
/// Overlong forms and bytes that are no UTF-8, as what they seem to be (IIS before 2001, some Java).
pub fn decode_overlong(path: String) -> Option<String> {
    let bytes = octets(&path, false)?;
    let mut text = String::new();
    let mut rest = &bytes[..];
    while let Some((&first, after)) = rest.split_first() {
        let (length, bits) = match first {
            0xc0..=0xdf => (2, first & 0x1f),
            0xe0..=0xef => (3, first & 0x0f),
            _ => (1, first),
        };
        let length = length.min(rest.len());
        let code =
            rest[1..length].iter().fold(u32::from(bits), |code, byte| code << 6 | u32::from(byte & 0x3f));
        text.push(char::from_u32(code).unwrap_or('?'));
        rest = if length == 1 { after } else { &rest[length..] };
    }
    Some(text)
}
/// `%u002e` (IIS).
fn decode_u(path: String) -> Option<String> {
    let mut parts = path.split("%u");
    let mut text = parts.next()?.to_owned();
    for part in parts {
        let code =
            part.get(..4).and_then(|digits| u32::from_str_radix(digits, 16).ok()).and_then(char::from_u32);
        match code {
            Some(c) => text.extend([c.to_string().as_str(), &part[4..]]),
            None => text.extend(["%u", part]),
        }
    }
    Some(text)
}
fn plus(path: String) -> Option<String> {
    Some(path.replace('+', " "))
}
fn cut_query(path: String) -> Option<String> {
    path.split(['?', '#']).next().map(str::to_owned)
}
fn cut_at_nul(path: String) -> Option<String> {
    path.split('\0').next().map(str::to_owned)
}
fn refuse_slash(path: String) -> Option<String> {
    (!path.to_ascii_lowercase().contains("%2f") && !path.contains('\0')).then_some(path)
}
fn each(path: &str, change: impl Fn(&str) -> String) -> Option<String> {
    Some(path.split('/').map(change).collect::<Vec<_>>().join("/"))
}
fn cut_parameters(path: String) -> Option<String> {
    if !path.contains(';') {
        return Some(path);
    }
    each(&path, |segment| segment.split(';').next().unwrap().to_owned())
}
fn backslashes(path: String) -> Option<String> {
    Some(path.replace('\\', "/"))
}
fn merge(path: String) -> Option<String> {
    let mut path = path;
    while path.contains("//") {
        path = path.replace("//", "/");
    }
    Some(path)
}
fn dots(path: String) -> Option<String> {
    if !path.contains("/.") {
        return Some(path);
    }
    let mut out: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "." => {}
            ".." => drop(out.pop()),
            _ => out.push(segment),
        }
    }
    Some(format!("/{}", out.join("/").trim_start_matches('/')))
}
/// Dot segments as the WHATWG's URLs have them, before anything is decoded.
fn encoded_dots(path: String) -> Option<String> {
    if !path.contains("/.") && !path.contains("/%2") {
        return Some(path);
    }
    each(&path, |segment| {
        let plain = segment.to_ascii_lowercase().replace("%2e", ".");
        if plain == "." || plain == ".." { plain } else { segment.to_owned() }
    })
    .and_then(dots)
}
/// Dots and spaces at the end of a name (Windows).
fn trim_names(path: String) -> Option<String> {
    each(&path, |segment| match segment {
        "." | ".." => segment.to_owned(),
        _ => segment.trim_end_matches(['.', ' ']).to_owned(),
    })
}
/// The same of every dot, as older systems did, for which `...` was a way up too.
fn trim_dots(path: String) -> Option<String> {
    each(&path, |segment| match segment.trim_end_matches(' ') {
        "..." | "...." => "..".to_owned(),
        name => name.to_owned(),
    })
}
fn strip(path: String) -> Option<String> {
    each(&path, |segment| segment.trim_matches(|c: char| c.is_whitespace() || c.is_control()).to_owned())
}
fn drop_controls(path: String) -> Option<String> {
    Some(path.chars().filter(|c| !c.is_control()).collect())
}
pub fn drop_marks(path: String) -> Option<String> {
    let is_shown = |c: &char| {
        !unicode_normalization::char::is_combining_mark(*c)
            && !matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    Some(if path.is_ascii() { path } else { path.nfd().filter(is_shown).collect() })
}
pub fn nfkc(path: String) -> Option<String> {
    Some(if path.is_ascii() { path } else { path.nfkc().collect() })
}
fn best_fit(path: String) -> Option<String> {
    let fit = |c| match c {
        '\u{2044}' | '\u{2215}' | '\u{ff0f}' => '/',
        '\u{a5}' | '\u{20a9}' | '\u{2216}' | '\u{ff3c}' => '\\',
        '\u{ff0e}' | '\u{2024}' | '\u{b7}' | '\u{2022}' => '.',
        '\u{201c}' | '\u{201d}' => '"',
        '\u{ff05}' => '%',
        '\u{ff1b}' => ';',
        '\u{a0}' | '\u{3000}' | '\u{2003}' => ' ',
        'đ' => 'd',
        'ı' => 'i',
        _ => c,
    };
    Some(path.chars().map(fit).collect())
}
/// Streams of NTFS, and characters that its search for files takes for others.
fn ntfs(path: String) -> Option<String> {
    each(&path, |segment| match segment.split_once(':') {
        Some((name, stream)) if stream.starts_with('$') || stream.starts_with(":$") => name.to_owned(),
        _ => segment.replace('"', "."),
    })
}
/// Short names, of what the policy's routes have a long one.
fn short_names(path: String) -> Option<String> {
    each(&path, |segment| match segment.to_ascii_uppercase().as_str() {
        "ADMINI~1" | "AD3F2B~1" => "administration".to_owned(),
        _ => segment.to_owned(),
    })
}
fn fold_case(path: String) -> Option<String> {
    Some(path.to_lowercase().replace('ß', "ss"))
}
fn cut_slash(path: String) -> Option<String> {
    Some(path.strip_suffix('/').filter(|path| !path.is_empty()).unwrap_or(&path).to_owned())
}

pub const STEPS: &[Step] = &[
    decode,
    decode_leniently,
    decode_overlong,
    decode_u,
    plus,
    cut_query,
    cut_at_nul,
    cut_parameters,
    backslashes,
    merge,
    dots,
    encoded_dots,
    trim_names,
    trim_dots,
    strip,
    drop_controls,
    drop_marks,
    nfkc,
    best_fit,
    ntfs,
    short_names,
    fold_case,
    cut_slash,
];

pub const SERVERS: &[(&str, &[Step])] = &[
    ("nginx", &[cut_query, decode, merge, dots]),
    (
        "nginx, then one that decodes again",
        &[cut_query, decode, merge, dots, cut_query, decode_leniently, merge, dots],
    ),
    ("Apache httpd", &[cut_query, refuse_slash, decode, cut_at_nul, merge, dots]),
    ("Node, new URL()", &[drop_controls, cut_query, backslashes, encoded_dots, decode_leniently]),
    ("Express", &[cut_query, decode, fold_case, cut_slash]),
    ("Express, then express.static", &[cut_query, decode, cut_at_nul, merge, dots]),
    ("Python, http.server", &[cut_query, decode_leniently, merge, dots]),
    ("Werkzeug", &[cut_query, decode_leniently, merge, cut_slash]),
    ("Starlette, with unquote of its own", &[cut_query, decode_leniently, decode_leniently, strip, dots]),
    ("Tomcat", &[cut_query, cut_parameters, decode, merge, dots]),
    ("Jetty and WebLogic of old", &[cut_query, decode, backslashes, cut_parameters, dots, merge, cut_at_nul]),
    (
        "Spring behind a proxy",
        &[cut_query, decode, dots, cut_parameters, decode_leniently, cut_parameters, dots, merge],
    ),
    (
        "IIS",
        &[
            cut_query,
            decode_u,
            decode_overlong,
            backslashes,
            dots,
            merge,
            ntfs,
            trim_names,
            short_names,
            fold_case,
        ],
    ),
    (
        "IIS of old",
        &[
            cut_query,
            decode_u,
            decode_overlong,
            decode_overlong,
            backslashes,
            trim_dots,
            trim_names,
            short_names,
            dots,
            fold_case,
        ],
    ),
    (
        "PHP on Windows",
        &[
            cut_query,
            decode_leniently,
            plus,
            cut_at_nul,
            best_fit,
            backslashes,
            ntfs,
            trim_names,
            short_names,
            dots,
            merge,
            fold_case,
        ],
    ),
    ("Go, net/http", &[cut_query, decode, merge, dots]),
    ("Rails", &[cut_query, merge, cut_slash, decode_leniently]),
    ("macOS", &[cut_query, decode_leniently, nfkc, fold_case, drop_marks, dots]),
    (
        "a framework that normalises",
        &[cut_query, decode_leniently, nfkc, backslashes, decode_leniently, strip, dots, merge],
    ),
];
