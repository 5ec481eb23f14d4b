//! What happens to every request before a handler sees it, and to every answer after.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use axum::http::uri::PathAndQuery;
use axum::http::{Method, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use percent_encoding::percent_decode_str;

use super::error::RETRY_AFTER_SECONDS;
use super::metrics::RouteMark;
use super::page;
use super::peer::{self, Connection, Peer};
use super::state::App;
use crate::base::{Error, slugid};
use crate::proto::hawk::host;

/// The mounts of the two ancestors' APIs, in lower case (interface.md, section 2).
const LEGACY_MOUNTS: [&str; 3] = ["/api/pulse/v1", "/api/host-secrets/v1", "/v1"];
/// The mount of our own API.
const OWN_MOUNT: &str = "/api/keylender/v1";

/// CORS and caching of every answer below an API's mount (taskcluster.md 5.1; vector group `pulse_http`).
const API_HEADERS: [(&str, &str); 6] = [
    ("access-control-allow-origin", "*"),
    ("access-control-max-age", "900"),
    ("access-control-allow-methods", "OPTIONS,GET,HEAD,POST,PUT,DELETE,TRACE,CONNECT"),
    ("access-control-request-method", "*"),
    ("access-control-allow-headers", "X-Requested-With,Content-Type,Authorization,Accept,Origin"),
    ("cache-control", "no-store no-cache must-revalidate"),
];
/// The ancestor's policy, for every answer that brings none of its own.
const POLICY: &str = "report-uri /__cspreport__;default-src 'none';frame-ancestors 'none';";
/// A year, in seconds: the ancestor wrote milliseconds here (taskcluster.md 5.1).
const HSTS: &str = "max-age=31536000; includeSubDomains";

/// A connection whose listener forgot to say what it is: somebody far away, without any privilege.
const UNKNOWN: Connection =
    Connection::Network { address: SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0)), tls: None };

/// What every handler may know of its request.
#[derive(Clone, Debug)]
pub struct Origin {
    /// The request target exactly as transmitted: signatures cover it.
    pub target: Uri,
    pub peer: Peer,
    /// Whether our own socket spoke TLS, for the signed port.
    pub tls: bool,
    /// What is known of the request besides.
    pub trace: Arc<Trace>,
}

/// What logs and metrics know of a request.
#[derive(Debug)]
pub struct Trace {
    /// The id of the request in logs and in the audit log: a short token, ours or that of a hop that we trust.
    pub id: String,
    pub route: RouteMark,
}

/// Prepares a request before it is routed: its origin, and the ancestors' leniency about paths, which were matched
/// in any letter case and with one slash at the end (taskcluster.md 5.5).
pub async fn enter(State(app): State<App>, request: Request, next: Next) -> Response {
    let (begun, method) = (app.clock.elapsed(), request.method().clone());
    let origin = origin(&app, &request);
    let trace = origin.trace.clone();
    let response = answer(&app, origin, request, next).await;
    app.meters.count_request(&trace.route, &method, response.status(), app.clock.elapsed().saturating_sub(begun));
    response
}

/// Notes for the metrics which route a page is.
pub async fn note_route(State(app): State<App>, request: Request, next: Next) -> Response {
    if let (Some(origin), Some(path)) =
        (request.extensions().get::<Origin>(), request.extensions().get::<MatchedPath>())
    {
        app.meters.note_route(&origin.trace.route, path.as_str());
    }
    next.run(request).await
}

fn origin(app: &App, request: &Request) -> Origin {
    let connection = request.extensions().get::<Connection>().unwrap_or(&UNKNOWN);
    let tls = matches!(connection, Connection::Network { tls: Some(_), .. });
    let peer = Peer::judge(connection, request.headers(), &app.trust_proxy);
    let id = peer::request_id(connection, request.headers(), &app.trust_proxy);
    let id = id.map_or_else(request_id, str::to_owned);
    Origin { target: request.uri().clone(), peer, tls, trace: Arc::new(Trace { id, route: RouteMark::default() }) }
}

async fn answer(app: &App, origin: Origin, mut request: Request, next: Next) -> Response {
    if let Some(inner) = app.public_url.as_ref().and_then(|public| below_base(request.uri(), public.path())) {
        *request.uri_mut() = inner;
    }
    let is_api = is_below(request.uri().path(), OWN_MOUNT) || legacy_mount(request.uri().path()).is_some();
    if let Some(path) = canonical(request.uri()) {
        *request.uri_mut() = path;
    }
    let method = request.method().clone();
    let mut response = match redirect_to_https(app, &origin, &method, request.headers()) {
        Some(refusal) => return refusal,
        None if !decodes(request.uri().path()) => {
            page::error(StatusCode::BAD_REQUEST, "Failed to decode the path: its percent-encoding is not UTF-8")
        }
        None => {
            request.extensions_mut().insert(origin.clone());
            guarded(app, next, request, &origin).await
        }
    };
    if response.status() == StatusCode::NOT_FOUND {
        // The router adds it where another method would have been served; nobody who is not there allows anything.
        response.headers_mut().remove(header::ALLOW);
    }
    dress(response.headers_mut(), is_api);
    if app.force_ssl {
        response.headers_mut().insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static(HSTS));
    }
    response
}

