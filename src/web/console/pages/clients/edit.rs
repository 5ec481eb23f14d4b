//! The form that makes a client or changes it: read, shown as a plan, and carried out when it is sent again.

use askama::Template;
use axum::response::Response;
use serde::Deserialize;
use serde_json::json;

use super::{api, end_in_words, id_of, is_for_ever, place, plan, token_page};
use crate::base::{ClientId, Error, Result, Scope, Span, Timestamp};
use crate::domain::auth::{Auth, ClientChange, NewClient};
use crate::proto::formats;
use crate::web::console::kit::form::{CheckedForm, TOKEN_FIELD};
use crate::web::console::kit::frame::{Frame, page};
use crate::web::console::kit::plan::{self as plans, Equivalents, Plan, Weight};
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
    let path = id.map(place);
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

fn new_of(session: &Session, input: &Input) -> Result<(ClientId, NewClient)> {
    let id = ClientId::parse(input.client.trim())?;
    let (scopes, expires) = (scope_list::read(&input.scopes)?, end_of(session, &input.ends)?);
    let description = input.description.trim().to_owned();
    Ok((id, NewClient { scopes, expires, description, certificate_name: None }))
}

/// Shows what would be made; then makes it, and shows its token.
pub async fn create(app: App, session: Session, given: CheckedForm<Input>) -> Result<Response> {
    let input = given.input;
    let (id, new) = match new_of(&session, &input) {
        Ok(new) => new,
        Err(error) => return Ok(form(&app, &session, None, input, Some(error)).await),
    };
    if input.sure.is_empty() {
        return plans::ask(&app, &session, plan_new(&session, &id, &new)).await;
    }
    let token = app.auth.create_client(&session.caller, id.clone(), new).await?.into_inner();
    token_page(&app, &session, &id, &token).await
}

fn plan_new(session: &Session, id: &ClientId, new: &NewClient) -> Plan {
    let mut effects = vec![format!("There is a client {id}. Its access token is shown to you once.")];
    effects.push(end_in_words(session, new.expires));
    effects.extend(scope_list::effects(&[], &new.scopes));
    let body = json!({"scopes": new.scopes, "expires": new.expires, "description": new.description}).to_string();
    let mut words = vec!["client", "create", id.as_str()];
    words.extend(scope_list::words(&new.scopes));
    let (lasts, description) = (lasts(session, new.expires), new.description.clone());
    words.extend(lasts.iter().flat_map(|lasts| ["--lasts", lasts]));
    if !description.is_empty() {
        words.extend(["--description", &description]);
    }
    Plan {
        title: format!("Make the client {id}"),
        effects,
        weight: Weight::Light,
        action: "/access/new-client".to_owned(),
        fields: [("client", id.to_string())]
            .into_iter()
            .chain(fields(&new.scopes, new.expires, &description))
            .collect(),
        button: "Make it now",
        back: "/access/clients".to_owned(),
        equivalents: Equivalents::of(session, "PUT", &api(id, ""), Some(&body), &words),
    }
}

/// What a plan brings along to its second sending.
fn fields(scopes: &[Scope], expires: Timestamp, description: &str) -> [(&'static str, String); 4] {
    let (scopes, ends) = (scope_list::write(scopes), expires.to_string());
    [("scopes", scopes), ("ends", ends), ("description", description.to_owned()), ("sure", "yes".to_owned())]
}

/// The span of a command, in whole seconds; none for a client without an end.
fn lasts(session: &Session, end: Timestamp) -> Option<String> {
    (!is_for_ever(session, end)).then(|| format!("{} seconds", end.since(session.now).as_secs()))
}

/// The form that changes one.
pub async fn ask_change(app: App, session: Session) -> Result<Response> {
    let shown = app.auth.client(&id_of(&session)?)?;
    let ends = if is_for_ever(&session, shown.expires) { String::new() } else { shown.expires.to_string() };
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
    let description = input.description.trim();
    // An end that was none stays the same one.
    let end = if is_for_ever(&session, end) && is_for_ever(&session, old.expires) { old.expires } else { end };
    if input.sure.is_empty() {
        let mut effects = scope_list::effects(&old.scopes, &scopes);
        effects.extend((end != old.expires).then(|| end_in_words(&session, end)));
        effects.extend((description != old.description).then(|| format!("It is for: {description}")));
        if effects.is_empty() {
            let same = Some(Error::invalid("this would change nothing"));
            return Ok(form(&app, &session, Some(&id), given.input, same).await);
        }
        effects.push("Its access token stays.".to_owned());
        let body = json!({"scopes": scopes, "expires": end, "description": description}).to_string();
        let lasts = lasts(&session, end);
        let mut words = vec!["client", "change", id.as_str()];
        words.extend(scope_list::words(&scopes));
        words.extend(lasts.iter().flat_map(|lasts| ["--lasts", lasts]));
        let equivalents = Equivalents::of(&session, "POST", &api(&id, "/change"), Some(&body), &words);
        let plan = plan(&id, "Change", effects, Weight::Reasoned, "change", "Change it now", equivalents);
        let fields = fields(&scopes, end, description).into_iter().collect();
        return plans::ask(&app, &session, Plan { fields, ..plan }).await;
    }
    let change = ClientChange { scopes: Some(scopes), expires: Some(end), description: Some(description.to_owned()) };
    app.auth.change_client(&given.with_reason(&session)?, id.clone(), change).await?;
    plans::done(&session, &place(&id))
}
