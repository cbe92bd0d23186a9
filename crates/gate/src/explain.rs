//! What the gate would decide about a request that nobody sent, step by step, and which routes a key may call.
//!
//! It is the decision itself that is asked: [`find_route`], [`admission::ask`], [`pipeline::recognise`] and [`gate::decide`],
//! in the order in which a request goes through them. Left out is what has an effect or depends on others: limits,
//! penalties, links (which work once), tokens and signatures. The steps that passed are those before the
//! [one at which it was denied](Denial::step), so a request pays nothing for them.

mod routes;

use std::rc::Rc;

use keyward_policy::{
    CredentialSource, HostPattern, KeyRequirement, Policy, Realm, Requirement, Route, SourceKind,
};
use serde_json::Value;

use crate::{
    admission::{self, Asked},
    client_info::ClientInfo,
    credential::{self, Credential, Kind},
    denial::{Denial, step::Step},
    gate::{self, RequestContext},
    handle::{Gate, Routing, find_route},
    identity_token::keys,
    jwt::Claims,
    pipeline,
    platform::Platform,
    refusal::{self, words},
    request::{Client, RequestParts},
};
use keyward_core::{
    entropy::Entropy,
    json::object_of,
    key,
    question::{Question, SupposedRequest},
    record::{Cost, KeyKind, Limits, Mode, Record, Window},
    request_target::RequestTarget,
    route::builtin_route,
    secret::{Secret, Secrets},
    time::{Span, Timestamp},
};
use keyward_limits::limit::WindowState;

impl<P: Platform> Gate<'_, P> {
    /// The answer to a question, as JSON. `own_host`: the host that it was asked at.
    pub fn answer(&self, policy: &'static Policy, question: &Question, own_host: &str) -> Value {
        let explainer = Explainer {
            policy,
            question,
            secrets: self.secrets.as_deref().map_err(Clone::clone),
            now: self.platform.now(),
            secret: &|name| self.platform.secret(name),
            has_limiter: &|name| self.platform.has_limiter(name),
        };
        match &question.request {
            Some(request) => explainer.explain(request, own_host),
            None => explainer.routes(),
        }
    }
}

/// In place of every secret where there is no deployment: one that nobody has, in a form that each may have (32 bytes in base64).
const NOBODYS: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// The answer to a question that is asked of a policy alone, without a deployment: as JSON. Where that needs a secret, there is
/// one that nobody has.
pub fn answer_without_deployment(policy: &'static Policy, question: &Question, now: Timestamp) -> Value {
    let secrets = Secrets::new(NOBODYS, None);
    let explainer = Explainer {
        policy,
        question,
        secrets: Ok(&secrets),
        now,
        secret: &|_| Some(Secret::new(NOBODYS)),
        has_limiter: &|_| true,
    };
    match &question.request {
        Some(request) => explainer.explain(request, "localhost"),
        None => explainer.routes(),
    }
}

/// What an answer is made from.
struct Explainer<'a> {
    policy: &'static Policy,
    question: &'a Question,
    secrets: Result<&'a Secrets, Denial>,
    now: Timestamp,
    secret: &'a dyn Fn(&str) -> Option<Secret>,
    has_limiter: &'a dyn Fn(&str) -> bool,
}

/// A request that nobody sent, with its URL.
struct Supposed<'a> {
    request: &'a SupposedRequest,
    url: String,
}

impl RequestParts for Supposed<'_> {
    fn method(&self) -> &str {
        &self.request.method
    }

    fn url(&self) -> &str {
        &self.url
    }

    fn header(&self, name: &str) -> Option<String> {
        match name {
            "cf-connecting-ip" => self.request.address.clone(),
            "origin" => self.request.origin.clone(),
            _ => None,
        }
    }

    fn tls_version(&self) -> Option<String> {
        Some("TLSv1.3".to_owned())
    }

    fn country(&self) -> Option<String> {
        None
    }

    fn colo(&self) -> Option<String> {
        None
    }

    fn has_body(&self) -> bool {
        false
    }

    async fn has_content(&self, _: Span) -> bool {
        false
    }

    async fn body(&self, _: usize, _: Span, _: bool, _: impl FnMut(&[u8])) -> Result<(), Denial> {
        Ok(())
    }
}

