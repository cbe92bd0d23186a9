//! Fields of a form (`application/x-www-form-urlencoded`) and of a query, in the form in which every server reads them.

use std::fmt::Write;

/// The fields, one after the other.
pub fn fields(fields: &[(&str, &str)]) -> String {
    let fields: Vec<_> = fields.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
    fields.join("&")
}

/// A value: all but unreserved characters (RFC 3986, section 2.3) as percent and two digits.
pub fn encoded(value: &str) -> String {
    let mut text = String::new();
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            text.push(byte.into());
        } else {
            // Writing to a string cannot fail.
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}
