//! The change log as isolates and relays know it.
//!
//! # The problem
//! An isolate remembers the records of thousands of keys, each read from KV or from its key's object at some time. Before it
//! decides by one it must know that no other has taken its place for longer than the realm's `freshness`. If it asked each
//! key's object, a key that is used now and then would wait for that with each request.
//!
//! # What is promised
//! - Whoever has read the log at a moment knows of *every* record that it remembers whether it held then: one call a few
//!   seconds for all of them, behind the answers.
//! - A record just read from KV counts too, however far KV is behind, up to [`KV_LAG`](keyward_core::changes::KV_LAG).
//! - If the log cannot be read, it is too long, or a newer build has written what this one does not know, nothing counts as
//!   known, and the gate asks the key's object.
//!
//! # The parts
//! - The log itself is a table of the Registry (`keyward_registry::change_log`), written in the transaction of each change. A
//!   change is in it before it is acknowledged, whichever build made it.
//! - [`reader`]: what one isolate knows of it.
//! - [`relay`]: objects between the two, so that the Registry is asked by a few and not by thousands.
//!
//! # Why it holds
//! A change is committed at *c* and acknowledged later. An isolate that has not heard of it by *t* has read the log last with
//! a call that the Registry answered before *c*. Its knowledge counts from before the call was sent, and by the age that a
//! relay adds: so from before *c*. It decides by it for `freshness` less the 250 ms within which what it lets through arrives. So
//! nothing that was decided without the change arrives later than *c* + `freshness`. `docs/changes.md` names the assumptions.

pub mod reader;
pub mod relay;
pub mod timing;
