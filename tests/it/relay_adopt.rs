//! Users that somebody else made: adopted as they are, watched, taken over by a profile, and given back.

use keylender::app::operate::Operator;
use keylender::base::audit::Action;
use keylender::base::{Kind, Secret};
use keylender::domain::auth::Caller;
use keylender::ports::broker::{
    Access, Key, Limits, Login, PasswordHash, Resources, TopicAccess, User, UserWish, Users,
};
use serde_json::{Value, json};

use crate::relay::{apply, make_user, permissions, plan, profile, reconcile, user, vhost, world};
use crate::world::World;

/// Declares the user that the stories adopt, with other rights than it has.
pub const SHOP: &str = "
name = 'r'
[[vhost]]
name = 'v'
[[account]]
name = 'shop'
rotate-every = '30 days'
[[account.grant]]
vhost = 'v'
configure = ''
write = '^orders$'
read = ''
";

fn access(all: &str) -> Access {
    Access { configure: all.into(), write: all.into(), read: all.into() }
}

/// Somebody else's user, with something of everything.
pub async fn make_shop(world: &World) -> Secret {
    let (password, name) = (Secret::new("theirs"), user("shop"));
    let login = Login::Hash(PasswordHash::of(&password));
    let (tags, permissions) = (["management".to_owned()], [(vhost("/"), access("^shop"))]);
    world.broker.put_user(&UserWish { name: &name, login, tags: &tags, permissions: &permissions }).await.unwrap();
    let topic = TopicAccess { exchange: "amq.topic".into(), write: "^a".into(), read: "^b".into() };
    world.broker.put_topic_permission(&vhost("/"), &name, &topic).await.unwrap();
    world.broker.put_limits(&name, &Limits { max_connections: Some(3), max_channels: None }).await.unwrap();
    password
}

/// All that the broker has of the user.
async fn everything(world: &World) -> String {
    let broker = &world.broker;
    let User { tags, login, .. } = broker.user(&user("shop")).await.unwrap().unwrap();
    let topics = broker.topic_permissions().await.unwrap();
    let topics: Vec<_> = topics.iter().filter(|topic| topic.user == "shop").collect();
    let limits = broker.limits().await.unwrap();
    format!("{tags:?} {login:?} {} {topics:?} {limits:?}", permissions(world, "/").await)
}

async fn adopt(world: &World, more: Value) -> Value {
    let mut input = json!({ "owner": "the shop team", "note": "takes orders", "reason": "to see" });
    input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    world.operate("POST", "/relay/users/shop/adopt", Some(input)).await
}

async fn release(world: &World, name: &str) -> Result<Value, keylender::base::Error> {
    let operator = Operator::connect(&world.settings).unwrap();
    operator.call("POST", &format!("/relay/users/{name}/release"), Some(json!({ "reason": "to see" }))).await
}

