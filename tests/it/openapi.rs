//! The OpenAPI document: it is whole, and it is true.

use std::collections::BTreeSet;
use std::sync::LazyLock;
use std::time::Duration;

use keylender::app::operate::Operator;
use keylender::domain::operators::Role;
use keylender::web::api::openapi;
use serde_json::{Value, json};

use crate::archive_api;
use crate::console::{Browser, queues};
use crate::dns::DnsServer;
use crate::hosts::{HOST, NAME, ask_from, set_up};
use crate::schema::{problems, resolve};
use crate::wire::{Answer, Ask};
use crate::world::{NAMESPACE, World, segment};

/// Where our own API is.
const OWN: &str = "/api/keylender/v1";
const LINES: &str = "application/jsonl";
const METHODS: [&str; 4] = ["get", "put", "post", "delete"];

/// The document as an appliance without a public address has it.
static DOCUMENT: LazyLock<Value> = LazyLock::new(|| openapi::document(None));

/// Whether a call of our own API and its answer are as the document says. Every story checks all its calls by this.
pub fn check(method: &str, path: &str, input: Option<&Value>, answer: &Value) -> String {
    checked(method, &format!("{OWN}{path}"), input, 200, answer)
}

/// The same for any call. Returns the id of the operation.
fn checked(method: &str, target: &str, input: Option<&Value>, status: u16, answer: &Value) -> String {
    let operation = operation(method, target.split('?').next().unwrap());
    let id = operation["operationId"].as_str().unwrap();
    let responses = &operation["responses"];
    let mut response = responses.get(status.to_string()).unwrap_or(&responses["default"]);
    if let Some(reference) = response["$ref"].as_str() {
        response = resolve(&DOCUMENT, reference).unwrap();
    }
    let schema = &response["content"]["application/json"]["schema"];
    let found = problems(&DOCUMENT, schema, answer);
    assert!(found.is_empty(), "the answer of {id} is not as described: {found:#?}\n{answer:#}");
    let described = operation.get("requestBody").map(|body| &body["content"]["application/json"]["schema"]);
    assert!(described.is_some() || input.is_none(), "{id} has no input");
    assert!(input.is_some() || operation["requestBody"]["required"] != true, "{id} has an input");
    if let Some((schema, input)) = described.zip(input) {
        let found = problems(&DOCUMENT, schema, input);
        assert!(found.is_empty(), "the input of {id} is not as described: {found:#?}\n{input:#}");
    }
    id.to_owned()
}

/// The operation that a path leads to: of all templates that fit, the one with the most words of its own.
fn operation(method: &str, path: &str) -> &'static Value {
    let segments: Vec<&str> = path.split('/').collect();
    let is_argument = |part: &&str| part.starts_with('{');
    let fits = |template: &&String| {
        let parts: Vec<&str> = template.split('/').collect();
        parts.len() == segments.len()
            && parts.iter().zip(&segments).all(|(part, segment)| is_argument(part) || part == segment)
    };
    let paths = DOCUMENT["paths"].as_object().unwrap();
    let template = paths.keys().filter(fits).min_by_key(|template| template.split('/').filter(is_argument).count());
    let template = template.unwrap_or_else(|| panic!("{path} is not in the document"));
    let operation = paths[template].get(method.to_ascii_lowercase());
    operation.unwrap_or_else(|| panic!("{method} {template} is not in the document"))
}

/// Path, method and operation.
fn operations(document: &Value) -> Vec<(&String, &String, &Value)> {
    let paths = document["paths"].as_object().unwrap().iter();
    paths.flat_map(|(path, item)| item.as_object().unwrap().iter().map(move |(m, o)| (path, m, o))).collect()
}

