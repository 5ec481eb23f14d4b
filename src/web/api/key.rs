//! Our own API: the key that seals secrets at rest.

use axum::routing::MethodFilter;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;
use serde_json::Value;

use super::clients::endpoint;
use super::{Call, Endpoint, Reply, Routes, detached, nothing};
use crate::base::{Error, Result, Secret};
use crate::domain::auth::scopes;
use crate::domain::keys::Changed;
use crate::web::state::App;

static SHOW: Endpoint =
    endpoint("showKey", MethodFilter::GET, "/key", scopes::KEY_SHOW, "Shows which key seals secrets at rest.")
        .answers::<KeyBody>();
static ROTATE: Endpoint = Endpoint {
    hides_input: true,
    ..endpoint("rotateKey", MethodFilter::POST, "/key/rotate", scopes::KEY_ROTATE, "Seals all secrets under a new key.")
        .takes_as(passphrase_schema)
        .answers::<Rotated>()
};

pub(super) fn routes() -> Routes {
    Routes::default().serve(&SHOW, nothing, show).serve(&ROTATE, nothing, rotate)
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct KeyBody {
    key_id: String,
    is_changing: bool,
}

async fn show(app: App, _: Call, (): ()) -> Result<Reply> {
    let (key_id, is_changing) = app.keys.state();
    Reply::json(&KeyBody { key_id, is_changing })
}

fn passphrase_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "properties": { "passphrase": { "type": "string", "minLength": 1, "writeOnly": true } },
        "additionalProperties": false,
    })
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Rotated {
    former_key_id: String,
    key_id: String,
}

async fn rotate(app: App, call: Call, (): ()) -> Result<Reply> {
    // By hand: what serde says of a wrong document repeats parts of it, and this one may hold a passphrase.
    let passphrase = match call.payload.as_object() {
        Some(input) if input.is_empty() => None,
        Some(input) if input.len() == 1 => match input.get("passphrase") {
            Some(Value::String(passphrase)) if !passphrase.is_empty() => Some(Secret::new(passphrase.as_str())),
            _ => return Err(wrong()),
        },
        _ => return Err(wrong()),
    };
    let keys = app.keys.clone();
    let changed = detached(&app.tasks, async move { keys.rotate(&call.caller, passphrase).await }).await?;
    let Changed { former, current } = changed;
    Reply::json(&Rotated { former_key_id: former, key_id: current })
}

fn wrong() -> Error {
    Error::invalid("expected {} or {\"passphrase\": a text}").with_code("InputValidationError")
}
