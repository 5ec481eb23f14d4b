//! Our own API: people who use the console, and their sessions. A password that was made here is shown once.

use axum::routing::MethodFilter;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;
use serde_json::Value;

use super::clients::{Done, done, endpoint};
use super::{Call, Endpoint, Params, Reply, Routes, nothing};
use crate::base::{Error, OperatorName, Result, Secret, Timestamp};
use crate::domain::auth::scopes;
use crate::domain::operators::{OperatorView, Role, SessionView};
use crate::web::state::App;

static LIST: Endpoint = endpoint(
    "listOperators",
    MethodFilter::GET,
    "/operators",
    scopes::OPERATOR_LIST,
    "Lists people who may use the console.",
)
.answers::<List>();
static CREATE: Endpoint = Endpoint {
    hides_input: true,
    ..endpoint(
        "createOperator",
        MethodFilter::PUT,
        "/operators/<operator>",
        scopes::OPERATOR_CREATE,
        "Makes an operator, and shows the password that was made this once.",
    )
    .takes_as(create_schema)
    .answers::<Made<'_>>()
};
static RESET: Endpoint = Endpoint {
    hides_input: true,
    ..endpoint(
        "resetOperator",
        MethodFilter::POST,
        "/operators/<operator>/reset",
        scopes::OPERATOR_RESET,
        "Gives an operator another password, and shows one that was made this once.",
    )
    .takes_as(reset_schema)
    .answers::<Made<'_>>()
};
static ROLE: Endpoint = endpoint(
    "setOperatorRole",
    MethodFilter::PUT,
    "/operators/<operator>/role",
    scopes::OPERATOR_ROLE,
    "Gives an operator another role.",
)
.takes_as(role_schema)
.answers::<Done>();
static DISABLE: Endpoint = endpoint(
    "disableOperator",
    MethodFilter::POST,
    "/operators/<operator>/disable",
    scopes::OPERATOR_DISABLE,
    "Refuses an operator until they are enabled again.",
)
.answers::<Done>();
static ENABLE: Endpoint = endpoint(
    "enableOperator",
    MethodFilter::POST,
    "/operators/<operator>/enable",
    scopes::OPERATOR_DISABLE,
    "Lets an operator in again who was disabled.",
)
.answers::<Done>();
static DELETE: Endpoint = endpoint(
    "deleteOperator",
    MethodFilter::DELETE,
    "/operators/<operator>",
    scopes::OPERATOR_DELETE,
    "Deletes an operator, and ends their sessions.",
)
.answers::<Done>();
static SESSIONS: Endpoint =
    endpoint("listSessions", MethodFilter::GET, "/sessions", scopes::SESSION_LIST, "Lists sessions of the console.")
        .answers::<Sessions>();
static REVOKE: Endpoint = endpoint(
    "revokeSession",
    MethodFilter::DELETE,
    "/sessions/<session>",
    scopes::SESSION_REVOKE,
    "Ends a session of the console.",
)
.answers::<Done>();

pub(super) fn routes() -> Routes {
    Routes::default()
        .serve(&LIST, nothing, list)
        .serve(&CREATE, name, create)
        .serve(&DELETE, name, delete)
        .serve(&RESET, name, reset)
        .serve(&ROLE, name, set_role)
        .serve(&DISABLE, name, disable)
        .serve(&ENABLE, name, enable)
        .serve(&SESSIONS, nothing, sessions)
        .serve(&REVOKE, session, revoke)
}

fn name(_: &App, params: &Params) -> Result<OperatorName> {
    OperatorName::parse(params.get("operator").map_or("", String::as_str))
}

#[expect(clippy::unnecessary_wraps, reason = "one shape for all readers of arguments")]
fn session(_: &App, params: &Params) -> Result<String> {
    Ok(params.get("session").cloned().unwrap_or_default())
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

/// A text of the input. By hand, because what serde says of a wrong document repeats parts of it.
fn text(input: &Value, member: &str) -> Result<Option<String>> {
    match input.get(member) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(wrong(format!("{member} is not a text"))),
    }
}

fn only(input: &Value, members: &[&str]) -> Result<()> {
    let surplus = input.as_object().and_then(|input| input.keys().find(|name| !members.contains(&name.as_str())));
    match (input.is_object(), surplus) {
        (true, None) => Ok(()),
        _ => Err(wrong(format!("expected an object with {}", members.join(", ")))),
    }
}

fn create_schema(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "properties": { "role": Role::json_schema(generator), "password": password_schema() },
        "required": ["role"],
        "additionalProperties": false,
    })
}

fn reset_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "properties": { "password": password_schema() },
        "additionalProperties": false,
    })
}

fn role_schema(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "properties": { "role": Role::json_schema(generator) },
        "required": ["role"],
        "additionalProperties": false,
    })
}

fn password_schema() -> Schema {
    json_schema!({ "type": ["string", "null"], "writeOnly": true, "description": "One is made when there is none." })
}

fn wrong(message: String) -> Error {
    Error::invalid(message).with_code("InputValidationError")
}

/// An operator, with the password that was made for them.
#[derive(Serialize, JsonSchema)]
struct Made<'a> {
    operator: &'a OperatorName,
    role: Role,
    #[serde(skip_serializing_if = "Option::is_none")]
    password: Option<&'a str>,
}

async fn create(app: App, call: Call, operator: OperatorName) -> Result<Reply> {
    only(&call.payload, &["role", "password"])?;
    let role: Role = text(&call.payload, "role")?.unwrap_or_default().parse()?;
    let given = text(&call.payload, "password")?.map(Secret::new);
    let password = given.clone().unwrap_or_else(Secret::generate);
    app.operators.create(&call.caller, operator.clone(), role, Some(password.clone())).await?;
    let made = given.is_none().then(|| password.expose());
    Reply::json(&Made { operator: &operator, role, password: made })
}

async fn reset(app: App, call: Call, operator: OperatorName) -> Result<Reply> {
    only(&call.payload, &["password"])?;
    let given = text(&call.payload, "password")?.map(Secret::new);
    let password = given.clone().unwrap_or_else(Secret::generate);
    app.operators.reset(&call.caller, operator.clone(), password.clone()).await?;
    let role = app.operators.operator(&operator)?.role;
    let made = given.is_none().then(|| password.expose());
    Reply::json(&Made { operator: &operator, role, password: made })
}

async fn set_role(app: App, call: Call, operator: OperatorName) -> Result<Reply> {
    only(&call.payload, &["role"])?;
    let role: Role = text(&call.payload, "role")?.unwrap_or_default().parse()?;
    app.operators.set_role(&call.caller, operator, role).await?;
    done()
}

async fn disable(app: App, call: Call, operator: OperatorName) -> Result<Reply> {
    app.operators.disable(&call.caller, operator, true).await?;
    done()
}

async fn enable(app: App, call: Call, operator: OperatorName) -> Result<Reply> {
    app.operators.disable(&call.caller, operator, false).await?;
    done()
}

async fn delete(app: App, call: Call, operator: OperatorName) -> Result<Reply> {
    app.operators.delete(&call.caller, operator).await?;
    done()
}

#[derive(Serialize, JsonSchema)]
struct Sessions {
    sessions: Vec<SessionView>,
}

async fn sessions(app: App, _: Call, (): ()) -> Result<Reply> {
    Reply::json(&Sessions { sessions: app.operators.sessions().await? })
}

async fn revoke(app: App, call: Call, session: String) -> Result<Reply> {
    app.operators.revoke_session(&call.caller, session).await?;
    done()
}
