//! What stands around every page: where one can go, who is signed in, and a bar when something is unwell.

use askama::Template;
use axum::response::{IntoResponse, Response};

use super::address::{ENTRY, address};
use super::session::{self, Session};
use super::text::{TimeTag, Untrusted};
use super::theme::Theme;
use crate::base::audit::Outcome;
use crate::base::{Error, Kind, Result};
use crate::domain::auth::scopes::{self, RequiredScope};
use crate::store::Entry;
use crate::web::error::{report, retry_after_seconds, status};
use crate::web::layers::Origin;
use crate::web::page::render;
use crate::web::state::App;

/// The name of a page, its path, and the scope without which it is not shown; everybody is shown what needs none.
type Listed = (&'static str, &'static str, Option<RequiredScope>);

/// Where one can go: by group, the name of the page, its path, and the scope without which it is not shown.
const PLACES: &[(&str, &[Listed])] = &[
    ("", &[("Overview", "/", Some(scopes::DOCTOR_READ))]),
    (
        "Message bus",
        &[
            ("Namespaces", "/namespaces", Some(scopes::NAMESPACE_LIST)),
            ("Queues", "/queues", Some(scopes::QUEUE_LIST)),
            ("Queue rules", "/queue-rules", Some(scopes::QUEUE_RULES)),
            ("Archives", "/archives", Some(scopes::ARCHIVE_LIST)),
            ("Exchanges", "/exchanges", Some(scopes::EXCHANGE_LIST)),
            ("Connections", "/connections", Some(scopes::CONNECTION_LIST)),
            ("Broker", "/broker", Some(scopes::BROKER_READ)),
            ("Relay", "/relay", Some(scopes::RELAY_READ)),
            ("Agents", "/agents", Some(scopes::AGENT_READ)),
        ],
    ),
    (
        "Machines",
        &[
            ("Task proxy", "/proxy", Some(scopes::PROXY_READ)),
            ("Services", "/services", Some(scopes::SERVICES_READ)),
            ("Hosts", "/hosts", Some(scopes::HOST_LIST)),
            ("Leases", "/leases", Some(scopes::LEASE_LIST)),
        ],
    ),
    (
        "Trust",
        &[
            ("Audit log", "/audit", Some(scopes::AUDIT_READ)),
            ("Who had what", "/held", Some(scopes::AUDIT_READ)),
            ("Access", "/access", Some(scopes::OPERATOR_LIST)),
        ],
    ),
    (
        "Appliance",
        &[
            ("Loops", "/loops", Some(scopes::LOOP_LIST)),
            ("Notices", "/notices", Some(scopes::NOTICE_LIST)),
            ("Backups", "/backups", Some(scopes::BACKUP_LIST)),
            ("Settings", "/settings", Some(scopes::SETTING_LIST)),
            ("API", "/api", None),
        ],
    ),
];

/// What every page has around it.
pub struct Frame {
    /// What stands before every path of ours.
    pub root: String,
    /// The name of the page.
    pub title: String,
    /// `auto`, `light` or `dark`.
    pub theme: &'static str,
    pub version: &'static str,
    /// Who is signed in; nobody on the way in.
    pub who: Option<Who>,
    pub alarms: Vec<String>,
    pub receipt: Option<Receipt>,
    /// The last entry of the audit log when the page was made: what comes later is news.
    pub entry: u64,
}

/// Who is signed in, and what is only for them.
pub struct Who {
    pub operator: String,
    pub role: &'static str,
    /// What every form brings along.
    pub form_token: String,
    /// This page, to come back to it.
    pub here: String,
    /// The same for paper, where no address stands above it: host and path.
    pub page: String,
    /// What the address asks for besides: filters, order, where a list begins.
    pub asked: Vec<(Untrusted<'static>, Untrusted<'static>)>,
    /// When the page was made.
    pub now: TimeTag,
    pub groups: Vec<Group>,
}

/// Some places that belong together.
pub struct Group {
    /// What they have in common; may be empty.
    pub name: &'static str,
    pub places: Vec<Place>,
}

/// A page one can go to.
pub struct Place {
    pub name: &'static str,
    pub path: &'static str,
    /// Whether it is this one, or this one is part of it.
    pub is_here: bool,
}

/// What was just done, by its audit entry.
pub struct Receipt {
    /// The number of the entry.
    pub seq: u64,
    /// What was done to what.
    pub text: Untrusted<'static>,
    pub is_done: bool,
    /// Whether the reader may look at the entry.
    pub may_read: bool,
}

impl Frame {
    /// The frame of a page.
    pub async fn of(app: &App, session: &Session, title: impl Into<String>) -> Self {
        Self {
            root: session.root.clone(),
            title: title.into(),
            theme: session.theme.name(),
            version: env!("CARGO_PKG_VERSION"),
            who: Some(who(session)),
            alarms: alarms(app, &session.origin).await,
            receipt: receipt(app, session).unwrap_or_default(),
            entry: app.store.read(|tx| tx.last_entry()).ok().flatten().unwrap_or(0),
        }
    }

