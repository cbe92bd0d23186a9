//! The admin page: where its files are, and the headers that they are sent with.

use keyward_policy::{Admin, SignIn};

use crate::{
    admin_call::AdminReply,
    sessions::code,
    to_json::{ToJson, object},
};

/// Headers of everything of the admin page.
pub const PAGE_HEADERS: [(&str, &str); 8] = [
    (
        "Content-Security-Policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
         base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    ),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    (
        "Permissions-Policy",
        "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=(), \
         publickey-credentials-create=(self), publickey-credentials-get=(self)",
    ),
    // The page is small; what a deployment changes must show at once.
    ("Cache-Control", "no-cache"),
];

/// For a page that came over https: two years (RFC 6797).
pub const HSTS: (&str, &str) = ("Strict-Transport-Security", "max-age=63072000");

/// What a request for the page is answered with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Page {
    /// A file, with these header fields.
    File(File),
    /// This.
    Reply(AdminReply),
}

/// A file of the page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Its path.
    pub path: String,
    /// Its header fields.
    pub headers: Vec<(&'static str, String)>,
}

/// Answers a request for the page. `path` is the one below its base.
pub fn page(method: &str, path: &str, scheme: &str, admin: &Admin) -> Page {
    let mut headers: Vec<_> = PAGE_HEADERS.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    if scheme == "https" {
        let (name, value) = HSTS;
        headers.push((name, value.to_owned()));
    }
    let (status, own, body) = match (method, path) {
        // Relative links need the slash, and there is one name for the page's beginning.
        ("GET" | "HEAD", "" | "/index" | "/index.html") => {
            (308, ("Location", format!("{}/", admin.page)), String::new())
        }
        ("GET" | "HEAD", "/settings.js") => {
            (200, ("Content-Type", "text/javascript; charset=utf-8".to_owned()), settings(admin))
        }
        ("GET" | "HEAD", _) => {
            // An issuer sends browsers back to a path: many take no redirect URI with a fragment.
            let path = if path == code::SCREEN { "/" } else { path };
            return Page::File(File { path: path.to_owned(), headers });
        }
        _ => (405, ("Allow", "GET, HEAD".to_owned()), String::new()),
    };
    headers.push(own);
    Page::Reply(AdminReply::of(status, headers, body))
}

/// A JavaScript module with what every policy may choose: the base of the admin API, and how people sign in.
fn settings(admin: &Admin) -> String {
    let sign_in = admin.sign_in.map(|SignIn { name, password, header, code, .. }| {
        object!({ "name": name, "password": password, "header": header, "code": code.is_some() })
    });
    format!("export const api = {};\nexport const signIn = {};\n", admin.api.to_json(), sign_in.to_json())
}