/// Where a key and a token may stand in one request: in different headers, or the token in none.
fn places(realm: &Realm) -> (Option<&CredentialSource>, Option<&CredentialSource>) {
    let of = |kind: SourceKind| realm.credentials.iter().filter(move |source| source.kind == kind);
    let beside = |key: &CredentialSource| of(SourceKind::Jwt).find(|token| token.header != key.header);
    let both = of(SourceKind::Key).find_map(|key| Some((Some(key), Some(beside(key)?))));
    both.unwrap_or_else(|| (of(SourceKind::Key).next().or(realm.credentials.first()), None))
}

/// The steps that passed, each with what holds.
#[derive(Default)]
struct Trail(Vec<(Step, Option<String>)>);

impl Trail {
    /// Those of these steps, in their order, that come before the one at which it was denied.
    fn note(&mut self, steps: &[Step], denial: Option<&Denial>, detail: &dyn Fn(Step) -> Option<String>) {
        let failed = denial.map(Denial::step);
        for step in steps.iter().take_while(|step| Some(**step) != failed) {
            self.0.push((*step, detail(*step)));
        }
    }
}

/// What is decided where nothing denies it.
enum Decided {
    Passes,
    /// A link is followed, which only following it decides about.
    LinkFollowed,
}

impl Explainer<'_> {
    fn explain(&self, request: &SupposedRequest, own_host: &str) -> Value {
        let url = format!("https://{}{}", self.host(request, own_host), request.path);
        let supposed = Supposed { request, url };
        let target = RequestTarget::of(&supposed.url);
        if builtin_route(self.policy, target).is_some() {
            return of_own_path();
        }
        let client = Client::of(&supposed);
        let mut trail = Trail::default();
        let (mut realm, mut route) = (None, None);
        let found = find_route(self.policy, &supposed, target, &client, "").map_err(|(answers, denial)| {
            realm = answers;
            denial
        });
        if let Ok(Routing::Route(its_realm, its_route, _)) = &found {
            (realm, route) = (Some(*its_realm), Some(*its_route));
        }
        trail.note(&Step::OF_ROUTE, found.as_ref().err(), &|step| match step {
            Step::Realm => realm.map(|realm| realm.id.to_owned()),
            Step::Route => route.map(|route| format!("{} {}", route.methods().join(", "), route.path.source)),
            _ => None,
        });
        let decided = found.and_then(|_| match (realm, route) {
            (Some(realm), Some(route)) => {
                let tenant = realm.tenant_of(target.host);
                let caller = ClientInfo { tenant, ..client.info(&request.method) };
                self.decide(realm, route, target, caller, request.session_id.as_deref(), &mut trail)
            }
            // A preflight, which is none without the header that asks for a method.
            _ => Err(Denial::Internal),
        });
        let denial = decided.as_ref().err();
        let told = denial.map(|denial| refusal::told(denial, realm));
        let mut steps: Vec<Value> = Vec::new();
        for (step, detail) in trail.0 {
            steps.push(shown(step, true, detail.into()));
        }
        if let (Some(denial), Some((_, detail))) = (denial, &told) {
            steps.push(shown(denial.step(), false, (&**detail).into()));
        }
        if let Ok(Decided::LinkFollowed) = decided {
            steps.push(shown(
                Step::Link,
                false,
                "A link works once. Whether this one does is not tried here.".into(),
            ));
        }
        object_of(&mut [
            ("allowed", matches!(decided, Ok(Decided::Passes)).into()),
            ("status", denial.map(|denial| refusal::status(denial, realm)).into()),
            ("code", told.map(|(code, _)| code).into()),
            ("realm", realm.map(|realm| realm.id).into()),
            (
                "route",
                route.map_or(Value::Null, |route| {
                    object_of(&mut [("methods", list(route.methods())), ("path", route.path.source.into())])
                }),
            ),
            ("steps", steps.into()),
        ])
    }

    /// The host that a request is supposed to be sent to: the one that it names, else one of the realm that is named, else of the
    /// key's. What the realm has patterns for is filled in.
    fn host(&self, request: &SupposedRequest, own: &str) -> String {
        if let Some(host) = &request.host {
            return host.clone();
        }
        let of_key = || self.question.record.as_ref().map(|record| &record.realm);
        let realm = self.question.realm.as_ref().or_else(of_key).and_then(|id| self.policy.realm(id));
        let code = self.question.tenant.code.as_deref();
        let hosts = realm.map_or(&[] as &[_], |realm| realm.hosts);
        let host =
            hosts.iter().filter(|_| !hosts.iter().any(|host| host.matches(own))).find_map(
                |host| match host {
                    HostPattern::Any => None,
                    HostPattern::Exact(host) => Some((*host).to_owned()),
                    HostPattern::Below(domain) => Some(format!("any{domain}")),
                    HostPattern::Tenant(domain) => code.map(|code| format!("{code}{domain}")),
                },
            );
        host.unwrap_or_else(|| own.to_owned())
    }

    /// What is decided on a route.
    fn decide(
        &self,
        realm: &Realm,
        route: &'static Route,
        target: RequestTarget<'_>,
        caller: ClientInfo<'_>,
        session_id: Option<&str>,
        trail: &mut Trail,
    ) -> Result<Decided, Denial> {
        let secrets = self.secrets.clone()?;
        if realm.identity.is_some() {
            keys::signing(self.secret)?;
        }
        let key = self.key(realm, secrets);
        // Tokens are not tried here: one that is in order, of the key's tenant, is supposed beside a key that needs it.
        let beside = match &route.requires {
            Requirement::Key(requirement) if requirement.all => Some(Claims::supposed()),
            _ => None,
        };
        let (source, tokens) = places(realm);
        let cookie = realm.token_cookies().next().filter(|_| tokens.is_none());
        let header = |name: &str| match &key {
            Some(key) if source.is_some_and(|source| source.header == name) => {
                source.map(|source| credential::written(source, key.expose()))
            }
            _ if beside.is_some() && tokens.is_some_and(|source| source.header == name) => {
                tokens.map(|source| credential::written(source, "token"))
            }
            _ if beside.is_some() && name == "cookie" => cookie.map(|cookie| format!("{cookie}=token")),
            _ if realm.session_id_header == Some(name) => session_id.map(str::to_owned),
            _ => None,
        };
        let asked = admission::ask(realm, route, target, caller.method, Some(secrets), &header);
        trail.note(&[Step::Credential], asked.as_ref().err(), &|_| Some(wanted(&route.requires)));
        let (asked, session_id) = asked?;
        if session_id.is_some() {
            trail.0.push((Step::Session, session_id));
        }
        let (requirement, text) = match asked {
            Asked::Nothing => {
                if let Some(limit) = route.limit_by_network {
                    if !(self.has_limiter)(limit.binding) {
                        return Err(Denial::NotConfigured { what: limit.binding });
                    }
                    trail.0.push((Step::Limit, Some("by network".to_owned())));
                }
                return Ok(Decided::Passes);
            }
            Asked::Link(..) => return Ok(Decided::LinkFollowed),
            Asked::Webhook(webhook) => {
                let secrets = admission::webhook_secrets(webhook, self.secret)?;
                let begun = gate::begin_webhook(webhook, &secrets, &|_| None, self.now);
                return Err(begun.err().unwrap_or(Denial::Internal));
            }
            Asked::Credential(requirement, Credential { kind: Kind::Key, text, .. }) => (requirement, text),
            Asked::Credential(..) => return Err(Denial::KeyAsToken),
            Asked::Both { requirement, key, .. } => (requirement, key),
        };
        let record = self.record(realm, secrets, &text)?;
        let context = ClientInfo { token: beside.as_ref(), ..caller }.at(self.now);
        let decided = gate::decide(realm, requirement, &record, context);
        trail.note(&Step::OF_KEY, decided.as_ref().err(), &|step| holds(step, requirement, &record, context));
        decided?;
        check_cost(requirement.cost, record.limits)?;
        trail.0.push((Step::Limit, limits(requirement.cost, record.limits)));
        Ok(Decided::Passes)
    }

    /// The key that the request shows. Where only its record is known, one of the same form that nobody has.
    fn key(&self, realm: &Realm, secrets: &Secrets) -> Option<Secret> {
        /// A source without randomness: what is made is not kept.
        struct Zeros;
        impl Entropy for Zeros {
            fn fill(&mut self, buffer: &mut [u8]) {
                buffer.fill(0);
            }
        }
        let Question { key, record, .. } = self.question;
        if let Some(key) = key {
            return Some(Secret::new(key.as_str()));
        }
        let record = record.as_ref()?;
        let format = &self.policy.realm(&record.realm).unwrap_or(realm).key;
        let part =
            key::tenant_part(format, &record.tenant.id, record.tenant.code.as_deref()).unwrap_or("none");
        Some(key::generate(format, part, record.mode, secrets, &mut Zeros))
    }

    /// The record of that key. Keys that stand in the policy are there for their own tenant only.
    fn record(&self, realm: &Realm, secrets: &Secrets, key: &Secret) -> Result<Rc<Record>, Denial> {
        let Question { tenant, record, .. } = self.question;
        if let Some(found) = pipeline::recognise(realm, secrets, key)? {
            let whose = found.tenant.id.as_str();
            if whose.is_empty() || whose == tenant.id || Some(whose) == tenant.code.as_deref() {
                return Ok(found);
            }
            pipeline::recognise(&Realm { static_keys: &[], ..*realm }, secrets, key)?;
        }
        let mut record = record.clone().ok_or(pipeline::UNKNOWN)?;
        if record.realm.is_empty() {
            realm.id.clone_into(&mut record.realm);
        }
        Ok(Rc::new(record))
    }
}

