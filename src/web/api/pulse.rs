//! The pulse API: ping, list, get and claim namespaces (taskcluster.md 6.2; vector group `pulse_http`).

use std::sync::PoisonError;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;
use serde_json::Value;

use super::{Call, Endpoint, Params, QueryParameter, Reply, Routes, endpoint, nothing};
use crate::base::{Error, NamespaceName, Result, Timestamp};
use crate::domain::auth::scopes;
use crate::domain::namespaces::{Claim, Claimed, PAGE_LEN_MAX, Times};
use crate::proto::formats::{self, NotATime};
use crate::web::metrics::Lend;
use crate::web::state::App;

/// All methods, in the order of the reference document.
pub static ENDPOINTS: [&Endpoint; 4] = [&PING, &LIST, &GET, &CLAIM];

/// Whether it is up; both ancestors have it.
pub(super) static PING: Endpoint = Endpoint::public("ping", "/ping", "Says that the service is up.").answers::<Ping>();

static LIST: Endpoint = Endpoint {
    query: &[
        // The ancestor's pattern was not anchored, so that `a1` and `0` passed (taskcluster.md 5.6).
        QueryParameter { name: "limit", pattern: "/^[1-9][0-9]*$/", matches: is_limit },
        QueryParameter {
            name: "continuationToken",
            pattern: "/^[a-zA-Z0-9_.!*'()%-]*~[a-zA-Z0-9_.!*'()%-]*$/",
            matches: |token| read_token(token).is_some(),
        },
    ],
    ..Endpoint::public("listNamespaces", "/namespaces", "Lists namespaces, a page at a time.").answers::<List>()
};

static GET: Endpoint =
    Endpoint::public("namespace", "/namespace/<namespace>", "Says what everybody may know of a namespace.")
        .answers::<Listed>();

static CLAIM: Endpoint = endpoint(
    "claimNamespace",
    "/namespace/<namespace>",
    scopes::PULSE_NAMESPACE,
    "Lends the credentials of a namespace. What is left out of the request is reset to its default.",
)
.posted()
.takes_as(claim_schema)
.command("claim <namespace>")
.answers::<Lent<'_>>();

/// What stands after the `~` of a continuation token, as the ancestor's table had it.
const TOKEN_ROW: &str = "namespace";

/// The routes below a mount.
pub fn routes() -> Routes {
    Routes::default()
        .serve(&PING, nothing, ping)
        .options(&PING, "GET,HEAD")
        .serve(&LIST, nothing, list)
        .options(&LIST, "GET,HEAD")
        .serve(&GET, namespace, get)
        .serve(&CLAIM, namespace, claim)
        .options(&GET, "GET,HEAD,POST")
}

fn namespace(app: &App, params: &Params) -> Result<NamespaceName> {
    app.namespaces.parse(params.get("namespace").map_or("", String::as_str))
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Ping {
    alive: bool,
    uptime: f64,
}

pub(super) async fn ping(app: App, _: Call, (): ()) -> Result<Reply> {
    Reply::json(&Ping { alive: true, uptime: app.health.uptime().as_secs_f64() })
}

/// What everybody may know of a namespace. The contact is nobody's business.
#[derive(Serialize, JsonSchema)]
struct Listed {
    namespace: NamespaceName,
    created: Timestamp,
    expires: Timestamp,
}

impl From<(NamespaceName, Times)> for Listed {
    fn from((namespace, Times { created, expires }): (NamespaceName, Times)) -> Self {
        Self { namespace, created, expires }
    }
}

#[derive(Serialize, JsonSchema)]
struct List {
    namespaces: Vec<Listed>,
    #[serde(rename = "continuationToken", skip_serializing_if = "Option::is_none")]
    continuation_token: Option<String>,
}

async fn list(app: App, call: Call, (): ()) -> Result<Reply> {
    let is_plain = call.query("limit").is_none() && call.query("continuationToken").is_none();
    let version = app.namespaces.version();
    let cached = || app.first_page.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, reply)) = cached().as_ref().filter(|(of, _)| is_plain && *of == version) {
        return Ok(reply.clone());
    }
    // A limit beyond what a number holds is a large one; it is cut silently like all that are too large.
    let limit = call.query("limit").map_or(PAGE_LEN_MAX, |limit| limit.parse().unwrap_or(PAGE_LEN_MAX));
    let from = call.query("continuationToken").and_then(read_token);
    let page = app.namespaces.list(from, limit).await?;
    let reply = Reply::json(&List {
        namespaces: page.namespaces.into_iter().map(Listed::from).collect(),
        continuation_token: page.next.map(|next| format!("{next}~{TOKEN_ROW}")),
    })?;
    if is_plain {
        *cached() = Some((version, reply.clone()));
    }
    Ok(reply)
}

