//! Stories about archives of queues: what is taken is durable before the broker forgets it, and comes back as it was.

use std::fs;
use std::time::Duration;

use keylender::base::audit::Actor;
use keylender::base::{ArchiveName, Kind, NamespaceName, Reason, Result, VhostName};
use keylender::domain::archives::{Archive, Body, Pruned, Replayed};
use keylender::domain::auth::Caller;
use keylender::ports::broker::{Message, Properties, Queue};
use serde_json::{Value, json};

use crate::world::World;

/// Not of a namespace, so that the monitor leaves it alone.
const QUEUE: &str = "jobs";
const WHY: &str = "it has more messages than it may";
/// Far more answers than taking a few batches has.
const STEPS_MAX: u32 = 200;
const DAY: Duration = Duration::from_secs(24 * 3600);

/// `content_type` and a header `n`, as they are on the wire.
fn properties(n: u8) -> Properties {
    let header = [1, b'n', b'b', n];
    let mut wire = vec![0b1010_0000, 0, 4];
    wire.extend_from_slice(b"text");
    wire.extend_from_slice(&[0, 0, 0, 4]);
    wire.extend_from_slice(&header);
    Properties::from_wire(wire)
}

fn message(n: u32) -> Message {
    Message {
        exchange: "exchange/taskcluster-foo/x".into(),
        routing_key: format!("key.{n}"),
        properties: properties((n % 100) as u8),
        body: format!("body of {n}").into_bytes(),
        ..Message::default()
    }
}

fn messages(count: u32) -> Vec<Message> {
    (0..count).map(message).collect()
}

/// What a message is, whoever handed it out and however often.
fn substance(message: &Message) -> (&Properties, &[u8]) {
    (&message.properties, &message.body)
}

fn caller() -> Caller {
    Caller::local("tests", "r").because(Reason::parse("tests").unwrap())
}

fn vhost(world: &World) -> &VhostName {
    &world.settings.namespaces.amqp.vhost
}

fn put(world: &World, queue: &str, kind: &str, messages: Vec<Message>) {
    let told = Queue { name: queue.into(), kind: Some(kind.into()), ..Queue::default() };
    world.broker.put_queue(vhost(world), told);
    world.broker.put_messages(vhost(world), queue, messages);
}

async fn take(world: &World) -> Result<Archive> {
    let namespace = NamespaceName::parse("taskcluster-foo").unwrap();
    let actor = Actor::Loop("monitor".into());
    world.appliance().archives.take(actor, QUEUE, &namespace, "classic", WHY).await
}

/// A world with so many messages in its queue.
async fn with_messages(count: u32) -> World {
    let world = World::start().await;
    put(&world, QUEUE, "classic", messages(count));
    world
}

/// All messages of an archive, as an export has them.
async fn exported(world: &World, name: &ArchiveName) -> Result<Vec<Value>> {
    let mut export = world.appliance().archives.export(&caller(), name).await?.into_inner();
    let mut lines = Vec::new();
    while let Some(part) = export.next().await? {
        lines.extend(part.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(<[u8]>::to_vec));
    }
    Ok(lines.iter().map(|line| serde_json::from_slice(line).unwrap()).collect())
}

fn file(world: &World, name: &ArchiveName) -> std::path::PathBuf {
    world.settings.archives.directory.file(name)
}

