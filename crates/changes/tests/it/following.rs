//! However reads, relays, evictions and forgetting interleave: what an isolate counts as known, it knows.

use std::{collections::BTreeMap, rc::Rc};

use futures::executor::block_on;
use keyward_changes::{
    reader::{Reader, Remembered, Standing},
    relay::Relay,
};
use keyward_core::{
    changes::KV_LAG,
    record::Record,
    time::{HOUR, Span, Timestamp},
};
use keyward_testing::{NOON, record};
use proptest::{collection::vec, prelude::*};

use crate::common::{Log, key};

const SPAN: Span = Span::from_ms(4_750);

/// An isolate: what it knows of the log, and the version of each record that it remembers.
#[derive(Default)]
struct Isolate {
    reader: Reader,
    remembered: BTreeMap<u8, u64>,
}

/// The same log, with a relay that knows nothing.
fn evicted(relay: &Relay<Log>) -> Relay<Log> {
    let Log { clock, log, .. } = relay.upstream();
    Relay::new(Log { clock: Rc::clone(clock), log: Rc::clone(log), ..Log::default() })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_096, ..ProptestConfig::default() })]

    #[test]
    fn no_record_counts_as_one_that_holds_once_it_was_replaced_for_longer_than_the_bound(
        steps in vec((0..9_u8, 0..5_u8, 0..3_usize), 1..120),
        page in 1..4_usize,
    ) {
        let mut relay = Relay::new(Log::default());
        let log = Rc::clone(&relay.upstream().log);
        (log.borrow_mut().page, log.borrow_mut().covers) = (page, KV_LAG + HOUR);
        let mut isolates = [Isolate::default(), Isolate::default(), Isolate::default()];
        // The version of each key, and since when; and when each change was written.
        let mut keys: BTreeMap<u8, (u64, Timestamp)> = BTreeMap::new();
        let mut written = vec![NOON];
        for (step, which, index) in steps {
            let now = relay.upstream().clock.now();
            let isolate = &mut isolates[index];
            match step {
                // A key changes.
                0 | 1 => {
                    let (version, since) = keys.entry(which).or_insert((1, now));
                    (*version, *since) = (*version + 1, now);
                    log.borrow_mut().write(key(&which.to_string(), *version));
                    written.push(now);
                }
                // An isolate gets a record. KV may be behind.
                2 | 3 => {
                    let (version, since) = keys.get(&which).copied().unwrap_or((1, now));
                    let is_behind = step == 2 && version > 1 && now - since < KV_LAG;
                    isolate.reader.remembers(now);
                    isolate.remembered.insert(which, version - u64::from(is_behind));
                }
                4 | 5 => loop {
                    let call = isolate.reader.begin(SPAN, now);
                    let Ok(news) = block_on(relay.read(&call)) else { break };
                    let more = news.more;
                    if isolate.reader.take(&call, news, now) == Remembered::Forget {
                        isolate.remembered.clear();
                    }
                    isolate.reader.end(now);
                    if !more {
                        break;
                    }
                },
                6 if which == 0 => relay.upstream().clock.advance(HOUR * 13),
                6 => relay.upstream().clock.advance(Span::from_ms(i64::from(which) * 700)),
                7 => relay = evicted(&relay),
                // The log forgets what was written more than 25 hours ago.
                _ => {
                    let old = written.iter().filter(|at| now - **at > KV_LAG + HOUR).count();
                    log.borrow_mut().forget(old.saturating_sub(1) as u64);
                }
            }
            let now = relay.upstream().clock.now();
            for Isolate { reader, remembered } in &isolates {
                for (which, version) in remembered {
                    let (latest, since) = keys.get(which).copied().unwrap_or((1, now));
                    let holds = reader.is_within(SPAN, now)
                        && reader.standing(&which.to_string(), &Record { version: *version, ..record() }) == Standing::Holds;
                    prop_assert!(!holds || *version == latest || now - since < SPAN, "{which}: {version} of {latest}");
                }
            }
        }
    }
}
