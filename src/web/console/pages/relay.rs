//! The relay: what its profile declares, how its accounts stand, and what applying it would change.

use askama::Template;
use axum::response::Response;

use crate::base::Result;
use crate::base::text::url_encoded;
use crate::domain::accounts::AccountStatus;
use crate::domain::auth::scopes;
use crate::domain::relay::Step;
use crate::proto::relay_profile::{self, Account, OnDrift, Part, Profile};
use crate::web::console::kit::frame::{Frame, page};
use crate::web::console::kit::plan::Equivalents;
use crate::web::console::kit::session::Session;
use crate::web::console::kit::table::{Cell, Column, Table, TableAnswer, View};
use crate::web::console::kit::text::{Tone, Untrusted};
use crate::web::state::App;

/// An account as it is declared, with its broker users as far as they were applied.
struct Declared {
    account: Account,
    users: Vec<AccountStatus>,
}

const ACCOUNTS: Table<Declared> = Table {
    name: "accounts",
    caption: "Accounts",
    columns: &[
        Column {
            name: "account",
            title: "Account",
            cell: |it| Cell::text(&it.account.name).to(path_to(it.account.name.as_str())),
        },
        Column {
            name: "state",
            title: "State",
            cell: |it| {
                let (tone, word) = state(&it.users);
                Cell::state(tone, word)
            },
        },
        Column {
            name: "vhosts",
            title: "Vhosts",
            cell: |it| Cell::text(joined(it.account.grants.iter().map(|grant| grant.vhost.as_str()))),
        },
        Column { name: "tags", title: "Tags", cell: |it| Cell::text(it.account.tags.join(", ")) },
        Column { name: "rotation", title: "Rotation", cell: |it| Cell::text(rotation(&it.account)) },
        Column { name: "drift", title: "On drift", cell: |it| Cell::text(it.account.on_drift.as_str()) },
        Column { name: "note", title: "Note", cell: |it| Cell::text(it.account.note.as_deref().unwrap_or_default()) },
    ],
    sort: "account",
    select: None,
    empty: ("No account is declared: see RELAY_PROFILE.", "keylender relay profile mig-2015"),
};

const STEPS: Table<Step> = Table {
    name: "plan",
    caption: "What is not as it is declared",
    columns: &[
        Column { name: "object", title: "Object", cell: |step| Cell::text(&step.object) },
        Column { name: "step", title: "Step", cell: |step| Cell::text(step.what.word()) },
        Column { name: "why", title: "Why", cell: |step| Cell::text(&step.why) },
        Column {
            name: "drift",
            title: "On drift",
            cell: |step| Cell::text(step.drift.map(OnDrift::as_str).unwrap_or_default()),
        },
    ],
    sort: "step",
    select: None,
    empty: ("The broker is as it is declared.", "keylender relay plan"),
};

