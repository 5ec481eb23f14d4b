//! What can be done with a namespace. Each is a page that says what will happen, and the form that does it.

use axum::response::Response;
use serde::Deserialize;

use super::parse_name;
use crate::base::{MailAddress, NamespaceName, Result};
use crate::domain::actions::leases::{REVOKE, Wanted};
use crate::domain::actions::namespaces::{self as actions, End};
use crate::domain::namespaces::Claim;
use crate::domain::wraps::LASTS;
use crate::web::console::kit::act::{self, Asked};
use crate::web::console::kit::form::{CheckedForm, Nothing};
use crate::web::console::kit::plan::{self, Equivalents};
use crate::web::console::kit::session::Session;
use crate::web::console::pages::hand_over;
use crate::web::console::pages::leases::carry_out;
use crate::web::state::App;

fn path_to(name: &NamespaceName) -> String {
    format!("/namespaces/{name}")
}

/// Both passwords of a namespace.
fn both(name: &NamespaceName) -> Wanted {
    Wanted { kind: Some("namespace".to_owned()), name: Some(name.to_string()), ..Wanted::default() }
}

pub async fn plan_revoke(app: App, session: Session) -> Result<Response> {
    let name = parse_name(&session)?;
    let asked = Asked {
        name: Some(&format!("both passwords of {name}")),
        words: vec!["--kind", "namespace", "--name", name.as_str(), "--yes"],
        path: format!("{}/revoke", path_to(&name)),
        back: path_to(&name),
        ..Asked::default()
    };
    act::ask(&app, &session, &REVOKE, (), both(&name), asked).await
}

/// Ends both passwords of a namespace now.
pub async fn revoke(app: App, session: Session, form: CheckedForm<Nothing>) -> Result<Response> {
    let name = parse_name(&session)?;
    carry_out(&app, &session, &form, both(&name), &path_to(&name)).await
}

/// What handing over would do.
pub async fn plan_hand_over(app: App, session: Session) -> Result<Response> {
    let name = app.namespaces.parse(session.param("namespace"))?;
    let more = [
        "Opening it is a claim in your name. The audit log has who made the link, and from where it was opened.",
        "Expiry and contact of the namespace stay as they are.",
    ];
    let words = ["claim", name.as_str(), "--wrap"];
    let equivalents = Equivalents::of(&session, "POST", &format!("/wraps/{name}"), Some("{}"), &words);
    plan::ask(&app, &session, hand_over::plan(name.as_str(), &path_to(&name), &more, equivalents)).await
}

/// Makes a link.
pub async fn hand_over(app: App, session: Session, _: CheckedForm<Nothing>) -> Result<Response> {
    let name = app.namespaces.parse(session.param("namespace"))?;
    // What a claim leaves out is reset, so it says what is so.
    let claim = match app.namespaces.detail(&name) {
        Ok(detail) => Claim { expires: Some(detail.times.expires), contact: detail.contact, ..Claim::default() },
        Err(_) => Claim::default(),
    };
    let made = app.wraps.wrap(&session.caller, name.clone(), claim, LASTS).await?;
    Ok(hand_over::done(&app, &session, name.as_str(), &path_to(&name), made).await)
}

#[derive(Deserialize)]
pub struct Owner {
    owner: String,
}

pub async fn own(app: App, session: Session, form: CheckedForm<Owner>) -> Result<Response> {
    let name = parse_name(&session)?;
    app.namespaces.own(&name, MailAddress::parse(form.input.owner.trim())?, &session.caller).await?;
    plan::done(&session, &path_to(&name))
}

pub async fn disown(app: App, session: Session, form: CheckedForm<Owner>) -> Result<Response> {
    let name = parse_name(&session)?;
    app.namespaces.disown(&name, MailAddress::parse(&form.input.owner)?, &session.caller).await?;
    plan::done(&session, &path_to(&name))
}

/// What a later end would do.
pub async fn plan_extend(app: App, session: Session) -> Result<Response> {
    let (name, expires) = (parse_name(&session)?, session.query("expires").unwrap_or_default().to_owned());
    let mut asked = Asked::of(name.as_str(), format!("{}/extend", path_to(&name)), path_to(&name));
    asked.words.extend(["--until", &expires]);
    asked.fields = vec![("expires", expires.clone())];
    act::ask(&app, &session, &actions::EXTEND, name.clone(), End { expires: expires.clone() }, asked).await
}

#[derive(Deserialize)]
pub struct Until {
    expires: String,
}

/// Lets a namespace end later.
pub async fn extend(app: App, session: Session, form: CheckedForm<Until>) -> Result<Response> {
    let (name, expires) = (parse_name(&session)?, form.input.expires.clone());
    act::run(&app, &session, &form, &actions::EXTEND, name.clone(), End { expires }).await?;
    plan::done(&session, &path_to(&name))
}

#[derive(Deserialize)]
pub struct Noted {
    note: String,
}

/// Sets the note of a namespace.
pub async fn note(app: App, session: Session, form: CheckedForm<Noted>) -> Result<Response> {
    let name = parse_name(&session)?;
    // Forms send lines as mail does.
    let note = form.input.note.replace("\r\n", "\n").trim().to_owned();
    app.namespaces.note(&name, note, &session.caller).await?;
    plan::done(&session, &path_to(&name))
}
