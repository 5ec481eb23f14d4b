//! The whitelist of agents: its lines come and go with a reason, and the scheduler's file is made of them.

use std::collections::BTreeSet;

use keylender::base::Kind;
use keylender::domain::operators::Role;
use serde_json::{Value, json};

use crate::console::browser::Browser;
use crate::console::has;
use crate::openapi::call;
use crate::relay::world;
use crate::relay_rotation::try_to;
use crate::wire::Ask;
use crate::world::World;

const PROFILE: &str = "name = 'r'\n[[part]]\nname = 'list'\nkind = 'mig-whitelist'\n";
const WEB: &str = "linux.web1.example.net.dn0j5d3ugjk0";

async fn add(world: &World, lines: &[&str]) {
    world.operate("POST", "/agents/whitelist/add", Some(json!({ "lines": lines, "reason": "to see" }))).await;
}

async fn text(world: &World) -> String {
    let rendered = world.operate("GET", "/relay/parts/list", None).await;
    let list = world.operate("GET", "/agents/whitelist", None).await["text"].as_str().unwrap().to_owned();
    assert_eq!(rendered["files"][0]["text"], list.as_str(), "the file of the scheduler");
    list
}

async fn admits(world: &World, queueloc: &str) -> Value {
    let path = format!("/agents/whitelist/check?queueloc={queueloc}");
    world.operate("GET", &path, None).await["line"].clone()
}

#[tokio::test]
async fn lines_come_and_go_and_the_file_has_names_before_patterns() {
    let world = world(PROFILE).await;
    assert_eq!((text(&world).await.as_str(), admits(&world, WEB).await), ("", Value::Null));
    add(&world, &[r"re:linux\.db[0-9]+\..*", WEB]).await;
    assert_eq!(text(&world).await, format!("{WEB}\nre:linux\\.db[0-9]+\\..*\n"));
    assert_eq!(admits(&world, WEB).await, WEB);
    assert_eq!(admits(&world, "linux.db7.x").await, r"re:linux\.db[0-9]+\..*");
    assert_eq!(admits(&world, "linux.dbx.x").await, Value::Null);
    let lines = world.operate("GET", "/agents/whitelist", None).await["lines"].clone();
    assert_eq!((&lines[0]["line"], &lines[1]["pattern"]), (&json!(WEB), &json!(true)));

    let input = json!({ "lines": [WEB], "reason": "it is gone" });
    world.operate("POST", "/agents/whitelist/remove", Some(input.clone())).await;
    assert_eq!(admits(&world, WEB).await, Value::Null);
    let again = try_to(&world, "POST", "/agents/whitelist/remove", Some(input)).await.unwrap_err();
    assert_eq!(again.kind(), Kind::NotFound, "{again}");
    let entries = world.audited("agent.whitelist").await;
    assert_eq!(entries.len(), 2);
    assert_eq!(
        (&entries[1]["details"]["lines_removed"], &entries[1]["details"]["reason"]),
        (&json!([WEB]), &json!("it is gone"))
    );
}

#[tokio::test]
async fn a_list_at_which_the_scheduler_would_stop_is_not_taken() {
    let world = world(PROFILE).await;
    add(&world, &[WEB]).await;
    for (lines, says) in [
        (json!(["linux.a", "re:linux.(web"]), "re:linux.(web"),
        (json!(["re:a**"]), "re:a**"),
        (json!(["a\nb"]), "no control character"),
        (json!([""]), "1 to 4096 bytes"),
    ] {
        let input = Some(json!({ "lines": lines, "reason": "to see" }));
        let error = try_to(&world, "POST", "/agents/whitelist/add", input).await.unwrap_err();
        assert!(error.kind() == Kind::Invalid && error.message().contains(says), "{lines}: {error}");
    }
    assert_eq!(text(&world).await, format!("{WEB}\n"), "nothing of it was taken");
}

#[tokio::test]
async fn what_is_odd_is_said_before_it_is_taken_and_afterwards() {
    let world = world(PROFILE).await;
    let input = Some(json!({ "lines": ["re:linux.web|linux.db"], "reason": "to see" }));
    let plan = world.operate("POST", "/agents/whitelist/add?plan=1", input).await["plan"].to_string();
    assert!(plan.contains("was `re:(linux.web|linux.db)` meant?"), "{plan}");
    assert_eq!(text(&world).await, "");
    add(&world, &["re:linux.web|linux.db"]).await;
    let warnings = world.operate("GET", "/agents/whitelist", None).await["warnings"].to_string();
    assert!(warnings.contains("parts of a name are enough"), "{warnings}");
}

#[tokio::test]
async fn a_file_that_was_edited_by_hand_is_taken_over() {
    let world = world(PROFILE).await;
    add(&world, &[WEB, "linux.old"]).await;
    let file = format!("re:linux\\.new\r\n{WEB}\r\n\r\n");
    let input = json!({ "text": file, "reason": "edited by hand" });
    let plan = world.operate("PUT", "/agents/whitelist?plan=1", Some(input.clone())).await["plan"].to_string();
    assert!(plan.contains("let in from now on: `re:linux") && plan.contains("no more by them: `linux.old`"), "{plan}");
    world.operate("PUT", "/agents/whitelist", Some(input)).await;
    assert_eq!(text(&world).await, format!("{WEB}\nre:linux\\.new\n"));
}

#[tokio::test]
async fn viewers_try_names_and_operators_change_the_list_on_its_page() {
    let world = world(PROFILE).await;
    let viewer = Browser::signed_in(&world, Role::Viewer).await;
    let operator = Browser::signed_in(&world, Role::Operator).await;
    has(&viewer.get(&world, "/agents/whitelist?queueloc=linux.x").await, &["Nobody is admitted", "It is not"]);
    let ask = operator.get(&world, "/agents/whitelist/add?line=re%3Alinux%5C..%2A").await;
    has(&ask, &["are let in from now on", "keylender agent whitelist add"]);
    let fields = [("line", r"re:linux\..*"), ("reason", "all of them")];
    assert_eq!(operator.post(&world, "/agents/whitelist/add", &fields).await.status, 303);
    has(&viewer.get(&world, "/agents/whitelist?queueloc=linux.x").await, &["It is, by the line"]);
    assert_eq!(viewer.get(&world, "/agents/whitelist/add?line=x").await.status, 403);
    let fields = [("line", r"re:linux\..*"), ("reason", "none of them")];
    assert_eq!(operator.post(&world, "/agents/whitelist/remove", &fields).await.status, 303);
    let client = world.client("reader", &["keylender:agent:read"]).await;
    let ask = Ask::post("/api/keylender/v1/agents/whitelist/add", r#"{"lines":["x"],"reason":"r"}"#);
    assert_eq!(world.ask_as(&client, &ask).await.error(), (403, "InsufficientScopes".into()));
}

/// For the story that calls every method.
pub async fn every_method(seen: &mut BTreeSet<String>) {
    let world = world(PROFILE).await;
    let lines = || Some(json!({ "lines": [WEB], "reason": "to see" }));
    call(&world, seen, "POST", "/agents/whitelist/add", lines()).await;
    call(&world, seen, "GET", "/agents/whitelist", None).await;
    call(&world, seen, "GET", "/agents/whitelist/check?queueloc=x", None).await;
    call(&world, seen, "POST", "/agents/whitelist/remove", lines()).await;
    call(&world, seen, "PUT", "/agents/whitelist", Some(json!({ "text": WEB, "reason": "to see" }))).await;
}
