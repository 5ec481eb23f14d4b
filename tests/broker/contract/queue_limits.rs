//! What every implementation promises of limits of single queues.

use keylender::base::Kind;
use keylender::ports::broker::{Overflow, QueueLimit};

use super::World;

pub async fn a_queue_is_limited_until_it_is_let_go(world: &dyn World) {
    let (broker, vhost) = (world.broker(), world.vhost());
    for name in ["a.b", "a+b"] {
        world.declare_queue(name).await;
    }
    assert_eq!(broker.queue_limits(vhost).await.unwrap(), []);
    let limit = |queue: &str, messages, bytes, overflow| QueueLimit { queue: queue.into(), messages, bytes, overflow };
    for limit in [
        limit("a.b", Some(5), None, Overflow::RejectPublish),
        limit("a.b", Some(7), Some(100), Overflow::RejectPublish),
        limit("a.b", None, Some(100), Overflow::RejectPublish),
    ] {
        for _ in 0..2 {
            broker.limit_queue(vhost, &limit).await.unwrap();
        }
        assert_eq!(broker.queue_limits(vhost).await.unwrap(), [limit]);
    }
    let other = limit("a+b", Some(1), None, Overflow::DropHead);
    broker.limit_queue(vhost, &other).await.unwrap();
    assert_eq!(broker.queue_limits(vhost).await.unwrap().len(), 2);
    assert!(broker.unlimit_queue(vhost, "a.b").await.unwrap());
    assert!(!broker.unlimit_queue(vhost, "a.b").await.unwrap());
    assert_eq!(broker.queue_limits(vhost).await.unwrap(), std::slice::from_ref(&other));
    let error = broker.limit_queue(vhost, &limit("nobody", Some(1), None, Overflow::DropHead)).await.unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound);
    assert!(broker.delete_queue(vhost, "a+b").await.unwrap());
    assert_eq!(broker.queue_limits(vhost).await.unwrap(), [other], "it outlives its queue");
    assert!(broker.unlimit_queue(vhost, "a+b").await.unwrap());
}
