//! Changes that are declared once: each face says beforehand what would be, and asks for the same.

use keylender::app::operate::Operator;
use keylender::base::Kind;
use keylender::domain::operators::Role;
use keylender::web::console;
use serde_json::json;

use super::browser::Browser;
use super::has;
use super::queues::{QUEUE, world as busy_world};
use crate::archive_api::taken;
use crate::world::{NAMESPACE, World, segment};

#[tokio::test]
async fn a_dry_run_says_the_same_on_the_console_and_over_the_api_and_changes_nothing() {
    let (world, connection) = busy_world().await;
    world.role("r", &["a"]).await;
    let admin = Browser::signed_in(&world, Role::Admin).await;
    world.operate("PUT", "/queues/rules/a*", Some(json!({ "warnMessages": 5 }))).await;
    let rule = segment("block 192.0.2.9/32");
    world.operate("PUT", &format!("/host-rules/{rule}"), Some(json!({}))).await;
    world.operate("PUT", "/operators/ada", Some(json!({ "role": "auditor" }))).await;
    let session = world.operate("GET", "/sessions", None).await["sessions"][0]["session"].clone();
    let session = session.as_str().unwrap();
    let archive = format!("/archives/{}", taken(&world).await);
    world.broker.forget_calls();
    let of_operator = |verb: &str| (format!("/access/operators/ada/{verb}"), "POST", format!("/operators/ada/{verb}"));
    let same = |path: String| (path.clone(), "POST", path);
    let of_client = |verb: &str| (format!("/access/clients/builds/{verb}"), "POST", format!("/clients/builds/{verb}"));
    for (page, method, path) in [
        same("/loops/rotate/run".into()),
        same("/loops/rotate/pause".into()),
        same("/loops/rotate/resume".into()),
        same(format!("/queues/{}/archive", segment(QUEUE))),
        same(format!("{archive}/replay")),
        same(format!("{archive}/delete")),
        same(format!("/queues/{}/purge", segment(QUEUE))),
        same(format!("/queues/{}/delete", segment(QUEUE))),
        same(format!("/connections/{}/close", segment(&connection))),
        same(format!("/namespaces/{NAMESPACE}/rotate")),
        same(format!("/namespaces/{NAMESPACE}/finish")),
        same(format!("/namespaces/{NAMESPACE}/expire")),
        of_client("disable"),
        of_client("enable"),
        ("/access/clients/builds/delete".into(), "DELETE", "/clients/builds".into()),
        ("/access/roles/r/delete".into(), "DELETE", "/roles/r".into()),
        of_operator("reset"),
        of_operator("disable"),
        of_operator("enable"),
        ("/access/operators/ada/delete".into(), "DELETE", "/operators/ada".into()),
        (format!("/access/sessions/{session}/revoke"), "DELETE", format!("/sessions/{session}")),
        (format!("/host-rules/{rule}/remove"), "DELETE", format!("/host-rules/{rule}")),
        ("/queue-rules/a*/remove".into(), "DELETE", "/queues/rules/a*".into()),
        same("/broker/rotate".into()),
    ] {
        let input = path.ends_with("/replay").then(|| json!({ "reason": "to see" }));
        let input = input.or_else(|| path.ends_with("/reset").then(|| json!({})));
        let planned = world.operate(method, &format!("{path}?plan=1"), input).await;
        let lines = planned["plan"].as_array().unwrap();
        assert!(!lines.is_empty(), "{path}");
        let page = admin.get(&world, &page).await;
        for line in lines {
            assert!(!line.as_str().unwrap().contains("0000-01-01"), "no moment that never was: {line}");
            let line = line.as_str().unwrap().replace('>', "&gt;");
            assert!(page.text().contains(&line), "{path}: {line}\n{}", page.text());
        }
    }
    assert!(world.broker.calls().iter().all(|call| call.starts_with("GET ")), "{:?}", world.broker.calls());
    for action in [
        "loop.run",
        "loop.pause",
        "loop.resume",
        "queue.condemn",
        "connection.condemn",
        "namespace.rotate",
        "client.disable",
        "client.delete",
        "role.delete",
    ] {
        assert!(world.audited(action).await.is_empty(), "{action}");
    }
}

#[tokio::test]
async fn a_dry_run_fails_as_the_change_would() {
    let world = World::start().await;
    let operator = Operator::connect(&world.settings).unwrap();
    for (path, kind) in [
        ("/loops/rotate/release", Kind::Conflict),
        ("/loops/none/pause", Kind::NotFound),
        ("/queues/x/purge", Kind::NotFound),
    ] {
        for asked in [format!("{path}?plan=1"), path.to_owned()] {
            let input = (asked == path && path.contains("purge")).then(|| json!({ "reason": "why" }));
            let error = operator.call("POST", &asked, input).await.unwrap_err();
            assert_eq!(error.kind(), kind, "{asked}: {error}");
        }
    }
    let error = operator.call("POST", "/loops/rotate/pause?plan=yes", None).await.unwrap_err();
    assert!(error.message().contains("does not match expression"), "{error}");
}

#[tokio::test]
async fn a_reason_is_welcome_where_none_is_demanded() {
    let world = World::start().await;
    world.operate("POST", "/loops/rotate/pause?reason=the%20broker%20moves", None).await;
    assert_eq!(world.audited("loop.pause").await[0]["details"]["reason"], "the broker moves");
    world.operate("POST", "/loops/rotate/resume", None).await;
    let long = "x".repeat(2000);
    let operator = Operator::connect(&world.settings).unwrap();
    let error = operator.call("POST", &format!("/loops/rotate/pause?reason={long}"), None).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid);
}

#[tokio::test]
async fn every_page_that_changes_something_by_an_action_shows_its_plan_first() {
    let table = console::routes();
    let posts = |path: &str| table.iter().any(|route| route.method == "POST" && route.path == path);
    let planned = table.iter().filter(|route| route.method == "GET" && posts(route.path));
    assert!(planned.count() > 25);
    let world = World::start().await;
    let admin = Browser::signed_in(&world, Role::Admin).await;
    has(
        &admin.get(&world, "/loops/rotate/pause").await,
        &["Pause rotate", "keylender loop pause rotate", "/pause&#34;"],
    );
}
