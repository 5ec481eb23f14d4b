//! Notices: what people should hear, how far that is, and what to do with what could not be delivered.

use askama::Template;
use axum::response::Response;
use serde::Deserialize;

use crate::base::{Error, MailAddress, Result};
use crate::domain::auth::scopes;
use crate::domain::notices::{End, Filter, Listed, NoticeId, State};
use crate::web::console::kit::form::{CheckedForm, Nothing};
use crate::web::console::kit::frame::{Frame, page};
use crate::web::console::kit::plan::{self, Equivalents, Plan, Weight};
use crate::web::console::kit::session::Session;
use crate::web::console::kit::table::{Cell, Column, Table, TableAnswer, View};
use crate::web::console::kit::text::{State as Word, TimeTag, Tone, Untrusted};
use crate::web::state::App;

/// Notices that one page looks through, newest first.
const NOTICES_MAX: usize = 1000;

const NOTICES: Table<Listed> = Table {
    name: "notices",
    caption: "The outbox, newest first",
    columns: &[
        Column {
            name: "subject",
            title: "Subject",
            cell: |notice| Cell::text(&notice.subject).to(format!("/notices/{}", notice.id)),
        },
        Column {
            name: "state",
            title: "State",
            cell: |notice| {
                let (tone, word) = whole(notice);
                Cell::state(tone, word)
            },
        },
        Column { name: "about", title: "About", cell: |notice| Cell::text(&notice.about) },
        Column { name: "kind", title: "Kind", cell: |notice| Cell::text(&notice.kind) },
        Column {
            name: "to",
            title: "To",
            cell: |notice| {
                let to: Vec<String> = notice.deliveries.iter().map(|(channel, _)| channel.to_string()).collect();
                Cell::text(to.join(", "))
            },
        },
        Column { name: "posted", title: "Posted", cell: |notice| Cell::time(notice.posted) },
    ],
    sort: "-posted",
    select: None,
    empty: ("There was nothing to tell anybody so far. A test shows whether notices arrive.", ""),
};

#[derive(Template)]
#[template(path = "console/notices.html")]
struct List {
    frame: Frame,
    table: View,
    waiting: u64,
    may_test: bool,
}

#[derive(Template)]
#[template(path = "console/notice.html")]
struct Page {
    frame: Frame,
    id: String,
    subject: Untrusted<'static>,
    about: Untrusted<'static>,
    kind: Untrusted<'static>,
    posted: TimeTag,
    body: Vec<Untrusted<'static>>,
    deliveries: Vec<Delivery>,
    is_dead: bool,
    may_resend: bool,
    may_drop: bool,
}

struct Delivery {
    to: Untrusted<'static>,
    state: Word,
    at: Option<TimeTag>,
    remark: Untrusted<'static>,
}

fn word(state: &State) -> (Tone, &'static str) {
    match state {
        State::Pending => (Tone::Quiet, "waiting"),
        State::Retrying { .. } => (Tone::Warning, "retrying"),
        State::Over(End::Dead { .. }) => (Tone::Unwell, "given up"),
        State::Over(End::Gathered { .. }) => (Tone::Well, "in a digest"),
        State::Over(End::Delivered { .. }) => (Tone::Well, "sent"),
    }
}

/// The worst of its deliveries.
fn whole(notice: &Listed) -> (Tone, &'static str) {
    let weight = |(tone, _): &(Tone, &str)| match tone {
        Tone::Well => 0,
        Tone::Quiet => 1,
        Tone::Warning => 2,
        Tone::Unwell => 3,
    };
    let words = notice.deliveries.iter().map(|(_, state)| word(state));
    words.max_by_key(weight).unwrap_or((Tone::Quiet, "nobody to tell"))
}

pub async fn list(app: App, session: Session) -> Result<Response> {
    match NOTICES.show(&session, app.notices.list(Filter::All, None, NOTICES_MAX).await?).await? {
        TableAnswer::Export(file) => Ok(file),
        TableAnswer::View(table) => Ok(page(&List {
            frame: Frame::of(&app, &session, "Notices").await,
            table,
            waiting: app.notices.waiting()?,
            may_test: session.may(scopes::NOTICE_TEST),
        })),
    }
}