/// Of Keyward's own paths no realm decides: these are looked at first.
fn of_own_path() -> Value {
    let why = "Keyward itself answers at this path: no realm gets to see it.";
    object_of(&mut [
        ("allowed", false.into()),
        ("status", Value::Null),
        ("code", Value::Null),
        ("realm", Value::Null),
        ("route", Value::Null),
        ("steps", vec![shown(Step::Url, true, Value::Null), shown(Step::Realm, false, why.into())].into()),
    ])
}

fn shown(step: Step, ok: bool, detail: Value) -> Value {
    object_of(&mut [("step", step.name().into()), ("ok", ok.into()), ("detail", detail)])
}

fn list(names: &[&str]) -> Value {
    let mut list: Vec<Value> = Vec::new();
    for name in names {
        list.push((*name).into());
    }
    list.into()
}

/// What a route asks for.
fn wanted(requirement: &Requirement) -> String {
    match requirement {
        Requirement::Public => "nothing".to_owned(),
        Requirement::Webhook(_) => "a webhook's signature".to_owned(),
        Requirement::Key(requirement) => {
            let or_nothing = if requirement.optional { ", or nothing" } else { "" };
            words::kinds(requirement.by, if requirement.all { "and" } else { "or" }) + or_nothing
        }
    }
}

