//! The data plane of the task proxy: a listener of its own for each session, without pages and without the API.
//!
//! A request is judged by its path ([`route`]), gets a place in the record, and is sent on with the right of the session
//! ([`forward`]). Bodies stream both ways; no more of them is in memory than what is just being passed on.

mod forward;
mod headers;
mod own;
mod peers;
mod route;
mod serve;
mod taskcluster;

pub use own::Answer;
pub use peers::{Peer, Peers};
pub use serve::{Entrance, serve};
pub use taskcluster::Taskcluster;

use std::sync::Arc;

use hyper::body::Incoming;
use hyper::{Request, Response};

use self::route::Route;
use crate::base::Clock;
use crate::domain::proxy::{Key, Recorder, Upstream};
use crate::ports::upstream::Client;

/// What one session answers, on all its listeners.
#[derive(Debug)]
pub struct Plane {
    /// What the session is called in the record.
    pub session: Arc<str>,
    /// What time it is.
    pub clock: Clock,
    /// What may be reached.
    pub opened: Vec<Opened>,
    /// The paths of taskcluster-proxy, for the first upstream, where they are offered.
    pub taskcluster: Option<Taskcluster>,
    /// Where every call is written down.
    pub recorder: Recorder,
}

/// An upstream that a session may reach, and by which right.
pub struct Opened {
    /// The upstream.
    pub upstream: Upstream,
    /// What lets us in.
    pub key: Key,
    /// A hash of what was granted.
    pub permissions: Arc<str>,
    /// The way there.
    pub client: Client,
}

impl std::fmt::Debug for Opened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Opened").field("upstream", &self.upstream.name).field("key", &self.key).finish_non_exhaustive()
    }
}

impl Plane {
    /// Answers a request. It never fails: what went wrong is an answer, too.
    pub async fn answer(&self, peer: &Peer, request: Request<Incoming>) -> Response<Answer> {
        if !headers::has_one_host(&request) {
            return own::text(400, "a request has one Host header");
        }
        let text = request.uri().path_and_query().map_or("", |target| target.as_str()).to_owned();
        let answer = match route::find(self, request.method().as_str(), &text) {
            Err(error) => own::failure(&error),
            Ok(Route::Own(answer)) => answer,
            Ok(Route::Bewit(face)) => face.bewit(self, request).await,
            Ok(Route::Credentials(face)) => face.credentials(self, request).await,
            Ok(Route::Forward(way)) => forward::forward(self, peer, request, way).await,
        };
        match &self.taskcluster {
            Some(face) => face.mark(answer),
            None => answer,
        }
    }
}
