//! Pages about what namespaces have at the broker: who is connected, which exchanges there are, one queue, and what an operator does about it.

use std::time::Duration;

use keylender::base::Secret;
use keylender::domain::operators::Role;
use keylender::ports::broker::{Binding, Destination, Exchange, Queue, Topology};
use serde_json::json;

use super::browser::Browser;
use super::has;
use crate::world::{BEGIN, NAMESPACE, World, segment};

pub const QUEUE: &str = "queue/taskcluster-foo/jobs";
pub const EXCHANGE: &str = "exchange/taskcluster-foo/events";

/// A world in which a namespace has a connection, a queue and an exchange, beside those of others.
pub async fn world() -> (World, String) {
    let world = World::start().await;
    let client = world.client("builds", &["pulse:namespace:taskcluster-*"]).await;
    let claimed = world.claim(&client, NAMESPACE, "{}").await.json();
    let url = claimed["connectionString"].as_str().unwrap().to_owned();
    let password = Secret::new(url.split([':', '@']).nth(2).unwrap());
    let (broker, vhost) = (&world.broker, world.settings.namespaces.amqp.vhost.clone());
    let connection = broker.connect("taskcluster-foo-1", &password, &vhost, BEGIN).unwrap();
    for (name, messages) in [(QUEUE, 12), ("somebody-elses", 3)] {
        let (messages, consumers) = (Some(messages), Some(2));
        let (ready, unacknowledged) = (messages.map(|messages| messages - 1), Some(1));
        let name = name.into();
        let queue = Queue { name, messages, ready, unacknowledged, consumers, ..Queue::default() };
        broker.put_queue(&vhost, queue);
    }
    for name in [EXCHANGE, "events-of-others"] {
        broker.put_exchange(&vhost, Exchange { name: name.into(), kind: Some("topic".into()) });
    }
    bind(&world, EXCHANGE, Destination::Queue(QUEUE.into()), "route.#");
    (world, connection)
}

fn bind(world: &World, source: &str, destination: Destination, routing_key: &str) {
    let binding = Binding { source: source.into(), destination, routing_key: routing_key.into() };
    world.broker.bind(&world.settings.namespaces.amqp.vhost, binding);
}

#[tokio::test]
async fn connections_and_exchanges_of_namespaces_are_listed_and_a_connection_is_closed_with_a_reason() {
    let (world, connection) = world().await;
    let (viewer, operator) =
        (Browser::signed_in(&world, Role::Viewer).await, Browser::signed_in(&world, Role::Operator).await);
    has(&viewer.get(&world, "/connections").await, &["127.0.0.1:5672", "taskcluster-foo-1", "data-title=\"Slot\">1<"]);
    let exchanges = viewer.get(&world, "/exchanges").await;
    has(&exchanges, &["exchange/taskcluster-foo/events", "topic", "keylender connection exchanges"]);
    assert!(!exchanges.text().contains("events-of-others"), "it belongs to no namespace");

    let page = operator.get(&world, &format!("/namespaces/{NAMESPACE}")).await;
    has(
        &page,
        &["/close\">close</a>", "exchange/taskcluster-foo/events", "What its users may do", "^(queue/taskcluster-foo/"],
    );
    let close = format!("/connections/{}/close", segment(&connection));
    assert_eq!(viewer.get(&world, &close).await.status, 403);
    has(&operator.get(&world, &close).await, &["Its client reads the reason", "keylender connection close"]);
    assert_eq!(operator.post(&world, &close, &[("reason", "")]).await.status, 400);
    let closed = operator.post(&world, &close, &[("reason", "old password")]).await;
    assert!(closed.header("location").unwrap().starts_with("/connections?entry="), "{closed:?}");
    let entry = world.audited("connection.close").await.pop().unwrap();
    assert_eq!(
        (&entry["object"], &entry["details"]["reason"]),
        (&connection.into(), &"old password".into()),
        "{entry}"
    );
    assert_eq!(entry["details"]["user"], "taskcluster-foo-1");
    has(&viewer.get(&world, "/connections").await, &["Nobody is connected"]);
    assert_eq!(operator.post(&world, &close, &[("reason", "again")]).await.status, 404);
    assert_eq!(world.audited("connection.close").await.len(), 1, "nothing was there to close");
}