#[tokio::test]
async fn a_queue_is_taken_in_order_into_a_sealed_file_and_the_log_says_so() {
    let world = with_messages(2500).await;
    let archive = take(&world).await.unwrap();
    assert_eq!((archive.messages, archive.arrived, archive.problem.as_deref()), (2500, 0, None));
    assert_eq!((archive.queue.as_str(), archive.why.as_str()), (QUEUE, WHY));
    assert!(world.broker.messages(vhost(&world), QUEUE).is_empty());
    assert_eq!(world.appliance().archives.list().await.unwrap(), std::slice::from_ref(&archive));
    assert_eq!(world.appliance().archives.show(&archive.name).await.unwrap(), archive);

    let bytes = fs::read(file(&world, &archive.name)).unwrap();
    assert_eq!(bytes.len() as u64, archive.file_bytes);
    assert!(archive.file_bytes < archive.payload_bytes, "it is packed");
    assert!(!bytes.windows(7).any(|part| part == b"body of"), "and sealed");

    let begun = world.audited("archive.begin").await;
    assert_eq!(begun[0]["object"], archive.name.as_str());
    let taken = &world.audited("archive.take").await[0];
    assert_eq!((&taken["outcome"], &taken["actor"]["loop"]), (&json!("done"), &json!("monitor")));
    let details = &taken["details"];
    assert_eq!(details["messages"], 2500);
    assert_eq!((&details["head"], &details["why"]), (&json!(archive.head), &json!(WHY)));
}

#[tokio::test]
async fn a_page_shows_messages_as_people_read_them_and_an_export_has_all() {
    let world = World::start().await;
    let long = "é".repeat(3000);
    let mut all = messages(1500);
    all[1200].body = long.clone().into_bytes();
    all[1201].body = vec![0xff, 0];
    put(&world, QUEUE, "classic", all);
    let name = take(&world).await.unwrap().name;
    let archives = &world.appliance().archives;

    let page = archives.messages(&caller(), &name, 1199, 3).await.unwrap().into_inner();
    assert_eq!(page.iter().map(|message| message.number).collect::<Vec<_>>(), [1199, 1200, 1201]);
    assert_eq!(page[0].routing_key, "key.1199");
    assert_eq!(page[0].properties, json!({"content_type": "text", "headers": {"n": 99}}));
    assert_eq!(page[0].body, Body::Body("body of 1199".into()));
    assert_eq!((page[1].bytes, &page[1].body), (6000, &Body::Body("é".repeat(2048))), "its beginning");
    assert_eq!(page[2].body, Body::BodyBase64("/wA=".into()));
    assert!(archives.messages(&caller(), &name, 1500, 10).await.unwrap().into_inner().is_empty());
    assert_eq!(world.audited("archive.read").await.len(), 2);

    let lines = exported(&world, &name).await.unwrap();
    assert_eq!(lines.len(), 1500);
    assert_eq!((&lines[1200]["body"], &lines[1201]["bodyBase64"]), (&json!(long), &json!("/wA=")));
    assert_eq!(world.audited("archive.export").await.len(), 1);
}

#[tokio::test]
async fn what_is_brought_back_is_what_was_taken() {
    let world = with_messages(2500).await;
    let name = take(&world).await.unwrap().name;
    let archives = &world.appliance().archives;
    put(&world, "other", "classic", Vec::new());
    for (to, queue) in [(None, QUEUE), (Some("other"), "other")] {
        let replayed = archives.replay(&caller(), &name, to.map(str::to_owned), Some(1_000_000)).await.unwrap();
        assert_eq!(replayed, Replayed { queue: queue.into(), messages: 2500, ..Replayed::default() });
        let back = world.broker.messages(vhost(&world), queue);
        assert_eq!(
            back.iter().map(substance).collect::<Vec<_>>(),
            messages(2500).iter().map(substance).collect::<Vec<_>>()
        );
    }
    let error = archives.replay(&caller(), &name, Some("no such queue".into()), None).await.unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound);
    assert_eq!(archives.replay(&caller(), &name, None, Some(0)).await.unwrap_err().kind(), Kind::Invalid);
    assert_eq!(world.audited("archive.replay").await.len(), 2);
}

