//! How events are signed.

use keyward_core::secret::Secret;
use keyward_registry::events::signature::{Signer, UnfitSecret};
use keyward_testing::fake_registry_platform::EVENTS_SECRET;

use super::*;

const OTHER: &str = "whsec_eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4";

fn signer(first: &'static str) -> Result<Signer, UnfitSecret> {
    let secret = |name: &str| Some(Secret::new(if name == "FIRST" { first } else { OTHER }));
    Signer::new(&["FIRST", "OTHER"], secret)
}

/// Made with Python's `hmac`.
const GOLDEN: &str =
    "v1,7t9uevmftKGyDWt3XZ/fMb2YfrRPDJmvi572RATnyrM= v1,K6h7iqTY2k2M+hlI5c3nXSjCbWm2Sx5xzotbTicGuOs=";

#[test]
fn a_message_is_signed_with_each_secret_as_standard_webhooks_has_it() {
    let Ok(signer) = signer(EVENTS_SECRET) else { panic!() };
    assert_eq!(signer.sign("evt_1", Timestamp(1_614_265_330_999), r#"{"a":1}"#), GOLDEN);
}

#[test]
fn a_secret_of_another_form_or_length_is_named_and_signs_nothing() {
    let short = "whsec_eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHg=";
    let long =
        "whsec_eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHg=";
    for unfit in ["", "whsec_", "whsec_?", &OTHER["whsec_".len()..], short, long] {
        assert_eq!(signer(unfit).err(), Some(UnfitSecret::Form("FIRST")), "{unfit}");
    }
}