fn parse_id(session: &Session) -> Result<NoticeId> {
    session.param("notice").parse().map_err(|_| Error::not_found("There is no notice of this name."))
}

/// One notice with its text.
pub async fn show(app: App, session: Session) -> Result<Response> {
    let id = parse_id(&session)?;
    let letter = app.notices.letter(&id)?;
    let listed = letter.listed;
    let is_dead = listed.deliveries.iter().any(|(_, state)| matches!(state, State::Over(End::Dead { .. })));
    let delivery = |(channel, state): &(_, State)| {
        let time = |at| Some(TimeTag { at, now: session.now });
        let (at, remark) = match state {
            State::Pending => (None, String::new()),
            State::Retrying { attempts, due, fault } => (time(*due), format!("tried {attempts} times: {fault}")),
            State::Over(End::Delivered { at, by }) => (time(*at), format!("by {by}")),
            State::Over(End::Gathered { at, into }) => (time(*at), format!("in notice {into}")),
            State::Over(End::Dead { at, attempts, fault }) => (time(*at), format!("tried {attempts} times: {fault}")),
        };
        let (tone, name) = word(state);
        let to = ToString::to_string(channel as &crate::domain::notices::Channel);
        Delivery { to: Untrusted::of(to), state: Word { tone, word: name.into() }, at, remark: Untrusted::of(remark) }
    };
    Ok(page(&Page {
        frame: Frame::of(&app, &session, "Notice").await,
        may_resend: is_dead && session.may(scopes::NOTICE_RESEND.on(&id)),
        may_drop: is_dead && session.may(scopes::NOTICE_DROP.on(&id)),
        id: id.to_string(),
        deliveries: listed.deliveries.iter().map(delivery).collect(),
        subject: Untrusted::of(listed.subject),
        about: Untrusted::of(listed.about),
        kind: Untrusted::of(listed.kind),
        posted: TimeTag { at: listed.posted, now: session.now },
        body: letter.body.lines().map(|line| Untrusted::of(line.to_owned())).collect(),
        is_dead,
    }))
}

/// Whom to send a test.
#[derive(Deserialize)]
pub struct Receiver {
    to: String,
}

pub async fn send_test(app: App, session: Session, form: CheckedForm<Receiver>) -> Result<Response> {
    app.notices.post_test(&session.caller, MailAddress::parse(form.input.to.trim())?).await?;
    app.loops.nudge("deliver");
    plan::done(&session, "/notices")
}

/// Tries the dead letters of a notice again.
pub async fn resend(app: App, session: Session, _: CheckedForm<Nothing>) -> Result<Response> {
    let id = parse_id(&session)?;
    app.notices.resend(&id, &session.caller).await?;
    app.loops.nudge("deliver");
    plan::done(&session, &format!("/notices/{id}"))
}

/// What dropping a notice means.
pub async fn plan_drop(app: App, session: Session) -> Result<Response> {
    let id = parse_id(&session)?;
    let letter = app.notices.letter(&id)?;
    let to: Vec<String> = letter.listed.deliveries.iter().map(|(channel, _)| channel.to_string()).collect();
    let plan = Plan {
        title: "Drop a notice".to_owned(),
        effects: vec![
            format!("\"{}\" is forgotten. It was for {}.", letter.listed.subject, to.join(", ")),
            "Whoever did not get it will not.".to_owned(),
        ],
        weight: Weight::Destroys,
        action: format!("/notices/{id}/drop"),
        fields: Vec::new(),
        button: "Drop it",
        back: format!("/notices/{id}"),
        equivalents: Equivalents::none(),
    };
    plan::ask(&app, &session, plan).await
}

/// Forgets a notice with dead letters.
pub async fn discard(app: App, session: Session, form: CheckedForm<Nothing>) -> Result<Response> {
    app.notices.drop_dead(&parse_id(&session)?, &form.with_reason(&session)?).await?;
    plan::done(&session, "/notices")
}
