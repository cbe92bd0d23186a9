//! A request as the gate sees it.

use std::cell::Cell;

use keyward_core::time::Span;
use keyward_gate::{denial::Denial, request::RequestParts};

/// A request that came in.
pub struct Request<'a> {
    pub method: &'a str,
    pub url: &'a str,
    pub fields: &'a [(&'a str, &'a str)],
    /// The version of TLS; `None` where the platform does not say.
    pub tls: Option<&'a str>,
    /// The country that it comes from, and the location that it came to.
    pub country: Option<&'a str>,
    pub colo: Option<&'a str>,
    pub body: &'a [u8],
    /// There is a body although nothing is in it.
    pub has_empty_body: bool,
    /// Why the body cannot be read, if it cannot.
    pub fault: Option<Denial>,
    /// How often the body was asked for.
    pub read: Cell<usize>,
    /// For how long it was waited at most.
    pub read_within: Cell<Span>,
    /// Whether the body that was read last was said to be of a network that is known.
    pub read_of_known: Cell<bool>,
}

impl Default for Request<'_> {
    fn default() -> Self {
        Self {
            method: "GET",
            url: "https://gate.example/",
            fields: &[],
            tls: Some("TLSv1.3"),
            country: None,
            colo: None,
            body: b"",
            has_empty_body: false,
            fault: None,
            read: Cell::default(),
            read_within: Cell::default(),
            read_of_known: Cell::default(),
        }
    }
}

impl RequestParts for Request<'_> {
    fn method(&self) -> &str {
        self.method
    }

    fn url(&self) -> &str {
        self.url
    }

    fn header(&self, name: &str) -> Option<String> {
        self.fields.iter().find(|(field, _)| *field == name).map(|(_, value)| (*value).to_owned())
    }

    fn tls_version(&self) -> Option<String> {
        self.tls.map(str::to_owned)
    }

    fn country(&self) -> Option<String> {
        self.country.map(str::to_owned)
    }

    fn colo(&self) -> Option<String> {
        self.colo.map(str::to_owned)
    }

    fn has_body(&self) -> bool {
        self.has_empty_body || !self.body.is_empty()
    }

    async fn has_content(&self, within: Span) -> bool {
        assert!(within > Span::ZERO);
        !self.body.is_empty()
    }

    async fn body(
        &self,
        most: usize,
        within: Span,
        is_known: bool,
        mut see: impl FnMut(&[u8]),
    ) -> Result<(), Denial> {
        self.read_of_known.set(is_known);
        self.read.set(self.read.get() + 1);
        self.read_within.set(within);
        if let Some(fault) = &self.fault {
            return Err(fault.clone());
        }
        if self.body.len() > most {
            return Err(Denial::BodyTooLarge);
        }
        self.body.chunks(7).for_each(&mut see);
        Ok(())
    }
}