/// What made a step of [`gate::decide`] pass; `None` where there is nothing to know.
fn holds(
    step: Step,
    requirement: &KeyRequirement,
    record: &Record,
    context: RequestContext<'_>,
) -> Option<String> {
    let publishable = record.kind == KeyKind::Publishable;
    let word = match step {
        Step::Key => record.id.as_str(),
        Step::Expiry => return record.expires_at.map(Timestamp::to_rfc3339),
        Step::Plan => return record.tenant.plan.clone(),
        Step::Address => &record.allowed_ips.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        Step::Kind if publishable => "publishable",
        Step::Kind => "secret",
        Step::Origin if publishable => context.origin.unwrap_or_default(),
        Step::Mode if record.mode == Mode::Test => "test",
        Step::Mode => "live",
        Step::Scopes => &requirement.scopes.join(" "),
        _ => "",
    };
    (!word.is_empty()).then(|| word.to_owned())
}

/// Whether a request fits into every limit while nothing of it is used up.
fn check_cost(cost: Cost, limits: Limits) -> Result<(), Denial> {
    let unused = |(window, limit)| WindowState {
        window,
        limit,
        remaining: limit,
        reset: Span::ZERO,
        of_tenant: false,
    };
    let windows: Vec<_> = limits.set().map(unused).collect();
    if windows.iter().all(|state| state.has_room(cost)) {
        return Ok(());
    }
    Err(Denial::RateLimited { windows, cost, retry_after: Span::ZERO })
}

/// What limits hold, whatever of them is used up, and what the request counts as.
fn limits(cost: Cost, limits: Limits) -> Option<String> {
    let set = Window::LIMITS.into_iter().filter_map(|window| Some((window, limits.get(window)?)));
    let set = set.map(|(window, most)| format!("{most} {}", window.phrase()));
    let set = set.collect::<Vec<_>>().join(", ");
    let counts = if cost.is_one() { String::new() } else { format!("; it counts as {}", cost.units()) };
    (!set.is_empty()).then_some(set + &counts)
}
