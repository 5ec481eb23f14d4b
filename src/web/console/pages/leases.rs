//! Everything that is lent now, and taking back what fits a filter.

use askama::Template;
use axum::response::Response;

use crate::base::text::url_encoded;
use crate::base::{Error, Result};
use crate::domain::actions::leases::{Done, Ended, Outcome, REVOKE, Wanted};
use crate::domain::auth::scopes;
use crate::domain::leases::{Lease, LeaseKind};
use crate::proto::formats;
use crate::web::console::kit::act::{self, Asked};
use crate::web::console::kit::form::{CheckedForm, Nothing};
use crate::web::console::kit::frame::{Frame, page};
use crate::web::console::kit::plan::{self, Equivalents};
use crate::web::console::kit::session::Session;
use crate::web::console::kit::table::{Cell, Column, Table, TableAnswer, View};
use crate::web::state::App;

/// Leases that one page looks through. A filter finds the others.
const LEASES_MAX: usize = 50_000;
/// Seconds of a day.
const DAY: u64 = 86_400;
/// The fields of the filter: name, label, and an example.
const FIELDS: [(&str, &str, &str); 7] = [
    ("kind", "Kind", "namespace, host, client, wrap, relay"),
    ("name", "Name", "taskcluster-builds"),
    ("prefix", "Begins with", "taskcluster-"),
    ("holder", "Holder", "client builds"),
    ("host", "Lent to, or used from", "192.0.2.7"),
    ("since", "Since", "2026-11-21T00:00:00Z"),
    ("unused", "Unused for days", "90"),
];

const LEASES: Table<Lease> = Table {
    name: "leases",
    caption: "What is lent now",
    columns: &[
        Column { name: "what", title: "What", cell: name_cell },
        Column { name: "sort", title: "Kind", cell: |lease| Cell::text(lease.target.kind().as_str()) },
        Column { name: "part", title: "Which", cell: |lease| Cell::text(lease.part.as_deref().unwrap_or_default()) },
        Column {
            name: "by",
            title: "Holder",
            cell: |lease| Cell::text(lease.holder.as_deref().unwrap_or("not known")),
        },
        Column {
            name: "from",
            title: "From",
            cell: |lease| Cell::text(lease.from.map_or_else(String::new, |address| address.to_string())),
        },
        Column { name: "first", title: "Lent first", cell: |lease| Cell::time(lease.since) },
        Column { name: "until", title: "Until", cell: |lease| Cell::time(lease.until) },
        Column { name: "used", title: "Last used", cell: |lease| Cell::time(lease.last_used) },
    ],
    sort: "what",
    select: None,
    empty: ("Nothing that fits is lent now. Everything is listed without a filter:", "keylender lease list"),
};

#[derive(Template)]
#[template(path = "console/leases.html")]
struct List {
    frame: Frame,
    fields: Vec<(&'static str, &'static str, &'static str, String)>,
    table: View,
    /// The page that plans to revoke what fits, for who may and where something says which.
    revoke: Option<String>,
    left_out: usize,
    equivalents: Equivalents,
}

fn name_cell(lease: &Lease) -> Cell {
    let name = lease.target.name();
    let cell = Cell::text(&name);
    match lease.target.kind() {
        LeaseKind::Namespace => cell.to(format!("/namespaces/{name}")),
        _ => cell,
    }
}

/// What fits the fields.
fn wanted<'v>(value: impl Fn(&str) -> Option<&'v str>) -> Result<Wanted> {
    let text = |name| value(name).map(|text| text.trim().to_owned());
    let days = |days: String| days.parse::<u64>().map_err(|_| Error::invalid("days: this is not one"));
    Ok(Wanted {
        kind: text("kind"),
        name: text("name"),
        prefix: text("prefix"),
        holder: text("holder"),
        host: text("host"),
        since: value("since").map(formats::moment).transpose()?.map(|since| since.to_string()),
        unused_seconds: text("unused").map(days).transpose()?.map(|days| days.saturating_mul(DAY)),
        ..Wanted::default()
    })
}

/// The fields that are set, as they are.
fn given(session: &Session) -> Vec<(&'static str, String)> {
    let set = FIELDS.iter().filter_map(|(name, ..)| Some((*name, session.query(name)?.to_owned())));
    set.collect()
}

