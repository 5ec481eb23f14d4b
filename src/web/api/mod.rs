//! The JSON faces: the ancestors' APIs, wire-exact, and our own, by the same rules.

mod act;
mod agents;
mod alarms;
mod archives;
mod audit;
mod backups;
mod body;
mod broker;
mod budget;
mod call;
mod clients;
mod connections;
mod doctor;
mod endpoint;
pub mod enrolment;
mod exchanges;
mod fleet;
mod history;
pub mod host_secrets;
mod hosts;
mod key;
mod leases;
mod loops;
mod namespaces;
pub mod openapi;
mod operators;
mod proxy;
pub mod proxy_shapes;
pub mod pulse;
mod queues;
pub mod reference;
mod relay;
mod relay_cluster;
mod relay_parts;
mod relay_reach;
mod reply;
mod roles;
mod services;
mod services_shapes;
mod settings;
mod shapes;

use std::future::Future;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, MethodRouter, on};
use tokio_util::task::TaskTracker;

pub use budget::BodyBudget;
pub use call::{Call, Params, required_on};
pub use endpoint::{Endpoint, QueryParameter};
pub use reply::{Answer, Lines, Reply, etag, knows};
pub use shapes::Shape;

use self::endpoint::endpoint;
use super::state::App;
use crate::base::{Error, Result};

/// The methods of one API with their handlers. What is served and what documents say of it come from the same list.
#[derive(Default)]
pub struct Routes {
    router: Router<App>,
    endpoints: Vec<Endpoint>,
}

impl Routes {
    /// Serves an endpoint by a handler. `arguments` reads the route's arguments, after the caller was let in
    /// (taskcluster.md 5.4).
    pub fn serve<A, R, H, F, W>(self, endpoint: &Endpoint, arguments: R, handler: H) -> Self
    where
        A: Send + 'static,
        R: Fn(&App, &Params) -> Result<A> + Clone + Send + Sync + 'static,
        H: Fn(App, Call, A) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Result<W>> + Send + 'static,
        W: Answer + 'static,
    {
        let served = *endpoint;
        let methods = on(endpoint.method, move |State(app): State<App>, request: Request| {
            call::answer(app, served, arguments, handler, request)
        });
        self.serve_by(endpoint, methods)
    }

    /// Serves an endpoint in another way.
    fn serve_by(mut self, endpoint: &Endpoint, methods: MethodRouter<App>) -> Self {
        self.endpoints.push(*endpoint);
        Self { router: self.router.route(&endpoint.path(), methods), ..self }
    }

    /// Answers OPTIONS for the route of an endpoint, as the ancestors did.
    fn options(self, endpoint: &Endpoint, allow: &'static str) -> Self {
        let methods = on(MethodFilter::OPTIONS, options(allow));
        Self { router: self.router.route(&endpoint.path(), methods), ..self }
    }

    /// With all of the other's.
    fn merge(mut self, other: Self) -> Self {
        self.endpoints.extend(other.endpoints);
        Self { router: self.router.merge(other.router), ..self }
    }

    /// The router, to be mounted.
    pub fn into_router(self) -> Router<App> {
        self.router
    }
}

#[expect(clippy::unnecessary_wraps, reason = "one shape for all readers of arguments")]
fn nothing(_: &App, _: &Params) -> Result<()> {
    Ok(())
}

/// Reads an argument that the domain judges itself.
fn text(name: &'static str) -> impl Fn(&App, &Params) -> Result<String> + Copy {
    move |_, params| Ok(params.get(name).cloned().unwrap_or_default())
}

/// Reads an input; the message says which member is wrong and how.
fn read_input<'d, T: serde::Deserialize<'d>>(payload: &'d serde_json::Value) -> Result<T> {
    T::deserialize(payload).map_err(|e| Error::invalid(e.to_string()).with_code("InputValidationError"))
}

/// Waits for work that goes on when the client hangs up: a request is dropped then, at whatever step it is. The stop of
/// the appliance awaits the work.
pub(super) async fn detached<T: Send + 'static>(
    tasks: &TaskTracker,
    work: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    tasks.spawn(work).await.unwrap_or_else(|e| Err(Error::internal("working for a request", e)))
}

/// The answer to OPTIONS: which methods a route has (vectors `pulse-http-05`, `-06`).
fn options(allow: &'static str) -> impl Fn() -> std::future::Ready<Response> + Clone + Send + 'static {
    move || {
        let etag = reply::etag(allow.as_bytes());
        let html = "text/html; charset=utf-8".to_owned();
        let headers = [(header::ALLOW, allow.to_owned()), (header::CONTENT_TYPE, html), (header::ETAG, etag)];
        std::future::ready((headers, allow).into_response())
    }
}

/// The two ancestors' APIs in one, where they were.
pub fn legacy() -> Routes {
    pulse::routes().merge(host_secrets::credentials_routes())
}

/// Our own API. Everything the command line does to a running appliance goes through it.
pub fn own() -> Routes {
    Routes::default()
        .merge(clients::routes())
        .merge(roles::routes())
        .merge(operators::routes())
        .merge(settings::routes())
        .merge(namespaces::routes())
        .merge(loops::routes())
        .merge(queues::routes())
        .merge(connections::routes())
        .merge(exchanges::routes())
        .merge(archives::routes())
        .merge(hosts::routes())
        .merge(broker::routes())
        .merge(relay::routes())
        .merge(relay_cluster::routes())
        .merge(relay_parts::routes())
        .merge(relay_reach::routes())
        .merge(leases::routes())
        .merge(doctor::routes())
        .merge(agents::routes())
        .merge(fleet::routes())
        .merge(enrolment::routes())
        .merge(proxy::routes())
        .merge(services::routes())
        .merge(alarms::routes())
        .merge(audit::routes())
        .merge(key::routes())
        .merge(backups::routes())
        .merge(history::routes())
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn work_goes_on_when_the_client_hangs_up_and_a_panic_in_it_is_an_error() {
        let tasks = TaskTracker::new();
        let (go, gone) = tokio::sync::oneshot::channel();
        let (done, ended) = tokio::sync::oneshot::channel();
        let work = async move {
            gone.await.map_err(|e| Error::internal("waiting", e))?;
            done.send(()).map_err(|()| Error::not_found("nobody waits"))
        };
        assert!(detached(&tasks, work).now_or_never().is_none(), "the request is dropped here");
        go.send(()).unwrap();
        tasks.close();
        tasks.wait().await;
        ended.await.unwrap();
        assert!(detached::<()>(&tasks, async { panic!("on purpose") }).await.is_err());
    }
}
