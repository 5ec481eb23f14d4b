//! Pages about the message bus: what is lent there, and what an operator does about it.

use keylender::domain::operators::Role;

use super::browser::Browser;
use super::has;
use crate::wire::Ask;
use crate::world::{NAMESPACE, World};

/// A world in which one client claimed one namespace.
async fn world() -> World {
    let world = World::start().await;
    let client = world.client("builds", &["pulse:namespace:taskcluster-*"]).await;
    let claim = world.claim(&client, NAMESPACE, r#"{"contact":"team@example.org"}"#).await;
    assert_eq!(claim.status, 200, "{claim:?}");
    world
}

#[tokio::test]
async fn namespaces_are_listed_found_and_exported() {
    let empty = World::start().await;
    let viewer = Browser::signed_in(&empty, Role::Viewer).await;
    has(&viewer.get(&empty, "/namespaces").await, &["No namespace was claimed so far", "keylender claim"]);
    let world = world().await;
    let viewer = Browser::signed_in(&world, Role::Viewer).await;
    let list = viewer.get(&world, "/namespaces").await;
    has(
        &list,
        &[NAMESPACE, "team@example.org", "client builds from 127.0.0.1", "1–1 of 1", "keylender namespace list"],
    );
    for (filter, is_found) in [("foo", true), ("by:builds", true), ("by:127", true), ("contact:nobody", false)] {
        let page = viewer.get(&world, &format!("/namespaces?q={}", filter.replace(':', "%3A"))).await;
        assert_eq!(page.text().contains("client builds"), is_found, "{filter}");
    }
    let csv = viewer.get(&world, "/namespaces?export=csv").await;
    assert!(
        csv.text().contains("taskcluster-foo,lent,team@example.org,")
            && csv.text().contains(",client builds from 127.0.0.1")
    );
    let page = viewer.get(&world, &format!("/namespaces/{NAMESPACE}")).await;
    has(&page, &["taskcluster-foo-1", "taskcluster-foo-2", "lent now", "client builds", "does not read the audit log"]);
    assert!(!page.text().contains("Rotate now") && !page.text().contains("/expire\""));
    assert_eq!(viewer.get(&world, "/namespaces/taskcluster-none").await.status, 404);
}

#[tokio::test]
async fn a_namespace_is_rotated_revoked_and_removed_with_a_plan_and_a_reason() {
    let world = world().await;
    let (operator, admin) =
        (Browser::signed_in(&world, Role::Operator).await, Browser::signed_in(&world, Role::Admin).await);
    let home = format!("/namespaces/{NAMESPACE}");
    has(&operator.get(&world, &format!("{home}/rotate")).await, &["Nobody is cut off", "keylender namespace rotate"]);
    let rotated = operator.post(&world, &format!("{home}/rotate"), &[]).await;
    let entry = world.audited("namespace.rotate").await.pop().unwrap();
    assert_eq!(entry["actor"]["operator"], "operator");
    assert!(rotated.header("location").unwrap().starts_with(&format!("{home}?entry=")), "{rotated:?}");
    let page = admin.get(&world, &home).await;
    has(&page, &["namespace.rotate", "namespace.claim", "replaced, works on", "/audit/"]);

    has(
        &operator.get(&world, &format!("{home}/revoke")).await,
        &["replace both passwords", "plan destroys", "lease revoke"],
    );
    assert_eq!(operator.post(&world, &format!("{home}/revoke"), &[("reason", "")]).await.status, 400);
    assert_eq!(operator.post(&world, &format!("{home}/revoke"), &[("reason", "in a log")]).await.status, 303);
    let revoked = world.audited("lease.revoke").await;
    assert_eq!((&revoked[0]["object"], &revoked[0]["details"]["reason"]), (&NAMESPACE.into(), &"in a log".into()));

    has(
        &operator.get(&world, &format!("{home}/expire")).await,
        &["are deleted with all messages", "cannot be taken back"],
    );
    assert_eq!(operator.post(&world, &format!("{home}/expire"), &[("reason", "")]).await.status, 400);
    let gone = operator.post(&world, &format!("{home}/expire"), &[("reason", "nobody uses it")]).await;
    assert!(gone.header("location").unwrap().starts_with("/namespaces?entry="), "{gone:?}");
    assert_eq!(world.audited("namespace.delete").await[0]["details"]["reason"], "nobody uses it");
    assert_eq!(operator.get(&world, &home).await.status, 404);
}

#[tokio::test]
async fn a_hand_over_link_is_shown_once_and_owners_come_and_go() {
    let world = world().await;
    let (operator, admin) =
        (Browser::signed_in(&world, Role::Operator).await, Browser::signed_in(&world, Role::Admin).await);
    let home = format!("/namespaces/{NAMESPACE}");
    assert_eq!(operator.get(&world, &format!("{home}/hand-over")).await.status, 403);
    let made = admin.post(&world, &format!("{home}/hand-over"), &[]).await;
    has(&made, &["http://keylender.test/wraps/", "shown only now"]);
    assert_eq!(made.header("cache-control"), Some("no-store"));
    let (_, rest) = made.text().split_once("http://keylender.test/wraps/").unwrap();
    let link = format!("/wraps/{}", rest.split('<').next().unwrap());
    let opened = world.ask(&Ask::new("POST", &link).body("")).await;
    assert!(opened.status == 200 && opened.text().contains("amqp://"), "{opened:?}");
    assert_eq!(world.audited("wrap.make").await[0]["actor"]["operator"], "admin");
    has(&admin.get(&world, &home).await, &["team@example.org"]);

    let owners = format!("{home}/owners");
    assert_eq!(operator.post(&world, &owners, &[("owner", "not one")]).await.status, 400);
    assert_eq!(operator.post(&world, &owners, &[("owner", "b@example.org")]).await.status, 303);
    has(&operator.get(&world, &home).await, &["value=\"b@example.org\""]);
    assert_eq!(operator.post(&world, &format!("{owners}/remove"), &[("owner", "b@example.org")]).await.status, 303);
    assert!(!operator.get(&world, &home).await.text().contains("b@example.org"));
}
