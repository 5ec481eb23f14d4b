//! Namespaces: which there are, who has their passwords, and what happened to one.

mod acts;
mod many;
mod resources;
mod test_claim;

pub use acts::{disown, extend, hand_over, note, own, plan_extend, plan_hand_over, plan_revoke, revoke};
pub use many::{expire_many, plan_expire_many, plan_rotate_many, rotate_many};
pub use test_claim::{choose as choose_test, plan_test, test};

use std::time::Duration;

use askama::Template;
use axum::response::Response;

use crate::base::text::url_encoded;
use crate::base::{Error, NamespaceName, Result, Timestamp};
use crate::domain::auth::scopes;
use crate::domain::monitor::Load;
use crate::domain::namespaces::{Detail, HeldBy, Holder, NOTE_LEN_MAX, NamespaceLease, Phase, Slot, Summary};
use crate::web::console::kit::frame::{Frame, page};
use crate::web::console::kit::plan::Equivalents;
use crate::web::console::kit::session::Session;
use crate::web::console::kit::table::{Cell, Column, Select, Table, TableAnswer, View};
use crate::web::console::kit::text::{State, TimeTag, Tone, Untrusted};
use crate::web::console::kit::timeline::{self, Timeline};
use crate::web::state::App;
use resources::Resources;

/// Connections of one namespace that are shown: a person does not read more.
const CONNECTIONS_MAX: usize = 200;
/// By how much later the field for a later end proposes: a week, in which somebody can look after it.
const LATER: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// Columns that cost a look for each row.
const LATE: &[&str] = &["claimed", "by"];

/// A namespace in the list, with what the monitor saw of it; none before its first look since the start.
type Listed = (Summary, Option<Load>);

const NAMESPACES: Table<Listed> = Table {
    name: "namespaces",
    caption: "Namespaces on the message bus",
    columns: &[
        Column {
            name: "name",
            title: "Name",
            cell: |(each, _)| Cell::text(&each.namespace).to(format!("/namespaces/{}", each.namespace)),
        },
        Column { name: "state", title: "State", cell: |(each, _)| state(each.phase) },
        Column {
            name: "contact",
            title: "Contact",
            cell: |(each, _)| Cell::text(each.contact.as_deref().unwrap_or_default()),
        },
        Column { name: "expires", title: "Expires", cell: |(each, _)| Cell::time(each.expires) },
        Column { name: "slot", title: "Slot", cell: |(each, _)| Cell::number(u8::from(each.active)) },
        Column { name: "rotation", title: "Next rotation", cell: |(each, _)| Cell::time(each.next_rotation) },
        Column { name: "first", title: "On slot 1", cell: |(_, load)| connected(load.as_ref(), Slot::First) },
        Column { name: "second", title: "On slot 2", cell: |(_, load)| connected(load.as_ref(), Slot::Second) },
        Column { name: "queued", title: "Queued", cell: |(_, load)| Cell::count(load.map(|load| load.messages)) },
        Column {
            name: "claimed",
            title: "Last claim",
            cell: |(each, _)| Cell::time(each.last_claim.as_ref().map(|claim| claim.last)),
        },
        Column { name: "by", title: "By", cell: |(each, _)| Cell::text(by(each.last_claim.as_ref())) },
    ],
    sort: "name",
    select: Some(Select {
        key: |(each, _)| each.namespace.to_string(),
        actions: &[
            ("Rotate", "/many/namespaces/rotate", scopes::NAMESPACE_ROTATE.for_all()),
            ("Remove", "/many/namespaces/expire", scopes::NAMESPACE_EXPIRE.for_all()),
        ],
    }),
    empty: (
        "No namespace was claimed so far. A service claims one by one request, with the credentials of a client that may:",
        "keylender claim taskcluster-example",
    ),
};

#[derive(Template)]
#[template(path = "console/namespaces.html")]
struct List {
    frame: Frame,
    may_claim: bool,
    /// A name to claim for a test.
    example: String,
    table: View,
    equivalents: Equivalents,
}

/// What somebody may do with a namespace.
struct May {
    rotate: bool,
    expire: bool,
    revoke: bool,
    hand_over: bool,
    own: bool,
    extend: bool,
    note: bool,
}

