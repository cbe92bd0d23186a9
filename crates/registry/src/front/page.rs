//! The admin page: where its files are, and the headers that they are sent with.

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
        "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
    ),
    // The page is small; what a deployment changes must show at once.
    ("Cache-Control", "no-cache"),
];

/// For a page that came over https: two years (RFC 6797).
pub const HSTS: (&str, &str) = ("Strict-Transport-Security", "max-age=63072000");

/// What to answer to a request for the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    /// The file at this path.
    File,
    /// The module that tells the page what is this deployment's own: [`settings`].
    Settings,
    /// Send it to the page's beginning: relative links need the slash, and there is one name for it.
    Elsewhere,
    /// Only GET and HEAD.
    WrongMethod,
}

/// Decides that. `path` is the one below the page's base.
pub fn page(method: &str, path: &str) -> Page {
    match (method, path) {
        ("GET" | "HEAD", "" | "/index" | "/index.html") => Page::Elsewhere,
        ("GET" | "HEAD", "/settings.js") => Page::Settings,
        ("GET" | "HEAD", _) => Page::File,
        _ => Page::WrongMethod,
    }
}

/// A JavaScript module with the base of the admin API, which every policy may choose.
pub fn settings(api: &str) -> String {
    format!("export const api = {};\n", serde_json::Value::from(api))
}
