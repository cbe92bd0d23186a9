//! The admin page: its files, with its headers.

use worker::{Env, Request, Response, Result, web_sys};

use super::response;
use keyward_gate::handle::Builtin;
use keyward_registry::{admin_call::AdminReply, front};

/// What the paths of script and style sheet begin with (scripts/lib/page.mjs).
const HASHED: &str = "/page-";

/// Answers a request for the page. `path` is the one below its base.
pub async fn handle(
    request: &web_sys::Request,
    Builtin { policy, target, .. }: Builtin<'_>,
    path: &str,
    env: &Env,
) -> Result<web_sys::Response> {
    match front::page(&request.method(), path, target.scheme, &policy.admin) {
        front::Page::Reply(AdminReply { status, headers, body }) => {
            response::respond_with(request, status, headers, &body)
        }
        front::Page::File(front::File { path, headers: own }) => {
            let url = format!("{}{path}", target.origin);
            let request = Request::from(web_sys::Request::new_with_str_and_init(&url, &init(request))?);
            let response: Response = env.assets("ADMIN")?.fetch_request(request).await?;
            let response = web_sys::Response::from(response);
            let headers = response.headers();
            let init = web_sys::ResponseInit::new();
            init.set_status(response.status());
            init.set_headers(&headers);
            let file =
                web_sys::Response::new_with_opt_readable_stream_and_init(response.body().as_ref(), &init)?;
            for (name, value) in &own {
                file.headers().set(name, value)?;
            }
            // Its name has the hash of what is in it: what is under this name stays the same.
            if path.starts_with(HASHED) && file.ok() {
                file.headers().set("Cache-Control", "public, max-age=31536000, immutable")?;
            }
            Ok(file)
        }
    }
}

/// Method and validators of the client; nothing else of it concerns a file.
fn init(request: &web_sys::Request) -> web_sys::RequestInit {
    let init = web_sys::RequestInit::new();
    init.set_method(&request.method());
    if let (Ok(headers), Ok(Some(tag))) = (web_sys::Headers::new(), request.headers().get("if-none-match"))
        && headers.set("If-None-Match", &tag).is_ok()
    {
        init.set_headers(&headers);
    }
    init
}