#[tokio::test]
async fn the_document_is_whole() {
    let world = World::start().await;
    let answer = world.ask(&Ask::get(openapi::PATH)).await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json; charset=utf-8")));
    let document = answer.json();
    assert_eq!(document, *DOCUMENT);
    assert_eq!(document["openapi"], "3.1.0");
    let (mut ids, mut used) = (BTreeSet::new(), BTreeSet::new());
    for (path, method, operation) in operations(&document) {
        let id = operation["operationId"].as_str().unwrap();
        assert!(ids.insert(id), "{id} is there twice");
        assert!(METHODS.contains(&method.as_str()), "{method}");
        assert!(operation["summary"].as_str().unwrap().ends_with('.'), "{id} has a sentence");
        let parameters = operation["parameters"].as_array().unwrap();
        let declared: Vec<&str> = parameters
            .iter()
            .filter(|parameter| parameter["in"] == "path" && parameter["required"] == true)
            .map(|parameter| parameter["name"].as_str().unwrap())
            .collect();
        let arguments: Vec<&str> = path.split('{').skip(1).map(|part| part.split('}').next().unwrap()).collect();
        assert_eq!(declared, arguments, "{id}");
        let scopes = operation["x-scopes"].as_array().unwrap();
        assert_eq!(operation["security"].as_array().unwrap().is_empty(), scopes.is_empty(), "{id}");
        let curl = operation["x-curl"].as_str().unwrap();
        assert!(curl.starts_with("curl ") && curl.contains(&path.replace('{', "<").replace('}', ">")), "{curl}");
        assert_eq!(curl.contains("Authorization: Bearer"), !scopes.is_empty(), "{curl}");
        let content = &operation["responses"]["200"]["content"];
        let answer = &content.get("application/json").unwrap_or(&content[LINES])["schema"];
        let answer = resolve(&document, answer["$ref"].as_str().unwrap()).unwrap();
        assert!(answer["type"] == "object" || answer["anyOf"].is_array(), "{id} answers {answer}");
    }
    collect_references(&document, &mut used);
    for reference in &used {
        assert!(resolve(&document, reference).is_some(), "{reference} leads nowhere");
    }
    for name in document["components"]["schemas"].as_object().unwrap().keys() {
        assert!(used.contains(&format!("#/components/schemas/{name}")), "nobody uses {name}");
    }
    for scheme in ["hawk", "bearer", "certificate"] {
        assert!(document["components"]["securitySchemes"][scheme].is_object(), "{scheme}");
    }
}

fn collect_references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            if let Some(Value::String(reference)) = members.get("$ref") {
                found.insert(reference.clone());
            }
            members.values().for_each(|member| collect_references(member, found));
        }
        Value::Array(items) => items.iter().for_each(|item| collect_references(item, found)),
        _ => {}
    }
}

/// Routes are served and described from one list, so this looks for what goes around it.
#[tokio::test]
async fn every_route_of_the_document_is_served_and_asks_for_what_it_says() {
    let world = World::start().await;
    let nobody = world.client("nobody", &[]).await;
    for (path, method, operation) in operations(&DOCUMENT) {
        let target = path.replace("{address}", "192.0.2.1").replace("{rule}", "block:192.0.2.1");
        let target: String =
            target.split('/').map(|part| if part.starts_with('{') { "x/" } else { part }.to_owned() + "/").collect();
        let target = target.replace("//", "/");
        let ask = Ask::post(target.trim_end_matches('/'), "{}");
        let answer = world.ask_as(&nobody, &Ask { method: method.to_uppercase(), ..ask }).await;
        let scopes = operation["x-scopes"].as_array().unwrap();
        match scopes.first() {
            Some(scope) => {
                assert_eq!(answer.error(), (403, "InsufficientScopes".into()), "{method} {target}");
                let family = scope.as_str().unwrap().split('<').next().unwrap();
                assert!(answer.json()["message"].as_str().unwrap().contains(family), "{answer:?}");
            }
            None => assert!(!answer.text().contains("Cannot "), "{method} {target}: {answer:?}"),
        }
    }
}

/// Changes nothing is said of beforehand: what lends, hands over or tries out, and what only looks.
const WITHOUT_PLAN: &str = "keylender_closeProxySession keylender_closeServices keylender_hearProxySession keylender_hearServices \
    keylender_openProxySession keylender_openServices keylender_referenceSecret \
    keylender_refreshProxySession keylender_testNamespace keylender_verifyAudit \
    keylender_verifyBackup keylender_verifyNewestBackup keylender_wrapNamespace \
    keylender_wrapRelayAccount pulse_claimNamespace";

fn has_parameter(operation: &Value, name: &str) -> bool {
    operation["parameters"].as_array().unwrap().iter().any(|parameter| parameter["name"] == name)
}

