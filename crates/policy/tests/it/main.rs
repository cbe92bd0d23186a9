//! The policy: its language, its paths, its document. One binary, so that it is linked once.

mod credentials;
mod defaults;
mod docs;
mod document;
mod examples;
mod methods;
mod mistakes;
mod naive;
mod one_mistake;
mod origin;
mod path;
mod policies;
mod scope;
mod secrets;
mod servers;
mod span;
mod unquoted;
