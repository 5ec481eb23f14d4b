//! Roles of the own store: what they stand for and who holds them; made, changed, deleted.

use askama::Template;
use axum::response::Response;
use serde::Deserialize;

use super::access::listed;
use crate::base::text::url_encoded;
use crate::base::{ClientId, Error, Result, RoleId, Scope};
use crate::domain::actions::roles::{self as actions, Scopes};
use crate::domain::actions::{Action, Done};
use crate::domain::auth::scopes;
use crate::proto::roles::Role;
use crate::web::console::kit::act::{self, Asked};
use crate::web::console::kit::form::{CheckedForm, TOKEN_FIELD};
use crate::web::console::kit::frame::{Frame, page};
use crate::web::console::kit::plan::{self, Equivalents};
use crate::web::console::kit::scope_list;
use crate::web::console::kit::session::Session;
use crate::web::console::kit::table::{Cell, Column, Table};
use crate::web::console::kit::text::Untrusted;
use crate::web::state::App;

const ROLES: Table<Role> = Table {
    name: "roles",
    caption: "Names for sets of scopes",
    columns: &[
        Column { name: "role", title: "Role", cell: |role| Cell::text(&role.id).to(path_to(&role.id)) },
        Column { name: "count", title: "Number of scopes", cell: |role| Cell::number(role.scopes.len()) },
        Column { name: "scopes", title: "Scopes", cell: |role| Cell::text(scope_list::line(&role.scopes)) },
    ],
    sort: "role",
    select: None,
    empty: (
        "There is no role. A client that holds assume:<role> holds the scopes of that role:",
        "keylender role create builds --scope 'pulse:namespace:taskcluster-*'",
    ),
};

