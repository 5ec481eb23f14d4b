//! The first page: how the appliance is, what needs somebody, and what comes next.

use askama::Template;
use axum::response::Response;

use super::alarms::{self, Attention};
use super::chart::Chart;
use super::frame::{Frame, page};
use super::session::Session;
use super::text::{Foreign, Moment, State, Tone, distance};
use crate::base::Result;
use crate::domain::alarms::Picture;
use crate::domain::namespaces::Outlook;
use crate::domain::tally;
use crate::domain::vitals::Vital;
use crate::web::state::App;

/// Rotations that are told beforehand.
const NEXT_MAX: usize = 5;

#[derive(Template)]
#[template(path = "console/overview.html")]
struct Overview {
    frame: Frame,
    rows: Vec<Row>,
    attention: Vec<Attention>,
    cards: Vec<Card>,
    next: Vec<(String, Moment)>,
    lent: Chart,
}

struct Row {
    name: &'static str,
    state: State,
    text: Foreign<'static>,
}

/// A figure, and the page about it.
struct Card {
    name: &'static str,
    path: &'static str,
    figure: String,
    remark: String,
}

impl From<Vital> for Row {
    fn from(vital: Vital) -> Self {
        let (tone, word) = if vital.state.is_ok() { (Tone::Well, "well") } else { (Tone::Unwell, "unwell") };
        let text = Foreign::of(vital.state.unwrap_or_else(|problem| problem));
        Self { name: vital.name, state: State { tone, word: word.into() }, text }
    }
}

/// How the appliance is.
pub async fn show(app: App, session: Session) -> Result<Response> {
    let rows = app.vitals.check().await.into_iter().map(Row::from).collect();
    let Picture { alarms, figures, queues: (queues, troubled), backups: (backups, newest) } =
        app.alarms.picture().await?;
    let card = |name, path, figure: String, remark: String| Card { name, path, figure, remark };
    let (namespaces, next) = namespaces(&app, &session)?;
    let in_order = match troubled {
        0 => "counted, all in order".to_owned(),
        troubled => format!("{troubled} not in order"),
    };
    let newest = newest.map_or_else(|| "none".to_owned(), |made| distance(made, session.now));
    let cards = vec![
        namespaces,
        card("Hosts", "/hosts", figures.hosts.to_string(), "machines that asked".to_owned()),
        card("Queues", "/queues", queues.to_string(), in_order),
        card("Notices", "/notices", figures.outbox_waiting.to_string(), "deliveries wait".to_owned()),
        card("Newest backup", "/backups", newest, format!("{backups} in all")),
    ];
    let frame = Frame::of(&app, &session, "Overview").await;
    let attention = alarms.into_iter().map(|alarm| alarms::attention(&session, alarm)).collect();
    Ok(page(&Overview { frame, rows, attention, cards, next, lent: lent(&app, &session)? }))
}

/// What was lent in each hour of the last day.
fn lent(app: &App, session: &Session) -> Result<Chart> {
    let hours = tally::last_hours(&app.store, session.now)?.into_iter();
    let counts = hours.map(|(at, lent)| (Moment { at, now: session.now }, [lent.namespaces, lent.hosts]));
    Ok(Chart::of("Lent per hour", ["claims of namespaces", "credentials of hosts"], &counts.collect::<Vec<_>>()))
}

/// How many there are, and those that rotate next.
fn namespaces(app: &App, session: &Session) -> Result<(Card, Vec<(String, Moment)>)> {
    let Outlook { count, over, next } = app.namespaces.outlook(NEXT_MAX)?;
    let card = Card {
        name: "Namespaces",
        path: "/namespaces",
        figure: count.to_string(),
        remark: if over > 0 { format!("{over} expired") } else { "lent on the message bus".to_owned() },
    };
    let next = next.into_iter().map(|(at, name)| (name, Moment { at, now: session.now }));
    Ok((card, next.collect()))
}
