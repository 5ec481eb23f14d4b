//! The operator's commands, over the control socket of a running appliance on a real broker.

use std::process::Output;
use std::time::Duration;

use keylender::base::Secret;
use keylender::ports::broker::{Login, PasswordHash, UserWish, Users};
use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;
use serde_json::{Value, json};

use crate::appliance::Appliance;
use crate::lent::{names, settler};
use crate::node::node;
use crate::real::eventually;

const NAMESPACE: &str = "taskcluster-a";
const HOUR: Duration = Duration::from_secs(3600);

/// What a command of the built binary came to: its exit code and what it printed.
pub async fn keylender(appliance: &Appliance, command: &str) -> (i32, String) {
    run(appliance, &command.split(' ').collect::<Vec<_>>()).await
}

async fn run(appliance: &Appliance, words: &[&str]) -> (i32, String) {
    let mut program = tokio::process::Command::new(env!("CARGO_BIN_EXE_keylender"));
    program.args(words).arg("--data-dir").arg(&appliance.settings.data_dir).env_clear();
    let settings = appliance.settings.data_dir.join("empty.conf");
    std::fs::write(&settings, "").unwrap();
    let Output { status, stdout, stderr } = program.arg("--config").arg(settings).output().await.unwrap();
    (status.code().unwrap(), String::from_utf8([stdout, stderr].concat()).unwrap())
}

/// What a command printed that must work.
async fn well(appliance: &Appliance, command: &str) -> String {
    let (code, printed) = keylender(appliance, command).await;
    assert_eq!(code, 0, "{command}: {printed}");
    printed
}

