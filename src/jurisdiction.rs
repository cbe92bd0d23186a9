//! In which jurisdiction an object was looked for. While a deployment goes out, a gate and an object may have different
//! policies: an object of another jurisdiction than the object's own policy says must not answer, nor ask others for anything.

use worker::{Request, Response, Result};

use super::policy;
use keyward_core::jurisdiction::check;
use keyward_policy::Jurisdiction;

/// The refusal, if the object was looked for in another jurisdiction than the policy's: `stores` asks its caller for the host.
pub fn refusal(request: &Request) -> Option<Result<Response>> {
    // Our own `stores` wrote it; a parser of URLs is a tenth of the Worker.
    let url = request.inner().url();
    let host = url.strip_prefix("https://").and_then(|rest| rest.split('/').next()).unwrap_or_default();
    let asked = host.split_once('.').map(|(name, _)| name);
    let asked = Jurisdiction::NAMES.into_iter().find(|(name, _)| Some(*name) == asked).map(|(_, it)| it);
    let misplaced = check(asked, policy::get()?.jurisdiction).err()?;
    Some(Response::error(misplaced.to_string(), 421))
}
