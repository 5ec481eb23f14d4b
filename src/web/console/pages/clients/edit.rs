//! The form that makes a client or changes it: read, shown as a plan, and carried out when it is sent again.

use askama::Template;
use axum::response::Response;
use serde::Deserialize;

use super::{id_of, path_to, token_page};
use crate::base::{ClientId, Error, Result, Scope, Span, Timestamp};
use crate::domain::actions::clients::{self as actions, Change, New, is_for_ever};
use crate::domain::auth::Auth;
use crate::proto::formats;
use crate::web::console::kit::act::{self, Asked};
use crate::web::console::kit::form::{CheckedForm, TOKEN_FIELD};
use crate::web::console::kit::frame::{Frame, page};
use crate::web::console::kit::plan;
use crate::web::console::kit::scope_list;
use crate::web::console::kit::session::Session;
use crate::web::state::App;

#[derive(Template)]
#[template(path = "console/client_form.html")]
struct ClientForm {
    frame: Frame,
    token_field: &'static str,
    form_token: String,
    action: String,
    back: String,
    is_new: bool,
    problem: String,
    client: String,
    scopes: String,
    ends: String,
    description: String,
}

/// What the form has. Without `sure` the answer is the plan, which sends it again.
#[derive(Deserialize)]
pub struct Input {
    #[serde(default)]
    client: String,
    scopes: String,
    #[serde(default)]
    ends: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    sure: String,
}

/// When a client ends by what was typed: nothing is never, a span counts from now.
fn end_of(session: &Session, text: &str) -> Result<Timestamp> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(Auth::never(session.now));
    }
    if let Ok(span) = text.parse::<Span>() {
        return Ok(session.now.plus(span.size()));
    }
    let full = if text.len() == 10 { format!("{text}T00:00:00Z") } else { text.to_owned() };
    formats::date_time(&full)
        .map_err(|_| Error::invalid("the end is a span such as 90 days, or a day such as 2027-01-31"))
}

async fn form(app: &App, session: &Session, id: Option<&ClientId>, input: Input, problem: Option<Error>) -> Response {
    let path = id.map(path_to);
    let title = id.map_or("New client".to_owned(), |id| format!("Change {id}"));
    page(&ClientForm {
        frame: Frame::of(app, session, title).await,
        token_field: TOKEN_FIELD,
        form_token: session.form_token().expose().to_owned(),
        action: path.as_ref().map_or("/access/new-client".to_owned(), |path| format!("{path}/change")),
        back: path.unwrap_or_else(|| "/access/clients".to_owned()),
        is_new: id.is_none(),
        problem: problem.map(|error| format!("{}.", error.message())).unwrap_or_default(),
        client: input.client,
        scopes: input.scopes,
        ends: input.ends,
        description: input.description,
    })
}

/// The form for a new one.
pub async fn ask_new(app: App, session: Session) -> Result<Response> {
    let [client, scopes, ends, description, sure] = Default::default();
    Ok(form(&app, &session, None, Input { client, scopes, ends, description, sure }, None).await)
}

/// Shows what would be made; then makes it, and shows its token.
pub async fn create(app: App, session: Session, given: CheckedForm<Input>) -> Result<Response> {
    let input = &given.input;
    let read = || {
        Ok((ClientId::parse(input.client.trim())?, scope_list::read(&input.scopes)?, end_of(&session, &input.ends)?))
    };
    let (id, scopes, end) = match read() {
        Ok(read) => read,
        Err(error) => return Ok(form(&app, &session, None, given.input, Some(error)).await),
    };
    let description = input.description.trim().to_owned();
    let fields = fields(&scopes, end, &description);
    let new = New { scopes: scopes.clone(), expires: Some(end.to_string()), description, certificate_name: None };
    if !input.sure.is_empty() {
        let issued = act::run(&app, &session, &given, &actions::CREATE, id.clone(), new).await?;
        return token_page(&app, &session, &id, &issued.access_token.0).await;
    }
    let (lasts, description) = (lasts(&session, end), new.description.clone());
    let mut words = words(&id, &scopes, lasts.as_ref());
    if !description.is_empty() {
        words.extend(["--description", &description]);
    }
    let fields = [("client", id.to_string())].into_iter().chain(fields).collect();
    let asked = Asked::of(id.as_str(), "/access/new-client".to_owned(), "/access/clients".to_owned());
    let asked = Asked { words, fields, ..asked };
    act::ask(&app, &session, &actions::CREATE, id.clone(), new, asked).await
}

fn words<'a>(id: &'a ClientId, scopes: &'a [Scope], lasts: Option<&'a String>) -> Vec<&'a str> {
    let mut words = vec![id.as_str()];
    words.extend(scope_list::words(scopes));
    words.extend(lasts.into_iter().flat_map(|lasts| ["--lasts", lasts]));
    words
}

/// What a plan brings along to its second sending.
fn fields(scopes: &[Scope], expires: Timestamp, description: &str) -> [(&'static str, String); 4] {
    let (scopes, ends) = (scope_list::write(scopes), expires.to_string());
    [("scopes", scopes), ("ends", ends), ("description", description.to_owned()), ("sure", "yes".to_owned())]
}

/// The span of a command, in whole seconds; none for a client without an end.
fn lasts(session: &Session, end: Timestamp) -> Option<String> {
    (!is_for_ever(session.now, end)).then(|| format!("{} seconds", end.since(session.now).as_secs()))
}

/// The form that changes one.
pub async fn ask_change(app: App, session: Session) -> Result<Response> {
    let shown = app.auth.client(&id_of(&session)?)?;
    let ends = if is_for_ever(session.now, shown.expires) { String::new() } else { shown.expires.to_string() };
    let (client, sure) = (String::new(), String::new());
    let input = Input { client, scopes: scope_list::write(&shown.scopes), ends, description: shown.description, sure };
    Ok(form(&app, &session, Some(&shown.client_id), input, None).await)
}

/// Shows what a change would do; then makes it.
pub async fn change(app: App, session: Session, given: CheckedForm<Input>) -> Result<Response> {
    let id = id_of(&session)?;
    let (old, input) = (app.auth.client(&id)?, &given.input);
    let read = || Ok((scope_list::read(&input.scopes)?, end_of(&session, &input.ends)?));
    let (scopes, end) = match read() {
        Ok(read) => read,
        Err(error) => return Ok(form(&app, &session, Some(&id), given.input, Some(error)).await),
    };
    let description = input.description.trim().to_owned();
    let is_endless = |end| is_for_ever(session.now, end);
    // An end that was none stays the same one.
    let end = if is_endless(end) && is_endless(old.expires) { old.expires } else { end };
    if (&scopes, end, &description) == (&old.scopes, old.expires, &old.description) {
        let same = Some(Error::invalid("this would change nothing"));
        return Ok(form(&app, &session, Some(&id), given.input, same).await);
    }
    let fields = fields(&scopes, end, &description).into();
    let (expires, is_sure) = (Some(end.to_string()), !input.sure.is_empty());
    let change = Change { scopes: Some(scopes.clone()), expires, description: Some(description) };
    if is_sure {
        act::run(&app, &session, &given, &actions::CHANGE, id.clone(), change).await?;
        return plan::done(&session, &path_to(&id));
    }
    let lasts = lasts(&session, end);
    let asked = Asked::of(id.as_str(), format!("{}/change", path_to(&id)), path_to(&id));
    let asked = Asked { words: words(&id, &scopes, lasts.as_ref()), fields, ..asked };
    act::ask(&app, &session, &actions::CHANGE, id.clone(), change, asked).await
}