#[test]
fn whatever_changes_something_can_be_tried_first_and_be_given_a_reason() {
    for (_, method, operation) in operations(&DOCUMENT) {
        let id = operation["operationId"].as_str().unwrap();
        let is_planned = method != "get" && !WITHOUT_PLAN.split(' ').any(|without| without == id);
        for name in ["plan", "reason"] {
            assert_eq!(has_parameter(operation, name), is_planned, "{id}: {name}");
        }
        assert!(!is_planned || operation["x-command"].is_string(), "{id} has a command");
    }
}

/// Calls a method. One that changes something is first asked what it would do, and then given a reason.
pub async fn call(world: &World, seen: &mut BTreeSet<String>, method: &str, path: &str, input: Option<Value>) -> Value {
    let is_planned = is_planned(world, method, path, input.as_ref()).await;
    let last = last_entry(world).await;
    let reason = if is_planned { "?reason=to%20see" } else { "" };
    let answer = world.operate(method, &format!("{path}{reason}"), input.clone()).await;
    let entries = entries_after(world, last).await;
    let has_reason =
        entries.iter().any(|entry| ["reason", "why"].iter().any(|name| entry["details"][name].is_string()));
    assert!(!is_planned || has_reason || entries.is_empty(), "{method} {path}: {entries:?}");
    seen.insert(check(method, path, input.as_ref(), &answer));
    answer
}

/// Whether a call can be tried first; that changes nothing.
async fn is_planned(world: &World, method: &str, path: &str, input: Option<&Value>) -> bool {
    let path = path.split('?').next().unwrap();
    if !has_parameter(operation(method, &format!("{OWN}{path}")), "plan") {
        return false;
    }
    let last = last_entry(world).await;
    world.broker.forget_calls();
    let planned = world.operate(method, &format!("{path}?plan=1"), input.cloned()).await;
    let effects = planned["plan"].as_array().unwrap();
    assert!(!effects.is_empty(), "{method} {path}: {planned}");
    let calls = world.broker.calls();
    assert!(calls.iter().all(|call| call.starts_with("GET ")), "{method} {path}: {calls:?}");
    assert_eq!(entries_after(world, last).await, Vec::<Value>::new(), "{method} {path}");
    true
}

async fn last_entry(world: &World) -> u64 {
    world.operate("POST", "/audit/verify", None).await["last"].as_u64().unwrap()
}

async fn entries_after(world: &World, last: u64) -> Vec<Value> {
    let page = world.operate("GET", &format!("/audit?from={}", last + 1), None).await;
    page["entries"].as_array().unwrap().clone()
}

fn heard(seen: &mut BTreeSet<String>, ask: &Ask, answer: &Answer) {
    let input = ask.body.as_ref().map(|body| serde_json::from_slice(body).unwrap());
    seen.insert(checked(&ask.method, &ask.target, input.as_ref(), answer.status, &answer.json()));
}

