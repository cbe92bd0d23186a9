//! Sending events: one request at a time to each endpoint, after the alarm and beside it, so that a slow receiver holds up nothing,
//! other endpoints included.

use std::rc::Rc;

use futures_util::FutureExt;
use keyward_core::{
    sql,
    time::{Span, Timestamp},
};
use keyward_policy::EventEndpoint;

use super::{
    body::Event,
    message::Message,
    notices,
    queue::{Outcome, Queue},
    revocations,
    signature::{self, Signer},
};
use crate::{publish_error::PublishError, publisher::Publisher, storage, task::Task};

/// Longest that a receiver's answer is waited for.
pub const PATIENCE: Span = Span::from_secs(15);
/// Most events that one alarm sends to an endpoint: with the keys that it publishes, that is below the platform's limit of calls.
const MOST_AT_ONCE: usize = 50;

/// Marks that events are being sent to an endpoint until it is dropped, which may be in the middle of it.
struct Sending {
    publisher: Rc<Publisher>,
    endpoint: &'static EventEndpoint,
}

impl Drop for Sending {
    fn drop(&mut self) {
        self.publisher.sending_events.borrow_mut().remove(self.endpoint.name);
    }
}

impl Sending {
    /// Sends what is due, and sets the alarm for what is left.
    async fn send_all(self) {
        let (publisher, endpoint) = (Rc::clone(&self.publisher), self.endpoint);
        if let Err(error) = publisher.send_to(endpoint).await {
            publisher.platform.log(Task::Events, &error.to_string(), None);
        }
        drop(self);
        if let Err(error) = publisher.keep_alarm().await {
            publisher.platform.log(Task::Alarm, &error.to_string(), None);
        }
    }
}

impl Publisher {
    /// Writes the events that no call causes, and begins to send what waits.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn begin_events(self: &Rc<Self>) -> Result<(), PublishError> {
        let (db, policy) = (self.platform.db(), self.platform.policy());
        if policy.admin.events.is_empty() {
            return Ok(());
        }
        sql::transaction(db, || revocations::tell(db, policy))?;
        if storage::has_space(db, policy)? {
            sql::transaction(db, || notices::tell(db, self.platform.now()))?;
        }
        let now = self.platform.now();
        for endpoint in policy.admin.events {
            if self.queue_due(endpoint)?.is_none_or(|due| due > now) {
                continue;
            }
            if self.sending_events.borrow_mut().insert(endpoint.name) {
                let sending = Sending { publisher: Rc::clone(self), endpoint };
                self.platform.spawn(sending.send_all().boxed_local());
            }
        }
        Ok(())
    }

    /// When there is something to do for events; `None` if nothing waits.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn events_due(&self) -> Result<Option<Timestamp>, PublishError> {
        let (db, policy) = (self.platform.db(), self.platform.policy());
        if policy.admin.events.is_empty() {
            return Ok(None);
        }
        let told = revocations::wait(db)?.then(|| self.platform.now());
        // While there is no space for them, they wait for a call that frees some.
        let notices = if storage::has_space(db, policy)? { notices::next_due(db)? } else { None };
        let mut next = told.into_iter().chain(notices).min();
        for endpoint in policy.admin.events {
            let due = if self.sending_events.borrow().contains(endpoint.name) {
                // It sets the alarm itself when it has ended. If the object dies meanwhile, this one rings.
                Some(self.platform.now() + PATIENCE)
            } else {
                self.queue_due(endpoint)?
            };
            next = next.into_iter().chain(due).min();
        }
        Ok(next)
    }

    /// When the next attempt to send one there is due.
    fn queue_due(&self, endpoint: &EventEndpoint) -> Result<Option<Timestamp>, PublishError> {
        Ok(Queue { db: self.platform.db(), endpoint }.next_due(self.platform.now())?)
    }

    async fn send_to(&self, endpoint: &EventEndpoint) -> Result<(), PublishError> {
        let queue = Queue { db: self.platform.db(), endpoint };
        for _ in 0..MOST_AT_ONCE {
            let Some(event) = queue.begin(self.platform.now())? else { return Ok(()) };
            let outcome = self.send(endpoint, &event).await;
            if let Outcome::Failed(why) = &outcome {
                self.platform.log(Task::Events, &format!("endpoint {}: {why}", endpoint.name), None);
            }
            queue.end(&event, &outcome, self.platform.now())?;
        }
        Ok(())
    }

    async fn send(&self, endpoint: &EventEndpoint, event: &Event) -> Outcome {
        let signer = match Signer::new(endpoint.secrets, |name| self.platform.secret(name)) {
            Ok(signer) => signer,
            Err(unfit) => return Outcome::Failed(unfit.to_string()),
        };
        let (now, body) = (self.platform.now(), event.body().to_string());
        let fields = vec![
            ("content-type", "application/json".to_owned()),
            ("webhook-id", event.id.clone()),
            ("webhook-timestamp", signature::seconds(now).to_string()),
            ("webhook-signature", signer.sign(&event.id, now, &body)),
        ];
        let message = Message { url: endpoint.url, fields, body };
        match self.within(PATIENCE, self.platform.send(&message)).await {
            Ok(status) => Outcome::of(status),
            Err(PublishError::Late) => {
                Outcome::Failed(format!("no answer within {} s", PATIENCE.whole_secs()))
            }
            // What the platform says of it may name what stands in the URL.
            Err(_) => Outcome::Failed("cannot be reached".to_owned()),
        }
    }
}
