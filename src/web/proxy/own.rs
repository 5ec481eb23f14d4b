//! Answers of the proxy itself, and the body of any answer.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http_body_util::Full;
use hyper::body::{Body, Bytes, Frame, SizeHint};
use hyper::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::{Response, StatusCode};
use serde::Serialize;

use super::trailers::Tail;
use crate::base::{Error, Kind};
use crate::ports::upstream::{See, TOO_LONG, Watched};

/// The body of an upstream's answer on its way back.
pub type Passing = Watched<See>;

/// The body of an answer.
pub enum Answer {
    /// One of ours.
    Whole(Full<Bytes>),
    /// An upstream's, as it comes, with where its trailers go.
    Passing(Box<Passing>, Option<Tail>),
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match &mut *self {
            Self::Whole(body) => Pin::new(body).poll_frame(cx).map_err(|never| match never {}),
            Self::Passing(body, tail) => Poll::Ready(match ready!(Pin::new(body).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_trailers() {
                    Ok(trailers) => {
                        if let Some(tail) = tail {
                            tail.follow(trailers);
                        }
                        None
                    }
                    Err(frame) => Some(Ok(frame)),
                },
                end => end,
            }),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(body) => body.is_end_stream(),
            Self::Passing(body, _) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(body) => body.size_hint(),
            Self::Passing(body, _) => body.size_hint(),
        }
    }
}

/// A sentence, or nothing.
pub fn text(status: u16, text: impl Into<String>) -> Response<Answer> {
    let text = text.into();
    let is_empty = text.is_empty();
    let mut response = Response::new(Answer::Whole(Full::new(text.into())));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if !is_empty {
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    }
    response
}

/// A document.
pub fn json(document: &impl Serialize) -> Response<Answer> {
    match serde_json::to_string(document) {
        Err(error) => failure(&Error::internal("writing an answer", error)),
        Ok(json) => {
            let mut response = text(200, json);
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            response
        }
    }
}

/// What went wrong, for code in a task and the person who reads its log.
pub fn failure(error: &Error) -> Response<Answer> {
    let status = status(error);
    let mut response = text(status, format!("{}\n", error.message()));
    if status == 503 {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

/// The status for what went wrong.
pub fn status(error: &Error) -> u16 {
    match error.kind() {
        Kind::Invalid if error.message() == TOO_LONG => 413,
        Kind::Invalid => 400,
        Kind::Unauthenticated | Kind::Forbidden => 403,
        Kind::NotFound => 404,
        Kind::Busy | Kind::Limited => 503,
        Kind::Conflict | Kind::Unavailable => 502,
        Kind::Internal => 500,
    }
}