#[tokio::test]
async fn every_method_answers_as_the_document_says() {
    let dns = DnsServer::start().await;
    dns.host(HOST, NAME);
    let world = World::with(|settings| set_up(settings, &[&dns])).await;
    let client = world.client("builds", &["pulse:*"]).await;
    let mut seen = BTreeSet::new();

    let claim = Ask::claim(NAMESPACE, r#"{"expires":"2030-01-01T00:00:00Z","contact":"a@example.com"}"#);
    let claim = Ask { target: format!("/api/pulse{}", claim.target), ..claim };
    heard(&mut seen, &claim, &world.ask_as(&client, &claim).await);
    for path in ["ping", "namespaces?limit=1", &format!("namespace/{NAMESPACE}"), "namespace/taskcluster-none"] {
        let ask = Ask::get(&format!("/api/pulse/v1/{path}"));
        heard(&mut seen, &ask, &world.ask(&ask).await);
    }
    for path in ["/api/host-secrets/v1/ping", "/__version__", "/__heartbeat__", "/__lbheartbeat__"] {
        let ask = Ask::get(path);
        heard(&mut seen, &ask, &world.ask(&ask).await);
    }
    heard(&mut seen, &Ask::get("/api/host-secrets/v1/credentials"), &ask_from(&world, HOST).await);

    // What operators do, in an order in which each has something to do.
    for (method, path, input) in operators_calls() {
        call(&world, &mut seen, method, &path, input).await;
    }
    let backup = call(&world, &mut seen, "POST", "/backups", None).await;
    let name = segment(backup["name"].as_str().unwrap());
    call(&world, &mut seen, "POST", &format!("/backups/{name}/verify"), None).await;
    call(&world, &mut seen, "GET", "/backups", None).await;
    call(&world, &mut seen, "POST", "/loops/expire/run", None).await;
    call(&world, &mut seen, "POST", &format!("/namespaces/{NAMESPACE}/expire"), None).await;

    operators(&mut seen).await;
    at_the_broker(&mut seen).await;
    crate::relay::every_method(&mut seen).await;
    crate::proxy::every_method(&mut seen).await;
    crate::services::every_method(&mut seen).await;
    // A clock that was set makes a brake hold, and then there is something to release.
    world.clock.set(world.clock.now().plus(Duration::from_secs(4 * 3600)));
    Operator::connect(&world.settings).unwrap().call("POST", "/loops/rotate/run", None).await.unwrap_err();
    call(&world, &mut seen, "POST", "/loops/rotate/release", None).await;

    let all: BTreeSet<String> = operations(&DOCUMENT)
        .iter()
        .map(|(_, _, operation)| operation["operationId"].as_str().unwrap().to_owned())
        .collect();
    assert!(all.is_subset(&seen), "nobody called {:?}", all.difference(&seen));
}

/// In a world of its own, which has something at the broker.
async fn at_the_broker(seen: &mut BTreeSet<String>) {
    let (world, connection) = queues::world().await;
    let (queue, why) = (format!("/queues/{}", segment(queues::QUEUE)), json!({"reason": "to see"}));
    let exchange = format!("/exchanges/{}", segment(queues::EXCHANGE));
    for path in ["/connections", "/exchanges", &exchange, &queue, "/log"] {
        call(&world, seen, "GET", path, None).await;
    }
    let close = format!("/connections/{}/close", segment(&connection));
    call(&world, seen, "POST", "/namespaces/taskcluster-foo/test", None).await;
    archive_api::every_method(&world, seen, &queue).await;
    for path in [close, format!("{queue}/purge"), format!("{queue}/delete")] {
        call(&world, seen, "POST", &path, Some(why.clone())).await;
    }
}

/// Asks for lines of JSON, each of which is as described.
pub async fn lines(world: &World, seen: &mut BTreeSet<String>, path: &str) {
    let mut answer = Vec::new();
    let keep = |part: &[u8]| {
        answer.extend_from_slice(part);
        Ok(())
    };
    Operator::connect(&world.settings).unwrap().fetch_parts(path, keep).await.unwrap();
    let operation = operation("GET", &format!("{OWN}{path}"));
    let schema = &operation["responses"]["200"]["content"][LINES]["schema"];
    for line in String::from_utf8(answer).unwrap().lines() {
        let found = problems(&DOCUMENT, schema, &line.parse().unwrap());
        assert!(found.is_empty(), "{path}: {found:#?} {line}");
    }
    seen.insert(operation["operationId"].as_str().unwrap().to_owned());
}

/// In a world of its own: nobody signs in through a proxy that speaks plain HTTP.
async fn operators(seen: &mut BTreeSet<String>) {
    let world = World::start().await;
    Browser::signed_in(&world, Role::Viewer).await;
    let sessions = call(&world, seen, "GET", "/sessions", None).await;
    let session = sessions["sessions"][0]["session"].as_str().unwrap();
    call(&world, seen, "DELETE", &format!("/sessions/{session}"), None).await;
    for (method, path, input) in [
        ("PUT", "/operators/ada", Some(json!({ "role": "auditor" }))),
        ("GET", "/operators", None),
        ("POST", "/operators/ada/reset", Some(json!({}))),
        ("PUT", "/operators/ada/role", Some(json!({ "role": "admin" }))),
        ("POST", "/operators/ada/disable", None),
        ("POST", "/operators/ada/enable", None),
        ("DELETE", "/operators/ada", None),
    ] {
        call(&world, seen, method, path, input).await;
    }
}

fn operators_calls() -> Vec<(&'static str, String, Option<Value>)> {
    let scopes = json!({ "scopes": ["pulse:*"] });
    let revoke = |dry_run: bool| Some(json!({ "kind": "host", "name": HOST, "reason": "lost", "dryRun": dry_run }));
    let namespace = format!("/namespaces/{NAMESPACE}");
    let owner = format!("{namespace}/owners/{}", segment("b@example.com"));
    let queue = segment("queue/taskcluster-foo/a");
    let block = format!("/host-rules/{}", segment("block 192.0.2.9/32"));
    vec![
        ("PUT", "/clients/c".into(), Some(scopes.clone())),
        ("PUT", "/clients/c/certificate".into(), Some(json!({ "certificateName": "c.example.com" }))),
        ("GET", "/clients".into(), None),
        ("POST", "/clients/c/change".into(), Some(json!({ "description": "c" }))),
        ("POST", "/clients/c/reset".into(), None),
        ("POST", "/clients/c/disable".into(), None),
        ("POST", "/clients/c/enable".into(), None),
        ("DELETE", "/clients/c".into(), None),
        ("PUT", "/roles/r".into(), Some(scopes)),
        ("GET", "/roles".into(), None),
        ("DELETE", "/roles/r".into(), None),
        ("PUT", owner.clone(), None),
        ("GET", "/namespaces".into(), None),
        ("GET", namespace.clone(), None),
        ("POST", format!("{namespace}/extend"), Some(json!({ "expires": "2031-01-01T00:00:00Z" }))),
        ("PUT", format!("{namespace}/note"), Some(json!({ "note": "of the builds" }))),
        ("GET", namespace.clone(), None),
        ("DELETE", owner, None),
        ("POST", format!("{namespace}/rotate"), None),
        ("POST", format!("{namespace}/finish"), None),
        ("GET", "/loops".into(), None),
        ("GET", "/loops/rotate/plan".into(), None),
        ("POST", "/loops/rotate/pause".into(), None),
        ("POST", "/loops/rotate/resume".into(), None),
        ("PUT", "/queues/rules/a*".into(), Some(json!({ "warnMessages": 5, "remark": "small" }))),
        ("GET", "/queues/rules".into(), None),
        ("DELETE", "/queues/rules/a*".into(), None),
        ("GET", format!("/queues/{queue}/forecast"), None),
        ("GET", "/hosts".into(), None),
        ("GET", format!("/hosts/{HOST}"), None),
        ("GET", format!("/hosts/{HOST}/check"), None),
        ("PUT", block.clone(), Some(json!({ "remark": "noisy" }))),
        ("GET", "/host-rules".into(), None),
        ("DELETE", block, None),
        ("POST", format!("/wraps/{NAMESPACE}"), Some(json!({ "lastsSeconds": 60 }))),
        ("GET", "/leases".into(), None),
        ("POST", "/leases/revoke".into(), revoke(true)),
        ("POST", "/leases/revoke".into(), revoke(false)),
        ("GET", "/alarms".into(), None),
        (
            "PUT",
            format!("/alarms/{}/acknowledge", segment("backups none")),
            Some(json!({ "text": "There is no backup yet", "reason": "new" })),
        ),
        ("GET", "/alarms".into(), None),
        ("GET", "/doctor".into(), None),
        ("GET", "/broker".into(), None),
        ("POST", "/broker/rotate".into(), None),
        ("GET", "/key".into(), None),
        ("GET", "/settings".into(), None),
        ("POST", "/key/rotate".into(), Some(json!({}))),
        ("POST", "/backups".into(), None),
        ("POST", "/backups/verify".into(), None),
        ("GET", "/audit".into(), None),
        ("POST", "/audit/verify".into(), None),
        ("GET", "/audit/checkpoint".into(), None),
        ("GET", "/audit/at?time=2030-01-01T00:00:00Z".into(), None),
        ("GET", format!("/audit/held?object={NAMESPACE}"), None),
        ("POST", "/audit/reference".into(), Some(json!({ "secret": "hunter2" }))),
        ("POST", "/audit/prune".into(), Some(json!({ "before": "2020-01-01T00:00:00.000Z", "dryRun": true }))),
    ]
}
