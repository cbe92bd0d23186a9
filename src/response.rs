//! Answers of the gate's own, as the runtime's.

use wasm_bindgen::{JsValue, prelude::wasm_bindgen};
use worker::{Result, web_sys};

use keyward_gate::refusal::Answer;

#[wasm_bindgen(raw_module = "keyward-body")]
extern "C" {
    #[wasm_bindgen(catch)]
    fn answer(
        request: &web_sys::Request,
        status: u16,
        headers: Vec<String>,
        text: &str,
    ) -> std::result::Result<web_sys::Response, JsValue>;
}

/// An answer to a request of which no body is coming.
pub fn respond(answer: &Answer) -> Result<web_sys::Response> {
    let headers = web_sys::Headers::new()?;
    for (name, value) in &answer.headers {
        headers.append(name, value)?;
    }
    let init = web_sys::ResponseInit::new();
    init.set_status(answer.status);
    init.set_headers(&headers);
    let body = (!answer.body.is_empty()).then_some(answer.body.as_str());
    Ok(web_sys::Response::new_with_opt_str_and_init(body, &init)?)
}

/// An answer to this request, of which a body may still be coming.
pub fn respond_to(request: &web_sys::Request, answer: &Answer) -> Result<web_sys::Response> {
    if request.body().is_none() {
        return respond(answer);
    }
    let headers = answer.headers.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
    respond_with(request, answer.status, headers.collect(), &answer.body)
}

/// The same, in parts.
pub fn respond_with(
    request: &web_sys::Request,
    status: u16,
    headers: Vec<(String, String)>,
    body: &str,
) -> Result<web_sys::Response> {
    let headers = headers.into_iter().flat_map(|(name, value)| [name, value]).collect();
    Ok(answer(request, status, headers, body)?)
}
