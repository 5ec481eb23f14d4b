//! Signing in with a password, and signing out.

use askama::Template;
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use crate::base::text::url_encoded;
use crate::base::{Error, Kind, Result, Secret};
use crate::domain::operators::Attempt;
use crate::web::console::kit::form::{CheckedForm, Nothing, OpenForm};
use crate::web::console::kit::frame::{Frame, failure, page};
use crate::web::console::kit::session::{Session, own_place, root, see_other, set_cookie, visitor};
use crate::web::console::kit::theme::Theme;
use crate::web::error::{retry_after_seconds, status};
use crate::web::layers::Origin;
use crate::web::state::App;

#[derive(Template)]
#[template(path = "console/login.html")]
struct Login {
    frame: Frame,
    name: String,
    to: String,
    /// The same in a query.
    to_encoded: String,
    problem: String,
    /// Whether there is another way in.
    offers_issuer: bool,
}

#[derive(Deserialize)]
pub struct Input {
    name: String,
    password: String,
    #[serde(default)]
    code: String,
    #[serde(default)]
    to: String,
}

pub async fn ask(app: App, origin: Origin, request: Request) -> Response {
    let query = request.uri().query().unwrap_or_default();
    let to = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "to").map(|(_, to)| to);
    let to = to.as_deref().and_then(own_place).unwrap_or("/").to_owned();
    match app.operators.exist() {
        Ok(true) => form(&app, &origin, request.headers(), String::new(), to, None),
        Ok(false) => see_other(&format!("{}/setup", root(&app))),
        Err(error) => failure(&app, None, &origin, &error).await,
    }
}

/// Begins a session, and goes on to where one wanted to go.
pub async fn log_in(app: App, origin: Origin, form_in: OpenForm<Input>) -> Response {
    let OpenForm { input: Input { name, password, code, to }, headers } = form_in;
    let to = own_place(&to).unwrap_or("/").to_owned();
    let from = visitor(&headers, &origin);
    let attempt = Attempt { name: name.clone(), password: Secret::new(password), code, from };
    match app.operators.log_in(attempt).await {
        Ok(id) => {
            let cookie = set_cookie(&origin, Some(&id.into_inner()));
            ([cookie], see_other(&format!("{}{to}", root(&app)))).into_response()
        }
        Err(error) if matches!(error.kind(), Kind::Unauthenticated | Kind::Limited) => {
            form(&app, &origin, &headers, name, to, Some(&error))
        }
        Err(error) => failure(&app, None, &origin, &error).await,
    }
}

pub async fn log_out(app: App, session: Session, _: CheckedForm<Nothing>) -> Result<Response> {
    app.operators.log_out(&session.signed_in).await?;
    let away = set_cookie(&session.origin, None);
    Ok(([away], see_other(&format!("{}/login", session.root))).into_response())
}

/// The form, with what was wrong.
pub(super) fn form(
    app: &App,
    origin: &Origin,
    headers: &HeaderMap,
    name: String,
    to: String,
    problem: Option<&Error>,
) -> Response {
    let frame = Frame::bare(app, origin, Theme::of(headers), "Sign in");
    let said = problem.map(|error| format!("{}.", error.message())).unwrap_or_default();
    let code = problem.map_or(StatusCode::OK, |error| status(error.kind()));
    let to_encoded = url_encoded(&to);
    let login = Login { frame, name, to, to_encoded, problem: said, offers_issuer: app.oidc.is_some() };
    let mut response = (code, page(&login)).into_response();
    if let Some(seconds) = problem.and_then(retry_after_seconds) {
        response.headers_mut().insert(axum::http::header::RETRY_AFTER, seconds.into());
    }
    response
}
