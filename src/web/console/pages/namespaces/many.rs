//! What can be done with several namespaces at once: a plan that names each, and a form that visits each even when
//! some must wait.

use std::fmt::Write as _;

use axum::response::Response;

use crate::base::{Error, NamespaceName, Result};
use crate::domain::actions::namespaces::{EXPIRE, ROTATE};
use crate::domain::actions::{Action, Done};
use crate::web::console::kit::act;
use crate::web::console::kit::form::{CheckedForm, Nothing};
use crate::web::console::kit::plan::{self, Equivalents, Plan, Weight};
use crate::web::console::kit::session::Session;
use crate::web::state::App;

/// Namespaces of one action: more than a page of the list has.
const CHOSEN_MAX: usize = 500;
/// Failures that are told by name.
const TOLD_MAX: usize = 5;

/// The namespaces that were ticked.
fn chosen<'n>(names: impl Iterator<Item = &'n str>) -> Result<Vec<NamespaceName>> {
    let names: Vec<&str> = names.take(CHOSEN_MAX + 1).collect();
    match names.len() {
        0 => Err(Error::invalid("Choose at least one namespace.")),
        1..=CHOSEN_MAX => names.into_iter().map(NamespaceName::parse).collect(),
        _ => Err(Error::invalid(format!("Choose at most {CHOSEN_MAX} namespaces."))),
    }
}

fn ticked(session: &Session) -> Result<Vec<NamespaceName>> {
    chosen(session.queries().iter().filter(|(name, _)| name == "name").map(|(_, value)| value.as_str()))
}

fn count_names(names: &[NamespaceName]) -> String {
    if names.len() == 1 { "one namespace".to_owned() } else { format!("{} namespaces", names.len()) }
}

fn fields(names: &[NamespaceName]) -> Vec<(&'static str, String)> {
    names.iter().map(|name| ("name", name.to_string())).collect()
}

fn equivalents(session: &Session, names: &[NamespaceName], verb: &str) -> Equivalents {
    let names: Vec<&str> = names.iter().map(NamespaceName::as_str).collect();
    Equivalents::of_each(session, &names, &format!("/namespaces/$name/{verb}"), &format!("namespace {verb}"))
}

/// What rotating them would do.
pub async fn plan_rotate_many(app: App, session: Session) -> Result<Response> {
    let names = ticked(&session)?;
    let mut effects = vec![
        "Of each the resting user gets a new password, and claims get that one from now on. Nobody is cut off."
            .to_owned(),
        "One whose other password is still promised stays as it is.".to_owned(),
    ];
    for name in &names {
        let until = app.namespaces.detail(name)?.promised_until;
        effects.push(format!("{name}: the present password works on until {until}."));
    }
    let plan = Plan {
        title: format!("Rotate {}", count_names(&names)),
        effects,
        weight: Weight::Light,
        action: "/many/namespaces/rotate".to_owned(),
        fields: fields(&names),
        button: "Rotate all of them",
        back: "/namespaces".to_owned(),
        equivalents: equivalents(&session, &names, "rotate"),
    };
    plan::ask(&app, &session, plan).await
}

pub async fn rotate_many(app: App, session: Session, form: CheckedForm<Nothing>) -> Result<Response> {
    run_each(&app, &session, &form, &ROTATE).await
}

/// What removing them would do.
pub async fn plan_expire_many(app: App, session: Session) -> Result<Response> {
    let names = ticked(&session)?;
    let mut effects = vec![
        "Their broker users are deleted, and connections that use them end.".to_owned(),
        "Their queues and exchanges are deleted with all messages in them.".to_owned(),
    ];
    for name in &names {
        effects.push(format!("{name} would expire by itself: {}.", app.namespaces.detail(name)?.times.expires));
    }
    let plan = Plan {
        title: format!("Remove {}", count_names(&names)),
        effects,
        weight: Weight::Destroys,
        action: "/many/namespaces/expire".to_owned(),
        fields: fields(&names),
        button: "Remove all of them",
        back: "/namespaces".to_owned(),
        equivalents: equivalents(&session, &names, "expire"),
    };
    plan::ask(&app, &session, plan).await
}

pub async fn expire_many(app: App, session: Session, form: CheckedForm<Nothing>) -> Result<Response> {
    run_each(&app, &session, &form, &EXPIRE).await
}

async fn run_each(
    app: &App,
    session: &Session,
    form: &CheckedForm<Nothing>,
    action: &'static Action<NamespaceName, Done>,
) -> Result<Response> {
    let names = chosen(form.all("name"))?;
    // Without a reason nothing is begun.
    if action.about.weight.is_reasoned() {
        form.with_reason(session)?;
    }
    let mut failed = Vec::new();
    for name in &names {
        if let Err(error) = act::run(app, session, form, action, name.clone(), ()).await {
            failed.push(format!("{name}: {}", error.message()));
        }
    }
    end(session, &names, &failed)
}

fn end(session: &Session, names: &[NamespaceName], failed: &[String]) -> Result<Response> {
    if failed.is_empty() {
        return plan::done(session, "/namespaces");
    }
    let mut text = format!("Done for {} of {}.", names.len() - failed.len(), names.len());
    for why in failed.iter().take(TOLD_MAX) {
        // Writing to a text does not fail.
        let _ = write!(text, " {why}.");
    }
    if failed.len() > TOLD_MAX {
        text.push_str(" Others failed, too: the audit log has each that was done.");
    }
    Err(Error::conflict(text))
}
