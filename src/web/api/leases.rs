//! Our own API: everything that is lent now, taking it back, and making hand-over links.

use std::net::IpAddr;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::relay::account;
use super::{Call, Endpoint, Params, QueryParameter, Reply, Routes, endpoint, nothing, read_input};
use crate::base::{AccountName, Error, NamespaceName, Result, Timestamp};
use crate::domain::actions::leases::REVOKE;
use crate::domain::auth::scopes;
use crate::domain::leases::{Filter, Lease, LeaseKind, Place};
use crate::domain::namespaces::Claim;
use crate::domain::wraps::{self, LASTS};
use crate::proto::formats;
use crate::store::Lent;
use crate::web::state::App;

/// Leases in one answer. A filter finds the others.
const LEASES_MAX: usize = 10_000;

static LIST: Endpoint = Endpoint {
    query: &[
        QueryParameter {
            name: "kind",
            pattern: "/^(namespace|host|client|wrap|relay)$/",
            matches: |kind| LeaseKind::parse(kind).is_some(),
        },
        QueryParameter { name: "name", pattern: "/^.+$/", matches: |text| !text.is_empty() },
        QueryParameter { name: "prefix", pattern: "/^.+$/", matches: |text| !text.is_empty() },
        QueryParameter { name: "holder", pattern: "/^.+$/", matches: |text| !text.is_empty() },
        QueryParameter {
            name: "host",
            pattern: "an address or a DNS name",
            matches: |text| text.parse::<Place>().is_ok(),
        },
        QueryParameter::time("since"),
        QueryParameter { name: "unusedSeconds", pattern: "/^[0-9]+$/", matches: |text| text.parse::<u64>().is_ok() },
    ],
    ..endpoint("listLeases", "/leases", scopes::LEASE_LIST, "Lists everything that is lent now.")
        .command("lease list")
        .answers::<List>()
};
/// Whoever may claim may hand on what a claim would give.
static WRAP: Endpoint = endpoint(
    "wrapNamespace",
    "/wraps/<namespace>",
    scopes::PULSE_NAMESPACE,
    "Makes a link that hands out a namespace's credentials once.",
)
.posted()
.takes::<Link>()
.command("claim <namespace> --wrap")
.answers::<Made>();
static WRAP_ACCOUNT: Endpoint = endpoint(
    "wrapRelayAccount",
    "/relay/accounts/<account>/wrap",
    scopes::RELAY_LEND,
    "Makes a link that hands out the login of an account of the relay once.",
)
.posted()
.takes::<AccountLink>()
.command("claim --account <account> --wrap")
.answers::<Made>();

pub(super) fn routes() -> Routes {
    Routes::default().serve(&LIST, nothing, list).act(&REVOKE).serve(&WRAP, namespace, wrap).serve(
        &WRAP_ACCOUNT,
        account,
        wrap_account,
    )
}

fn namespace(app: &App, params: &Params) -> Result<NamespaceName> {
    app.namespaces.parse(params.get("namespace").map_or("", String::as_str))
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct LeaseBody {
    kind: &'static str,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    part: Option<String>,
    holder: Option<String>,
    from: Option<IpAddr>,
    since: Timestamp,
    last_lent: Timestamp,
    until: Timestamp,
    last_used: Option<Timestamp>,
    used_from: Vec<IpAddr>,
}

impl From<Lease> for LeaseBody {
    fn from(lease: Lease) -> Self {
        Self {
            kind: lease.target.kind().as_str(),
            name: lease.target.name(),
            part: lease.part,
            holder: lease.holder,
            from: lease.from,
            since: lease.since,
            last_lent: lease.last,
            until: lease.until,
            last_used: lease.last_used,
            used_from: lease.used_from.into_iter().map(|(address, _)| address).collect(),
        }
    }
}

#[derive(Serialize, JsonSchema)]
struct List {
    leases: Vec<LeaseBody>,
    /// How many fit. More than are shown: narrow the filter.
    count: usize,
}

async fn list(app: App, call: Call, (): ()) -> Result<Reply> {
    let text = |name| call.query(name).map(str::to_owned);
    let filter = Filter {
        kind: call.query("kind").and_then(LeaseKind::parse),
        name: text("name"),
        prefix: text("prefix"),
        holder: text("holder"),
        host: call.query("host").map(str::parse).transpose()?,
        since: call.time("since"),
        unused: call.query("unusedSeconds").and_then(|text| text.parse().ok()).map(Duration::from_secs),
    };
    let found = app.leases.list(&filter).await?;
    Reply::json(&List { count: found.len(), leases: found.into_iter().take(LEASES_MAX).map(LeaseBody::from).collect() })
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Link {
    /// How long it can be opened.
    lasts_seconds: Option<u64>,
    expires: Option<String>,
    contact: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct AccountLink {
    /// How long it can be opened.
    lasts_seconds: Option<u64>,
    /// Who hears of a second opening.
    contact: Option<String>,
}

#[derive(Serialize, JsonSchema)]
struct Made {
    id: String,
    /// The link, where the settings say what we are called.
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    /// The link below our own address.
    path: String,
    until: Timestamp,
}

async fn wrap(app: App, call: Call, namespace: NamespaceName) -> Result<Reply> {
    let Link { lasts_seconds, expires, contact } = read_input(&call.payload)?;
    let expires = expires.map(|text| formats::date_time(&text).map_err(|_| wrong("expires"))).transpose()?;
    require_mail_address(contact.as_deref())?;
    let lasts = lasts_seconds.map_or(LASTS, Duration::from_secs);
    let made = app.wraps.wrap(&call.caller, namespace, Claim { expires, contact, ..Claim::default() }, lasts).await?;
    link_to(&app, made)
}

fn wrong(what: &str) -> Error {
    Error::invalid(format!("{what} is not one")).with_code("InputValidationError")
}

fn require_mail_address(contact: Option<&str>) -> Result<()> {
    if contact.is_some_and(|contact| !formats::email(contact)) { Err(wrong("contact")) } else { Ok(()) }
}

async fn wrap_account(app: App, call: Call, account: AccountName) -> Result<Reply> {
    let AccountLink { lasts_seconds, contact } = read_input(&call.payload)?;
    require_mail_address(contact.as_deref())?;
    let lasts = lasts_seconds.map_or(LASTS, Duration::from_secs);
    let made = app.wraps.wrap_account(&call.caller, account, contact, lasts).await?;
    link_to(&app, made)
}

fn link_to(app: &App, made: Lent<wraps::Made>) -> Result<Reply> {
    let made = made.into_inner();
    let path = format!("/wraps/{}", made.token.expose());
    let url = app.public_url.as_ref().map(|url| format!("{}{path}", url.as_str().trim_end_matches('/')));
    Reply::json(&Made { id: made.id.to_string(), url, path, until: made.until })
}
