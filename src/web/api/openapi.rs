//! The OpenAPI document: made from the list of endpoints that the router is made from, and from the types on the wire.

use std::sync::Arc;

use axum::Router;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::routing::get;
use serde_json::{Map, Value, json};
use url::Url;

use super::call::ErrorBody;
use super::reply::{LINES, Reply};
use super::{Endpoint, Routes, act, host_secrets, own, pulse, shapes};
use crate::web::page;
use crate::web::state::App;

pub const PATH: &str = "/api/openapi.json";

const DESCRIPTION: &str = "Keylender lends short-lived credentials: namespaces of a RabbitMQ to services, and temporary \
    Taskcluster credentials to machines. Arguments in paths are percent-encoded, also their slashes. `x-scopes` of a \
    method is what a caller needs, all of it; `x-curl` is the call as a command, and `x-command` does the same on the \
    host of the appliance. The methods of `pulse` and \
    `host_secrets` are also served under `/v1`, as their ancestors did.";

/// An API with the path that its routes are below.
struct Api {
    name: &'static str,
    mount: &'static str,
    description: &'static str,
    routes: fn() -> Routes,
}

const APIS: [Api; 3] = [
    Api {
        name: "keylender",
        mount: "/api/keylender/v1",
        description: "Everything that the console and the command line do.",
        routes: own,
    },
    Api {
        name: "pulse",
        mount: "/api/pulse/v1",
        description: "Namespaces, for services; as the pulse service had it.",
        routes: pulse::routes,
    },
    Api {
        name: "host_secrets",
        mount: "/api/host-secrets/v1",
        description: "Credentials, for machines; as host-secrets had it.",
        routes: host_secrets::routes,
    },
];

/// The routes of all APIs at their mounts.
pub fn mounted(router: Router<App>) -> Router<App> {
    APIS.iter().fold(router, |router, api| router.nest(api.mount, (api.routes)().into_router()))
}

/// Serves the document, which stays as it is while we run.
pub fn routes(public_url: Option<&Url>) -> Router<App> {
    let reply = Arc::new(Reply::json(&document(public_url)));
    Router::new().route(
        PATH,
        get(move |method: Method, headers: HeaderMap| {
            let answer = match &*reply {
                Ok(reply) => reply.clone().with_status(StatusCode::OK, &method, &headers),
                Err(error) => page::error(StatusCode::INTERNAL_SERVER_ERROR, error.message()),
            };
            std::future::ready(answer)
        }),
    )
}

/// The document (OpenAPI 3.1).
pub fn document(public_url: Option<&Url>) -> Value {
    let base = public_url.map_or("", |url| url.as_str().trim_end_matches('/'));
    let server = if base.is_empty() { "/" } else { base };
    let mut writer = Writer { base: if base.is_empty() { "$KEYLENDER" } else { base }, ..Writer::default() };
    for api in &APIS {
        for endpoint in (api.routes)().endpoints {
            writer.method(api, &endpoint);
        }
    }
    writer.health();
    writer.schemas.insert("Error".into(), shapes::written(shapes::of::<ErrorBody<'_>>).into());
    let mut tags: Vec<Value> =
        APIS.iter().map(|api| json!({ "name": api.name, "description": api.description })).collect();
    tags.push(json!({ "name": "health", "description": "For programs that watch." }));
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Keylender",
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "MPL-2.0", "identifier": "MPL-2.0" },
            "description": DESCRIPTION,
        },
        "servers": [{ "url": server }],
        "tags": tags,
        "paths": writer.paths,
        "components": {
            "securitySchemes": {
                "hawk": { "type": "http", "scheme": "hawk", "description": "A request signed with a client's token." },
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "<clientId>/<accessToken>",
                    "description": "For clients of the own store; refused over plain HTTP from other hosts.",
                },
                "certificate": { "type": "mutualTLS", "description": "A certificate that names a client." },
            },
            "responses": {
                "Error": { "description": "Why not, and what to do next.", "content": content(reference("Error")) },
            },
            "schemas": writer.schemas,
        },
    })
}

#[derive(Default)]
struct Writer<'a> {
    /// What the commands of examples begin an address with.
    base: &'a str,
    paths: Map<String, Value>,
    schemas: Map<String, Value>,
}

