//! Our own API: the files that are written for the programs of a relay.

use schemars::JsonSchema;
use serde::Serialize;

use super::{Call, Endpoint, Reply, Routes, endpoint, text};
use crate::base::{AccountName, Result, Secret, Timestamp};
use crate::domain::auth::scopes;
use crate::domain::relay::Rendered;
use crate::proto::relay_profile::Part;
use crate::web::metrics::Lend;
use crate::web::state::App;

static RENDER: Endpoint = endpoint(
    "renderRelayPart",
    "/relay/parts/<part>",
    scopes::RELAY_RENDER,
    "Writes a file of the relay's programs, with the login that it lends by that.",
)
.command("relay render <part>")
.answers::<Written>();

pub(super) fn routes() -> Routes {
    Routes::default().serve(&RENDER, text("part"), render)
}

/// A part as it is declared.
#[derive(Serialize, JsonSchema)]
pub(super) struct DeclaredPart {
    part: String,
    /// What it is, such as `mig-scheduler`.
    kind: &'static str,
    /// The month from which the program is that reads it.
    age: String,
    /// Whose login is in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<AccountName>,
    /// Where it belongs on its host.
    path: String,
    /// Its mode there, in octal digits.
    mode: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<String>,
}

impl From<&Part> for DeclaredPart {
    fn from(part: &Part) -> Self {
        Self {
            part: part.name.clone(),
            kind: part.kind.as_str(),
            age: part.age.to_string(),
            account: part.account.clone(),
            path: part.path.clone(),
            mode: format!("{:04o}", part.mode),
            owner: part.owner.clone(),
            group: part.group.clone(),
        }
    }
}

#[derive(Serialize, JsonSchema)]
struct Written {
    #[serde(flatten)]
    part: DeclaredPart,
    /// Its files: one, or those of a directory.
    files: Vec<WrittenFile>,
    /// When to ask again; never by itself where no login is in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<Timestamp>,
}

#[derive(Serialize, JsonSchema)]
struct WrittenFile {
    /// Where it belongs on its host.
    path: String,
    text: String,
}

async fn render(app: App, call: Call, part: String) -> Result<Reply> {
    let rendered = app.relay.render(&call.caller, &part).await;
    let Rendered { part, files, expires } = app.meters.lent(Lend::RelayAccount, rendered)?.into_inner();
    let file = |(path, text): (String, Secret)| WrittenFile { path, text: text.expose().to_owned() };
    let files = files.into_iter().map(file).collect();
    Reply::json(&Written { part: DeclaredPart::from(&part), files, expires })
}
