//! The tunnel of a task to the broker: its client has no password, and the broker sees the login of its session.

use keylender::app::operate::Operator;
use keylender::app::settings::{ClientCertificate, RelaySettings, Settings, read_upstreams};
use keylender::proto::relay_profile::Profile;
use lapin::options::{BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, Result};
use serde_json::{Value, json};

use crate::appliance::Appliance;
use crate::node::node;
use crate::relay::apply;

/// Whoever runs the stories is who may ask.
fn own_user() -> u32 {
    std::os::unix::fs::MetadataExt::uid(&std::fs::metadata("/proc/self").unwrap())
}

async fn at(name: &str, upstreams: &str, change: impl FnOnce(&mut Settings)) -> Appliance {
    Appliance::with(name, |settings| {
        settings.proxy.declared = Some(read_upstreams(upstreams).unwrap());
        // The certificate of the node is for this name.
        settings.namespaces.amqp.protocol = "amqps://".to_owned();
        settings.namespaces.amqp.hostname = "localhost".to_owned();
        settings.namespaces.amqp.port = node().amqps_port;
        settings.namespaces.namespace_prefix = String::new();
        let broker = settings.broker.as_mut().unwrap();
        broker.ca_file = Some(node().path("ca.pem"));
        let [cert_file, key_file] = ["client.pem", "client.key"].map(|name| node().path(name));
        broker.certificate = Some(ClientCertificate { cert_file, key_file });
        change(settings);
    })
    .await
}

async fn open(appliance: &Appliance, scope: &str) -> Value {
    let input = json!({ "scopes": [scope], "listen": { "on": "port", "users": [own_user()] } });
    operate(appliance, "POST", "/proxy/sessions", input).await
}

async fn operate(appliance: &Appliance, method: &str, path: &str, input: Value) -> Value {
    Operator::connect(&appliance.settings).unwrap().change(method, path, Some(input)).await.unwrap()
}

async fn end(appliance: &Appliance, session: &Value) {
    let path = format!("/proxy/sessions/{}/end", session["session"].as_str().unwrap());
    operate(appliance, "POST", &path, json!({ "reason": "over" })).await;
}

async fn connect(session: &Value, variable: &str) -> Result<Connection> {
    let url = session["environment"][variable].as_str().unwrap();
    Connection::connect(url, ConnectionProperties::default()).await
}

async fn declare(channel: &Channel, queue: &str) -> Result<()> {
    channel.queue_declare(queue.into(), QueueDeclareOptions::default(), FieldTable::default()).await.map(drop)
}

/// Sends one message to a queue and takes it out.
async fn pass(channel: &Channel, queue: &str) -> Result<Vec<u8>> {
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    let (to, options) = (queue.into(), BasicPublishOptions::default());
    channel.basic_publish("".into(), to, options, b"hello", BasicProperties::default()).await?.await?;
    Ok(channel.basic_get(queue.into(), BasicGetOptions { no_ack: true }).await?.unwrap().delivery.data)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_without_a_password_works_in_its_namespace_until_its_session_ends() {
    let upstreams = "[[upstream]]\nname = 'pulse'\ncredential = { kind = 'namespace' }\n";
    let appliance = at("tunnel-namespace", upstreams, |_| {}).await;
    let session = open(&appliance, "pulse:namespace:ci-1").await;
    let connection = connect(&session, "PULSE_AMQP_URL").await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    declare(&channel, "queue/ci-1/work").await.unwrap();
    let refused = declare(&channel, "queue/ci-2/work").await.unwrap_err();
    assert!(refused.to_string().contains("ACCESS_REFUSED"), "{refused}");
    let channel = connection.create_channel().await.unwrap();
    declare(&channel, "queue/ci-1/more").await.unwrap();

    let users = appliance.at_the_broker().await.0;
    assert_eq!(users.len(), 2);
    end(&appliance, &session).await;
    let (users, permissions) = appliance.at_the_broker().await;
    assert_eq!((users, permissions), (vec![], vec![]));
    assert!(declare(&channel, "queue/ci-1/late").await.is_err(), "the connection is over");
    assert!(connect(&session, "PULSE_AMQP_URL").await.is_err());
    let queues = node().told("queues/tunnel-namespace").await;
    assert_eq!(queues, json!([]), "what lay below the namespace went with it");
}

const PROFILE: &str = r"
name = 'tunnel'
[[vhost]]
name = 'tunnel-mig'
[[account]]
name = 'tunnel.reader'
[[account.grant]]
vhost = 'tunnel-mig'
configure = '^own$'
write = '.*'
read = '.*'
";

#[tokio::test(flavor = "multi_thread")]
async fn an_account_of_the_relay_is_used_by_a_task_that_never_has_its_password() {
    let upstreams = "[[upstream]]\nname = 'relay'\nscopes = { whole = 'relay:use' }\n\
                     credential = { kind = 'relay-account', account = 'tunnel.reader' }\n";
    let appliance = at("tunnel-relay", upstreams, |settings| {
        let profile = Profile::parse(PROFILE).unwrap();
        settings.relay = Some(RelaySettings { profile, from: "a story".to_owned() });
    })
    .await;
    apply(&appliance).await;
    let session = open(&appliance, "relay:use").await;
    let connection = connect(&session, "RELAY_AMQP_URL").await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    declare(&channel, "own").await.unwrap();
    assert_eq!(pass(&channel, "own").await.unwrap(), b"hello");

    // The account has another password: whoever connects next has that.
    let rotate = "/relay/accounts/tunnel.reader/rotate";
    operate(&appliance, "POST", rotate, json!({ "reason": "time" })).await;
    let again = connect(&session, "RELAY_AMQP_URL").await.unwrap();
    assert!(again.create_channel().await.is_ok());

    end(&appliance, &session).await;
    assert!(declare(&channel, "own").await.is_err(), "the tunnel is over, and the account is not");
    assert!(connect(&session, "RELAY_AMQP_URL").await.is_err());
    assert_eq!(node().told("users/tunnel.reader").await["name"], "tunnel.reader");
}
