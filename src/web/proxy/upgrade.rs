//! Connections that are upgraded, as for websockets, where an upstream's declaration allows it: after the head of the answer
//! both ends say what they like, until one of them or the session ends it.

use hyper::body::Incoming;
use hyper::header::{CONNECTION, HeaderMap, HeaderValue, UPGRADE};
use hyper::upgrade::{OnUpgrade, on};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;

use super::own::{self, Answer};
use super::record::Record;
use super::{Plane, headers};
use crate::base::Error;

/// The one protocol that is passed: over others a task could ask what nobody judges.
const PROTOCOL: &str = "websocket";

/// What a task wants its connection to become, if it says so in both headers that it takes.
pub fn wanted<B>(request: &Request<B>) -> Option<HeaderValue> {
    let headers = request.headers();
    let is_upgrade = |value: &HeaderValue| {
        let text = value.to_str().unwrap_or_default();
        text.split(',').any(|word| word.trim().eq_ignore_ascii_case("upgrade"))
    };
    let wants = headers.get_all(CONNECTION).iter().any(is_upgrade) && request.method() == Method::GET;
    headers
        .get(UPGRADE)
        .filter(|protocol| wants && protocol.as_bytes().eq_ignore_ascii_case(PROTOCOL.as_bytes()))
        .cloned()
}

/// Asks an upstream for it.
pub fn ask(headers: &mut HeaderMap, protocol: HeaderValue) {
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, protocol);
}

/// Passes the agreement on, and then everything in both directions. The record ends with the connection.
pub fn join(record: Record, task: OnUpgrade, mut response: Response<Incoming>, plane: &Plane) -> Response<Answer> {
    let Ok(place) = plane.upgrades.clone().try_acquire_owned() else {
        return own::failure(&Error::busy("this session has too many upgraded connections"));
    };
    let stop = plane.stop();
    let upstream = on(&mut response);
    let protocol = response.headers().get(UPGRADE).cloned();
    let mut answer = own::text(101, "");
    *answer.headers_mut() = headers::of_answer(std::mem::take(response.headers_mut()));
    if let Some(protocol) = protocol {
        ask(answer.headers_mut(), protocol);
    }
    // Ended by the token, which whoever began the session holds.
    tokio::spawn(async move {
        let passing = async {
            let (Ok(task), Ok(upstream)) = (task.await, upstream.await) else { return };
            record.pass_both(TokioIo::new(task), &mut TokioIo::new(upstream)).await;
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = passing => {}
        }
        drop(place);
    });
    answer
}
