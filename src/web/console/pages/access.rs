//! Who may do what: operators, their sessions, and a tester. `clients` and `roles` are beside it.

use askama::Template;
use axum::response::Response;
use serde::Deserialize;

use crate::base::text::url_encoded;
use crate::base::{ClientId, Error, OperatorName, Result};
use crate::domain::actions::operators::{self as actions, InRole, Password};
use crate::domain::auth::scopes::{self, RequiredScope};
use crate::domain::operators::{OperatorView, Role, SessionView};
use crate::proto::scopes::satisfies;
use crate::web::console::kit::act::{self, Asked};
use crate::web::console::kit::form::{CheckedForm, Nothing, TOKEN_FIELD};
use crate::web::console::kit::frame::{Frame, page};
use crate::web::console::kit::plan;
use crate::web::console::kit::session::Session;
use crate::web::console::kit::table::{Cell, Column, Table, TableAnswer, View};
use crate::web::console::kit::text::{State, Tone, Untrusted};
use crate::web::state::App;

const OPERATORS: Table<OperatorView> = Table {
    name: "operators",
    caption: "People who may use the console",
    columns: &[
        Column {
            name: "operator",
            title: "Operator",
            cell: |shown| Cell::text(&shown.name).to(format!("/access/operators/{}", url_encoded(shown.name.as_str()))),
        },
        Column { name: "role", title: "Role", cell: |shown| Cell::text(shown.role) },
        Column { name: "state", title: "State", cell: operator_state },
        Column {
            name: "second",
            title: "Second factor",
            cell: |shown| {
                if shown.has_second { Cell::state(Tone::Well, "on") } else { Cell::state(Tone::Quiet, "off") }
            },
        },
        Column { name: "created", title: "Made", cell: |shown| Cell::time(shown.created) },
        Column { name: "last", title: "Last sign-in", cell: |shown| Cell::time(shown.last_login) },
    ],
    sort: "operator",
    select: None,
    empty: ("There is no operator.", "keylender operator create ada --role admin"),
};

const SESSIONS: Table<SessionView> = Table {
    name: "sessions",
    caption: "Sessions that are open",
    columns: &[
        Column { name: "operator", title: "Operator", cell: |shown| Cell::text(&shown.operator) },
        Column { name: "seen", title: "Last used", cell: |shown| Cell::time(shown.seen) },
        Column { name: "started", title: "Since", cell: |shown| Cell::time(shown.started) },
        Column { name: "address", title: "Address", cell: |shown| Cell::text(shown.address) },
        Column { name: "browser", title: "Browser", cell: |shown| Cell::text(&shown.agent) },
        Column {
            name: "session",
            title: "Session",
            cell: |shown| {
                let id = shown.id.get(..12).unwrap_or_default();
                Cell::text(id).to(format!("/access/sessions/{}/revoke", url_encoded(&shown.id)))
            },
        },
    ],
    sort: "-seen",
    select: None,
    empty: ("Nobody is signed in.", ""),
};

#[derive(Template)]
#[template(path = "console/access.html")]
struct Access {
    frame: Frame,
    here: &'static str,
    /// The page that makes another one, and its name, for who may.
    create: Option<(&'static str, &'static str)>,
    table: View,
}

#[derive(Template)]
#[template(path = "console/operator.html")]
struct OperatorPage {
    frame: Frame,
    shown: OperatorView,
    purpose: &'static str,
    scopes: Vec<String>,
    path: String,
    may_change: bool,
}

#[derive(Template)]
#[template(path = "console/new_operator.html")]
struct NewOperator {
    frame: Frame,
    token_field: &'static str,
    form_token: String,
    roles: Vec<(&'static str, &'static str)>,
}

#[derive(Template)]
#[template(path = "console/made.html")]
struct Made {
    frame: Frame,
    operator: OperatorName,
    password: String,
}

