//! What the monitor does to a real broker: real messages, real connections, and mails that a mail server takes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use keylender::app::settings::{BrokerSettings, Settings, SmtpSettings};
use keylender::base::{Secret, VhostName};
use keylender::domain::auth::Caller;
use keylender::domain::monitor::{Pattern, QueueRule};
use keylender::ports::broker::{Connections, Queue, Topology};
use keylender::ports::mail::Security;
use lapin::{Channel, Connection, ConnectionProperties, Event};
use serde_json::json;

use crate::appliance::Appliance;
use crate::lent::{Client, names, none, settler};
use crate::node::{encoded, node};
use crate::real::eventually;
use crate::servers::{Fate, Gate, json as json_answer};
use crate::smtp::SmtpServer;

const NAMESPACE: &str = "taskcluster-a";
/// Longer than any test: the monitor runs when a story runs it.
pub const NEVER: Duration = Duration::from_secs(3600);
const HOUR: Duration = Duration::from_secs(3600);
const ALERT: u64 = 3;
const DELETE: u64 = 6;

/// Settings of a monitor with small thresholds.
pub fn guarded(settings: &mut Settings) {
    settings.monitor.alert_threshold = ALERT;
    settings.monitor.delete_threshold = DELETE;
    settings.monitor.period = NEVER;
}

/// Settings by which mail goes to this server.
fn mailing(smtp: &SmtpServer, settings: &mut Settings) {
    let (host, port) = ("127.0.0.1".to_owned(), smtp.address.port());
    settings.notices.smtp = Some(SmtpSettings { security: Security::Plain, host, port, login: None });
}

/// Settings by which the broker is reached through a gate.
pub fn behind(gate: &Gate) -> impl FnOnce(&mut BrokerSettings) {
    let base_url = format!("http://{}/api", gate.address).parse().unwrap();
    move |broker| broker.base_url = base_url
}

/// One pass of the monitor, and one of the outbox.
async fn pass(appliance: &Appliance) -> String {
    let loops = &appliance.running.appliance.loops;
    let report = loops.run("monitor").await.unwrap();
    loops.run("deliver").await.unwrap();
    report
}

async fn publish(client: &Client, count: usize) {
    for _ in 0..count {
        client.publish(&names(NAMESPACE).1, "key").await.unwrap();
    }
}

/// Waits until the broker tells of this many messages, in the list and of the single queue.
pub async fn counted(appliance: &Appliance, queue: &str, messages: u64) {
    eventually(async || {
        let listed = node().broker().queues(&appliance.vhost).await.unwrap();
        let single = node().broker().queue(&appliance.vhost, queue).await.unwrap()?;
        let listed = listed.into_iter().find(|listed| listed.name == queue)?;
        (listed.messages == Some(messages) && single.messages == Some(messages)).then_some(())
    })
    .await;
}

pub async fn has_queue(vhost: &VhostName, name: &str) -> bool {
    node().broker().queues(vhost).await.unwrap().iter().any(|queue| queue.name == name)
}

/// Waits until the broker tells this of the single queue.
async fn told(appliance: &Appliance, queue: &str, is_so: impl Fn(&Queue) -> bool) {
    eventually(async || node().broker().queue(&appliance.vhost, queue).await.unwrap().filter(&is_so).map(drop)).await;
}

/// An appliance whose clock the story moves, with a rule for all queues of its namespace, and a client there.
async fn ruled(name: &str, smtp: &SmtpServer, rule: QueueRule) -> (Appliance, Client) {
    let appliance = Appliance::by_hand(name, |settings| {
        guarded(settings);
        mailing(smtp, settings);
    })
    .await;
    let pattern = Pattern::parse(&format!("queue/{NAMESPACE}/*")).unwrap();
    appliance.running.appliance.monitor.set_queue_rule(&Caller::local("story", "r"), pattern, rule).await.unwrap();
    let client = settler(&appliance, NAMESPACE).await;
    let (queue, exchange) = names(NAMESPACE);
    client.bind(&queue, &exchange).await.unwrap();
    (appliance, client)
}

/// The text of the only mail since the last look, with its subject.
fn only_mail(smtp: &SmtpServer, seen: usize) -> String {
    let mails = smtp.mails();
    assert_eq!(mails.len(), seen + 1);
    format!("{}: {}", mails[seen].header("Subject"), mails[seen].text)
}

async fn has_exchange(vhost: &VhostName, name: &str) -> bool {
    node().broker().exchanges(vhost).await.unwrap().iter().any(|exchange| exchange.name == name)
}

