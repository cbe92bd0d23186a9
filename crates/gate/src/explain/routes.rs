//! The routes of a policy: what each needs, and whether a key may call it, which the decision itself says.

use keyward_policy::{KeyRequirement, Proof, Realm, Requirement, Route, TestMode, scope};
use serde_json::{Map, Value};

use super::{Decided, Explainer, Trail, list};
use crate::{client_info::ClientInfo, denial::Denial, refusal};
use keyward_core::{json::object_of, request_target::RequestTarget};

/// The id that a request is supposed to have where only its route is asked about.
const ANY_SESSION: &str = "any";

impl Explainer<'_> {
    pub(super) fn routes(&self) -> Value {
        let mut routes: Vec<Value> = Vec::new();
        for realm in self.policy.realms {
            if self.question.realm.as_ref().is_none_or(|id| realm.id == id) {
                for route in realm.routes {
                    routes.push(self.route(realm, route));
                }
            }
        }
        object_of(&mut [("routes", routes.into())])
    }

    fn route(&self, realm: &Realm, route: &'static Route) -> Value {
        let (by, requirement): (Vec<&str>, _) = match &route.requires {
            Requirement::Key(requirement) => (requirement.by.iter().map(word).collect(), requirement),
            Requirement::Public => (Vec::new(), &KeyRequirement::ANY_KEY),
            Requirement::Webhook(_) => (vec!["webhook"], &KeyRequirement::ANY_KEY),
        };
        let mut held_by_of = Map::new();
        for required in requirement.scopes {
            held_by_of.insert((*required).to_owned(), held_by(realm, required));
        }
        let test_keys = match realm.test_mode {
            _ if requirement.live_only => "none",
            TestMode::ReadOnly => "read",
            TestMode::Full => "all",
        };
        let needs = object_of(&mut [
            ("by", list(&by)),
            ("scopes", list(requirement.scopes)),
            ("heldBy", Value::Object(held_by_of)),
            ("plans", list(requirement.plans)),
            ("testKeys", test_keys.into()),
            ("sessionId", route.session_id.into()),
            ("optional", requirement.optional.into()),
            ("all", requirement.all.into()),
        ]);
        let (mut may, mut code) = (Vec::new(), None);
        for method in route.methods().iter().filter(|_| self.question.record.is_some()) {
            match self.may_call(realm, route, method) {
                Ok(_) => may.push(*method),
                Err(denial) => code = code.or(Some(refusal::told(&denial, Some(realm)).0)),
            }
        }
        let freshness = route.freshness.unwrap_or(realm.freshness).whole_secs();
        object_of(&mut [
            ("realm", realm.id.into()),
            ("methods", list(route.methods())),
            ("path", route.path.source.into()),
            ("needs", needs),
            ("freshnessSeconds", freshness.into()),
            ("cost", requirement.cost.units().into()),
            ("limitedByNetwork", route.limit_by_network.is_some().into()),
            ("mayCall", self.question.record.as_ref().map(|_| list(&may)).into()),
            ("code", code.into()),
        ])
    }

    /// Whether the key may call a route by this method: from one of its addresses and pages, and in a session.
    fn may_call(&self, realm: &Realm, route: &'static Route, method: &str) -> Result<Decided, Denial> {
        let record = self.question.record.as_ref();
        let address =
            record.and_then(|record| record.allowed_ips.first()).map(|range| range.addr().to_string());
        // Secret keys have none.
        let origin = record.and_then(|record| record.allowed_origins.first());
        let caller = ClientInfo {
            method,
            upgrades: false,
            address: address.as_deref(),
            origin: origin.map(String::as_str),
            tenant: None,
            token: None,
        };
        let target = RequestTarget::of("https://any/");
        self.decide(realm, route, target, caller, Some(ANY_SESSION), &mut Trail::default())
    }
}

/// As the policy names it.
fn word(proof: &Proof) -> &'static str {
    match proof {
        Proof::Key => "key",
        Proof::Publishable => "publishable",
        Proof::Jwt => "jwt",
        Proof::Session => "session",
    }
}

/// Scopes of the catalogue, and wildcards, each of which opens what asks for this one.
fn held_by(realm: &Realm, required: &str) -> Value {
    let mut all = vec!["*".to_owned()];
    for scope in realm.scopes {
        let areas = scope::areas(scope.name).map(|area| format!("{area}:*"));
        for held in [scope.name.to_owned()].into_iter().chain(areas) {
            if !all.contains(&held) {
                all.push(held);
            }
        }
    }
    let holds = |held: &String| scope::holds(realm.scopes, std::slice::from_ref(held), required);
    all.into_iter().filter(holds).map(Value::String).collect::<Vec<_>>().into()
}
