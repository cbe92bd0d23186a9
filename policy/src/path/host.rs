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

    /// Whether it matches every host that `other` matches.
    pub fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Any, _) => true,
            (_, Self::Any) | (Self::Exact(_), Self::Below(_)) => false,
            (Self::Exact(_) | Self::Below(_), Self::Exact(name)) => self.matches(name),
            (Self::Below(suffix), Self::Below(deeper)) => deeper.ends_with(suffix),
        }
    }
}
