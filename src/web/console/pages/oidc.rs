//! Signing in by an OpenID Connect issuer: the redirect to it, and the callback from it.

use std::time::Duration;

use askama::Template;
use axum::extract::Request;
use axum::http::header::{HeaderName, SET_COOKIE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{AppendHeaders, IntoResponse, Response};

use super::login;
use crate::base::{Error, Kind, Secret};
use crate::domain::operators::{Callback, OidcSession, PENDING_LASTS};
use crate::web::console::kit::cookie::cookie;
use crate::web::console::kit::frame::{Frame, failure, page};
use crate::web::console::kit::session::{own_place, root, see_other, set_cookie, visitor};
use crate::web::console::kit::theme::Theme;
use crate::web::error::report;
use crate::web::layers::Origin;
use crate::web::state::App;

/// What a browser keeps while it is at the issuer. It comes back with a request of another site, so it is `Lax`.
const COOKIE: &str = "keylender_signin";
const COOKIE_TLS: &str = "__Host-keylender_signin";

#[derive(Template)]
#[template(path = "console/signed_in.html")]
struct SignedInPage {
    frame: Frame,
    /// Where it goes on, with what stands before our paths.
    location: String,
}

/// Sends a browser to the issuer.
pub async fn begin(app: App, origin: Origin, request: Request) -> Response {
    let to = parameter(&request, "to").as_deref().and_then(own_place).unwrap_or("/").to_owned();
    let Some(oidc) = &app.oidc else { return failure(&app, None, &origin, &not_configured()).await };
    match oidc.begin(to, &visitor(request.headers(), &origin)).await {
        Ok(authorization) => {
            let cookie = keep(&origin, authorization.seed.expose(), PENDING_LASTS);
            ([cookie], see_other(authorization.location.as_str())).into_response()
        }
        Err(error) => refused(&app, &origin, request.headers(), &error).await,
    }
}

/// Takes a browser back, and begins its session. The answer is a page and no redirect: a browser that comes from another
/// site does not send its new `SameSite=Strict` cookie along a redirect, and does so from a page of ours.
pub async fn callback(app: App, origin: Origin, request: Request) -> Response {
    let Some(oidc) = &app.oidc else { return failure(&app, None, &origin, &not_configured()).await };
    let headers = request.headers();
    let callback = Callback {
        seed: cookie(headers, name(&origin)).map(Secret::new),
        state: parameter(&request, "state").unwrap_or_default(),
        code: parameter(&request, "code").unwrap_or_default(),
        issuer: parameter(&request, "iss"),
    };
    let forgotten = keep(&origin, "", Duration::ZERO);
    match oidc.callback(callback, visitor(headers, &origin)).await {
        Ok(OidcSession { session, to }) => {
            let frame = Frame::bare(&app, &origin, Theme::of(headers), "Signed in");
            let location = format!("{}{to}", root(&app));
            let cookies = AppendHeaders([forgotten, set_cookie(&origin, Some(&session.into_inner()))]);
            (StatusCode::OK, cookies, page(&SignedInPage { frame, location })).into_response()
        }
        Err(error) => (AppendHeaders([forgotten]), refused(&app, &origin, headers, &error).await).into_response(),
    }
}

/// The form again, with what was wrong: a password may still do.
async fn refused(app: &App, origin: &Origin, headers: &HeaderMap, error: &Error) -> Response {
    if error.kind() == Kind::Internal {
        return failure(app, None, origin, error).await;
    }
    report(error, "a sign-in by the OIDC issuer", &origin.trace.id);
    login::form(app, origin, headers, String::new(), "/".to_owned(), Some(error))
}

fn parameter(request: &Request, name: &str) -> Option<String> {
    let query = request.uri().query().unwrap_or_default();
    url::form_urlencoded::parse(query.as_bytes()).find(|(given, _)| given == name).map(|(_, value)| value.into_owned())
}

fn keep(origin: &Origin, value: &str, lasts: Duration) -> (HeaderName, String) {
    let secure = if origin.peer.is_https { "; Secure" } else { "" };
    let (name, seconds) = (name(origin), lasts.as_secs());
    (SET_COOKIE, format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax{secure}; Max-Age={seconds}"))
}

fn name(origin: &Origin) -> &'static str {
    if origin.peer.is_https { COOKIE_TLS } else { COOKIE }
}

fn not_configured() -> Error {
    Error::not_found("Signing in by an issuer is not set up here: see OIDC_ISSUER.")
}
