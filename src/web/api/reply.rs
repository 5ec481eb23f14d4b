//! Answers in JSON: documents in the ancestors' spelling, which is two spaces, no final newline, a weak ETag
//! (taskcluster.md 5.1), and lines of any number.

use axum::body::Body;
use axum::http::header::{self, HeaderMap, HeaderValue};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::stream;
use hyper::body::Bytes;
use serde::Serialize;
use sha1::{Digest, Sha1};

use crate::base::{Error, Result};
use crate::domain::archives::Export;

/// Characters of the hash in an ETag: all but the padding.
const ETAG_HASH_LEN: usize = 27;
/// What lines of JSON are called; nobody has registered a name for them.
pub const LINES: &str = "application/jsonl";

/// What a method answers when all went well.
pub trait Answer {
    fn into_response(self, method: &Method, asked: &HeaderMap) -> Response;
}

impl Answer for Reply {
    fn into_response(self, method: &Method, asked: &HeaderMap) -> Response {
        self.with_status(StatusCode::OK, method, asked)
    }
}

/// JSON documents on their way out, each in a line. Memory is for a part of them at a time.
pub struct Lines(Body);

impl Lines {
    /// The messages of an archive. When one cannot be read the answer breaks off, so that nobody takes it for all of them.
    pub fn of(export: Export) -> Self {
        let parts = stream::try_unfold(export, |mut export: Export| async move {
            let part = export.next().await.inspect_err(|error| {
                tracing::warn!("an export of an archive breaks off: {}", error.chain());
            })?;
            Ok::<_, Error>(part.map(|part| (Bytes::from(part), export)))
        });
        Self(Body::from_stream(parts))
    }

    pub fn response(self) -> Response {
        ([(header::CONTENT_TYPE, LINES)], self.0).into_response()
    }
}

impl Answer for Lines {
    fn into_response(self, _: &Method, _: &HeaderMap) -> Response {
        self.response()
    }
}

/// A JSON document on its way out.
#[derive(Clone, Debug)]
pub struct Reply {
    body: Bytes,
    etag: String,
}

impl Reply {
    /// A document with its members in the order of the type's fields.
    pub fn json(document: &impl Serialize) -> Result<Self> {
        let body = serde_json::to_vec_pretty(document).map_err(|e| Error::internal("writing an answer", e))?;
        Ok(Self { etag: etag(&body), body: body.into() })
    }

    /// The answer with its status; 304 without a body when the asker has this very document.
    pub fn with_status(self, status: StatusCode, method: &Method, asked: &HeaderMap) -> Response {
        let is_read = matches!(*method, Method::GET | Method::HEAD);
        let is_known = status == StatusCode::OK && is_read && knows(asked, &self.etag);
        let mut response = if is_known {
            StatusCode::NOT_MODIFIED.into_response()
        } else {
            let json = HeaderValue::from_static("application/json; charset=utf-8");
            (status, [(header::CONTENT_TYPE, json)], Body::from(self.body)).into_response()
        };
        if let Ok(etag) = HeaderValue::from_str(&self.etag) {
            response.headers_mut().insert(header::ETAG, etag);
        }
        response
    }
}

/// Whether the asker has the document with this ETag.
pub fn knows(asked: &HeaderMap, etag: &str) -> bool {
    let values = asked.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim).any(|known| known == etag || known == "*")
}

/// `W/"<length in hex>-<SHA-1>"`, as the framework of the ancestors made it.
pub fn etag(body: &[u8]) -> String {
    let hash = STANDARD.encode(Sha1::digest(body));
    format!("W/\"{:x}-{}\"", body.len(), &hash[..ETAG_HASH_LEN])
}
