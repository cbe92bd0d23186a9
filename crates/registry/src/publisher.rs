//! Publishing: KeyGates are told of a change before it is acknowledged, KV is written after it, and
//! an alarm makes good what is left. Everything that waits is a [`Platform`], so that the whole of it
//! runs natively against KeyGates and a KV that fail, lag or lose their answers.
//!
//! What it keeps: a key that is in the outbox has an alarm ahead of it; KV never gets a version that
//! the KeyGate was not told of; of one key there is one attempt at a time; and when everything has
//! settled, KV holds the newest version, in whatever order earlier puts have landed. An attempt is
//! waited for as long as the platform has patience, but a put cannot be taken back: one that was
//! given up is followed to its end, and the key is written once more after it.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeSet,
    pin::pin,
    rc::Rc,
};

use futures_util::{
    FutureExt, StreamExt,
    future::{Either, LocalBoxFuture, select},
    stream,
};
use keyward_core::{
    record::Record,
    sql::Sql,
    time::{SECOND, Timestamp},
};
use keyward_limits::wire::PutAck;
use keyward_policy::Policy;

use crate::{
    freshness::Telling,
    keys::delivery,
    memory::Memory,
    outbox::{Outbox, Publication},
    password::derivation::PasswordJob,
    publish_error::{PlatformError, PublishError},
    realms, schema,
};

/// Longest that one answer of a KeyGate or of KV is waited for, in milliseconds.
pub const PATIENCE_MS: u32 = 5_000;
/// What is left in the outbox is tried this much later, and what is due then at the earliest.
const BACKSTOP_MS: i64 = SECOND;
/// Keys that one event tells or publishes: two calls each stay below the platform's 1,000.
const MOST_AT_ONCE: u32 = 400;
/// Keys that are told or published side by side, and that one call publishes right after it.
const SIDE_BY_SIDE: usize = 20;

/// What publishing asks of the platform.
#[allow(async_fn_in_trait, reason = "a Worker has one thread: no future here is ever sent to another")]
pub trait Platform: 'static {
    /// The object's database.
    fn db(&self) -> &dyn Sql;
    /// The deployment's policy.
    fn policy(&self) -> &'static Policy;
    /// Tells the KeyGate of this name what holds from now on.
    async fn tell(&self, hash: &str, record: &Record) -> Result<PutAck, PlatformError>;
    /// Writes to KV. Dropping the future takes nothing back.
    async fn put(&self, kv_key: &str, text: &str) -> Result<(), PlatformError>;
    /// Sets the object's one alarm.
    async fn set_alarm(&self, at: Timestamp) -> Result<(), PlatformError>;
    /// Ends after this time.
    async fn pause(&self, milliseconds: u32);
    /// Runs on after the present event.
    fn spawn(&self, work: LocalBoxFuture<'static, ()>);
    /// The time.
    fn now(&self) -> Timestamp;
    /// Derives a password.
    async fn derive(&self, job: &PasswordJob) -> Result<[u8; 32], PlatformError>;
    /// Notes what went wrong, in which call if it was in one.
    fn log(&self, what: &str, error: &str, request_id: Option<&str>);
}

/// Publishing of one Registry.
pub struct Publisher<P> {
    /// The platform.
    pub platform: P,
    /// What the object remembers.
    pub memory: Memory,
    is_open: Cell<bool>,
    alarm_at: Cell<Option<Timestamp>>,
    publishing: RefCell<BTreeSet<String>>,
}

/// A key that is being published; let go when dropped, also in the middle of it.
struct Held<'a> {
    publishing: &'a RefCell<BTreeSet<String>>,
    id: String,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.publishing.borrow_mut().remove(&self.id);
    }
}

impl<P: Platform> Publisher<P> {
    /// Publishing on this platform.
    pub fn new(platform: P) -> Rc<Self> {
        Rc::new(Self {
            platform,
            memory: Memory::default(),
            is_open: Cell::default(),
            alarm_at: Cell::default(),
            publishing: RefCell::default(),
        })
    }

