//! Our own API: archives of queues, and the messages in them.

use schemars::JsonSchema;
use serde::Serialize;

use super::{Call, Endpoint, Lines, Params, QueryParameter, Reply, Routes, endpoint, nothing};
use crate::base::{ArchiveName, Result};
use crate::domain::actions::archives::{DELETE, REPLAY, TAKE, Told};
use crate::domain::archives::{Archived, Body};
use crate::domain::auth::scopes;
use crate::web::state::App;

/// Messages of a page unless the call says otherwise; each shows at most some KiB of its body.
const PAGE_LEN: usize = 100;
/// Messages of a page at most.
const PAGE_LEN_MAX: usize = 1000;

static LIST: Endpoint =
    endpoint("listArchives", "/archives", scopes::ARCHIVE_LIST, "Lists the archives of queues, the newest first.")
        .command("queue archive list")
        .answers::<List>();
static SHOW: Endpoint =
    endpoint("archive", "/archives/<archive>", scopes::ARCHIVE_LIST, "Shows what is known of an archive.")
        .command("queue archive show <archive>")
        .answers::<Told>();
static MESSAGES: Endpoint = Endpoint {
    query: &[
        QueryParameter { name: "from", pattern: "/^[0-9]+$/", matches: |number| number.parse::<u64>().is_ok() },
        QueryParameter { name: "limit", pattern: "/^[0-9]+$/, from 1 to 1000", matches: |text| limit(text).is_some() },
    ],
    ..endpoint(
        "archiveMessages",
        "/archives/<archive>/messages",
        scopes::ARCHIVE_READ,
        "Shows messages of an archive with the beginnings of their bodies, a page at a time.",
    )
    .command("queue archive show <archive>")
    .answers::<Page>()
};
static EXPORT: Endpoint = Endpoint {
    is_lines: true,
    ..endpoint(
        "exportArchive",
        "/archives/<archive>/export",
        scopes::ARCHIVE_EXPORT,
        "Hands out all messages of an archive, a line of JSON for each.",
    )
    .command("queue archive export <archive>")
    .answers::<Message>()
};

pub(super) fn routes() -> Routes {
    Routes::default()
        .serve(&LIST, nothing, list)
        .serve(&SHOW, name, show)
        .serve(&MESSAGES, name, messages)
        .serve(&EXPORT, name, export)
        .act(&TAKE)
        .act(&REPLAY)
        .act(&DELETE)
}

fn name(_: &App, params: &Params) -> Result<ArchiveName> {
    ArchiveName::parse(params.get("archive").map(String::as_str).unwrap_or_default())
}

fn limit(text: &str) -> Option<usize> {
    text.parse().ok().filter(|limit| (1..=PAGE_LEN_MAX).contains(limit))
}

#[derive(Serialize, JsonSchema)]
struct List {
    archives: Vec<Told>,
}

async fn list(app: App, _: Call, (): ()) -> Result<Reply> {
    Reply::json(&List { archives: app.archives.list().await?.into_iter().map(Told::from).collect() })
}

async fn show(app: App, _: Call, name: ArchiveName) -> Result<Reply> {
    Reply::json(&Told::from(app.archives.show(&name).await?))
}

/// A message; of its body there is the one or the other.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Message {
    /// Its number in the archive, from zero.
    number: u64,
    exchange: String,
    routing_key: String,
    redelivered: bool,
    /// Where it lay in its stream.
    #[serde(skip_serializing_if = "Option::is_none")]
    offset: Option<u64>,
    properties: serde_json::Value,
    /// Bytes of its body.
    bytes: u64,
    /// Where it is UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    /// Where it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    body_base64: Option<String>,
}

impl From<Archived> for Message {
    fn from(archived: Archived) -> Self {
        let Archived { number, exchange, routing_key, redelivered, offset, properties, bytes, body } = archived;
        let (body, body_base64) = match body {
            Body::Body(text) => (Some(text), None),
            Body::BodyBase64(text) => (None, Some(text)),
        };
        Self { number, exchange, routing_key, redelivered, offset, properties, bytes, body, body_base64 }
    }
}

#[derive(Serialize, JsonSchema)]
struct Page {
    messages: Vec<Message>,
    /// Number of the next page's first message.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<u64>,
}

async fn messages(app: App, call: Call, name: ArchiveName) -> Result<Reply> {
    let from = call.query("from").and_then(|number| number.parse().ok()).unwrap_or(0);
    let limit = call.query("limit").and_then(limit).unwrap_or(PAGE_LEN);
    let messages = app.archives.messages(&call.caller, &name, from, limit).await?.into_inner();
    let end = messages.last().map(|last| last.number + 1);
    let next = end.filter(|_| messages.len() == limit);
    Reply::json(&Page { messages: messages.into_iter().map(Message::from).collect(), next })
}

async fn export(app: App, call: Call, name: ArchiveName) -> Result<Lines> {
    Ok(Lines::of(app.archives.export(&call.caller, &name).await?.into_inner()))
}
