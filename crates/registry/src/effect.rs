//! What a call does to the database, by its method and path: what is refused when that is nearly full follows from it. A
//! route that nothing is said of makes it grow.

/// What a call does to the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Nothing.
    Reads,
    /// It ends something that exists, and can do so once: always possible.
    Ends,
    /// It lets people do what they have to: sign in, type the password again, change a tenant as the operator. No audit
    /// is too full for it.
    Admits,
    /// It adds little, and somebody who has to end something may need it: possible for longer than what grows.
    Helps,
    /// It shows again what was made, which an API key can do as often as it likes: a part of what helps is not for it.
    Repeats,
    /// It adds something; its handler asks for the room itself, since a repeat of it adds nothing.
    Makes,
    /// It adds something.
    Grows,
}

/// Beyond what begins with `DELETE` or ends in `/revoke`.
const NAMED: [(&str, &str, Effect); 5] = [
    ("POST", "/setup", Effect::Admits),
    ("POST", "/session", Effect::Admits),
    ("POST", "/session/step-up", Effect::Admits),
    ("PATCH", "/tenants/", Effect::Admits),
    ("PATCH", "/members/", Effect::Helps),
];

impl Effect {
    /// Of a call.
    pub fn of(method: &str, path: &str) -> Self {
        let is = |(m, p, _): &&(&str, &str, Self)| {
            *m == method && (*p == path || (p.ends_with('/') && path.starts_with(p)))
        };
        match method {
            "GET" | "HEAD" => Self::Reads,
            "DELETE" => Self::Ends,
            "POST" if path.ends_with("/revoke") => Self::Ends,
            "POST" if path == "/api-keys" || path.ends_with("/rotate") => Self::Makes,
            _ => NAMED.iter().find(is).map_or(Self::Grows, |(_, _, effect)| *effect),
        }
    }

    /// Bytes of the database until which it is possible; `None` has no bound.
    pub fn storage(self, limit: u64) -> Option<u64> {
        match self {
            Self::Reads | Self::Ends => None,
            Self::Admits | Self::Helps | Self::Repeats => Some(limit.saturating_add(limit / 10)),
            Self::Makes | Self::Grows => Some(limit),
        }
    }

    /// Entries of a tenant's audit until which it is possible; `None` has no bound.
    ///
    /// What ends something needs none: nothing that can be ended begins beyond the quota, but sessions, whose entries
    /// are then [few a day](crate::audit::daily).
    pub fn audit_entries(self, limit: u64) -> Option<u64> {
        match self {
            Self::Reads | Self::Ends | Self::Admits => None,
            Self::Helps => Some(limit.saturating_add(limit / 10)),
            Self::Repeats => Some(limit.saturating_add(limit / 20)),
            Self::Makes | Self::Grows => Some(limit),
        }
    }
}
