//! The policy: what a deployment's `keyward.toml` says, as plain data, and the rules for applying it.
//!
//! A policy is written by people, checked once, and applied to every request:
//!
//! 1. [`compile`](compile::compile) (a feature of that name, which the Worker does without) reads `keyward.toml` and the
//!    files that it includes. It finds every mistake in one go, each with its line and a hint, and shows no secret that
//!    stands there.
//! 2. [`document`] writes a policy as one JSON document with its own hash. The Worker reads that, and nothing else.
//! 3. [`model`] is the data. All of it is `'static`: an isolate reads its policy once, and everything points into it.
//! 4. [`path`], [`method`], [`scope`], [`key`] and [`origin`] are the rules. The check applies them while it compares
//!    routes with each other, the gate applies the same code to requests, so that the two cannot disagree.
//!
//! ```
//! use keyward_policy::{compile::compile, document};
//!
//! const SHOP: &str = r#"
//! [[realm]]
//! id = "shop"
//! hosts = ["api.example.com"]
//! paths = ["/api/*"]
//! origin = { url = "https://origin.example.com" }
//! credentials = [{ header = "Authorization", scheme = "Bearer" }]
//!
//! [realm.scopes]
//! "orders:read" = "Read orders"
//!
//! [[realm.route]]
//! methods = ["GET"]
//! path = "/api/orders*"
//! requires = { scopes = ["orders:read"] }
//! "#;
//!
//! let policy = compile("keyward.toml", |_| Ok(SHOP.to_owned()))?;
//! let realm = policy.realm_for("api.example.com", "/api/orders/7").expect("the realm has this path");
//! assert!(realm.route_for("GET", "/api/orders/7").is_some());
//! assert!(realm.route_for("DELETE", "/api/orders/7").is_none(), "what no route names is refused");
//!
//! // What the Worker reads is the same policy.
//! assert_eq!(document::read(&document::write(&policy)?)?, policy);
//!
//! let wrong = SHOP.replace(r#"["orders:read"]"#, r#"["order:read"]"#);
//! let mistakes = compile("keyward.toml", |_| Ok(wrong.clone())).unwrap_err();
//! assert_eq!(mistakes.list[0].line, 15);
//! assert!(mistakes.list[0].hint.starts_with("did you mean \"orders:read\"?"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Files depend one way: `model` on nothing but [`Span`], the rules on `model`, `compile` on all of them. Within `compile` it
//! is the same: `secret`, `mistake` and `report` know no field; `section`, `reader`, `lists` and `units` read TOML; each section
//! of a policy has a file; `sections` lists them all for the schema and for `mask`; `realm` and `reach` compare the parts.

#[cfg(feature = "compile")]
pub mod compile;
pub mod document;
pub mod jwk;
pub mod key;
#[cfg(feature = "compile")]
mod leak;
pub mod metadata;
pub mod method;
pub mod model;
pub mod origin;
pub mod path;
pub mod scope;
mod span;

pub use model::*;
pub use span::Span;
