//! Limits by network, of requests that show nothing. The platform's limiter counts them, approximately: this slows down who
//! asks too often, and decides nothing that has to be exact. So what it cannot count passes.

use keyward_policy::{Realm, Route};

use super::{context::Pipeline, failures::LIMITER_WITHIN};
use crate::{client_info::ClientInfo, denial::Denial, platform::Platform};
use keyward_core::network;

impl<P: Platform> Pipeline<'_, P> {
    /// Counts a request that shows nothing, where its route has a limit for those.
    ///
    /// # Errors
    /// [`Denial::NetworkLimited`]; [`Denial::NotConfigured`] without the limiter.
    pub(crate) async fn limit_network(
        &self,
        realm: &Realm,
        route: &Route,
        caller: ClientInfo<'_>,
    ) -> Result<(), Denial> {
        let Some(limit) = route.limit_by_network else { return Ok(()) };
        if !self.platform.has_limiter(limit.binding) {
            return Err(Denial::NotConfigured { what: limit.binding });
        }
        let network = network::of(caller.address.unwrap_or_default());
        let key = format!("{} {} {} {network}", realm.id, route.methods.join(","), route.path.source);
        if self.exceeds(limit.binding, &key, self.left().min(LIMITER_WITHIN)).await {
            return Err(Denial::NetworkLimited { retry_after: limit.period });
        }
        Ok(())
    }
}