#[tokio::test]
async fn a_user_is_adopted_watched_and_released_and_nothing_of_it_changes() {
    let world = World::start().await;
    world.operate("POST", "/loops/reconcile/pause", None).await;
    make_shop(&world).await;
    let before = everything(&world).await;
    let planned = world.operate("POST", "/relay/users/shop/adopt?plan=1", Some(json!({ "reason": "to see" }))).await;
    let lines: Vec<&str> = planned["plan"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert_eq!(
        lines,
        [
            "shop stays as it is, with the password that it has, and whatever of it changes from now on is told.",
            "It has the tags management.",
            "In / it may configure `^shop`, write `^shop`, read `^shop`.",
            "In / its routing keys of `amq.topic` are: write `^a`, read `^b`.",
            "It may have 3 connections."
        ]
    );
    world.broker.forget_calls();
    adopt(&world, json!({})).await;
    assert_eq!(reconcile(&world).await.unwrap(), "");
    assert!(world.broker.calls().iter().all(|call| call.starts_with("GET ")), "{:?}", world.broker.calls());
    assert_eq!(everything(&world).await, before);
    let users = world.operate("GET", "/relay/users", None).await;
    let adopted = &users["adopted"][0];
    assert_eq!(
        (&adopted["user"], &adopted["owner"], &adopted["onDrift"]),
        (&json!("shop"), &json!("the shop team"), &json!("report"))
    );
    assert!(!users["others"].as_array().unwrap().contains(&json!("shop")));
    let entry = &world.audited("relay.adopt").await[0];
    assert_eq!(entry["details"], json!({ "owner": "the shop team", "note": "takes orders", "reason": "to see" }));

    world.broker.put_permission(&vhost("/"), &user("shop"), &access(".*")).await.unwrap();
    let report = reconcile(&world).await.unwrap();
    assert!(report.contains("shop is left as it is: its permissions were changed"), "{report}");
    assert!(permissions(&world, "/").await.contains("shop .* .* .*"), "it is only told");
    let restored = || Caller::local("tests", "r").note(Action::StoreRestore, "store");
    world.appliance().accounts.resync_all(restored).await.unwrap();
    reconcile(&world).await.unwrap();
    assert!(permissions(&world, "/").await.contains("shop .* .* .*"), "nor after a restoration");
    let changed = everything(&world).await;
    release(&world, "shop").await.unwrap();
    assert_eq!(everything(&world).await, changed);
    assert_eq!(reconcile(&world).await.unwrap(), "", "nobody here answers for it");
    assert_eq!(world.audited("relay.release").await[0]["details"]["users"], json!(["shop"]));
    assert_eq!(release(&world, "shop").await.unwrap_err().kind(), Kind::NotFound);
}

#[tokio::test]
async fn rights_of_an_adopted_user_are_put_back_where_that_is_wished_and_one_that_is_gone_is_told() {
    let world = World::start().await;
    world.operate("POST", "/loops/reconcile/pause", None).await;
    let password = make_shop(&world).await;
    adopt(&world, json!({ "repair": true })).await;
    let before = everything(&world).await;
    world.broker.put_permission(&vhost("/"), &user("shop"), &access(".*")).await.unwrap();
    world.broker.put_limits(&user("shop"), &Limits::default()).await.unwrap();
    reconcile(&world).await.unwrap();
    reconcile(&world).await.unwrap();
    assert_eq!(everything(&world).await, before);
    assert!(world.broker.can_login("shop", &password));
    // What cannot be put back any more keeps nobody from giving the user back.
    world.broker.remove_resource(&vhost("/"), &Key::Vhost).await.unwrap();
    _ = reconcile(&world).await;
    release(&world, "shop").await.unwrap();
    world.broker.add_vhost(&vhost("/"));
    adopt(&world, json!({})).await;
    world.broker.delete_user(&user("shop")).await.unwrap();
    let report = reconcile(&world).await.unwrap();
    assert!(report.contains("shop is left as it is: the user is gone"), "{report}");
    release(&world, "shop").await.unwrap();
    assert_eq!(reconcile(&world).await.unwrap(), "");
}

#[tokio::test]
async fn a_profile_takes_an_adopted_user_over_and_its_password_works_until_it_is_rotated() {
    let world = world(SHOP).await;
    let password = make_shop(&world).await;
    assert_eq!(apply(&world).await["left"], 1);
    adopt(&world, json!({})).await;
    let planned = world.operate("GET", "/relay/plan", None).await;
    assert_eq!(
        planned["steps"][0]["why"],
        "it was adopted, it gets the declared permissions, limits, orders for drift, and keeps its password and its tags \
         until it is rotated"
    );
    assert_eq!(plan(&world).await, ["take over account shop"]);
    assert_eq!(apply(&world).await["failed"], 0);
    assert!(world.broker.can_login("shop", &password));
    assert_eq!(permissions(&world, "v").await, "shop  ^orders$ \n");
    assert_eq!(permissions(&world, "/").await, "");
    // Tags are told with a password, which only the broker knows.
    assert_eq!(plan(&world).await, ["leave account shop"]);
    let operator = Operator::connect(&world.settings).unwrap();
    let refused = operator.call("GET", "/relay/accounts/shop/credentials", None).await.unwrap_err();
    assert!(refused.message().contains("an operator draws one by `keylender relay rotate shop`"), "{refused}");
    assert_eq!(world.operate("GET", "/relay/users", None).await["adopted"], json!([]));

    world.operate("POST", "/relay/accounts/shop/rotate", Some(json!({ "reason": "ours now" }))).await;
    assert!(!world.broker.can_login("shop", &password));
    assert_eq!(plan(&world).await, Vec::<String>::new());
    let lent = world.operate("GET", "/relay/accounts/shop/credentials", None).await;
    let ours = Secret::new(lent["password"].as_str().unwrap());
    assert!(world.broker.can_login("shop", &ours));

    let planned = world.operate("POST", "/relay/users/shop/release?plan=1", Some(json!({ "reason": "to see" }))).await;
    assert!(planned.to_string().contains("1 were lent its password, which goes on to work"), "{planned}");
    release(&world, "shop").await.unwrap();
    assert!(world.broker.can_login("shop", &ours));
    assert_eq!(plan(&world).await, ["leave account shop"], "it is somebody else's again");
    reconcile(&world).await.unwrap();
    assert_eq!(permissions(&world, "v").await, "shop  ^orders$ \n");
}

#[tokio::test]
async fn a_user_that_was_taken_over_and_never_rotated_is_given_back_when_it_is_declared_no_more() {
    let mut world = world(SHOP).await;
    let password = make_shop(&world).await;
    adopt(&world, json!({})).await;
    assert_eq!(apply(&world).await["failed"], 0);
    world.settings.relay = profile("name = 'r'\n[[vhost]]\nname = 'v'\n");
    world.restart().await;
    let planned = world.operate("GET", "/relay/plan", None).await;
    let why = planned["steps"][0]["why"].as_str().unwrap();
    assert!(why.contains("it is given back, and its user stays"), "{why}");
    assert_eq!(apply(&world).await["failed"], 0);
    assert!(world.broker.can_login("shop", &password));
    assert_eq!(plan(&world).await, Vec::<String>::new());
}

#[tokio::test]
async fn users_that_keylender_answers_for_or_is_cannot_be_adopted() {
    let world = world(SHOP).await;
    apply(&world).await;
    let operator = Operator::connect(&world.settings).unwrap();
    let input = || Some(json!({ "owner": "me", "reason": "to see" }));
    for (name, kind, says) in [
        ("shop", Kind::Conflict, "belongs to the relay `r` already"),
        ("administrator", Kind::Conflict, "is who Keylender is to the broker"),
        ("keylender-admin-x-1", Kind::Conflict, "is the name of an administrator of Keylender"),
        ("nobody", Kind::NotFound, "the broker has no user `nobody`"),
    ] {
        let error = operator.call("POST", &format!("/relay/users/{name}/adopt"), input()).await.unwrap_err();
        assert_eq!((error.kind(), error.message().contains(says)), (kind, true), "{name}: {error}");
    }
    make_user(&world, "other", &Secret::new("theirs")).await;
    for (owner, says) in [(String::new(), "say who answers"), ("x".repeat(201), "at most 200 bytes")] {
        let input = Some(json!({ "owner": owner, "reason": "to see" }));
        let error = operator.call("POST", "/relay/users/other/adopt", input).await.unwrap_err();
        assert!(error.kind() == Kind::Invalid && error.message().contains(says), "{error}");
    }
    assert_eq!(world.operate("GET", "/relay/users", None).await["others"], json!(["other"]));
}

#[tokio::test]
async fn an_account_that_is_declared_no_more_stays_when_it_is_released_first() {
    let mut world = world(SHOP).await;
    apply(&world).await;
    let lent = world.operate("GET", "/relay/accounts/shop/credentials", None).await;
    release(&world, "shop").await.unwrap();
    world.settings.relay = profile("name = 'r'\n[[vhost]]\nname = 'v'\n");
    world.restart().await;
    assert_eq!(apply(&world).await["done"], 0);
    assert!(world.broker.can_login("shop", &Secret::new(lent["password"].as_str().unwrap())));
}