#[tokio::test]
async fn a_replay_that_is_broken_off_goes_on_behind_the_last_message_that_was_confirmed() {
    let world = with_messages(2500).await;
    let name = take(&world).await.unwrap().name;
    let archives = &world.appliance().archives;
    world.broker.fail_after(3);
    let error = archives.replay(&caller(), &name, None, None).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
    world.broker.come_back();
    assert_eq!(world.broker.messages(vhost(&world), QUEUE).len(), 2000);
    let replayed = archives.replay(&caller(), &name, None, None).await.unwrap();
    assert_eq!((replayed.messages, replayed.skipped), (500, 2000));
    let back = world.broker.messages(vhost(&world), QUEUE);
    assert_eq!(
        back.iter().map(substance).collect::<Vec<_>>(),
        messages(2500).iter().map(substance).collect::<Vec<_>>()
    );

    let again = archives.replay(&caller(), &name, None, None).await.unwrap();
    assert_eq!((again.messages, again.skipped), (2500, 0), "that one was at its end");
    let outcomes: Vec<Value> =
        world.audited("archive.replay").await.iter().map(|entry| entry["outcome"].clone()).collect();
    assert_eq!(outcomes, ["failed", "done", "done"]);
}

#[tokio::test]
async fn a_broker_that_goes_away_anywhere_leaves_every_message_in_the_queue_or_in_the_archive() {
    for step in 0..STEPS_MAX {
        let world = with_messages(2500).await;
        world.broker.fail_after(step);
        let taken = take(&world).await;
        world.broker.come_back();
        if let Ok(archive) = taken {
            assert_eq!(archive.messages, 2500);
            assert!(step > 6, "there is more than one batch");
            return;
        }
        assert_eq!(taken.unwrap_err().kind(), Kind::Unavailable);
        let left: Vec<String> = world
            .broker
            .messages(vhost(&world), QUEUE)
            .into_iter()
            .map(|message| String::from_utf8(message.body).unwrap())
            .collect();
        let mut archived = Vec::new();
        for archive in world.appliance().archives.list().await.unwrap() {
            assert!(archive.problem.is_some(), "it says that it is not all");
            archived = exported(&world, &archive.name).await.unwrap();
        }
        let archived: Vec<String> = archived.iter().map(|line| line["body"].as_str().unwrap().to_owned()).collect();
        let twice = archived.iter().filter(|body| left.contains(body)).count();
        assert!(twice <= 1000, "at most the batch that was not acknowledged: {twice}");
        let all: Vec<String> = archived.into_iter().chain(left.into_iter().skip(twice)).collect();
        assert_eq!(
            all,
            messages(2500).iter().map(|each| String::from_utf8(each.body.clone()).unwrap()).collect::<Vec<_>>()
        );
    }
    panic!("it is never taken");
}

#[tokio::test]
async fn what_comes_meanwhile_stays_and_is_counted() {
    let world = with_messages(1500).await;
    let archives = world.appliance().archives.clone();
    let namespace = NamespaceName::parse("taskcluster-foo").unwrap();
    let taking = tokio::spawn(async move { archives.take(Actor::Appliance, QUEUE, &namespace, "classic", WHY).await });
    while !taking.is_finished() && !world.broker.calls().iter().any(|call| call.starts_with("TAKE")) {
        tokio::task::yield_now().await;
    }
    world.broker.put_messages(vhost(&world), QUEUE, messages(3));
    let archive = taking.await.unwrap().unwrap();
    assert_eq!((archive.messages, archive.arrived), (1500, 3));
    assert_eq!(world.broker.messages(vhost(&world), QUEUE).len(), 3);
}

#[tokio::test]
async fn a_stream_keeps_its_messages_and_each_is_known_by_its_offset() {
    let world = World::start().await;
    put(&world, QUEUE, "stream", messages(1200));
    let archive = take(&world).await.unwrap();
    assert_eq!((archive.messages, archive.arrived), (1200, 0));
    assert_eq!(world.broker.messages(vhost(&world), QUEUE).len(), 1200);
    let page = world.appliance().archives.messages(&caller(), &archive.name, 1199, 10).await.unwrap().into_inner();
    assert_eq!(page[0].offset, Some(1199));
}

