//! Keys that a scanner has found in public, such as GitHub's secret scanning. What is signed by the scanner is taken, in two
//! steps: before the Registry's object is asked, [`report`] tells what cannot be a key of this deployment; in it, [`take`]
//! does with the others what the policy says. The object gets their names only, never the keys.

pub mod configured;
pub mod noted;
pub mod report;
pub mod take;