impl Writer<'_> {
    fn method(&mut self, api: &Api, endpoint: &Endpoint) {
        let id = format!("{}_{}", api.name, endpoint.name);
        let path = format!("{}{}", api.mount, endpoint.path());
        let answer = self.name(format!("{id}Answer"), shapes::written(endpoint.answer).into());
        let mut operation = json!({
            "operationId": id,
            "tags": [api.name],
            "summary": endpoint.summary,
            "parameters": parameters(endpoint),
            "security": security(endpoint),
            "responses": {
                "200": { "description": "Done.", "content": if endpoint.is_lines { lines(answer) } else { content(answer) } },
                "default": { "$ref": "#/components/responses/Error" },
            },
            "x-scopes": endpoint.scope.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "x-curl": self.curl(api, endpoint),
        });
        if let Some(command) = endpoint.command {
            operation["x-command"] = format!("keylender {command}").into();
        }
        if let Some(input) = endpoint.input {
            let schema = shapes::read(input);
            // A plan needs no reason.
            let members = schema.get("properties").and_then(Value::as_object);
            let is_required = members.is_none_or(|members| !members.keys().eq([act::REASON]));
            let input = self.name(format!("{id}Input"), schema.into());
            operation["requestBody"] = json!({ "required": is_required, "content": content(input) });
        }
        self.insert(path, endpoint.method_name(), operation);
    }

    /// What a watcher asks for. It has no arguments, no input and no error body.
    fn health(&mut self) {
        let empty = json!({ "type": "object", "additionalProperties": false });
        let version = json!({
            "type": "object",
            "properties": { "name": { "type": "string" }, "version": { "type": "string" } },
            "required": ["name", "version"],
            "additionalProperties": false,
        });
        let check = json!({
            "type": "object",
            "properties": { "ok": { "type": "boolean" }, "remark": { "type": "string" }, "problem": { "type": "string" } },
            "required": ["ok"],
            "additionalProperties": false,
        });
        let checks = json!({ "type": "object", "additionalProperties": check });
        for (name, summary, schema) in [
            ("version", "Says which program this is.", version),
            ("heartbeat", "Says whether it can do its work: store, broker and clock.", checks),
            ("lbheartbeat", "Says that the process answers.", empty),
        ] {
            let answer = self.name(format!("health_{name}Answer"), schema);
            let path = format!("/__{name}__");
            let mut operation = json!({
                "operationId": format!("health_{name}"),
                "tags": ["health"],
                "summary": summary,
                "parameters": [],
                "security": [],
                "responses": { "200": { "description": "It is well.", "content": content(answer.clone()) } },
                "x-scopes": [],
                "x-curl": format!("curl \"{}{path}\"", self.base),
            });
            if name == "heartbeat" {
                operation["responses"]["503"] = json!({ "description": "It cannot work.", "content": content(answer) });
            }
            self.insert(path, "get", operation);
        }
    }

    fn insert(&mut self, path: String, method: &str, operation: Value) {
        self.paths.entry(path).or_insert_with(|| json!({}))[method] = operation;
    }

    /// Keeps a schema under a name, and returns what refers to it.
    fn name(&mut self, name: String, schema: Value) -> Value {
        let referring = reference(&name);
        self.schemas.insert(name, schema);
        referring
    }

    /// The call as a command, with `<arguments>` to be put in.
    fn curl(&self, api: &Api, endpoint: &Endpoint) -> String {
        let method = match endpoint.method_name() {
            "get" => String::new(),
            method => format!(" -X {}", method.to_uppercase()),
        };
        let credentials = match endpoint.scope {
            None => "",
            Some(_) => " -H \"Authorization: Bearer $TASKCLUSTER_CLIENT_ID/$TASKCLUSTER_ACCESS_TOKEN\"",
        };
        let input = match endpoint.input {
            None => "",
            Some(_) => " -H 'Content-Type: application/json' -d @input.json",
        };
        format!("curl{method}{credentials}{input} \"{}{}{}\"", self.base, api.mount, endpoint.route)
    }
}

fn parameters(endpoint: &Endpoint) -> Vec<Value> {
    let arguments = endpoint.route.split('<').skip(1).filter_map(|part| part.split('>').next());
    let arguments =
        arguments.map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }));
    let query = endpoint.query.iter().map(|parameter| {
        let description = format!("Matches `{}`.", parameter.pattern);
        json!({ "name": parameter.name, "in": "query", "description": description, "schema": { "type": "string" } })
    });
    arguments.chain(query).collect()
}

/// Any one of them, for whoever needs a scope.
fn security(endpoint: &Endpoint) -> Value {
    match endpoint.scope {
        None => json!([]),
        Some(_) => json!([{ "hawk": [] }, { "bearer": [] }, { "certificate": [] }]),
    }
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

fn content(schema: Value) -> Value {
    json!({ "application/json": { "schema": schema } })
}

/// Any number of them, each in a line.
fn lines(schema: Value) -> Value {
    json!({ LINES: { "schema": schema } })
}
