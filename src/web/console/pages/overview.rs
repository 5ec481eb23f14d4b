//! The first page: how the appliance is, what needs somebody, and what comes next.

use askama::Template;
use axum::response::Response;

use super::alarms::{self, Attention};
use super::namespaces::phase_word;
use super::queues;
use crate::base::Result;
use crate::domain::alarms::Picture;
use crate::domain::health::Check;
use crate::domain::lend_counts;
use crate::domain::loops::Status;
use crate::domain::namespaces::Outlook;
use crate::web::console::kit::chart::Chart;
use crate::web::console::kit::frame::{Frame, page};
use crate::web::console::kit::session::Session;
use crate::web::console::kit::text::{State, TimeTag, Tone, Untrusted, distance};
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
    next: Vec<(String, TimeTag)>,
    lent: Chart,
}

struct Row {
    name: &'static str,
    state: State,
    text: Untrusted<'static>,
}

/// A figure, and the page about it.
struct Card {
    name: &'static str,
    path: &'static str,
    figure: String,
    remark: String,
}

impl From<Check> for Row {
    fn from(check: Check) -> Self {
        let (tone, word) = if check.state.is_ok() { (Tone::Well, "well") } else { (Tone::Unwell, "unwell") };
        let text = Untrusted::of(check.state.unwrap_or_else(|problem| problem));
        Self { name: check.name, state: State { tone, word: word.into() }, text }
    }
}

pub async fn show(app: App, session: Session) -> Result<Response> {
    let mut rows: Vec<Row> = app.health.check().await.into_iter().map(Row::from).collect();
    let picture = app.alarms.picture().await?;
    rows.extend([loops(&picture.figures.loops), mail(&app, &picture)]);
    let Picture { alarms, figures, queues, backups: (backups, newest), .. } = picture;
    let card = |name, path, figure: String, remark: String| Card { name, path, figure, remark };
    let (namespaces, next) = namespaces(&app, &session).await?;
    let newest = newest.map_or_else(|| "none".to_owned(), |made| distance(made, session.now));
    let verified = app.hosts.count_verified().await?;
    let cards = vec![
        namespaces,
        card(
            "Hosts",
            "/hosts",
            figures.hosts.to_string(),
            join_counts([("verified", verified), ("refused", figures.hosts.saturating_sub(verified))]),
        ),
        card(
            "Queues",
            "/queues",
            queues.iter().map(|(_, count)| count).sum::<usize>().to_string(),
            join_counts(queues.map(|(health, count)| (queues::state(health).1, count))),
        ),
        card("Notices", "/notices", figures.outbox_waiting.to_string(), "deliveries wait".to_owned()),
        card("Newest backup", "/backups", newest, format!("{backups} in all")),
    ];
    let frame = Frame::of(&app, &session, "Overview").await;
    let attention = alarms.into_iter().map(|alarm| alarms::attention(&session, alarm)).collect();
    Ok(page(&Overview { frame, rows, attention, cards, next, lent: lent(&app, &session)? }))
}

/// Numbers by their words, those that are not zero.
fn join_counts<N: std::fmt::Display + Default + PartialEq>(
    counts: impl IntoIterator<Item = (&'static str, N)>,
) -> String {
    let counts = counts.into_iter().filter(|(_, count)| *count != N::default());
    let counts: Vec<String> = counts.map(|(word, count)| format!("{count} {word}")).collect();
    if counts.is_empty() { "none so far".to_owned() } else { counts.join(", ") }
}

fn row(name: &'static str, (tone, word): (Tone, &'static str), text: String) -> Row {
    Row { name, state: State { tone, word: word.into() }, text: Untrusted::of(text) }
}

fn loops(all: &[Status]) -> Row {
    let count = |is_meant: fn(&Status) -> bool| all.iter().filter(|each| is_meant(each)).count();
    let (braked, failing) = (count(|each| each.brake.is_some()), count(|each| each.failures > 0));
    let paused = count(|each| each.paused);
    let state = match (braked + failing, paused) {
        (0, 0) => (Tone::Well, "well"),
        (0, _) => (Tone::Warning, "look at it"),
        _ => (Tone::Unwell, "unwell"),
    };
    let counts = [("in all", all.len()), ("at the brake", braked), ("failing", failing), ("paused", paused)];
    row("loops", state, join_counts(counts))
}

fn mail(app: &App, picture: &Picture) -> Row {
    let delivery_counts = app.notices.delivery_counts();
    let state = if picture.dead > 0 { (Tone::Unwell, "given up") } else { (Tone::Well, "well") };
    let counts = [
        ("sent since the start", delivery_counts.sent.count()),
        ("waiting", picture.figures.outbox_waiting),
        ("given up", u64::try_from(picture.dead).unwrap_or(u64::MAX)),
    ];
    row("mail", state, format!("to {}; {}", app.notices.mail_goes_to(), join_counts(counts)))
}

/// What was lent in each hour of the last day.
fn lent(app: &App, session: &Session) -> Result<Chart> {
    let hours = lend_counts::last_hours(&app.store, session.now)?.into_iter();
    let counts = hours.map(|(at, lent)| (TimeTag { at, now: session.now }, [lent.namespaces, lent.hosts]));
    Ok(Chart::of("Lent per hour", ["claims of namespaces", "credentials of hosts"], &counts.collect::<Vec<_>>()))
}

/// How many there are, and those that rotate next.
async fn namespaces(app: &App, session: &Session) -> Result<(Card, Vec<(String, TimeTag)>)> {
    let Outlook { phases, next } = app.namespaces.outlook(NEXT_MAX).await?;
    let card = Card {
        name: "Namespaces",
        path: "/namespaces",
        figure: phases.iter().map(|(_, count)| count).sum::<usize>().to_string(),
        remark: join_counts(phases.map(|(phase, count)| (phase_word(phase), count))),
    };
    let next = next.into_iter().map(|(at, name)| (name, TimeTag { at, now: session.now }));
    Ok((card, next.collect()))
}
