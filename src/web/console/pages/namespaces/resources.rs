//! What a namespace has at the broker: its queues and exchanges, and what its users may do.

use askama::Template;
use askama::filters::HtmlSafe;

use super::super::queues::state;
use crate::base::text::url_encoded;
use crate::base::{NamespaceName, Result};
use crate::web::console::kit::session::Session;
use crate::web::console::kit::text::{State, Untrusted};
use crate::web::state::App;

/// Queues, and exchanges, of one namespace that are shown. The lists of all have a filter for more.
const SHOWN_MAX: usize = 100;

#[derive(Template)]
#[template(path = "parts/resources.html")]
pub(super) struct Resources {
    root: String,
    namespace: String,
    queues: Vec<QueueRow>,
    more_queues: usize,
    /// None while the broker does not answer.
    exchanges: Option<Vec<(Untrusted<'static>, Untrusted<'static>)>>,
    more_exchanges: usize,
    /// What a permission is about, and its regular expression.
    permissions: [(&'static str, Untrusted<'static>); 3],
}

impl HtmlSafe for Resources {}

struct QueueRow {
    path: String,
    name: Untrusted<'static>,
    messages: u64,
    state: State,
}

impl Resources {
    /// The queues are as the monitor counted them last, the exchanges as the broker tells them now.
    pub(super) async fn of(app: &App, session: &Session, name: &NamespaceName) -> Result<Self> {
        let mut queues = app.monitor.seen_queues_of(name).await?;
        queues.sort_by(|one, other| other.messages.cmp(&one.messages).then_with(|| one.name.cmp(&other.name)));
        let row = |queue: crate::domain::monitor::SeenQueue| {
            let (tone, word) = state(queue.health);
            QueueRow {
                path: format!("{}/queues/{}", session.root, url_encoded(&queue.name)),
                name: Untrusted::of(queue.name),
                messages: queue.messages,
                state: State { tone, word: word.into() },
            }
        };
        let exchanges = app.exchanges.list().await.ok().map(|mut all| {
            all.retain(|exchange| exchange.namespace == *name);
            all
        });
        let kind = |kind: Option<String>| Untrusted::of(kind.unwrap_or_else(|| "not told".to_owned()));
        let access = app.namespaces.access(name);
        Ok(Self {
            root: session.root.clone(),
            namespace: name.to_string(),
            more_queues: queues.len().saturating_sub(SHOWN_MAX),
            queues: queues.into_iter().take(SHOWN_MAX).map(row).collect(),
            more_exchanges: exchanges.as_ref().map_or(0, |all| all.len().saturating_sub(SHOWN_MAX)),
            exchanges: exchanges.map(|all| {
                let shown = all.into_iter().take(SHOWN_MAX);
                shown.map(|each| (Untrusted::of(each.exchange.name), kind(each.exchange.kind))).collect()
            }),
            permissions: [
                ("Declare and delete", Untrusted::of(access.configure)),
                ("Publish and bind", Untrusted::of(access.write)),
                ("Consume and bind to", Untrusted::of(access.read)),
            ],
        })
    }
}
