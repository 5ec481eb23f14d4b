//! Our own API: people who use the console, and their sessions.

use schemars::JsonSchema;
use serde::Serialize;

use super::{Call, Endpoint, Reply, Routes, endpoint, nothing};
use crate::base::{OperatorName, Result, Timestamp};
use crate::domain::actions::operators as actions;
use crate::domain::auth::scopes;
use crate::domain::operators::{OperatorView, Role, SessionView};
use crate::web::state::App;

static LIST: Endpoint =
    endpoint("listOperators", "/operators", scopes::OPERATOR_LIST, "Lists people who may use the console.")
        .command("operator list")
        .answers::<List>();
static SESSIONS: Endpoint =
    endpoint("listSessions", "/sessions", scopes::SESSION_LIST, "Lists sessions of the console.")
        .command("operator sessions")
        .answers::<Sessions>();
pub(super) fn routes() -> Routes {
    Routes::default()
        .serve(&LIST, nothing, list)
        .act(&actions::CREATE)
        .act(&actions::DELETE)
        .act(&actions::RESET)
        .act(&actions::ROLE)
        .act(&actions::DISABLE)
        .act(&actions::ENABLE)
        .serve(&SESSIONS, nothing, sessions)
        .act(&actions::REVOKE_SESSION)
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Listed {
    operator: OperatorName,
    role: Role,
    disabled: bool,
    has_second_factor: bool,
    created: Timestamp,
    last_login: Option<Timestamp>,
}

impl From<OperatorView> for Listed {
    fn from(shown: OperatorView) -> Self {
        let OperatorView { name, role, has_second, disabled, created, last_login, .. } = shown;
        Self { operator: name, role, disabled, has_second_factor: has_second, created, last_login }
    }
}

#[derive(Serialize, JsonSchema)]
struct List {
    operators: Vec<Listed>,
}

async fn list(app: App, _: Call, (): ()) -> Result<Reply> {
    Reply::json(&List { operators: app.operators.list().await?.into_iter().map(Listed::from).collect() })
}

#[derive(Serialize, JsonSchema)]
struct Sessions {
    sessions: Vec<SessionView>,
}

async fn sessions(app: App, _: Call, (): ()) -> Result<Reply> {
    Reply::json(&Sessions { sessions: app.operators.sessions().await? })
}
