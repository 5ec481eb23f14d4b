//! Our own API: the whitelist of agents.

use schemars::JsonSchema;
use serde::Serialize;

use super::{Call, Endpoint, QueryParameter, Reply, Routes, endpoint, nothing};
use crate::base::{Result, Timestamp};
use crate::domain::actions::agents::{ADMIT, REPLACE, STRIKE};
use crate::domain::auth::scopes;
use crate::domain::relay::WhitelistLine;
use crate::web::state::App;

static LIST: Endpoint =
    endpoint("whitelist", "/agents/whitelist", scopes::AGENT_READ, "Shows whom the scheduler of the fleet admits.")
        .command("agent whitelist show")
        .answers::<Listed>();
static CHECK: Endpoint = Endpoint {
    query: &[QueryParameter { name: "queueloc", pattern: "/^.+$/", matches: |text| !text.is_empty() }],
    ..endpoint(
        "checkWhitelist",
        "/agents/whitelist/check",
        scopes::AGENT_READ,
        "Says which line of the whitelist admits an agent, if one does.",
    )
    .command("agent whitelist check <queueloc>")
    .answers::<Checked>()
};

pub(super) fn routes() -> Routes {
    Routes::default().serve(&LIST, nothing, list).serve(&CHECK, nothing, check).act(&ADMIT).act(&STRIKE).act(&REPLACE)
}

#[derive(Serialize, JsonSchema)]
struct Listed {
    /// The file as the scheduler should have it.
    text: String,
    lines: Vec<Line>,
    /// What is right and yet may not be what was meant, each with the number of its line in `text`.
    warnings: Vec<String>,
}

#[derive(Serialize, JsonSchema)]
struct Line {
    line: String,
    /// Whether it is a pattern.
    pattern: bool,
    since: Timestamp,
    /// Who added it.
    by: String,
}

impl From<WhitelistLine> for Line {
    fn from(WhitelistLine { line, is_pattern, since, by }: WhitelistLine) -> Self {
        Self { line, pattern: is_pattern, since, by }
    }
}

#[derive(Serialize, JsonSchema)]
struct Checked {
    queueloc: String,
    admitted: bool,
    /// The line that admits it.
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<String>,
}

async fn list(app: App, _: Call, (): ()) -> Result<Reply> {
    let (whitelist, lines) = app.relay.whitelist().await?;
    let lines = lines.into_iter().map(Line::from).collect();
    let warnings = whitelist.warnings().iter().map(ToString::to_string).collect();
    Reply::json(&Listed { text: whitelist.to_file(), lines, warnings })
}

async fn check(app: App, call: Call, (): ()) -> Result<Reply> {
    let queueloc = call.query("queueloc").unwrap_or_default().to_owned();
    let (whitelist, _) = app.relay.whitelist().await?;
    let line = whitelist.admits(&queueloc).map(|line| line.text.clone());
    Reply::json(&Checked { admitted: line.is_some(), queueloc, line })
}
