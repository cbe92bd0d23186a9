//! Publishing: coordinators are told of a change before it is acknowledged, KV is written after that, and an alarm does
//! whatever could not be done. Everything that waits is behind [`Platform`], so that tests can run all of it natively, with
//! coordinators and a KV that fail, lag or lose their answers.
//!
//! What always holds:
//! - While a key is in the outbox, an alarm is set.
//! - KV never gets a version that the coordinator was not told of.
//! - There is one attempt at a time for each key.
//! - In the end KV holds the newest version, in whatever order earlier puts took effect. An attempt is given up after
//!   [`PATIENCE`], but a put cannot be taken back: it is followed to its end, and then the key is written once more.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeSet,
    rc::Rc,
};

use futures_util::{
    FutureExt, StreamExt,
    future::{Either, LocalBoxFuture, select},
    stream,
};
use keyward_core::{
    record::Record,
    secret::Secret,
    sql::Sql,
    time::{Span, Timestamp},
};
use keyward_limits::wire::PutAck;
use keyward_policy::{Policy, jwk::Signed};

use crate::{
    backup::{
        behind, restore,
        search::{self, KvNames},
    },
    events::message::Message,
    freshness::Telling,
    keys::delivery,
    memory::Memory,
    outbox::{Outbox, Publication},
    password::derivation::PasswordJob,
    publish_error::{PlatformError, PublishError},
    realms, schema,
    task::Task,
};

/// Longest that one answer of a coordinator or of KV is waited for.
pub const PATIENCE: Span = Span::from_secs(5);
/// How long after an attempt, at the earliest, the alarm rings for what is still in the outbox.
const BACKSTOP: Span = Span::from_secs(1);
/// The same where only another policy helps. Once there is one, the next call sets an earlier alarm.
const MISPLACED: Span = Span::from_hours(1);
/// Most keys that one event publishes: with two calls each, that is below the platform's limit of 1,000.
const MOST_AT_ONCE: u32 = 400;
/// The same after a restore, when each takes three, and KV is searched beside it.
const MOST_AFTER_RESTORE: u32 = 250;
/// Keys that are told or published at the same time, and most keys that are published right after a call.
const SIDE_BY_SIDE: usize = 20;

/// A platform's answer that has to be waited for.
pub type Waiting<'a, T> = LocalBoxFuture<'a, Result<T, PlatformError>>;

/// What publishing asks of the platform. Its futures are boxed: generics would compile all that waits for them once more for
/// each platform, and in the crate that has it.
pub trait Platform: 'static {
    /// The object's database.
    fn db(&self) -> &dyn Sql;
    /// The deployment's policy.
    fn policy(&self) -> &'static Policy;
    /// Tells the coordinator of this name the record that holds from now on.
    fn tell<'a>(&'a self, hash: &'a str, record: &'a Record) -> Waiting<'a, PutAck>;
    /// What the coordinator of this name holds; `None` if it was never told of a key.
    fn held<'a>(&'a self, hash: &'a str) -> Waiting<'a, Option<Record>>;
    /// Some names of keys in KV: those after this cursor, which is empty at first.
    fn names<'a>(&'a self, cursor: &'a str) -> Waiting<'a, KvNames>;
    /// Reads from KV.
    fn read<'a>(&'a self, kv_key: &'a str) -> Waiting<'a, Option<String>>;
    /// Writes to KV. Dropping the future takes nothing back.
    fn put<'a>(&'a self, kv_key: &'a str, text: &'a str) -> Waiting<'a, ()>;
    /// Sets the object's one alarm.
    fn set_alarm(&self, at: Timestamp) -> Waiting<'_, ()>;
    /// Waits for this time.
    fn pause(&self, span: Span) -> LocalBoxFuture<'_, ()>;
    /// Runs this on after the present event.
    fn spawn(&self, work: LocalBoxFuture<'static, ()>);
    /// The time.
    fn now(&self) -> Timestamp;
    /// Derives a password.
    fn derive<'a>(&'a self, job: &'a PasswordJob) -> Waiting<'a, [u8; 32]>;
    /// Posts a message, and follows no redirect; the status of its answer. Dropping the future gives it up.
    fn send<'a>(&'a self, message: &'a Message<'a>) -> Waiting<'a, u16>;
    /// A secret of the deployment, by its name.
    fn secret(&self, name: &str) -> Option<Secret>;
    /// Whether a signature is right; not if its key is none.
    fn verify<'a>(&'a self, signed: Signed<'a>) -> LocalBoxFuture<'a, bool>;
    /// Notes what went wrong, in which call if it was in one.
    fn log(&self, task: Task, error: &str, request_id: Option<&str>);
}

