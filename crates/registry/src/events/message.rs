//! What the platform is asked to send.

/// A request to a receiver.
pub struct Message<'a> {
    /// Where to.
    pub url: &'a str,
    /// Name and value of each header field.
    pub fields: Vec<(&'static str, String)>,
    /// JSON.
    pub body: String,
}