    /// Brings the database forward, once in the object's life in memory: its schema, and keys whose
    /// records a new policy changes.
    ///
    /// # Errors
    /// What SQLite says, or that the alarm could not be set.
    pub async fn open(&self) -> Result<(), PublishError> {
        if !self.is_open.get() {
            let adopted = schema::migrate(self.platform.db()).and_then(|()| {
                realms::adopt(self.platform.db(), self.platform.policy(), self.platform.now())
            });
            adopted?;
            self.keep_alarm().await?;
            self.is_open.set(true);
        }
        Ok(())
    }

    /// Sets the alarm if something is in the outbox and no alarm is set that is soon enough. To be
    /// called right after a change, before anything is waited for: the alarm is then on disk together
    /// with what it is for.
    ///
    /// # Errors
    /// That the alarm could not be set.
    pub async fn keep_alarm(&self) -> Result<(), PublishError> {
        let now = self.platform.now();
        let next = match self.outbox().next_due() {
            Ok(Some(next)) => next.max(now.plus(BACKSTOP_MS)),
            Ok(None) => return Ok(()),
            Err(error) => {
                // Nothing is known about the outbox: look again.
                self.platform.log("outbox", &error.to_string(), None);
                now.plus(BACKSTOP_MS)
            }
        };
        // One that should have rung by now is not counted on.
        let soon_enough = self.alarm_at.get().is_some_and(|at| now < at && at <= next);
        if soon_enough { Ok(()) } else { self.set_alarm(next).await }
    }

    async fn set_alarm(&self, at: Timestamp) -> Result<(), PublishError> {
        self.platform.set_alarm(at).await?;
        self.alarm_at.set(Some(at));
        Ok(())
    }

    /// The alarm rings: publishes what is due, and looks again when the next is.
    ///
    /// # Errors
    /// That no further alarm could be set: this one has to ring again.
    pub async fn alarm(self: &Rc<Self>) -> Result<(), PublishError> {
        self.alarm_at.set(None);
        if let Err(error) = self.publish_due().await {
            self.platform.log("publishing", &error.to_string(), None);
            // Nothing is known about the outbox: look again.
            self.set_alarm(self.platform.now().plus(BACKSTOP_MS)).await?;
        }
        Ok(())
    }

    async fn publish_due(self: &Rc<Self>) -> Result<(), PublishError> {
        self.open().await?;
        self.outbox().bring_back(self.platform.now())?;
        // Whatever keeps these from being cancelled keeps nothing else from being published.
        if let Err(error) = delivery::cancel_overdue(self.platform.db(), self.platform.now(), MOST_AT_ONCE) {
            self.platform.log("cancelling", &error.to_string(), None);
        }
        let due = self.outbox().due(self.platform.now(), MOST_AT_ONCE)?;
        stream::iter(due)
            .for_each_concurrent(SIDE_BY_SIDE, |id| async move { self.publish(&id).await })
            .await;
        self.keep_alarm().await
    }

    /// Tells the KeyGates of these keys what holds now, as many as can be told in time.
    pub async fn tell_all(&self, ids: &[String]) -> Telling {
        self.tell_all_within(ids, PATIENCE_MS).await
    }

