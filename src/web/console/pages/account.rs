//! One's own account: password, second factor, sessions.

use askama::Template;
use axum::response::Response;
use serde::Deserialize;

use crate::base::{Error, Result, Secret};
use crate::domain::operators::{OperatorView, PASSWORD_LEN_MIN};
use crate::web::console::kit::form::{CheckedForm, Nothing, TOKEN_FIELD};
use crate::web::console::kit::frame::{Frame, page};
use crate::web::console::kit::plan;
use crate::web::console::kit::session::Session;
use crate::web::console::kit::text::{TimeTag, Untrusted};
use crate::web::state::App;

#[derive(Template)]
#[template(path = "console/account.html")]
struct Account {
    frame: Frame,
    token_field: &'static str,
    form_token: String,
    shown: OperatorView,
    purpose: &'static str,
    sessions: Vec<Row>,
    password_len_min: usize,
}

struct Row {
    started: TimeTag,
    seen: TimeTag,
    address: String,
    agent: Untrusted<'static>,
    is_this: bool,
}

#[derive(Template)]
#[template(path = "console/second_factor.html")]
struct SecondFactorPage {
    frame: Frame,
    token_field: &'static str,
    form_token: String,
    secret: String,
    address: String,
    codes: Vec<String>,
}

/// The new password, and the one so far.
#[derive(Deserialize)]
pub struct Passwords {
    current: String,
    password: String,
    again: String,
}

/// A code of the app.
#[derive(Deserialize)]
pub struct Code {
    code: String,
}

pub async fn show(app: App, session: Session) -> Result<Response> {
    let time = |at| TimeTag { at, now: session.now };
    let own = app.operators.sessions().await?.into_iter().filter(|shown| shown.operator == session.operator);
    let sessions = own.map(|shown| Row {
        started: time(shown.started),
        seen: time(shown.seen),
        address: shown.address.to_string(),
        is_this: shown.id == session.signed_in.session,
        agent: Untrusted::of(shown.agent),
    });
    Ok(page(&Account {
        frame: Frame::of(&app, &session, "Your account").await,
        token_field: TOKEN_FIELD,
        form_token: session.form_token().expose().to_owned(),
        shown: app.operators.operator(&session.operator)?,
        purpose: session.role.purpose(),
        sessions: sessions.collect(),
        password_len_min: PASSWORD_LEN_MIN,
    }))
}

pub async fn change_password(app: App, session: Session, form: CheckedForm<Passwords>) -> Result<Response> {
    let Passwords { current, password, again } = form.input;
    if Secret::new(password.as_str()) != Secret::new(again) {
        return Err(Error::invalid("the two new passwords differ: nothing was changed"));
    }
    app.operators.change_password(&session.signed_in, Secret::new(current), Secret::new(password)).await?;
    plan::done(&session, "/account")
}

/// Shows the secret for a new app.
pub async fn enrol(app: App, session: Session, _: CheckedForm<Nothing>) -> Result<Response> {
    let enrolment = app.operators.enrol_second_factor(&session.caller, session.operator.clone()).await?.into_inner();
    let secret = enrolment.secret.expose().as_bytes().chunks(4).map(|four| String::from_utf8_lossy(four).into_owned());
    let secret = secret.collect::<Vec<_>>().join(" ");
    second_factor_page(&app, &session, secret, enrolment.address.expose().to_owned(), Vec::new()).await
}

/// Makes it count, and shows the recovery codes.
pub async fn confirm(app: App, session: Session, form: CheckedForm<Code>) -> Result<Response> {
    let confirmed =
        app.operators.confirm_second_factor(&session.caller, session.operator.clone(), form.input.code).await?;
    let codes = confirmed.into_inner().iter().map(|code| code.expose().to_owned()).collect();
    second_factor_page(&app, &session, String::new(), String::new(), codes).await
}

pub async fn remove(app: App, session: Session, form: CheckedForm<Code>) -> Result<Response> {
    app.operators.remove_second_factor(&session.caller, session.operator.clone(), form.input.code).await?;
    plan::done(&session, "/account")
}

async fn second_factor_page(
    app: &App,
    session: &Session,
    secret: String,
    address: String,
    codes: Vec<String>,
) -> Result<Response> {
    let frame = Frame::of(app, session, "Second factor").await;
    let form_token = session.form_token().expose().to_owned();
    Ok(page(&SecondFactorPage { frame, token_field: TOKEN_FIELD, form_token, secret, address, codes }))
}
