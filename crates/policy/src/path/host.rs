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
            Self::Tenant(_) => self.tenant(host).is_some(),
        }
    }

    /// The tenant's code that this host has, where hosts have one.
    pub fn tenant<'h>(&self, host: &'h str) -> Option<&'h str> {
        let Self::Tenant(suffix) = self else { return None };
        let host = host.strip_suffix('.').unwrap_or(host);
        let (code, end) = host.split_at_checked(host.len().checked_sub(suffix.len())?)?;
        (end.eq_ignore_ascii_case(suffix) && !code.is_empty() && !code.contains('.')).then_some(code)
    }

    /// Whether it matches every host that `other` matches.
    pub fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Any, _) => true,
            (_, Self::Any) | (Self::Exact(_) | Self::Tenant(_), Self::Below(_)) => false,
            (Self::Exact(_), Self::Tenant(_)) => false,
            (Self::Exact(_) | Self::Below(_) | Self::Tenant(_), Self::Exact(name)) => self.matches(name),
            (Self::Below(suffix), Self::Below(deeper) | Self::Tenant(deeper)) => deeper.ends_with(suffix),
            (Self::Tenant(suffix), Self::Tenant(other)) => suffix == other,
        }
    }
}
