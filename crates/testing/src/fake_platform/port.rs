//! What the gate asks of it.

use keyward_core::{
    changes::{News, ReadChanges},
    data_point::DataPoint,
    link::{Redeem, Redeemed},
    log::Event,
    registry_call::RegistryHealth,
    secret::{Secret, Seed},
    time::{Span, Timestamp},
    unavailable::CallFailed,
};
use keyward_gate::platform::{Platform, Waits};
use keyward_limits::{lease::Grantor, wire::CoordinatorCall};
use keyward_policy::jwk::{Signed, UnfitKey, software};
use serde::de::DeserializeOwned;

use super::{FakePlatform, Fault};

impl Platform for FakePlatform {
    async fn read(&self, kv_key: &str, within: Span) -> Result<Option<String>, CallFailed> {
        self.asked.borrow_mut().push("KV".into());
        let said = self.suffer(self.kv_fault.get(), within)?;
        Ok(said.map(str::to_owned).or_else(|| self.kv.borrow().get(kv_key).cloned()))
    }

    async fn coordinator<T: DeserializeOwned>(
        &self,
        hash: &str,
        grantor: Grantor,
        call: &CoordinatorCall,
        within: Span,
    ) -> Result<T, CallFailed> {
        // Over the wire and back, as in the runtime.
        let call: CoordinatorCall = keyward_json::from_str(&serde_json::to_string(call).unwrap()).unwrap();
        let op = serde_json::to_value(&call).unwrap()["op"].as_str().unwrap().to_owned();
        self.asked.borrow_mut().push(format!("{grantor:?} {op}"));
        if let Some(meanwhile) = &*self.meanwhile.borrow() {
            meanwhile(self, &call, within);
        }
        let fault = match grantor {
            Grantor::Relay => self.relay_fault.get(),
            Grantor::Coordinator => self.fault_of_gate(hash),
        };
        if let Some(said) = self.suffer(fault, within)? {
            return keyward_json::from_str(said).map_err(CallFailed::because);
        }
        let answer = match grantor {
            Grantor::Relay => self.relay(hash, call, within)?,
            Grantor::Coordinator => {
                let mut gates = self.gates.borrow_mut();
                gates.entry(hash.to_owned()).or_default().answer(call, self.clock.now()).unwrap().0
            }
        };
        let mut slow = self.slow_answers.take();
        let takes = slow.pop().unwrap_or_default();
        self.slow_answers.set(slow);
        self.suffer(Some(Fault::Slow(takes)), within)?;
        Ok(keyward_json::from_str(&answer).unwrap())
    }

    async fn changes(&self, _: u32, call: &ReadChanges, within: Span) -> Result<News, CallFailed> {
        // Until a test has a log, there is one that says of nothing that it holds.
        let Some(log) = &*self.log.borrow() else { return Ok(News::default()) };
        self.asked.borrow_mut().push("changes".to_owned());
        if let Some(said) = self.suffer(self.log_fault.get(), within)? {
            return keyward_json::from_str(said).map_err(CallFailed::because);
        }
        Ok(log.read(call))
    }

    async fn exceeds(&self, limiter: &str, key: &str, within: Span) -> Result<bool, CallFailed> {
        self.asked.borrow_mut().push(limiter.into());
        match self.suffer(self.limiter_fault.get(), within)? {
            Some(_) => Err(CallFailed::because("no answer that can be read")),
            None => {
                let mut failures = self.failures.borrow_mut();
                let count = failures.entry(key.to_owned()).or_default();
                *count += 1;
                let too_many = self.most_failures.get().is_some_and(|most| *count > most);
                Ok(too_many || self.limited_addresses.borrow().contains(key))
            }
        }
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    async fn wait(&self, span: Span) {
        self.clock.advance(span);
    }

    async fn redeem(&self, call: &Redeem, within: Span) -> Result<Redeemed, CallFailed> {
        self.asked.borrow_mut().push("Registry redeem".into());
        if let Some(said) = self.suffer(self.registry_fault.get(), within)? {
            return keyward_json::from_str(said).map_err(CallFailed::because);
        }
        let mut links = self.links.borrow_mut();
        let link = links.get_mut(&call.hash).ok_or_else(|| CallFailed::because("there is none"))?;
        let answer = link.clone();
        if matches!(answer, Redeemed::Granted(_)) {
            *link = Redeemed::Used;
        }
        Ok(answer)
    }

    async fn fetch(&self, url: &str, within: Span) -> Result<String, CallFailed> {
        self.asked.borrow_mut().push(format!("GET {url}"));
        match self.suffer(self.issuer_fault.get(), within)? {
            Some(said) => Ok(said.to_owned()),
            None => self.web.borrow().get(url).cloned().ok_or(CallFailed::Status(500)),
        }
    }

    async fn send_form(
        &self,
        url: &str,
        form: &str,
        authorization: Option<&Secret>,
        within: Span,
    ) -> Result<String, CallFailed> {
        let authorization = authorization.map(|it| format!(" as {}", it.expose())).unwrap_or_default();
        self.asked.borrow_mut().push(format!("POST {url} {form}{authorization}"));
        match self.suffer(self.issuer_fault.get(), within)? {
            Some(said) => Ok(said.to_owned()),
            None => self.web.borrow().get(url).cloned().ok_or(CallFailed::Status(400)),
        }
    }

    async fn verify(&self, signed: Signed<'_>) -> Result<bool, UnfitKey> {
        software::verify(signed)
    }

    async fn public_key(&self, seed: &Seed) -> Result<String, CallFailed> {
        Ok(software::ed25519_public_key(seed.expose()))
    }

    async fn sign(&self, seed: &Seed, text: &[u8]) -> Result<[u8; 64], CallFailed> {
        self.asked.borrow_mut().push("signature".to_owned());
        match self.sign_fault.get() {
            Some(why) => Err(CallFailed::because(why)),
            None => Ok(software::ed25519_sign(seed.expose(), text)),
        }
    }

    async fn registry_health(&self, within: Span) -> Result<RegistryHealth, CallFailed> {
        self.asked.borrow_mut().push("Registry ready".into());
        match self.suffer(self.registry_fault.get(), within)? {
            Some(said) => keyward_json::from_str(said).map_err(CallFailed::because),
            None => Ok(self.registry.borrow().clone()),
        }
    }

    fn random(&self) -> [u8; 16] {
        self.randoms.set(self.randoms.get() + 1);
        u128::from(self.randoms.get()).to_be_bytes()
    }

    fn has_binding(&self, name: &str) -> bool {
        !self.unbound.borrow().contains(name)
    }

    fn has_limiter(&self, name: &str) -> bool {
        self.has_binding(name)
    }

    fn has_handler(&self, name: &str) -> bool {
        !self.unbound.borrow().contains(name)
    }

    fn log(&self, event: &Event<'_>) {
        self.logged.borrow_mut().push(event.line());
    }

    fn count(&self, point: &DataPoint<'_>) {
        self.points.borrow_mut().push(serde_json::to_string(point).unwrap());
    }

    fn waits(&self) -> Waits {
        self.waits.get()
    }

    fn secret(&self, name: &str) -> Option<Secret> {
        self.named_secrets.borrow().get(name).map(|text| Secret::new(*text))
    }
}
