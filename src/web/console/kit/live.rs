//! A stream that says when there is something new to see. It carries no data: pages ask for themselves again, by the
//! same rules as ever, and are complete without it.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderName, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep};

use super::session::Session;
use crate::base::{Error, Result};
use crate::web::state::App;

/// Streams at once: each is one page that somebody looks at. Whoever finds no place asks now and then instead.
pub const STREAMS_MAX: usize = 32;
/// Between two looks at the audit log.
const LOOK_PERIOD: Duration = Duration::from_secs(1);
/// Looks between two signs of life, by which proxies see that somebody is there.
const LOOKS_PER_SIGN: u32 = 5;
/// How long a stream lasts. A browser then opens it again by itself, and so shows its session again. **Invariant:** shorter
/// than the patience with a connection that asks nothing, which would break it off.
const LASTS: Duration = Duration::from_secs(15);
/// The first words: after how many milliseconds a browser opens it again.
const GREETING: &str = "retry: 1000\n\n";

struct Live {
    app: App,
    /// The public name of the session that it ends with.
    session: String,
    /// The last entry of the audit log that the page knows.
    seen: u64,
    ends: Instant,
    looks: u32,
    _place: OwnedSemaphorePermit,
}

/// Says when the audit log has more than `since`.
pub async fn stream(app: App, session: Session) -> Result<Response> {
    let since = session.query("since").and_then(|since| since.parse().ok());
    let seen =
        since.ok_or_else(|| Error::invalid("say since when: the number of the last audit entry that is known"))?;
    let place = app.streams.clone().try_acquire_owned();
    let place = place.map_err(|_| Error::busy("too many pages are kept fresh: this one asks now and then"))?;
    let signed_in = session.signed_in.session;
    let live = Live { app, session: signed_in, seen, ends: Instant::now() + LASTS, looks: 0, _place: place };
    let greeting = stream::iter([Ok(Bytes::from_static(GREETING.as_bytes()))]);
    let news = stream::unfold(live, |mut live| async { Some((Ok::<_, Infallible>(live.next().await?), live)) });
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        // A proxy that collects answers would hold it back.
        (HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    Ok((headers, Body::from_stream(stream::StreamExt::chain(greeting, news))).into_response())
}

/// The places of all streams.
pub fn places() -> Arc<tokio::sync::Semaphore> {
    Arc::new(tokio::sync::Semaphore::new(STREAMS_MAX))
}

impl Live {
    /// What to say next; nothing more when its time or its session is over, or the appliance stops.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            let is_over = Instant::now() >= self.ends || self.app.stop.is_cancelled();
            if is_over || !self.app.operators.is_session(&self.session).unwrap_or(false) {
                return None;
            }
            let newest = self.app.store.read(|tx| tx.last_entry()).ok()?.unwrap_or(0);
            if newest > self.seen {
                self.seen = newest;
                return Some(format!("id: {newest}\ndata: {newest}\n\n").into());
            }
            tokio::select! {
                () = self.app.stop.cancelled() => return None,
                () = sleep(LOOK_PERIOD) => self.looks += 1,
            }
            if self.looks.is_multiple_of(LOOKS_PER_SIGN) {
                return Some(Bytes::from_static(b": still here\n\n"));
            }
        }
    }
}
