//! A relay on a real broker: from nothing to what the guides of its platform ask for, by one apply.

use std::time::Duration;

use keylender::app::settings::RelaySettings;
use keylender::base::{AccountName, Secret, VhostName};
use keylender::domain::auth::Caller;
use keylender::domain::relay::{End, Login, Outcome, Relay};
use keylender::ports::broker::Connections;
use keylender::proto::relay_profile::{Profile, preset};
use lapin::options::{BasicConsumeOptions, ExchangeDeclareOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{Connection, ConnectionProperties, ExchangeKind};
use serde_json::{Value, json};

use crate::appliance::Appliance;
use crate::node::{encoded, node};
use crate::servers::{Fate, Gate};

/// The table of permissions that the guide of 2015 prints, by user.
const TABLE: &str = r"
admin .* .* .*
agent ^mig\.agt\.(linux|windows|darwin)\..*$ ^mig(|\.agt\.(linux|windows|darwin)\..*)$ ^mig(|\.agt\.(linux|windows|darwin)\..*)$
api ^migevent\..*$ ^migevent(|\..*)$ ^migevent(|\..*)$
scheduler ^mig(|(event|\.agt)(|\..*))$ ^mig(|event(|\..*)|\.(agt\.(heartbeats|results)))$ ^mig(|event(|\..*)|\.(agt\.(heartbeats|results)))$
worker ^migevent\..*$ ^migevent(|\..*)$ ^migevent(|\..*)$
";

const NOTHING: [&str; 0] = [];

/// An account of each way, in the vhost of the story.
const TURNS: &str = "
name = 'turns'
[[vhost]]
name = 'relay-turns'
queue = [{ name = 'q' }]
[[account]]
name = 'relay-turns.place'
back-within = '1 minute'
[[account.grant]]
vhost = 'relay-turns'
configure = ''
write = ''
read = '^q$'
consumes = ['q']
[[account]]
name = 'relay-turns.turn'
rotate-every = '2 hours'
rotate-by = 'in-turn'
[[account.grant]]
vhost = 'relay-turns'
configure = ''
write = ''
read = ''
";

/// An appliance with a built-in profile. Other stories have users on this node: `guest` is let be, and the relay has a vhost
/// and users of its own.
pub async fn appliance(name: &str, builtin: &str) -> Appliance {
    let text = preset(builtin).unwrap().replace("absent-users = [\"guest\"]", "");
    let text = text.replace("vhost = \"mig\"", &format!("vhost = \"{name}-mig\""));
    let text = text.replace("[[vhost]]\nname = \"mig\"", &format!("[[vhost]]\nname = \"{name}-mig\""));
    let text = text.replace("[[account]]\nname = \"", &format!("[[account]]\nname = \"{name}."));
    let profile = Profile::parse(&text).unwrap();
    let relay = Some(RelaySettings { profile, from: builtin.to_owned() });
    Appliance::by_hand(name, |settings| settings.relay = relay).await
}

pub fn relay(appliance: &Appliance) -> &Relay {
    &appliance.running.appliance.relay
}

/// Applies it: how many steps were done, and how many left.
pub async fn apply(appliance: &Appliance) -> (usize, usize) {
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

async fn turning() -> Appliance {
    let relay = Some(RelaySettings { profile: Profile::parse(TURNS).unwrap(), from: "a story".to_owned() });
    let appliance = Appliance::by_hand("relay-turns", |settings| settings.relay = relay).await;
    apply(&appliance).await;
    appliance
}

pub async fn lend(appliance: &Appliance, name: &AccountName) -> Login {
    relay(appliance).lend(&Caller::local("story", "r"), name).await.unwrap().into_inner()
}

/// Connects as a program does that fetched a login: with the connection string as it is.
pub async fn connect(login: &Login) -> Connection {
    Connection::connect(login.vhosts[0].1.expose(), ConnectionProperties::default()).await.unwrap()
}

async fn works(appliance: &Appliance, login: &Login) -> bool {
    appliance.can_login(&login.username, &login.password).await
}

/// Waits until it is said: what the broker knows of connections and consumers is seconds old.
async fn until_said(expected: &str, says: impl AsyncFn() -> String) {
    let mut said = String::new();
    for _ in 0..60 {
        said = says().await;
        if said == expected {
            return;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    panic!("expected `{expected}`, and it is `{said}`");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_ends_the_old_password_in_place_and_keeps_it_in_turn() {
    let appliance = turning().await;
    let (relay, caller) = (relay(&appliance), Caller::local("story", "r"));
    let [place, turn] = ["place", "turn"].map(|name| AccountName::parse(&format!("relay-turns.{name}")).unwrap());
    let programs = async || relay.look_for_programs().await.unwrap();

    let before = lend(&appliance, &place).await;
    let connection = connect(&before).await;
    let channel = connection.create_channel().await.unwrap();
    let consume = BasicConsumeOptions::default();
    // It consumes as long as it is kept.
    let _consumer = channel.basic_consume("q".into(), "".into(), consume, FieldTable::default()).await.unwrap();
    // The broker counts a connection some milliseconds after it lets it in.
    let count = async || node().broker().connection_count(&place).await.unwrap();
    until_said("connections: 1", async || format!("connections: {}", count().await)).await;
    relay.rotate(&place, &caller, true).await.unwrap();
    let after = lend(&appliance, &place).await;
    assert!(!works(&appliance, &before).await && works(&appliance, &after).await);
    until_said("connected: false", async || format!("connected: {}", connection.status().connected())).await;
    appliance.clock.advance(Duration::from_secs(60));
    let missed = format!("the programs of {place} are not back: ");
    until_said(&format!("{missed}no connection, no consumer on `q` in relay-turns"), programs).await;
    let connection = connect(&after).await;
    until_said(&format!("{missed}no consumer on `q` in relay-turns"), programs).await;
    let channel = connection.create_channel().await.unwrap();
    let _consumer = channel.basic_consume("q".into(), "".into(), consume, FieldTable::default()).await.unwrap();
    until_said("", programs).await;

    let before = lend(&appliance, &turn).await;
    let connection = connect(&before).await;
    relay.rotate(&turn, &caller, false).await.unwrap();
    let after = lend(&appliance, &turn).await;
    assert_eq!((before.username.as_str(), after.username.as_str()), ("relay-turns.turn-1", "relay-turns.turn-2"));
    assert!(works(&appliance, &before).await && works(&appliance, &after).await);
    assert!(connection.status().connected());
    relay.revoke(&turn, &caller).await.unwrap();
    assert!(!works(&appliance, &before).await && !works(&appliance, &after).await);
    until_said("connected: false", async || format!("connected: {}", connection.status().connected())).await;
    assert!(works(&appliance, &lend(&appliance, &turn).await).await);
    assert_eq!(drifts(&appliance).await, NOTHING);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queues_that_the_broker_does_not_list_in_time_hide_nothing_of_its_nodes() {
    let gate = Gate::start().await;
    let url = format!("http://{}/api", gate.address).parse().unwrap();
    let text = "name = 'hang'\n[[vhost]]\nname = 'relay-hang'\nqueue = [{ name = 'q', type = 'quorum' }]\n";
    let relay_of = RelaySettings { profile: Profile::parse(text).unwrap(), from: "a story".to_owned() };
    let appliance = Appliance::by_hand("relay-hanging", |settings| {
        settings.relay = Some(relay_of);
        settings.broker.as_mut().unwrap().base_url = url;
    })
    .await;
    apply(&appliance).await;
    let well = relay(&appliance).cluster().await.unwrap();
    let [queue] = &well.queues[..] else { panic!("{:?}", well.queues) };
    assert!(queue.place.is_replicated && queue.place.leader.is_some() && queue.astray.is_none(), "{queue:?}");
    gate.decide(|line| if line.contains("/queues/relay-hang") { Fate::Hangs } else { Fate::Passes });
    let hanging = relay(&appliance).cluster().await.unwrap();
    assert_eq!((hanging.nodes, hanging.untold.len()), (well.nodes, 1), "what is known is said");
}
