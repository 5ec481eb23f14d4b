//! The record of one call: begun before the call is made, durable before its answer, ended with its bodies.

use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hyper::body::{Body as _, Incoming};
use hyper::header::{CONTENT_LENGTH, HeaderName};
use hyper::{Request, Response, Version};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::io::{InspectReader, InspectWriter};

use super::own::Answer;
use super::route::{METHOD_LEN_MAX, Way};
use super::taskcluster::Taskcluster;
use super::trailers::Tail;
use super::{Plane, headers};
use crate::base::{Clock, Result, text};
use crate::domain::proxy::{Call, Opened, Place, Settled};
use crate::ports::upstream::{See, Seen, Watched};

/// Bytes of the hash of a query that are written down.
const QUERY_HASH_LEN: usize = 8;
/// By which the logs of the task, of us and of the upstream call a request.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Characters of it that are written down.
const REQUEST_ID_LEN_MAX: usize = 64;
/// Bytes of texts of a call that are written down: a task may send any.
const URL_LEN_MAX: usize = 2048;
pub const CAUSE_LEN_MAX: usize = 512;

/// The beginning of a text that is too long for a record.
pub fn cut(text: &str, len_max: usize) -> String {
    text[..text.floor_char_boundary(len_max)].to_owned()
}

/// What is written down of a call. One that is dropped is written down as broken off.
pub struct Record {
    pub call: Call,
    place: Option<Place>,
    clock: Clock,
    began: Duration,
    /// Bytes of the request's body so far.
    pub sent: Arc<AtomicU64>,
    received: Arc<AtomicU64>,
    is_broken: bool,
    is_taskcluster: bool,
}

impl Record {
    /// That of a call which has a place.
    pub fn new(
        plane: &Plane,
        peer: &Arc<str>,
        request: &Request<Incoming>,
        way: Option<&Way<'_>>,
        url: &str,
        place: Place,
    ) -> Self {
        let (url, query) = url.split_once('?').map_or((url, None), |(url, query)| (url, Some(query)));
        let request_id = request.headers().get(REQUEST_ID).and_then(|id| id.to_str().ok());
        let call = Call {
            session: plane.session.clone(),
            peer: peer.clone(),
            upstream: way.map(|way| way.opened.upstream.name.clone()).unwrap_or_default(),
            method: cut(request.method().as_str(), METHOD_LEN_MAX),
            url: cut(url, URL_LEN_MAX),
            query: query.map(|query| text::hex(&Sha256::digest(query)[..QUERY_HASH_LEN])),
            permissions: way.map_or_else(Arc::default, |way| way.opened.set.clone()),
            // Until there is an answer, there is none.
            status: 0,
            cause: None,
            request_id: request_id.filter(|id| id.len() <= REQUEST_ID_LEN_MAX).map(str::to_owned),
        };
        Self::begun(plane, call, place, way.is_some_and(|way| way.opened.deployment.is_some()))
    }

    /// That of a connection that is no call.
    pub fn of_connection(
        plane: &Plane,
        peer: &Arc<str>,
        opened: &Opened,
        method: &str,
        url: &str,
        place: Place,
    ) -> Self {
        let call = Call {
            session: plane.session.clone(),
            peer: peer.clone(),
            upstream: opened.upstream.name.clone(),
            method: method.to_owned(),
            url: url.to_owned(),
            permissions: opened.set.clone(),
            ..Call::default()
        };
        Self::begun(plane, call, place, false)
    }

    fn begun(plane: &Plane, call: Call, place: Place, is_taskcluster: bool) -> Self {
        Self {
            call,
            place: Some(place),
            clock: plane.clock.clone(),
            began: plane.clock.elapsed(),
            sent: Arc::default(),
            received: Arc::default(),
            is_broken: false,
            is_taskcluster,
        }
    }

