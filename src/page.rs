//! The admin page: its files, with its headers.

use keyward_policy::Policy;
use worker::{Env, Request, Response, Result, web_sys};

use super::http;
use keyward_core::request_target::RequestTarget;
use keyward_gate::refusal::Answer;
use keyward_registry::front;

/// Answers a request for the page. `path` is the one below its base.
pub async fn handle(
    policy: &Policy,
    request: &web_sys::Request,
    target: RequestTarget<'_>,
    path: &str,
    env: &Env,
) -> Result<web_sys::Response> {
    let mut own: Vec<(&'static str, String)> =
        front::PAGE_HEADERS.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    if target.scheme == "https" {
        let (name, value) = front::HSTS;
        own.push((name, value.to_owned()));
    }
    match front::page(&request.method(), path) {
        front::Page::Elsewhere => {
            own.push(("Location", format!("{}/", policy.admin.page)));
            http::respond(&Answer { status: 308, headers: own, body: String::new() })
        }
        front::Page::WrongMethod => {
            own.push(("Allow", "GET, HEAD".to_owned()));
            http::respond(&Answer { status: 405, headers: own, body: String::new() })
        }
        front::Page::Settings => {
            own.push(("Content-Type", "text/javascript; charset=utf-8".to_owned()));
            http::respond(&Answer { status: 200, headers: own, body: front::settings(policy.admin.api) })
        }
        front::Page::File => {
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
