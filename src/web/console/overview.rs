//! The first page: how the appliance is, what needs somebody, and what comes next.

use askama::Template;
use axum::response::Response;

use super::frame::{Frame, page};
use super::loops;
use super::session::Session;
use super::text::{Foreign, Moment, State, Tone, distance};
use crate::base::{Error, Result};
use crate::domain::guard::Health;
use crate::domain::namespaces::Phase;
use crate::domain::notices::Filter;
use crate::domain::vitals::{Figures, Vital};
use crate::web::state::App;

/// Rotations that are told beforehand.
const NEXT_MAX: usize = 5;
/// Periods after which the newest backup is too old: one may be late.
const BACKUP_PERIODS_MAX: u32 = 2;
/// Dead letters that are counted.
const DEAD_MAX: usize = 1000;

#[derive(Template)]
#[template(path = "console/overview.html")]
struct Overview {
    frame: Frame,
    rows: Vec<Row>,
    attention: Vec<Attention>,
    cards: Vec<Card>,
    next: Vec<(String, Moment)>,
}

struct Row {
    name: &'static str,
    state: State,
    text: Foreign<'static>,
}

/// Something that needs somebody, and where they can do it.
struct Attention {
    tone: &'static str,
    path: String,
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

fn attention(tone: Tone, path: impl Into<String>, text: impl Into<String>) -> Attention {
    Attention { tone: tone.class(), path: path.into(), text: Foreign::of(text.into()) }
}

/// How the appliance is.
pub async fn show(app: App, session: Session) -> Result<Response> {
    let rows = app.vitals.check().await.into_iter().map(Row::from).collect();
    let figures = app.vitals.figures()?;
    let (mut needs, mut cards) = (of_figures(&app, &figures)?, Vec::new());
    let next = namespaces(&app, &session, &mut cards)?;
    cards.push(Card {
        name: "Hosts",
        path: "/hosts",
        figure: figures.hosts.to_string(),
        remark: "machines that asked".to_owned(),
    });
    queues(&app, &mut cards, &mut needs)?;
    cards.push(Card {
        name: "Notices",
        path: "/notices",
        figure: figures.outbox_waiting.to_string(),
        remark: "deliveries wait".to_owned(),
    });
    backup(&app, &session, &mut cards, &mut needs).await?;
    let frame = Frame::of(&app, &session, "Overview").await;
    Ok(page(&Overview { frame, rows, attention: needs, cards, next }))
}

fn of_figures(app: &App, figures: &Figures) -> Result<Vec<Attention>> {
    let mut needs = Vec::new();
    for each in &figures.loops {
        let State { tone, word } = loops::state(each);
        if matches!(tone, Tone::Warning | Tone::Unwell) {
            let why = each.brake.as_deref().unwrap_or(&each.last_error);
            let why = if why.is_empty() { String::new() } else { format!(": {why}") };
            needs.push(attention(tone, format!("/loops/{}", each.name), format!("Loop {}: {word}{why}", each.name)));
        }
    }
    if figures.administrator_refused == Some(true) {
        needs.push(attention(Tone::Unwell, "/broker", "The broker refuses our administrator"));
    }
    if figures.accounts_unsettled > 0 {
        let text = format!("{} broker users are not yet as wished", figures.accounts_unsettled);
        needs.push(attention(Tone::Warning, "/loops/reconcile", text));
    }
    let dead = app.notices.list(Filter::Dead, None, DEAD_MAX)?.len();
    if dead > 0 {
        needs.push(attention(Tone::Unwell, "/notices?q=state%3Agiven", format!("{dead} notices were given up")));
    }
    Ok(needs)
}

/// How many there are, and those that rotate next.
fn namespaces(app: &App, session: &Session, cards: &mut Vec<Card>) -> Result<Vec<(String, Moment)>> {
    let mut all = app.namespaces.summaries()?;
    let over = all.iter().filter(|each| each.phase == Phase::Over).count();
    cards.push(Card {
        name: "Namespaces",
        path: "/namespaces",
        figure: all.len().to_string(),
        remark: if over > 0 { format!("{over} expired") } else { "lent on the message bus".to_owned() },
    });
    all.retain(|each| matches!(each.phase, Phase::Lent | Phase::Rotating));
    all.sort_by_key(|each| each.next_rotation);
    let next = all.into_iter().take(NEXT_MAX);
    Ok(next.map(|each| (each.namespace.to_string(), Moment { at: each.next_rotation, now: session.now })).collect())
}

fn queues(app: &App, cards: &mut Vec<Card>, needs: &mut Vec<Attention>) -> Result<()> {
    let queues = app.guard.seen_queues()?;
    let count = |health: Health| queues.iter().filter(|queue| queue.health == health).count();
    let (growing, warned, doomed) = (count(Health::Growing), count(Health::Warned), count(Health::Doomed));
    cards.push(Card {
        name: "Queues",
        path: "/queues",
        figure: queues.len().to_string(),
        remark: match growing + warned + doomed {
            0 => "counted, all in order".to_owned(),
            troubled => format!("{troubled} are not in order"),
        },
    });
    if doomed > 0 {
        needs.push(attention(Tone::Unwell, "/queues?q=state%3Adeleted", format!("{doomed} queues are to be deleted")));
    }
    if growing + warned > 0 {
        let text = format!("{} queues grow or are over their warning", growing + warned);
        needs.push(attention(Tone::Warning, "/queues?sort=-messages", text));
    }
    Ok(())
}

async fn backup(app: &App, session: &Session, cards: &mut Vec<Card>, needs: &mut Vec<Attention>) -> Result<()> {
    let backups = app.backups.clone();
    // A look into every file: not on a thread that answers others.
    let listed = tokio::task::spawn_blocking(move || backups.list()).await;
    let listed = listed.map_err(|e| Error::internal("listing backups", e))??;
    let newest = listed.iter().filter_map(|(listed, _)| listed.label.as_ref().map(|label| label.made)).max();
    cards.push(Card {
        name: "Newest backup",
        path: "/backups",
        figure: newest.map_or_else(|| "none".to_owned(), |made| distance(made, session.now)),
        remark: format!("{} in all", listed.len()),
    });
    let is_old = |made| session.now.since(made) > app.backups.period().saturating_mul(BACKUP_PERIODS_MAX);
    match newest {
        None => needs.push(attention(Tone::Warning, "/backups", "There is no backup yet")),
        Some(made) if is_old(made) => needs.push(attention(Tone::Unwell, "/backups", "The newest backup is too old")),
        Some(_) => {}
    }
    if listed.iter().any(|(listed, fate)| fate.problem.is_some() || listed.label.is_none()) {
        needs.push(attention(Tone::Unwell, "/backups?q=state%3Adamaged", "A backup is damaged"));
    }
    Ok(())
}
