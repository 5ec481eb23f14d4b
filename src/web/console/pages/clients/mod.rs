//! API clients of the own store: what they may do and when they were used; reset, refused, deleted. `edit` makes and changes them.

mod edit;

pub use edit::{ask_change, ask_new, change, create};

use std::time::Duration;

use askama::Template;
use axum::response::Response;
use serde::Deserialize;

use crate::base::text::url_encoded;
use crate::base::{ClientId, Error, Result, Secret};
use crate::domain::actions::clients::{self as actions, Keep, is_for_ever};
use crate::domain::auth::ClientView;
use crate::domain::auth::scopes::{self, RequiredScope};
use crate::web::console::kit::act::{self, Asked};
use crate::web::console::kit::form::CheckedForm;
use crate::web::console::kit::frame::{Frame, page};
use crate::web::console::kit::plan::Equivalents;
use crate::web::console::kit::scope_list;
use crate::web::console::kit::session::Session;
use crate::web::console::kit::table::{Cell, Column, Table};
use crate::web::console::kit::text::{State, TimeTag, Tone, Untrusted};
use crate::web::console::pages::access::listed;
use crate::web::state::App;

/// How long the replaced token works on where one asks for that: until the next day's deployment.
const KEPT: Duration = Duration::from_secs(86_400);

const CLIENTS: Table<ClientView> = Table {
    name: "clients",
    caption: "API clients",
    columns: &[
        Column {
            name: "client",
            title: "Client",
            cell: |shown| Cell::text(&shown.client_id).to(path_to(&shown.client_id)),
        },
        Column {
            name: "state",
            title: "State",
            cell: |shown| {
                if shown.disabled { Cell::state(Tone::Warning, "disabled") } else { Cell::state(Tone::Well, "enabled") }
            },
        },
        Column { name: "used", title: "Last used", cell: |shown| Cell::time(shown.uses.first().map(|each| each.last)) },
        Column { name: "expires", title: "Ends", cell: |shown| Cell::time(shown.expires) },
        Column { name: "created", title: "Made", cell: |shown| Cell::time(shown.created) },
        Column { name: "scopes", title: "Scopes", cell: |shown| Cell::text(scope_list::line(&shown.scopes)) },
        Column { name: "description", title: "For", cell: |shown| Cell::text(&shown.description) },
    ],
    sort: "client",
    select: None,
    empty: (
        "There is no client. Services and programs need one to call the API:",
        "keylender client create builds --scope 'pulse:namespace:taskcluster-*'",
    ),
};