fn query(given: &[(&'static str, String)]) -> String {
    let pairs: Vec<String> = given.iter().map(|(name, value)| format!("{name}={}", url_encoded(value))).collect();
    if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) }
}

/// The options of the commands for a filter.
fn words(given: &[(&'static str, String)]) -> Vec<String> {
    let option = |(name, value): &(&'static str, String)| match *name {
        "host" => ["--from-host".to_owned(), value.clone()],
        "unused" => ["--unused".to_owned(), format!("{value} days")],
        name => [format!("--{name}"), value.clone()],
    };
    given.iter().flat_map(option).collect()
}

pub async fn list(app: App, session: Session) -> Result<Response> {
    let filter = wanted(|name| session.query(name))?.filter()?;
    let given = given(&session);
    let is_narrow = !filter.is_empty();
    let mut found = app.leases.list(&filter).await?;
    let left_out = found.len().saturating_sub(LEASES_MAX);
    found.truncate(LEASES_MAX);
    match LEASES.show(&session, found).await? {
        TableAnswer::Export(file) => Ok(file),
        TableAnswer::View(table) => {
            let pairs = given.iter().map(|(name, value)| match *name {
                "unused" => format!("unusedSeconds={}", filter.unused.unwrap_or_default().as_secs()),
                name => format!("{name}={}", url_encoded(value)),
            });
            let path = format!("/leases?{}", pairs.collect::<Vec<_>>().join("&"));
            let words = words(&given);
            let words: Vec<&str> = ["lease", "list"].into_iter().chain(words.iter().map(String::as_str)).collect();
            Ok(page(&List {
                frame: Frame::of(&app, &session, "Leases").await,
                fields: FIELDS
                    .iter()
                    .map(|(name, label, hint)| {
                        (*name, *label, *hint, session.query(name).unwrap_or_default().to_owned())
                    })
                    .collect(),
                revoke: (is_narrow && session.may(scopes::LEASE_REVOKE))
                    .then(|| format!("{}/leases/revoke{}", session.root, query(&given))),
                left_out,
                equivalents: Equivalents::of(&session, "GET", path.trim_end_matches('?'), None, &words),
                table,
            }))
        }
    }
}

pub async fn plan_revoke(app: App, session: Session) -> Result<Response> {
    let (wanted, given) = (wanted(|name| session.query(name))?, given(&session));
    let (count, words) = (app.leases.plan(&wanted.revocation()?).await?.len(), words(&given));
    if count == 0 {
        return Err(Error::conflict("Nothing that fits is lent now: there is nothing to revoke."));
    }
    let asked = Asked {
        name: Some(&if count == 1 { "one thing".to_owned() } else { format!("{count} things") }),
        words: words.iter().map(String::as_str).chain(["--yes"]).collect(),
        path: "/leases/revoke".to_owned(),
        back: format!("/leases{}", query(&given)),
        fields: given,
        ..Asked::default()
    };
    act::ask(&app, &session, &REVOKE, (), wanted, asked).await
}

pub async fn revoke(app: App, session: Session, form: CheckedForm<Nothing>) -> Result<Response> {
    let wanted = wanted(|name| form.all(name).next().filter(|value| !value.is_empty()))?;
    carry_out(&app, &session, &form, wanted, "/leases").await
}

/// Takes back what fits, and says what of it could not be.
pub(super) async fn carry_out(
    app: &App,
    session: &Session,
    form: &CheckedForm<Nothing>,
    wanted: Wanted,
    back: &str,
) -> Result<Response> {
    let Outcome::Revoked(Done { revoked, failed }) = act::run(app, session, form, &REVOKE, (), wanted).await? else {
        return plan::done(session, back);
    };
    match revoked.iter().find(|each| each.outcome == "failed") {
        None if revoked.is_empty() => {
            Err(Error::conflict("Nothing that fits is lent now: there is nothing to revoke."))
        }
        None => plan::done(session, back),
        Some(Ended { name, remark, .. }) => Err(Error::unavailable(format!(
            "{failed} of {} could not be revoked, the others are. Send it again: what failed is still lent. {name}: {remark}",
            revoked.len()
        ))),
    }
}
