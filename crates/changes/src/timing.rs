//! How long calls for the log may take.

use keyward_core::time::Span;

/// A read takes no longer; after that another one may begin.
pub const READ_WITHIN: Span = Span::from_ms(1_500);
/// The Registry answers a relay within this time, or not at all: then whoever waits asks another relay, for which there must
/// be time.
pub const ANSWER_WITHIN: Span = Span::from_ms(700);
