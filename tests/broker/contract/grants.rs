//! What every implementation promises of topic permissions and limits of users, and of users that end together.

use keylender::base::{AccountName, Kind, VhostName};
use keylender::ports::broker::{Limits, Login, TopicAccess, UserWish};

use super::{World, account, new_user, permissions_of, put};

fn topic(exchange: &str, write: &str) -> TopicAccess {
    TopicAccess { exchange: exchange.to_owned(), write: write.to_owned(), read: String::new() }
}

async fn topics_of(world: &dyn World, user: &AccountName) -> Vec<TopicAccess> {
    let all = world.broker().topic_permissions().await.unwrap();
    let own = all.into_iter().filter(|told| told.user == user.as_str() && told.vhost == world.vhost().as_str());
    let mut own: Vec<_> = own.map(|told| told.access).collect();
    own.sort();
    own
}

async fn limits_of(world: &dyn World, user: &AccountName) -> Option<Limits> {
    let all = world.broker().limits().await.unwrap();
    all.into_iter().find(|told| told.user == user.as_str()).map(|told| told.limits)
}

pub async fn topic_permissions_hold_for_their_exchange_until_all_are_taken_away(world: &dyn World) {
    let (broker, vhost) = (world.broker(), world.vhost());
    let (user, other) = (account(world, "a/b %2F"), account(world, "other"));
    // Without any other permission there, and for an exchange with an odd name.
    for name in [&user, &other] {
        broker.put_user(&UserWish { name, login: Login::Locked, tags: &[], permissions: &[] }).await.unwrap();
    }
    for exchange in ["x", "y/ %2F+grün"] {
        world.declare_exchange(exchange).await;
    }
    let (first, second) = (topic("x", "^a\\.b$"), topic("y/ %2F+grün", ""));
    for access in [&topic("x", "^before$"), &first, &second, &first] {
        broker.put_topic_permission(vhost, &user, access).await.unwrap();
    }
    broker.put_topic_permission(vhost, &other, &first).await.unwrap();
    assert_eq!(topics_of(world, &user).await, [first.clone(), second.clone()], "the last one for each exchange");

    put(world, &user, Login::Locked).await;
    assert_eq!(topics_of(world, &user).await, [first.clone(), second], "a new wish of the user leaves them");
    assert!(broker.delete_topic_permissions(vhost, &user).await.unwrap());
    assert!(!broker.delete_topic_permissions(vhost, &user).await.unwrap());
    assert_eq!(topics_of(world, &user).await, []);
    assert_eq!(topics_of(world, &other).await, [first]);
    assert!(broker.delete_user(&other).await.unwrap());
    assert_eq!(topics_of(world, &other).await, [], "they go with their user");
}

pub async fn topic_permissions_may_need_their_exchange(world: &dyn World) {
    let (broker, user) = (world.broker(), account(world, "u"));
    put(world, &user, Login::Locked).await;
    let put = broker.put_topic_permission(world.vhost(), &user, &topic("later", "")).await;
    if world.version().await.needs_exchange_for_topics() {
        let error = put.unwrap_err();
        assert_eq!((error.kind(), error.message()), (Kind::NotFound, "the broker has no such exchange"));
        world.declare_exchange("later").await;
        broker.put_topic_permission(world.vhost(), &user, &topic("later", "")).await.unwrap();
    } else {
        put.unwrap();
    }
    assert_eq!(topics_of(world, &user).await, [topic("later", "")]);
}

pub async fn topic_permissions_need_user_and_vhost(world: &dyn World) {
    let (broker, nowhere) = (world.broker(), VhostName::parse("no such vhost").unwrap());
    let (user, nobody) = (account(world, "u"), account(world, "nobody"));
    put(world, &user, Login::Locked).await;
    world.declare_exchange("x").await;
    let error = broker.put_topic_permission(world.vhost(), &nobody, &topic("x", "")).await.unwrap_err();
    assert_eq!((error.kind(), error.message()), (Kind::NotFound, "the broker has no such user"));
    let error = broker.put_topic_permission(&nowhere, &user, &topic("x", "")).await.unwrap_err();
    assert_eq!((error.kind(), error.message()), (Kind::NotFound, "the broker has no such vhost"));
    assert!(!broker.delete_topic_permissions(world.vhost(), &nobody).await.unwrap());
}

pub async fn a_user_has_exactly_the_limits_that_were_put(world: &dyn World) {
    let (broker, user, nobody) = (world.broker(), account(world, "a/b %2F"), account(world, "nobody"));
    put(world, &user, Login::Locked).await;
    assert_eq!(limits_of(world, &user).await, None);
    if !world.version().await.has_user_limits() {
        let some = Limits { max_channels: Some(1), ..Limits::default() };
        assert_eq!(broker.put_limits(&user, &some).await.unwrap_err().kind(), Kind::Invalid);
        return broker.put_limits(&user, &Limits::default()).await.unwrap();
    }
    for (max_connections, max_channels) in [(Some(0), None), (Some(5), Some(7)), (None, Some(7)), (None, Some(9))] {
        let limits = Limits { max_connections, max_channels };
        broker.put_limits(&user, &limits).await.unwrap();
        assert_eq!(limits_of(world, &user).await, Some(limits));
    }
    put(world, &user, Login::Locked).await;
    assert!(limits_of(world, &user).await.is_some(), "a new wish of the user leaves them");
    for _ in 0..2 {
        broker.put_limits(&user, &Limits::default()).await.unwrap();
        assert_eq!(limits_of(world, &user).await.unwrap_or_default(), Limits::default());
    }
    let some = Limits { max_channels: Some(1), ..Limits::default() };
    let error = broker.put_limits(&nobody, &some).await.unwrap_err();
    assert_eq!((error.kind(), error.message()), (Kind::NotFound, "the broker has no such user"));
    broker.put_limits(&nobody, &Limits::default()).await.unwrap();
    broker.put_limits(&user, &some).await.unwrap();
    assert!(broker.delete_user(&user).await.unwrap());
    put(world, &user, Login::Locked).await;
    assert_eq!(limits_of(world, &user).await, None, "they go with their user");
}

pub async fn users_are_deleted_together_also_when_one_is_not_there(world: &dyn World) {
    let ((one, password), (two, _)) = (new_user(world, "one").await, new_user(world, "two").await);
    let (gone, other) = (account(world, "gone"), account(world, "other"));
    put(world, &other, Login::Locked).await;
    let mut client = world.connect(&one, &password).await;
    world.broker().delete_users(&[one.clone(), two.clone()]).await.unwrap();
    assert!(client.reason().await.contains("is deleted"));
    put(world, &two, Login::Locked).await;
    world.broker().delete_users(&[gone, two.clone()]).await.unwrap();
    world.broker().delete_users(&[]).await.unwrap();
    for name in [&one, &two] {
        assert_eq!((world.broker().user(name).await.unwrap(), permissions_of(world, name).await), (None, vec![]));
    }
    assert!(world.broker().delete_user(&other).await.unwrap(), "others stay");
}
