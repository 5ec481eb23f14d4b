//! Faces of the domain over HTTP: the JSON APIs, the console, health. Every route is on this screen.

pub mod api;
mod assets;
pub mod console;
mod error;
mod health;
mod layers;
pub mod local;
pub mod metrics;
mod page;
pub mod peer;
pub mod per_address;
pub mod proxy;
pub mod state;
mod wraps;

pub use axum::Router;
use axum::extract::{Request, State};
use axum::http::header;
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use layers::Origin;
use state::App;

/// Everything that is served, for the network and for the control socket alike.
pub fn router(app: App) -> Router {
    router_with(app, Router::new())
}

/// The same with more routes behind the same layers: benches put the constant answers there that they compare with.
pub fn router_with(app: App, more: Router<App>) -> Router {
    let public_url = app.public_url.as_ref();
    // The two ancestors' APIs, and ours. Their methods note their routes themselves.
    let inner = api::openapi::mounted(Router::new())
        .nest("/v1", api::legacy().into_router())
        .merge(
            api::openapi::routes(public_url)
                .route_layer(middleware::from_fn_with_state(app.clone(), layers::note_route)),
        )
        .merge(pages().route_layer(middleware::from_fn_with_state(app.clone(), layers::note_route)))
        .merge(more)
        .fallback(nowhere)
        .method_not_allowed_fallback(nowhere)
        .with_state(app.clone());
    // The paths are put into shape before the routes are looked at, so this layer lies around a router of its own.
    Router::new().fallback_service(inner).layer(middleware::from_fn_with_state(app, layers::enter))
}

/// Everything that is no method of an API.
fn pages() -> Router<App> {
    Router::new()
        .merge(api::reference::routes())
        // People.
        .merge(console::router())
        .route("/wraps/{token}", get(wraps::look).post(wraps::open))
        .route("/static/{*name}", get(assets::asset))
        .route("/robots.txt", get(robots))
        // Machines that watch.
        .route("/__version__", get(health::version))
        .route("/__heartbeat__", get(health::heartbeat))
        .route("/__lbheartbeat__", get(health::lbheartbeat))
        .route("/metrics", get(metrics::metrics))
        // Agents of a fleet, as they know MIG's API.
        .route("/heartbeat", get(api::enrolment::greeting).post(api::enrolment::heartbeat))
}

/// Any other path or method: 404, never 405. Pages are for people; below the APIs' mounts it is the ancestors' answer.
async fn nowhere(State(app): State<App>, request: Request) -> Response {
    let target =
        request.extensions().get::<Origin>().map_or_else(|| request.uri().clone(), |origin| origin.target.clone());
    let path = request.uri().path();
    let is_api = ["/v1", "/api"].iter().any(|mount| path == *mount || path.starts_with(&format!("{mount}/")));
    if page::is_wanted(request.headers()) && !is_api {
        page::lost(app.public_url.as_ref(), &target)
    } else {
        page::not_found(request.method(), &target)
    }
}

async fn robots() -> Response {
    let body = "User-Agent: *\nDisallow: /\n";
    ([(header::CONTENT_TYPE, "text/plain; charset=utf-8"), (header::ETAG, ROBOTS_ETAG)], body).into_response()
}

/// The ancestor's, of the same text (vector `pulse-http-10`).
const ROBOTS_ETAG: &str = "W/\"1a-WhqspeoyLz3xykCjni+Q+K85/H8\"";
