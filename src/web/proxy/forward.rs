//! A call: sent on with the right of the session, its answer passed back, all of it recorded.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hyper::body::{Body as _, Incoming};
use hyper::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, Response, StatusCode, Uri};
use sha2::{Digest, Sha256};

use super::own::{self, Answer};
use super::route::Way;
use super::taskcluster::Taskcluster;
use super::trailers::Tail;
use super::{Plane, headers, upgrade};
use crate::base::{Clock, Error, Result, text};
use crate::domain::proxy::{Authorization, Call, Place, Settled};
use crate::ports::upstream::{Outgoing, See, Seen, Watched};

/// Before a call is tried again; each further pause is half as long again.
const RETRY_PAUSE: Duration = Duration::from_millis(500);
/// Bytes of the hash of a query that are written down.
const QUERY_HASH_LEN: usize = 8;
/// By which the logs of the task, of us and of the upstream call a request.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Characters of it that are written down.
const REQUEST_ID_LEN_MAX: usize = 64;

/// Makes a call and passes its answer back.
pub async fn forward(
    plane: &Plane,
    peer: &Arc<str>,
    mut request: Request<Incoming>,
    way: Way<'_>,
    tail: &Tail,
) -> Response<Answer> {
    // A call that cannot be written down is not made.
    let mut record = match plane.recorder.reserve() {
        Ok(place) => Record::new(plane, peer, &request, Some(&way), &way.url, place),
        Err(error) => return own::failure(&error),
    };
    let sent = Arc::<AtomicU64>::default();
    let protocol = way.opened.upstream.upgrades.then(|| upgrade::wanted(request.headers())).flatten();
    let upgrading = protocol.as_ref().map(|_| hyper::upgrade::on(&mut request));
    let (parts, body) = request.into_parts();
    let mut headers = headers::of_request(&parts.headers);
    if let Some(protocol) = protocol {
        upgrade::ask(&mut headers, protocol);
    }
    let asking = Asking { plane, way: &way, method: parts.method, headers };
    let outcome = if body.is_end_stream() {
        asking.repeatedly().await
    } else {
        let counted = sent.clone();
        let see: See = Box::new(move |seen| {
            if let Seen::Part(len) = seen {
                counted.fetch_add(len as u64, Ordering::Relaxed);
            }
        });
        let body = Watched::new(body, way.opened.upstream.body_len_max, see);
        asking.once(Outgoing::Passing(body.into())).await
    };
    record.sent = sent;
    let outcome = outcome.and_then(|response| match response.status() {
        StatusCode::SWITCHING_PROTOCOLS if upgrading.is_none() => {
            Err(Error::unavailable("the upstream changed to another protocol"))
        }
        _ => Ok(response),
    });
    record.call.status = match &outcome {
        Ok(response) => response.status().as_u16(),
        Err(error) => {
            record.call.cause = Some(error.chain());
            own::failure(error).status().as_u16()
        }
    };
    if let Err(error) = record.answered().await {
        return own::failure(&error);
    }
    match (outcome, upgrading) {
        (Ok(response), Some(task)) if response.status() == StatusCode::SWITCHING_PROTOCOLS => {
            upgrade::join(record, task, response, plane.stop())
        }
        (Ok(response), _) => record.pass(response, &way, tail.clone()),
        (Err(error), _) => own::failure(&error),
    }
}

/// A call that is made once or several times.
struct Asking<'a> {
    plane: &'a Plane,
    way: &'a Way<'a>,
    method: Method,
    headers: HeaderMap,
}

