//! What operators decide about machines: blocks and pins.

use std::net::IpAddr;

use askama::Template;
use axum::response::Response;
use serde::Deserialize;

use crate::base::text::url_encoded;
use crate::base::{Error, Result};
use crate::domain::auth::scopes;
use crate::domain::hosts::{HostRule, Ruled};
use crate::web::console::kit::form::{CheckedForm, Nothing};
use crate::web::console::kit::frame::{Frame, page};
use crate::web::console::kit::plan::{self, Equivalents, Plan, Weight};
use crate::web::console::kit::session::Session;
use crate::web::console::kit::table::{Cell, Column, Table, TableAnswer, View};
use crate::web::console::kit::text::{TimeTag, Untrusted};
use crate::web::state::App;

const RULES: Table<(HostRule, Ruled)> = Table {
    name: "host-rules",
    caption: "Blocks and pins",
    columns: &[
        Column {
            name: "rule",
            title: "Rule",
            cell: |(rule, _)| Cell::text(rule).to(format!("/host-rules/{}/remove", url_encoded(&rule.to_string()))),
        },
        Column { name: "since", title: "Since", cell: |(_, ruled)| Cell::time(ruled.since) },
        Column { name: "by", title: "By", cell: |(_, ruled)| Cell::text(&ruled.by) },
        Column { name: "remark", title: "Remark", cell: |(_, ruled)| Cell::text(&ruled.remark) },
    ],
    sort: "rule",
    select: None,
    empty: (
        "Nothing is blocked or pinned. A machine is blocked on its page, and a network by a command:",
        "keylender host block 10.1.0.0/16",
    ),
};

#[derive(Template)]
#[template(path = "console/list.html")]
struct List {
    frame: Frame,
    table: View,
    equivalents: Equivalents,
}

/// A rule about one machine, on its page.
pub(super) struct Row {
    pub rule: Untrusted<'static>,
    pub since: TimeTag,
    pub by: Untrusted<'static>,
    pub remark: Untrusted<'static>,
    /// Where it is removed, for who may.
    pub remove: Option<String>,
}

pub(super) fn row(session: &Session, (rule, ruled): (HostRule, Ruled)) -> Row {
    let text = rule.to_string();
    let may = session.may(scopes::HOST_RULE.on(&text));
    Row {
        since: TimeTag { at: ruled.since, now: session.now },
        by: Untrusted::of(ruled.by),
        remark: Untrusted::of(ruled.remark),
        remove: may.then(|| format!("{}/host-rules/{}/remove", session.root, url_encoded(&text))),
        rule: Untrusted::of(text),
    }
}

pub async fn rules(app: App, session: Session) -> Result<Response> {
    match RULES.show(&session, app.hosts.rules().await?) {
        TableAnswer::Export(file) => Ok(file),
        TableAnswer::View(table) => Ok(page(&List {
            frame: Frame::of(&app, &session, "Host rules").await,
            table,
            equivalents: Equivalents::of(&session, "GET", "/host-rules", None, &["host", "rules"]),
        })),
    }
}

fn address(session: &Session) -> Result<IpAddr> {
    let address = session.param("address").parse::<IpAddr>().map_err(|_| Error::not_found("This is no address."))?;
    Ok(address.to_canonical())
}

