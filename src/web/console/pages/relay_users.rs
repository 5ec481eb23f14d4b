//! Users of the broker that somebody else made: those that were adopted, and those that may be.

use askama::Template;
use axum::response::Response;
use serde::Deserialize;

use super::relay::joined;
use crate::base::text::url_encoded;
use crate::base::{AccountName, Error, Result};
use crate::domain::accounts::{OnDrift, Terms};
use crate::domain::actions::relay::{ADOPT, Adopting};
use crate::domain::auth::scopes;
use crate::domain::relay::Adopted;
use crate::web::console::kit::act;
use crate::web::console::kit::form::{CheckedForm, TOKEN_FIELD};
use crate::web::console::kit::frame::{Frame, page};
use crate::web::console::kit::plan::{self, Equivalents};
use crate::web::console::kit::session::Session;
use crate::web::console::kit::table::{ACT, Cell, Column, Table, TableAnswer, View};
use crate::web::console::kit::text::{Tone, Untrusted};
use crate::web::state::App;

/// Where one is afterwards.
const BACK: &str = "/relay/users";

/// A user, with what is known of it if it was adopted.
struct User {
    name: AccountName,
    adopted: Option<(Adopted, Terms)>,
    /// Whether whoever looks may adopt or release it.
    may_change: bool,
}

impl User {
    /// The page that adopts or releases it.
    fn path(&self) -> String {
        let what = if self.adopted.is_some() { "release" } else { "adopt" };
        format!("/relay/users/{}/{what}", url_encoded(self.name.as_str()))
    }

    fn of_adopted<'a, T>(&'a self, of: impl Fn(&'a Adopted, &'a Terms) -> T) -> Option<T> {
        self.adopted.as_ref().map(|(adopted, terms)| of(adopted, terms))
    }
}

const USERS: Table<User> = Table {
    name: "users",
    caption: "Users that somebody else made",
    columns: &[
        Column { name: "user", title: "User", cell: |it| Cell::text(&it.name) },
        Column {
            name: "state",
            title: "State",
            cell: |it| match it.adopted {
                Some(_) => Cell::state(Tone::Well, "adopted"),
                None => Cell::state(Tone::Quiet, "nobody's here"),
            },
        },
        Column {
            name: "owner",
            title: "Owner",
            cell: |it| Cell::text(it.of_adopted(|it, _| it.owner.as_str()).unwrap_or_default()),
        },
        Column {
            name: "note",
            title: "Note",
            cell: |it| Cell::text(it.of_adopted(|it, _| it.note.as_str()).unwrap_or_default()),
        },
        Column { name: "since", title: "Since", cell: |it| Cell::time(it.of_adopted(|it, _| it.adopted)) },
        Column {
            name: "vhosts",
            title: "Vhosts",
            cell: |it| {
                let vhosts = it.of_adopted(|_, it| joined(it.grants.iter().map(|grant| grant.vhost.as_str())));
                Cell::text(vhosts.unwrap_or_default())
            },
        },
        Column {
            name: "drift",
            title: "On drift",
            cell: |it| {
                let on_drift = it.of_adopted(|_, it| if it.on_drift == OnDrift::Repair { "repair" } else { "report" });
                Cell::text(on_drift.unwrap_or_default())
            },
        },
        Column {
            name: ACT,
            title: "Change",
            cell: |it| match (it.may_change, &it.adopted) {
                (false, _) => Cell::text(""),
                (true, Some(_)) => Cell::text("release").to(it.path()),
                (true, None) => Cell::text("adopt").to(it.path()),
            },
        },
    ],
    sort: "user",
    select: None,
    empty: ("Every user of the broker is made here.", "keylender relay users"),
};

#[derive(Template)]
#[template(path = "console/relay_users.html")]
struct ListPage {
    frame: Frame,
    table: View,
    equivalents: Equivalents,
}

#[derive(Template)]
#[template(path = "console/relay_adopt.html")]
struct AdoptPage {
    frame: Frame,
    problem: String,
    effects: Vec<Untrusted<'static>>,
    action: String,
    token_field: &'static str,
    form_token: String,
    input: Input,
    equivalents: Equivalents,
}

/// What the form says.
#[derive(Clone, Default, Deserialize)]
pub struct Input {
    owner: String,
    #[serde(default)]
    note: String,
    #[serde(default)]
    repair: String,
}

pub async fn list(app: App, session: Session) -> Result<Response> {
    let may_change = |name: &AccountName| session.may(scopes::RELAY_ADOPT.on(name.as_str()));
    let adopted = app.relay.adopted().await?.into_iter().map(|(name, adopted, terms)| {
        let may_change = may_change(&name);
        User { name, adopted: Some((adopted, terms)), may_change }
    });
    let others = app.relay.strangers().await?.into_iter().map(|name| {
        let may_change = may_change(&name);
        User { name, adopted: None, may_change }
    });
    match USERS.show(&session, adopted.chain(others).collect()).await? {
        TableAnswer::Export(file) => Ok(file),
        TableAnswer::View(table) => Ok(page(&ListPage {
            frame: Frame::of(&app, &session, "Users of others").await,
            table,
            equivalents: Equivalents::of(&session, "GET", BACK, None, &["relay", "users"]),
        })),
    }
}

/// Asks whose a user is before it is adopted.
pub async fn ask_adopt(app: App, session: Session) -> Result<Response> {
    form(&app, &session, Input::default(), None).await
}

pub async fn adopt(app: App, session: Session, given: CheckedForm<Input>) -> Result<Response> {
    let (name, Input { owner, note, repair }) = (name_of(&session)?, given.input.clone());
    let adopting = Adopting::by(&owner, &note, repair == "1");
    match act::run(&app, &session, &given, &ADOPT, name, adopting).await {
        Ok(_) => plan::done(&session, BACK),
        Err(error) => form(&app, &session, given.input, Some(error)).await,
    }
}

async fn form(app: &App, session: &Session, input: Input, problem: Option<Error>) -> Result<Response> {
    let name = name_of(session)?;
    let effects = app.relay.plan_adoption(&name).await?;
    let path = format!("{BACK}/{}/adopt", url_encoded(name.as_str()));
    let body = r#"{"owner":"the shop team","reason":"why"}"#;
    let words = ["relay", "adopt", name.as_str(), "--owner", "the shop team", "--reason", "why"];
    Ok(page(&AdoptPage {
        frame: Frame::of(app, session, format!("Adopt {name}")).await,
        problem: problem.map(|error| format!("{}.", error.message())).unwrap_or_default(),
        effects: effects.into_iter().map(Untrusted::of).collect(),
        equivalents: Equivalents::of(session, "POST", &path, Some(body), &words),
        action: path,
        token_field: TOKEN_FIELD,
        form_token: session.form_token().expose().to_owned(),
        input,
    }))
}

fn name_of(session: &Session) -> Result<AccountName> {
    AccountName::parse(session.param("user")).map_err(|_| Error::not_found("The broker has no such user."))
}
