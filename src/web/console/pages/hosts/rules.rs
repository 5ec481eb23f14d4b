//! What operators decide about machines: blocks and pins.

use std::net::IpAddr;

use askama::Template;
use axum::response::Response;
use serde::Deserialize;

use crate::base::text::url_encoded;
use crate::base::{Error, Result};
use crate::domain::actions::hosts::{self as actions, Remark};
use crate::domain::actions::{Action, Done};
use crate::domain::auth::scopes;
use crate::domain::hosts::{HostRule, Ruled};
use crate::web::console::kit::act::{self, Asked};
use crate::web::console::kit::form::{CheckedForm, Nothing};
use crate::web::console::kit::frame::{Frame, page};
use crate::web::console::kit::plan::{self, Equivalents};
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
    match RULES.show(&session, app.hosts.rules().await?).await? {
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

/// What blocking a machine would do.
pub async fn plan_block(app: App, session: Session) -> Result<Response> {
    let address = address(&session)?;
    let shown = address.to_string();
    let asked = Asked { name: Some(&shown), words: vec![&shown], ..Asked::default() };
    ask(&app, &session, &actions::BLOCK, blocked(address)?, asked).await
}

pub async fn block(app: App, session: Session, form: CheckedForm<Nothing>) -> Result<Response> {
    set(&app, &session, &form, blocked(address(&session)?)?).await
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
    let known = app.hosts.find_known(address)?.and_then(|(known, _)| known.name);
    let nameless =
        || Error::conflict("No name held for this address so far, and a pin is about a name and an address.");
    let name = known.ok_or_else(nameless)?.to_string();
    let (shown, to) = (format!("{name} to {address}"), address.to_string());
    let fields = vec![("name", name.clone())];
    let asked = Asked { name: Some(&shown), words: vec![&name, &to], fields, ..Asked::default() };
    ask(&app, &session, &actions::PIN, pinned(&name, address)?, asked).await
}

pub async fn pin(app: App, session: Session, form: CheckedForm<Pair>) -> Result<Response> {
    set(&app, &session, &form, pinned(&form.input.name, address(&session)?)?).await
}

fn pinned(name: &str, address: IpAddr) -> Result<HostRule> {
    format!("pin {name} {address}").parse()
}

/// Asks for a rule about the machine of this page; the remark is the reason.
async fn ask(
    app: &App,
    session: &Session,
    action: &'static Action<HostRule, Done, Remark>,
    rule: HostRule,
    asked: Asked<'_>,
) -> Result<Response> {
    let (text, path) = (rule.to_string(), session.path.clone());
    let back = path.rsplit_once('/').map_or("/hosts", |(home, _)| home).to_owned();
    let words = asked.words.into_iter().chain(["--remark", "why"]).collect();
    let asked = Asked { argument: &text, words, path, back, ..asked };
    act::ask(app, session, action, rule, Remark { remark: "why".into() }, asked).await
}

/// Sets one, for the reason of the form, which other operators read as its remark.
async fn set<F>(app: &App, session: &Session, form: &CheckedForm<F>, rule: HostRule) -> Result<Response> {
    let remark = form.with_reason(session)?.reason()?.to_string();
    act::run(app, session, form, &actions::BLOCK, rule, Remark { remark }).await?;
    plan::done(session, &format!("/hosts/{}", address(session)?))
}

/// What removing a rule would do.
pub async fn plan_remove(app: App, session: Session) -> Result<Response> {
    let text = session.param("rule");
    let rule: HostRule = text.parse()?;
    let action = if matches!(rule, HostRule::Pin(..)) { &actions::UNPIN } else { &actions::UNBLOCK };
    let shown = text.split_once(' ').map_or(text, |(_, shown)| shown);
    let asked = Asked::of(text, format!("/host-rules/{}/remove", url_encoded(text)), "/host-rules".to_owned());
    let asked = Asked { name: Some(shown), words: shown.split(' ').collect(), ..asked };
    act::ask(&app, &session, action, rule, (), asked).await
}

pub async fn remove(app: App, session: Session, form: CheckedForm<Nothing>) -> Result<Response> {
    act::run(&app, &session, &form, &actions::UNBLOCK, session.param("rule").parse()?, ()).await?;
    plan::done(&session, "/host-rules")
}