#[derive(Template)]
#[template(path = "console/namespace.html")]
struct Page {
    frame: Frame,
    name: String,
    state: State,
    contact: Option<Untrusted<'static>>,
    owners: Vec<String>,
    note: String,
    /// The session of the task proxy that it is lent to.
    session: Option<String>,
    note_lines: Vec<Untrusted<'static>>,
    note_len_max: usize,
    /// What the field for a later end begins with.
    later: String,
    created: TimeTag,
    expires: TimeTag,
    next_rotation: TimeTag,
    last_connected: Option<TimeTag>,
    slots: Vec<SlotRow>,
    /// None while the broker does not answer.
    connections: Option<Vec<Connection>>,
    more_connections: usize,
    resources: Resources,
    timeline: Option<Timeline>,
    may: May,
    equivalents: Equivalents,
}

struct SlotRow {
    account: String,
    slot: usize,
    use_: State,
    at_the_broker: State,
    promised: Option<TimeTag>,
    holders: Vec<(Untrusted<'static>, Untrusted<'static>, TimeTag)>,
}

struct Connection {
    account: String,
    is_old: bool,
    peer: Untrusted<'static>,
    client: Untrusted<'static>,
    since: Option<TimeTag>,
    /// The page that plans to close it, for who may.
    close: Option<String>,
}

fn state(phase: Phase) -> Cell {
    let State { tone, word } = phase_state(phase);
    Cell::state(tone, word)
}

fn phase_state(phase: Phase) -> State {
    let tone = match phase {
        Phase::Lent => Tone::Well,
        Phase::Rotating => Tone::Quiet,
        Phase::Over | Phase::Ending => Tone::Warning,
    };
    State { tone, word: phase_word(phase).into() }
}

/// Where a namespace is in its life, in a word.
pub fn phase_word(phase: Phase) -> &'static str {
    match phase {
        Phase::Lent => "lent",
        Phase::Rotating => "rotating",
        Phase::Over => "expired",
        Phase::Ending => "being removed",
    }
}

/// Connections with the password of a slot.
fn connected(load: Option<&Load>, slot: Slot) -> Cell {
    Cell::count(load.map(|load| load.connections(slot)))
}

/// Who asked, and where from.
fn by(held: Option<&HeldBy>) -> String {
    held.map_or_else(String::new, |claim| format!("{} from {}", claim.holder, from(held)))
}

fn from(held: Option<&HeldBy>) -> String {
    match held {
        Some(HeldBy { from: Some(address), .. }) => address.to_string(),
        Some(HeldBy { from: None, .. }) => "this host".to_owned(),
        None => String::new(),
    }
}

pub async fn list(app: App, session: Session) -> Result<Response> {
    let loads = app.monitor.loads();
    let load = |name: &NamespaceName| loads.as_ref().map(|loads| loads.namespace(name));
    let is_complete = NAMESPACES.needs_all(&session, LATE);
    let rows = if is_complete {
        app.namespaces.summaries_with_last_claims().await?
    } else {
        app.namespaces.summaries().await?
    };
    let rows = rows.into_iter().map(|each| (load(&each.namespace), each)).map(|(load, each)| (each, load));
    let mut picked = NAMESPACES.pick(&session, rows.collect(), LATE).await?;
    if !is_complete {
        app.namespaces.note_last_claims(picked.lacking().iter_mut().map(|(each, _)| each))?;
    }
    match picked.show(&session).await? {
        TableAnswer::Export(file) => Ok(file),
        TableAnswer::View(table) => {
            let equivalents = Equivalents::of(&session, "GET", "/namespaces", None, &["namespace", "list"]);
            Ok(page(&List {
                frame: Frame::of(&app, &session, "Namespaces").await,
                may_claim: session.may(scopes::PULSE_NAMESPACE.for_all()),
                example: format!("{}test", app.namespaces.prefix()),
                table,
                equivalents,
            }))
        }
    }
}

