//! Slows guessing. Nobody is locked out: waits grow to a bound, and a person at a known network does not wait for
//! strangers' failures. `docs/threat-model.md` has the sums.

use keyward_core::{
    key::hex,
    network,
    sql::{self, Sql, SqlError},
    time::{Span, Timestamp},
};
use sha2::{Digest, Sha256};

use crate::{
    context::RequestContext,
    error::{ApiError, Code},
    handler::HandlerError,
    rows,
};

/// Failures that cost no wait, where waits grow.
const FREE_FAILURES: u32 = 5;
/// The first wait, which doubles with each failure, and the longest.
const FIRST_WAIT: Span = Span::from_secs(1);
const LONGEST_WAIT: Span = Span::from_mins(5);
/// Failures are forgotten after this time without another one.
const LIFE: Span = Span::from_days(1);
/// Counters that are kept at all. Of more, those that make nobody wait are removed first, then those whose waits end first, so
/// that a flood of failures pushes out itself.
const MOST_COUNTERS: i64 = 100_000;
/// How many more give way at once, so that not every failure has to look for them.
const SPARE_COUNTERS: i64 = 1_000;
/// Networks that are remembered of a member, and for how long after the last sign-in from there.
const MOST_NETWORKS: u32 = 20;
const NETWORK_LIFE: Span = Span::from_days(180);

/// How a counter makes wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pace {
    /// Some failures are free; then each wait is twice the one before.
    Growing,
    /// `burst` failures at once, and then one in each interval.
    Steady { burst: i64, interval: Span },
}

/// One thing that failures are counted of.
#[derive(Clone, Debug)]
pub struct Counter {
    subject: String,
    pace: Pace,
}

struct Row {
    failures: u32,
    at: Timestamp,
}

keyward_core::from_row!(Row { failures, at });

impl Counter {
    fn new(kind: &str, of: &str, pace: Pace) -> Self {
        // Hashed: what was typed as an address may be a password, and no row is long.
        let digest = hex(&Sha256::digest(of));
        Self { subject: format!("{kind}:{}", digest.get(..32).unwrap_or_default()), pace }
    }

    /// An e-mail address as typed from one network.
    pub fn of_pair(email: &str, address: &str) -> Self {
        Self::new("pair", &format!("{} {email}", network::of(address)), Pace::Growing)
    }

    /// An e-mail address from wherever.
    pub fn of_email(email: &str) -> Self {
        Self::new("email", email, Pace::Steady { burst: 30, interval: Span::from_mins(10) })
    }

    /// A network, whatever addresses are typed there: as many as a whole office mistypes.
    pub fn of_network(address: &str) -> Self {
        Self::new(
            "network",
            &network::of(address),
            Pace::Steady { burst: 100, interval: Span::from_secs(10) },
        )
    }

    /// A site of many networks, from each of which one could try as much: so that nobody has 65,536 times as many
    /// attempts by taking another of the own networks each time.
    fn of_site(address: &str) -> Option<Self> {
        let site = network::site_of(address)?;
        Some(Self::new("site", &site, Pace::Steady { burst: 1_000, interval: Span::from_secs(1) }))
    }

    /// The counters that hold back everybody but people who are known at the network.
    pub fn wide(email: &str, address: &str) -> Vec<Self> {
        [Self::of_email(email)].into_iter().chain(Self::of_token(address)).collect()
    }

    /// The counters of a token that is shown: there is no address that is tried.
    pub fn of_token(address: &str) -> impl Iterator<Item = Self> {
        [Self::of_network(address)].into_iter().chain(Self::of_site(address))
    }

    /// A session in which a password is asked for again.
    pub fn of_session(hash: &str) -> Self {
        Self::new("session", hash, Pace::Growing)
    }

    /// Failures that are aimed at nobody and are written down.
    pub fn of_strangers() -> Self {
        Self::new("strangers", "", Pace::Steady { burst: 20, interval: Span::from_secs(45) })
    }
}