/// The loop of this name, as `loop list` shows it.
async fn listed(appliance: &Appliance, name: &str) -> Value {
    let list: Value = well(appliance, "loop list --json").await.parse().unwrap();
    list["loops"].as_array().unwrap().iter().find(|each| each["name"] == name).unwrap().clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_for_a_test_logs_in_at_the_broker() {
    let appliance = Appliance::by_hand("operate.test", |_| {}).await;
    let said = well(&appliance, "namespace test taskcluster-a").await;
    assert!(said.contains("taskcluster-a-1 in ") && said.ends_with(" let it in\n"), "{said}");
    let tested: Value = well(&appliance, "namespace test taskcluster-a --json").await.parse().unwrap();
    assert_eq!((&tested["loginWorks"], tested.get("connectionString")), (&true.into(), None), "{tested}");
    // Somebody changed the password at the broker: the claim is answered from the store, and the login tells.
    let user = appliance.user(NAMESPACE, 1);
    let login = Login::Hash(PasswordHash::of(&Secret::new("another")));
    let wish = UserWish { name: &user, login, tags: &[], permissions: &[] };
    node().broker().put_login(&wish).await.unwrap();
    let (code, said) = keylender(&appliance, "namespace test taskcluster-a").await;
    assert!(code == 1 && said.contains("refuses the login"), "{code} {said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_rotates_and_removes_namespaces() {
    let appliance = Appliance::by_hand("operate.namespaces", |_| {}).await;
    let first = appliance.lent(NAMESPACE).await;
    assert_eq!(well(&appliance, "namespace rotate taskcluster-a").await, "");
    let second = appliance.lent(NAMESPACE).await;
    assert_eq!(second.user, appliance.user(NAMESPACE, 2));
    assert!(appliance.works(&first).await && appliance.works(&second).await);

    let promised = "the resting password was promised until 2026-11-20T13:30:00.000Z";
    let refusal = keylender(&appliance, "namespace rotate taskcluster-a").await;
    assert_eq!(refusal, (1, format!("keylender: {promised}\n")));
    let (code, said) = keylender(&appliance, "namespace rotate --all").await;
    assert_eq!((code, said.contains(promised)), (1, true), "{said}");
    appliance.clock.advance(2 * HOUR);
    well(&appliance, "namespace rotate --all").await;
    assert!(appliance.works(&second).await && appliance.works(&appliance.lent(NAMESPACE).await).await);

    assert_eq!(well(&appliance, "namespace expire taskcluster-a").await, "");
    assert!(!appliance.works(&second).await);
    assert_eq!(appliance.at_the_broker().await, (Vec::new(), Vec::new()));
    let (code, said) = keylender(&appliance, "namespace expire taskcluster-a").await;
    assert_eq!((code, said.as_str()), (1, "keylender: namespace 'taskcluster-a' does not exist\n"));
    let entries = appliance.audited("namespace.expire", "done");
    assert!(entries[0]["actor"].to_string().contains("uid"), "{entries:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_archives_a_queue_looks_at_it_and_brings_it_back() {
    let appliance = Appliance::by_hand("operate.archive", |_| {}).await;
    let (client, (queue, exchange)) = (settler(&appliance, NAMESPACE).await, names(NAMESPACE));
    client.bind(&queue, &exchange).await.unwrap();
    for key in ["a", "b", "c"] {
        client.publish(&exchange, key).await.unwrap();
    }
    assert_eq!(well(&appliance, "queue archive list").await.lines().count(), 1, "a heading");
    let planned = well(&appliance, &format!("queue archive take {queue} --plan")).await;
    assert!(planned.contains("taken out, into an archive"), "{planned}");
    assert_eq!(keylender(&appliance, &format!("queue archive take {queue}")).await.0, 2, "a reason is needed");
    let took = well(&appliance, &format!("queue archive take {queue} --reason poisoned")).await;
    let archive = took.strip_suffix(" has 3 messages; 0 wait in the queue\n").unwrap_or_else(|| panic!("{took}"));
    assert!(client.take(&queue).await.unwrap().is_none());

    let shown = well(&appliance, &format!("queue archive show {archive}")).await;
    assert!(shown.contains("why          poisoned\n") && shown.lines().last().unwrap().ends_with("hello"), "{shown}");
    let file = appliance.settings.data_dir.join("messages.jsonl");
    let export = format!("queue archive export {archive} {}", file.display());
    assert_eq!(well(&appliance, &export).await, "");
    let lines: Vec<Value> = std::fs::read_to_string(&file).unwrap().lines().map(|line| line.parse().unwrap()).collect();
    assert_eq!(lines.iter().map(|line| &line["routingKey"]).collect::<Vec<_>>(), ["a", "b", "c"]);
    assert_eq!(keylender(&appliance, &export).await.0, 1, "a file that is there stays");

    let replay = format!("queue archive replay {archive} --per-second 1000 --reason mended");
    let replayed = well(&appliance, &replay).await;
    assert_eq!(replayed.trim_end(), format!("3 messages were published into {queue}"));
    assert_eq!(client.take(&queue).await.unwrap().unwrap().data, b"hello");
    let (code, said) = keylender(&appliance, &format!("{replay} --to somebody-elses")).await;
    assert!(code == 1 && said.starts_with("keylender: "), "{code} {said}");
    assert_eq!(well(&appliance, &format!("queue archive delete {archive} --reason done")).await, "");
    assert_eq!(keylender(&appliance, &format!("queue archive show {archive}")).await.0, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_plans_runs_pauses_and_resumes_loops() {
    let appliance = Appliance::by_hand("operate.loops", |_| {}).await;
    let first = appliance.lent(NAMESPACE).await;
    well(&appliance, "loop resume rotate").await;
    well(&appliance, "loop pause rotate").await;
    assert_eq!(listed(&appliance, "rotate").await["paused"], json!(true));
    assert_eq!(well(&appliance, "loop plan rotate").await, "nothing to do\n");

    appliance.clock.advance(HOUR);
    let planned = well(&appliance, "loop plan rotate").await;
    assert_eq!(planned, "rotate taskcluster-a: its interval is over\n");
    assert_eq!(appliance.lent(NAMESPACE).await, first, "a plan changes nothing");
    let ran = well(&appliance, "loop run rotate").await;
    assert_eq!(ran, "1 namespaces were rotated, 0 wait for a promise to end, 0 could not be\n");
    assert_ne!(appliance.lent(NAMESPACE).await.user, first.user);
    assert_eq!(format!("{}\n", listed(&appliance, "rotate").await["lastReport"].as_str().unwrap()), ran);

    let user = appliance.user(NAMESPACE, 1);
    node().broker().delete_user(&user).await.unwrap();
    let planned = well(&appliance, "loop plan reconcile").await;
    assert_eq!(planned, format!("put {user} right: the user is gone\n"));
    let ran = well(&appliance, "loop run reconcile").await;
    assert_eq!(ran, "of 2 accounts 1 had drifted; 1 were put right, 0 could not be\n");
    assert!(appliance.works(&first).await);

    // What was due meanwhile is made up for at once.
    appliance.clock.advance(2 * HOUR);
    well(&appliance, "loop resume rotate").await;
    eventually(async || (appliance.audited("namespace.rotate", "done").len() == 2).then_some(())).await;
    let (code, said) = keylender(&appliance, "loop run dance").await;
    assert_eq!(
        (code, said.starts_with("keylender: there is no loop `dance`; there are rotate, ")),
        (1, true),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_looks_at_queues_and_connections_and_ends_them_by_hand() {
    let appliance = Appliance::by_hand("operate.by-hand", |_| {}).await;
    let connection = appliance.lent(NAMESPACE).await.connect().await;
    let channel = connection.create_channel().await.unwrap();
    let queue = "queue/taskcluster-a/jobs";
    let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    channel.queue_declare(queue.into(), durable, FieldTable::default()).await.unwrap();
    let kind = lapin::ExchangeKind::Topic;
    let exchange = "exchange/taskcluster-a/events";
    channel.exchange_declare(exchange.into(), kind, Default::default(), FieldTable::default()).await.unwrap();
    channel
        .queue_bind(queue.into(), exchange.into(), "#".into(), Default::default(), FieldTable::default())
        .await
        .unwrap();
    for _ in 0..3 {
        let sent =
            channel.basic_publish(exchange.into(), "k".into(), Default::default(), b"job", Default::default()).await;
        sent.unwrap().await.unwrap();
    }
    let exchanges: Value = well(&appliance, "connection exchanges --json").await.parse().unwrap();
    assert_eq!(
        exchanges["exchanges"],
        json!([{"exchange": exchange, "namespace": NAMESPACE, "type": "topic", "bindings": 1}])
    );
    let bound = well(&appliance, &format!("connection bindings {exchange}")).await;
    let rows: Vec<Vec<&str>> = bound.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[1..], [[queue, "queue", NAMESPACE, "#"]], "{bound}");
    let show = format!("queue show {queue} --json");
    eventually(async || {
        let shown: Value = well(&appliance, &show).await.parse().unwrap();
        (shown["messages"] == 3).then_some(())
    })
    .await;
    well(&appliance, &format!("queue purge {queue} --reason poisoned")).await;
    eventually(async || {
        let shown: Value = well(&appliance, &show).await.parse().unwrap();
        (shown["messages"] == 0).then_some(())
    })
    .await;

    let listed = eventually(async || {
        let list: Value = well(&appliance, "connection list --json").await.parse().unwrap();
        list["connections"].as_array().unwrap().first().cloned()
    })
    .await;
    assert_eq!((&listed["namespace"], &listed["peerHost"]), (&json!(NAMESPACE), &json!("127.0.0.1")), "{listed}");
    let name = listed["connection"].as_str().unwrap();
    assert_eq!(run(&appliance, &["connection", "close", name, "--reason", "old password"]).await, (0, String::new()));
    eventually(async || (!connection.status().connected()).then_some(())).await;
    well(&appliance, &format!("queue delete {queue} --reason unread")).await;
    let (code, said) = keylender(&appliance, &show).await;
    assert_eq!((code, said.as_str()), (1, "keylender: no namespace has a queue of this name now\n"));
    for (action, object) in [("queue.purge", queue), ("queue.delete", queue), ("connection.close", name)] {
        assert_eq!(appliance.audited(action, "done")[0]["object"], object, "{action}");
    }
}
