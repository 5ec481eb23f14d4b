//! The methods of the APIs as pages, from the document that the router is described by.

use askama::Template;
use axum::response::Response;
use serde_json::Value;

use crate::base::text::url_encoded;
use crate::base::{Error, Kind, Result};
use crate::web::api::openapi;
use crate::web::console::kit::frame::{Frame, page};
use crate::web::console::kit::schema::{self, Field};
use crate::web::console::kit::session::Session;
use crate::web::console::kit::table::{Cell, Column, Table, TableAnswer, View};
use crate::web::console::kit::text::{State, Tone};
use crate::web::error::{status, usual_code};
use crate::web::state::App;

/// What stands before the paths of our own API.
const OWN: &str = "/api/keylender/v1/";
/// When a method answers with which kind of error.
const ERRORS: [(Kind, &str); 8] = [
    (Kind::Invalid, "An argument, a parameter or the body is wrong."),
    (Kind::Unauthenticated, "The credentials are missing, wrong or over."),
    (Kind::Forbidden, "The caller does not have the scope."),
    (Kind::NotFound, "What it is about does not exist."),
    (Kind::Conflict, "It does not go together with how things are now."),
    (Kind::Limited, "Asked too often; Retry-After says when to ask again."),
    (Kind::Unavailable, "A limit is reached or a neighbour is away; Retry-After says when to ask again."),
    (Kind::Internal, "The fault is ours; the message has the id of what was logged."),
];

struct Method {
    id: String,
    group: String,
    method: String,
    path: String,
    summary: String,
    /// What a caller needs; empty for anybody.
    scope: String,
    operation: Value,
}

const METHODS: Table<Method> = Table {
    name: "api",
    caption: "Methods",
    columns: &[
        Column {
            name: "method",
            title: "Method",
            cell: |method| Cell::text(&method.id).to(format!("/api/methods/{}", method.id)),
        },
        Column { name: "group", title: "About", cell: |method| Cell::text(&method.group) },
        Column { name: "call", title: "Call", cell: |method| Cell::text(format!("{} {}", method.method, method.path)) },
        Column { name: "does", title: "What it does", cell: |method| Cell::text(&method.summary) },
        Column {
            name: "scope",
            title: "Scope",
            cell: |method| match method.scope.as_str() {
                "" => Cell::state(Tone::Quiet, "anybody"),
                scope => Cell::text(scope),
            },
        },
    ],
    sort: "group",
    select: None,
    empty: ("There are no methods.", ""),
};

#[derive(Template)]
#[template(path = "console/api.html")]
struct List {
    frame: Frame,
    /// Each group, and the address of its methods.
    groups: Vec<(String, String)>,
    table: View,
}

#[derive(Template)]
#[template(path = "console/api_method.html")]
struct Shows {
    frame: Frame,
    method: Method,
    /// Whether the reader may call it, as far as their role says for everything it could be about.
    may: State,
    parameters: Vec<Parameter>,
    documents: Vec<Document>,
    errors: Vec<(u16, &'static str, &'static str)>,
    curl: String,
    command: String,
}

struct Parameter {
    name: String,
    place: &'static str,
    is_required: bool,
    description: String,
}

/// A body or an answer.
struct Document {
    title: String,
    fields: Vec<Field>,
    schema: String,
}

/// All methods, by what they are about.
pub async fn list(app: App, session: Session) -> Result<Response> {
    let methods = methods(&openapi::document(app.public_url.as_ref()));
    let mut groups: Vec<String> = methods.iter().map(|method| method.group.clone()).collect();
    groups.sort();
    groups.dedup();
    match METHODS.show(&session, methods).await? {
        TableAnswer::Export(file) => Ok(file),
        TableAnswer::View(table) => {
            let address = |group: &String| format!("{}/api?q={}", session.root, url_encoded(&format!("group:{group}")));
            let groups = groups.iter().map(|group| (group.clone(), address(group))).collect();
            Ok(page(&List { frame: Frame::of(&app, &session, "API").await, groups, table }))
        }
    }
}