    /// That of a call which goes no further.
    pub fn of_own(plane: &Plane, peer: &Arc<str>, request: &Request<Incoming>, text: &str) -> Result<Self> {
        Ok(Self::new(plane, peer, request, None, text, plane.recorder.reserve()?))
    }

    /// Says what was handed out.
    pub fn is_about(&mut self, opened: &Opened, url: &str) {
        self.call.upstream = opened.upstream.name.clone();
        self.call.permissions = opened.set.clone();
        self.call.url = cut(url.split('?').next().unwrap_or_default(), URL_LEN_MAX);
    }

    /// Notes how it was answered.
    pub async fn settle(&mut self, status: u16, cause: Option<String>) -> Result<()> {
        self.call.status = status;
        self.call.cause = cause.map(|cause| cut(&cause, CAUSE_LEN_MAX));
        self.answered().await?;
        self.end();
        Ok(())
    }

    /// Makes sure that it is written down what the task is about to hear.
    pub async fn answered(&mut self) -> Result<()> {
        match &mut self.place {
            Some(place) => place.answered(&self.call).await,
            None => Ok(()),
        }
    }

    /// The answer, with a body that ends this record when it ends.
    pub fn pass(mut self, response: Response<Incoming>, way: &Way<'_>, tail: Option<Tail>) -> Response<Answer> {
        let (mut parts, body) = response.into_parts();
        parts.headers = headers::of_answer(parts.headers);
        parts.extensions.clear();
        parts.version = Version::HTTP_11;
        // Only a body in chunks has a place for trailers.
        let tail = tail.filter(|_| !parts.headers.contains_key(CONTENT_LENGTH));
        if self.is_taskcluster {
            Taskcluster::mark_endpoint(&mut parts.headers, &way.url);
        }
        if body.is_end_stream() {
            self.end();
            return Response::from_parts(parts, Answer::Whole(http_body_util::Full::default()));
        }
        let len_max = way.opened.upstream.body_len_max;
        let see: See = Box::new(move |seen| match seen {
            Seen::Part(len) => {
                self.received.fetch_add(len as u64, Ordering::Relaxed);
            }
            Seen::End => self.end(),
            Seen::Broken => self.is_broken = true,
        });
        Response::from_parts(parts, Answer::Passing(Watched::new(body, len_max, see).into(), tail))
    }

    /// Passes everything on between a task and an upstream, in both directions, until either ends it or breaks off; also one
    /// that is cut off from here is written down with what was passed.
    pub async fn pass_both<T: AsyncRead + AsyncWrite, U: AsyncRead + AsyncWrite + Unpin>(
        mut self,
        task: T,
        upstream: &mut U,
    ) {
        let (sent, received) = (self.sent.clone(), self.received.clone());
        let count = |total: Arc<AtomicU64>| {
            move |bytes: &[u8]| {
                total.fetch_add(bytes.len() as u64, Ordering::Relaxed);
            }
        };
        let (reader, writer) = tokio::io::split(task);
        let mut task =
            tokio::io::join(InspectReader::new(reader, count(sent)), InspectWriter::new(writer, count(received)));
        let passed = tokio::io::copy_bidirectional(&mut task, upstream).await;
        // Clients that have said everything often leave without waiting for the other side.
        let left = [ErrorKind::ConnectionReset, ErrorKind::BrokenPipe, ErrorKind::NotConnected];
        self.is_broken = passed.is_err_and(|error| !left.contains(&error.kind()));
        self.end();
    }

    fn end(&mut self) {
        if let Some(place) = self.place.take() {
            let settled = Settled {
                sent_bytes: self.sent.load(Ordering::Relaxed),
                received_bytes: self.received.load(Ordering::Relaxed),
                took_ms: 0,
                is_broken: self.is_broken,
            };
            place.ended(std::mem::take(&mut self.call), settled.after(self.clock.elapsed().saturating_sub(self.began)));
        }
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        self.is_broken |= self.call.cause.is_none();
        self.end();
    }
}