impl Asking<'_> {
    /// A call without a body: once more with another token where the one it had was refused, and again where nobody was
    /// well, as often as the upstream allows, if it means the same twice.
    async fn repeatedly(&self) -> Result<Response<Incoming>> {
        let retries = if self.method.is_idempotent() { self.way.opened.upstream.retries } else { 0 };
        let mut pause = RETRY_PAUSE;
        let (mut tries, mut has_new_token) = (0, false);
        loop {
            let authorization = self.authorize().await?;
            let outcome = self.send(&authorization, Outgoing::None).await;
            let is_refused = matches!(&outcome, Ok(response) if response.status() == StatusCode::UNAUTHORIZED);
            if is_refused && !has_new_token && self.way.opened.key.was_refused(&authorization) {
                has_new_token = true;
                continue;
            }
            let is_unwell = outcome.as_ref().map_or(true, |response| response.status().is_server_error());
            if !is_unwell || tries == retries {
                return outcome;
            }
            tries += 1;
            tokio::time::sleep(pause).await;
            pause += pause / 2;
        }
    }

    async fn once(&self, body: Outgoing) -> Result<Response<Incoming>> {
        let authorization = self.authorize().await?;
        let outcome = self.send(&authorization, body).await;
        if matches!(&outcome, Ok(response) if response.status() == StatusCode::UNAUTHORIZED) {
            // The body has gone by; the next call has a better token.
            self.way.opened.key.was_refused(&authorization);
        }
        outcome
    }

    async fn authorize(&self) -> Result<Authorization> {
        let now = self.plane.clock.now();
        self.way.opened.key.authorize(self.method.as_str(), &self.way.url, now).await
    }

    async fn send(&self, authorization: &Authorization, body: Outgoing) -> Result<Response<Incoming>> {
        let uri: Uri = self.way.url.parse().map_err(|e| Error::invalid("the path cannot be sent on").because(e))?;
        let mut request = Request::new(body);
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = uri;
        *request.headers_mut() = self.headers.clone();
        if let Some(header) = &authorization.header {
            let value = HeaderValue::from_str(header.expose());
            let mut value = value.map_err(|e| Error::internal("writing the header of an upstream", e))?;
            value.set_sensitive(true);
            request.headers_mut().insert(AUTHORIZATION, value);
        }
        self.way.opened.client.send(request).await
    }
}

/// What is written down of a call. One that is dropped is written down as broken off.
pub struct Record {
    call: Call,
    place: Option<Place>,
    clock: Clock,
    began: Duration,
    sent: Arc<AtomicU64>,
    received: u64,
    is_broken: bool,
    is_taskcluster: bool,
}

impl Record {
    fn new(
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
            method: request.method().to_string(),
            url: url.to_owned(),
            query: query.map(|query| text::hex(&Sha256::digest(query)[..QUERY_HASH_LEN])),
            permissions: way.map_or_else(Arc::default, |way| way.opened.set.clone()),
            // Until there is an answer, there is none.
            status: 0,
            cause: None,
            request_id: request_id.filter(|id| id.len() <= REQUEST_ID_LEN_MAX).map(str::to_owned),
        };
        Self {
            call,
            place: Some(place),
            clock: plane.clock.clone(),
            began: plane.clock.elapsed(),
            sent: Arc::default(),
            received: 0,
            is_broken: false,
            is_taskcluster: way.is_some_and(|way| way.opened.deployment.is_some()),
        }
    }

    /// That of a call which goes no further.
    pub fn of_own(plane: &Plane, peer: &Arc<str>, request: &Request<Incoming>, text: &str) -> Result<Self> {
        Ok(Self::new(plane, peer, request, None, text, plane.recorder.reserve()?))
    }

    /// Notes how it was answered.
    pub async fn settle(&mut self, status: u16, cause: Option<String>) -> Result<()> {
        self.call.status = status;
        self.call.cause = cause;
        self.answered().await?;
        self.end();
        Ok(())
    }

    /// Makes sure that it is written down what the task is about to hear.
    async fn answered(&mut self) -> Result<()> {
        match &mut self.place {
            Some(place) => place.answered(&self.call).await,
            None => Ok(()),
        }
    }

    /// The answer, with a body that ends this record when it ends.
    fn pass(mut self, response: Response<Incoming>, way: &Way<'_>, tail: Tail) -> Response<Answer> {
        let (mut parts, body) = response.into_parts();
        parts.headers = headers::of_answer(parts.headers);
        parts.extensions.clear();
        if self.is_taskcluster {
            Taskcluster::mark_endpoint(&mut parts.headers, &way.url);
        }
        if body.is_end_stream() {
            self.end();
            return Response::from_parts(parts, Answer::Whole(http_body_util::Full::default()));
        }
        let len_max = way.opened.upstream.body_len_max;
        let see: See = Box::new(move |seen| match seen {
            Seen::Part(len) => self.received += len as u64,
            Seen::End => self.end(),
            Seen::Broken => self.is_broken = true,
        });
        Response::from_parts(parts, Answer::Passing(Watched::new(body, len_max, see).into(), tail))
    }

    /// Ends with an upgraded connection, over which so much was passed; nothing says that it was cut off.
    pub fn end_passed(&mut self, passed: Option<(u64, u64)>) {
        self.is_broken = passed.is_none();
        let (sent, received) = passed.unwrap_or_default();
        self.sent.store(sent, Ordering::Relaxed);
        self.received = received;
        self.end();
    }

    fn end(&mut self) {
        if let Some(place) = self.place.take() {
            let settled = Settled {
                sent_bytes: self.sent.load(Ordering::Relaxed),
                received_bytes: self.received,
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
