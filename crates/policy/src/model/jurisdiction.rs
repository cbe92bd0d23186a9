//! Where the deployment's Durable Objects live, by law.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A jurisdiction of Durable Objects: where they run and store. Each has objects of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Jurisdiction {
    /// The European Union.
    Eu,
    /// The United States.
    Us,
    /// Data centres with a FedRAMP Moderate authorization.
    Fedramp,
    /// Data centres with a FedRAMP High authorization.
    FedrampHigh,
}

impl Jurisdiction {
    /// Each with its name, as the platform and the policy spell it.
    pub const NAMES: [(&str, Self); 4] =
        [("eu", Self::Eu), ("us", Self::Us), ("fedramp", Self::Fedramp), ("fedramp-high", Self::FedrampHigh)];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Eu => "eu",
            Self::Us => "us",
            Self::Fedramp => "fedramp",
            Self::FedrampHigh => "fedramp-high",
        }
    }
}

impl fmt::Display for Jurisdiction {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(self.name())
    }
}
