//! What every implementation promises of queues of our own.

use std::time::Duration;

use keylender::base::Kind;
use keylender::ports::broker::{Message, Subscriber, Subscription};

use super::World;

const QUEUE: &str = "ours";

fn wanted(exchange: &str) -> Subscription {
    Subscription {
        queue: QUEUE.to_owned(),
        exchange: exchange.to_owned(),
        key: "key".to_owned(),
        messages_max: 100,
        len_max: 1 << 20,
        message_ttl: Duration::from_secs(600),
        expires: Duration::from_secs(600),
    }
}

async fn publish(world: &dyn World, bodies: &[&str]) {
    let message = |body: &&str| Message { body: body.as_bytes().to_vec(), ..Message::default() };
    let messages: Vec<Message> = bodies.iter().map(message).collect();
    let mut publisher = world.broker().publisher(world.vhost(), QUEUE).await.unwrap();
    assert!(publisher.publish(&messages).await.failed.is_none());
    publisher.end().await;
}

/// The next ones, until there are so many.
async fn next(subscriber: &mut dyn Subscriber, count: usize) -> Vec<String> {
    let mut texts = Vec::new();
    while texts.len() < count {
        let bodies = subscriber.next(count - texts.len(), 1 << 20).await.unwrap();
        texts.extend(bodies.into_iter().map(|body| String::from_utf8(body).unwrap()));
    }
    texts
}

pub async fn a_queue_of_ours_hands_out_what_comes_until_it_is_acknowledged(world: &dyn World) {
    let (broker, vhost) = (world.broker(), world.vhost());
    let missing = broker.subscribe(vhost, &wanted("theirs")).await.err().unwrap();
    assert_eq!(missing.kind(), Kind::NotFound, "{missing}");
    world.declare_exchange("theirs").await;
    let mut subscriber = broker.subscribe(vhost, &wanted("theirs")).await.unwrap();
    publish(world, &["one", "two", "three"]).await;
    assert_eq!(next(&mut *subscriber, 2).await, ["one", "two"]);
    subscriber.acknowledge().await.unwrap();
    assert_eq!(next(&mut *subscriber, 1).await, ["three"]);
    subscriber.bind_again().await.unwrap();
    // It goes without a word, as in a crash.
    drop(subscriber);
    let mut subscriber = broker.subscribe(vhost, &wanted("theirs")).await.unwrap();
    assert_eq!(next(&mut *subscriber, 1).await, ["three"], "it comes again");
    subscriber.acknowledge().await.unwrap();
    let waiting = tokio::time::timeout(Duration::from_millis(300), subscriber.next(1, 1)).await;
    assert!(waiting.is_err(), "nothing is left, and who waits may go");
    publish(world, &["four"]).await;
    assert_eq!(next(&mut *subscriber, 1).await, ["four"]);

    let otherwise = Subscription { messages_max: 7, ..wanted("theirs") };
    let conflict = broker.subscribe(vhost, &otherwise).await.err().unwrap();
    assert_eq!(conflict.kind(), Kind::Conflict, "{conflict}");
    assert!(broker.delete_queue(vhost, QUEUE).await.unwrap());
    let gone = tokio::time::timeout(Duration::from_secs(20), subscriber.next(1, 1)).await.expect("it is told");
    assert_eq!(gone.unwrap_err().kind(), Kind::Unavailable);
}
