//! The appliance starts whatever the broker is like, says what is wrong, lends nothing, and recovers by itself.

use std::path::PathBuf;

use keylender::app::settings::BrokerSettings;
use keylender::base::Secret;
use keylender::domain::accounts::REFUSED;
use serde_json::json;

use crate::appliance::Appliance;
use crate::node::node;
use crate::real::eventually;
use crate::servers::{Fate, Gate, Scripted, answer, json as json_answer, silent};

const NAMESPACE: &str = "taskcluster-a";

/// An appliance that starts with this broker, says this of it, and lends nothing.
async fn unwell(name: &str, change: impl FnOnce(&mut BrokerSettings), problem: &str) -> Appliance {
    let appliance = Appliance::with(name, |settings| change(settings.broker.as_mut().unwrap())).await;
    let (status, body) = appliance.get("/__heartbeat__").await;
    assert_eq!((status, &body["broker"]), (503, &json!({"ok": false, "problem": problem})));
    assert_eq!(body["store"]["ok"], true);
    let broker = appliance.settings.broker.as_ref().unwrap();
    for secret in [broker.base_url.as_str(), "127.0.0.1", "localhost", &broker.username, broker.password.expose()] {
        assert!(!body.to_string().contains(secret), "{body}");
    }
    appliance.refused(NAMESPACE).await;
    assert!(appliance.audited("namespace.claim", "done").is_empty());
    appliance
}

/// Waits until the heartbeat says that all is well, and lends.
async fn recovers(appliance: &Appliance) {
    eventually(async || (appliance.get("/__heartbeat__").await.0 == 200).then_some(())).await;
    let lent = appliance.lent(NAMESPACE).await;
    assert!(appliance.works(&lent).await);
}

fn at(address: impl std::fmt::Display) -> impl FnOnce(&mut BrokerSettings) {
    move |broker| broker.base_url = format!("http://{address}/api").parse().unwrap()
}

fn over_tls(port: u16, authority: PathBuf) -> impl FnOnce(&mut BrokerSettings) {
    move |broker| {
        broker.base_url = format!("https://localhost:{port}/api").parse().unwrap();
        broker.ca_file = Some(authority);
    }
}

const SILENT: &str = "the broker does not answer";
const STRANGE: &str = "the broker's answer makes no sense";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_any_broker() {
    let appliance = Appliance::with("unwell.none", |settings| settings.broker = None).await;
    let (status, body) = appliance.get("/__heartbeat__").await;
    assert_eq!((status, &body["broker"]["problem"]), (503, &json!("no broker is configured: see RABBIT_BASE_URL")));
    appliance.refused(NAMESPACE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_broker_that_is_down_until_it_is_up() {
    let gate = Gate::start().await;
    gate.decide(|_| Fate::Lost);
    let appliance = unwell("unwell.down", at(gate.address), SILENT).await;
    gate.decide(|_| Fate::Passes);
    recovers(&appliance).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_nobody_at_its_address() {
    let unused = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    unwell("unwell.unused", at(unused), SILENT).await;
    unwell("unwell.unknown", at("no-such-host.invalid."), SILENT).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_broker_that_never_answers() {
    unwell("unwell.silent", at(silent().await), "the broker does not answer in time").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_wrong_password_until_it_is_right() {
    let user = |password: &str| json!({"password": password, "tags": "administrator"});
    node().admin("PUT", "users/unwell.password", user("another")).await;
    let login = |broker: &mut BrokerSettings| {
        broker.username = "unwell.password".to_owned();
        broker.password = Secret::new("1-2-3-4");
    };
    let appliance = unwell("unwell.password", login, "the broker refuses our login").await;
    node().admin("PUT", "users/unwell.password", user("1-2-3-4")).await;
    recovers(&appliance).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_user_that_is_no_administrator_until_it_is_one() {
    for (name, tags, problem) in [
        ("unwell.manager", "management", "our broker user is not an administrator"),
        ("unwell.plain", "", "the broker does not give us the right to do this"),
    ] {
        let user = |tags: &str| json!({"password": "1-2-3-4", "tags": tags});
        node().admin("PUT", &format!("users/{name}"), user(tags)).await;
        let login = |broker: &mut BrokerSettings| {
            broker.username = name.to_owned();
            broker.password = Secret::new("1-2-3-4");
        };
        let appliance = unwell(name, login, problem).await;
        node().admin("PUT", &format!("users/{name}"), user("administrator")).await;
        recovers(&appliance).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_its_vhost_until_there_is_one() {
    let appliance = Appliance::new("unwell.vhost").await;
    node().admin("DELETE", "vhosts/unwell.vhost", json!({})).await;
    let body = eventually(async || {
        let (status, body) = appliance.get("/__heartbeat__").await;
        (status == 503).then_some(body)
    })
    .await;
    assert_eq!(body["broker"]["problem"], "the broker has no such vhost: see TASKCLUSTER_AMQP_VHOST");
    appliance.refused(NAMESPACE).await;
    assert!(!appliance.failures().is_empty());

    node().admin("PUT", "vhosts/unwell.vhost", json!({})).await;
    recovers(&appliance).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_tls_that_does_not_fit() {
    let (plain, tls) = (node().management_port, node().management_tls_port);
    unwell("unwell.tls.plain", over_tls(plain, node().path("ca.pem")), SILENT).await;
    unwell("unwell.tls.authority", over_tls(tls, node().path("client.pem")), SILENT).await;
    unwell("unwell.tls.certificate", over_tls(tls, node().path("ca.pem")), SILENT).await;
    unwell("unwell.tls.missing", at(format!("localhost:{tls}")), SILENT).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_something_that_is_no_broker() {
    unwell("unwell.amqp", at(format!("127.0.0.1:{}", node().amqp_port)), SILENT).await;
    for (name, page) in [
        ("unwell.page", answer("200 OK", "text/html", "<!doctype html><h1>Welcome</h1>")),
        ("unwell.missing", answer("404 Not Found", "text/html", "<h1>no such page</h1>")),
        ("unwell.json", json_answer("200 OK", r#"{"hello": "world"}"#)),
    ] {
        let server = Scripted::start(move |_, _| page.clone()).await;
        unwell(name, at(server.address), STRANGE).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_pattern_that_the_broker_does_not_take() {
    let appliance =
        Appliance::with("unwell.pattern", |settings| settings.namespaces.access.read = "(".to_owned()).await;
    appliance.refused(NAMESPACE).await;
    assert_eq!(appliance.failures()[0]["details"]["cause"], REFUSED);
    let broker = appliance.running.appliance.health.broker().await;
    assert!(broker.state.unwrap_err().ends_with("cannot read the pattern of USER_READ_PERMISSION"));
}
