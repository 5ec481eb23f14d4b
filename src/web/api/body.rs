//! Reading a request's body: bounded in length and time, inflated, parsed as the ancestors parsed it.

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{self, HeaderMap};
use axum::http::{StatusCode, Version};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Body as _;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::budget::{BODY_BEGINNING_LEN, BodyBudget, BodyShare};

/// Longest body, before and after inflating (taskcluster.md 5.5).
const BODY_LEN_MAX: usize = 10 << 20;
/// Longest body, after inflating, that is made into a document: no method takes more, and a document in memory is many
/// times as long as its text.
pub const DOCUMENT_LEN_MAX: usize = BODY_BEGINNING_LEN;
/// Longest body, after inflating, that error messages show.
const SHOWN_LEN_MAX: usize = 16 << 10;
/// Bytes inflated between two looks at the room for bodies.
const INFLATED_LEN: usize = 64 << 10;
/// What is wrong with a document that is only a string, a number or less.
const SCALAR: &str = "Failed to parse JSON: Must be an object or array";

/// A body that was read, and its JSON if it claims to be that.
pub struct ReadBody {
    /// After inflating. The payload hash covers it (taskcluster.md 1.3).
    pub bytes: Vec<u8>,
    /// The document, the raw text of a broken one, or `{}`, also for a body beyond [`DOCUMENT_LEN_MAX`].
    pub payload: Arc<Value>,
    /// Whether there was a body at all.
    pub is_present: bool,
    /// Why the body is not a JSON object or array although it claims to be JSON.
    pub malformed: Option<String>,
    _share: BodyShare,
}

impl ReadBody {
    /// What error messages show: the payload, or `{}` when the body is long.
    pub fn view(&self) -> Arc<Value> {
        if self.bytes.len() <= SHOWN_LEN_MAX { self.payload.clone() } else { Arc::new(nothing()) }
    }
}

/// A body that cannot even be looked at: answered in HTML, without asking who sent it.
pub struct Unreadable {
    /// 400, 408, 413, 415 or 503.
    pub status: StatusCode,
    pub message: &'static str,
}

/// Reads all of a body, which must arrive and find room within `timeout`.
pub async fn read(
    headers: &HeaderMap,
    version: Version,
    body: Body,
    timeout: Duration,
    budget: &BodyBudget,
) -> Result<ReadBody, Unreadable> {
    let is_present = match version {
        Version::HTTP_2 => !body.is_end_stream(),
        _ => headers.contains_key(header::CONTENT_LENGTH) || headers.contains_key(header::TRANSFER_ENCODING),
    };
    // Who announces too much need not send it.
    if body.size_hint().lower() > BODY_LEN_MAX as u64 {
        return Err(too_large());
    }
    let mut share = budget.share();
    let read = async { inflate(headers, collect(body, &mut share).await?, &mut share).await };
    let bytes = match tokio::time::timeout(timeout, read).await {
        Ok(read) => read?,
        Err(_) if share.is_waiting() => {
            let message = "too many long bodies are being read: ask again";
            return Err(Unreadable { status: StatusCode::SERVICE_UNAVAILABLE, message });
        }
        Err(_) => {
            return Err(Unreadable { status: StatusCode::REQUEST_TIMEOUT, message: "the body did not arrive in time" });
        }
    };
    let (mut payload, mut malformed) = (nothing(), None);
    if is_json(headers) && !bytes.is_empty() {
        require_utf8(headers)?;
        (payload, malformed) = parse(&bytes);
    }
    Ok(ReadBody { bytes, payload: payload.into(), is_present, malformed, _share: share })
}

async fn collect(body: Body, share: &mut BodyShare) -> Result<Vec<u8>, Unreadable> {
    let (mut body, mut bytes) = (Limited::new(body, BODY_LEN_MAX), Vec::new());
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            if error.is::<LengthLimitError>() {
                too_large()
            } else {
                Unreadable { status: StatusCode::BAD_REQUEST, message: "the body broke off" }
            }
        })?;
        if let Ok(data) = frame.into_data() {
            share.take(data.len()).await;
            bytes.extend_from_slice(&data);
        }
    }
    Ok(bytes)
}

