//! Text that lives as long as the program, as a policy does.

/// Keeps a text for good.
pub(crate) fn leak(text: &str) -> &'static str {
    text.to_owned().leak()
}
