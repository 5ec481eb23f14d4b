//! The machines that asked for credentials, and why they got what they got.

mod explain;
mod rules;

pub use explain::explain;
pub use rules::{block, pin, plan_block, plan_pin, plan_remove, remove, rules};

use std::net::IpAddr;

use askama::Template;
use axum::response::Response;

use crate::base::{Error, HostName, Result};
use crate::domain::auth::scopes;
use crate::domain::hosts::{Known, PAGE_LEN_MAX};
use crate::ports::dns::{Answer, Data, Kind, Status};
use crate::web::console::kit::frame::{Frame, page};
use crate::web::console::kit::plan::Equivalents;
use crate::web::console::kit::session::Session;
use crate::web::console::kit::table::{Cell, Column, Table, TableAnswer, View};
use crate::web::console::kit::text::{State, TimeTag, Tone, Untrusted};
use crate::web::state::App;

/// Machines that one page looks through.
const HOSTS_MAX: usize = 20_000;

const HOSTS: Table<Known> = Table {
    name: "hosts",
    caption: "Machines that asked for credentials",
    columns: &[
        Column {
            name: "address",
            title: "Address",
            cell: |host| Cell::text(host.address).to(format!("/hosts/{}", host.address)),
        },
        Column {
            name: "name",
            title: "Name",
            cell: |host| Cell::text(host.name.as_ref().map(HostName::as_str).unwrap_or_default()),
        },
        Column { name: "verdict", title: "Verdict", cell: |host| Cell::state(tone(host), host.verdict.clone()) },
        Column { name: "why", title: "Why", cell: |host| Cell::text(&host.why) },
        Column { name: "first", title: "First seen", cell: |host| Cell::time(host.first_seen) },
        Column { name: "last", title: "Last seen", cell: |host| Cell::time(host.last_seen) },
        Column { name: "lent", title: "Lent", cell: |host| Cell::number(host.lent) },
        Column { name: "refused", title: "Refused", cell: |host| Cell::number(host.refused) },
    ],
    sort: "-last",
    select: None,
    empty: (
        "No machine has asked so far. A machine asks for its credentials by one request, and is known by its address:",
        "curl http://this-server/v1/credentials",
    ),
};

#[derive(Template)]
#[template(path = "console/hosts.html")]
struct Hosts {
    frame: Frame,
    missing: String,
    table: View,
    may_explain: bool,
    may_see_rules: bool,
}

#[derive(Template)]
#[template(path = "console/host.html")]
struct Host {
    frame: Frame,
    name: Option<Untrusted<'static>>,
    verdict: State,
    why: Untrusted<'static>,
    first_seen: TimeTag,
    last_seen: TimeTag,
    changed: TimeTag,
    known: Known,
    answers: Vec<Row>,
    rules: Vec<rules::Row>,
    equivalents: Equivalents,
    may_block: bool,
    may_explain: bool,
}

/// A question to DNS and one line of what was answered.
struct Row {
    server: Untrusted<'static>,
    question: Untrusted<'static>,
    answer: Untrusted<'static>,
}

fn tone(host: &Known) -> Tone {
    if host.verdict == "verified" { Tone::Well } else { Tone::Warning }
}

pub async fn list(app: App, session: Session) -> Result<Response> {
    match HOSTS.show(&session, all(&app).await?).await? {
        TableAnswer::Export(file) => Ok(file),
        TableAnswer::View(table) => {
            let frame = Frame::of(&app, &session, "Hosts").await;
            Ok(page(&Hosts {
                frame,
                missing: app.hosts.missing().join(", "),
                table,
                may_explain: session.may(scopes::HOST_EXPLAIN),
                may_see_rules: session.may(scopes::HOST_RULES),
            }))
        }
    }
}

async fn all(app: &App) -> Result<Vec<Known>> {
    let mut hosts: Vec<Known> = Vec::new();
    loop {
        let after = hosts.last().map(|last| last.address);
        let more = app.hosts.list(after, PAGE_LEN_MAX).await?;
        let is_end = more.len() < PAGE_LEN_MAX || hosts.len() >= HOSTS_MAX;
        hosts.extend(more);
        if is_end {
            return Ok(hosts);
        }
    }
}

pub async fn show(app: App, session: Session) -> Result<Response> {
    let nobody = || Error::not_found("No machine with this address has asked.");
    let address = session.param("address").parse::<IpAddr>().map_err(|_| nobody())?.to_canonical();
    let (known, answers) = app.hosts.find_known(address)?.ok_or_else(nobody)?;
    let time = |at| TimeTag { at, now: session.now };
    let path = format!("/hosts/{address}/check");
    let equivalents = Equivalents::of(&session, "GET", &path, None, &["host", "check", &address.to_string()]);
    let rules = if session.may(scopes::HOST_RULES) {
        app.hosts.rules_about(address, known.name.as_ref()).await?
    } else {
        Vec::new()
    };
    Ok(page(&Host {
        frame: Frame::of(&app, &session, address.to_string()).await,
        name: known.name.as_ref().map(|name| Untrusted::of(name.to_string())),
        verdict: State { tone: tone(&known), word: known.verdict.clone().into() },
        why: Untrusted::of(known.why.clone()),
        first_seen: time(known.first_seen),
        last_seen: time(known.last_seen),
        changed: time(known.changed),
        known,
        answers: answers.iter().flat_map(rows).collect(),
        rules: rules.into_iter().map(|rule| rules::row(&session, rule)).collect(),
        equivalents,
        may_block: session.may(scopes::HOST_RULE.for_all()),
        may_explain: session.may(scopes::HOST_EXPLAIN),
    }))
}

fn rows(answer: &Answer) -> Vec<Row> {
    let kind = match answer.question.kind {
        Kind::Ptr => "PTR",
        Kind::A => "A",
        Kind::Aaaa => "AAAA",
    };
    let row = |said: String| Row {
        server: Untrusted::of(answer.server.clone()),
        question: Untrusted::of(format!("{kind} {}", answer.question.name)),
        answer: Untrusted::of(said),
    };
    let records: Vec<Row> = answer
        .records
        .iter()
        .map(|record| {
            let data = match &record.data {
                Data::Ptr(name) => format!("PTR {name}"),
                Data::Cname(name) => format!("CNAME {name}"),
                Data::Address(address) => format!("address {address}"),
            };
            row(format!("{} {data} (ttl {} s)", record.name, record.ttl_seconds))
        })
        .collect();
    match (&answer.status, records.is_empty()) {
        (Status::Failed(why), _) => vec![row(format!("failed: {why}"))],
        (Status::NoSuchName, true) => vec![row("there is no such name".to_owned())],
        (Status::Answered, true) => vec![row("no record of this kind".to_owned())],
        (_, false) => records,
    }
}
