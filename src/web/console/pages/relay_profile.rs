//! The profile of the relay as it was written, and the form that stores another one. Passwords of databases may stand in it:
//! whoever may only look at the relay does not see its text.

use askama::Template;
use axum::response::Response;

use crate::base::{Error, Result};
use crate::domain::actions::relay::STORE;
use crate::proto::relay_profile::preset;
use crate::web::console::kit::act::{self, Text};
use crate::web::console::kit::form::{CheckedForm, TOKEN_FIELD};
use crate::web::console::kit::frame::{Frame, page};
use crate::web::console::kit::plan::Equivalents;
use crate::web::console::kit::session::Session;
use crate::web::console::kit::text::Untrusted;
use crate::web::state::App;

const PATH: &str = "/relay/profile";
/// Longest text that is edited on a page: with its escapes it fits into a form. Longer ones are stored by the command.
const EDITED_LEN_MAX: usize = 100 << 10;
/// What somebody begins with who has none.
const BEGINNING: &str = "plain";

#[derive(Template)]
#[template(path = "console/relay_profile.html")]
struct ProfilePage {
    frame: Frame,
    /// What is wrong with a text that was sent, each with its place.
    problems: Vec<Untrusted<'static>>,
    is_of_settings: bool,
    /// Whether a form could not be sent with it.
    is_too_long: bool,
    from: String,
    token_field: &'static str,
    form_token: String,
    text: String,
    equivalents: Equivalents,
}

pub async fn show(app: App, session: Session) -> Result<Response> {
    let text = match app.relay.declared() {
        Ok(declared) => declared.text.clone().unwrap_or_default(),
        Err(_) => match app.relay.unreadable() {
            Some(unreadable) => {
                let problem = Error::invalid(&*unreadable.why);
                let text = unreadable.text.expose().to_owned();
                return Ok(form(&app, &session, text, Some(problem)).await);
            }
            None => preset(BEGINNING).unwrap_or_default().to_owned(),
        },
    };
    Ok(form(&app, &session, text, None).await)
}

/// Shows what another profile would mean; then stores it.
pub async fn store(app: App, session: Session, given: CheckedForm<Text>) -> Result<Response> {
    match act::store(&app, &session, &given, &STORE, ["profile.toml", PATH, "/relay"]).await {
        Err((text, error)) => Ok(form(&app, &session, text, Some(error)).await),
        Ok(shown) => Ok(shown),
    }
}

async fn form(app: &App, session: &Session, text: String, problem: Option<Error>) -> Response {
    let problems = problem.map(|error| error.message().to_owned()).unwrap_or_default();
    let is_of_settings = app.relay.is_of_settings();
    page(&ProfilePage {
        frame: Frame::of(app, session, "Profile of the relay").await,
        problems: problems.lines().map(|line| Untrusted::of(line.to_owned())).collect(),
        is_of_settings,
        is_too_long: text.len() > EDITED_LEN_MAX,
        from: app.relay.declared().map(|declared| declared.from.clone()).unwrap_or_default(),
        token_field: TOKEN_FIELD,
        form_token: session.form_token().expose().to_owned(),
        text,
        equivalents: Equivalents::of(session, "GET", PATH, None, &["relay", "profile"]),
    })
}