#[tokio::test]
async fn a_queue_that_cannot_be_taken_leaves_nothing_behind() {
    let world = World::start().await;
    assert_eq!(take(&world).await.unwrap_err().kind(), Kind::NotFound);
    let mine = Queue { name: QUEUE.into(), exclusive: Some(true), ..Queue::default() };
    world.broker.put_queue(vhost(&world), mine);
    assert_eq!(take(&world).await.unwrap_err().kind(), Kind::Conflict);
    assert_eq!(world.appliance().archives.list().await.unwrap(), []);
    assert!(!world.settings.archives.directory.path().exists());
}

#[tokio::test]
async fn nothing_is_taken_when_archives_have_no_room() {
    for (bytes_max, free_min, why) in [(0, 0, "ARCHIVE_SIZE_MAX"), (u64::MAX, u64::MAX, "the disk is short")] {
        let world = World::with(|settings| {
            (settings.archives.bytes_max, settings.archives.free_min) = (bytes_max, free_min);
        })
        .await;
        put(&world, QUEUE, "classic", messages(10));
        let error = take(&world).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Unavailable);
        assert!(error.message().contains(why), "{error:?}");
        assert_eq!(world.broker.messages(vhost(&world), QUEUE).len(), 10);
        assert_eq!(world.appliance().archives.list().await.unwrap(), []);
    }
}

#[tokio::test]
async fn an_archive_that_fills_its_room_is_finished_and_what_it_has_not_is_in_the_queue() {
    let world = World::with(|settings| settings.archives.bytes_max = 3000).await;
    put(&world, QUEUE, "classic", messages(5000));
    let error = take(&world).await.unwrap_err();
    assert!(error.message().contains("ARCHIVE_SIZE_MAX"), "{error:?}");
    let archive = world.appliance().archives.list().await.unwrap().remove(0);
    let left = world.broker.messages(vhost(&world), QUEUE);
    assert!(archive.messages > 0 && archive.messages < 5000);
    assert_eq!(archive.messages + left.len() as u64, 5000);
    assert_eq!(left.first().unwrap().body, format!("body of {}", archive.messages).into_bytes(), "in order");
    assert_eq!(archive.problem.as_deref(), Some(error.message()));
    assert_eq!(world.audited("archive.take").await[0]["outcome"], "failed");
    assert_eq!(exported(&world, &archive.name).await.unwrap().len() as u64, archive.messages);
}

#[tokio::test]
async fn a_disk_that_refuses_the_file_leaves_all_messages_in_the_queue() {
    let world = with_messages(10).await;
    fs::write(world.settings.archives.directory.path(), "no directory").unwrap();
    assert_eq!(take(&world).await.unwrap_err().kind(), Kind::Unavailable);
    assert_eq!(world.broker.messages(vhost(&world), QUEUE).len(), 10);
    assert_eq!(world.appliance().archives.list().await.unwrap(), []);
}

#[tokio::test]
async fn an_archive_that_is_broken_off_is_finished_at_the_next_start_and_no_message_is_lost() {
    let mut world = with_messages(100_000).await;
    let archives = world.appliance().archives.clone();
    let namespace = NamespaceName::parse("taskcluster-foo").unwrap();
    let taking = tokio::spawn(async move { archives.take(Actor::Appliance, QUEUE, &namespace, "classic", WHY).await });
    let acknowledged = || world.broker.calls().iter().filter(|call| call.starts_with("ACK")).count();
    while !taking.is_finished() && acknowledged() < 2 {
        tokio::task::yield_now().await;
    }
    taking.abort();
    assert!(taking.await.unwrap_err().is_cancelled());
    let unfinished = world.appliance().archives.list().await.unwrap().remove(0);
    assert_eq!((unfinished.finished, unfinished.messages), (None, 0));
    let error = world.appliance().archives.replay(&caller(), &unfinished.name, None, None).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Conflict, "it is not finished");

    world.restart().await;
    world.operate("POST", "/loops/archives/run", None).await;
    let archive = world.appliance().archives.show(&unfinished.name).await.unwrap();
    assert!(archive.finished.is_some() && archive.messages >= 2000, "{archive:?}");
    assert!(archive.problem.as_deref().unwrap().contains("broken off"));
    let left = world.broker.messages(vhost(&world), QUEUE);
    let twice = archive.messages + left.len() as u64 - 100_000;
    assert!(twice <= 1000, "the batch that was not acknowledged is in both: {twice}");
    assert_eq!(world.audited("archive.mend").await.len(), 1);
    assert_eq!(exported(&world, &archive.name).await.unwrap().len() as u64, archive.messages);
}

