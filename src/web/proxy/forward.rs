//! A call: sent on with the right of the session, its answer passed back, all of it recorded.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hyper::body::{Body as _, Incoming};
use hyper::header::{AUTHORIZATION, CONTENT_LENGTH, HeaderMap, HeaderValue};
use hyper::{Method, Request, Response, StatusCode, Uri, Version};

use super::own::{self, Answer};
use super::record::{CAUSE_LEN_MAX, Record, cut};
use super::route::Way;
use super::trailers::Tail;
use super::{Plane, headers, upgrade};
use crate::base::{Error, Result};
use crate::domain::proxy::Authorization;
use crate::ports::upstream::{Outgoing, See, Seen, Watched};

/// Before a call is tried again; each further pause is half as long again.
const RETRY_PAUSE: Duration = Duration::from_millis(500);

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
    let sent = record.sent.clone();
    let protocol = way.opened.upstream.upgrades.then(|| upgrade::wanted(&request)).flatten();
    let upgrading = protocol.as_ref().map(|_| hyper::upgrade::on(&mut request));
    let is_chunked = request.version() == Version::HTTP_11;
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
    let outcome = outcome.and_then(|response| match response.status() {
        StatusCode::SWITCHING_PROTOCOLS if upgrading.is_none() => {
            Err(Error::unavailable("the upstream changed to another protocol"))
        }
        _ => Ok(response),
    });
    record.call.status = match &outcome {
        Ok(response) => response.status().as_u16(),
        Err(error) => {
            record.call.cause = Some(cut(&error.chain(), CAUSE_LEN_MAX));
            own::failure(error).status().as_u16()
        }
    };
    if let Err(error) = record.answered().await {
        return own::failure(&error);
    }
    match (outcome, upgrading) {
        (Ok(response), Some(task)) if response.status() == StatusCode::SWITCHING_PROTOCOLS => {
            upgrade::join(record, task, response, plane)
        }
        (Ok(response), _) => record.pass(response, &way, is_chunked.then(|| tail.clone())),
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
        // Some servers want to be told of a body that is empty, where there could be one.
        if matches!(request.body(), Outgoing::None) && matches!(self.method, Method::POST | Method::PUT | Method::PATCH)
        {
            request.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        if let Some(header) = &authorization.header {
            let value = HeaderValue::from_str(header.expose());
            let mut value = value.map_err(|e| Error::internal("writing the header of an upstream", e))?;
            value.set_sensitive(true);
            request.headers_mut().insert(AUTHORIZATION, value);
        }
        self.way.opened.client.send(request).await
    }
}
