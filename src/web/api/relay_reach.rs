//! Our own API: what an account of the relay can reach.

use schemars::JsonSchema;
use serde::Serialize;

use super::relay::account;
use super::{Call, Endpoint, QueryParameter, Reply, Routes, endpoint};
use crate::base::{AccountName, Result, VhostName};
use crate::domain::auth::scopes;
use crate::domain::relay::{Asked, Reached, Reaches};
use crate::web::state::App;

const fn name(name: &'static str) -> QueryParameter {
    QueryParameter { name, pattern: "/^.*$/", matches: |_| true }
}

/// Names that there may be, and a routing key.
pub(super) const QUERY: &[QueryParameter] = &[name("queue"), name("exchange"), name("key")];

static REACH: Endpoint = Endpoint {
    query: QUERY,
    ..endpoint(
        "relayReach",
        "/relay/accounts/<account>/reach",
        scopes::RELAY_READ,
        "Says what an account of the relay may do with each queue and exchange of its vhosts, by the broker's own rules.",
    )
    .command("relay reach <account>")
    .answers::<Reach>()
};

pub(super) fn routes() -> Routes {
    Routes::default().serve(&REACH, account, reach)
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Reach {
    account: AccountName,
    /// Of each vhost the first 500 exchanges and the first 500 queues.
    names: Vec<Name>,
    /// How many more there are.
    left_out: usize,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Name {
    vhost: VhostName,
    /// `queue` or `exchange`.
    kind: &'static str,
    /// Empty for the default exchange.
    name: String,
    /// Whether it is there now.
    exists: bool,
    /// What the account may do, in words.
    may: Vec<&'static str>,
    /// What cannot be told.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unsure: Vec<Unsure>,
}

#[derive(Serialize, JsonSchema)]
struct Unsure {
    operation: &'static str,
    /// Why not, in words behind "because the pattern".
    because: &'static str,
}

impl From<Reached> for Name {
    fn from(reached: Reached) -> Self {
        let unsure = reached
            .doubtful
            .iter()
            .map(|(operation, doubt)| Unsure { operation: reached.words(*operation), because: doubt.words() });
        Self {
            kind: if reached.is_queue { "queue" } else { "exchange" },
            exists: reached.exists,
            unsure: unsure.collect(),
            may: reached.may.iter().map(|operation| reached.words(*operation)).collect(),
            vhost: reached.vhost,
            name: reached.name,
        }
    }
}

async fn reach(app: App, call: Call, account: AccountName) -> Result<Reply> {
    let text = |name| call.query(name).map(str::to_owned);
    let asked = Asked { queue: text("queue"), exchange: text("exchange"), key: text("key") };
    let Reaches { names, left_out } = app.relay.reach(&account, &asked).await?;
    Reply::json(&Reach { account, names: names.into_iter().map(Name::from).collect(), left_out })
}
