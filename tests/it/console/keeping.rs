//! Pages about the appliance itself: loops, backups, notices, leases, queues, the broker, and the overview of all.

use keylender::base::NamespaceName;
use keylender::domain::auth::Caller;
use keylender::domain::namespaces::Claim;
use keylender::domain::operators::Role;

use super::browser::Browser;
use super::has;
use crate::wire::Answer;
use crate::world::{NAMESPACE, World};

/// Where a change goes on to.
fn goes_to(answer: &Answer, path: &str) {
    let location = answer.header("location").unwrap_or_default();
    assert!(answer.status == 303 && location.starts_with(&format!("{path}?entry=")), "{answer:?}");
}

async fn claimed() -> World {
    let world = World::start().await;
    let client = world.client("builds", &["pulse:namespace:taskcluster-*"]).await;
    assert_eq!(world.claim(&client, NAMESPACE, "{}").await.status, 200);
    world
}

#[tokio::test]
async fn loops_show_their_plan_and_are_run_paused_and_resumed() {
    let world = World::start().await;
    let (viewer, operator) =
        (Browser::signed_in(&world, Role::Viewer).await, Browser::signed_in(&world, Role::Operator).await);
    has(&viewer.get(&world, "/loops").await, &["reconcile", "monitor", "Next run", "keylender loop list"]);
    let page = viewer.get(&world, "/loops/rotate").await;
    has(&page, &["What a run would do now", "keylender loop plan rotate"]);
    assert!(!page.text().contains("Run now"));
    goes_to(&operator.post(&world, "/loops/rotate/run", &[]).await, "/loops/rotate");
    goes_to(&operator.post(&world, "/loops/rotate/pause", &[]).await, "/loops/rotate");
    has(&operator.get(&world, "/loops/rotate").await, &["paused", "Resume", "when it is resumed"]);
    has(&operator.get(&world, "/").await, &["Loop rotate: paused", "href=\"/loops/rotate\""]);
    goes_to(&operator.post(&world, "/loops/rotate/resume", &[]).await, "/loops/rotate");
    for action in ["loop.run", "loop.pause", "loop.resume"] {
        assert_eq!(world.audited(action).await[0]["actor"]["operator"], "operator", "{action}");
    }
    assert_eq!(operator.post(&world, "/loops/rotate/release", &[("reason", "looked")]).await.status, 409);
    assert_eq!(operator.get(&world, "/loops/rotate/release").await.status, 409);
    assert_eq!(operator.get(&world, "/loops/none").await.status, 404);
}

#[tokio::test]
async fn a_backup_is_taken_verified_and_downloaded_with_an_entry_first() {
    let world = World::start().await;
    let (operator, admin) =
        (Browser::signed_in(&world, Role::Operator).await, Browser::signed_in(&world, Role::Admin).await);
    has(&operator.get(&world, "/backups").await, &["There is no backup so far", "Take one now"]);
    has(&operator.get(&world, "/").await, &["There is no backup yet"]);
    goes_to(&operator.post(&world, "/backups", &[]).await, "/backups");
    let name = world.audited("backup.take").await[0]["object"].as_str().unwrap().to_owned();
    let home = format!("/backups/{name}");
    has(&operator.get(&world, "/backups").await, &[&name, "whole"]);
    goes_to(&operator.post(&world, &format!("{home}/verify"), &[]).await, &home);
    let path = format!("{home}/download");
    assert_eq!(operator.post(&world, &path, &[("reason", "x")]).await.status, 403);
    has(&admin.get(&world, &path).await, &["It is sealed", "name=\"reason\""]);
    assert_eq!(admin.post(&world, &path, &[("reason", "")]).await.status, 400);
    assert!(world.audited("backup.download").await.is_empty());
    let file = admin.post(&world, &path, &[("reason", "to the safe")]).await;
    assert_eq!((file.status, file.header("content-type")), (200, Some("application/octet-stream")));
    assert!(file.header("content-disposition").unwrap().contains(&name));
    let stored = std::fs::read(world.settings.data_dir.join("backups").join(&name)).unwrap();
    assert_eq!(file.header("content-length").unwrap().parse::<usize>().unwrap(), stored.len());
    let entry = &world.audited("backup.download").await[0];
    assert_eq!((&entry["object"], &entry["details"]["reason"]), (&name.as_str().into(), &"to the safe".into()));
    for wrong in ["..%2Fkeylender.redb", "keylender-none.backup"] {
        assert_eq!(admin.post(&world, &format!("/backups/{wrong}/download"), &[("reason", "x")]).await.status, 404);
    }
}

