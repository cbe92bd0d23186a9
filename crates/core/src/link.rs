//! Links that carry somebody into a session: a token in a URL that works once, and what it becomes.
//!
//! The token is a key in form: random characters behind a prefix, a checksum so that a made-up one
//! costs nothing, and only a hash that is stored ([`crate::key`] with [`Link::token`]). The session is
//! sealed into its cookie under the deployment's secret: it needs no store, and ends by itself.

use keyward_json::{by_tag, from_value};
use keyward_policy::Link;
use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    cookie::{self, Repeated, SameSite},
    record::Tenant,
    registry_call::RegistryCall,
    request_target::RequestTarget,
    secret::{Secret, Secrets},
    strict,
    time::Timestamp,
};

/// Keeps this use of the deployment's secret apart from others.
const PURPOSE: &str = "keyward link session 1";

/// Whose session it is. A stored format, pinned in `tests/it/golden.rs`: browsers keep it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Session {
    /// The realm; in any other it is none.
    pub realm: String,
    /// The tenant that made the link, as it was then.
    pub tenant: Tenant,
    /// For whom, in the words of whoever made the link.
    #[serde(deserialize_with = "strict::nullable")]
    pub subject: Option<String>,
    /// The session that the link was made in.
    #[serde(deserialize_with = "strict::nullable")]
    pub session_id: Option<String>,
    /// The first moment at which it no longer holds.
    pub expires_at: Timestamp,
}

impl Session {
    /// The cookie's value: what it says, and a MAC of that.
    pub fn seal(&self, secrets: &Secrets) -> Secret {
        let said = serde_json::to_string(self).unwrap_or_default();
        Secret::new(secrets.seal(PURPOSE, Link::SESSION_PREFIX, &said))
    }

    /// What a cookie's value says, if it was sealed here and still holds.
    pub fn open(value: &Secret, realm: &str, secrets: &Secrets, now: Timestamp) -> Option<Self> {
        let said = secrets.unseal(PURPOSE, Link::SESSION_PREFIX, value.expose())?;
        let session: Self = keyward_json::from_str(&said).ok()?;
        (session.realm == realm && now < session.expires_at).then_some(session)
    }
}

/// A token that was taken from a URL.
#[derive(Debug)]
pub struct Followed {
    /// The token. Nothing about it is checked yet.
    pub token: Secret,
    /// The URL without it, every other byte as it was.
    pub url: String,
}

/// Takes the token from a request's URL.
///
/// # Errors
/// [`Repeated`], also when one of them is written with percent-encoding.
pub fn follow(link: &Link, target: RequestTarget<'_>) -> Result<Option<Followed>, Repeated> {
    let is_token = |pair: &&str| {
        let name = pair.split_once('=').map_or(*pair, |(name, _)| name);
        percent_decode_str(name).eq(link.parameter.bytes())
    };
    let (tokens, others): (Vec<_>, Vec<_>) = target.query.split('&').partition(is_token);
    let token = match tokens[..] {
        [] => return Ok(None),
        [token] => token.split_once('=').map_or("", |(_, token)| token),
        _ => return Err(Repeated),
    };
    let token = Secret::new(percent_decode_str(token).decode_utf8_lossy());
    // With the origin in front a path that begins with `//` cannot lead to another host.
    let others = others.join("&");
    let mark = if others.is_empty() { "" } else { "?" };
    let url = format!("{}{}{mark}{others}", target.origin, target.path);
    Ok(Some(Followed { token, url }))
}

/// The value of the session's cookie.
///
/// # Errors
/// [`Repeated`]
pub fn session(link: &Link, cookies: &str) -> Result<Option<Secret>, Repeated> {
    Ok(cookie::value(cookies, link.cookie)?.map(Secret::new))
}

/// Headers of the 303 that answers a link which was redeemed. The token is in neither URL nor
/// `Referer` from then on, and a link in a mail or a chat finds its session when it is followed again.
pub fn redirect(link: &Link, session: &Secret, url: String) -> [(&'static str, String); 4] {
    [
        ("Location", url),
        ("Set-Cookie", cookie::set(link.cookie, session.expose(), link.session_life, SameSite::Lax)),
        ("Cache-Control", "no-store".to_owned()),
        ("Referrer-Policy", "no-referrer".to_owned()),
    ]
}

/// A link as the object that issued it keeps it, under its token's hash. One object decides, in one
/// synchronous turn, so that of two requests that race one comes second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LinkState {
    /// The first moment at which it no longer works.
    pub expires_at: Timestamp,
    /// When it was redeemed.
    pub used_at: Option<Timestamp>,
}

/// Why a link that there was does not work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RedeemError {
    /// It was redeemed before.
    Used,
    /// Nobody redeemed it in time.
    Expired,
}

impl LinkState {
    /// A new link.
    pub fn issue(link: &Link, now: Timestamp) -> Self {
        Self { expires_at: now + link.life, used_at: None }
    }

    /// Uses it up.
    ///
    /// # Errors
    /// [`RedeemError`]
    pub fn redeem(&mut self, now: Timestamp) -> Result<(), RedeemError> {
        if self.used_at.is_some() {
            return Err(RedeemError::Used);
        }
        if now >= self.expires_at {
            return Err(RedeemError::Expired);
        }
        self.used_at = Some(now);
        Ok(())
    }
}

/// A gate asks the Registry to use up a link. Answered with [`Redeemed`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Redeem {
    /// Storage hash of the link's token.
    pub hash: String,
    /// The realm in which it was followed.
    pub realm: String,
}

impl RegistryCall for Redeem {
    const PATH: &'static str = "/redeem";
    type Answer = Redeemed;

    /// If the first call used the link up and its answer was lost, a second would say that somebody else had used it.
    fn is_repeatable(&self) -> bool {
        false
    }
}

/// Answer to [`Redeem`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "camelCase", try_from = "Value")]
pub enum Redeemed {
    /// It is used up now, and becomes this session.
    Granted(Session),
    /// It was used before.
    Used,
    /// It ended before it was used.
    Expired,
    /// There is no such link in this realm, or its tenant is not active.
    Unknown,
}

impl TryFrom<Value> for Redeemed {
    type Error = keyward_json::Error;

    fn try_from(sent: Value) -> Result<Self, Self::Error> {
        by_tag(&sent, "outcome", |outcome| {
            Ok(Some(match outcome {
                "granted" => Self::Granted(from_value(&sent)?),
                "used" => Self::Used,
                "expired" => Self::Expired,
                "unknown" => Self::Unknown,
                _ => return Ok(None),
            }))
        })
    }
}
