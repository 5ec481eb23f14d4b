//! The data plane of the task proxy: a listener of its own for each session, without pages and without the API.
//!
//! A request is judged by its path (`route`), gets a place in the record, and is sent on with the right of the session
//! (`forward`). Bodies stream both ways; no more of them is in memory than what is just being passed on.

mod begin;
mod entrance;
mod forward;
mod headers;
mod namespaces;
mod own;
mod peers;
mod receipts;
mod record;
mod route;
mod serve;
mod services;
mod task;
mod taskcluster;
mod trailers;
mod tunnel;
mod tunnels;
mod upgrade;

pub use begin::{Begun, Listening, begin};
pub use entrance::{Entrance, Where};
pub use own::Answer;
pub use peers::Peers;
pub use serve::{Face, serve};
pub use services::{BegunSet, begin_set};
pub use taskcluster::Taskcluster;

use std::sync::Arc;

use hyper::body::Incoming;
use hyper::{Request, Response};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use self::route::{Own, Route};
use self::trailers::Tail;
use crate::base::{Clock, Error, Result};
use crate::domain::auth::Caller;
use crate::domain::proxy::{Live, Opened, Proxy, Recorder};

/// Connections of a session that are upgraded at once.
pub const UPGRADES_MAX: usize = 64;

/// What one session answers, on all its listeners.
#[derive(Debug)]
pub struct Plane {
    /// What the session is called in the record.
    pub session: Arc<str>,
    /// What time it is.
    pub clock: Clock,
    /// What may be reached, where that is of no session of an appliance.
    pub opened: Vec<Opened>,
    /// The session, with what it may reach.
    pub of: Option<Of>,
    /// The paths of taskcluster-proxy, where a deployment was opened.
    pub taskcluster: Option<Taskcluster>,
    /// Where every call is written down.
    pub recorder: Recorder,
    /// Places of connections that were upgraded.
    pub upgrades: Arc<Semaphore>,
}

/// A session of an appliance.
#[derive(Clone)]
pub struct Of {
    /// The session.
    pub live: Arc<Live>,
    /// What keeps it.
    pub proxy: Proxy,
    /// Who opened it, in whose name it takes fresh credentials.
    pub opener: Caller,
    /// Held by the one who reads receipts: they are read at length.
    pub reading: Arc<Semaphore>,
}

impl std::fmt::Debug for Of {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.live.fmt(f)
    }
}

impl Plane {
    /// Ends with the session.
    fn stop(&self) -> CancellationToken {
        self.of.as_ref().map_or_else(CancellationToken::new, |of| of.live.stop.clone())
    }

    /// What may be reached.
    fn opened(&self) -> &[Opened] {
        self.of.as_ref().map_or(&self.opened, |of| &of.live.opened)
    }

    /// The face of taskcluster-proxy with the deployment behind it, if there is one.
    fn taskcluster(&self) -> Option<(&Taskcluster, &Opened)> {
        let opened = self.opened().iter().find(|opened| opened.deployment.is_some())?;
        Some((self.taskcluster.as_ref()?, opened))
    }

    /// Answers a request. It never fails: what went wrong is an answer, too.
    pub async fn answer(&self, peer: &Arc<str>, request: Request<Incoming>, tail: &Tail) -> Response<Answer> {
        tail.clear();
        // Who answers is who was asked, also where the answer is that it is another now.
        let shown = self.taskcluster.as_ref().map(|face| face.shown(self));
        let text = request.uri().path_and_query().map_or("", |target| target.as_str()).to_owned();
        let found = self.admit(&request).and_then(|()| route::find(self, request.method().as_str(), &text));
        let (answer, is_deployment) = match found {
            Ok(Route::Forward(way)) => {
                let is_deployment = way.opened.deployment.is_some();
                (forward::forward(self, peer, request, way, tail).await, is_deployment)
            }
            // It answers from the record.
            Ok(Route::Receipts(of)) => (receipts::answer(of).await, false),
            Ok(Route::Task(of)) => (task::answer(of), false),
            Ok(Route::Own(own)) => (self.answer_here(peer, request, &text, own).await, self.of.is_none()),
            Err(error) => (self.answer_here(peer, request, &text, Own::Refused(error)).await, self.of.is_none()),
        };
        match shown.filter(|_| is_deployment) {
            Some(shown) => taskcluster::mark(answer, &shown),
            None => answer,
        }
    }

    /// Whether a request may be looked at.
    fn admit(&self, request: &Request<Incoming>) -> Result<()> {
        if !headers::has_one_host(request) {
            return Err(Error::invalid("a request has one Host header"));
        }
        self.admit_now()
    }

    /// Refuses everything when the time of the session is over.
    fn admit_now(&self) -> Result<()> {
        match &self.of {
            // The loop ends the rest of it.
            Some(Of { live, .. }) if live.is_over(&self.clock) => Err(Error::forbidden("this session is over")),
            _ => Ok(()),
        }
    }

    /// Answers what goes no further, and writes it down like any other call.
    async fn answer_here(
        &self,
        peer: &Arc<str>,
        request: Request<Incoming>,
        text: &str,
        own: Own<'_>,
    ) -> Response<Answer> {
        let mut record = match record::Record::of_own(self, peer, &request, text) {
            Ok(record) => record,
            Err(error) => return own::failure(&error),
        };
        let (answer, cause) = match own {
            Own::Unknown(answer) => (answer, None),
            Own::Refused(error) => (own::failure(&error), Some(error.chain())),
            Own::Bewit(face) => {
                let (answer, signed) = face.bewit(self, request).await;
                if let (Some(url), Some((_, opened))) = (signed, self.taskcluster()) {
                    record.is_about(opened, &url);
                }
                (answer, None)
            }
            Own::Credentials(face) => (face.credentials(self, request).await, None),
            Own::Namespace(asked) => {
                record.is_about(asked.opened, text);
                asked.answer().await
            }
        };
        match record.settle(answer.status().as_u16(), cause).await {
            Ok(()) => answer,
            Err(error) => own::failure(&error),
        }
    }
}