pub async fn show(app: App, session: Session) -> Result<Response> {
    let name = parse_name(&session)?;
    let detail = app.namespaces.detail(&name)?;
    let leases = app.namespaces.leases_of(&name)?;
    // What the store knows is shown even while the broker is away.
    let holders = app.namespaces.holders(&name).await.ok();
    let more_connections = holders.as_ref().map_or(0, |all| all.len().saturating_sub(CONNECTIONS_MAX));
    let objects: Vec<String> =
        detail.accounts.iter().map(|each| each.account.to_string()).chain([name.to_string()]).collect();
    let time = |at: Timestamp| TimeTag { at, now: session.now };
    let equivalents =
        Equivalents::of(&session, "GET", &format!("/namespaces/{name}"), None, &["namespace", "show", name.as_str()]);
    Ok(page(&Page {
        frame: Frame::of(&app, &session, name.to_string()).await,
        state: phase_state(detail.phase),
        contact: detail.contact.clone().map(Untrusted::of),
        owners: detail.owners.iter().map(ToString::to_string).collect(),
        note_lines: Untrusted::lines(&detail.note),
        note: detail.note.clone(),
        session: detail.session.as_ref().map(ToString::to_string),
        note_len_max: NOTE_LEN_MAX,
        later: detail.times.expires.plus(LATER).to_string(),
        created: time(detail.times.created),
        expires: time(detail.times.expires),
        next_rotation: time(detail.next_rotation),
        last_connected: detail.last_connected.map(time),
        slots: slots(&session, &detail, &leases),
        connections: holders
            .map(|all| all.into_iter().take(CONNECTIONS_MAX).map(|each| connection(&session, &detail, each)).collect()),
        more_connections,
        resources: Resources::of(&app, &session, &name).await?,
        timeline: timeline::about(&app, &session, objects).await?,
        may: may(&session, &name),
        equivalents,
        name: name.to_string(),
    }))
}

fn may(session: &Session, name: &NamespaceName) -> May {
    May {
        rotate: session.may(scopes::NAMESPACE_ROTATE.on(name)),
        expire: session.may(scopes::NAMESPACE_EXPIRE.on(name)),
        revoke: session.may(scopes::LEASE_REVOKE),
        hand_over: session.may(scopes::PULSE_NAMESPACE.on(name)),
        own: session.may(scopes::NAMESPACE_OWNERS.on(name)),
        extend: session.may(scopes::NAMESPACE_EXTEND.on(name)),
        note: session.may(scopes::NAMESPACE_NOTE.on(name)),
    }
}

/// The namespace that a route names.
fn parse_name(session: &Session) -> Result<NamespaceName> {
    NamespaceName::parse(session.param("namespace")).map_err(|_| Error::not_found("No namespace can have this name."))
}

fn slots(session: &Session, detail: &Detail, leases: &[NamespaceLease]) -> Vec<SlotRow> {
    let rows = detail.accounts.iter().enumerate().map(|(index, standing)| {
        let is_active = index + 1 == usize::from(u8::from(detail.active));
        let until = if is_active { detail.promised_until } else { detail.resting_until };
        let lease = leases.iter().find(|lease| lease.account == standing.account);
        let (tone, word) = match (is_active, lease.is_some()) {
            (true, _) => (Tone::Well, "lent now"),
            (false, true) => (Tone::Quiet, "replaced, works on"),
            (false, false) => (Tone::Quiet, "rests"),
        };
        let behind: Vec<_> =
            standing.sites.iter().filter(|(_, settled)| !**settled).map(|(site, _)| site.as_str()).collect();
        let (settled, how) = match (standing.settled, behind.as_slice()) {
            (true, _) => (Tone::Well, "as wished".to_owned()),
            (false, []) => (Tone::Warning, "not yet as wished".to_owned()),
            (false, behind) => (Tone::Warning, format!("not yet as wished at {}", behind.join(", "))),
        };
        let holders = lease.and_then(|lease| lease.holders.clone()).unwrap_or_default();
        SlotRow {
            account: standing.account.to_string(),
            slot: index + 1,
            use_: State { tone, word: word.into() },
            at_the_broker: State { tone: settled, word: how.into() },
            promised: lease.filter(|_| until > Timestamp::MIN).map(|_| TimeTag { at: until, now: session.now }),
            holders: holders
                .into_iter()
                .map(|held| {
                    let place = from(Some(&held));
                    (Untrusted::of(held.holder), Untrusted::of(place), TimeTag { at: held.last, now: session.now })
                })
                .collect(),
        }
    });
    rows.collect()
}

fn connection(session: &Session, detail: &Detail, holder: Holder) -> Connection {
    Connection {
        is_old: holder.slot != detail.active,
        account: holder.account.to_string(),
        peer: Untrusted::of(holder.peer_host.unwrap_or_default()),
        client: Untrusted::of(holder.client_name.unwrap_or_default()),
        since: holder.connected_at.map(|at| TimeTag { at, now: session.now }),
        close: session
            .may(scopes::CONNECTION_CLOSE.on(&holder.connection))
            .then(|| format!("{}/connections/{}/close", session.root, url_encoded(&holder.connection))),
    }
}
