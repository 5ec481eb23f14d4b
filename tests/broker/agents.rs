//! Agents of a fleet on a real broker: enrolled, at work, with another password, cut off, and let in again.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use keylender::app::settings::RelaySettings;
use keylender::base::{HostName, Queueloc, Reason, VhostName};
use keylender::domain::agents::{Agents, Enrolment, QUEUE, QueueFate, Standing, Wanted};
use keylender::domain::auth::Caller;
use keylender::domain::hosts::Asker;
use keylender::domain::relay::Asked;
use keylender::ports::broker::{DeclaredQueue, Resource, Resources, Topology};
use keylender::proto::broker_pattern::Operation;
use keylender::proto::relay_profile::Profile;
use lapin::options::{BasicConsumeOptions, BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use serde_json::json;

use crate::appliance::Appliance;
use crate::node::{encoded, node};
use crate::real::eventually;
use crate::relay::apply;
use crate::relay_access::{bind, declare, publish};

const HEARTBEATS: &str = "mig.agt.heartbeats";
/// How long a broker may take to end the connections of a user that is gone.
const CUT_OFF_MAX: Duration = Duration::from_secs(10);

/// The exchanges of a generation: to the scheduler, and to agents.
type Exchanges = [&'static str; 2];

/// A fleet in a vhost of its own, of the time of topics or of direct exchanges.
async fn fleet(name: &str, is_topic: bool) -> (Appliance, Exchanges) {
    let (exchanges, kind, age) = if is_topic {
        (["mig", "mig"], "topic", "2015-03")
    } else {
        (["toschedulers", "toagents"], "direct", "2018-10")
    };
    let [to, from] = exchanges;
    let declared = if is_topic { vec![to] } else { vec![to, from] };
    let declared = declared.iter().map(|name| format!("[[vhost.exchange]]\nname = '{name}'\ntype = '{kind}'\n"));
    let text = format!(
        "name = '{name}'\n[[vhost]]\nname = '{name}-mig'\n{}[[vhost.queue]]\nname = '{HEARTBEATS}'\n\
         [[vhost.binding]]\nsource = '{to}'\ndestination = '{HEARTBEATS}'\nrouting-key = '{HEARTBEATS}'\n\
         [[part]]\nname = 'agent'\nkind = 'mig-agent'\nage = '{age}'\n\
         [part.settings.mq]\nhost = 'relay'\nport = 5672\n\
         [part.settings.certs]\nca = '/c'\ncert = '/c'\nkey = '/c'\n\
         [agents]\nvhost = '{name}-mig'\nsends-to = '{to}'\ntakes-from = '{from}'\nexchange-type = '{kind}'\n\
         part = 'agent'\naccount-prefix = '{name}.'\n",
        declared.collect::<String>()
    );
    let profile = Profile::parse(&text).unwrap();
    let relay = Some(RelaySettings { profile, from: "a story".to_owned() });
    let appliance = Appliance::by_hand(name, |settings| settings.relay = relay).await;
    apply(&appliance).await;
    (appliance, exchanges)
}

fn agents(appliance: &Appliance) -> &Agents {
    &appliance.running.appliance.agents
}

fn host(name: &str) -> HostName {
    HostName::parse(name).unwrap()
}

fn caller() -> Caller {
    Caller::local("story", "r").because(Reason::parse("to see").unwrap())
}

/// A host that shows a token.
async fn enrol(appliance: &Appliance, name: &str) -> Enrolment {
    let token = agents(appliance).make_token(host(name), Duration::from_secs(60), &caller()).await.unwrap();
    let wanted = Wanted { os: "linux".to_owned(), token: Some(token.into_inner().token) };
    let asker = Asker { address: IpAddr::V4(Ipv4Addr::LOCALHOST), is_sure: true, request_id: "r" };
    agents(appliance).enrol(asker, wanted).await.unwrap().into_inner()
}

fn queue(enrolment: &Enrolment) -> String {
    format!("mig.agt.{}", enrolment.queueloc)
}

async fn connect(enrolment: &Enrolment) -> Result<Connection, lapin::Error> {
    let Enrolment { username, password, vhost, .. } = enrolment;
    let login = format!("{}:{}", encoded(username.as_str()), encoded(password.expose()));
    let uri = format!("amqp://{login}@127.0.0.1:{}/{}", node().amqp_port, encoded(vhost.as_str()));
    Connection::connect(&uri, ConnectionProperties::default()).await
}

/// An agent at work: its queue is declared, bound and consumed, as the recorded ones do it.
async fn work(enrolment: &Enrolment, exchanges: Exchanges) -> (Connection, Channel) {
    let connection = connect(enrolment).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    let own = queue(enrolment);
    declare(&channel, &own).await.unwrap();
    bind(&channel, &own, exchanges[1], &own).await.unwrap();
    consume(&channel, &own).await.unwrap();
    (connection, channel)
}

async fn consume(channel: &Channel, queue: &str) -> lapin::Result<()> {
    let options = BasicConsumeOptions::default();
    channel.basic_consume(queue.into(), "".into(), options, FieldTable::default()).await.map(drop)
}

/// What a rogue agent is let do with what is another's. A refusal ends the channel, so that each has one of its own.
async fn may(connection: &Connection, own: &str, other: &str, exchanges: Exchanges) -> Vec<&'static str> {
    let [to_scheduler, to_agents] = exchanges;
    let mut allowed = Vec::new();
    for word in [
        "send to another agent",
        "send around the exchanges",
        "take heartbeats",
        "take ours",
        "consume another's queue",
        "bind its queue to another's key",
        "bind its queue to results",
        "bind another's queue",
        "declare a queue",
        "declare an exchange",
    ] {
        let channel = connection.create_channel().await.unwrap();
        let tried = match word {
            "send to another agent" => publish(&channel, to_agents, other).await,
            "send around the exchanges" => publish(&channel, "", HEARTBEATS).await,
            "take heartbeats" => consume(&channel, HEARTBEATS).await,
            "take ours" => consume(&channel, QUEUE).await,
            "consume another's queue" => consume(&channel, other).await,
            "bind its queue to another's key" => bind(&channel, own, to_agents, other).await,
            "bind its queue to results" => bind(&channel, own, to_scheduler, "mig.agt.results").await,
            "bind another's queue" => bind(&channel, other, to_agents, own).await,
            "declare a queue" => declare(&channel, "mig.agt.linux.another").await,
            _ => {
                let options = lapin::options::ExchangeDeclareOptions::default();
                channel.exchange_declare("x".into(), lapin::ExchangeKind::Direct, options, FieldTable::default()).await
            }
        };
        match tried {
            Ok(()) => allowed.push(word),
            Err(error) => assert!(error.to_string().to_lowercase().contains("refused"), "{word}: {error}"),
        }
    }
    allowed
}

async fn heartbeat(channel: &Channel, appliance: &Appliance, enrolment: &Enrolment, exchange: &str) {
    let now = appliance.clock.now().to_string();
    let body = json!({
        "name": enrolment.host.as_str(), "queueloc": enrolment.queueloc.as_str(), "mode": "daemon", "version": "1",
        "pid": 7, "starttime": now, "destructiontime": "0001-01-01T00:00:00Z", "heartbeatts": now,
        "environment": { "init": "systemd", "ident": "Debian", "os": "linux", "arch": "amd64", "isproxied": false },
    });
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    // As the recorded ones are sent.
    let properties = BasicProperties::default().with_delivery_mode(2).with_content_type("text/plain".into());
    let properties = properties.with_expiration("3000000".into());
    let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
    let body = body.to_string();
    let sent = channel.basic_publish(exchange.into(), HEARTBEATS.into(), options, body.as_bytes(), properties);
    sent.await.unwrap().await.unwrap();
}

async fn standing(appliance: &Appliance, queueloc: &Queueloc) -> Option<Standing> {
    let lines = agents(appliance).list().await.unwrap();
    lines.iter().find(|line| line.queueloc == *queueloc).map(|line| line.standing)
}

/// The whole life of an agent.
async fn a_life(name: &str, is_topic: bool) {
    let (appliance, exchanges) = fleet(name, is_topic).await;
    let (one, other) = (enrol(&appliance, "web1.example.net").await, enrol(&appliance, "web2.example.net").await);
    let (_others, _) = work(&other, exchanges).await;
    let (connection, channel) = work(&one, exchanges).await;

    // It works, and is seen at work, beside the scheduler's queue.
    eventually(async || agents(&appliance).figures().await.unwrap().reading.since).await;
    heartbeat(&channel, &appliance, &one, exchanges[0]).await;
    let online = async || standing(&appliance, &one.queueloc).await.filter(|standing| *standing == Standing::Online);
    eventually(online).await;
    let scheduler = node().told(&format!("queues/{name}-mig/{HEARTBEATS}")).await;
    assert_eq!(scheduler["name"], HEARTBEATS, "the scheduler's queue is there, and has it, too");

    // The table: every row is refused but what direct exchanges cannot.
    let (own, others) = (queue(&one), queue(&other));
    let allowed = may(&connection, &own, &others, exchanges).await;
    let expected: &[&str] = if is_topic { &[] } else { &["bind its queue to another's key"] };
    assert_eq!(allowed, expected);
    let asked = Asked { queue: Some(others.clone()), exchange: Some(exchanges[1].into()), key: Some(others.clone()) };
    let reach = agents(&appliance).reach(&one.host, &asked).await.unwrap();
    let foretold = |is_queue, name: &str| {
        reach.names.iter().find(|it| it.is_queue == is_queue && it.name == name).map(|it| it.may.clone()).unwrap()
    };
    assert!(!foretold(true, &others).contains(&Operation::Consume));
    assert_eq!(foretold(false, exchanges[1]).contains(&Operation::BindQueue), !is_topic);

    // Enrolling again: the former password opens nothing any more, and what is open stays.
    let again = enrol(&appliance, "web1.example.net").await;
    assert_eq!(again.queueloc, one.queueloc);
    assert!(connect(&one).await.is_err());
    assert!(connection.status().connected());
    heartbeat(&channel, &appliance, &again, exchanges[0]).await;
    let (connection, _) = work(&again, exchanges).await;

    // Cut off: at once, whoever else is there goes on.
    agents(&appliance).revoke(&again.host, QueueFate::Delete, &caller()).await.unwrap();
    let closed = async || (!connection.status().connected()).then_some(());
    tokio::time::timeout(CUT_OFF_MAX, eventually(closed)).await.unwrap();
    assert!(connect(&again).await.is_err());
    connect(&other).await.unwrap();
    assert_eq!(standing(&appliance, &one.queueloc).await, Some(Standing::Revoked));
    let queues = node().told(&format!("queues/{name}-mig")).await.to_string();
    assert!(!queues.contains(&own) && queues.contains(&others), "{queues}");

    // Let in again, it is another one.
    let back = enrol(&appliance, "web1.example.net").await;
    assert_ne!(back.queueloc, one.queueloc);
    work(&back, exchanges).await;
    appliance.running.appliance.accounts.reconcile().await.unwrap();
    connect(&back).await.unwrap();
    assert!(connect(&again).await.is_err(), "nothing brings the former one back");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_of_the_time_of_topics_reaches_its_own_until_it_is_cut_off() {
    a_life("agents-topic", true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_of_the_time_of_direct_exchanges_reaches_its_own_until_it_is_cut_off() {
    a_life("agents-direct", false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heartbeats_go_on_after_the_queue_of_the_reader_went() {
    let (appliance, exchanges) = fleet("agents-reading", false).await;
    let one = enrol(&appliance, "web1.example.net").await;
    let (_connection, channel) = work(&one, exchanges).await;
    let taken = async || {
        let fates = agents(&appliance).figures().await.unwrap().fates;
        fates.into_iter().find(|(fate, _)| fate.code() == "taken").unwrap().1
    };
    let reads = async || {
        let before = taken().await;
        // What is sent while nobody has a queue there is nobody's.
        eventually(async || {
            heartbeat(&channel, &appliance, &one, exchanges[0]).await;
            (taken().await > before).then_some(())
        })
        .await;
    };
    reads().await;
    let (broker, vhost) = (node().broker(), VhostName::parse("agents-reading-mig").unwrap());
    let delete = async || assert!(broker.delete_queue(&vhost, QUEUE).await.is_ok());
    delete().await;
    reads().await;
    // What the broker lists may be seconds old.
    let path = format!("queues/agents-reading-mig/{QUEUE}");
    let told = eventually(async || Some(node().told(&path).await).filter(|told| told["arguments"].is_object())).await;
    let arguments = &told["arguments"];
    assert_eq!(
        (&arguments["x-max-length"], &arguments["x-overflow"], &arguments["x-message-ttl"]),
        (&json!(100_000), &json!("drop-head"), &json!(600_000)),
        "{told}"
    );
    // One that is there otherwise is told, and left.
    delete().await;
    let (name, kind) = (QUEUE.to_owned(), "classic".to_owned());
    let otherwise = DeclaredQueue { name, kind, durable: true, auto_delete: false, arguments: Default::default() };
    broker.put_resource(&vhost, &Resource::Queue(otherwise)).await.unwrap();
    let trouble = async || agents(&appliance).figures().await.unwrap().reading.trouble;
    let told = eventually(async || trouble().await.filter(|told| told.contains("other arguments"))).await;
    assert!(told.contains("delete it, and it is made anew"), "{told}");
    delete().await;
    reads().await;
}