impl RequestContext<'_> {
    /// When one more attempt is possible, if not now. While another attempt that shares the counter is still being
    /// checked, the call waits for it, at most `looks` times: that one may be no failure. `rate_limited` is how all others are
    /// refused meanwhile.
    ///
    /// # Errors
    /// [`HandlerError::Wait`]
    pub(super) fn blocked_after_others(
        &self,
        counter: &Counter,
        looks: u32,
        rate_limited: Option<ApiError>,
    ) -> Result<Option<Timestamp>, HandlerError> {
        let until = self.blocked_until(counter)?;
        let may_wait =
            || self.state.waits < looks && self.memory.attempts.may_wait(&counter.subject, self.now);
        if until.is_some() && may_wait() { Err(HandlerError::Wait(rate_limited)) } else { Ok(until) }
    }

    /// An attempt is being checked from now on.
    pub(super) fn begin(&self, counter: &Counter) {
        self.memory.attempts.begin(&counter.subject, self.now);
    }

    /// The attempt was checked.
    pub(super) fn end(&self, counter: &Counter) {
        self.memory.attempts.end(&counter.subject);
    }

    /// When one more attempt is possible, if not now.
    pub(super) fn blocked_until(&self, counter: &Counter) -> Result<Option<Timestamp>, SqlError> {
        let Some(Row { failures, at }) = self.counted(counter)? else { return Ok(None) };
        let until = match counter.pace {
            Pace::Growing => at + wait_after(failures),
            // `at` is when the bucket is empty again.
            Pace::Steady { burst, interval } => at - interval * (burst - 1),
        };
        Ok((until > self.now).then_some(until))
    }

    /// Counts a failure: before it is known to be one, so that no number of attempts at once gets more.
    pub(super) fn count(&self, counter: &Counter) -> Result<(), SqlError> {
        self.keep_if_refused();
        let row = self.counted(counter)?;
        let (failures, at) = match counter.pace {
            Pace::Growing => (row.map_or(0, |row| row.failures).saturating_add(1), self.now),
            Pace::Steady { interval, .. } => {
                let empty_at = row.map_or(self.now, |row| row.at.max(self.now));
                (0, empty_at + interval)
            }
        };
        let replace = "INSERT OR REPLACE INTO guesses (subject, failures, at) VALUES (?, ?, ?)";
        self.db.run(replace, &[counter.subject.as_str().into(), failures.into(), at.into()])?;
        self.db.run("DELETE FROM guesses WHERE at <= ?", &[(self.now - LIFE).into()])?;
        self.bound_counters()
    }

    /// How a wrong token is refused, which counts as a failure to sign in. Nobody waits who shows the right one.
    pub(super) fn count_wrong_token(&self, detail: &str) -> Result<ApiError, SqlError> {
        let mut held_until = None;
        for counter in Counter::of_token(&self.call.address) {
            held_until = held_until.max(self.blocked_until(&counter)?);
        }
        if let Some(until) = held_until {
            let detail = "Too many failed attempts. Another one is looked at after Retry-After seconds.";
            return Ok(ApiError::until(Code::TooManyAttempts, detail, self.now, until));
        }
        for counter in Counter::of_token(&self.call.address) {
            self.count(&counter)?;
        }
        Ok(ApiError::new(Code::InvalidCredentials, detail))
    }

    /// Makes room where there are too many counters.
    fn bound_counters(&self) -> Result<(), SqlError> {
        let surplus = || {
            let count = "SELECT COUNT(*) - ? FROM guesses";
            Ok(sql::scalar::<i64>(self.db, count, &[MOST_COUNTERS.into()])?.unwrap_or_default())
        };
        if surplus()? <= 0 {
            return Ok(());
        }
        // Buckets that are empty. Only where waits grow failures are counted.
        self.db.run("DELETE FROM guesses WHERE failures = 0 AND at <= ?", &[self.now.into()])?;
        let surplus = surplus()?;
        if surplus <= 0 {
            return Ok(());
        }
        let first = "DELETE FROM guesses WHERE number IN (
                SELECT number FROM guesses
                ORDER BY failures NOT BETWEEN 1 AND ?, at + iif(failures > 0, ?, 0) LIMIT ?
            )";
        let values =
            [(FREE_FAILURES - 1).into(), LONGEST_WAIT.ms().into(), (surplus + SPARE_COUNTERS).into()];
        self.db.run(first, &values)?;
        Ok(())
    }

    /// What was counted turned out to be no failure: takes all of it back where waits grow, else this one.
    pub(super) fn forgive(&self, counter: &Counter) -> Result<(), SqlError> {
        let subject = counter.subject.as_str().into();
        match counter.pace {
            Pace::Growing => self.db.run("DELETE FROM guesses WHERE subject = ?", &[subject])?,
            Pace::Steady { interval, .. } => self
                .db
                .run("UPDATE guesses SET at = at - ? WHERE subject = ?", &[interval.ms().into(), subject])?,
        };
        Ok(())
    }

    fn counted(&self, counter: &Counter) -> Result<Option<Row>, SqlError> {
        let values = [counter.subject.as_str().into(), (self.now - LIFE).into()];
        let counted = "SELECT failures, at FROM guesses WHERE subject = ? AND at > ?";
        // What was counted before the clock was set back makes wait no longer than what is counted now: beyond `latest` no
        // counter comes, and it goes on from `instead`.
        let (latest, instead) = match counter.pace {
            Pace::Growing => (self.now, self.now),
            Pace::Steady { burst, interval } => {
                (self.now + interval * burst, self.now + interval * (burst - 1))
            }
        };
        let row = sql::query_one::<Row>(self.db, counted, &values)?;
        let Some(Row { failures, .. }) = row.as_ref().filter(|row| row.at > latest) else { return Ok(row) };
        self.keep_if_refused();
        let back = "UPDATE guesses SET at = ? WHERE subject = ?";
        self.db.run(back, &[instead.into(), counter.subject.as_str().into()])?;
        Ok(Some(Row { failures: *failures, at: instead }))
    }

    /// Whether a failed attempt that was aimed at nobody may still be written down: the audit is kept
    /// for good, and strangers could fill it.
    pub(super) fn may_note_stranger(&self) -> Result<bool, SqlError> {
        let strangers = Counter::of_strangers();
        let free = self.blocked_until(&strangers)?.is_none();
        if free {
            self.count(&strangers)?;
        }
        Ok(free)
    }

    /// Whether the member has signed in from the caller's network before.
    pub(super) fn knows_network(&self, member_id: &str) -> Result<bool, SqlError> {
        let known = "SELECT 1 FROM known_networks WHERE member_id = ? AND network = ? AND seen_at > ?";
        let network = network::of(&self.call.address);
        let values = [member_id.into(), network.into(), (self.now - NETWORK_LIFE).into()];
        Ok(!self.db.run(known, &values)?.is_empty())
    }

    /// The member has shown the right password from the caller's network.
    pub(super) fn remember_network(&self, member_id: &str) -> Result<(), SqlError> {
        let network = network::of(&self.call.address);
        let columns = [
            ("member_id", member_id.into()),
            ("network", network.as_str().into()),
            ("seen_at", self.now.into()),
        ];
        let present = "DELETE FROM known_networks WHERE member_id = ? AND network = ?";
        self.db.run(present, &[member_id.into(), network.as_str().into()])?;
        rows::insert(self.db, "known_networks", &columns)?;
        let oldest = "DELETE FROM known_networks WHERE member_id = ? AND number NOT IN
            (SELECT number FROM known_networks WHERE member_id = ? ORDER BY number DESC LIMIT ?)";
        self.db.run(oldest, &[member_id.into(), member_id.into(), MOST_NETWORKS.into()])?;
        Ok(())
    }

    /// The member has another password, or is gone: whoever signed in before knows nothing any more.
    pub(super) fn forget_networks(&self, member_id: &str) -> Result<(), SqlError> {
        self.db.run("DELETE FROM known_networks WHERE member_id = ?", &[member_id.into()])?;
        Ok(())
    }
}

/// How many addresses at a network, and sessions, have to wait after failures, up to a bound.
///
/// # Errors
/// What SQLite says.
pub fn waiting(db: &dyn Sql, now: Timestamp) -> Result<u64, SqlError> {
    const MOST: u32 = 10_000;
    // As [`wait_after`]. Where waits do not grow, there are no failures.
    let waiting = "SELECT COUNT(*) FROM (SELECT 1 FROM guesses WHERE at > ? AND failures >= ?
        AND at + MIN(?, ? << MIN(failures - ?, 20)) > ? LIMIT ?)";
    let free = FREE_FAILURES;
    let values = [
        (now - LONGEST_WAIT).into(),
        free.into(),
        LONGEST_WAIT.ms().into(),
        FIRST_WAIT.ms().into(),
        free.into(),
        now.into(),
        MOST.into(),
    ];
    Ok(sql::scalar(db, waiting, &values)?.unwrap_or_default())
}

/// How long the next attempt has to wait after this number of failures.
fn wait_after(failures: u32) -> Span {
    match failures.checked_sub(FREE_FAILURES) {
        None => Span::ZERO,
        Some(doublings) => (FIRST_WAIT * (1 << doublings.min(20))).min(LONGEST_WAIT),
    }
}
