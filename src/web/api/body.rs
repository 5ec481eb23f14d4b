//! Reading a request's body: bounded in length and time, inflated, parsed as the ancestors parsed it.

use std::io::Read;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{self, HeaderMap};
use axum::http::{StatusCode, Version};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body as _, Bytes};
use serde_json::Value;

/// Longest body, before and after inflating (taskcluster.md 5.5).
const BODY_LEN_MAX: usize = 10 << 20;

/// A body that was read, and its JSON if it claims to be that.
pub struct ReadBody {
    /// After inflating. The payload hash covers it (taskcluster.md 1.3).
    pub bytes: Bytes,
    /// What error messages show: the document, the raw text of a broken one, or `{}`.
    pub payload: Value,
    /// Whether there was a body at all.
    pub is_present: bool,
    /// Why the body is not a JSON object or array although it claims to be JSON.
    pub malformed: Option<String>,
}

/// A body that cannot even be looked at: answered in HTML, without asking who sent it.
pub struct Unreadable {
    /// 400, 408, 413 or 415.
    pub status: StatusCode,
    /// What is wrong.
    pub message: &'static str,
}

/// Reads all of a body, which must arrive within `timeout`.
pub async fn read(
    headers: &HeaderMap,
    version: Version,
    body: Body,
    timeout: Duration,
) -> Result<ReadBody, Unreadable> {
    let is_present = match version {
        Version::HTTP_2 => !body.is_end_stream(),
        _ => headers.contains_key(header::CONTENT_LENGTH) || headers.contains_key(header::TRANSFER_ENCODING),
    };
    // Who announces too much need not send it.
    if body.size_hint().lower() > BODY_LEN_MAX as u64 {
        return Err(too_large());
    }
    let collected = tokio::time::timeout(timeout, Limited::new(body, BODY_LEN_MAX).collect()).await;
    let bytes = match collected {
        Err(_) => {
            return Err(Unreadable { status: StatusCode::REQUEST_TIMEOUT, message: "the body did not arrive in time" });
        }
        Ok(Err(error)) if error.is::<LengthLimitError>() => return Err(too_large()),
        Ok(Err(_)) => return Err(Unreadable { status: StatusCode::BAD_REQUEST, message: "the body broke off" }),
        Ok(Ok(collected)) => collected.to_bytes(),
    };
    let bytes = inflate(headers, bytes)?;
    if !is_json(headers) || bytes.is_empty() {
        return Ok(ReadBody { bytes, payload: Value::Object(Default::default()), is_present, malformed: None });
    }
    require_utf8(headers)?;
    let (payload, malformed) = parse(&bytes);
    Ok(ReadBody { bytes, payload, is_present, malformed })
}

/// Whether the content type is `application/json`, with or without parameters; nothing else counts as JSON.
pub fn is_json(headers: &HeaderMap) -> bool {
    content_type(headers).is_some_and(|value| media_type(value).eq_ignore_ascii_case("application/json"))
}

/// The content type as it was sent.
pub fn content_type(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::CONTENT_TYPE)?.to_str().ok()
}

fn media_type(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}

fn require_utf8(headers: &HeaderMap) -> Result<(), Unreadable> {
    let charset = content_type(headers).and_then(|value| {
        let mut parameters = value.split(';').skip(1).filter_map(|parameter| parameter.split_once('='));
        parameters
            .find(|(name, _)| name.trim().eq_ignore_ascii_case("charset"))
            .map(|(_, value)| value.trim().trim_matches('"'))
    });
    match charset {
        Some(charset) if !charset.eq_ignore_ascii_case("utf-8") && !charset.eq_ignore_ascii_case("utf8") => {
            Err(Unreadable { status: StatusCode::UNSUPPORTED_MEDIA_TYPE, message: "unsupported charset: send UTF-8" })
        }
        _ => Ok(()),
    }
}

fn inflate(headers: &HeaderMap, bytes: Bytes) -> Result<Bytes, Unreadable> {
    let encoding = headers.get(header::CONTENT_ENCODING).map(|value| value.as_bytes().to_ascii_lowercase());
    match encoding.as_deref() {
        None | Some(b"" | b"identity") => Ok(bytes),
        Some(b"gzip") => read_bounded(flate2::read::MultiGzDecoder::new(bytes.as_ref())),
        Some(b"deflate") => read_bounded(flate2::read::ZlibDecoder::new(bytes.as_ref())),
        Some(_) => Err(Unreadable {
            status: StatusCode::UNSUPPORTED_MEDIA_TYPE,
            message: "unsupported content encoding: send gzip, deflate or none",
        }),
    }
}

/// Inflates up to the limit: a small body may hide a large one.
fn read_bounded(reader: impl Read) -> Result<Bytes, Unreadable> {
    let mut inflated = Vec::new();
    let broken = |_| Unreadable { status: StatusCode::BAD_REQUEST, message: "the compressed body is damaged" };
    reader.take(BODY_LEN_MAX as u64 + 1).read_to_end(&mut inflated).map_err(broken)?;
    match inflated.len() <= BODY_LEN_MAX {
        true => Ok(inflated.into()),
        false => Err(too_large()),
    }
}

fn too_large() -> Unreadable {
    Unreadable { status: StatusCode::PAYLOAD_TOO_LARGE, message: "the body is longer than 10 MiB" }
}

/// The document and what is wrong with it. A byte order mark is tolerated; of equal keys the last one wins.
fn parse(bytes: &[u8]) -> (Value, Option<String>) {
    let text = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
    match serde_json::from_slice::<Value>(text) {
        Ok(document @ (Value::Object(_) | Value::Array(_))) => (document, None),
        Ok(other) => (other, Some("Failed to parse JSON: Must be an object or array".into())),
        Err(error) => {
            let raw = Value::String(String::from_utf8_lossy(bytes).into_owned());
            (raw, Some(format!("Failed to parse JSON: {error}")))
        }
    }
}
