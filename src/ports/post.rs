//! One HTTP POST of which only matters whether it was accepted.

use std::time::Duration;

use super::http;
use super::resolve::Resolver;
use crate::base::{Error, Result};

/// For all of a call. Whoever takes a notice puts it aside; what takes longer is stuck, and others wait behind it.
const CALL_TIMEOUT: Duration = Duration::from_secs(15);

/// The client of one neighbour. Cheap to clone.
#[derive(Clone)]
pub(super) struct Poster {
    http: reqwest::Client,
    /// What the neighbour is called in errors.
    name: &'static str,
}

impl Poster {
    /// A client that waits for an answer so long.
    pub fn new(name: &'static str, resolver: Resolver) -> Result<Self> {
        Ok(Self { http: http::client(resolver, CALL_TIMEOUT)?, name })
    }

    /// Sends JSON and returns the status. The answer's body is not read: nothing depends on it.
    pub async fn post(&self, url: &str, headers: &[(&'static str, &str)], body: String) -> Result<u16> {
        let mut request = self.http.post(url).header("content-type", "application/json").body(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        match request.send().await {
            Ok(response) => Ok(response.status().as_u16()),
            // The URL of a webhook often is a secret by itself.
            Err(e) => Err(Error::unavailable(format!("the {} gives no answer", self.name)).because(e.without_url())),
        }
    }

    /// The error of a status that is no success, to be tried again.
    pub fn refused(&self, status: u16) -> Error {
        Error::unavailable(format!("the {} answered with status {status}", self.name))
    }
}
