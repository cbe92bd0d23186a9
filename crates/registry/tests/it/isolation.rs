//! Tenants are apart: whatever one calls, it neither learns nor changes anything of another. An id
//! of another tenant is answered as one that does not exist.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

use keyward_core::sql::Sql;
use keyward_testing::registry_fixture::{Answer, RegistryFixture};
use proptest::prelude::*;
use serde_json::{Value, json};

/// Two tenants with everything that a tenant can have.
struct Town {
    fixture: RegistryFixture,
    /// Credentials of the tenant that calls.
    callers: Vec<String>,
    /// Its own ids: two keys, two members.
    own: Vec<String>,
    /// The other tenant, and its ids in the same order.
    other_tenant: String,
    other: Vec<String>,
    other_cursor: String,
}

impl Town {
    fn new() -> Self {
        let (fixture, operator) = RegistryFixture::open();
        let mut sides = ["north", "south"].map(|name| {
            let (owner, tenant) = fixture.tenant(&operator, name);
            let (admin, admin_id) = fixture.member(&owner, &format!("admin@{name}.example"), "admin");
            let (viewer, viewer_id) = fixture.member(&owner, &format!("viewer@{name}.example"), "viewer");
            let fields = json!({"name": format!("{name} machine"), "scopes": ["*"], "tags": [name], "metadata": {"of": name}});
            let machine = fixture.key(&owner, fields).key_id();
            let plain = fixture.key(&owner, json!({"name": format!("{name} plain")})).key_id();
            let cursor = fixture.get(&owner, "/api-keys?limit=1").body["nextCursor"].as_str().unwrap().to_owned();
            let callers = vec![owner, admin, viewer, format!("key:{machine}")];
            (tenant, callers, vec![machine, plain, admin_id, viewer_id], cursor)
        });
        let (_, callers, own, _) = std::mem::take(&mut sides[0]);
        let (other_tenant, _, other, other_cursor) = std::mem::take(&mut sides[1]);
        Self { fixture, callers, own, other_tenant, other, other_cursor }
    }

    /// Everything that is stored of the other tenant.
    fn others_rows(&self) -> Vec<Value> {
        let mut rows = Vec::new();
        for table in self.fixture.db.tables() {
            let columns = self.fixture.db.run(&format!("PRAGMA table_info({table})"), &[]).unwrap();
            if columns.iter().any(|column| column["name"] == "tenant_id") {
                let own = format!("SELECT * FROM {table} WHERE tenant_id = ?");
                rows.extend(self.fixture.db.run(&own, &[self.other_tenant.as_str().into()]).unwrap());
            }
        }
        let tenant = [self.other_tenant.as_str().into()];
        rows.extend(self.fixture.db.run("SELECT * FROM tenants WHERE id = ?", &tenant).unwrap());
        rows
    }
}

/// One call: who, what, on whose id.
#[derive(Clone, Debug)]
struct Attempt {
    caller: usize,
    call: usize,
    target: usize,
    foreign: bool,
    body: usize,
}

const CALLS: [(&str, &str); 25] = [
    ("GET", "/api-keys"),
    ("GET", "/api-keys?limit=1&cursor=CURSOR"),
    ("GET", "/api-keys?q=south"),
    ("GET", "/api-keys?q=ID"),
    ("POST", "/api-keys"),
    ("GET", "/api-keys/ID"),
    ("GET", "/api-keys/ID/usage"),
    ("PATCH", "/api-keys/ID"),
    ("POST", "/api-keys/ID/revoke"),
    ("POST", "/api-keys/ID/rotate"),
    ("GET", "/members"),
    ("PATCH", "/members/ID"),
    ("DELETE", "/members/ID"),
    ("GET", "/audit"),
    ("GET", "/audit?cursor=CURSOR"),
    ("GET", "/audit/verify"),
    ("GET", "/events"),
    ("GET", "/events/endpoints"),
    ("POST", "/events/endpoints/main/replay"),
    ("GET", "/realms"),
    ("GET", "/routes?keyId=ID"),
    ("GET", "/session"),
    ("GET", "/tenants"),
    ("POST", "/tenants"),
    ("PATCH", "/tenants/TENANT"),
];

fn body(number: usize) -> Value {
    match number {
        0 => json!({}),
        1 => json!({"name": "changed", "scopes": ["orders:read"]}),
        2 => json!({"name": "changed", "tags": ["x"]}),
        3 => json!({"revokeOld": true}),
        4 => json!({"role": "owner"}),
        5 => json!({"password": "a new long password"}),
        _ => json!({"status": "INACTIVE"}),
    }
}

fn attempts() -> impl Strategy<Value = Vec<Attempt>> {
    let attempt = (0..4_usize, 0..CALLS.len(), 0..4_usize, prop::bool::weighted(0.7), 0..7_usize);
    let attempt = attempt.prop_map(|(caller, call, target, foreign, body)| Attempt {
        caller,
        call,
        target,
        foreign,
        body,
    });
    prop::collection::vec(attempt, 1..40)
}

/// What an answer tells, with the id that was asked for taken out.
fn told(answer: &Answer, id: &str) -> (u16, String) {
    (answer.status, answer.text.replace(id, "ID"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn no_call_reveals_or_changes_anything_of_another_tenant(attempts in attempts()) {
        let town = Town::new();
        let before = town.others_rows();
        prop_assert!(before.len() > 10);
        for Attempt { caller, call, target, foreign, body: number } in attempts {
            let (method, path) = CALLS[call];
            let id = if foreign { &town.other[target] } else { &town.own[target] };
            let send = |id: &str, cursor: &str, tenant: &str| {
                let path = path.replace("ID", id).replace("CURSOR", cursor).replace("TENANT", tenant);
                town.fixture.send(town.fixture.call(method, &town.callers[caller], &path, body(number)))
            };
            let answer = send(id, &town.other_cursor, &town.other_tenant);
            let said = answer.text.replace(id, "").to_lowercase();
            prop_assert!(!said.contains("south"), "{method} {path}: {said}");
            prop_assert!(!said.contains(&town.other_tenant), "{method} {path}: {said}");
            for id in &town.other {
                prop_assert!(!said.contains(&id.to_lowercase()), "{method} {path}: {said}");
            }
            if foreign && path.contains("ID") && !path.contains('?') {
                let nobody = format!("{}{}", &id[..4], "0".repeat(22));
                prop_assert_eq!(told(&answer, id), told(&send(&nobody, "", ""), &nobody));
                prop_assert!(answer.status >= 400);
            }
            if path.contains("CURSOR") {
                prop_assert!((400..500).contains(&answer.status), "a foreign cursor is none");
            }
        }
        prop_assert_eq!(before, town.others_rows());
    }
}
