//! A request that the policy has a route for.

use keyward_policy::{Policy, Realm, Route};
use worker::web_sys;

use super::http::Client;
use keyward_core::request_target::RequestTarget;

/// The request, and what is known of it once its route is.
#[derive(Clone, Copy)]
pub struct Routed<'a> {
    /// As it came in.
    pub request: &'a web_sys::Request,
    /// Its URL.
    pub target: RequestTarget<'a>,
    /// What was read of it.
    pub client: &'a Client,
    /// The policy.
    pub policy: &'static Policy,
    /// The realm that answers for it.
    pub realm: &'static Realm,
    /// The route that it takes.
    pub route: &'static Route,
    /// Its id.
    pub request_id: &'a str,
}
