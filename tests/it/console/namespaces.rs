//! What operators do with namespaces, one or several: a later end, a note, a rotation, a removal.

use keylender::base::audit::{Action, Actor, Note};
use keylender::domain::operators::Role;

use super::browser::Browser;
use super::has;
use crate::world::{NAMESPACE, World};

const OTHER: &str = "taskcluster-bar";

async fn world() -> (World, Browser, Browser) {
    let world = World::start().await;
    let client = world.client("builds", &["pulse:namespace:taskcluster-*"]).await;
    for name in [NAMESPACE, OTHER] {
        let claim = world.claim(&client, name, r#"{"expires":"2026-12-01T00:00:00Z"}"#).await;
        assert_eq!(claim.status, 200, "{claim:?}");
    }
    let viewer = Browser::signed_in(&world, Role::Viewer).await;
    let operator = Browser::signed_in(&world, Role::Operator).await;
    (world, viewer, operator)
}

#[tokio::test]
async fn several_are_rotated_and_removed_with_one_plan_that_names_each() {
    let (world, viewer, operator) = world().await;
    assert!(!viewer.get(&world, "/namespaces").await.text().contains("type=\"checkbox\""));
    has(&operator.get(&world, "/namespaces").await, &["aria-label=\"Choose taskcluster-bar\"", "With the chosen ones"]);
    let both = format!("?name={NAMESPACE}&name={OTHER}");
    let plan = operator.get(&world, &format!("/many/namespaces/rotate{both}")).await;
    has(
        &plan,
        &[
            "Rotate 2 namespaces",
            "taskcluster-foo: the present",
            "taskcluster-bar: the present",
            "for name in taskcluster-foo taskcluster-bar; do keylender namespace rotate",
        ],
    );
    for none in ["", "?name=taskcluster-none", "?name=%3Cb%3E"] {
        let status = operator.get(&world, &format!("/many/namespaces/rotate{none}")).await.status;
        assert!(status == 400 || status == 404, "{none}: {status}");
    }
    let fields = [("name", NAMESPACE), ("name", OTHER)];
    let done = operator.post(&world, "/many/namespaces/rotate", &fields).await;
    assert!(done.header("location").unwrap().starts_with("/namespaces?entry="), "{done:?}");
    let rotated = world.audited("namespace.rotate").await;
    assert!([NAMESPACE, OTHER].iter().all(|name| rotated.iter().any(|entry| entry["object"] == *name)), "{rotated:?}");
    let again = operator.post(&world, "/many/namespaces/rotate", &fields).await;
    assert!(again.status == 409 && again.text().contains("Done for 0 of 2"), "{}", again.text());

    has(
        &operator.get(&world, &format!("/many/namespaces/expire{both}")).await,
        &["Remove 2 namespaces", "plan destroys"],
    );
    assert_eq!(operator.post(&world, "/many/namespaces/expire", &fields).await.status, 400, "without a reason");
    let some = [("name", NAMESPACE), ("name", "taskcluster-none"), ("name", OTHER), ("reason", "nobody uses them")];
    let partly = operator.post(&world, "/many/namespaces/expire", &some).await;
    assert!(
        partly.text().contains("Done for 2 of 3") && partly.text().contains("taskcluster-none:"),
        "{}",
        partly.text()
    );
    let removed = world.audited("namespace.delete").await;
    assert!(removed.len() == 2 && removed.iter().all(|entry| entry["details"]["reason"] == "nobody uses them"));
}

#[tokio::test]
async fn a_namespace_ends_later_until_a_claim_says_otherwise() {
    let (world, viewer, operator) = world().await;
    let home = format!("/namespaces/{NAMESPACE}");
    let path = format!("{home}/extend");
    assert!(!viewer.get(&world, &home).await.text().contains("name=\"expires\""));
    has(&operator.get(&world, &home).await, &["name=\"expires\" value=\"2026-12-08T00:00:00.000Z\""]);
    let plan = operator.get(&world, &format!("{path}?expires=2026-12-24T00%3A00%3A00Z")).await;
    has(
        &plan,
        &["2026-12-24T00:00:00.000Z instead of 2026-12-01", "namespace extend taskcluster-foo --until", "reason"],
    );
    let form = |expires, reason| [("expires", expires), ("reason", reason)];
    for (expires, reason) in [("2026-12-24T00:00:00Z", ""), ("soon", "x"), ("2026-11-30T00:00:00Z", "x"), ("", "x")] {
        assert_eq!(operator.post(&world, &path, &form(expires, reason)).await.status, 400, "{expires}");
    }
    assert_eq!(operator.post(&world, &path, &form("2026-12-24T00:00:00Z", "a release")).await.status, 303);
    let entry = &world.audited("namespace.extend").await[0];
    assert_eq!(
        (&entry["details"]["reason"], &entry["details"]["expires"]),
        (&"a release".into(), &"2026-12-24T00:00:00.000Z".into())
    );
    let shown = world.operate("GET", &home, None).await;
    assert_eq!(shown["expires"], "2026-12-24T00:00:00.000Z");
}

#[tokio::test]
async fn a_note_is_kept_whole_shown_harmlessly_and_reset_by_no_claim() {
    let (world, viewer, operator) = world().await;
    let home = format!("/namespaces/{NAMESPACE}");
    let note = format!("moves in spring\r\n<b>ask</b> \u{202e}ada\r\n{}", "long ".repeat(100));
    assert_eq!(viewer.post(&world, &format!("{home}/note"), &[("note", "x")]).await.status, 403);
    assert_eq!(operator.post(&world, &format!("{home}/note"), &[("note", &"x".repeat(2001))]).await.status, 400);
    assert_eq!(operator.post(&world, &format!("{home}/note"), &[("note", &note)]).await.status, 303);
    let client = world.client("others", &["pulse:namespace:taskcluster-*"]).await;
    assert_eq!(world.claim(&client, NAMESPACE, r#"{"contact":"b@example.org"}"#).await.status, 200);
    let page = viewer.get(&world, &home).await;
    has(&page, &["moves in spring</bdi>", "&lt;b&gt;ask", "U+202E", "long</bdi>"]);
    assert!(!page.text().contains("<b>ask") && !page.text().contains("more</span>"));
    has(&operator.get(&world, &home).await, &["<textarea id=\"note\"", "&#60;b&#62;ask"]);
    assert!(world.audited("namespace.note").await[0]["details"]["note"].as_str().unwrap().starts_with("moves in"));
    assert_eq!(operator.post(&world, &format!("{home}/note"), &[("note", "")]).await.status, 303);
    has(&viewer.get(&world, &home).await, &["There is none.</p>"]);
}

#[tokio::test]
async fn a_claim_for_a_test_goes_all_the_way_and_hands_its_password_to_nobody() {
    // Nobody listens there.
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let world = World::with(|settings| {
        (settings.namespaces.amqp.hostname, settings.namespaces.amqp.port) = ("127.0.0.1".into(), closed.port());
    })
    .await;
    let client = world.client("builds", &["pulse:namespace:taskcluster-*"]).await;
    let input = r#"{"expires":"2026-12-01T00:00:00Z","contact":"builds@example.org"}"#;
    let lent = world.claim(&client, NAMESPACE, input).await.json();
    let admin = Browser::signed_in(&world, Role::Admin).await;
    let operator = Browser::signed_in(&world, Role::Operator).await;
    has(&admin.get(&world, "/namespaces").await, &["Claim for a test", "value=\"taskcluster-test\""]);
    assert!(!operator.get(&world, "/namespaces").await.text().contains("Claim for a test"));
    assert_eq!(operator.get(&world, &format!("/namespaces/{NAMESPACE}/test")).await.status, 403);

    // One that is there stays as it is.
    let test = format!("/namespaces/{NAMESPACE}/test");
    has(&admin.get(&world, &test).await, &["stay as they are", "keylender namespace test taskcluster-foo"]);
    let page = admin.post(&world, &test, &[]).await;
    has(&page, &["answered</span>", "taskcluster-foo-1", "not known", "Its audit entry", "TASKCLUSTER_AMQP_HOSTNAME"]);
    let password = lent["connectionString"].as_str().unwrap().split([':', '@']).nth(2).unwrap();
    assert!(password.len() > 20 && !page.text().contains(password));
    assert_eq!(world.claim(&client, NAMESPACE, input).await.json(), lent, "the service sees nothing of it");
    let claims = world.audited("namespace.claim").await;
    let tested = claims.iter().find(|entry| entry["details"]["reason"] == "a test").expect("an entry of the test");
    assert!(tested["actor"].to_string().contains("operator"), "{tested}");

    // One that is not there is made, and goes by itself.
    let chosen = admin.get(&world, "/test-claim?name=taskcluster-test").await;
    assert_eq!((chosen.status, chosen.header("location")), (303, Some("/namespaces/taskcluster-test/test")));
    for wrong in ["", "x", "taskcluster-%3Cb%3E", "//elsewhere.example"] {
        assert_eq!(admin.get(&world, &format!("/test-claim?name={wrong}")).await.status, 400, "{wrong}");
    }
    has(&admin.get(&world, "/namespaces/taskcluster-test/test").await, &["goes by itself after 60 minutes"]);
    has(&admin.post(&world, "/namespaces/taskcluster-test/test", &[]).await, &["taskcluster-test-1"]);
    let made = world.operate("GET", "/namespaces/taskcluster-test", None).await;
    assert_eq!((&made["expires"], &made["contact"]), (&"2026-11-20T13:00:00.000Z".into(), &serde_json::Value::Null));

    world.broker.go_away();
    let failed = admin.post(&world, "/namespaces/taskcluster-other/test", &[]).await;
    assert!(failed.status == 503 && failed.text().contains("The claim failed"), "{}", failed.text());
}

#[tokio::test]
async fn the_receipt_of_a_change_is_there_however_much_was_written_meanwhile() {
    // The claim is written before the login over AMQP that this one lets wait.
    let busy = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = busy.local_addr().unwrap().port();
    let world = World::with(|settings| {
        let amqp = &mut settings.namespaces.amqp;
        (amqp.hostname, amqp.port) = ("127.0.0.1".into(), port);
    })
    .await;
    let admin = Browser::signed_in(&world, Role::Admin).await;
    let others = async {
        let (login, _) = busy.accept().await.unwrap();
        let write = world.appliance().store.write(|tx| {
            for n in 0..6000 {
                tx.audit(Note::done(Actor::Appliance, Action::NamespaceNote, n));
            }
            Ok(())
        });
        write.await.unwrap();
        drop(login);
    };
    let test = format!("/namespaces/{NAMESPACE}/test");
    let (page, ()) = tokio::join!(admin.post(&world, &test, &[]), others);
    let claims = world.operate("GET", "/audit?action=namespace.claim", None).await;
    has(&page, &["Its audit entry", &format!("/audit/{}\"", claims["entries"][0]["seq"])]);
}