#[derive(Template)]
#[template(path = "console/client.html")]
struct ClientPage {
    frame: Frame,
    id: Untrusted<'static>,
    state: State,
    /// None is never.
    ends: Option<TimeTag>,
    created: TimeTag,
    description: Untrusted<'static>,
    certificate: Option<Untrusted<'static>>,
    shown_to: Option<(Untrusted<'static>, TimeTag)>,
    former_until: Option<TimeTag>,
    uses: Vec<(String, TimeTag)>,
    scopes: Vec<Untrusted<'static>>,
    audit: Option<String>,
    /// Label and path of what the reader may do.
    actions: Vec<(&'static str, String)>,
    equivalents: Equivalents,
}

#[derive(Template)]
#[template(path = "console/token.html")]
struct TokenPage {
    frame: Frame,
    id: String,
    token: String,
    back: String,
}

/// For how long the token before works on.
#[derive(Deserialize)]
pub struct KeptFor {
    #[serde(default)]
    keep_seconds: u64,
}

fn path_to(id: &ClientId) -> String {
    format!("/access/clients/{}", url_encoded(id.as_str()))
}

fn id_of(session: &Session) -> Result<ClientId> {
    ClientId::parse(session.param("client")).map_err(|_| Error::not_found("There is no such client."))
}

/// The clients of the own store.
pub async fn list(app: App, session: Session) -> Result<Response> {
    let shown = CLIENTS.show(&session, app.auth.clients().await?).await?;
    let create = ("/access/new-client", "New client", scopes::CLIENT_CREATE.for_all());
    listed(&app, &session, "API clients", "clients", Some(create), shown).await
}

pub async fn show(app: App, session: Session) -> Result<Response> {
    let shown = app.auth.client(&id_of(&session)?)?;
    let time = |at| TimeTag { at, now: session.now };
    let id = &shown.client_id;
    let state = match (shown.disabled, shown.expires < session.now) {
        (true, _) => State { tone: Tone::Warning, word: "disabled".into() },
        (false, true) => State { tone: Tone::Warning, word: "over".into() },
        (false, false) => State { tone: Tone::Well, word: "enabled".into() },
    };
    let audit = format!("/audit?object={}", url_encoded(id.as_str()));
    Ok(page(&ClientPage {
        frame: Frame::of(&app, &session, format!("Client {id}")).await,
        id: Untrusted::of(id.to_string()),
        state,
        ends: (!is_for_ever(session.now, shown.expires)).then(|| time(shown.expires)),
        created: time(shown.created),
        description: Untrusted::of(shown.description.clone()),
        certificate: shown.certificate_name.as_ref().map(|name| Untrusted::of(name.to_string())),
        shown_to: shown.lent.as_ref().map(|lent| (Untrusted::of(lent.by.clone()), time(lent.at))),
        former_until: shown.former_until.filter(|until| *until > session.now).map(time),
        uses: shown.uses.iter().map(|each| (each.from.to_string(), time(each.last))).collect(),
        scopes: shown.scopes.iter().map(|scope| Untrusted::of(scope.to_string())).collect(),
        audit: session.may(scopes::AUDIT_READ).then_some(audit),
        actions: buttons(&session, &shown),
        equivalents: Equivalents::of(&session, "GET", "/clients", None, &["client", "list"]),
    }))
}

fn buttons(session: &Session, shown: &ClientView) -> Vec<(&'static str, String)> {
    let (label, turn) = if shown.disabled { ("Enable", "enable") } else { ("Disable", "disable") };
    let all = [
        ("Change", "change", scopes::CLIENT_CHANGE),
        ("Reset the token", "reset", scopes::CLIENT_RESET),
        (label, turn, scopes::CLIENT_DISABLE),
        ("Delete", "delete", scopes::CLIENT_DELETE),
    ];
    let may = |scope: RequiredScope| session.may(scope.on(&shown.client_id));
    let path = |verb| format!("{}/{verb}", path_to(&shown.client_id));
    all.into_iter().filter(|(_, _, scope)| may(*scope)).map(|(label, verb, _)| (label, path(verb))).collect()
}

async fn token_page(app: &App, session: &Session, id: &ClientId, token: &Secret) -> Result<Response> {
    let frame = Frame::after(app, session, format!("Token of {id}")).await?;
    Ok(page(&TokenPage { frame, id: id.to_string(), token: token.expose().to_owned(), back: path_to(id) }))
}

/// What a new token would do. Who asks with `keep=yes` keeps the one before for a day.
pub async fn plan_reset(app: App, session: Session) -> Result<Response> {
    let (id, kept) = (id_of(&session)?, KEPT.as_secs().to_string());
    let mut asked = Asked::of(id.as_str(), format!("{}/reset", path_to(&id)), path_to(&id));
    if session.query("keep").is_none() {
        return act::ask(&app, &session, &actions::RESET, id.clone(), Keep(Duration::ZERO), asked).await;
    }
    asked.words.extend(["--keep-old", "1 day"]);
    asked.query = format!("keepSeconds={kept}");
    asked.fields = vec![("keep_seconds", kept)];
    act::ask(&app, &session, &actions::RESET, id.clone(), Keep(KEPT), asked).await
}

/// Gives it a new one, and shows that.
pub async fn reset(app: App, session: Session, form: CheckedForm<KeptFor>) -> Result<Response> {
    let (id, keep) = (id_of(&session)?, Keep(Duration::from_secs(form.input.keep_seconds)));
    let issued = act::run(&app, &session, &form, &actions::RESET, id.clone(), keep).await?;
    token_page(&app, &session, &id, &issued.access_token.0).await
}