#[tokio::test]
async fn lists_say_what_namespaces_and_queues_carry_as_the_monitor_saw_it_last() {
    let (world, _) = world().await;
    let viewer = Browser::signed_in(&world, Role::Viewer).await;
    let export = async |path: &str| viewer.get(&world, path).await.json()[0].clone();
    for _ in 0..2 {
        world.appliance().loops.run("monitor").await.unwrap();
        world.clock.advance(Duration::from_secs(60));
    }
    let seen = export("/namespaces?export=json").await;
    assert_eq!((&seen["first"], &seen["second"], &seen["queued"]), (&1.into(), &0.into(), &12.into()), "{seen}");

    let queue = export("/queues?export=json").await;
    let told = ["messages", "ready", "unacked", "consumers"].map(|column| queue[column].as_u64().unwrap());
    assert_eq!((told, &queue["lately"]), ([12, 11, 1, 2], &json!([12, 12])), "{queue}");
    has(&viewer.get(&world, "/queues").await, &["from 12 to 12 messages in 1 minutes", "data-title=\"Consumers\">2<"]);
    // What the broker alone knows stays open while it is away; all else is there.
    world.broker.go_away();
    let queue = export("/queues?export=json").await;
    assert!(queue["consumers"].is_null() && queue["ready"] == 11, "{queue}");
    has(&viewer.get(&world, "/queues").await, &["data-title=\"Consumers\"><"]);
}

#[tokio::test]
async fn a_queue_is_shown_exempted_purged_and_deleted_by_hand() {
    let (world, _) = world().await;
    let (admin, viewer) =
        (Browser::signed_in(&world, Role::Admin).await, Browser::signed_in(&world, Role::Viewer).await);
    let home = format!("/queues/{}", segment(QUEUE));
    has(&viewer.get(&world, &home).await, &[QUEUE, "Messages", ">12<", "not counted it often enough"]);
    for _ in 0..3 {
        world.appliance().loops.run("monitor").await.unwrap();
        world.clock.advance(Duration::from_secs(60));
    }
    let page = admin.get(&world, &home).await;
    has(&page, &["<polyline", "from 12 to 12 messages in 2 minutes", "in order", "Warned over", "/purge", "/delete"]);
    assert_eq!(viewer.get(&world, &format!("/queues/{}", segment("somebody-elses"))).await.status, 404);

    let rule = json!({"warnMessages": 5, "deleteMessages": 10, "unconsumedSeconds": 3600});
    world.operate("PUT", &format!("/queues/rules/{}", segment("queue/*")), Some(rule)).await;
    let exempted = admin.post(&world, &format!("{home}/exempt"), &[("hours", "24"), ("reason", "release day")]).await;
    assert!(exempted.header("location").unwrap().starts_with(&home), "{exempted:?}");
    let rules = world.operate("GET", "/queues/rules", None).await;
    let own = rules["rules"].as_array().unwrap().iter().find(|rule| rule["pattern"] == QUEUE).unwrap();
    assert_eq!(
        (&own["warnMessages"], &own["unconsumedSeconds"]),
        (&json!(5), &json!(3600)),
        "what held goes on: {own}"
    );
    assert_eq!(own["remark"], "release day");
    has(&admin.get(&world, &home).await, &["Exempt until", "exempt</"]);
    assert_eq!(admin.post(&world, &format!("{home}/exempt"), &[("hours", "9"), ("reason", "x")]).await.status, 400);

    has(&admin.get(&world, &format!("{home}/purge")).await, &["12 are in it now", "keylender queue purge"]);
    assert_eq!(admin.post(&world, &format!("{home}/purge"), &[("reason", "poisoned")]).await.status, 303);
    assert_eq!(
        world.broker.queue(&world.settings.namespaces.amqp.vhost, QUEUE).await.unwrap().unwrap().messages,
        Some(1)
    );
    assert_eq!(world.audited("queue.purge").await.pop().unwrap()["details"]["messages"], 12);

    let shown = world.operate("GET", &home, None).await;
    assert_eq!((&shown["messages"], shown["counts"].as_array().unwrap().len()), (&json!(1), 3), "{shown}");
    assert_eq!(admin.post(&world, &format!("{home}/delete"), &[("reason", "nobody reads it")]).await.status, 303);
    assert_eq!(world.broker.queue(&world.settings.namespaces.amqp.vhost, QUEUE).await.unwrap(), None);
    assert_eq!(world.audited("queue.delete").await.pop().unwrap()["details"]["reason"], "nobody reads it");
    assert_eq!(admin.get(&world, &home).await.status, 404);
    let mine = "queue/taskcluster-foo/mine";
    let queue = Queue { name: mine.into(), exclusive: Some(true), ..Queue::default() };
    world.broker.put_queue(&world.settings.namespaces.amqp.vhost, queue);
    let refused = admin.post(&world, &format!("/queues/{}/delete", segment(mine)), &[("reason", "x")]).await;
    assert_eq!(refused.status, 409, "it belongs to a connection");
    let entry = world.audited("queue.delete").await.pop().unwrap();
    assert_eq!((&entry["object"], &entry["outcome"]), (&mine.into(), &"failed".into()), "{entry}");
    assert_eq!(world.audited("queue.condemn").await.len(), 3, "each was written down before");
    let other = format!("/queues/{}/delete", segment("somebody-elses"));
    assert_eq!(admin.post(&world, &other, &[("reason", "x")]).await.status, 404, "only what a namespace has");
    assert!(world.broker.queue(&world.settings.namespaces.amqp.vhost, "somebody-elses").await.unwrap().is_some());
}