async fn get(app: App, _: Call, namespace: NamespaceName) -> Result<Reply> {
    let times = app.namespaces.times(&namespace)?;
    Reply::json(&Listed::from((namespace, times)))
}

/// A namespace that was lent.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Lent<'a> {
    namespace: &'a NamespaceName,
    created: Timestamp,
    expires: Timestamp,
    connection_string: &'a str,
    reclaim_at: Timestamp,
}

impl<'a> From<&'a Claimed> for Lent<'a> {
    fn from(claimed: &'a Claimed) -> Self {
        Self {
            namespace: &claimed.namespace,
            created: claimed.times.created,
            expires: claimed.times.expires,
            connection_string: claimed.connection_string.expose(),
            reclaim_at: claimed.reclaim_at,
        }
    }
}

async fn claim(app: App, call: Call, namespace: NamespaceName) -> Result<Reply> {
    let claim = read_claim(&call.payload)?;
    let lent = app.namespaces.claim(&call.caller, &namespace, claim).await;
    Reply::json(&Lent::from(&app.meters.lent(Lend::Namespace, lent)?.into_inner()))
}

fn claim_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "properties": {
            "expires": { "type": "string", "format": "date-time", "description": "When the namespace ends unless it is claimed again." },
            "contact": { "type": "string", "format": "email", "description": "Who hears of its queues." },
        },
        "additionalProperties": false,
    })
}

/// The input of a claim, with every violation of its schema named (vectors `pulse-body-05` to `-19`).
fn read_claim(payload: &Value) -> Result<Claim> {
    let mut problems = Vec::new();
    let mut claim = Claim::default();
    match payload {
        Value::Object(members) => {
            for (name, value) in members {
                match (name.as_str(), value) {
                    ("expires", Value::String(text)) => match formats::date_time(text) {
                        Ok(moment) => claim.expires = Some(moment),
                        Err(NotATime::NoSuchMoment) => problems.push(format!("data.expires is no moment: {text:?}")),
                        Err(NotATime::Malformed) => {
                            problems.push("data.expires should match format \"date-time\"".into())
                        }
                    },
                    ("contact", Value::String(text)) if formats::email(text) => claim.contact = Some(text.clone()),
                    ("contact", Value::String(_)) => {
                        problems.push("data.contact should match format \"email\"".into());
                    }
                    ("expires" | "contact", _) => problems.push(format!("data.{name} should be string")),
                    _ => problems.push(format!("data should NOT have additional properties: {name:?}")),
                }
            }
        }
        _ => problems.push("data should be object".into()),
    }
    if problems.is_empty() { Ok(claim) } else { Err(violation(&problems)) }
}

fn violation(problems: &[String]) -> Error {
    Error::invalid(format!(
        "\nSchema Validation Failed!\nRejecting Schema: /schemas/pulse/v1/namespace-request.json#\nErrors:\n  * {}",
        problems.join("\n  * ")
    ))
    .with_code("InputValidationError")
}

fn is_limit(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit()) && text.bytes().next().is_some_and(|first| first != b'0')
}

/// The name that the next page begins with. Clients treat a token as opaque.
fn read_token(token: &str) -> Option<NamespaceName> {
    let (name, row) = token.split_once('~')?;
    NamespaceName::parse(name).ok().filter(|_| row == TOKEN_ROW)
}
