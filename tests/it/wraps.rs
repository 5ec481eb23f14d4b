//! Hand-over links: opened once, by whoever has them, and not by programs that only look.

use std::time::Duration;

use serde_json::{Value, json};

use crate::sign::Client;
use crate::wire::{Answer, Ask};
use crate::world::{NAMESPACE, World};

async fn world() -> (World, Client) {
    let world = World::start().await;
    let client = world.client("builds", &["pulse:namespace:taskcluster-*"]).await;
    (world, client)
}

async fn wrap(world: &World, client: &Client, input: Value) -> Answer {
    world.ask_as(client, &Ask::post(&format!("/api/keylender/v1/wraps/{NAMESPACE}"), &input.to_string())).await
}

async fn link(world: &World, client: &Client) -> String {
    let made = wrap(world, client, json!({})).await;
    assert_eq!(made.status, 200, "{made:?}");
    made.json()["path"].as_str().unwrap().to_owned()
}

async fn open(world: &World, link: &str) -> Answer {
    world.ask(&Ask::new("POST", link).body("")).await
}

fn password(answer: &Answer) -> (String, keylender::base::Secret) {
    let string = answer.json()["connectionString"].as_str().unwrap().to_owned();
    let (user, rest) = string.strip_prefix("amqp://").unwrap().split_once(':').unwrap();
    (user.to_owned(), keylender::base::Secret::new(rest.split_once('@').unwrap().0))
}

#[tokio::test]
async fn a_link_opens_once_and_looking_at_it_does_not_use_it_up() {
    let (world, client) = world().await;
    let link = link(&world, &client).await;
    assert!(world.operate("GET", "/namespaces", None).await["namespaces"].as_array().unwrap().is_empty());
    for _ in 0..3 {
        let page = world.ask(&Ask::get(&link).with("Accept", "text/html,*/*")).await;
        assert_eq!(page.status, 200);
        assert!(page.text().contains("<form method=\"post\">") && page.text().contains(NAMESPACE), "{}", page.text());
        assert!(!page.text().contains("amqp://"));
        assert_eq!(page.header("cache-control"), Some("no-store"));
        assert_eq!(page.header("referrer-policy"), Some("no-referrer"));
        assert_eq!(world.ask(&Ask::new("HEAD", &link)).await.status, 200);
    }
    let opened = open(&world, &link).await;
    assert_eq!((opened.status, opened.header("cache-control")), (200, Some("no-store")));
    let (user, password) = password(&opened);
    assert!(world.broker.can_login(&user, &password));

    for method in ["POST", "GET"] {
        let again = world.ask(&Ask::new(method, &link).body("")).await;
        assert_eq!(again.status, 410, "{again:?}");
        assert!(!again.text().contains("amqp://"));
    }
    assert_eq!(open(&world, "/wraps/none").await.status, 404);
    let opened = world.audited("wrap.open").await;
    assert_eq!(opened.iter().map(|entry| entry["outcome"].as_str().unwrap()).collect::<Vec<_>>(), ["done", "refused"]);
    assert_eq!(opened[0]["details"]["address"], "127.0.0.1");
    assert_eq!(opened[0]["details"]["by"], "client builds");
    assert_eq!(world.audited("namespace.claim").await[0]["actor"], json!({ "client": "builds" }));
}

#[tokio::test]
async fn of_many_that_open_a_link_at_once_one_gets_something() {
    let (world, client) = world().await;
    let link = link(&world, &client).await;
    let answers = futures_util::future::join_all((0..8).map(|_| open(&world, &link))).await;
    let mut statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 410, 410, 410, 410, 410, 410, 410]);
}

#[tokio::test]
async fn a_second_opening_is_told_to_the_contact_once() {
    let (world, client) = world().await;
    let input = r#"{"contact":"a@example.com","expires":"2030-01-01T00:00:00Z"}"#;
    world.claim(&client, NAMESPACE, input).await;
    let link = link(&world, &client).await;
    for _ in 0..3 {
        open(&world, &link).await;
    }
    let shown = world.operate("GET", &format!("/namespaces/{NAMESPACE}"), None).await;
    assert_eq!((&shown["contact"], &shown["expires"]), (&json!("a@example.com"), &json!("2030-01-01T00:00:00.000Z")));
    let posted = world.audited("notice.post").await;
    assert_eq!(posted.len(), 1, "{posted:?}");
    assert_eq!(posted[0]["details"]["kind"], "wrap.again");
    assert!(posted[0]["details"]["to"].to_string().contains("a@example.com"), "{posted:?}");
}

