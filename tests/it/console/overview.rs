//! The first page: what was lent, and what needs somebody.

use std::time::Duration;

use keylender::domain::operators::Role;
use keylender::ports::broker::Queue;

use super::browser::Browser;
use super::has;
use crate::dns::DnsServer;
use crate::hosts::{HOST, NAME, ask_from, lent, set_up};
use crate::world::{NAMESPACE, World};

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn what_was_lent_in_each_hour_of_the_last_day_is_a_chart_with_the_same_in_words() {
    let dns = DnsServer::start().await;
    dns.host(HOST, NAME);
    let mut world = World::with(|settings| set_up(settings, &[&dns])).await;
    let viewer = Browser::signed_in(&world, Role::Viewer).await;
    has(&viewer.get(&world, "/").await, &["0 claims of namespaces and 0 credentials of hosts in all", "role=\"img\""]);
    let client = world.client("builds", &["pulse:namespace:taskcluster-*"]).await;
    for _ in 0..3 {
        assert_eq!(world.claim(&client, NAMESPACE, "{}").await.status, 200);
    }
    world.clock.advance(HOUR);
    lent(&ask_from(&world, HOST).await);
    assert_eq!(ask_from(&world, "192.0.2.99").await.status, 403, "nothing is lent");
    world.restart().await;
    world.clock.advance(HOUR);
    let viewer = Browser::signed_in(&world, Role::Viewer).await;
    let page = viewer.get(&world, "/").await;
    has(
        &page,
        &["3 claims of namespaces and 1 credentials of hosts in all", "most in an hour 3.", "rect class=\"second\""],
    );
    assert_eq!(page.text().matches("<rect").count(), 2, "an hour without any has no bar");
    assert_eq!(page.text().matches("<td class=\"number\">").count(), 48);

    world.clock.advance(22 * HOUR);
    let viewer = Browser::signed_in(&world, Role::Viewer).await;
    has(&viewer.get(&world, "/").await, &["0 claims of namespaces and 1 credentials of hosts in all"]);
    assert_eq!(world.claim(&client, NAMESPACE, "{}").await.status, 200);
    has(&viewer.get(&world, "/").await, &["1 claims of namespaces and 1 credentials of hosts in all"]);
}

#[tokio::test]
async fn everything_is_counted_by_how_it_is() {
    let dns = DnsServer::start().await;
    dns.host(HOST, NAME);
    let world = World::with(|settings| set_up(settings, &[&dns])).await;
    let viewer = Browser::signed_in(&world, Role::Viewer).await;
    let page = viewer.get(&world, "/").await;
    has(&page, &["none so far", "in all", "a directory, from where nobody takes it"]);
    assert!(!page.text().contains("0 paused") && !page.text().contains("0 waiting"), "what is zero is left out");
    let client = world.client("builds", &["pulse:namespace:taskcluster-*"]).await;
    assert_eq!(world.claim(&client, "taskcluster-gone", r#"{"expires":"2026-11-20T12:01:00Z"}"#).await.status, 200);
    assert_eq!(world.claim(&client, NAMESPACE, "{}").await.status, 200);
    lent(&ask_from(&world, HOST).await);
    assert_eq!(ask_from(&world, "192.0.2.99").await.status, 403);
    let (broker, vhost) = (&world.broker, &world.settings.namespaces.amqp.vhost);
    for (name, messages) in [("a", 4001), ("b", 1), ("c", 2)] {
        let name = format!("queue/{NAMESPACE}/{name}");
        broker.put_queue(vhost, Queue { name, messages: Some(messages), ..Queue::default() });
    }
    world.appliance().loops.run("monitor").await.unwrap();
    world.operate("POST", "/loops/backup/pause", None).await;
    world.clock.advance(Duration::from_secs(120));
    let page = viewer.get(&world, "/").await;
    has(&page, &["1 lent, 1 expired", "1 verified, 1 refused", "1 warned, 2 in order", "1 paused"]);
}

#[tokio::test]
async fn an_alarm_that_was_acknowledged_stays_and_is_quiet_until_its_condition_ends_or_changes() {
    let world = World::start().await;
    let (viewer, operator) =
        (Browser::signed_in(&world, Role::Viewer).await, Browser::signed_in(&world, Role::Operator).await);
    let path = "/alarms/backups%20none/acknowledge";
    has(&operator.get(&world, "/").await, &["li class=\"warning\"", "There is no backup yet", "Acknowledge<"]);
    assert!(!viewer.get(&world, "/").await.text().contains("Acknowledge<"));
    let command =
        "keylender alarm acknowledge &#39;backups none&#39; --text &#39;There is no backup yet&#39; --reason why";
    has(
        &operator.get(&world, path).await,
        &["There is no backup yet", "is loud again", "name=\"reason\"", "curl -X PUT", command],
    );
    let form = |text, reason| [("text", text), ("reason", reason)];
    assert_eq!(operator.post(&world, path, &form("There is no backup yet", "")).await.status, 400);
    assert_eq!(operator.post(&world, path, &form("It was something else", "x")).await.status, 409);
    let done = operator.post(&world, path, &form("There is no backup yet", "the disk comes tomorrow")).await;
    assert!(done.header("location").unwrap().starts_with("/?entry="), "{done:?}");
    let entry = &world.audited("alarm.acknowledge").await[0];
    assert_eq!(
        (&entry["object"], &entry["details"]["reason"]),
        (&"backups none".into(), &"the disk comes tomorrow".into())
    );
    let page = viewer.get(&world, "/").await;
    has(&page, &["li class=\"quiet\"", "Acknowledged by <bdi>operator operator", "the disk comes tomorrow"]);

    let alarms = &world.appliance().app.alarms;
    alarms.forget_ended().await.unwrap();
    has(&viewer.get(&world, "/").await, &["li class=\"quiet\""]);
    assert_eq!(operator.post(&world, "/backups", &[]).await.status, 303);
    assert!(!viewer.get(&world, "/").await.text().contains("There is no backup yet"));
    alarms.forget_ended().await.unwrap();
    assert_eq!(world.audited("alarm.end").await.len(), 1);
    for backup in std::fs::read_dir(world.settings.data_dir.join("backups")).unwrap() {
        std::fs::remove_file(backup.unwrap().path()).unwrap();
    }
    has(&viewer.get(&world, "/").await, &["li class=\"warning\"", "There is no backup yet"]);
    assert_eq!(operator.get(&world, "/alarms/none/acknowledge").await.status, 404);
}
