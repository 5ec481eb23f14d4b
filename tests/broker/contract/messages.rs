//! What every implementation promises of the messages in queues.

use keylender::base::Kind;
use keylender::ports::broker::{BATCH_LEN_MAX, BATCH_MAX, Drain, Message, Properties};

use super::World;

/// `content_type`, a header `n` (a table of one signed byte), `delivery_mode`, as they are on the wire.
fn properties(n: u8) -> Properties {
    let mut wire = vec![0b1011_0000, 0, 4];
    wire.extend_from_slice(b"text");
    wire.extend_from_slice(&[0, 0, 0, 4, 1, b'n', b'b', n, 2]);
    Properties::from_wire(wire)
}

fn messages(count: usize) -> Vec<Message> {
    let message = |n: usize| Message {
        exchange: "ignored".into(),
        routing_key: "ignored".into(),
        properties: properties((n % 100) as u8),
        body: format!("body of {n}\0").into_bytes(),
        ..Message::default()
    };
    (0..count).map(message).collect()
}

/// As they come out of the queue that they were published into by the default exchange.
fn as_published(queue: &str, messages: &[Message]) -> Vec<Message> {
    let published =
        |message: &Message| Message { exchange: String::new(), routing_key: queue.into(), ..message.clone() };
    messages.iter().map(published).collect()
}

async fn publish(world: &dyn World, queue: &str, messages: &[Message]) {
    let mut publisher = world.broker().publisher(world.vhost(), queue).await.unwrap();
    for batch in messages.chunks(BATCH_MAX) {
        let published = publisher.publish(batch).await;
        assert!(published.failed.is_none(), "{published:?}");
        assert_eq!((published.confirmed, published.changed), (batch.len(), 0));
    }
    publisher.end().await;
}

/// All that there is, acknowledged or not.
async fn all(drain: &mut dyn Drain, is_acknowledged: bool) -> Vec<Message> {
    let mut all = Vec::new();
    loop {
        let batch = drain.next().await.unwrap();
        assert!(batch.len() <= BATCH_MAX);
        let len: usize = batch.iter().map(|message| message.body.len()).sum();
        assert!(batch.len() <= 1 || len - batch.last().unwrap().body.len() < BATCH_LEN_MAX);
        if batch.is_empty() {
            return all;
        }
        all.extend(batch);
        if is_acknowledged {
            drain.acknowledge().await.unwrap();
        }
    }
}

pub async fn messages_come_out_as_they_were_published_and_in_order(world: &dyn World) {
    world.declare_queue("q").await;
    let mut sent = messages(2100);
    sent.push(Message::default());
    sent.extend([900_000, 300_000, 1].map(|len| Message { body: vec![0xff; len], ..Message::default() }));
    publish(world, "q", &sent).await;
    let mut drain = world.broker().drain(world.vhost(), "q").await.unwrap();
    assert!(all(&mut *drain, true).await == as_published("q", &sent), "each as it was, in order");
    assert_eq!(drain.end().await.unwrap(), 0);
    let mut empty = world.broker().drain(world.vhost(), "q").await.unwrap();
    assert_eq!(empty.next().await.unwrap(), []);
    empty.acknowledge().await.unwrap();
    assert_eq!(empty.end().await.unwrap(), 0);
}

pub async fn what_is_not_acknowledged_is_back_in_the_queue(world: &dyn World) {
    world.declare_queue("q").await;
    let sent = messages(3);
    publish(world, "q", &sent).await;
    let mut drain = world.broker().drain(world.vhost(), "q").await.unwrap();
    assert_eq!(drain.next().await.unwrap().len(), 3);
    assert_eq!(drain.end().await.unwrap(), 3);
    let mut drain = world.broker().drain(world.vhost(), "q").await.unwrap();
    let back = all(&mut *drain, true).await;
    let expected: Vec<Message> =
        as_published("q", &sent).into_iter().map(|message| Message { redelivered: true, ..message }).collect();
    assert_eq!(back, expected);
    assert_eq!(drain.end().await.unwrap(), 0);
}

pub async fn what_comes_while_a_queue_is_taken_stays_there(world: &dyn World) {
    world.declare_queue("q").await;
    let sent = messages(5);
    publish(world, "q", &sent[..3]).await;
    let mut drain = world.broker().drain(world.vhost(), "q").await.unwrap();
    publish(world, "q", &sent[3..]).await;
    assert_eq!(all(&mut *drain, true).await, as_published("q", &sent[..3]));
    assert_eq!(drain.end().await.unwrap(), 2);
    let mut drain = world.broker().drain(world.vhost(), "q").await.unwrap();
    let bodies: Vec<Vec<u8>> = all(&mut *drain, true).await.into_iter().map(|message| message.body).collect();
    assert_eq!(bodies, sent[3..].iter().map(|message| message.body.clone()).collect::<Vec<_>>());
    assert_eq!(drain.end().await.unwrap(), 0);
}

pub async fn messages_of_unknown_queues_are_refused(world: &dyn World) {
    let (broker, vhost) = (world.broker(), world.vhost());
    assert_eq!(broker.drain(vhost, "no such queue").await.err().unwrap().kind(), Kind::NotFound);
    assert_eq!(broker.publisher(vhost, "no such queue").await.err().unwrap().kind(), Kind::NotFound);
    world.declare_queue("q").await;
    publish(world, "q", &messages(1)).await;
    let mut publisher = broker.publisher(vhost, "q").await.unwrap();
    assert!(broker.delete_queue(vhost, "q").await.unwrap());
    let published = publisher.publish(&messages(2)).await;
    assert_eq!((published.confirmed, published.failed.unwrap().kind()), (0, Kind::NotFound));
    publisher.end().await;
}
