//! A further broker that is a real one, beside a main one in memory: on one node users would be the same ones.

use std::sync::Arc;

use keylender::app::settings::Settings;
use keylender::app::{Appliance, Brokers};
use keylender::base::{AccountName, Clock, NamespaceName, Secret, SiteName, Timestamp, VhostName};
use keylender::domain::auth::Caller;
use keylender::domain::namespaces::{Claim, Which};
use keylender::ports::broker::{Handle, MemoryBroker, Site, Topology, Users};
use serde_json::json;

use crate::node::node;
use crate::real::LOGIN_DEADLINE;

const VHOST: &str = "sites.eu";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_namespace_lives_and_ends_on_a_further_broker_as_on_the_main_one() {
    node().admin("PUT", &format!("vhosts/{VHOST}"), json!({})).await;
    let vhost = VhostName::parse(VHOST).unwrap();
    let (memory, dir) = (MemoryBroker::default(), tempfile::tempdir().unwrap());
    let side = Handle::new(Some(Arc::new(node().broker()) as _));
    let further = vec![Site { name: SiteName::parse("eu").unwrap(), vhost: vhost.clone(), side }];
    let mut settings = Settings::for_tests(dir.path());
    settings.namespaces.username_prefix = "sites.".to_owned();
    let brokers = Brokers { further, ..Brokers::one(Some(Arc::new(memory.clone()))) };
    let appliance = Appliance::with(&settings, Clock::system(), brokers).unwrap();
    let (name, caller) = (NamespaceName::parse("taskcluster-a").unwrap(), Caller::local("story", "r"));
    let claim = Claim { expires: Some(Timestamp::MAX), ..Claim::default() };
    let claimed = appliance.namespaces.claim(&caller, &name, claim).await.unwrap().into_inner();
    let url: url::Url = claimed.connection_string.expose().parse().unwrap();
    let (user, password) = (AccountName::parse(url.username()).unwrap(), Secret::new(url.password().unwrap()));

    let done = appliance.accounts.reconcile().await.unwrap();
    assert_eq!((done.drifted, done.settled, done.failed), (0, 2, 0));
    let door = node().door(&vhost);
    assert!(door.verify_login(user.as_str(), &password, LOGIN_DEADLINE).await.unwrap());
    let path = format!("permissions/{VHOST}/{user}");
    node().admin("PUT", &path, json!({"configure": ".*", "write": ".*", "read": ".*"})).await;
    let done = appliance.accounts.reconcile().await.unwrap();
    assert_eq!((done.drifted, done.settled, done.failed), (1, 1, 0));
    assert!(appliance.accounts.drifts().await.unwrap().is_empty());
    let (site, found) = appliance.health.further_brokers().await.remove(0);
    assert!(site.as_str() == "eu" && found.text.contains("RabbitMQ"), "{found:?}");

    for queue in ["queue%2Ftaskcluster-a%2Fx", "theirs"] {
        node().admin("PUT", &format!("queues/{VHOST}/{queue}"), json!({})).await;
    }
    assert!(appliance.namespaces.expire(&name, &caller, Which::Any).await.unwrap());
    let broker = node().broker();
    assert!(broker.user(&user).await.unwrap().is_none() && memory.user(&user).await.unwrap().is_none());
    let left = broker.queues(&vhost).await.unwrap();
    assert_eq!(left.iter().map(|queue| queue.name.as_str()).collect::<Vec<_>>(), ["theirs"]);
}
