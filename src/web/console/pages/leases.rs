//! Everything that is lent now, and taking back what fits a filter.

use std::time::Duration;

use askama::Template;
use axum::response::Response;

use crate::base::text::url_encoded;
use crate::base::{Error, Result};
use crate::domain::auth::scopes;
use crate::domain::leases::{Filter, Lease, LeaseKind, Revocation};
use crate::proto::formats;
use crate::web::console::kit::form::CheckedForm;
use crate::web::console::kit::frame::{Frame, page};
use crate::web::console::kit::plan::{self, Equivalents, Plan, Weight};
use crate::web::console::kit::session::Session;
use crate::web::console::kit::table::{Cell, Column, Table, TableAnswer, View};
use crate::web::state::App;

/// Leases that one page looks through. A filter finds the others.
const LEASES_MAX: usize = 50_000;
/// Seconds of a day.
const DAY: u64 = 86_400;
/// The fields of the filter: name, label, and an example.
const FIELDS: [(&str, &str, &str); 7] = [
    ("kind", "Kind", "namespace, host, client, wrap"),
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

/// A filter as fields give it.
fn filter<'v>(value: impl Fn(&str) -> Option<&'v str>) -> Result<Filter> {
    let text = |name| value(name).map(|text| text.trim().to_owned());
    let wrong = |what: &str| Error::invalid(format!("{what}: this is not one"));
    Ok(Filter {
        kind: value("kind").map(|kind| LeaseKind::parse(kind).ok_or_else(|| wrong("kind"))).transpose()?,
        name: text("name"),
        prefix: text("prefix"),
        holder: text("holder"),
        host: value("host").map(|host| host.trim().parse()).transpose()?,
        since: value("since").map(formats::moment).transpose()?,
        unused: value("unused")
            .map(|days| days.trim().parse::<u64>().map_err(|_| wrong("days")))
            .transpose()?
            .map(|days| Duration::from_secs(days.saturating_mul(DAY))),
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

/// The words of the command for a filter.
fn words(verb: &'static str, given: &[(&'static str, String)]) -> Vec<String> {
    let option = |(name, value): &(&'static str, String)| match *name {
        "host" => ["--from-host".to_owned(), value.clone()],
        "unused" => ["--unused".to_owned(), format!("{value} days")],
        name => [format!("--{name}"), value.clone()],
    };
    ["lease".to_owned(), verb.to_owned()].into_iter().chain(given.iter().flat_map(option)).collect()
}

/// The members of the filter, as the API has them.
fn member((name, value): &(&'static str, String)) -> (&'static str, serde_json::Value) {
    match *name {
        "unused" => ("unusedSeconds", value.trim().parse::<u64>().unwrap_or(0).saturating_mul(DAY).into()),
        name => (name, value.clone().into()),
    }
}

pub async fn list(app: App, session: Session) -> Result<Response> {
    let filter = filter(|name| session.query(name))?;
    let given = given(&session);
    let is_narrow = !filter.is_empty();
    let mut found = app.leases.list(&filter).await?;
    let left_out = found.len().saturating_sub(LEASES_MAX);
    found.truncate(LEASES_MAX);
    match LEASES.show(&session, found) {
        TableAnswer::Export(file) => Ok(file),
        TableAnswer::View(table) => {
            let members: Vec<_> = given.iter().map(member).collect();
            let pairs = members.iter().map(|(name, value)| {
                let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                format!("{name}={}", url_encoded(&text))
            });
            let path = format!("/leases?{}", pairs.collect::<Vec<_>>().join("&"));
            let words = words("list", &given);
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
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
    let filter = filter(|name| session.query(name))?;
    let given = given(&session);
    let revocation = Revocation { filter, ..Revocation::default() };
    let planned = app.leases.plan(&revocation).await?;
    if planned.is_empty() {
        return Err(Error::conflict("Nothing that fits is lent now: there is nothing to revoke."));
    }
    let mut body: serde_json::Map<String, serde_json::Value> =
        given.iter().map(member).map(|(name, value)| (name.to_owned(), value)).collect();
    body.insert("reason".to_owned(), "why".into());
    body.insert("dryRun".to_owned(), false.into());
    let body = serde_json::Value::Object(body).to_string();
    let mut words = words("revoke", &given);
    words.extend(["--reason", "why", "--yes"].map(str::to_owned));
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let plan = Plan {
        title: format!(
            "Revoke {}",
            if planned.len() == 1 { "one thing".to_owned() } else { format!("{} things", planned.len()) }
        ),
        effects: planned.into_iter().map(|step| step.what).collect(),
        weight: Weight::Destroys,
        action: "/leases/revoke".to_owned(),
        back: format!("/leases{}", query(&given)),
        fields: given,
        button: "Revoke",
        equivalents: Equivalents::of(&session, "POST", "/leases/revoke", Some(&body), &words),
    };
    plan::ask(&app, &session, plan).await
}

pub async fn revoke(
    app: App,
    session: Session,
    form: CheckedForm<crate::web::console::kit::form::Nothing>,
) -> Result<Response> {
    let caller = form.with_reason(&session)?;
    let filter = filter(|name| form.all(name).next().filter(|value| !value.is_empty()))?;
    let revocation = Revocation { filter, ..Revocation::default() };
    let revoked = app.leases.revoke(&caller, &revocation).await?;
    let failed: Vec<String> = revoked
        .iter()
        .filter_map(|each| Some(format!("{}: {}", each.target.name(), each.outcome.as_ref().err()?.message())))
        .collect();
    match failed.first() {
        None => plan::done(&session, "/leases"),
        Some(first) => {
            app.loops.nudge("reconcile");
            let (count, all) = (failed.len(), revoked.len());
            Err(Error::unavailable(format!(
                "{count} of {all} could not be revoked, the others are. Send it again: what failed is still lent. {first}"
            )))
        }
    }
}
