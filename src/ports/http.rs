//! What all our HTTP clients have in common: whom they trust, how they resolve names, and that no answer fills the memory.

use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, Response};

use super::resolve::Resolver;
use super::tls::http_client;
use crate::base::{Error, Result};

/// The body of an answer.
pub(super) struct Body {
    /// Its beginning, of at most as many bytes as were asked for.
    pub bytes: Vec<u8>,
    /// Whether that is all of it.
    pub is_whole: bool,
}

/// A client that gives a call so long, answer and all.
pub(super) fn client(resolver: Resolver, timeout: Duration) -> Result<Client> {
    let client = http_client().dns_resolver(Arc::new(resolver)).timeout(timeout).build();
    client.map_err(|e| Error::internal("making an HTTP client", e))
}

/// Reads an answer until it ends or has more than `len_max` bytes.
pub(super) async fn read(mut response: Response, len_max: usize) -> Result<Body, reqwest::Error> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        let room = len_max - bytes.len();
        bytes.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if chunk.len() > room {
            return Ok(Body { bytes, is_whole: false });
        }
    }
    Ok(Body { bytes, is_whole: true })
}
