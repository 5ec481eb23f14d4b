//! The profile of the relay as it was written, and the form that stores another one. Passwords of databases may stand in it:
//! whoever may only look at the relay does not see its text.

use askama::Template;
use axum::response::Response;
use serde::Deserialize;

use crate::base::{Error, Result};
use crate::domain::actions::relay::{Profiled, STORE};
use crate::proto::relay_profile::preset;
use crate::web::console::kit::act::{self, Asked};
use crate::web::console::kit::form::{CheckedForm, TOKEN_FIELD};
use crate::web::console::kit::frame::{Frame, page};
use crate::web::console::kit::plan::{self, Equivalents};
use crate::web::console::kit::session::Session;
use crate::web::console::kit::text::Untrusted;
use crate::web::state::App;

const PATH: &str = "/relay/profile";
const BACK: &str = "/relay";
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

/// What the form says.
#[derive(Deserialize)]
pub struct Input {
    text: String,
    #[serde(default)]
    sure: String,
}

pub async fn show(app: App, session: Session) -> Result<Response> {
    let text = match app.relay.declared() {
        Ok(declared) => declared.text.clone().unwrap_or_default(),
        Err(_) => match app.relay.unreadable() {
            Some(unreadable) => {
                let problem = Error::invalid(format!("this version does not read it: {}", unreadable.first));
                let text = unreadable.text.expose().to_owned();
                return Ok(form(&app, &session, text, Some(problem)).await);
            }
            None => preset(BEGINNING).unwrap_or_default().to_owned(),
        },
    };
    Ok(form(&app, &session, text, None).await)
}

/// Shows what another profile would mean; then stores it.
pub async fn store(app: App, session: Session, given: CheckedForm<Input>) -> Result<Response> {
    // Browsers send line ends as networks have them.
    let text = given.input.text.replace("\r\n", "\n");
    let profiled = Profiled::of(&text);
    if !given.input.sure.is_empty() {
        return match act::run(&app, &session, &given, &STORE, (), profiled).await {
            Ok(_) => plan::done(&session, BACK),
            Err(error) => Ok(form(&app, &session, text, Some(error)).await),
        };
    }
    let asked = Asked {
        words: vec!["profile.toml"],
        query: String::new(),
        fields: vec![("text", text.clone()), ("sure", "yes".to_owned())],
        ..Asked::of("", PATH.to_owned(), PATH.to_owned())
    };
    match act::ask(&app, &session, &STORE, (), profiled, asked).await {
        Err(error) => Ok(form(&app, &session, text, Some(error)).await),
        shown => shown,
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