    /// The frame of a page that answers a change itself, because it shows a secret once.
    pub async fn after(app: &App, session: &Session, title: impl Into<String>) -> Result<Self> {
        let receipt = match session.caller.receipt() {
            Some(seq) => receipt_of(app, session, seq)?,
            None => None,
        };
        Ok(Self { receipt, ..Self::of(app, session, title).await })
    }

    /// The frame of a page on the way in. It says nothing of how the appliance is.
    pub fn bare(app: &App, origin: &Origin, theme: Theme, title: impl Into<String>) -> Self {
        Self {
            root: session::root(app),
            title: title.into(),
            theme: theme.name(),
            version: env!("CARGO_PKG_VERSION"),
            who: None,
            alarms: in_the_open(origin).into_iter().collect(),
            receipt: None,
            entry: 0,
        }
    }
}

fn who(session: &Session) -> Who {
    let place = |(name, path, scope): &Listed| {
        let is_below = session.path.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        let is_here = is_below && (*path != "/" || session.path == "/");
        scope.is_none_or(|scope| session.may(scope)).then_some(Place { name, path, is_here })
    };
    let groups = PLACES.iter().map(|(name, places)| Group { name, places: places.iter().filter_map(place).collect() });
    let asked = session.queries().iter().filter(|(name, value)| name != ENTRY && !value.is_empty());
    Who {
        operator: session.operator.to_string(),
        role: session.role.name(),
        form_token: session.form_token().expose().to_owned(),
        here: address(session, &[(ENTRY, "")]),
        page: format!("{}{}{}", session.host, session.root, session.path),
        asked: asked.map(|(name, value)| (Untrusted::of(name.clone()), Untrusted::of(value.clone()))).collect(),
        now: TimeTag { at: session.now, now: session.now },
        groups: groups.filter(|group| !group.places.is_empty()).collect(),
    }
}

async fn alarms(app: &App, origin: &Origin) -> Vec<String> {
    let checks = app.health.glance().await.into_iter();
    let unwell = checks.filter_map(|check| check.state.err().map(|problem| format!("{}: {problem}", check.name)));
    unwell.chain(in_the_open(origin)).collect()
}

fn in_the_open(origin: &Origin) -> Option<String> {
    let text =
        "this connection is not encrypted: passwords and sessions can be read on the way. Set TLS_CERT and TLS_KEY";
    (!origin.peer.is_private).then(|| text.to_owned())
}

/// The entry that the address names, if it is of this operator: nobody is told by a link that they did something.
fn receipt(app: &App, session: &Session) -> Result<Option<Receipt>> {
    let Some(seq) = session.query(ENTRY).and_then(|text| text.parse::<u64>().ok()) else { return Ok(None) };
    receipt_of(app, session, seq)
}

fn receipt_of(app: &App, session: &Session, seq: u64) -> Result<Option<Receipt>> {
    let Some(bytes) = app.store.read(|tx| tx.entry(seq))? else { return Ok(None) };
    let Ok(entry) = serde_json::from_slice::<Entry<'_>>(&bytes) else { return Ok(None) };
    Ok((entry.actor == session.caller.actor()).then(|| Receipt {
        seq,
        text: Untrusted::of(format!("{} {}", entry.action, entry.object)),
        is_done: entry.outcome == Outcome::Done,
        may_read: session.may(scopes::AUDIT_READ),
    }))
}

#[derive(Template)]
#[template(path = "console/failure.html")]
struct Failure {
    frame: Frame,
    status: u16,
    message: String,
    /// Whether signing in would help.
    offers_sign_in: bool,
}

/// A page as an answer.
pub fn page(template: &impl Template) -> Response {
    render(template)
}

/// The page that says why there is no other. The log has the cause.
pub async fn failure(app: &App, session: Option<&Session>, origin: &Origin, error: &Error) -> Response {
    let status = status(error.kind());
    let title = match error.kind() {
        Kind::Invalid => "That cannot be",
        Kind::Unauthenticated => "Sign in first",
        Kind::Forbidden => "You may not",
        Kind::NotFound => "There is no such thing",
        Kind::Conflict => "Look again",
        Kind::Busy | Kind::Limited | Kind::Unavailable => "Try again later",
        Kind::Internal => "This is our fault",
    };
    let frame = match session {
        Some(session) => Frame::of(app, session, title).await,
        None => Frame::bare(app, origin, Theme::Auto, title),
    };
    let message = report(error, origin.target.path(), &origin.trace.id);
    let offers_sign_in = session.is_none();
    let mut response =
        (status, page(&Failure { frame, status: status.as_u16(), message, offers_sign_in })).into_response();
    if let Some(seconds) = retry_after_seconds(error) {
        response.headers_mut().insert(axum::http::header::RETRY_AFTER, seconds.into());
    }
    response
}
