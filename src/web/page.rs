//! The small pages around everything: errors in HTML, as the ancestors had them.

use askama::Template;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{Html, IntoResponse, Response};
use url::Url;

/// The ancestors' policy for error pages (taskcluster.md 5.5).
const ERROR_POLICY: &str = "default-src 'self'";
/// For pages that only need our own style.
const LOST_POLICY: &str =
    "default-src 'none'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage<'a> {
    message: &'a str,
}

/// An error page with a message.
pub fn error(status: StatusCode, message: &str) -> Response {
    let mut response = (status, render(&ErrorPage { message })).into_response();
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, header::HeaderValue::from_static(ERROR_POLICY));
    response
}

#[derive(Template)]
#[template(path = "lost.html")]
struct LostPage<'a> {
    /// Where the root of ours is.
    root: &'a str,
    path: &'a str,
}

/// Whether somebody looks who reads pages. A browser asks for HTML by name; programs take anything.
pub fn is_wanted(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    accept.is_some_and(|accept| accept.contains("text/html"))
}

/// The same as `not_found`, for people: it leads on.
pub fn lost(public_url: Option<&Url>, target: &Uri) -> Response {
    let root = public_url.map_or("", |url| url.path().trim_end_matches('/'));
    let mut response = render(&LostPage { root, path: target.path() });
    *response.status_mut() = StatusCode::NOT_FOUND;
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, header::HeaderValue::from_static(LOST_POLICY));
    response
}

/// The answer to a path or method that nobody serves: never 405 (vectors `pulse-http-07`, `pulse-param-12`).
pub fn not_found(method: &Method, target: &Uri) -> Response {
    error(StatusCode::NOT_FOUND, &format!("Cannot {method} {}", target.path()))
}

/// A template as an answer. Rendering to a string only fails when a template's own code does.
pub fn render(template: &impl Template) -> Response {
    match template.render() {
        // The template engine drops the line break at the end of a file.
        Ok(html) => Html(html + "\n").into_response(),
        Err(error) => {
            tracing::error!("rendering a page failed: {error}");
            (StatusCode::INTERNAL_SERVER_ERROR, "this page cannot be shown").into_response()
        }
    }
}