/// What a client is told when its connection is closed. Listens from the call on, not only when it is awaited.
fn farewell(connection: &Connection) -> impl Future<Output = String> + use<> {
    let mut events: Box<dyn Stream<Item = Event> + Send + Unpin> = Box::new(connection.events_listener());
    async move {
        loop {
            if let Event::Error(error) = events.next().await.unwrap() {
                return error.to_string();
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_that_fills_is_told_once_then_told_normal_then_deleted_with_its_loss() {
    let (smtp, gate) = (SmtpServer::start(), Gate::start().await);
    let appliance = Appliance::with("monitor.fills", |settings| {
        guarded(settings);
        mailing(&smtp, settings);
        behind(&gate)(settings.broker.as_mut().unwrap());
    })
    .await;
    let client = settler(&appliance, NAMESPACE).await;
    let (queue, exchange) = names(NAMESPACE);
    client.bind(&queue, &exchange).await.unwrap();
    let subjects = || smtp.mails().iter().map(|mail| mail.header("Subject")).collect::<Vec<_>>();

    publish(&client, 3).await;
    counted(&appliance, &queue, 3).await;
    pass(&appliance).await;
    assert_eq!(subjects(), [""; 0], "at the threshold it is not over");
    publish(&client, 1).await;
    counted(&appliance, &queue, 4).await;
    for _ in 0..3 {
        pass(&appliance).await;
    }
    let warned = format!("queue {queue} is filling up");
    assert_eq!((subjects(), smtp.mails()[0].to.as_str()), (vec![warned.clone()], "story@example.com"));

    client.take(&queue).await.unwrap().unwrap();
    counted(&appliance, &queue, 3).await;
    for _ in 0..2 {
        pass(&appliance).await;
    }
    let normal = format!("queue {queue} is in order again");
    assert_eq!(subjects(), [warned.clone(), normal.clone()]);

    publish(&client, 6).await;
    counted(&appliance, &queue, 9).await;
    gate.requests();
    pass(&appliance).await;
    let asked: Vec<String> = gate.requests().into_iter().filter(|line| line.contains("/queue%2F")).collect();
    assert_eq!(asked.len(), 2, "{asked:?}");
    assert!(asked[0].starts_with("GET ") && asked[1].starts_with("DELETE "), "{asked:?}");
    assert!(!has_queue(&appliance.vhost, &queue).await);
    assert_eq!(subjects(), [warned, normal, format!("queue {queue} was deleted")]);
    let text = smtp.mails()[2].text.clone();
    assert!(text.contains("it has 9 messages, more than 6") && text.contains("9 messages were lost"), "{text}");
    assert_eq!(pass(&appliance).await, "");
    assert_eq!(appliance.audited("queue.delete", "done").len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_of_which_only_the_list_says_too_much_is_spared() {
    let gate = Gate::start().await;
    let appliance = Appliance::with("monitor.spares", |settings| {
        guarded(settings);
        behind(&gate)(settings.broker.as_mut().unwrap());
    })
    .await;
    let client = settler(&appliance, NAMESPACE).await;
    let (queue, exchange) = names(NAMESPACE);
    client.bind(&queue, &exchange).await.unwrap();
    publish(&client, 2).await;
    counted(&appliance, &queue, 2).await;
    let list = json!([{"name": queue, "messages": 1000, "type": "classic", "exclusive": false, "state": "running"}]);
    let stale = json_answer("200 OK", &list.to_string());
    gate.decide(move |line| {
        if line.contains("/queues/") && line.contains('?') && !line.contains("page=") {
            Fate::Instead(stale.clone())
        } else {
            Fate::Passes
        }
    });
    assert_eq!(pass(&appliance).await, "1 things were spared");
    assert!(has_queue(&appliance.vhost, &queue).await);
    assert!(appliance.audited("monitor.condemn", "done").is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_connection_is_closed_with_a_reason_that_its_client_sees_and_others_stay() {
    let appliance = Appliance::with("monitor.lifetime", |settings| {
        guarded(settings);
        settings.monitor.connection_max_lifetime = Duration::from_secs(1);
    })
    .await;
    let connection = appliance.lent(NAMESPACE).await.connect().await;
    let reason = farewell(&connection);
    let login = format!("{}:{}", encoded(&node().username), encoded(node().password.expose()));
    let foreign = format!("amqp://{login}@127.0.0.1:{}/{}", node().amqp_port, encoded(appliance.vhost.as_str()));
    let foreign = Connection::connect(&foreign, ConnectionProperties::default()).await.unwrap();
    eventually(async || {
        let all = node().broker().connections().await.unwrap();
        let is_ours = all.iter().any(|one| one.user.starts_with("monitor.lifetime.") && one.connected_at.is_some());
        (is_ours && all.iter().any(|one| one.user == node().username)).then_some(())
    })
    .await;
    eventually(async || {
        pass(&appliance).await;
        (!appliance.audited("connection.close", "done").is_empty()).then_some(())
    })
    .await;
    let reason = tokio::time::timeout(Duration::from_secs(10), reason).await.unwrap();
    assert!(reason.contains("CONNECTION_FORCED") || reason.contains("CONNECTION-FORCED"), "320: {reason}");
    assert!(reason.contains("it is older than 1 second"), "{reason}");
    assert!(foreign.create_channel().await.is_ok());
    assert_eq!(appliance.audited("connection.close", "done").len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_gone_namespace_left_goes_and_nothing_foreign_does() {
    let appliance = Appliance::with("monitor.gone", guarded).await;
    let (elsewhere, vhost) = ("monitor.gone.elsewhere", &appliance.vhost);
    node().admin("PUT", &format!("vhosts/{elsewhere}"), json!({})).await;
    settler(&appliance, NAMESPACE).await;
    let (queue, exchange) = names("taskcluster-gone");
    let foreign = ["gone", "queue/other/q", "queue/taskcluster-gone", "x/queue/taskcluster-gone/q", "queue/task/q"];
    for (vhost, name) in foreign.iter().map(|name| (vhost.as_str(), *name)).chain([(elsewhere, queue.as_str())]) {
        node().admin("PUT", &format!("queues/{vhost}/{}", encoded(name)), json!({"durable": true})).await;
    }
    node().admin("PUT", &format!("queues/{vhost}/{}", encoded(&queue)), json!({"durable": true})).await;
    for name in [exchange.as_str(), "exchange/other/x", "other"] {
        let topic = json!({"type": "topic", "durable": true});
        node().admin("PUT", &format!("exchanges/{vhost}/{}", encoded(name)), topic).await;
    }
    let (user, password) = (appliance.user("taskcluster-gone", 1), Secret::generate());
    node().admin("PUT", &format!("users/{user}"), json!({"password": password.expose(), "tags": ""})).await;
    let access = json!({"configure": "", "write": "", "read": ""});
    node().admin("PUT", &format!("permissions/{vhost}/{user}"), access).await;
    let login = format!("{}:{}", encoded(user.as_str()), encoded(password.expose()));
    let uri = format!("amqp://{login}@127.0.0.1:{}/{vhost}", node().amqp_port);
    let connection = Connection::connect(&uri, ConnectionProperties::default()).await.unwrap();
    let reason = farewell(&connection);

    eventually(async || {
        pass(&appliance).await;
        (!appliance.audited("connection.close", "done").is_empty()).then_some(())
    })
    .await;
    let reason = tokio::time::timeout(Duration::from_secs(10), reason).await.unwrap();
    assert!(reason.contains("the namespace taskcluster-gone no longer exists"), "{reason}");
    assert!(!has_queue(vhost, &queue).await && !has_exchange(vhost, &exchange).await);
    let (mine, my_exchange) = names(NAMESPACE);
    assert!(has_queue(vhost, &mine).await && has_exchange(vhost, &my_exchange).await);
    for name in foreign {
        assert!(has_queue(vhost, name).await, "{name}");
    }
    assert!(has_exchange(vhost, "exchange/other/x").await && has_exchange(vhost, "other").await);
    assert!(has_queue(&VhostName::parse(elsewhere).unwrap(), &queue).await);
    assert_eq!(appliance.audited("queue.delete", "done").len(), 1);
    let client = Client::new(&appliance.lent(NAMESPACE).await).await;
    client.declare_queue(&mine, none()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rule_by_bytes_warns_and_deletes_before_the_messages_are_many() {
    let smtp = SmtpServer::start();
    let rule = QueueRule { warn_bytes: Some(12), delete_bytes: Some(24), ..QueueRule::default() };
    let (appliance, client) = ruled("monitor.bytes", &smtp, rule).await;
    let (queue, _) = names(NAMESPACE);
    let grow = async |more, messages, bytes| {
        publish(&client, more).await;
        counted(&appliance, &queue, messages).await;
        told(&appliance, &queue, |queue| queue.bytes == Some(bytes)).await;
        pass(&appliance).await;
    };
    grow(2, 2, 10).await;
    assert_eq!(smtp.mails().len(), 0);
    grow(1, 3, 15).await;
    let mail = only_mail(&smtp, 0);
    assert!(mail.contains("is filling up") && mail.contains("it has 15 bytes, more than 12"), "{mail}");
    grow(2, 5, 25).await;
    let mail = only_mail(&smtp, 1);
    assert!(mail.contains("it has 25 bytes, more than 24") && mail.contains("5 messages were lost"), "{mail}");
    assert!(!has_queue(&appliance.vhost, &queue).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_that_nobody_consumes_for_a_time_goes_and_one_with_a_consumer_stays() {
    let smtp = SmtpServer::start();
    let rule = QueueRule { unconsumed_seconds: Some(3600), ..QueueRule::default() };
    let (appliance, client) = ruled("monitor.unconsumed", &smtp, rule).await;
    let (left, kept) = (names(NAMESPACE).0, format!("queue/{NAMESPACE}/kept"));
    client.declare_queue(&kept, none()).await.unwrap();
    let (leaving, staying) = (client.channel().await, client.channel().await);
    let consume = async |channel: &Channel, queue: &str| {
        channel.basic_consume(queue.into(), "".into(), Default::default(), none()).await.unwrap()
    };
    let _consumers = (consume(&leaving, &left).await, consume(&staying, &kept).await);
    for queue in [&left, &kept] {
        told(&appliance, queue, |queue| queue.consumers == Some(1)).await;
    }
    pass(&appliance).await;
    appliance.clock.advance(2 * HOUR);
    assert_eq!(pass(&appliance).await, "");

    leaving.close(200, "bye".into()).await.unwrap();
    told(&appliance, &left, |queue| queue.consumers == Some(0)).await;
    assert_eq!(pass(&appliance).await, "", "its time begins now");
    let end = appliance.clock.now().plus(HOUR);
    appliance.clock.advance(HOUR / 2);
    pass(&appliance).await;
    let mail = only_mail(&smtp, 0);
    assert!(mail.contains("has no consumer") && mail.contains(&format!("is deleted after {end}")), "{mail}");
    assert!(has_queue(&appliance.vhost, &left).await);
    appliance.clock.advance(HOUR / 2);
    assert_eq!(pass(&appliance).await, "1 queues were deleted");
    assert!(only_mail(&smtp, 1).contains("it had no consumer for 1 hour"), "{}", only_mail(&smtp, 1));
    assert!(!has_queue(&appliance.vhost, &left).await && has_queue(&appliance.vhost, &kept).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_grace_time_is_told_outlives_a_restart_and_ends_with_the_deletion() {
    let smtp = SmtpServer::start();
    let rule = QueueRule { grace_seconds: 3600, ..QueueRule::default() };
    let (appliance, client) = ruled("monitor.grace", &smtp, rule).await;
    let (queue, _) = names(NAMESPACE);
    publish(&client, 7).await;
    counted(&appliance, &queue, 7).await;
    let end = appliance.clock.now().plus(HOUR);
    assert_eq!(pass(&appliance).await, "1 notices were posted");
    let mail = only_mail(&smtp, 0);
    assert!(mail.contains("it has 7 messages") && mail.contains(&format!("is deleted after {end}")), "{mail}");

    appliance.clock.advance(HOUR - Duration::from_secs(60));
    assert_eq!(pass(&appliance).await, "");
    let appliance = appliance.restart(|_| {}).await;
    assert_eq!(pass(&appliance).await, "");
    assert!(has_queue(&appliance.vhost, &queue).await);
    appliance.clock.advance(Duration::from_secs(60));
    assert_eq!(pass(&appliance).await, "1 queues were deleted");
    assert!(only_mail(&smtp, 1).contains("7 messages were lost"), "{}", only_mail(&smtp, 1));
    assert!(!has_queue(&appliance.vhost, &queue).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deletion_whose_answer_was_lost_is_told_also_when_the_queue_is_made_again_at_once() {
    let (smtp, gate) = (SmtpServer::start(), Gate::start().await);
    let appliance = Appliance::with("monitor.again", |settings| {
        guarded(settings);
        mailing(&smtp, settings);
        behind(&gate)(settings.broker.as_mut().unwrap());
    })
    .await;
    let client = settler(&appliance, NAMESPACE).await;
    let (queue, exchange) = names(NAMESPACE);
    client.bind(&queue, &exchange).await.unwrap();
    publish(&client, 7).await;
    counted(&appliance, &queue, 7).await;
    let is_lost = AtomicBool::new(false);
    gate.decide(move |line| {
        if line.starts_with("DELETE ") && !is_lost.swap(true, Ordering::Relaxed) {
            Fate::Unanswered
        } else {
            Fate::Passes
        }
    });
    assert_eq!(pass(&appliance).await, "1 things were spared");
    client.declare_queue(&queue, none()).await.unwrap();
    counted(&appliance, &queue, 0).await;
    for _ in 0..2 {
        pass(&appliance).await;
    }
    let mail = only_mail(&smtp, 0);
    assert!(mail.contains("was deleted") && mail.contains("7 messages were lost"), "{mail}");
    assert!(has_queue(&appliance.vhost, &queue).await);
    assert_eq!(appliance.audited("queue.delete", "done").len(), 1);
}
