//! The first start: checks, and the form that makes the first admin.

use askama::Template;
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use crate::base::{Kind, OperatorName, Result, Secret};
use crate::domain::operators::PASSWORD_LEN_MIN;
use crate::web::console::kit::finding::Row;
use crate::web::console::kit::form::OpenForm;
use crate::web::console::kit::frame::{Frame, failure, page};
use crate::web::console::kit::session::{root, see_other, set_cookie, visitor};
use crate::web::console::kit::theme::Theme;
use crate::web::error::status;
use crate::web::layers::Origin;
use crate::web::state::App;

#[derive(Template)]
#[template(path = "console/setup.html")]
struct SetUp {
    frame: Frame,
    /// Empty for who has no link that works.
    token: String,
    name: String,
    problem: String,
    findings: Vec<Row>,
    password_len_min: usize,
}

#[derive(Deserialize)]
pub struct Input {
    token: String,
    name: String,
    password: String,
    again: String,
}

/// The page of the link. Without one that works, it says where to find one, and nothing else.
pub async fn ask(app: App, origin: Origin, request: Request) -> Response {
    let query = request.uri().query().unwrap_or_default();
    let token = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "token");
    let token = Secret::new(token.map(|(_, token)| token).unwrap_or_default());
    match works(&app, &token) {
        Ok(None) => see_other(&format!("{}/login", root(&app))),
        Ok(Some(works)) => {
            let token = if works { token } else { Secret::new("") };
            form(&app, &origin, request.headers(), (&token, ""), None).await
        }
        Err(error) => failure(&app, None, &origin, &error).await,
    }
}

/// Whether a link works; `None` when there are operators already.
fn works(app: &App, token: &Secret) -> Result<Option<bool>> {
    if app.operators.exist()? {
        return Ok(None);
    }
    app.operators.setup_link_works(token).map(Some)
}

/// Makes the first admin and signs them in.
pub async fn set_up(app: App, origin: Origin, form_in: OpenForm<Input>) -> Response {
    let OpenForm { input: Input { token, name, password, again }, headers } = form_in;
    let token = Secret::new(token);
    let made = async {
        let name = OperatorName::parse(&name.trim().to_ascii_lowercase())?;
        if Secret::new(password.as_str()) != Secret::new(again) {
            return Err(crate::base::Error::invalid("the two passwords differ"));
        }
        app.operators.set_up(token.clone(), name, Secret::new(password), visitor(&headers, &origin)).await
    };
    match made.await {
        Ok(id) => {
            let cookie = set_cookie(&origin, Some(&id.into_inner()));
            ([cookie], see_other(&format!("{}/", root(&app)))).into_response()
        }
        Err(error) if error.kind() == Kind::Invalid && works(&app, &token).is_ok_and(|works| works == Some(true)) => {
            form(&app, &origin, &headers, (&token, &name), Some(error.message())).await
        }
        Err(error) => failure(&app, None, &origin, &error).await,
    }
}

async fn form(
    app: &App,
    origin: &Origin,
    headers: &HeaderMap,
    (token, name): (&Secret, &str),
    problem: Option<&str>,
) -> Response {
    let token = token.expose().to_owned();
    let findings = if token.is_empty() { Vec::new() } else { app.health.diagnose().await };
    let code = match (token.is_empty(), problem) {
        (true, _) => status(Kind::Forbidden),
        (false, Some(_)) => status(Kind::Invalid),
        (false, None) => StatusCode::OK,
    };
    let set_up = SetUp {
        frame: Frame::bare(app, origin, Theme::of(headers), "Set up Keylender"),
        token,
        name: name.to_owned(),
        problem: problem.map(|problem| format!("{problem}.")).unwrap_or_default(),
        findings: findings.into_iter().map(Row::from).collect(),
        password_len_min: PASSWORD_LEN_MIN,
    };
    (code, page(&set_up)).into_response()
}