    /// The same within this time.
    pub async fn tell_all_within(&self, ids: &[String], milliseconds: u32) -> Telling {
        let told = Cell::new(0);
        let last = Cell::new(None);
        let tell = |id: &'_ String| {
            let id = id.clone();
            let (told, last) = (&told, &last);
            async move {
                match self.tell_one(&id).await {
                    Ok(at) => {
                        told.set(told.get() + 1);
                        last.set(last.get().max(Some(at)));
                    }
                    Err(error) => self.platform.log("telling", &error.to_string(), None),
                }
            }
        };
        let some = ids.iter().take(MOST_AT_ONCE as usize);
        let all = stream::iter(some).for_each_concurrent(SIDE_BY_SIDE, tell);
        if self.within(milliseconds, all.map(Ok)).await.is_err() {
            self.platform.log("telling", &format!("{} of {} keys told in time", told.get(), ids.len()), None);
        }
        Telling {
            at: last.get().unwrap_or(self.platform.now()),
            pending: ids.len().saturating_sub(told.get()),
        }
    }

    /// Tells one KeyGate, unless it knows; the answer is since when it does.
    async fn tell_one(&self, id: &str) -> Result<Timestamp, PublishError> {
        // Nothing is left to publish if that was done in the meantime, and then it was told, too.
        if let Some(publication) = self.outbox().publication(id)? {
            self.tell(&publication).await?;
        }
        let told_at = self.outbox().told_at(id)?;
        // Never later than now, though the clock may have been ahead then.
        let told_at = told_at.map(|at| at.min(self.platform.now()));
        told_at.ok_or_else(|| PublishError::Untold { id: id.to_owned() })
    }

    /// Tells the KeyGate, unless it knows.
    async fn tell(&self, publication: &Publication) -> Result<(), PublishError> {
        if publication.told {
            return Ok(());
        }
        let (id, version) = (&publication.record.id, publication.record.version);
        let told =
            self.within(PATIENCE_MS, self.platform.tell(&publication.hash, &publication.record)).await?;
        if told.version < version {
            return Err(PublishError::OlderVersion { id: id.clone(), holds: told.version, version });
        }
        Ok(self.outbox().told(id, version, self.platform.now())?)
    }

    /// Publishes keys that a call has changed, after it. Many are left to the alarm.
    pub fn publish_after(self: &Rc<Self>, ids: Vec<String>) {
        if ids.len() > SIDE_BY_SIDE {
            return;
        }
        for id in ids {
            let this = Rc::clone(self);
            self.platform.spawn(async move { this.publish(&id).await }.boxed_local());
        }
    }

    /// Publishes a key until nothing of it is due, unless that is being done already.
    pub async fn publish(self: &Rc<Self>, id: &str) {
        if !self.publishing.borrow_mut().insert(id.to_owned()) {
            return;
        }
        let _held = Held { publishing: &self.publishing, id: id.to_owned() };
        if let Err(error) = self.publish_all_of(id).await {
            self.platform.log("publishing", &error.to_string(), None);
        }
    }

    async fn publish_all_of(self: &Rc<Self>, id: &str) -> Result<(), PublishError> {
        while let Some(publication) = self.outbox().begin(id, self.platform.now())? {
            self.tell(&publication).await?;
            let version = publication.record.version;
            self.put(publication).await?;
            self.outbox().published(id, version, self.platform.now())?;
        }
        Ok(())
    }

    async fn put(self: &Rc<Self>, publication: Publication) -> Result<(), PublishError> {
        let record = serde_json::to_string(&publication.record)?;
        let this = Rc::clone(self);
        let put = async move { this.platform.put(&publication.kv_key, &record).await }.boxed_local();
        match select(put, pin!(self.platform.pause(PATIENCE_MS))).await {
            Either::Left((ended, _)) => Ok(ended?),
            Either::Right((_, late)) => {
                let (this, id) = (Rc::clone(self), publication.record.id);
                let follow = async move {
                    // However it ended: it may have written.
                    let _ = late.await;
                    this.publish_again(&id).await;
                };
                self.platform.spawn(follow.boxed_local());
                Err(PublishError::KvLate)
            }
        }
    }

    async fn publish_again(&self, id: &str) {
        let again = self.outbox().publish_again(id, self.platform.now());
        let again = match again {
            Ok(()) => self.keep_alarm().await,
            Err(error) => Err(error.into()),
        };
        if let Err(error) = again {
            self.platform.log("outbox", &error.to_string(), None);
        }
    }

    async fn within<T>(
        &self,
        milliseconds: u32,
        answer: impl Future<Output = Result<T, PlatformError>>,
    ) -> Result<T, PublishError> {
        match select(pin!(answer), pin!(self.platform.pause(milliseconds))).await {
            Either::Left((answer, _)) => Ok(answer?),
            Either::Right(_) => Err(PublishError::Late),
        }
    }

    fn outbox(&self) -> Outbox<'_> {
        Outbox { db: self.platform.db(), policy: self.platform.policy() }
    }
}