#[tokio::test]
async fn an_exchange_shows_where_it_hands_messages_on_to() {
    let (world, _) = world().await;
    let (vhost, viewer) =
        (world.settings.namespaces.amqp.vhost.clone(), Browser::signed_in(&world, Role::Viewer).await);
    let audit = "exchange/taskcluster-foo/audit";
    world.broker.put_exchange(&vhost, Exchange { name: audit.into(), kind: None });
    bind(&world, EXCHANGE, Destination::Exchange(audit.into()), "#");
    bind(&world, EXCHANGE, Destination::Queue("somebody-elses".into()), "<b>bold</b> \u{202e}evil");
    bind(&world, "events-of-others", Destination::Queue(QUEUE.into()), "not of this one");
    let asked = |what: &str| world.broker.calls().iter().filter(|call| call.contains(what)).count();
    let before = asked("GET bindings");
    let list = viewer.get(&world, "/exchanges").await;
    let home = format!("/exchanges/{}", segment(EXCHANGE));
    has(&list, &[&format!("href=\"{home}\""), "data-title=\"Bindings\">3<", "data-title=\"Bindings\">0<"]);
    assert_eq!(asked("GET bindings") - before, 1, "once for all rows");

    let page = viewer.get(&world, &home).await;
    has(&page, &[EXCHANGE, "topic", "route.#", "keylender connection bindings exchange/taskcluster-foo/events"]);
    for path in [format!("/queues/{}", segment(QUEUE)), format!("/exchanges/{}", segment(audit))] {
        has(&page, &[&format!("<a href=\"{path}\">")]);
    }
    assert!(!page.text().contains(&format!("/queues/{}", segment("somebody-elses"))), "it has no page here");
    has(&page, &["&lt;b&gt;bold&lt;/b&gt; <span class=\"unseen\">U+202E</span>evil", "somebody-elses"]);
    assert!(!page.text().contains("not of this one") && !page.text().contains('\u{202e}'));
    let exchanges = viewer.get(&world, &format!("{home}?q=kind%3Aexchange")).await;
    has(&exchanges, &["1–1 of 1", "3 without the filter"]);
    assert!(!exchanges.text().contains("route.#"));
    let rows = viewer.get(&world, &format!("{home}?export=json&sort=-to")).await.json();
    assert_eq!(
        rows[0],
        json!({"to": "somebody-elses", "kind": "queue", "namespace": "none", "key": "<b>bold</b> \u{202e}evil"})
    );

    has(&viewer.get(&world, &format!("/exchanges/{}", segment(audit))).await, &["not told", "Nothing is bound to it"]);
    for none in ["events-of-others", "exchange/taskcluster-foo/none"] {
        let page = viewer.get(&world, &format!("/exchanges/{}", segment(none))).await;
        assert_eq!(page.status, 404, "{none}");
        assert!(page.text().contains("no namespace has an exchange of this name now"), "{}", page.text());
    }
    let shown = world.operate("GET", &format!("/exchanges/{}", segment(EXCHANGE)), None).await;
    let to_queue =
        json!({"destination": QUEUE, "destinationType": "queue", "namespace": NAMESPACE, "routingKey": "route.#"});
    assert!(shown["count"] == 3 && shown["bindings"].as_array().unwrap().contains(&to_queue), "{shown}");

    world.broker.go_away();
    for path in ["/exchanges", &home] {
        let page = viewer.get(&world, path).await;
        assert_eq!(page.status, 503, "{path}");
        assert!(page.text().contains("the broker does not answer"), "{}", page.text());
    }
}
