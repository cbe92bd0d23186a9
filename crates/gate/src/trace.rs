//! The trace that a request belongs to: `traceparent` and `tracestate` (W3C Trace Context, level 2). A client's are its own word: what
//! is not in the standard's form is as if it were not there, and what is goes on within its bounds.
//!
//! A request that has a line in the log is a span, and its origin's parent. Any other is none: nobody could find it, so its
//! origin's parent is still the client's span.

use keyward_policy::Traces;

/// The header of the trace.
pub const TRACEPARENT: &str = "traceparent";
/// The header of what vendors add.
pub const TRACESTATE: &str = "tracestate";

/// Digits of a trace's id, of a span's, and of the flags.
const TRACE_DIGITS: usize = 32;
const SPAN_DIGITS: usize = 16;
const FLAG_DIGITS: usize = 2;
/// Characters of a `traceparent`: the version, and each of these behind a hyphen.
const LENGTH: usize = 2 + 1 + TRACE_DIGITS + 1 + SPAN_DIGITS + 1 + FLAG_DIGITS;
/// Flags that mean something: sampled, and an id of which the last 56 bits are random.
const SAMPLED: u8 = 1;
const RANDOM: u8 = 2;

/// Most entries of a `tracestate`, and the most characters that go on of it.
const MOST_ENTRIES: usize = 32;
const MOST_STATE: usize = 512;
/// Of a longer `tracestate`, entries longer than this go first.
const LONG_ENTRY: usize = 128;
/// Most characters of an entry's key and of its value.
const MOST_KEY: usize = 256;
const MOST_VALUE: usize = 256;

/// What a client's `traceparent` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parent<'a> {
    /// The trace, in hexadecimal.
    pub trace_id: &'a str,
    /// The client's span, in hexadecimal.
    pub span_id: &'a str,
    flags: u8,
}

impl<'a> Parent<'a> {
    /// Reads it. A later version is read as far as this one goes (section 4.3).
    pub fn read(text: &'a str) -> Option<Self> {
        let (head, more) = text.split_at_checked(LENGTH)?;
        let mut parts = head.split('-');
        let [version, trace_id, span_id, flags] =
            [parts.next()?, parts.next()?, parts.next()?, parts.next()?];
        let has_form = parts.next().is_none()
            && [(version, 2), (trace_id, TRACE_DIGITS), (span_id, SPAN_DIGITS), (flags, FLAG_DIGITS)]
                .iter()
                .all(|(part, digits)| part.len() == *digits && part.bytes().all(is_digit));
        let is_version = if version == "00" { more.is_empty() } else { version != "ff" };
        let has_end = more.is_empty() || more.starts_with('-');
        let is_nobody = |id: &str| id.bytes().all(|byte| byte == b'0');
        let flags = u8::from_str_radix(flags, 16).ok()?;
        (has_form && is_version && has_end && !is_nobody(trace_id) && !is_nobody(span_id)).then_some(Self {
            trace_id,
            span_id,
            flags: flags & (SAMPLED | RANDOM),
        })
    }
}

/// Only in lower case.
fn is_digit(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

/// The trace of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trace<'a> {
    /// In 32 hexadecimal digits.
    pub trace_id: &'a str,
    /// The client's span, in 16, if the trace is its.
    pub parent: Option<&'a str>,
    flags: u8,
}

impl<'a> Trace<'a> {
    /// That of a request with this id, of which the client says this.
    pub fn of(request_id: &'a str, traces: Traces, traceparent: Option<&'a str>) -> Self {
        let parent = traceparent.filter(|_| traces == Traces::Continue).and_then(Parent::read);
        match parent {
            Some(Parent { trace_id, span_id, flags }) => Self { trace_id, parent: Some(span_id), flags },
            // As random as a trace's id has to be. It begins where it is recorded.
            None => Self { trace_id: request_id, parent: None, flags: SAMPLED | RANDOM },
        }
    }

    /// What the origin gets: this request as its parent if it is a span, else the client's. Nothing if there is neither.
    pub fn to_origin(&self, request_id: &str, is_span: bool) -> Option<String> {
        let span = if is_span { Some(span_id(request_id)) } else { self.parent };
        span.map(|span| format!("00-{}-{span}-{:02x}", self.trace_id, self.flags))
    }

    /// Whether a request is sampled, at a rate of one in this many: the same for every span of a trace, here and
    /// wherever traces are sampled by the last 56 bits of their id (OpenTelemetry, consistent probability sampling).
    pub fn is_sampled(&self, one_in: u32) -> bool {
        const RANGE: u64 = 1 << 56;
        let random =
            self.trace_id.get(TRACE_DIGITS - 14..).and_then(|digits| u64::from_str_radix(digits, 16).ok());
        random.unwrap_or_default() >= RANGE - RANGE / u64::from(one_in.max(1))
    }
}

/// The span that a request with this id is.
pub fn span_id(request_id: &str) -> &str {
    request_id.get(..SPAN_DIGITS).unwrap_or(request_id)
}

/// What goes on of a `tracestate` beside a `traceparent` that does (section 3.3): all of it if it is short enough, else as many
/// entries as are. Nothing if it is not in the standard's form.
pub fn state(text: &str) -> Option<String> {
    let mut entries: Vec<&str> = text.split(',').map(|entry| entry.trim_matches([' ', '\t'])).collect();
    entries.retain(|entry| !entry.is_empty());
    if entries.is_empty() || entries.len() > MOST_ENTRIES || !entries.iter().all(|entry| is_entry(entry)) {
        return None;
    }
    let length = |entries: &[&str]| entries.iter().map(|entry| entry.len() + 1).sum::<usize>() - 1;
    while !entries.is_empty() && length(&entries) > MOST_STATE {
        let long = entries.iter().rposition(|entry| entry.len() > LONG_ENTRY);
        entries.remove(long.unwrap_or(entries.len() - 1));
    }
    (!entries.is_empty()).then(|| entries.join(","))
}

/// Whether this is `key=value` (section 3.3.1.3).
fn is_entry(entry: &str) -> bool {
    let Some((key, value)) = entry.split_once('=') else { return false };
    let in_key = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'*' | b'/' | b'@');
    let in_value = |byte: u8| matches!(byte, b' '..=b'~') && byte != b',' && byte != b'=';
    key.len() <= MOST_KEY
        && key.bytes().next().is_some_and(|first| first.is_ascii_lowercase() || first.is_ascii_digit())
        && key.bytes().all(in_key)
        && !value.is_empty()
        && value.len() <= MOST_VALUE
        && value.bytes().all(in_value)
}
