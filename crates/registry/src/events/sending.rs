//! Sending events: one request at a time to each endpoint, after the alarm and beside it, so that a slow receiver holds up nothing.

use std::rc::Rc;

use futures_util::{FutureExt, future::join_all};
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

/// Marks that events are being sent until it is dropped, which may be in the middle of it.
struct Sending(Rc<Publisher>);

impl Drop for Sending {
    fn drop(&mut self) {
        self.0.sending_events.set(false);
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
        if self.queues_due()?.is_some_and(|due| due <= now) && !self.sending_events.replace(true) {
            let sending = Sending(Rc::clone(self));
            let send = async move {
                sending.0.send_events().await;
                let publisher = Rc::clone(&sending.0);
                drop(sending);
                if let Err(error) = publisher.keep_alarm().await {
                    publisher.platform.log(Task::Alarm, &error.to_string(), None);
                }
            };
            self.platform.spawn(send.boxed_local());
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
        if self.sending_events.get() {
            // It sets the alarm itself when it has ended. If the object dies meanwhile, this one rings.
            return Ok(Some(self.platform.now() + PATIENCE));
        }
        let told = revocations::wait(db)?.then(|| self.platform.now());
        // While there is no space for them, they wait for a call that frees some.
        let notices = if storage::has_space(db, policy)? { notices::next_due(db)? } else { None };
        let next = told.into_iter().chain(notices).min();
        Ok(next.into_iter().chain(self.queues_due()?).min())
    }

    /// When the next attempt to send one is due.
    fn queues_due(&self) -> Result<Option<Timestamp>, PublishError> {
        let mut next = None;
        for endpoint in self.platform.policy().admin.events {
            let due = Queue { db: self.platform.db(), endpoint }.next_due(self.platform.now())?;
            next = next.into_iter().chain(due).min();
        }
        Ok(next)
    }

    async fn send_events(&self) {
        let endpoints = self.platform.policy().admin.events;
        join_all(endpoints.iter().map(|endpoint| async move {
            if let Err(error) = self.send_to(endpoint).await {
                self.platform.log(Task::Events, &error.to_string(), None);
            }
        }))
        .await;
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
