//! A valve before a connection: it shuts when much was read that nobody has taken yet. lapin reads what comes and keeps it
//! without a limit, and AMQP 0-9-1 can only limit the number of messages, not their bytes.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes that are read ahead of who takes the messages. Four batches of an archive: it never waits for the network.
const AHEAD_LEN_MAX: u64 = 4 << 20;

/// The valve of a connection. It is open until somebody shuts it for the first time. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct Valve(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// Whether it may shut: nobody waits for what comes next.
    may_shut: bool,
    /// Bytes since somebody waited last.
    ahead: u64,
    reader: Option<Waker>,
}

impl Valve {
    /// Somebody waits for the next message, whatever its length: nothing is left of what was read before.
    pub(super) fn open(&self) {
        let mut state = self.lock();
        (state.may_shut, state.ahead) = (false, 0);
        if let Some(reader) = state.reader.take() {
            reader.wake();
        }
    }

    /// There is a message to work on, so that much need not be read meanwhile.
    pub(super) fn shut(&self) {
        self.lock().may_shut = true;
    }

    /// This connection behind the valve.
    pub(super) fn on<W>(&self, wire: W) -> Valved<W> {
        Valved { wire, valve: self.clone() }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection behind a valve. Writing goes on in any case.
pub(super) struct Valved<W> {
    wire: W,
    valve: Valve,
}

impl<W: AsyncRead + Unpin> AsyncRead for Valved<W> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, to: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        {
            let mut state = self.valve.lock();
            if state.may_shut && state.ahead >= AHEAD_LEN_MAX {
                state.reader = Some(context.waker().clone());
                return Poll::Pending;
            }
        }
        let before = to.filled().len();
        let polled = Pin::new(&mut self.wire).poll_read(context, to);
        let len = to.filled().len() - before;
        self.valve.lock().ahead += len as u64;
        polled
    }
}

impl<W: AsyncWrite + Unpin> AsyncWrite for Valved<W> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.wire).poll_write(context, from)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    #[tokio::test]
    async fn nothing_is_read_ahead_beyond_the_limit_until_somebody_waits() {
        let long: &[u8] = vec![7; AHEAD_LEN_MAX as usize + 10].leak();
        let valve = Valve::default();
        let mut wire = valve.on(long);
        let mut read = vec![0; AHEAD_LEN_MAX as usize];
        wire.read_exact(&mut read).await.unwrap();
        valve.shut();
        let rest = tokio::spawn(async move {
            let mut rest = Vec::new();
            wire.read_to_end(&mut rest).await.unwrap();
            rest
        });
        tokio::task::yield_now().await;
        assert!(!rest.is_finished());
        valve.open();
        assert_eq!(rest.await.unwrap().len(), 10);
    }
}
