//! Host patterns.

use crate::model::HostPattern;

impl HostPattern {
    /// Whether it matches this host, given without its port. Case and one trailing dot (the DNS
    /// root) make no difference.
    pub fn matches(&self, host: &str) -> bool {
        let host = host.strip_suffix('.').unwrap_or(host);
        match self {
            Self::Any => true,
            Self::Exact(name) => host.eq_ignore_ascii_case(name),
            Self::Below(suffix) => host
                .len()
                .checked_sub(suffix.len())
                .filter(|&above| above > 0)
                .and_then(|above| host.get(above..))
                .is_some_and(|end| end.eq_ignore_ascii_case(suffix)),
        }
    }
}