/// The same as a command and as a call: `words` are those of the command before its remark.
fn equivalents(session: &Session, rule: &HostRule, words: &[&str]) -> Equivalents {
    let path = format!("/host-rules/{}", url_encoded(&rule.to_string()));
    let words: Vec<&str> = words.iter().copied().chain(["--remark", "why"]).collect();
    Equivalents::of(session, "PUT", &path, Some(r#"{"remark":"why"}"#), &words)
}

/// What blocking a machine would do.
pub async fn plan_block(app: App, session: Session) -> Result<Response> {
    let address = address(&session)?;
    let plan = Plan {
        title: format!("Block {address}"),
        effects: vec![
            format!("Requests from {address} get no credentials from now on, whatever DNS says of it."),
            "What it was lent before works until it ends by itself.".to_owned(),
        ],
        weight: Weight::Reasoned,
        action: format!("/hosts/{address}/block"),
        fields: Vec::new(),
        button: "Block now",
        back: format!("/hosts/{address}"),
        equivalents: equivalents(&session, &blocked(address)?, &["host", "block", &address.to_string()]),
    };
    plan::ask(&app, &session, plan).await
}

pub async fn block(app: App, session: Session, form: CheckedForm<Nothing>) -> Result<Response> {
    let address = address(&session)?;
    let caller = form.with_reason(&session)?;
    app.hosts.set_rule(&caller, blocked(address)?, caller.reason()?.to_string()).await?;
    plan::done(&session, &format!("/hosts/{address}"))
}

fn blocked(address: IpAddr) -> Result<HostRule> {
    format!("block {address}").parse()
}

/// The pair that is pinned: what the page showed, whatever DNS says when the form comes.
#[derive(Deserialize)]
pub struct Pair {
    name: String,
}

/// What pinning a machine would do.
pub async fn plan_pin(app: App, session: Session) -> Result<Response> {
    let address = address(&session)?;
    let known = app.hosts.known(address)?.and_then(|(known, _)| known.name);
    let nameless =
        || Error::conflict("No name held for this address so far, and a pin is about a name and an address.");
    let name = known.ok_or_else(nameless)?.to_string();
    let plan = Plan {
        title: format!("Pin {name} to {address}"),
        effects: vec![
            format!("{name} is believed only from {address}, and {address} only with this name, whatever DNS says."),
            "Anybody else with this name, and this address with another name, gets nothing from now on.".to_owned(),
        ],
        weight: Weight::Reasoned,
        action: format!("/hosts/{address}/pin"),
        button: "Pin now",
        back: format!("/hosts/{address}"),
        equivalents: equivalents(&session, &pinned(&name, address)?, &["host", "pin", &name, &address.to_string()]),
        fields: vec![("name", name)],
    };
    plan::ask(&app, &session, plan).await
}

pub async fn pin(app: App, session: Session, form: CheckedForm<Pair>) -> Result<Response> {
    let address = address(&session)?;
    let caller = form.with_reason(&session)?;
    app.hosts.set_rule(&caller, pinned(&form.input.name, address)?, caller.reason()?.to_string()).await?;
    plan::done(&session, &format!("/hosts/{address}"))
}

fn pinned(name: &str, address: IpAddr) -> Result<HostRule> {
    format!("pin {name} {address}").parse()
}

/// What removing a rule would do.
pub async fn plan_remove(app: App, session: Session) -> Result<Response> {
    let rule: HostRule = session.param("rule").parse()?;
    let missing = || Error::not_found("There is no such rule.");
    let (rule, ruled) = app.hosts.rules().await?.into_iter().find(|(known, _)| *known == rule).ok_or_else(missing)?;
    let text = rule.to_string();
    let (what, verb, effect) = match &rule {
        HostRule::Pin(..) => ("Unpin", "unpin", "The name and the address count again as DNS says."),
        _ => {
            ("Unblock", "unblock", "What it blocked is lent credentials again, where DNS and the other rules allow it.")
        }
    };
    let words: Vec<&str> = ["host", verb].into_iter().chain(text.split(' ').skip(1)).collect();
    let remark = if ruled.remark.is_empty() { String::new() } else { format!(", saying: {}", ruled.remark) };
    let plan = Plan {
        title: format!("{what} {}", words[2..].join(" ")),
        effects: vec![effect.to_owned(), format!("It was decided by {} at {}{remark}.", ruled.by, ruled.since)],
        weight: Weight::Reasoned,
        action: format!("/host-rules/{}/remove", url_encoded(&text)),
        fields: Vec::new(),
        button: "Remove the rule",
        back: "/host-rules".to_owned(),
        equivalents: Equivalents::of(&session, "DELETE", &format!("/host-rules/{}", url_encoded(&text)), None, &words),
    };
    plan::ask(&app, &session, plan).await
}

pub async fn remove(app: App, session: Session, form: CheckedForm<Nothing>) -> Result<Response> {
    let caller = form.with_reason(&session)?;
    app.hosts.remove_rule(&caller, session.param("rule").parse()?).await?;
    plan::done(&session, "/host-rules")
}
