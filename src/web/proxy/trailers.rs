//! Trailers on their way back. hyper sends them only to clients that say `TE: trailers`, and drops them otherwise; the
//! ancestor sends them to everybody, and some clients read them without a word. Here they are put behind the last chunk.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use hyper::header::HeaderMap;
use hyper::rt::{Read, ReadBufCursor, Write};

use super::headers;

/// What hyper ends a chunked body with.
const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// The trailers of the answer that is being sent, between its body and its connection.
#[derive(Clone, Debug, Default)]
pub struct Tail(Arc<Mutex<Option<Vec<u8>>>>);

impl Tail {
    /// Has these follow the body, which ends now.
    pub fn follow(&self, trailers: HeaderMap) {
        let mut lines = Vec::new();
        for (name, value) in &headers::of_trailers(trailers) {
            // In the capitals that everybody writes; what is between bodies is read by people.
            for word in name.as_str().split_inclusive('-') {
                let (first, rest) = word.split_at(1);
                lines.extend_from_slice(first.to_ascii_uppercase().as_bytes());
                lines.extend_from_slice(rest.as_bytes());
            }
            lines.extend_from_slice(b": ");
            lines.extend_from_slice(value.as_bytes());
            lines.extend_from_slice(b"\r\n");
        }
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(lines);
    }

    /// Forgets those of an answer that had no place for them.
    pub fn clear(&self) {
        self.take();
    }

    fn take(&self) -> Option<Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn is_empty(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }
}

/// A connection that puts trailers where they belong.
///
/// **Invariant:** a tail is there from the moment at which the body ended, so what is written next ends with the last chunk;
/// data never does, for each chunk of it is followed by one.
pub struct Trailing<S> {
    stream: S,
    tail: Tail,
    /// What was taken and is not sent yet.
    waiting: Vec<u8>,
}

impl<S: Write + Unpin> Trailing<S> {
    pub fn new(stream: S, tail: Tail) -> Self {
        Self { stream, tail, waiting: Vec::new() }
    }

    /// Takes all of it, if it ends a body that has trailers.
    fn take(&mut self, parts: &[io::IoSlice<'_>]) -> Option<usize> {
        let last = parts.iter().rev().find(|part| !part.is_empty())?;
        if !last.ends_with(LAST_CHUNK) {
            return None;
        }
        let lines = self.tail.take()?;
        for part in parts {
            self.waiting.extend_from_slice(part);
        }
        let len = self.waiting.len();
        self.waiting.truncate(len - b"\r\n".len());
        self.waiting.extend_from_slice(&lines);
        self.waiting.extend_from_slice(b"\r\n");
        Some(len)
    }

    fn poll_waiting(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.waiting.is_empty() {
            let sent = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.waiting))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.waiting.drain(..sent);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: Write + Unpin> Write for Trailing<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_waiting(cx))?;
        if !self.tail.is_empty()
            && let Some(len) = self.take(&[io::IoSlice::new(bytes)])
        {
            return Poll::Ready(Ok(len));
        }
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_waiting(cx))?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_waiting(cx))?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_waiting(cx))?;
        if !self.tail.is_empty()
            && let Some(len) = self.take(parts)
        {
            return Poll::Ready(Ok(len));
        }
        Pin::new(&mut self.stream).poll_write_vectored(cx, parts)
    }
}

impl<S: Read + Unpin> Read for Trailing<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

#[cfg(test)]
mod tests {
    use hyper_util::rt::TokioIo;
    use tokio::io::AsyncReadExt;

    use super::*;

    #[tokio::test]
    async fn trailers_follow_the_last_chunk_and_nothing_else() {
        let (ours, mut theirs) = tokio::io::duplex(7);
        let tail = Tail::default();
        let mut connection = Trailing::new(TokioIo::new(ours), tail.clone());
        let sender = tokio::spawn(async move {
            send(&mut connection, b"4\r\nab0\r\n\r\n").await;
            tail.follow(
                [("x-sum".parse::<hyper::header::HeaderName>().unwrap(), "3".parse().unwrap())].into_iter().collect(),
            );
            send(&mut connection, b"0\r\n\r\n").await;
            send(&mut connection, b"0\r\n\r\n").await;
        });
        let mut seen = String::new();
        theirs.read_to_string(&mut seen).await.unwrap();
        sender.await.unwrap();
        assert_eq!(seen, "4\r\nab0\r\n\r\n0\r\nX-Sum: 3\r\n\r\n0\r\n\r\n");
    }

    async fn send<S: Write + Unpin>(connection: &mut Trailing<S>, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let sent = std::future::poll_fn(|cx| Pin::new(&mut *connection).poll_write(cx, bytes)).await.unwrap();
            bytes = &bytes[sent..];
        }
        std::future::poll_fn(|cx| Pin::new(&mut *connection).poll_flush(cx)).await.unwrap();
    }
}
