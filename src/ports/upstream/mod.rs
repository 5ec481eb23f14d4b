//! Protected services behind the task proxy: requests that stream, to addresses that were allowed.

mod body;
mod connect;

pub use body::{Outgoing, See, Seen, TOO_LONG, Watched};
pub use connect::{Networks, Pins};

use std::time::Duration;

use hyper::body::Incoming;
use hyper::{Request, Response};
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use self::connect::Connector;
use super::resolve::Resolver;
use super::tls::Tls;
use crate::base::{Error, Result};

/// Connections that wait for the next call, for each host: as many as calls are under way at once on a busy worker.
const IDLE_CONNECTIONS_MAX: usize = 64;
/// Bytes of an answer that are read at once. Less makes long ones slow, more takes memory for each.
const READ_LEN_MAX: usize = 256 << 10;
/// How long one waits. Servers close theirs after 60 to 75 seconds; one that is closed first costs nobody a broken call.
const IDLE_MAX: Duration = Duration::from_secs(45);
/// For the head of an answer. The services behind a proxy may work for long before they say a word.
const ANSWER_MAX: Duration = Duration::from_secs(15 * 60);

/// Where an upstream may be, and how it is spoken to.
#[derive(Clone, Debug, Default)]
pub struct Way {
    /// Networks that are not public and yet may be reached.
    pub networks: Networks,
    /// Hosts whose address is known without asking DNS.
    pub pins: Pins,
    /// Whom to trust, and which certificate to show.
    pub tls: Tls,
}

/// A client of one upstream or of several that are reached in the same way. Cheap to clone; clones share their connections.
///
/// It follows no redirect and asks no proxy. It repeats a request only where an idle connection turned out to be closed
/// before a byte of it was sent.
#[derive(Clone)]
pub struct Client(legacy::Client<Connector, Outgoing>);

impl Client {
    /// A client that has no connection yet. Certificates and name servers are read when the first one is made.
    pub fn new(way: Way) -> Self {
        Self::with_resolver(way, None)
    }

    /// A client that shares a resolver with others.
    pub fn with_resolver(way: Way, resolver: Option<Resolver>) -> Self {
        let client = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_MAX)
            .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX)
            .http1_max_buf_size(READ_LEN_MAX)
            .build(Connector::new(way, resolver));
        Self(client)
    }

    /// Sends a request and waits for the head of the answer. The error says for a caller what was the matter.
    pub async fn send(&self, request: Request<Outgoing>) -> Result<Response<Incoming>> {
        match tokio::time::timeout(ANSWER_MAX, self.0.request(request)).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(unreachable(&error)),
            Err(_) => Err(Error::unavailable("the upstream did not answer in time")),
        }
    }
}

/// What a caller learns: that nothing was reached, or that something was and broke off.
fn unreachable(error: &legacy::Error) -> Error {
    let mut cause = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        if let Some(own) = error.downcast_ref::<Error>() {
            let chain = own.chain();
            let cause = chain.strip_prefix(own.message()).unwrap_or(&chain).trim_start_matches(": ").to_owned();
            let error = Error::unavailable(own.message().to_owned()).into_kind(own.kind());
            return if cause.is_empty() { error } else { error.because(cause) };
        }
        cause = format!("{cause}: {error}");
        source = error.source();
    }
    let message = if error.is_connect() { "the upstream cannot be reached" } else { "the upstream broke off" };
    Error::unavailable(message).because(cause)
}