#[tokio::test]
async fn leases_are_narrowed_down_and_taken_back_by_a_plan_with_a_reason() {
    let world = claimed().await;
    let operator = Browser::signed_in(&world, Role::Operator).await;
    let all = operator.get(&world, "/leases").await;
    has(&all, &[NAMESPACE, "client builds", "keylender lease list"]);
    assert!(!all.text().contains("Revoke what fits"), "nothing says which");
    let some = operator.get(&world, "/leases?kind=namespace&prefix=taskcluster-").await;
    has(&some, &["/leases/revoke?kind=namespace", "keylender lease list --kind namespace --prefix taskcluster-"]);
    assert_eq!(operator.get(&world, "/leases?kind=nonsense").await.status, 400);
    has(&operator.get(&world, "/leases?name=none").await, &["Nothing that fits is lent now"]);
    assert_eq!(operator.get(&world, "/leases/revoke?name=none").await.status, 409);
    assert_eq!(operator.get(&world, "/leases/revoke").await.status, 400, "everything is never meant");
    let plan = operator.get(&world, "/leases/revoke?kind=namespace&prefix=taskcluster-").await;
    has(&plan, &["Revoke one thing", "replace both passwords", "name=\"prefix\" value=\"taskcluster-\""]);
    let fields = [("kind", "namespace"), ("prefix", "taskcluster-"), ("reason", "")];
    assert_eq!(operator.post(&world, "/leases/revoke", &fields).await.status, 400);
    assert_eq!(operator.post(&world, "/leases/revoke", &[("reason", "x")]).await.status, 400);
    let fields = [("kind", "namespace"), ("prefix", "taskcluster-"), ("reason", "stolen")];
    goes_to(&operator.post(&world, "/leases/revoke", &fields).await, "/leases");
    assert_eq!(world.audited("namespace.revoke").await[0]["details"]["reason"], "stolen");
}

#[tokio::test]
async fn queues_are_as_the_monitor_counted_them_and_rules_come_and_go() {
    let world = claimed().await;
    let operator = Browser::signed_in(&world, Role::Operator).await;
    has(&operator.get(&world, "/queues").await, &["has counted no queue", "keylender loop run monitor"]);
    has(&operator.get(&world, "/queue-rules").await, &["There is no rule"]);
    let rule = [
        ("pattern", "queue/<b>/*"),
        ("warn", "10"),
        ("delete", "20"),
        ("exempt", "2026-12-24T00:00:00Z"),
        ("reason", "holidays"),
    ];
    goes_to(&operator.post(&world, "/queue-rules", &rule).await, "/queue-rules");
    let page = operator.get(&world, "/queue-rules").await;
    has(&page, &["queue/&lt;b&gt;/*", "2026-12-24", "holidays"]);
    let wrong = [("pattern", "a"), ("warn", "30"), ("delete", "20"), ("exempt", ""), ("reason", "x")];
    assert_eq!(operator.post(&world, "/queue-rules", &wrong).await.status, 400);
    let remove = "/queue-rules/queue%2F%3Cb%3E%2F%2A/remove";
    has(&operator.get(&world, remove).await, &["Remove the rule of queue/&#60;b&#62;/*", "keylender queue unrule"]);
    goes_to(&operator.post(&world, remove, &[("reason", "over")]).await, "/queue-rules");
    assert_eq!(world.audited("queue_rule.remove").await[0]["details"]["reason"], "over");
}

#[tokio::test]
async fn notices_are_tested_and_the_broker_says_who_we_are() {
    let world = World::start().await;
    let (operator, admin) =
        (Browser::signed_in(&world, Role::Operator).await, Browser::signed_in(&world, Role::Admin).await);
    has(&operator.get(&world, "/notices").await, &["nothing to tell anybody", "Send a test"]);
    assert_eq!(operator.post(&world, "/notices", &[("to", "no address")]).await.status, 400);
    goes_to(&operator.post(&world, "/notices", &[("to", "ada@example.org")]).await, "/notices");
    has(&operator.get(&world, "/notices").await, &["a test of Keylender", "ada@example.org"]);
    let id = world.audited("notice.post").await[0]["object"].as_str().unwrap().to_owned();
    has(&operator.get(&world, &format!("/notices/{id}")).await, &["operator operator asked for this test"]);
    assert_eq!(operator.post(&world, &format!("/notices/{id}/resend"), &[]).await.status, 409);
    assert_eq!(operator.post(&world, &format!("/notices/{id}/drop"), &[("reason", "x")]).await.status, 409);

    has(&operator.get(&world, "/broker").await, &["We act as", "keylender broker show"]);
    assert_eq!(operator.get(&world, "/broker/rotate").await.status, 403);
    has(&admin.get(&world, "/broker/rotate").await, &["the one before stays in force", "name=\"reason\""]);
}

#[tokio::test]
async fn pages_stay_short_with_ten_thousand_namespaces() {
    let world = World::start().await;
    let namespaces = &world.appliance().namespaces;
    let caller = Caller::local("test", "r");
    let count = if cfg!(debug_assertions) { 300 } else { 10_000 };
    for number in 0..count {
        let name = NamespaceName::parse(&format!("taskcluster-{number:05}")).unwrap();
        let claim = Claim { contact: Some(format!("{}@example.org", "a".repeat(60))), ..Claim::default() };
        namespaces.claim(&caller, &name, claim).await.unwrap();
    }
    let viewer = Browser::signed_in(&world, Role::Viewer).await;
    for path in ["/", "/namespaces", "/namespaces?page=3&sort=-claimed", "/namespaces?q=local", "/leases", "/loops"] {
        let page = viewer.get(&world, path).await;
        assert!(page.status == 200 && page.text().len() < 200_000, "{path}: {}", page.text().len());
    }
    has(&viewer.get(&world, "/namespaces").await, &[&format!("1–50 of {count}"), "rel=\"next\"", "local test"]);
    let sorted = viewer.get(&world, "/namespaces?sort=-name").await;
    assert!(sorted.text().contains(&format!("taskcluster-{:05}", count - 1)) && !sorted.text().contains("-00001"));
}
