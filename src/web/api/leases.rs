//! Our own API: everything that is lent now, taking it back, and making hand-over links.

use std::net::IpAddr;
use std::time::Duration;

use axum::routing::MethodFilter;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::clients::{endpoint, read_input};
use super::{Call, Endpoint, Params, QueryParameter, Reply, Routes, detached, nothing};
use crate::base::{Error, NamespaceName, Reason, Result, Timestamp};
use crate::domain::auth::scopes;
use crate::domain::leases::{Filter, Lease, LeaseKind, Place, Planned, Revocation, Revoked};
use crate::domain::namespaces::Claim;
use crate::domain::wraps::LASTS;
use crate::proto::formats;
use crate::web::state::App;

/// Leases in one answer. A filter finds the others.
const LEASES_MAX: usize = 10_000;

static LIST: Endpoint = Endpoint {
    query: &[
        QueryParameter {
            name: "kind",
            pattern: "/^(namespace|host|client|wrap)$/",
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
    ..endpoint("listLeases", MethodFilter::GET, "/leases", scopes::LEASE_LIST, "Lists everything that is lent now.")
        .answers::<List>()
};
static REVOKE: Endpoint = endpoint(
    "revokeLeases",
    MethodFilter::POST,
    "/leases/revoke",
    scopes::LEASE_REVOKE,
    "Takes back what is lent. Only with `dryRun: false` something is done.",
)
.takes::<Wanted>()
.answers::<Outcome>();
/// Whoever may claim may hand on what a claim would give.
static WRAP: Endpoint = endpoint(
    "wrapNamespace",
    MethodFilter::POST,
    "/wraps/<namespace>",
    scopes::PULSE_NAMESPACE,
    "Makes a link that hands out a namespace's credentials once.",
)
.takes::<Link>()
.answers::<Made>();

pub(super) fn routes() -> Routes {
    Routes::default().serve(&LIST, nothing, list).serve(&REVOKE, nothing, revoke).serve(&WRAP, namespace, wrap)
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
struct Wanted {
    kind: Option<String>,
    name: Option<String>,
    prefix: Option<String>,
    holder: Option<String>,
    host: Option<String>,
    since: Option<String>,
    unused_seconds: Option<u64>,
    #[serde(default)]
    all: bool,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    release: bool,
    #[serde(default)]
    block: bool,
    /// Only with `false` something is done.
    #[serde(default = "yes")]
    dry_run: bool,
}

fn yes() -> bool {
    true
}

impl Wanted {
    fn revocation(self) -> Result<Revocation> {
        let wrong = |what: &str| Error::invalid(format!("{what} is not one")).with_code("InputValidationError");
        let kind = self.kind.map(|kind| LeaseKind::parse(&kind).ok_or_else(|| wrong("kind"))).transpose()?;
        let since = self.since.map(|since| formats::date_time(&since).map_err(|_| wrong("since"))).transpose()?;
        let filter = Filter {
            kind,
            name: self.name,
            prefix: self.prefix,
            holder: self.holder,
            host: self.host.map(|host| host.parse()).transpose()?,
            since,
            unused: self.unused_seconds.map(Duration::from_secs),
        };
        Ok(Revocation { filter, all: self.all, release: self.release, block: self.block })
    }
}

/// What would be done, or what was.
#[derive(Serialize, JsonSchema)]
#[serde(untagged)]
enum Outcome {
    Planned(Plan),
    Revoked(Done),
}

#[derive(Serialize, JsonSchema)]
struct Plan {
    planned: Vec<Step>,
}

#[derive(Serialize, JsonSchema)]
struct Step {
    kind: &'static str,
    name: String,
    what: String,
}

impl From<Planned> for Step {
    fn from(planned: Planned) -> Self {
        Self { kind: planned.target.kind().as_str(), name: planned.target.name(), what: planned.what }
    }
}

#[derive(Serialize, JsonSchema)]
struct Done {
    revoked: Vec<Ended>,
    failed: usize,
}

#[derive(Serialize, JsonSchema)]
struct Ended {
    kind: &'static str,
    name: String,
    outcome: &'static str,
    remark: String,
}

impl From<Revoked> for Ended {
    fn from(revoked: Revoked) -> Self {
        let (kind, name) = (revoked.target.kind().as_str(), revoked.target.name());
        match revoked.outcome {
            Ok(remark) => Self { kind, name, outcome: "done", remark },
            Err(error) => Self { kind, name, outcome: "failed", remark: error.message().to_owned() },
        }
    }
}

async fn revoke(app: App, call: Call, (): ()) -> Result<Reply> {
    let wanted: Wanted = read_input(&call.payload)?;
    let (dry_run, reason) = (wanted.dry_run, Reason::parse(&wanted.reason));
    let revocation = wanted.revocation()?;
    if dry_run {
        let planned = app.leases.plan(&revocation).await?.into_iter().map(Step::from).collect();
        return Reply::json(&Outcome::Planned(Plan { planned }));
    }
    let (leases, caller) = (app.leases.clone(), call.caller.because(reason?));
    let revoked = detached(&app.tasks, async move { leases.revoke(&caller, &revocation).await }).await?;
    let failed = revoked.iter().filter(|each| each.outcome.is_err()).count();
    if failed > 0 {
        // What the store wishes and the broker does not have yet need not wait.
        app.loops.nudge("reconcile");
    }
    let revoked = revoked.into_iter().map(Ended::from).collect();
    Reply::json(&Outcome::Revoked(Done { revoked, failed }))
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Link {
    /// How long it can be opened.
    lasts_seconds: Option<u64>,
    expires: Option<String>,
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
    let wrong = |what: &str| Error::invalid(format!("{what} is not one")).with_code("InputValidationError");
    let expires = expires.map(|text| formats::date_time(&text).map_err(|_| wrong("expires"))).transpose()?;
    if contact.as_ref().is_some_and(|contact| !formats::email(contact)) {
        return Err(wrong("contact"));
    }
    let lasts = lasts_seconds.map_or(LASTS, Duration::from_secs);
    let made = app.wraps.wrap(&call.caller, namespace, Claim { expires, contact }, lasts).await?.into_inner();
    let path = format!("/wraps/{}", made.token.expose());
    let url = app.public_url.as_ref().map(|url| format!("{}{path}", url.as_str().trim_end_matches('/')));
    Reply::json(&Made { id: made.id.to_string(), url, path, until: made.until })
}
