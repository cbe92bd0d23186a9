//! What the gate signs for origins, where the policy asks for it, and the keys that it publishes for that.

use std::{future::ready, rc::Rc};

use keyward_policy::{Realm, Route, Span};

use super::Gate;
use crate::{
    denial::Denial,
    identity_token::{self, keys::KeySet},
    pipeline::Accepted,
    platform::Platform,
    refusal::{self, Answer},
    request::{Client, RequestParts},
    transport,
};
use keyward_core::request_target::RequestTarget;

/// How long others may keep the public keys. A new one is among them long before it signs.
const JWKS_AGE: Span = Span::from_mins(5);

impl<P: Platform> Gate<'_, P> {
    /// The deployment's keys, if the realm's origin is told who asks. They are looked for before anything is counted or asked.
    ///
    /// # Errors
    /// Why there are none: no request passes then.
    pub(super) async fn identity_keys(&self, realm: &Realm) -> Result<Option<Rc<KeySet>>, Denial> {
        if realm.identity.is_none() {
            return Ok(None);
        }
        let known = self.memory.borrow().identities.keys.clone();
        if known.is_some() {
            return Ok(known);
        }
        // Once in the life of an isolate: a request has no room for this.
        let keys = Rc::new(Box::pin(KeySet::of_deployment(self.platform)).await?);
        self.memory.borrow_mut().identities.keys = Some(Rc::clone(&keys));
        Ok(Some(keys))
    }

    /// The token for an accepted request, if the realm's origin gets one.
    ///
    /// # Errors
    /// If it cannot be signed: then the request does not pass, and has used nothing.
    pub(super) async fn identity(
        &self,
        realm: &Realm,
        route: &Route,
        Accepted { permit, open, .. }: &Accepted,
        keys: Option<Rc<KeySet>>,
    ) -> Result<Option<String>, Denial> {
        let (Some(identity), Some(keys)) = (&realm.identity, keys) else { return Ok(None) };
        let is_strict = permit.record().is_some_and(|record| record.strict);
        let freshness = if is_strict { Span::ZERO } else { route.freshness.unwrap_or(realm.freshness) };
        let of = (realm, identity);
        let token = identity_token::token(self.platform, &self.memory, &keys, of, permit, freshness).await;
        if let (Err(_), Some(open)) = (&token, open) {
            Box::pin(self.follow(open, ready(Some("0".to_owned())), ready(()))).await;
        }
        token.map(Some)
    }

    /// The answer with the public keys of a realm's identity tokens, over a connection that the realm takes: whoever could change it
    /// could name a key of their own.
    pub async fn jwks(&self, request: &impl RequestParts, realm: &Realm, request_id: &str) -> Answer {
        if !matches!(request.method(), "GET" | "HEAD") {
            return Answer::method_not_allowed();
        }
        let target = RequestTarget::of(request.url());
        let (client, tls) = (Client::of(request), || request.tls_version());
        let safe = transport::check(&realm.transport, target.scheme, client.address.as_deref(), tls);
        let keys = match safe {
            Ok(()) => self.identity_keys(realm).await,
            Err(denial) => Err(denial),
        };
        match keys.and_then(|keys| keys.ok_or(Denial::NoRoute)) {
            Ok(keys) => Answer {
                status: 200,
                headers: vec![
                    ("Content-Type", "application/jwk-set+json".to_owned()),
                    ("Cache-Control", format!("public, max-age={}", JWKS_AGE.whole_secs())),
                    ("X-Request-Id", request_id.to_owned()),
                ],
                body: if request.method() == "GET" { keys.jwks.clone() } else { String::new() },
            },
            Err(denial) => refusal::refuse(&denial, Some(realm), request_id),
        }
    }
}