#[derive(Template)]
#[template(path = "console/role.html")]
struct RolePage {
    frame: Frame,
    id: Untrusted<'static>,
    scopes: Vec<Untrusted<'static>>,
    holders: Vec<(Untrusted<'static>, String)>,
    /// Label and path of what the reader may do.
    actions: Vec<(&'static str, String)>,
    equivalents: Equivalents,
}

#[derive(Template)]
#[template(path = "console/role_form.html")]
struct RoleForm {
    frame: Frame,
    token_field: &'static str,
    form_token: String,
    action: String,
    back: String,
    is_new: bool,
    problem: String,
    role: String,
    scopes: String,
}

/// What the form has. Without `sure` the answer is the plan, which sends it again.
#[derive(Deserialize)]
pub struct Input {
    #[serde(default)]
    role: String,
    scopes: String,
    #[serde(default)]
    sure: String,
}

fn path_to(id: &RoleId) -> String {
    format!("/access/roles/{}", url_encoded(id.as_str()))
}

async fn role_of(app: &App, session: &Session) -> Result<Role> {
    let found = app.auth.roles().await?.into_iter().find(|role| role.id.as_str() == session.param("role"));
    found.ok_or_else(|| Error::not_found("There is no such role."))
}

pub async fn list(app: App, session: Session) -> Result<Response> {
    let shown = ROLES.show(&session, app.auth.roles().await?).await?;
    let create = ("/access/new-role", "New role", scopes::ROLE_CREATE.for_all());
    listed(&app, &session, "Roles", "roles", Some(create), shown).await
}

pub async fn show(app: App, session: Session) -> Result<Response> {
    let Role { id, scopes } = role_of(&app, &session).await?;
    let may_list = session.may(scopes::CLIENT_LIST);
    let holders = if may_list { actions::holders(&app.domain, &id).await? } else { Vec::new() };
    let client =
        |id: ClientId| (Untrusted::of(id.to_string()), format!("/access/clients/{}", url_encoded(id.as_str())));
    let actions = [("Change", "change", scopes::ROLE_CREATE), ("Delete", "delete", scopes::ROLE_DELETE)].into_iter();
    let actions = actions.filter(|(_, _, scope)| session.may(scope.on(&id)));
    Ok(page(&RolePage {
        frame: Frame::of(&app, &session, format!("Role {id}")).await,
        scopes: scopes.iter().map(|scope| Untrusted::of(scope.to_string())).collect(),
        holders: holders.into_iter().map(client).collect(),
        actions: actions.map(|(label, verb, _)| (label, format!("{}/{verb}", path_to(&id)))).collect(),
        equivalents: Equivalents::of(&session, "GET", "/roles", None, &["role", "list"]),
        id: Untrusted::of(id.to_string()),
    }))
}

async fn form(app: &App, session: &Session, id: Option<&RoleId>, input: Input, problem: Option<Error>) -> Response {
    let path = id.map(path_to);
    let title = id.map_or("New role".to_owned(), |id| format!("Change {id}"));
    page(&RoleForm {
        frame: Frame::of(app, session, title).await,
        token_field: TOKEN_FIELD,
        form_token: session.form_token().expose().to_owned(),
        action: path.as_ref().map_or("/access/new-role".to_owned(), |path| format!("{path}/change")),
        back: path.unwrap_or_else(|| "/access/roles".to_owned()),
        is_new: id.is_none(),
        problem: problem.map(|error| format!("{}.", error.message())).unwrap_or_default(),
        role: input.role,
        scopes: input.scopes,
    })
}

/// The form for a new one.
pub async fn ask_new(app: App, session: Session) -> Result<Response> {
    let [role, scopes, sure] = Default::default();
    Ok(form(&app, &session, None, Input { role, scopes, sure }, None).await)
}

/// Shows what would be made; then makes it.
pub async fn create(app: App, session: Session, given: CheckedForm<Input>) -> Result<Response> {
    let input = &given.input;
    let read = || Ok((RoleId::parse(input.role.trim())?, scope_list::read(&input.scopes)?));
    let (id, scopes) = match read() {
        Ok(read) => read,
        Err(error) => return Ok(form(&app, &session, None, given.input, Some(error)).await),
    };
    if app.auth.roles().await?.iter().any(|role| role.id == id) {
        let exists = Some(Error::conflict("this role exists: change it on its page"));
        return Ok(form(&app, &session, None, given.input, exists).await);
    }
    ask(&app, &session, &given, &actions::CREATE, id, scopes).await
}

/// Shows what an action would do with these scopes; or does it, when the form is sent again.
async fn ask(
    app: &App,
    session: &Session,
    given: &CheckedForm<Input>,
    action: &'static Action<RoleId, Done, Scopes>,
    id: RoleId,
    scopes: Vec<Scope>,
) -> Result<Response> {
    if !given.input.sure.is_empty() {
        act::run(app, session, given, action, id.clone(), Scopes { scopes }).await?;
        return plan::done(session, &path_to(&id));
    }
    let mut fields = vec![("scopes", scope_list::write(&scopes)), ("sure", "yes".to_owned())];
    let (path, back) = if given.input.role.is_empty() {
        (format!("{}/change", path_to(&id)), path_to(&id))
    } else {
        fields.push(("role", id.to_string()));
        ("/access/new-role".to_owned(), "/access/roles".to_owned())
    };
    let words: Vec<&str> = [id.as_str()].into_iter().chain(scope_list::words(&scopes)).collect();
    let asked = Asked { argument: id.as_str(), words, fields, path, back, ..Asked::default() };
    act::ask(app, session, action, id.clone(), Scopes { scopes: scopes.clone() }, asked).await
}

/// The form that changes one.
pub async fn ask_change(app: App, session: Session) -> Result<Response> {
    let Role { id, scopes } = role_of(&app, &session).await?;
    let input = Input { role: String::new(), scopes: scope_list::write(&scopes), sure: String::new() };
    Ok(form(&app, &session, Some(&id), input, None).await)
}

/// Shows what a change would do; then makes it.
pub async fn change(app: App, session: Session, given: CheckedForm<Input>) -> Result<Response> {
    let Role { id, scopes: old } = role_of(&app, &session).await?;
    let scopes = match scope_list::read(&given.input.scopes) {
        Ok(scopes) => scopes,
        Err(error) => return Ok(form(&app, &session, Some(&id), given.input, Some(error)).await),
    };
    if scopes == old {
        let same = Some(Error::invalid("this would change nothing"));
        return Ok(form(&app, &session, Some(&id), given.input, same).await);
    }
    ask(&app, &session, &given, &actions::CHANGE, id, scopes).await
}
