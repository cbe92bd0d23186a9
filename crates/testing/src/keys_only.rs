//! [`only_keys!`](crate::only_keys): the rest of a platform on which only keys are decided.

/// Of [`Platform`](keyward_gate::platform::Platform) what deciding about keys does not ask for: there are no links, tokens
/// or secrets. An implementation adds the stores, the change log, the limiter of failures and the clock.
#[macro_export]
macro_rules! only_keys {
    () => {
        async fn redeem(
            &self,
            _: &keyward_core::link::Redeem,
            _: keyward_core::time::Span,
        ) -> Result<keyward_core::link::Redeemed, keyward_core::unavailable::CallFailed> {
            Err(keyward_core::unavailable::CallFailed::because("there is no link"))
        }

        async fn registry_health(
            &self,
            _: keyward_core::time::Span,
        ) -> Result<keyward_core::registry_call::RegistryHealth, keyward_core::unavailable::CallFailed> {
            Ok(keyward_core::registry_call::RegistryHealth::default())
        }

        async fn fetch(
            &self,
            _: &str,
            _: keyward_core::time::Span,
        ) -> Result<String, keyward_core::unavailable::CallFailed> {
            Err(keyward_core::unavailable::CallFailed::because("there is no issuer"))
        }

        async fn send_form(
            &self,
            _: &str,
            _: &str,
            _: Option<&keyward_core::secret::Secret>,
            _: keyward_core::time::Span,
        ) -> Result<String, keyward_core::unavailable::CallFailed> {
            Err(keyward_core::unavailable::CallFailed::because("there is no issuer"))
        }

        async fn verify(
            &self,
            _: keyward_policy::jwk::Signed<'_>,
        ) -> Result<bool, keyward_policy::jwk::UnfitKey> {
            Ok(false)
        }

        async fn public_key(
            &self,
            _: &keyward_core::secret::Seed,
        ) -> Result<String, keyward_core::unavailable::CallFailed> {
            Err(keyward_core::unavailable::CallFailed::because("there is no key"))
        }

        async fn sign(
            &self,
            _: &keyward_core::secret::Seed,
            _: &[u8],
        ) -> Result<[u8; 64], keyward_core::unavailable::CallFailed> {
            Err(keyward_core::unavailable::CallFailed::because("there is no key"))
        }

        fn random(&self) -> [u8; 16] {
            [0; 16]
        }

        fn secret(&self, _: &str) -> Option<keyward_core::secret::Secret> {
            None
        }

        fn has_binding(&self, _: &str) -> bool {
            true
        }

        fn has_limiter(&self, _: &str) -> bool {
            true
        }

        fn has_handler(&self, _: &str) -> bool {
            true
        }

        fn log(&self, _: &keyward_core::log::Event<'_>) {}

        fn count(&self, _: &keyward_core::data_point::DataPoint<'_>) {}

        fn waits(&self) -> keyward_gate::platform::Waits {
            keyward_gate::platform::Waits::default()
        }
    };
}