/// Runs the handler where there is room; a panic becomes an answer like any other fault of ours. Users of this host
/// need none: their connections are few.
async fn guarded(app: &App, next: Next, request: Request, origin: &Origin) -> Response {
    let handled = AssertUnwindSafe(next.run(request)).catch_unwind();
    let response = match origin.peer.local {
        Some(_) => handled.await,
        None => {
            let Some(_permit) = app.admission.admit(&origin.peer) else {
                return busy("too many requests are in hand: ask again");
            };
            handled.await
        }
    };
    match response {
        Ok(response) => response,
        Err(_) => {
            let error = Error::internal("answering", "the handler panicked");
            let message = super::error::report(&error, origin.target.path(), &origin.trace.id);
            page::error(StatusCode::INTERNAL_SERVER_ERROR, &message)
        }
    }
}

/// 503, because clients repeat it by themselves.
fn busy(message: &str) -> Response {
    let mut response = page::error(StatusCode::SERVICE_UNAVAILABLE, message);
    response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER_SECONDS.into());
    response
}

fn dress(headers: &mut HeaderMap, is_api: bool) {
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if !headers.contains_key(header::CONTENT_SECURITY_POLICY) {
        headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    }
    if is_api {
        for (name, value) in API_HEADERS {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
    }
}

/// `FORCE_SSL`: plain reads are sent to https, everything else is refused (vector group `pulse_http_tls`).
fn redirect_to_https(app: &App, origin: &Origin, method: &Method, headers: &HeaderMap) -> Option<Response> {
    // Who watches the process itself need not come through the proxy that speaks TLS.
    let is_watcher = origin.target.path().starts_with("/__");
    if !app.force_ssl || origin.peer.is_https || is_watcher {
        return None;
    }
    let host = peer::host(headers, &origin.target);
    let target = origin.target.path_and_query().map_or("/", PathAndQuery::as_str);
    let location = format!("https://{host}{target}");
    if !matches!(*method, Method::GET | Method::HEAD) || host::parse(host).is_err() {
        return Some(page::error(StatusCode::FORBIDDEN, "Please use HTTPS when communicating with this server."));
    }
    let body = format!("Moved Permanently. Redirecting to {location}");
    Some(
        (StatusCode::MOVED_PERMANENTLY, [(header::LOCATION, location), (header::VARY, "Accept".into())], body)
            .into_response(),
    )
}

fn legacy_mount(path: &str) -> Option<&'static str> {
    LEGACY_MOUNTS.into_iter().find(|mount| is_below(path, mount))
}

fn is_below(path: &str, mount: &str) -> bool {
    let head = path.as_bytes().get(..mount.len());
    head.is_some_and(|head| head.eq_ignore_ascii_case(mount.as_bytes()))
        && path.as_bytes().get(mount.len()) == Some(&b'/')
}

/// The path as the routes are written, for a legacy path that is not: mount and noun in lower case, no slash at the
/// end. The argument after the noun keeps its case.
fn canonical(uri: &Uri) -> Option<Uri> {
    let path = uri.path();
    let mount = legacy_mount(path)?;
    let rest = path.get(mount.len() + 1..)?;
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let (noun, argument) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let routed = format!("{mount}/{}{argument}", noun.to_ascii_lowercase());
    if routed == path { None } else { with_path(uri, &routed) }
}

/// The same request without the path of `PUBLIC_URL` before it: clients that call below that path are served, whether
/// or not a proxy takes it away. Signatures cover the target as it was transmitted.
fn below_base(uri: &Uri, base: &str) -> Option<Uri> {
    let inner = uri.path().strip_prefix(base.trim_end_matches('/'))?;
    (base != "/" && inner.starts_with('/')).then(|| with_path(uri, inner))?
}

fn with_path(uri: &Uri, path: &str) -> Option<Uri> {
    match uri.query() {
        Some(query) => format!("{path}?{query}").parse().ok(),
        None => path.parse().ok(),
    }
}

fn decodes(path: &str) -> bool {
    let escapes_are_whole = path
        .split('%')
        .skip(1)
        .all(|rest| rest.as_bytes().get(..2).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)));
    escapes_are_whole && percent_decode_str(path).decode_utf8().is_ok()
}

#[expect(clippy::disallowed_methods, reason = "an id of a request is no secret")]
fn request_id() -> String {
    slugid::nice(rand::random())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn legacy_paths_are_routed_in_any_case_and_the_namespace_keeps_its_own() {
        for (given, routed) in [
            ("/API/Pulse/V1/PING", Some("/api/pulse/v1/ping")),
            ("/v1/Namespace/Foo/?a=B", Some("/v1/namespace/Foo?a=B")),
            ("/v1/namespace/Foo", None),
            ("/v1/namespace/", Some("/v1/namespace")),
            ("/v12/ping/", None),
            ("/Login/", None),
        ] {
            let uri: Uri = given.parse().unwrap();
            assert_eq!(canonical(&uri).map(|uri| uri.to_string()).as_deref(), routed, "{given}");
        }
    }

    #[test]
    fn the_path_of_the_public_url_may_stand_before_every_route() {
        for (given, base, routed) in [
            ("/lend/v1/ping?a", "/lend", Some("/v1/ping?a")),
            ("/lend/", "/lend/", Some("/")),
            ("/lender/v1/ping", "/lend", None),
            ("/v1/ping", "/lend", None),
            ("/v1/ping", "/", None),
        ] {
            let uri: Uri = given.parse().unwrap();
            assert_eq!(below_base(&uri, base).map(|uri| uri.to_string()).as_deref(), routed, "{given}");
        }
    }

    #[test]
    fn a_path_with_broken_escapes_does_not_decode() {
        for (path, good) in [("/a%20b", true), ("/%E2%82%AC", true), ("/%", false), ("/%zz", false), ("/%ff", false)] {
            assert_eq!(decodes(path), good, "{path}");
        }
    }
}