#[derive(Template)]
#[template(path = "console/relay.html")]
struct Page {
    frame: Frame,
    /// Nothing while no relay is declared.
    facts: Vec<(&'static str, String)>,
    is_declared: bool,
    may_apply: bool,
    may_edit: bool,
    /// Files that are written: name, where they belong, and whose login is in them.
    parts: Vec<[String; 3]>,
    table: View,
    equivalents: Equivalents,
}

#[derive(Template)]
#[template(path = "console/relay_plan.html")]
struct PlanPage {
    frame: Frame,
    /// How much there is that nobody declares.
    unmanaged: usize,
    may_apply: bool,
    table: View,
    equivalents: Equivalents,
}

#[derive(Template)]
#[template(path = "console/relay_part.html")]
struct PartPage {
    frame: Frame,
    facts: Vec<(&'static str, Untrusted<'static>)>,
    equivalents: Equivalents,
}

pub async fn show(app: App, session: Session) -> Result<Response> {
    let declared = app.relay.declared().ok();
    let mut accounts = Vec::new();
    for account in declared.iter().flat_map(|declared| declared.profile.accounts()) {
        accounts.push(Declared { users: app.relay.users(account)?, account: account.clone() });
    }
    match ACCOUNTS.show(&session, accounts).await? {
        TableAnswer::Export(file) => Ok(file),
        TableAnswer::View(table) => Ok(page(&Page {
            frame: Frame::of(&app, &session, "Relay").await,
            facts: declared.as_ref().map(|declared| facts(&declared.profile, &declared.from)).unwrap_or_default(),
            is_declared: declared.is_some(),
            may_apply: session.may(scopes::RELAY_APPLY),
            may_edit: session.may(scopes::RELAY_PROFILE),
            parts: declared.iter().flat_map(|declared| declared.profile.parts()).map(part_row).collect(),
            table,
            equivalents: Equivalents::of(&session, "GET", "/relay", None, &["relay", "show"]),
        })),
    }
}

/// What applying would change, compared with the broker just now.
pub async fn compare(app: App, session: Session) -> Result<Response> {
    let plan = app.relay.plan().await?;
    let unmanaged = plan.unmanaged;
    match STEPS.show(&session, plan.steps).await? {
        TableAnswer::Export(file) => Ok(file),
        TableAnswer::View(table) => Ok(page(&PlanPage {
            frame: Frame::of(&app, &session, "Plan of the relay").await,
            unmanaged,
            may_apply: session.may(scopes::RELAY_APPLY),
            table,
            equivalents: Equivalents::of(&session, "GET", "/relay/plan", None, &["relay", "plan"]),
        })),
    }
}

/// A file that is written for a program: where it belongs, and how it is had.
pub async fn part(app: App, session: Session) -> Result<Response> {
    let part = app.relay.part(session.param("part"))?;
    let fact = |text: &str| Untrusted::of(text.to_owned());
    let of_writer = "whoever writes it";
    let account = part.account.as_ref().map_or("none", |account| account.as_str());
    Ok(page(&PartPage {
        frame: Frame::of(&app, &session, format!("File {}", part.name)).await,
        facts: vec![
            ("Part", fact(&part.name)),
            ("Kind", fact(part.kind.as_str())),
            ("Program of", fact(&part.age.to_string())),
            ("Login in it", fact(account)),
            ("Belongs to", fact(&part.path)),
            ("Mode", fact(&format!("{:04o}", part.mode))),
            ("Owner", fact(part.owner.as_deref().unwrap_or(of_writer))),
            ("Group", fact(part.group.as_deref().unwrap_or(of_writer))),
        ],
        equivalents: Equivalents::of(
            &session,
            "GET",
            &format!("/relay/parts/{}", part.name),
            None,
            &["relay", "render", &part.name, "--to", "/etc/mig"],
        ),
    }))
}

fn part_row(part: &Part) -> [String; 3] {
    let account = part.account.as_ref().map(ToString::to_string).unwrap_or_default();
    [part.name.clone(), part.path.clone(), account]
}

fn facts(profile: &Profile, from: &str) -> Vec<(&'static str, String)> {
    let none = |text: String| if text.is_empty() { "none".to_owned() } else { text };
    vec![
        ("Profile", profile.name().to_owned()),
        ("Read from", from.to_owned()),
        ("Vhosts", none(joined(profile.vhosts().iter().map(|vhost| vhost.name.as_str())))),
        ("Users that must not be there", none(joined(profile.absent_users().iter().map(AsRef::as_ref)))),
    ]
}

pub(super) fn joined<'t>(names: impl Iterator<Item = &'t str>) -> String {
    names.collect::<Vec<_>>().join(", ")
}

pub(super) fn path_to(account: &str) -> String {
    format!("/relay/accounts/{}", url_encoded(account))
}

pub(super) fn rotation(account: &Account) -> String {
    let when = match &account.rotation {
        Some(relay_profile::Rotation { every, by }) => format!("every {every}, {}", by.as_str()),
        None => "never by itself".to_owned(),
    };
    match account.close_after {
        Some(after) => format!("{when}, connections closed after {after}"),
        None => when,
    }
}

fn state(users: &[AccountStatus]) -> (Tone, &'static str) {
    if users.is_empty() {
        (Tone::Warning, "not applied")
    } else if users.iter().all(|user| user.settled) {
        (Tone::Well, "as declared")
    } else {
        (Tone::Warning, "not settled")
    }
}
