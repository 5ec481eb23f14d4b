//! The form that stores a declaration of upstreams. Tokens and passwords stand in what is stored: it is not shown again, to
//! nobody and in no part.

use askama::Template;
use axum::response::Response;

use super::{PATH as BACK, UPSTREAMS as PATH, UpstreamRow, upstream_rows};
use crate::base::text::capitalized;
use crate::base::{Error, Result};
use crate::domain::actions::proxy::STORE;
use crate::web::console::kit::act::{self, Text};
use crate::web::console::kit::form::{CheckedForm, TOKEN_FIELD};
use crate::web::console::kit::frame::{Frame, page};
use crate::web::console::kit::plan::Equivalents;
use crate::web::console::kit::session::Session;
use crate::web::console::kit::text::Untrusted;
use crate::web::state::App;

/// What somebody begins with who has none.
const EXAMPLE: &str = r#"[[upstream]]
name = "symbols"
base = "https://symbols.example.com/v1"
methods = ["GET", "PUT"]
paths = ["/files"]
scopes = { prefix = "project:ours:symbols:" }

[upstream.credential]
kind = "minted"
url = "https://tokens.example.com/new"
token = "the token by which others are minted"
body = '{"permissions":"<permissions>","expires":"<expires>"}'
pointer = "/token"
life = "10 minutes"

[[upstream]]
preset = "taskcluster"
base = "https://tc.example.com"
"#;

#[derive(Template)]
#[template(path = "console/proxy_upstreams.html")]
struct Page {
    frame: Frame,
    /// What is wrong with a text that was sent, each with its place.
    problems: Vec<Untrusted<'static>>,
    is_of_settings: bool,
    upstreams: Vec<UpstreamRow>,
    token_field: &'static str,
    form_token: String,
    /// What was sent and could not be taken; never what is stored.
    text: String,
    example: &'static str,
    equivalents: Equivalents,
}

pub async fn show(app: App, session: Session) -> Result<Response> {
    let problem = app.proxy.unreadable().map(|unreadable| Error::invalid(&*unreadable.why));
    Ok(form(&app, &session, String::new(), problem).await)
}

/// Shows what another declaration would mean; then stores it.
pub async fn store(app: App, session: Session, given: CheckedForm<Text>) -> Result<Response> {
    match act::store(&app, &session, &given, &STORE, ["upstreams.toml", PATH, BACK]).await {
        Err((text, error)) => Ok(form(&app, &session, text, Some(error)).await),
        Ok(shown) => Ok(shown),
    }
}

async fn form(app: &App, session: &Session, text: String, problem: Option<Error>) -> Response {
    let problems = problem.map(|error| capitalized(error.message())).unwrap_or_default();
    page(&Page {
        frame: Frame::of(app, session, "Upstreams of the task proxy").await,
        problems: problems.lines().map(|line| Untrusted::of(line.to_owned())).collect(),
        is_of_settings: app.proxy.is_of_settings(),
        upstreams: upstream_rows(app),
        token_field: TOKEN_FIELD,
        form_token: session.form_token().expose().to_owned(),
        text,
        example: EXAMPLE,
        equivalents: Equivalents::of(session, "GET", PATH, None, &["proxy", "upstreams"]),
    })
}

#[cfg(test)]
mod tests {
    use super::EXAMPLE;
    use crate::proto::proxy::declaration;

    #[test]
    fn what_one_begins_with_could_be_stored() {
        let mut declared = declaration::parse(EXAMPLE).unwrap();
        assert_eq!(declared.len(), 2);
        assert!(!declared.iter_mut().any(declaration::Declared::names_files));
    }
}
