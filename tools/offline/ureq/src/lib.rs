//! Stands in for the HTTP client of this name with the few items that worker-build uses, and refuses
//! every request: what worker-build needs is installed with a checksum before it runs.

use std::{fmt, io};

/// TLS settings: none.
pub mod tls {
    /// Builds [`TlsConfig`].
    pub struct TlsConfigBuilder;
    /// No settings.
    pub struct TlsConfig;
    /// Which library would have been used.
    pub enum TlsProvider {
        /// The platform's.
        NativeTls,
    }
    /// Which certificates would have been trusted.
    pub enum RootCerts {
        /// The platform's.
        PlatformVerifier,
    }

    impl TlsConfig {
        /// Begins.
        pub fn builder() -> TlsConfigBuilder {
            TlsConfigBuilder
        }
    }

    impl TlsConfigBuilder {
        /// Ignored.
        pub fn provider(self, _: TlsProvider) -> Self {
            self
        }

        /// Ignored.
        pub fn root_certs(self, _: RootCerts) -> Self {
            self
        }

        /// Ends.
        pub fn build(self) -> TlsConfig {
            TlsConfig
        }
    }
}

/// A client, at every stage of its making.
pub struct Agent;

impl Agent {
    /// Begins.
    pub fn config_builder() -> Self {
        Self
    }

    /// Ignored.
    pub fn tls_config(self, _: tls::TlsConfig) -> Self {
        self
    }

    /// Ends.
    pub fn build(self) -> Self {
        self
    }

    /// Ends.
    pub fn new_agent(self) -> Self {
        self
    }

    /// A request that will be refused.
    pub fn get(&self, _: &str) -> Request {
        Request
    }
}

/// A request that will be refused.
pub struct Request;

impl Request {
    /// Refuses.
    pub fn call(self) -> Result<Response, Error> {
        Err(Error)
    }
}

/// Never made.
pub enum Response {}

impl Response {
    /// Never called.
    pub fn body_mut(&mut self) -> &mut Self {
        self
    }

    /// Never called.
    pub fn as_reader(&mut self) -> io::Empty {
        match *self {}
    }
}

/// The refusal.
#[derive(Debug)]
pub struct Error;

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nothing is downloaded here: set WASM_BINDGEN_BIN, ESBUILD_BIN and WASM_OPT_BIN (scripts/build.mjs does)")
    }
}

impl std::error::Error for Error {}