/// The document of no body.
pub(super) fn nothing() -> Value {
    Value::Object(Default::default())
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

async fn inflate(headers: &HeaderMap, bytes: Vec<u8>, share: &mut BodyShare) -> Result<Vec<u8>, Unreadable> {
    let encoding = headers.get(header::CONTENT_ENCODING).map(|value| value.as_bytes().to_ascii_lowercase());
    match encoding.as_deref() {
        None | Some(b"" | b"identity") => Ok(bytes),
        Some(b"gzip") => read_bounded(flate2::read::MultiGzDecoder::new(bytes.as_slice()), share).await,
        Some(b"deflate") => read_bounded(flate2::read::ZlibDecoder::new(bytes.as_slice()), share).await,
        Some(_) => Err(Unreadable {
            status: StatusCode::UNSUPPORTED_MEDIA_TYPE,
            message: "unsupported content encoding: send gzip, deflate or none",
        }),
    }
}

/// Inflates up to the limit: a small body may hide a large one.
async fn read_bounded(mut reader: impl Read, share: &mut BodyShare) -> Result<Vec<u8>, Unreadable> {
    let mut inflated = Vec::new();
    let broken = |_| Unreadable { status: StatusCode::BAD_REQUEST, message: "the compressed body is damaged" };
    loop {
        let more = reader.by_ref().take(INFLATED_LEN as u64).read_to_end(&mut inflated).map_err(broken)?;
        match inflated.len() {
            _ if more == 0 => return Ok(inflated),
            len if len > BODY_LEN_MAX => return Err(too_large()),
            _ => share.take(more).await,
        }
    }
}

fn too_large() -> Unreadable {
    Unreadable { status: StatusCode::PAYLOAD_TOO_LARGE, message: "the body is longer than 10 MiB" }
}

/// The document and what is wrong with it. A byte order mark is tolerated; of equal keys the last one wins. Of a body
/// that no method takes there is only the judgement.
fn parse(bytes: &[u8]) -> (Value, Option<String>) {
    let text = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
    if bytes.len() > DOCUMENT_LEN_MAX {
        return (nothing(), malformed(text));
    }
    match serde_json::from_slice::<Value>(text) {
        Ok(document @ (Value::Object(_) | Value::Array(_))) => (document, None),
        Ok(other) => (other, Some(SCALAR.into())),
        Err(error) => {
            let raw = Value::String(String::from_utf8_lossy(bytes).into_owned());
            (raw, Some(format!("Failed to parse JSON: {error}")))
        }
    }
}

/// What is wrong with a document, without making one.
fn malformed(text: &[u8]) -> Option<String> {
    let checked = match std::str::from_utf8(text) {
        Ok(text) => serde_json::from_str::<IgnoredAny>(text).map_err(|e| e.to_string()),
        Err(error) => Err(error.to_string()),
    };
    match checked {
        Err(error) => Some(format!("Failed to parse JSON: {error}")),
        Ok(_) if !text.trim_ascii_start().starts_with(b"{") && !text.trim_ascii_start().starts_with(b"[") => {
            Some(SCALAR.into())
        }
        Ok(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read_json(len: usize, budget: &BodyBudget) -> Result<ReadBody, StatusCode> {
        let headers = [(header::CONTENT_TYPE, "application/json".parse().unwrap())].into_iter().collect();
        let body = Body::from([b"[".to_vec(), vec![b' '; len - 2], b"]".to_vec()].concat());
        let read = read(&headers, Version::HTTP_2, body, Duration::from_millis(50), budget).await;
        read.map_err(|unreadable| unreadable.status)
    }

    #[tokio::test]
    async fn long_bodies_wait_for_one_another_and_nobody_waits_for_them() {
        let budget = BodyBudget::default();
        let mut held = Vec::new();
        while let Ok(body) = read_json(BODY_LEN_MAX, &budget).await {
            held.push(body);
        }
        assert_eq!(held.len(), 6);
        assert_eq!(read_json(BODY_LEN_MAX, &budget).await.err(), Some(StatusCode::SERVICE_UNAVAILABLE));
        assert!(read_json(DOCUMENT_LEN_MAX, &budget).await.is_ok());
        held.pop();
        assert!(read_json(BODY_LEN_MAX, &budget).await.is_ok(), "what was read makes room");
    }

    #[test]
    fn a_long_document_is_judged_like_a_short_one() {
        let padding = " ".repeat(DOCUMENT_LEN_MAX);
        for text in ["{}", "[1]", "", "1", "\"a\"", "{", "[1,]", "{\"a\":}", "[] []", "\u{feff}[]"] {
            let (short, long) = (parse(text.as_bytes()).1, parse(format!("{text}{padding}").as_bytes()).1);
            assert_eq!(short.is_some(), long.is_some(), "{text}: {short:?} {long:?}");
        }
        let not_text = [b"[\"\xff\"]".as_slice(), padding.as_bytes()].concat();
        assert!(parse(&not_text).1.is_some());
    }
}
