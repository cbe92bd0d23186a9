//! What a call does to the database, by its method and path: what is refused when that is nearly full follows from it. A
//! route that nothing is said of makes it grow.

/// What a call does to the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Nothing.
    Reads,
    /// It ends something that exists, and can do so once: always possible.
    Ends,
    /// It adds little, and somebody who has to end something may need it: possible for longer than what grows.
    Helps,
    /// It adds something; its handler asks for the room itself, since a repeat of it adds nothing.
    Makes,
    /// It adds something.
    Grows,
}

/// Beyond what begins with `DELETE` or ends in `/revoke`.
const HELPING: [(&str, &str); 4] =
    [("POST", "/setup"), ("POST", "/session"), ("POST", "/session/step-up"), ("PATCH", "/members/")];

impl Effect {
    /// Of a call.
    pub fn of(method: &str, path: &str) -> Self {
        let helps =
            |(m, p): &(&str, &str)| *m == method && (*p == path || (p.ends_with('/') && path.starts_with(p)));
        match method {
            "GET" | "HEAD" => Self::Reads,
            "DELETE" => Self::Ends,
            "POST" if path.ends_with("/revoke") => Self::Ends,
            // To make a tenant inactive.
            "PATCH" if path.starts_with("/tenants/") => Self::Helps,
            "POST" if path == "/api-keys" || path.ends_with("/rotate") => Self::Makes,
            _ if HELPING.iter().any(helps) => Self::Helps,
            _ => Self::Grows,
        }
    }

    /// Of a bound, the part until which it is possible; `None` has no bound.
    pub fn bound(self, limit: u64) -> Option<u64> {
        match self {
            Self::Reads | Self::Ends => None,
            Self::Helps => Some(limit.saturating_add(limit / 10)),
            Self::Makes | Self::Grows => Some(limit),
        }
    }
}