/// The Registry's object on its platform. It answers calls ([`crate::call`]), publishes what they change, and does upkeep.
pub struct Publisher {
    /// The platform.
    pub platform: Box<dyn Platform>,
    /// What the object remembers.
    pub memory: Memory,
    is_open: Cell<bool>,
    alarm_at: Cell<Option<Timestamp>>,
    publishing: RefCell<BTreeSet<String>>,
    /// The endpoints that events are being sent to.
    pub(crate) sending_events: RefCell<BTreeSet<&'static str>>,
}

/// Marks a key as being published until it is dropped, which may be in the middle of it.
struct Held<'a> {
    publishing: &'a RefCell<BTreeSet<String>>,
    id: String,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.publishing.borrow_mut().remove(&self.id);
    }
}

impl Publisher {
    /// The object on this platform.
    pub fn new(platform: impl Platform) -> Rc<Self> {
        Rc::new(Self {
            platform: Box::new(platform),
            memory: Memory::default(),
            is_open: Cell::default(),
            alarm_at: Cell::default(),
            publishing: RefCell::default(),
            sending_events: RefCell::default(),
        })
    }

    /// Brings the database up to date, once while the object is in memory: its schema, and keys whose
    /// records a new policy changes.
    ///
    /// # Errors
    /// What SQLite says, that the alarm could not be set, or that the data belong to objects of another jurisdiction.
    pub async fn open(&self) -> Result<(), PublishError> {
        if !self.is_open.get() {
            schema::migrate(self.platform.db())?;
            self.settle().await?;
            realms::adopt(self.platform.db(), self.platform.policy(), self.platform.now())?;
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
        let next = match self.next_due() {
            Ok(Some(next)) => next.max(now + BACKSTOP),
            Ok(None) => return Ok(()),
            Err(error) => {
                // Nothing is known of what is due: look again.
                self.platform.log(Task::Outbox, &error.to_string(), None);
                now + BACKSTOP
            }
        };
        // An alarm that should have rung by now cannot be relied on.
        let soon_enough = self.alarm_at.get().is_some_and(|at| now < at && at <= next);
        if soon_enough { Ok(()) } else { self.set_alarm(next).await }
    }

    fn next_due(&self) -> Result<Option<Timestamp>, PublishError> {
        let db = self.platform.db();
        Ok(self.outbox().next_due()?.into_iter().chain(self.events_due()?).chain(search::due(db)?).min())
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
    pub fn alarm(self: &Rc<Self>) -> LocalBoxFuture<'_, Result<(), PublishError>> {
        async move {
            self.alarm_at.set(None);
            if let Err(error) = self.publish_due().await {
                self.platform.log(Task::Publishing, &error.to_string(), None);
                // Nothing is known about the outbox: look again.
                let wait = if matches!(error, PublishError::Misplaced(_)) { MISPLACED } else { BACKSTOP };
                self.set_alarm(self.platform.now() + wait).await?;
            }
            Ok(())
        }
        .boxed_local()
    }

    async fn publish_due(self: &Rc<Self>) -> Result<(), PublishError> {
        self.open().await?;
        if restore::is_under_way(self.platform.db())? {
            // Its last page sets the alarm.
            return Ok(());
        }
        self.mark_behind();
        self.outbox().bring_back(self.platform.now())?;
        // If these cannot be cancelled, the others are published all the same.
        if let Err(error) = delivery::cancel_overdue(self.platform.db(), self.platform.now(), MOST_AT_ONCE) {
            self.platform.log(Task::Cancelling, &error.to_string(), None);
        }
        let most = match restore::done_at(self.platform.db())? {
            None => MOST_AT_ONCE,
            Some(_) => MOST_AFTER_RESTORE,
        };
        let due = self.outbox().due(self.platform.now(), most)?;
        side_by_side(due.into_iter().map(|id| self.publish(id)).collect()).await;
        if let Err(error) = self.find_keys().await {
            self.platform.log(Task::Restore, &error.to_string(), None);
        }
        // Nor do events keep keys from being published.
        if let Err(error) = self.begin_events() {
            self.platform.log(Task::Events, &error.to_string(), None);
        }
        self.keep_alarm().await
    }

    /// Tells the coordinators of these keys what holds now: as many as answer within this time.
    pub async fn tell_all(&self, ids: &[String], span: Span) -> Telling {
        let told = Cell::new(0);
        let last = Cell::new(None);
        let tell = async |id: &str| match self.tell_one(id).await {
            Ok(at) => {
                told.set(told.get() + 1);
                last.set(last.get().max(Some(at)));
            }
            Err(error) => self.platform.log(Task::Telling, &error.to_string(), None),
        };
        let some = ids.iter().take(MOST_AT_ONCE as usize);
        let all = side_by_side(some.map(|id| tell(id).boxed_local()).collect());
        if self.within(span, all.map(Ok).boxed_local()).await.is_err() {
            self.platform.log(
                Task::Telling,
                &format!("{} of {} keys told in time", told.get(), ids.len()),
                None,
            );
        }
        Telling {
            at: last.get().unwrap_or(self.platform.now()),
            pending: ids.len().saturating_sub(told.get()),
        }
    }

    /// Tells one coordinator, unless it knows already. Returns since when it has known.
    async fn tell_one(&self, id: &str) -> Result<Timestamp, PublishError> {
        // If there is nothing left to publish, that was done meanwhile, and the coordinator was told before.
        if let Some(publication) = self.outbox().publication(id)? {
            let publication = self.look_first(publication).await?;
            self.tell(&publication).await?;
        }
        let told_at = self.outbox().told_at(id)?;
        // Never later than now, even if the clock was ahead then.
        let told_at = told_at.map(|at| at.min(self.platform.now()));
        told_at.ok_or_else(|| PublishError::Untold { id: id.to_owned() })
    }

    /// Tells the coordinator, unless it knows.
    async fn tell(&self, publication: &Publication) -> Result<(), PublishError> {
        if publication.told {
            return Ok(());
        }
        let (id, version) = (&publication.record.id, publication.record.version);
        let answer = self.platform.tell(&publication.hash, &publication.record);
        let told = self.within(PATIENCE, answer).await?;
        if told.version < version {
            return Err(PublishError::OlderVersion { id: id.clone(), holds: told.version, version });
        }
        Ok(self.outbox().told(id, version, self.platform.now())?)
    }

    /// What is to be published of a key once its object was asked what it knows, if a restore has brought the key.
    async fn look_first(&self, publication: Publication) -> Result<Publication, PublishError> {
        if !publication.restored {
            return Ok(publication);
        }
        let held = self.within(PATIENCE, self.platform.held(&publication.hash)).await?;
        let (db, now) = (self.platform.db(), self.platform.now());
        match held {
            Some(held) if behind::catch_up(db, &held, now)? => {
                Ok(self.outbox().publication(&publication.record.id)?.unwrap_or(publication))
            }
            _ => Ok(publication),
        }
    }

    /// Publishes the keys that a call has changed, after the call. If there are many, the alarm does it.
    pub fn publish_after(self: &Rc<Self>, ids: Vec<String>) {
        if ids.len() > SIDE_BY_SIDE {
            return;
        }
        for id in ids {
            self.platform.spawn(self.publish(id));
        }
    }

    /// Publishes a key until it is no longer due, unless that is being done already.
    pub fn publish(self: &Rc<Self>, id: String) -> LocalBoxFuture<'static, ()> {
        let this = Rc::clone(self);
        async move {
            if !this.publishing.borrow_mut().insert(id.clone()) {
                return;
            }
            let _held = Held { publishing: &this.publishing, id: id.clone() };
            if let Err(error) = this.publish_all_of(&id).await {
                this.platform.log(Task::Publishing, &error.to_string(), None);
            }
        }
        .boxed_local()
    }

