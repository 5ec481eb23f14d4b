//! What can be done with a namespace. Each is a page that says what will happen, and the form that does it.

use askama::Template;
use axum::response::Response;
use serde::Deserialize;

use super::parse_name;
use crate::base::{Error, MailAddress, NamespaceName, Result, Timestamp};
use crate::domain::leases::{Filter, LeaseKind, Revocation};
use crate::domain::namespaces::Claim;
use crate::domain::wraps::LASTS;
use crate::proto::formats;
use crate::web::console::kit::form::{CheckedForm, Nothing};
use crate::web::console::kit::frame::{Frame, page};
use crate::web::console::kit::plan::{self, Equivalents, Plan, Weight};
use crate::web::console::kit::session::Session;
use crate::web::console::kit::text::TimeTag;
use crate::web::state::App;

fn home(name: &NamespaceName) -> String {
    format!("/namespaces/{name}")
}

fn revocation(name: &NamespaceName) -> Revocation {
    let filter = Filter { kind: Some(LeaseKind::Namespace), name: Some(name.to_string()), ..Filter::default() };
    Revocation { filter, ..Revocation::default() }
}

pub async fn plan_revoke(app: App, session: Session) -> Result<Response> {
    let name = parse_name(&session)?;
    let planned = app.leases.plan(&revocation(&name)).await?;
    let mut effects: Vec<String> = planned.into_iter().map(|step| step.what).collect();
    effects.push("This breaks the promise of how long the passwords work. Queues and messages stay.".to_owned());
    let body = format!(r#"{{"kind":"namespace","name":"{name}","reason":"why","dryRun":false}}"#);
    let command = ["lease", "revoke", "--kind", "namespace", "--name", name.as_str(), "--reason", "why", "--yes"];
    let plan = Plan {
        title: format!("Revoke both passwords of {name}"),
        effects,
        weight: Weight::Destroys,
        action: format!("{}/revoke", home(&name)),
        fields: Vec::new(),
        button: "Revoke both",
        back: home(&name),
        equivalents: Equivalents::of(&session, "POST", "/leases/revoke", Some(&body), &command),
    };
    plan::ask(&app, &session, plan).await
}

/// Ends both passwords of a namespace now.
pub async fn revoke(app: App, session: Session, form: CheckedForm<Nothing>) -> Result<Response> {
    let name = parse_name(&session)?;
    let caller = form.with_reason(&session)?;
    let revoked = app.leases.revoke(&caller, &revocation(&name)).await?;
    if revoked.is_empty() {
        return Err(Error::conflict("Nothing of it is lent: there is nothing to revoke."));
    }
    for each in revoked {
        // What the store wishes and the broker does not have yet need not wait.
        each.outcome.inspect_err(|_| app.loops.nudge("reconcile"))?;
    }
    plan::done(&session, &home(&name))
}

/// What handing over would do.
pub async fn plan_hand_over(app: App, session: Session) -> Result<Response> {
    let name = app.namespaces.parse(session.param("namespace"))?;
    let minutes = LASTS.as_secs() / 60;
    let effects = vec![
        format!(
            "You get a link that shows the credentials of {name} once, to whoever opens it within {minutes} minutes."
        ),
        "Opening it is a claim in your name. The audit log has who made the link, and from where it was opened."
            .to_owned(),
        "Expiry and contact of the namespace stay as they are.".to_owned(),
    ];
    let plan = Plan {
        title: format!("Hand over {name}"),
        effects,
        weight: Weight::Light,
        action: format!("{}/hand-over", home(&name)),
        fields: Vec::new(),
        button: "Make a link",
        back: home(&name),
        equivalents: Equivalents::of(
            &session,
            "POST",
            &format!("/wraps/{name}"),
            Some("{}"),
            &["claim", name.as_str(), "--wrap"],
        ),
    };
    plan::ask(&app, &session, plan).await
}

#[derive(Template)]
#[template(path = "console/handed_over.html")]
struct HandedOver {
    frame: Frame,
    name: String,
    link: String,
    until: TimeTag,
}

/// Makes a link. It is shown here and nowhere else; the store keeps a hash.
pub async fn hand_over(app: App, session: Session, _: CheckedForm<Nothing>) -> Result<Response> {
    let name = app.namespaces.parse(session.param("namespace"))?;
    // What a claim leaves out is reset, so it says what is so.
    let claim = match app.namespaces.detail(&name) {
        Ok(detail) => Claim { expires: Some(detail.times.expires), contact: detail.contact },
        Err(_) => Claim::default(),
    };
    let made = app.wraps.wrap(&session.caller, name.clone(), claim, LASTS).await?.into_inner();
    let path = format!("/wraps/{}", made.token.expose());
    let origin = match &app.public_url {
        Some(url) => url.as_str().trim_end_matches('/').to_owned(),
        None => format!("{}://{}", if session.origin.peer.is_https { "https" } else { "http" }, session.host),
    };
    Ok(page(&HandedOver {
        frame: Frame::of(&app, &session, format!("Hand over {name}")).await,
        name: name.to_string(),
        link: format!("{origin}{path}"),
        until: TimeTag { at: made.until, now: session.now },
    }))
}

#[derive(Deserialize)]
pub struct Owner {
    owner: String,
}

pub async fn own(app: App, session: Session, form: CheckedForm<Owner>) -> Result<Response> {
    let name = parse_name(&session)?;
    app.namespaces.own(&name, MailAddress::parse(form.input.owner.trim())?, &session.caller).await?;
    plan::done(&session, &home(&name))
}

pub async fn disown(app: App, session: Session, form: CheckedForm<Owner>) -> Result<Response> {
    let name = parse_name(&session)?;
    app.namespaces.disown(&name, MailAddress::parse(&form.input.owner)?, &session.caller).await?;
    plan::done(&session, &home(&name))
}

fn parse_time(text: &str) -> Result<Timestamp> {
    let wrong = |_| Error::invalid("a moment was expected, such as 2026-12-24T00:00:00Z");
    formats::date_time(text.trim()).map_err(wrong)
}

/// What a later end would do.
pub async fn plan_extend(app: App, session: Session) -> Result<Response> {
    let name = parse_name(&session)?;
    let detail = app.namespaces.detail(&name)?;
    let expires = parse_time(session.query("expires").unwrap_or_default())?;
    let path = format!("{}/extend", home(&name));
    let text = expires.to_string();
    let plan = Plan {
        title: format!("Extend {name}"),
        effects: vec![
            format!("It ends {expires} instead of {}.", detail.times.expires),
            "The next claim says again when it ends: services that claim it go on as before.".to_owned(),
        ],
        weight: Weight::Reasoned,
        fields: vec![("expires", text.clone())],
        button: "Extend it",
        back: home(&name),
        equivalents: Equivalents::of(
            &session,
            "POST",
            &path,
            Some(&format!(r#"{{"expires":"{text}"}}"#)),
            &["namespace", "extend", name.as_str(), "--until", &text],
        ),
        action: path,
    };
    plan::ask(&app, &session, plan).await
}

#[derive(Deserialize)]
pub struct End {
    expires: String,
}

/// Lets a namespace end later.
pub async fn extend(app: App, session: Session, form: CheckedForm<End>) -> Result<Response> {
    let name = parse_name(&session)?;
    let caller = form.with_reason(&session)?;
    app.namespaces.extend(&name, parse_time(&form.input.expires)?, &caller).await?;
    plan::done(&session, &home(&name))
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
    plan::done(&session, &home(&name))
}
