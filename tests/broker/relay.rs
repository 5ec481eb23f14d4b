//! A relay on a real broker: from nothing to what the guides of its platform ask for, by one apply.

use keylender::app::settings::RelaySettings;
use keylender::base::{Secret, VhostName};
use keylender::domain::auth::Caller;
use keylender::domain::relay::{End, Outcome, Relay};
use keylender::proto::relay_profile::{Profile, preset};
use lapin::options::{ExchangeDeclareOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{Connection, ConnectionProperties, ExchangeKind};
use serde_json::{Value, json};

use crate::appliance::Appliance;
use crate::node::{encoded, node};

/// The table of permissions that the guide of 2015 prints, by user.
const TABLE: &str = r"
admin .* .* .*
agent ^mig\.agt\.(linux|windows|darwin)\..*$ ^mig(|\.agt\.(linux|windows|darwin)\..*)$ ^mig(|\.agt\.(linux|windows|darwin)\..*)$
api ^migevent\..*$ ^migevent(|\..*)$ ^migevent(|\..*)$
scheduler ^mig(|(event|\.agt)(|\..*))$ ^mig(|event(|\..*)|\.(agt\.(heartbeats|results)))$ ^mig(|event(|\..*)|\.(agt\.(heartbeats|results)))$
worker ^migevent\..*$ ^migevent(|\..*)$ ^migevent(|\..*)$
";

const NOTHING: [&str; 0] = [];

/// An appliance with a built-in profile. Other stories have users on this node: `guest` is let be, and the relay has a vhost
/// and users of its own.
async fn appliance(name: &str, builtin: &str) -> Appliance {
    let text = preset(builtin).unwrap().replace("absent-users = [\"guest\"]", "");
    let text = text.replace("vhost = \"mig\"", &format!("vhost = \"{name}-mig\""));
    let text = text.replace("[[vhost]]\nname = \"mig\"", &format!("[[vhost]]\nname = \"{name}-mig\""));
    let text = text.replace("[[account]]\nname = \"", &format!("[[account]]\nname = \"{name}."));
    let profile = Profile::parse(&text).unwrap();
    let relay = Some(RelaySettings { profile, from: builtin.to_owned() });
    Appliance::by_hand(name, |settings| settings.relay = relay).await
}

fn relay(appliance: &Appliance) -> &Relay {
    &appliance.running.appliance.relay
}

/// Applies it: how many steps were done, and how many left.
async fn apply(appliance: &Appliance) -> (usize, usize) {
    let outcomes = relay(appliance).apply(&Caller::local("story", "r")).await.unwrap();
    let failed = outcomes.iter().filter(|outcome| matches!(outcome.end, End::Failed(_)));
    assert_eq!(failed.collect::<Vec<_>>(), Vec::<&Outcome>::new());
    let left = outcomes.iter().filter(|outcome| outcome.end == End::Left).count();
    (outcomes.len() - left, left)
}

/// What the broker has otherwise than it was applied, a line each.
async fn drifts(appliance: &Appliance) -> Vec<String> {
    relay(appliance).drifts().await.unwrap().iter().map(ToString::to_string).collect()
}

/// Whether this broker has no mirrors, so that their policy is left.
async fn left() -> usize {
    let overview = node().told("overview").await;
    usize::from(overview["rabbitmq_version"].as_str().unwrap().starts_with("4."))
}

async fn permissions(vhost: &str, prefix: &str) -> String {
    let told = node().told(&format!("vhosts/{vhost}/permissions")).await;
    let rows = told.as_array().unwrap().iter();
    let text = |row: &Value, member: &str| row[member].as_str().unwrap().to_owned();
    // Whoever makes a vhost may enter it.
    let mut lines: Vec<String> = rows
        .filter_map(|row| {
            let user = text(row, "user").strip_prefix(prefix)?.to_owned();
            Some(format!("{user} {} {} {}\n", text(row, "configure"), text(row, "write"), text(row, "read")))
        })
        .collect();
    lines.sort();
    lines.concat()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_apply_makes_the_table_of_the_guide_and_a_second_one_changes_nothing() {
    let appliance = appliance("relay-2015", "mig-2015").await;
    let left = left().await;
    assert_eq!(apply(&appliance).await, (7 - left, left));
    assert_eq!(permissions("relay-2015-mig", "relay-2015.").await, TABLE.trim_start());
    assert_eq!(apply(&appliance).await, (0, left));
    assert_eq!(drifts(&appliance).await, NOTHING);
    let policies = node().told("policies/relay-2015-mig").await;
    assert_eq!(policies.as_array().unwrap().len(), 1 - left, "{policies}");
    let admin = node().told("users/relay-2015.admin").await;
    assert!(admin["tags"].to_string().contains("administrator"), "{admin}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn programs_may_declare_again_what_the_relay_declared_for_them() {
    let appliance = appliance("relay-2018", "mig-2018").await;
    let left = left().await;
    assert_eq!(apply(&appliance).await, (12 - left, left));
    // As the scheduler does when it starts: durable, without an argument.
    let at = node().settings();
    let (login, vhost) = (format!("{}:{}", at.username, encoded(at.password.expose())), "relay-2018-mig");
    let uri = format!("amqp://{login}@127.0.0.1:{}/{vhost}", node().amqp_port);
    let connection = Connection::connect(&uri, ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    let exchange = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
    channel.exchange_declare("toagents".into(), ExchangeKind::Direct, exchange, FieldTable::default()).await.unwrap();
    let queue = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    channel.queue_declare("mig.agt.results".into(), queue, FieldTable::default()).await.unwrap();
    assert_eq!(apply(&appliance).await, (0, left));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_somebody_changed_at_the_broker_is_drift_and_is_put_right() {
    let appliance = appliance("relay-drift", "mig-2018").await;
    apply(&appliance).await;
    let name = VhostName::parse("relay-drift-mig").unwrap();
    node().admin("DELETE", &format!("exchanges/{name}/toschedulers"), json!({})).await;
    node().admin("PUT", "users/relay-drift.agent", json!({"password": "x", "tags": "management"})).await;
    let kinds: Vec<String> =
        drifts(&appliance).await.iter().map(|line| line[..line.find(':').unwrap()].into()).collect();
    assert_eq!(
        kinds,
        [
            "create exchange toschedulers in relay-drift-mig",
            "create binding toschedulers → queue mig.agt.heartbeats by 'mig.agt.heartbeats' in relay-drift-mig",
            "create binding toschedulers → queue mig.agt.results by 'mig.agt.results' in relay-drift-mig",
            "change account relay-drift.agent",
        ]
    );
    appliance.running.appliance.loops.run("reconcile").await.unwrap();
    assert_eq!(drifts(&appliance).await, NOTHING);
    assert!(!node().can_manage("relay-drift.agent", &Secret::new("x")).await);
}
