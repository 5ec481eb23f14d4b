//! Pages about archives of queues: what was taken is looked at, brought back and deleted, and who may see messages.

use keylender::domain::operators::Role;
use keylender::ports::broker::Message;

use super::browser::Browser;
use super::has;
use super::queues::{QUEUE, world as busy_world};
use crate::world::{World, segment};

/// What somebody may have published to whoever looks.
const HOSTILE: &str = "<script>alert(1)</script>\u{202e}";

/// A world with three messages in its queue.
async fn world() -> World {
    let (world, _) = busy_world().await;
    let bodies = [b"hello".to_vec(), HOSTILE.as_bytes().to_vec(), vec![0xff, 0]];
    let message = |body| Message { routing_key: HOSTILE.into(), body, ..Message::default() };
    world.broker.put_messages(&world.settings.namespaces.amqp.vhost, QUEUE, bodies.map(message));
    world
}

/// Takes the queue by its page. The page of the archive that it leads to.
async fn taken(world: &World, browser: &Browser) -> String {
    let done = browser.post(world, &format!("/queues/{}/archive", segment(QUEUE)), &[("reason", "poisoned")]).await;
    let location = done.header("location").unwrap_or_else(|| panic!("{}", done.text())).to_owned();
    location.split('?').next().unwrap().to_owned()
}

fn waiting(world: &World, queue: &str) -> usize {
    world.broker.messages(&world.settings.namespaces.amqp.vhost, queue).len()
}

#[tokio::test]
async fn a_queue_is_archived_replayed_and_the_archive_deleted_by_hand() {
    let world = world().await;
    let operator = Browser::signed_in(&world, Role::Operator).await;
    has(&operator.get(&world, "/archives").await, &["There is no archive", "keylender queue archive take"]);
    let queue = format!("/queues/{}", segment(QUEUE));
    has(&operator.get(&world, &queue).await, &["/archive\">Archive</a>", "/archives?q="]);
    let plan = operator.get(&world, &format!("{queue}/archive")).await;
    has(&plan, &["are taken out", "name=\"reason\"", "keylender queue archive take"]);
    assert_eq!(operator.post(&world, &format!("{queue}/archive"), &[("reason", "")]).await.status, 400);
    assert_eq!(waiting(&world, QUEUE), 3);

    let archive = taken(&world, &operator).await;
    assert_eq!(waiting(&world, QUEUE), 0);
    has(&operator.get(&world, "/archives").await, &[&archive, QUEUE, "poisoned", "whole"]);
    let page = operator.get(&world, &archive).await;
    has(&page, &["hello", "&lt;script&gt;alert(1)&lt;/script&gt;", "U+202E", "/wA=", "base64", "Bring them back"]);
    assert!(!page.text().contains("<script>alert"), "{}", page.text());

    let replay = format!("{archive}/replay");
    let asked = operator.get(&world, &format!("{replay}?to={}&rate=100", segment(QUEUE))).await;
    has(&asked, &["3 messages are published into", "At most 100 in a second", "--per-second 100"]);
    assert_eq!(operator.get(&world, &format!("{replay}?to=&rate=0")).await.status, 400);
    assert_eq!(operator.get(&world, &format!("{replay}?to=somebody-elses&rate=")).await.status, 404);
    let fields = [("to", QUEUE), ("rate", ""), ("reason", "it is mended")];
    let done = operator.post(&world, &replay, &fields).await;
    assert!(done.header("location").unwrap().starts_with(&format!("{archive}?entry=")), "{done:?}");
    assert_eq!(waiting(&world, QUEUE), 3);

    let delete = format!("{archive}/delete");
    has(&operator.get(&world, &delete).await, &["3 messages that were taken from", "keylender queue archive delete"]);
    let done = operator.post(&world, &delete, &[("reason", "done")]).await;
    assert!(done.header("location").unwrap().starts_with("/archives?entry="), "{done:?}");
    assert_eq!(operator.get(&world, &archive).await.status, 404);
    assert_eq!(world.audited("archive.delete").await[0]["details"]["reason"], "done");
}

#[tokio::test]
async fn who_only_looks_sees_no_messages_and_only_admins_take_all_of_them_along() {
    let world = world().await;
    let [viewer, operator, admin] = [Role::Viewer, Role::Operator, Role::Admin];
    let [viewer, operator, admin] = [
        Browser::signed_in(&world, viewer).await,
        Browser::signed_in(&world, operator).await,
        Browser::signed_in(&world, admin).await,
    ];
    let archive = taken(&world, &operator).await;
    let page = viewer.get(&world, &archive).await;
    has(&page, &["poisoned", "Left in the queue"]);
    for hidden in ["hello", "/replay", "/delete", "/export"] {
        assert!(!page.text().contains(hidden), "{hidden}");
    }
    assert!(world.audited("archive.read").await.is_empty());
    assert!(!operator.get(&world, &archive).await.text().contains("/export"));
    assert_eq!(world.audited("archive.read").await.len(), 1);
    has(&admin.get(&world, &archive).await, &["/export"]);
    let file = admin.post(&world, &format!("{archive}/export"), &[]).await;
    assert_eq!(file.header("content-type"), Some("application/jsonl"));
    assert!(file.header("content-disposition").unwrap().ends_with(".jsonl\""));
    assert_eq!(file.text().lines().count(), 3);
    assert!(file.text().starts_with("{\"number\":0,") && file.text().contains("\"body\":\"hello\""), "{}", file.text());
    assert_eq!(world.audited("archive.export").await.len(), 1);
}
