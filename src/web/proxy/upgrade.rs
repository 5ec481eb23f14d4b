//! Connections that are upgraded, as for websockets, where an upstream's declaration allows it: after the head of the answer
//! both ends say what they like, until one of them or the session ends it.

use hyper::Response;
use hyper::body::Incoming;
use hyper::header::{CONNECTION, HeaderMap, HeaderValue, UPGRADE};
use hyper::upgrade::{OnUpgrade, on};
use hyper_util::rt::TokioIo;
use tokio_util::sync::CancellationToken;

use super::forward::Record;
use super::headers;
use super::own::{self, Answer};

/// What a task wants its connection to become, if it says so in both headers that it takes.
pub fn wanted(headers: &HeaderMap) -> Option<HeaderValue> {
    let is_upgrade = |value: &HeaderValue| {
        let text = value.to_str().unwrap_or_default();
        text.split(',').any(|word| word.trim().eq_ignore_ascii_case("upgrade"))
    };
    headers.get_all(CONNECTION).iter().any(is_upgrade).then(|| headers.get(UPGRADE).cloned()).flatten()
}

/// Asks an upstream for it.
pub fn ask(headers: &mut HeaderMap, protocol: HeaderValue) {
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, protocol);
}

/// Passes the agreement on, and then everything in both directions. The record ends with the connection.
pub fn join(
    mut record: Record,
    task: OnUpgrade,
    mut response: Response<Incoming>,
    stop: CancellationToken,
) -> Response<Answer> {
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
            let (Ok(task), Ok(upstream)) = (task.await, upstream.await) else { return None };
            let (mut task, mut upstream) = (TokioIo::new(task), TokioIo::new(upstream));
            tokio::io::copy_bidirectional(&mut task, &mut upstream).await.ok()
        };
        let passed = tokio::select! {
            () = stop.cancelled() => None,
            passed = passing => passed,
        };
        record.end_passed(passed);
    });
    answer
}