    async fn publish_all_of(self: &Rc<Self>, id: &str) -> Result<(), PublishError> {
        while let Some(publication) = self.outbox().begin(id, self.platform.now())? {
            let publication = self.look_first(publication).await?;
            self.tell(&publication).await?;
            let version = publication.record.version;
            self.put(publication).await?;
            self.outbox().published(id, version, self.platform.now())?;
        }
        Ok(())
    }

    async fn put(self: &Rc<Self>, publication: Publication) -> Result<(), PublishError> {
        let Some(kv_key) = publication.kv_key else { return Ok(()) };
        self.mark().await?;
        let record = serde_json::to_string(&publication.record)?;
        let this = Rc::clone(self);
        let put = async move { this.platform.put(&kv_key, &record).await }.boxed_local();
        match select(put, self.platform.pause(PATIENCE)).await {
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
            self.platform.log(Task::Outbox, &error.to_string(), None);
        }
    }

    pub(crate) async fn within<T>(&self, span: Span, answer: Waiting<'_, T>) -> Result<T, PublishError> {
        match select(answer, self.platform.pause(span)).await {
            Either::Left((answer, _)) => Ok(answer?),
            Either::Right(_) => Err(PublishError::Late),
        }
    }

    fn outbox(&self) -> Outbox<'_> {
        Outbox { db: self.platform.db(), policy: self.platform.policy() }
    }
}

/// Runs all of these, [`SIDE_BY_SIDE`] at a time.
async fn side_by_side(work: Vec<LocalBoxFuture<'_, ()>>) {
    stream::iter(work).for_each_concurrent(SIDE_BY_SIDE, |one| one).await;
}
