//! Bodies on their way: counted, with an end to every wait.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use tokio::time::{Instant, Sleep};

use crate::base::Error;

/// For the next part of a body. A sender that is slower than this has gone.
const PART_MAX: Duration = Duration::from_secs(5 * 60);

/// What is said of a body that is longer than may be.
pub const TOO_LONG: &str = "the body is longer than this upstream takes: see its body-max";

/// A body that passes through. What is seen of it is told to `see`: the length of each part, and at its end nothing.
pub struct Watched<F: FnMut(Seen)> {
    body: Incoming,
    /// Bytes that may still come.
    room: u64,
    wait: Option<Pin<Box<Sleep>>>,
    /// Whether something came since the wait was set: it is set anew only when there is a next one.
    is_stale: bool,
    see: F,
}

/// What happens to a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// So many bytes of it.
    Part(usize),
    /// Its end.
    End,
    /// It broke off.
    Broken,
}

impl<F: FnMut(Seen) + Unpin> Watched<F> {
    /// Watches a body that may have so many bytes.
    pub fn new(body: Incoming, len_max: u64, see: F) -> Self {
        Self { body, room: len_max, wait: None, is_stale: false, see }
    }
}

impl<F: FnMut(Seen) + Unpin> Body for Watched<F> {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = &mut *self;
        let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) else {
            let wait = this.wait.get_or_insert_with(|| Box::pin(tokio::time::sleep(PART_MAX)));
            if std::mem::take(&mut this.is_stale) {
                wait.as_mut().reset(Instant::now() + PART_MAX);
            }
            ready!(wait.as_mut().poll(cx));
            (this.see)(Seen::Broken);
            return Poll::Ready(Some(Err(Error::unavailable("the rest of the body did not come in time"))));
        };
        this.is_stale = true;
        Poll::Ready(match frame {
            None => {
                (this.see)(Seen::End);
                None
            }
            Some(Err(error)) => {
                (this.see)(Seen::Broken);
                Some(Err(Error::unavailable("the body broke off").because(error)))
            }
            Some(Ok(frame)) => {
                let len = frame.data_ref().map_or(0, Bytes::len);
                match this.room.checked_sub(len as u64) {
                    Some(room) => this.room = room,
                    None => {
                        (this.see)(Seen::Broken);
                        return Poll::Ready(Some(Err(Error::invalid(TOO_LONG))));
                    }
                }
                (this.see)(Seen::Part(len));
                if frame.is_trailers() || this.body.is_end_stream() {
                    (this.see)(Seen::End);
                }
                Some(Ok(frame))
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Hears of a body that passes.
pub type See = Box<dyn FnMut(Seen) + Send + Unpin>;

/// The body of a request to an upstream.
pub enum Outgoing {
    /// None at all.
    None,
    /// One of ours, such as what asks for a token.
    Whole(Full<Bytes>),
    /// A client's, as it comes.
    Passing(Box<Watched<See>>),
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match &mut *self {
            Self::None => Poll::Ready(None),
            Self::Whole(body) => Pin::new(body).poll_frame(cx).map_err(|never| match never {}),
            Self::Passing(body) => Pin::new(body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::None => true,
            Self::Whole(body) => body.is_end_stream(),
            Self::Passing(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::None => SizeHint::with_exact(0),
            Self::Whole(body) => body.size_hint(),
            Self::Passing(body) => body.size_hint(),
        }
    }
}
