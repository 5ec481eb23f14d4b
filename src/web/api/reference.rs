//! Reference documents, their manifest, and the JSON schemas: what Taskcluster clients are made from
//! (taskcluster.md 6.4; vector group `reference_documents`).

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::Response;
use axum::routing::get;
use serde_json::{Value, json};

use super::reply::Reply;
use super::{Endpoint, host_secrets, pulse};
use crate::web::assets::Assets;
use crate::web::page;
use crate::web::state::App;

/// The format that every client reads.
const OLD_FORMAT: &str = "http://schemas.taskcluster.net/base/v1/api-reference.json#";

/// What a reference document says of a method beyond what the server checks.
struct Described {
    title: &'static str,
    description: &'static str,
    stability: &'static str,
    input: Option<&'static str>,
    output: Option<&'static str>,
}

/// The routes outside of the APIs' own mounts.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/references/manifest.json", get(manifest))
        .route("/references/pulse/v1/api.json", get(pulse_reference))
        .route("/references/host-secrets/v1/api.json", get(host_secrets_reference))
        .route("/schemas/{service}/v1/{file}", get(schema))
}

async fn manifest(method: Method, headers: HeaderMap) -> Response {
    answer(
        &json!({
            "$schema": "/schemas/common/manifest-v3.json#",
            "references": ["/references/host-secrets/v1/api.json", "/references/pulse/v1/api.json"],
        }),
        &method,
        &headers,
    )
}

async fn pulse_reference(State(app): State<App>, method: Method, headers: HeaderMap) -> Response {
    answer(&pulse_document(app.public_url.as_ref()), &method, &headers)
}

async fn host_secrets_reference(State(app): State<App>, method: Method, headers: HeaderMap) -> Response {
    answer(&host_secrets_document(app.public_url.as_ref()), &method, &headers)
}

async fn schema(
    Path((service, file)): Path<(String, String)>,
    method: Method,
    target: Uri,
    headers: HeaderMap,
) -> Response {
    match Assets::get(&format!("schemas/{service}/{file}")).and_then(|file| serde_json::from_slice(&file.data).ok()) {
        Some(schema) => answer::<Value>(&schema, &method, &headers),
        None => page::not_found(&method, &target),
    }
}

fn answer<T: serde::Serialize>(document: &T, method: &Method, headers: &HeaderMap) -> Response {
    match Reply::json(document) {
        Ok(reply) => reply.with_status(StatusCode::OK, method, headers),
        Err(error) => page::error(StatusCode::INTERNAL_SERVER_ERROR, error.message()),
    }
}

/// The pulse API's reference document: the old format, which every client reads, with the members that the new
/// format adds. Without a public URL the ancestor's own address stands in it; clients that know a root URL ignore it.
pub fn pulse_document(public_url: Option<&url::Url>) -> Value {
    json!({
        "version": 0,
        "$schema": OLD_FORMAT,
        "title": "Pulse Management Service",
        "description": "Lends credentials for the message bus: a service claims a namespace and gets a RabbitMQ \
                        user that is limited to it.",
        "baseUrl": base_url(public_url, "https://pulse.taskcluster.net"),
        "serviceName": "pulse",
        "apiVersion": "v1",
        "entries": pulse::ENDPOINTS.iter().map(|endpoint| entry(endpoint, &describe(endpoint.name))).collect::<Vec<_>>(),
    })
}

/// The host-secrets API's. Its ancestor called the service's name just `name`; both are there.
fn host_secrets_document(public_url: Option<&url::Url>) -> Value {
    json!({
        "version": 0,
        "$schema": OLD_FORMAT,
        "title": "Host Secrets",
        "description": "Lends temporary Taskcluster credentials to machines, which are known by their DNS names.",
        "baseUrl": base_url(public_url, "https://host-secrets.taskcluster.net"),
        "name": "host-secrets",
        "serviceName": "host-secrets",
        "apiVersion": "v1",
        "entries": host_secrets::ENDPOINTS.iter().map(|endpoint| entry(endpoint, &describe(endpoint.name))).collect::<Vec<_>>(),
    })
}

fn base_url(public_url: Option<&url::Url>, usual: &str) -> String {
    format!("{}/v1/", public_url.map_or(usual, |url| url.as_str().trim_end_matches('/')))
}

fn entry(endpoint: &Endpoint, described: &Described) -> Value {
    let arguments: Vec<&str> = endpoint.route.split('<').skip(1).filter_map(|part| part.split('>').next()).collect();
    let mut entry = json!({
        "type": "function",
        "method": endpoint.method_name(),
        "route": endpoint.route,
        "query": endpoint.query.iter().map(|parameter| parameter.name).collect::<Vec<_>>(),
        "args": arguments,
        "name": endpoint.name,
        "stability": described.stability,
        "title": described.title,
        "description": described.description,
    });
    for (member, schema) in [("input", described.input), ("output", described.output)] {
        if let Some(schema) = schema {
            entry[member] = format!("v1/{schema}#").into();
        }
    }
    if let Some(scope) = endpoint.scope {
        entry["scopes"] = json!({"AllOf": [scope.to_string()]});
    }
    entry
}

fn describe(name: &str) -> Described {
    match name {
        "ping" => Described {
            title: "Ping Server",
            description: "Respond without doing anything. This endpoint is used to check that the service is up.",
            stability: "stable",
            input: None,
            output: None,
        },
        "credentials" => Described {
            // The ancestor's spelling: generated clients show it.
            title: "Retreive a temporary taskcluster credential",
            description: "Temporary credentials for the host that asks, which is known by its address and DNS name.",
            stability: "experimental",
            input: None,
            output: None,
        },
        "listNamespaces" => Described {
            title: "List Namespaces",
            description: "List the namespaces managed by this service, a page at a time.",
            stability: "experimental",
            input: None,
            output: Some("list-namespaces-response.json"),
        },
        "namespace" => Described {
            title: "Get a namespace",
            description: "Get public information about a single namespace.",
            stability: "experimental",
            input: None,
            output: Some("namespace.json"),
        },
        _ => Described {
            title: "Claim a namespace",
            description: "Claim a namespace, returning a connection string with access to it and a time to claim it \
                          again. What is left out of the request is reset to its default.",
            stability: "experimental",
            input: Some("namespace-request.json"),
            output: Some("namespace-response.json"),
        },
    }
}