#[tokio::test]
async fn a_file_that_the_store_does_not_know_is_taken_up() {
    let mut world = with_messages(10).await;
    let archive = take(&world).await.unwrap();
    world.stop().await;
    fs::remove_file(world.settings.data_dir.join("keylender.redb")).unwrap();
    world.begin().await;
    world.operate("POST", "/loops/archives/run", None).await;
    assert_eq!(world.appliance().archives.show(&archive.name).await.unwrap(), archive);
    assert_eq!(world.audited("archive.mend").await[0]["outcome"], "done");
}

#[tokio::test]
async fn a_changed_byte_is_found_by_whoever_reads_the_archive() {
    let world = with_messages(10).await;
    let archive = take(&world).await.unwrap();
    let path = file(&world, &archive.name);
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() * 2 / 3;
    bytes[middle] ^= 1;
    fs::write(&path, bytes).unwrap();
    let archives = &world.appliance().archives;
    assert_eq!(archives.messages(&caller(), &archive.name, 0, 10).await.unwrap_err().kind(), Kind::Conflict);
    assert_eq!(exported(&world, &archive.name).await.unwrap_err().kind(), Kind::Conflict);
    assert_eq!(archives.replay(&caller(), &archive.name, None, None).await.unwrap_err().kind(), Kind::Conflict);
    assert!(world.broker.messages(vhost(&world), QUEUE).is_empty());
    fs::remove_file(&path).unwrap();
    assert_eq!(archives.messages(&caller(), &archive.name, 0, 10).await.unwrap_err().kind(), Kind::NotFound);
}

#[tokio::test]
async fn archives_go_when_they_were_kept_long_enough_or_somebody_says_why() {
    let world = with_messages(10).await;
    let first = take(&world).await.unwrap();
    world.clock.advance(DAY);
    put(&world, QUEUE, "classic", messages(5));
    let second = take(&world).await.unwrap();
    assert_eq!(world.appliance().archives.list().await.unwrap(), [second.clone(), first.clone()], "newest first");
    world.clock.advance(29 * DAY);
    let plan = world.operate("GET", "/loops/archives/plan", None).await;
    assert!(plan.to_string().contains(first.name.as_str()) && !plan.to_string().contains(second.name.as_str()));
    world.operate("POST", "/loops/archives/run", None).await;
    assert_eq!(world.appliance().archives.list().await.unwrap(), std::slice::from_ref(&second));
    assert!(!file(&world, &first.name).exists() && file(&world, &second.name).exists());
    assert_eq!(world.audited("archive.prune").await[0]["details"]["messages"], 10);

    let archives = &world.appliance().archives;
    let hasty = Caller::local("tests", "r");
    assert_eq!(archives.delete(&hasty, &second.name).await.unwrap_err().kind(), Kind::Invalid);
    archives.delete(&caller(), &second.name).await.unwrap();
    assert_eq!(archives.show(&second.name).await.unwrap_err().kind(), Kind::NotFound);
    assert_eq!(world.audited("archive.delete").await[0]["details"]["reason"], "tests");
    assert!(!file(&world, &second.name).exists());
}

#[tokio::test]
async fn archives_are_kept_for_ever_where_that_is_wished() {
    let world = World::with(|settings| settings.archives.keep = Duration::ZERO).await;
    put(&world, QUEUE, "classic", messages(1));
    let archive = take(&world).await.unwrap();
    world.clock.advance(3650 * DAY);
    assert_eq!(world.appliance().archives.prune(&caller()).await.unwrap(), Pruned::default());
    assert_eq!(world.appliance().archives.list().await.unwrap(), [archive]);
}
