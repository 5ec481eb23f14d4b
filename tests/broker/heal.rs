//! What others change at the broker, or lose with it, is put back.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use keylender::app::operate;
use keylender::base::{NamespaceName, Secret};
use keylender::domain::accounts::Reconciled;
use keylender::domain::auth::Caller;
use keylender::domain::namespaces::When;
use keylender::ports::broker::{Topology, Users};
use serde_json::{Value, json};

use crate::appliance::Appliance;
use crate::node::node;

async fn reconcile(appliance: &Appliance) -> Reconciled {
    appliance.running.appliance.accounts.reconcile().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_lost_everything_gets_it_back_in_one_pass() {
    let appliance = Appliance::new("heal.wiped").await;
    let lent = [appliance.lent("taskcluster-a").await, appliance.lent("taskcluster-b").await];
    let before = appliance.at_the_broker().await;
    for user in &before.0 {
        node().admin("DELETE", &format!("users/{}", user.name), json!({})).await;
    }
    assert!(!appliance.works(&lent[0]).await);

    assert_eq!(reconcile(&appliance).await, Reconciled { seen: 4, drifted: 4, settled: 4, ..Reconciled::default() });
    assert_eq!(appliance.at_the_broker().await, before);
    for lent in &lent {
        assert!(appliance.works(lent).await);
    }
    assert!(!appliance.can_login(&appliance.user("taskcluster-a", 2), &Secret::new("")).await);
    assert_eq!(appliance.lent("taskcluster-a").await, lent[0]);
    assert_eq!(reconcile(&appliance).await, Reconciled { seen: 4, drifted: 0, settled: 0, ..Reconciled::default() });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_vhost_that_went_and_came_back_is_furnished_again() {
    let appliance = Appliance::new("heal.vhost").await;
    let lent = appliance.lent("taskcluster-a").await;
    node().admin("DELETE", "vhosts/heal.vhost", json!({})).await;
    let done = reconcile(&appliance).await;
    assert_eq!((done.drifted, done.settled, done.failed), (2, 0, 2));
    appliance.refused("taskcluster-a").await;
    appliance.refused("taskcluster-new").await;

    node().admin("PUT", "vhosts/heal.vhost", json!({})).await;
    let done = reconcile(&appliance).await;
    assert_eq!((done.seen, done.failed), (4, 0));
    assert!(appliance.works(&lent).await);
    assert_eq!(appliance.lent("taskcluster-a").await, lent);
}

/// What somebody does to a user by hand: method and path, in which `{user}` stands for its name, and the body.
type Meddling = (&'static str, &'static str, Value);

/// Every kind of it, with a part of the words that the audit log has for it.
fn meddlings() -> Vec<(Meddling, &'static str)> {
    let access = |pattern: &str| json!({"configure": pattern, "write": pattern, "read": pattern});
    vec![
        (("PUT", "users/{user}", json!({"password_hash": "", "tags": "administrator"})), "tags are [administrator]"),
        (("PUT", "users/{user}", json!({"password": "mine", "tags": ""})), "tags are []"),
        (("PUT", "users/{user}", json!({"password": "mine", "tags": "taskcluster-pulse"})), "password was changed"),
        (
            ("PUT", "users/{user}", {
                let (hash, by) = (BASE64.encode([7; 68]), "rabbit_password_hashing_sha512");
                json!({"password_hash": hash, "hashing_algorithm": by, "tags": "taskcluster-pulse"})
            }),
            "password was changed",
        ),
        (("PUT", "permissions/heal.drift/{user}", access(".*")), "permissions were changed"),
        (("PUT", "permissions/heal.drift/{user}", access("")), "permissions were changed"),
        (("DELETE", "permissions/heal.drift/{user}", json!({})), "permissions are gone"),
        (("PUT", "permissions/%2F/{user}", access(".*")), "may enter the vhost /"),
        (
            (
                "PUT",
                "topic-permissions/heal.drift/{user}",
                json!({"exchange": "amq.topic", "write": "^$", "read": "^$"}),
            ),
            "topic permissions were changed",
        ),
        (("DELETE", "users/{user}", json!({})), "the user is gone"),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_drift_is_put_back_and_audited() {
    let appliance = Appliance::new("heal.drift").await;
    let lent = appliance.lent("taskcluster-a").await;
    let before = appliance.at_the_broker().await;
    let second = appliance.user("taskcluster-a", 2);
    for ((method, path, body), what) in meddlings() {
        for user in [&lent.user, &second] {
            node().admin(method, &path.replace("{user}", user.as_str()), body.clone()).await;
            let audited = appliance.audited("account.drift", "done").len();
            let done = reconcile(&appliance).await;
            assert_eq!((done.drifted, done.settled, done.failed), (1, 1, 0), "{what}");
            assert_eq!(appliance.at_the_broker().await, before, "{what}");
            let entries = appliance.audited("account.drift", "done").split_off(audited);
            assert_eq!(entries.len(), 1);
            assert_eq!(entries[0]["object"], user.as_str());
            assert!(entries[0]["details"]["what"].as_str().unwrap().contains(what), "{:?}", entries[0]);
        }
        assert!(appliance.works(&lent).await, "{what}");
    }
    assert!(!appliance.can_login(&second, &Secret::new("mine")).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_of_others_are_never_touched() {
    let appliance = Appliance::new("heal.foreign").await;
    appliance.lent("taskcluster-a").await;
    let names = ["taskcluster-a-3", "taskcluster-b-1", "operator"].map(|name| format!("heal.foreign.{name}"));
    for (name, tags) in names.iter().zip(["taskcluster-pulse", "", "monitoring"]) {
        node().admin("PUT", &format!("users/{name}"), json!({"password": "theirs", "tags": tags})).await;
        let access = json!({"configure": "", "write": ".*", "read": ""});
        node().admin("PUT", &format!("permissions/heal.foreign/{name}"), access).await;
    }
    let before = appliance.at_the_broker().await;
    node().admin("DELETE", &format!("users/{}", appliance.user("taskcluster-a", 1)), json!({})).await;

    assert_eq!(reconcile(&appliance).await, Reconciled { seen: 2, drifted: 1, settled: 1, ..Reconciled::default() });
    assert_eq!(appliance.at_the_broker().await, before);
    for name in &names {
        let name = name.parse().unwrap();
        assert!(appliance.can_login(&name, &Secret::new("theirs")).await);
        assert!(node().broker().user(&name).await.unwrap().is_some());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_was_restored_gives_the_broker_the_passwords_that_it_has() {
    let appliance = Appliance::new("heal.restored").await;
    let lent = appliance.lent("taskcluster-a").await;
    let local = Caller::local("story", "r");
    let taken = appliance.running.appliance.backups.take(&local).await.unwrap();
    let name = NamespaceName::parse("taskcluster-a").unwrap();
    appliance.running.appliance.namespaces.rotate(&name, &local, When::Now).await.unwrap();
    let later = appliance.lent("taskcluster-a").await;
    assert!(appliance.works(&lent).await && appliance.works(&later).await, "both are promised");
    let unknown = appliance.lent("taskcluster-b").await;
    let queue = "queues/heal.restored/queue%2Ftaskcluster-b%2Fq";
    node().admin("PUT", queue, json!({"durable": true})).await;

    let appliance = appliance
        .restart(|settings| {
            std::fs::remove_file(settings.data_dir.join("keylender.redb")).unwrap();
            operate::restore(settings, &settings.data_dir.join("backups").join(&taken.name)).unwrap();
        })
        .await;

    reconcile(&appliance).await;
    assert_eq!(appliance.lent("taskcluster-a").await, lent, "what was lent at the time of the backup is lent again");
    assert!(appliance.works(&lent).await);
    assert!(!appliance.works(&later).await, "what was lent since is not");
    assert_eq!(appliance.audited("store.restore", "done").len(), 2);
    appliance.running.appliance.loops.run("monitor").await.unwrap();
    let broker = node().broker();
    assert_eq!(
        broker.queues(&appliance.vhost).await.unwrap().len(),
        1,
        "it asks before it deletes what it does not know"
    );
    let again = appliance.lent("taskcluster-b").await;
    assert!(appliance.works(&again).await && again != unknown, "what the backup does not know is claimed anew");
}
