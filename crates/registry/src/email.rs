//! E-mail addresses of people. One that is chosen must be of the plain form that every mail server takes; one that is
//! typed to sign in is only compared, so that whoever was added under older rules is let in.
//!
//! The form: a dot-atom (RFC 5322, 3.2.3; no quoted text, no comment), `@`, and a domain of at least two labels, in
//! letters of any script (RFC 6531). It is kept in lower case and in Unicode's form NFC.

use keyward_unicode::{is_alphanumeric, is_mark, lower, nfc};
use serde_json::Value;

use crate::{
    input::{self, FieldErrors, invalid},
    text,
};

/// Longest address, in bytes (RFC 5321, 4.5.3.1.3, without the angle brackets).
const LONGEST_BYTES: usize = 254;
/// Longest part before the `@` (4.5.3.1.1), and label of a domain (RFC 1035, 2.3.4).
const LONGEST_LOCAL_BYTES: usize = 64;
const LONGEST_LABEL_BYTES: usize = 63;

/// An address for somebody new.
///
/// # Errors
/// What is wrong with it.
pub fn chosen(value: &Value) -> Result<String, FieldErrors> {
    let address = typed(value)?;
    match flaw(&address) {
        None => Ok(address),
        Some(flaw) => invalid(format!("must be an e-mail address such as ada@example.com: {flaw}")),
    }
}

/// An address that somebody signs in with.
///
/// # Errors
/// If it is none at all.
pub fn typed(value: &Value) -> Result<String, FieldErrors> {
    let address = nfc(&lower(text::trimmed(&input::text(value)?))).into_owned();
    let broken = address.chars().any(|c| c.is_whitespace() || c.is_control());
    match address.split_once('@') {
        Some(_) if address.len() > LONGEST_BYTES => {
            invalid(format!("can be at most {LONGEST_BYTES} bytes long"))
        }
        Some((local, domain)) if !broken && !local.is_empty() && !domain.is_empty() => Ok(address),
        _ => invalid("must be an e-mail address such as ada@example.com, without spaces"),
    }
}

fn flaw(address: &str) -> Option<String> {
    let (local, domain) = address.rsplit_once('@')?;
    let is_dot_atom = |text: &str| !text.split('.').any(str::is_empty);
    if !is_dot_atom(local) {
        return Some("the part before the @ begins or ends with a dot, or has two in a row".to_owned());
    }
    if local.len() > LONGEST_LOCAL_BYTES {
        return Some(format!("the part before the @ can be at most {LONGEST_LOCAL_BYTES} bytes long"));
    }
    if let Some(c) = local.chars().find(|c| !is_atom_character(*c)) {
        return Some(format!("the part before the @ cannot hold '{}'", input::shown(&c.to_string())));
    }
    if !is_dot_atom(domain) {
        return Some("its domain begins or ends with a dot, or has two in a row".to_owned());
    }
    let Some((_, top)) = domain.rsplit_once('.') else {
        return Some("its domain has no dot".to_owned());
    };
    if top.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some("its domain ends in a number".to_owned());
    }
    let label = domain.split('.').find(|label| !is_label(label))?;
    Some(format!("'{}' cannot be a part of a domain", input::shown(label)))
}

/// RFC 5322, 3.2.3, and RFC 6531, 3.3.
fn is_atom_character(c: char) -> bool {
    "!#$%&'*+-/=?^_`{|}~.".contains(c) || is_letter(c)
}

/// RFC 1123, 2.1, with letters of any script.
fn is_label(label: &str) -> bool {
    let plain = label.chars().all(|c| is_letter(c) || c == '-');
    plain && label.len() <= LONGEST_LABEL_BYTES && !label.starts_with('-') && !label.ends_with('-')
}

fn is_letter(c: char) -> bool {
    (is_alphanumeric(c) || is_mark(c)) && !text::is_hidden(c)
}