#[derive(Template)]
#[template(path = "console/tester.html")]
struct Tester {
    frame: Frame,
    who: String,
    scope: String,
    verdict: Option<(State, Untrusted<'static>)>,
}

fn operator_state(shown: &OperatorView) -> Cell {
    match (shown.disabled, shown.has_password) {
        (true, _) => Cell::state(Tone::Warning, "disabled"),
        (false, true) => Cell::state(Tone::Well, "enabled"),
        (false, false) => Cell::state(Tone::Quiet, "no password"),
    }
}

/// One of the tables. `create` is the page that makes another row, its name, and the scope that this needs.
pub(super) async fn listed(
    app: &App,
    session: &Session,
    title: &str,
    here: &'static str,
    create: Option<(&'static str, &'static str, RequiredScope)>,
    shown: TableAnswer,
) -> Result<Response> {
    match shown {
        TableAnswer::Export(file) => Ok(file),
        TableAnswer::View(table) => {
            let frame = Frame::of(app, session, title).await;
            let create = create.filter(|(_, _, scope)| session.may(scope)).map(|(path, name, _)| (path, name));
            Ok(page(&Access { frame, here, create, table }))
        }
    }
}

pub async fn operators(app: App, session: Session) -> Result<Response> {
    let shown = OPERATORS.show(&session, app.operators.list().await?).await?;
    let create = ("/access/new", "New operator", scopes::OPERATOR_CREATE.for_all());
    listed(&app, &session, "Operators", "operators", Some(create), shown).await
}

pub async fn sessions(app: App, session: Session) -> Result<Response> {
    let shown = SESSIONS.show(&session, app.operators.sessions().await?).await?;
    listed(&app, &session, "Sessions", "sessions", None, shown).await
}

pub async fn operator(app: App, session: Session) -> Result<Response> {
    let shown = app.operators.operator(&name_of(&session)?)?;
    Ok(page(&OperatorPage {
        frame: Frame::of(&app, &session, format!("Operator {}", shown.name)).await,
        purpose: shown.role.purpose(),
        scopes: shown.role.scopes().iter().map(ToString::to_string).collect(),
        path: format!("/access/operators/{}", url_encoded(shown.name.as_str())),
        may_change: session.may(scopes::OPERATOR_RESET.for_all()),
        shown,
    }))
}

fn name_of(session: &Session) -> Result<OperatorName> {
    OperatorName::parse(session.param("operator")).map_err(|_| Error::not_found("There is no such operator."))
}

/// The form for a new one.
pub async fn ask_new(app: App, session: Session) -> Result<Response> {
    Ok(page(&NewOperator {
        frame: Frame::of(&app, &session, "New operator").await,
        token_field: TOKEN_FIELD,
        form_token: session.form_token().expose().to_owned(),
        roles: Role::ALL.iter().map(|role| (role.name(), role.purpose())).collect(),
    }))
}

#[derive(Clone, Deserialize)]
pub struct New {
    name: String,
    role: String,
}

/// Makes one, and shows the password that was made.
pub async fn create(app: App, session: Session, form: CheckedForm<New>) -> Result<Response> {
    let New { name, role } = form.input.clone();
    let (operator, new) = (OperatorName::parse(name.trim())?, actions::New { role, password: None });
    let made = act::run(&app, &session, &form, &actions::CREATE, operator.clone(), new).await?;
    show_password(&app, &session, operator, &made).await
}

async fn show_password(app: &App, session: &Session, operator: OperatorName, made: &actions::Made) -> Result<Response> {
    let frame = Frame::after(app, session, format!("Operator {operator}")).await?;
    let password = made.password.as_ref().map(|password| password.0.expose().to_owned()).unwrap_or_default();
    Ok(page(&Made { frame, operator, password }))
}

fn asked<'a>(session: &'a Session, name: &'a OperatorName) -> Asked<'a> {
    let place = format!("/access/operators/{}", url_encoded(name.as_str()));
    let path = format!("{place}/{}", session.path.rsplit('/').next().unwrap_or_default());
    Asked::of(name.as_str(), path, place)
}

/// What another password would do.
pub async fn plan_reset(app: App, session: Session) -> Result<Response> {
    let name = name_of(&session)?;
    act::ask(&app, &session, &actions::RESET, name.clone(), Password::default(), asked(&session, &name)).await
}

/// Makes one, and shows it.
pub async fn reset(app: App, session: Session, form: CheckedForm<Nothing>) -> Result<Response> {
    let name = name_of(&session)?;
    let made = act::run(&app, &session, &form, &actions::RESET, name.clone(), Password::default()).await?;
    show_password(&app, &session, name, &made).await
}

fn role_of(session: &Session) -> Result<InRole> {
    let role: Role = session.param("role").parse().map_err(|_| Error::not_found("There is no such action."))?;
    Ok(InRole { role: role.to_string() })
}

/// What another role would do.
pub async fn plan_role(app: App, session: Session) -> Result<Response> {
    let (name, role) = (name_of(&session)?, role_of(&session)?);
    let (both, asked) = (format!("{name} {}", role.role), asked(&session, &name));
    let asked = Asked { name: Some(&both), words: vec![name.as_str(), session.param("role")], ..asked };
    act::ask(&app, &session, &actions::ROLE, name.clone(), role, asked).await
}

pub async fn set_role(app: App, session: Session, form: CheckedForm<Nothing>) -> Result<Response> {
    let (name, role) = (name_of(&session)?, role_of(&session)?);
    act::run(&app, &session, &form, &actions::ROLE, name.clone(), role).await?;
    plan::done(&session, &asked(&session, &name).back)
}

pub async fn test(app: App, session: Session) -> Result<Response> {
    let (who, scope) = (session.query("who").unwrap_or_default(), session.query("scope").unwrap_or_default());
    let verdict = if who.is_empty() || scope.is_empty() {
        None
    } else {
        Some(match would(&app, who, scope).await {
            Ok((true, why)) => (State { tone: Tone::Well, word: "yes".into() }, Untrusted::of(why)),
            Ok((false, why)) => (State { tone: Tone::Warning, word: "no".into() }, Untrusted::of(why)),
            Err(error) => {
                (State { tone: Tone::Quiet, word: "unknown".into() }, Untrusted::of(error.message().to_owned()))
            }
        })
    };
    let frame = Frame::of(&app, &session, "May they?").await;
    Ok(page(&Tester { frame, who: who.to_owned(), scope: scope.to_owned(), verdict }))
}

/// Operators go before clients of the same name.
async fn would(app: &App, who: &str, scope: &str) -> Result<(bool, String)> {
    if let Some(shown) = OperatorName::parse(who).ok().and_then(|name| app.operators.operator(&name).ok()) {
        if shown.disabled {
            return Ok((false, "the operator is disabled".to_owned()));
        }
        let held = shown.role.scopes().into_iter().find(|held| satisfies(held, scope));
        return Ok(match held {
            Some(held) => (true, format!("the role {} has the scope {held}", shown.role)),
            None => (false, format!("no scope of the role {} grants {scope}", shown.role)),
        });
    }
    app.auth.would(&ClientId::parse(who)?, scope).await
}
