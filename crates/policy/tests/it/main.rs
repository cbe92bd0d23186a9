//! The policy: its language, its paths, its document. One binary, so that it is linked once.

mod credentials;
mod defaults;
mod docs;
mod document;
mod examples;
mod mistakes;
mod one_mistake;
mod origin;
mod path;
mod scope;
mod servers;