#[tokio::test]
async fn what_a_link_hands_out_works_whatever_was_rotated_meanwhile() {
    let (world, client) = world().await;
    let claimed = world.claim(&client, NAMESPACE, r#"{"expires":"2030-01-01T00:00:00Z"}"#).await;
    let link = wrap(&world, &client, json!({ "lastsSeconds": 86400, "expires": "2030-01-01T00:00:00Z" })).await.json();
    for _ in 0..3 {
        world.clock.advance(Duration::from_secs(3600));
        world.operate("POST", "/loops/rotate/run", None).await;
    }
    let opened = open(&world, link["path"].as_str().unwrap()).await;
    let (user, new) = password(&opened);
    assert!(world.broker.can_login(&user, &new) && new != password(&claimed).1);
}

#[tokio::test]
async fn a_link_ends_with_its_time_with_its_maker_and_by_revocation() {
    let (mut world, client) = world().await;
    let (late, orphan) = (link(&world, &client).await, wrap(&world, &client, json!({ "lastsSeconds": 86400 })).await);
    world.clock.advance(Duration::from_secs(3600));
    world.restart().await;
    assert_eq!(open(&world, &late).await.status, 410);
    world.operate("POST", "/clients/builds/disable", None).await;
    let orphan = orphan.json();
    assert_eq!(open(&world, orphan["path"].as_str().unwrap()).await.status, 403);
    world.operate("POST", "/clients/builds/enable", None).await;
    let open_ones = world.operate("GET", "/leases?kind=wrap", None).await;
    assert_eq!((&open_ones["count"], &open_ones["leases"][0]["name"]), (&json!(1), &orphan["id"]), "{open_ones}");
    let input = json!({ "kind": "wrap", "name": orphan["id"], "reason": "sent to the wrong person", "dryRun": false });
    assert_eq!(world.operate("POST", "/leases/revoke", Some(input)).await["failed"], 0);
    assert_eq!(open(&world, orphan["path"].as_str().unwrap()).await.status, 404);
    assert!(world.audited("namespace.claim").await.is_empty());
    world.clock.advance(Duration::from_secs(8 * 24 * 3600));
    world.operate("POST", "/loops/expire/run", None).await;
    assert_eq!(open(&world, &late).await.status, 404, "it is forgotten");
    assert_eq!(world.audited("wrap.forget").await.len(), 1);
}

#[tokio::test]
async fn a_link_that_could_not_hand_out_anything_can_be_opened_later() {
    let (world, client) = world().await;
    let link = link(&world, &client).await;
    world.broker.go_away();
    assert_eq!(open(&world, &link).await.status, 503);
    world.broker.come_back();
    assert_eq!(open(&world, &link).await.status, 200);
    assert_eq!(open(&world, &link).await.status, 410);
}

#[tokio::test]
async fn who_came_while_a_link_handed_out_nothing_does_not_hide_a_second_opening() {
    let (world, client) = world().await;
    let link = wrap(&world, &client, json!({ "contact": "a@example.com" })).await.json();
    let link = link["path"].as_str().unwrap();
    world.broker.go_away();
    let (one, other) = tokio::join!(open(&world, link), open(&world, link));
    let mut statuses = [one.status, other.status];
    statuses.sort_unstable();
    world.broker.come_back();
    let before = world.audited("notice.post").await.len();
    assert_eq!(open(&world, link).await.status, 200, "{statuses:?}");
    assert_eq!(open(&world, link).await.status, 410);
    assert_eq!(world.audited("notice.post").await.len(), before + 1, "{statuses:?}");
}

#[tokio::test]
async fn a_link_is_made_by_those_who_may_claim_within_limits_and_opened_in_private() {
    let (world, client) = world().await;
    let other = world.client("other", &["pulse:namespace:other-*"]).await;
    assert_eq!(wrap(&world, &other, json!({})).await.error(), (403, "InsufficientScopes".into()));
    for input in [json!({ "lastsSeconds": 0 }), json!({ "lastsSeconds": 8 * 86400 }), json!({ "contact": "nobody" })] {
        assert_eq!(wrap(&world, &client, input.clone()).await.status, 400, "{input}");
    }
    let link = link(&world, &client).await;
    for method in ["GET", "POST"] {
        let far = Ask::new(method, &link).with("X-Forwarded-For", "192.0.2.7").body("");
        assert_eq!(world.ask(&far).await.status, 403, "a proxy may have come by plain HTTP");
    }
    for _ in 1..100 {
        assert_eq!(wrap(&world, &client, json!({})).await.status, 200);
    }
    assert_eq!(wrap(&world, &client, json!({})).await.error(), (409, "RequestConflict".into()));
    assert_eq!(open(&world, &link).await.status, 200);
    assert_eq!(wrap(&world, &client, json!({})).await.status, 200, "an opened one makes room");
}
