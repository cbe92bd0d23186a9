//! Keys that stand in the policy: found by their hash, without any store.

use std::rc::Rc;

use keyward_policy::{Realm, StaticKey};
use sha2::{Digest, Sha256};

use keyward_core::{
    key::hex,
    record::{Record, Tenant, TenantStatus},
    secret::Secret,
};

/// The static key that this is, as the record on which every key is decided.
pub fn find(realm: &Realm, key: &Secret) -> Option<Rc<Record>> {
    if realm.static_keys.is_empty() {
        return None;
    }
    let sha256 = hex(&Sha256::digest(key.expose()));
    realm.static_keys.iter().find(|key| key.sha256 == sha256).map(|found| record(realm, found))
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
