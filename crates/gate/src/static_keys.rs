//! Keys that stand in the policy: found by their hash, without any store.

use std::rc::Rc;

use keyward_policy::{Realm, StaticKey};

use keyward_core::{
    key,
    record::{Record, Tenant, TenantStatus},
    secret::Secret,
};

/// The static key that this is, as the record on which every key is decided.
pub fn find(realm: &Realm, key: &Secret) -> Option<Rc<Record>> {
    key::configured(realm, key.expose()).map(|found| record(realm, found))
}

fn record(realm: &Realm, key: &StaticKey) -> Rc<Record> {
    let tenant = Tenant {
        id: key.tenant.unwrap_or_default().to_owned(),
        code: key.tenant.map(str::to_owned),
        status: TenantStatus::Active,
        plan: key.plan.map(str::to_owned),
        pool: None,
    };
    let scopes = key.scopes.iter().map(|scope| (*scope).to_owned()).collect();
    Rc::new(Record::live(key.id.to_owned(), realm.id.to_owned(), tenant, scopes))
}
