//! Our own API: machines that asked, why they got what they got, and the rules of operators.

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::Serialize;

use super::{Call, Endpoint, Params, QueryParameter, Reply, Routes, endpoint, nothing};
use crate::base::{ClientId, Error, HostName, Result, Scope, Timestamp};
use crate::domain::actions::hosts as actions;
use crate::domain::auth::scopes;
use crate::domain::hosts::{Check, Explanation, Known, PAGE_LEN_MAX};
use crate::ports::dns::Answer;
use crate::web::state::App;

static LIST: Endpoint = Endpoint {
    query: &[QueryParameter { name: "after", pattern: "an address", matches: |text| text.parse::<IpAddr>().is_ok() }],
    ..endpoint("listHosts", "/hosts", scopes::HOST_LIST, "Lists machines that asked for credentials, a page at a time.")
        .command("host list")
        .answers::<List>()
};
static SHOW: Endpoint = endpoint(
    "host",
    "/hosts/<address>",
    scopes::HOST_LIST,
    "Shows a machine that asked, with the DNS answers that decided.",
)
.command("host show <address>")
.answers::<HostBody>();
static CHECK: Endpoint = endpoint(
    "checkHost",
    "/hosts/<address>/check",
    scopes::HOST_EXPLAIN,
    "Says what an address would get now, and why. It lends nothing.",
)
.command("host check <address>")
.answers::<Explained<'_>>();
static RULES: Endpoint = endpoint("listHostRules", "/host-rules", scopes::HOST_RULES, "Lists pins and blocks.")
    .command("host rules")
    .answers::<Rules>();
pub(super) fn routes() -> Routes {
    Routes::default()
        .serve(&LIST, nothing, list)
        .serve(&SHOW, address, show)
        .serve(&CHECK, address, check)
        .serve(&RULES, nothing, rules)
        .act(&actions::BLOCK)
        .act(&actions::UNBLOCK)
}

fn address(_: &App, params: &Params) -> Result<IpAddr> {
    let text = params.get("address").map_or("", String::as_str);
    let address = text.parse::<IpAddr>().map_err(|_| Error::invalid("expected an IP address"))?;
    Ok(address.to_canonical())
}

#[derive(Serialize, JsonSchema)]
struct List {
    hosts: Vec<Known>,
    /// What `after` says for the next page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<IpAddr>,
}

async fn list(app: App, call: Call, (): ()) -> Result<Reply> {
    let after = call.query("after").and_then(|text| text.parse().ok());
    let hosts = app.hosts.list(after, PAGE_LEN_MAX).await?;
    let next = hosts.last().filter(|_| hosts.len() == PAGE_LEN_MAX).map(|last| last.address);
    Reply::json(&List { hosts, next })
}

#[derive(Serialize, JsonSchema)]
struct HostBody {
    #[serde(flatten)]
    known: Known,
    answers: Vec<Answer>,
}

async fn show(app: App, _: Call, address: IpAddr) -> Result<Reply> {
    let known = app.hosts.find_known(address)?;
    let (known, answers) = known.ok_or_else(|| Error::not_found(format!("{address} has not asked for credentials")))?;
    Reply::json(&HostBody { known, answers })
}

async fn check(app: App, _: Call, address: IpAddr) -> Result<Reply> {
    explanation(&app.hosts.explain(address, true).await?)
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Explained<'a> {
    address: IpAddr,
    /// `verified`, or the code of the cause.
    verdict: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a HostName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<&'a ClientId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<&'a Scope>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    missing_settings: &'a [&'static str],
    /// What was looked at, in order; the first one that does not hold decides.
    checks: Vec<Checked>,
    answers: &'a [Answer],
}

#[derive(Serialize, JsonSchema)]
struct Checked {
    about: &'static str,
    /// Absent when nothing could be looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    holds: Option<bool>,
    #[serde(skip_serializing_if = "String::is_empty")]
    why: String,
}

impl From<&Check> for Checked {
    fn from(Check { about, outcome }: &Check) -> Self {
        let why = match outcome {
            Some(Ok(found)) => found.clone(),
            Some(Err(cause)) => cause.to_string(),
            None => String::new(),
        };
        Self { about, holds: outcome.as_ref().map(std::result::Result::is_ok), why }
    }
}

/// Why an address gets what it gets, for whoever may know.
pub(super) fn explanation(explanation: &Explanation) -> Result<Reply> {
    let Explanation { address, cause, name, identity, missing, checks, answers } = explanation;
    Reply::json(&Explained {
        address: *address,
        verdict: cause.as_ref().map_or("verified", |cause| cause.code()),
        why: cause.as_ref().map(ToString::to_string),
        name: name.as_ref(),
        client_id: identity.as_ref().map(|(client_id, _)| client_id),
        scope: identity.as_ref().map(|(_, scope)| scope),
        missing_settings: missing,
        checks: checks.iter().map(Checked::from).collect(),
        answers,
    })
}

#[derive(Serialize, JsonSchema)]
struct Rule {
    rule: String,
    since: Timestamp,
    by: String,
    remark: String,
}

#[derive(Serialize, JsonSchema)]
struct Rules {
    rules: Vec<Rule>,
}

async fn rules(app: App, _: Call, (): ()) -> Result<Reply> {
    let rules = app.hosts.rules().await?.into_iter();
    let rules = rules.map(|(rule, ruled)| {
        let (since, by, remark) = (ruled.since, ruled.by, ruled.remark);
        Rule { rule: rule.to_string(), since, by, remark }
    });
    Reply::json(&Rules { rules: rules.collect() })
}
