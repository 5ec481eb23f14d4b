//! API clients of the own store: what they may do and when they were used; reset, refused, deleted. `edit` makes and changes them.

mod edit;

pub use edit::{ask_change, ask_new, change, create};

use std::time::Duration;

use askama::Template;
use axum::response::Response;
use serde::Deserialize;

use crate::base::text::url_encoded;
use crate::base::{ClientId, Error, Result, Secret, Timestamp};
use crate::domain::auth::ClientView;
use crate::domain::auth::scopes::{self, RequiredScope};
use crate::web::console::kit::form::CheckedForm;
use crate::web::console::kit::frame::{Frame, page};
use crate::web::console::kit::plan::{self, Equivalents, Plan, Weight};
use crate::web::console::kit::scope_list;
use crate::web::console::kit::session::Session;
use crate::web::console::kit::table::{Cell, Column, Table};
use crate::web::console::kit::text::{State, TimeTag, Tone, Untrusted, span};
use crate::web::console::pages::access::listed;
use crate::web::state::App;

/// A client that lasts longer than a hundred years was made without an end.
const FOR_EVER: Duration = Duration::from_secs(100 * 365 * 86_400);
/// How long the replaced token works on where one asks for that: until the next day's deployment.
const KEPT: Duration = Duration::from_secs(86_400);

const CLIENTS: Table<ClientView> = Table {
    name: "clients",
    caption: "API clients",
    columns: &[
        Column {
            name: "client",
            title: "Client",
            cell: |shown| Cell::text(&shown.client_id).to(place(&shown.client_id)),
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
pub struct Keep {
    #[serde(default)]
    keep_seconds: u64,
}

fn place(id: &ClientId) -> String {
    format!("/access/clients/{}", url_encoded(id.as_str()))
}

fn api(id: &ClientId, verb: &str) -> String {
    format!("/clients/{}{verb}", url_encoded(id.as_str()))
}

fn id_of(session: &Session) -> Result<ClientId> {
    ClientId::parse(session.param("client")).map_err(|_| Error::not_found("There is no such client."))
}

/// The clients of the own store.
pub async fn list(app: App, session: Session) -> Result<Response> {
    let shown = CLIENTS.show(&session, app.auth.clients().await?);
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
        ends: (!is_for_ever(&session, shown.expires)).then(|| time(shown.expires)),
        created: time(shown.created),
        description: Untrusted::of(shown.description.clone()),
        certificate: shown.certificate_name.as_ref().map(|name| Untrusted::of(name.to_string())),
        shown_to: shown.lent.as_ref().map(|lent| (Untrusted::of(lent.by.clone()), time(lent.at))),
        former_until: shown.former_until.filter(|until| *until > session.now).map(time),
        uses: shown.uses.iter().map(|each| (each.from.to_string(), time(each.last))).collect(),
        scopes: shown.scopes.iter().map(|scope| Untrusted::of(scope.to_string())).collect(),
        audit: session.may(scopes::AUDIT_READ).then_some(audit),
        actions: actions(&session, &shown),
        equivalents: Equivalents::of(&session, "GET", "/clients", None, &["client", "list"]),
    }))
}

fn actions(session: &Session, shown: &ClientView) -> Vec<(&'static str, String)> {
    let (label, turn) = if shown.disabled { ("Enable", "enable") } else { ("Disable", "disable") };
    let all = [
        ("Change", "change", scopes::CLIENT_CHANGE),
        ("Reset the token", "reset", scopes::CLIENT_RESET),
        (label, turn, scopes::CLIENT_DISABLE),
        ("Delete", "delete", scopes::CLIENT_DELETE),
    ];
    let may = |scope: RequiredScope| session.may(scope.on(&shown.client_id));
    let path = |verb| format!("{}/{verb}", place(&shown.client_id));
    all.into_iter().filter(|(_, _, scope)| may(*scope)).map(|(label, verb, _)| (label, path(verb))).collect()
}

fn is_for_ever(session: &Session, end: Timestamp) -> bool {
    end.since(session.now) > FOR_EVER
}

fn end_in_words(session: &Session, end: Timestamp) -> String {
    if is_for_ever(session, end) { "It has no end.".to_owned() } else { format!("It ends at {end}.") }
}

async fn token_page(app: &App, session: &Session, id: &ClientId, token: &Secret) -> Result<Response> {
    let frame = Frame::after(app, session, format!("Token of {id}")).await?;
    Ok(page(&TokenPage { frame, id: id.to_string(), token: token.expose().to_owned(), back: place(id) }))
}

fn plan(
    id: &ClientId,
    heading: &str,
    effects: Vec<String>,
    weight: Weight,
    verb: &str,
    button: &'static str,
    equivalents: Equivalents,
) -> Plan {
    let (title, action) = (format!("{heading} {id}"), format!("{}/{verb}", place(id)));
    Plan { title, effects, weight, action, fields: Vec::new(), button, back: place(id), equivalents }
}

/// What a new token would do. Who asks with `keep=yes` keeps the one before for a day.
pub async fn plan_reset(app: App, session: Session) -> Result<Response> {
    let id = app.auth.client(&id_of(&session)?)?.client_id;
    let keeps = session.query("keep").is_some();
    let kept = KEPT.as_secs();
    let (old, command, verb) = if keeps {
        let old = format!("The token before, and what was made with it, works for {} more.", span(KEPT));
        (old, vec!["client", "reset", id.as_str(), "--keep-old", "1 day"], format!("/reset?keepSeconds={kept}"))
    } else {
        let old = "The token before, and temporary credentials made with it, end at once. To have a day for the change, \
                       reset it with the old one kept.";
        (old.to_owned(), vec!["client", "reset", id.as_str()], "/reset".to_owned())
    };
    let effects = vec!["It gets a new access token, which is shown to you once.".to_owned(), old];
    let equivalents = Equivalents::of(&session, "POST", &api(&id, &verb), None, &command);
    let plan = plan(&id, "Reset the token of", effects, Weight::Reasoned, "reset", "Reset now", equivalents);
    let fields = if keeps { vec![("keep_seconds", kept.to_string())] } else { Vec::new() };
    plan::ask(&app, &session, Plan { fields, ..plan }).await
}

/// Gives it a new one, and shows that.
pub async fn reset(app: App, session: Session, form: CheckedForm<Keep>) -> Result<Response> {
    let (id, caller) = (id_of(&session)?, form.with_reason(&session)?);
    let keep = Duration::from_secs(form.input.keep_seconds);
    let token = app.auth.reset_client(&caller, id.clone(), keep).await?.into_inner();
    token_page(&app, &session, &id, &token).await
}