pub async fn show(app: App, session: Session) -> Result<Response> {
    let document = openapi::document(app.public_url.as_ref());
    let wanted = session.param("method");
    let method = methods(&document).into_iter().find(|method| method.id == wanted);
    let method = method.ok_or_else(|| Error::not_found("No method has this name."))?;
    let operation = &method.operation;
    let mut documents = Vec::new();
    documents.extend(body(&document, &operation["requestBody"], "Body".to_owned()));
    for (code, answer) in members(&operation["responses"]).filter(|(code, _)| *code != "default") {
        documents.extend(body(&document, answer, format!("Answer {code}")));
    }
    let has_errors = operation["responses"].get("default").is_some();
    if has_errors {
        documents.extend(body(&document, &document["components"]["responses"]["Error"], "Errors".to_owned()));
    }
    Ok(page(&Shows {
        frame: Frame::of(&app, &session, method.summary.trim_end_matches('.')).await,
        may: may(&session, &method.scope),
        parameters: operation["parameters"].as_array().into_iter().flatten().map(parameter).collect(),
        documents,
        errors: if has_errors { errors(!method.scope.is_empty()) } else { Vec::new() },
        curl: text(operation, "x-curl"),
        command: text(operation, "x-command"),
        method,
    }))
}

fn methods(document: &Value) -> Vec<Method> {
    let paths = members(&document["paths"]);
    let all = paths.flat_map(|(path, item)| members(item).map(move |(method, operation)| (path, method, operation)));
    let method = |(path, method, operation): (&String, &String, &Value)| Method {
        id: text(operation, "operationId"),
        group: group(path, operation),
        method: method.to_uppercase(),
        path: path.clone(),
        summary: text(operation, "summary"),
        scope: operation["x-scopes"][0].as_str().unwrap_or_default().to_owned(),
        operation: operation.clone(),
    };
    all.map(method).collect()
}

/// What a method is about: the noun of our own, else the API.
fn group(path: &str, operation: &Value) -> String {
    let noun = path.strip_prefix(OWN).and_then(|rest| rest.split('/').next());
    noun.or_else(|| operation["tags"][0].as_str()).unwrap_or_default().replace(['-', '_'], " ")
}

fn members(object: &Value) -> impl Iterator<Item = (&String, &Value)> {
    object.as_object().into_iter().flatten()
}

fn text(object: &Value, member: &str) -> String {
    object[member].as_str().unwrap_or_default().to_owned()
}

fn parameter(parameter: &Value) -> Parameter {
    Parameter {
        name: text(parameter, "name"),
        place: if parameter["in"] == "path" { "path" } else { "query" },
        is_required: parameter["required"] == true,
        description: text(parameter, "description").replace('`', ""),
    }
}

fn body(document: &Value, holder: &Value, title: String) -> Option<Document> {
    let content = &holder["content"]["application/json"]["schema"];
    let schema = document.pointer(content["$ref"].as_str()?.strip_prefix('#')?)?;
    let pretty = serde_json::to_string_pretty(schema).unwrap_or_default();
    Some(Document { title, fields: schema::fields(schema), schema: pretty })
}

fn errors(needs_scope: bool) -> Vec<(u16, &'static str, &'static str)> {
    let concerns_all = |kind: &Kind| needs_scope || !matches!(kind, Kind::Unauthenticated | Kind::Forbidden);
    let errors = ERRORS.iter().filter(|(kind, _)| concerns_all(kind));
    errors.map(|(kind, when)| (status(*kind).as_u16(), usual_code(*kind), *when)).collect()
}

fn may(session: &Session, scope: &str) -> State {
    let (tone, word) = match scope.split_once('<') {
        None if scope.is_empty() || session.may(scope) => (Tone::Well, "may call it"),
        Some((family, _)) if session.may(family) => (Tone::Well, "may call it"),
        _ => (Tone::Quiet, "may not call it"),
    };
    let role = session.role.name();
    let article = if role.starts_with(['a', 'o']) { "an" } else { "a" };
    State { tone, word: format!("{article} {role} {word}").into() }
}
