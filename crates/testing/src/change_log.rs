//! A change log as the Registry keeps it, written without SQL.

use keyward_core::{
    changes::{Change, KV_LAG, News, ReadChanges},
    time::{HOUR, Span},
};

/// The log. It begins empty and covers all that KV may lack, and an hour more.
pub struct ChangeLog {
    pub name: String,
    /// Each change with its number.
    pub changes: Vec<(u64, Change)>,
    pub last: u64,
    pub forgotten: u64,
    pub covers: Span,
    /// Most changes of one answer.
    pub page: usize,
}

impl Default for ChangeLog {
    fn default() -> Self {
        let (changes, last, forgotten) = Default::default();
        Self { name: "log".to_owned(), changes, last, forgotten, covers: KV_LAG + HOUR, page: 1_000 }
    }
}

/// What a change is of.
fn subject(change: &Change) -> &str {
    match change {
        Change::Key { hash, .. } => hash,
        Change::Tenant { tenant, .. } => &tenant.id,
        Change::Unknown => "",
    }
}

impl ChangeLog {
    pub fn write(&mut self, change: Change) {
        self.last += 1;
        self.changes.retain(|(_, known)| subject(known) != subject(&change));
        self.changes.push((self.last, change));
    }

    /// Everything up to this number is forgotten.
    pub fn forget(&mut self, number: u64) {
        self.changes.retain(|(known, _)| *known > number);
        self.forgotten = self.forgotten.max(number);
    }

    pub fn read(&self, call: &ReadChanges) -> News {
        let is_anew = call.log != self.name || !(self.forgotten..=self.last).contains(&call.after);
        let after = if is_anew { 0 } else { call.after };
        let rest = self.changes.iter().filter(|(number, _)| *number > after);
        let part: Vec<_> = rest.clone().take(self.page).cloned().collect();
        let more = rest.count() > part.len();
        let position = part.last().filter(|_| more).map_or(self.last, |(number, _)| *number);
        News {
            log: self.name.clone(),
            position,
            is_anew,
            begins: self.forgotten,
            more,
            covers: self.covers,
            age: Span::ZERO,
            changes: part.into_iter().map(|(_, change)| change).collect(),
        }
    }
}
