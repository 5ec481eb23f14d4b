//! What accounts of a MIG relay may do, tried over AMQP as its programs would (mig.md 3): the guides' shared account of all
//! agents, and an account of one agent, which closes what the shared one leaves open.

use keylender::app::settings::RelaySettings;
use keylender::base::AccountName;
use keylender::domain::relay::Asked;
use keylender::proto::broker_pattern::Operation;
use keylender::proto::relay_profile::Profile;
use lapin::options::{
    BasicConsumeOptions, BasicPublishOptions, ConfirmSelectOptions, ExchangeDeclareOptions, QueueBindOptions,
    QueueDeclareOptions,
};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection, ExchangeKind};

use crate::appliance::Appliance;
use crate::relay::{appliance, apply, connect, lend, relay};

/// An agent's queue, and that of another agent.
const OWN: &str = "mig.agt.linux.host1.abc";
const OTHER: &str = "mig.agt.linux.host2.def";
const HEARTBEATS: &str = "mig.agt.heartbeats";
const RESULTS: &str = "mig.agt.results";

/// What an agent may try, with a word for it.
const ATTEMPTS: [(&str, Attempt); 8] = [
    ("send a heartbeat", Attempt::Publish(Way::ToScheduler, HEARTBEATS)),
    ("send to another agent", Attempt::Publish(Way::ToAgents, OTHER)),
    ("send around the exchanges", Attempt::Publish(Way::Default, OTHER)),
    ("consume its own queue", Attempt::Consume(OWN)),
    ("consume that of another agent", Attempt::Consume(OTHER)),
    ("consume heartbeats", Attempt::Consume(HEARTBEATS)),
    ("bind its queue to another agent's key", Attempt::Bind(OTHER)),
    ("bind its queue to everything", Attempt::Bind("#")),
];

/// An account of one agent: its own queue, and the topics of the scheduler.
const OF_ONE_AGENT: &str = r"
name = 'access-own'
[[vhost]]
name = 'access-own'
exchange = [{ name = 'mig', type = 'topic' }]
queue = [{ name = 'mig.agt.heartbeats' }, { name = 'mig.agt.results' }, { name = 'mig.agt.linux.host2.def' }]
[[account]]
name = 'access-own.agent'
[[account.grant]]
vhost = 'access-own'
configure = '^mig\.agt\.linux\.host1\.abc$'
write = '^(mig|mig\.agt\.linux\.host1\.abc)$'
read = '^(mig|mig\.agt\.linux\.host1\.abc)$'
topic = [{ exchange = 'mig', write = '^mig\.agt\.(heartbeats|results)$', read = '^mig\.agt\.linux\.host1\.abc$' }]
";

#[derive(Clone, Copy)]
enum Attempt {
    Publish(Way, &'static str),
    Consume(&'static str),
    Bind(&'static str),
}

/// An exchange, which each generation calls otherwise.
#[derive(Clone, Copy)]
enum Way {
    ToScheduler,
    ToAgents,
    Default,
}

impl Way {
    fn exchange(self, exchanges: Exchanges) -> &'static str {
        match self {
            Self::ToScheduler => exchanges[0],
            Self::ToAgents => exchanges[1],
            Self::Default => "",
        }
    }
}

/// The exchanges of a generation: to the scheduler, and to agents.
type Exchanges = [&'static str; 2];

/// Whether an attempt is let through. A refusal ends the channel, so that each has one of its own.
async fn may(connection: &Connection, exchanges: Exchanges, attempt: Attempt) -> bool {
    let channel = connection.create_channel().await.unwrap();
    let tried = match attempt {
        Attempt::Publish(way, key) => publish(&channel, way.exchange(exchanges), key).await,
        Attempt::Consume(queue) => {
            let options = BasicConsumeOptions::default();
            channel.basic_consume(queue.into(), "".into(), options, FieldTable::default()).await.map(drop)
        }
        Attempt::Bind(key) => bind(&channel, OWN, exchanges[1], key).await,
    };
    match tried {
        Ok(()) => true,
        Err(error) => {
            assert!(error.to_string().contains("ACCESS_REFUSED") || error.to_string().contains("refused"), "{error}");
            false
        }
    }
}

/// Whether the appliance says beforehand that the account may.
async fn is_foretold(appliance: &Appliance, account: &str, exchanges: Exchanges, attempt: Attempt) -> bool {
    let (way, key) = match attempt {
        Attempt::Publish(way, key) => (way, key),
        Attempt::Consume(_) => (Way::Default, ""),
        Attempt::Bind(key) => (Way::ToAgents, key),
    };
    let queue = if let Attempt::Consume(queue) = attempt { queue } else { OWN };
    let asked =
        Asked { queue: Some(queue.into()), exchange: Some(way.exchange(exchanges).into()), key: Some(key.into()) };
    let reached = relay(appliance).reach(&AccountName::parse(account).unwrap(), &asked).await.unwrap().names;
    assert!(reached.iter().all(|it| it.doubtful.is_empty()), "{reached:?}");
    let may = |is_queue, name: &str, operation| {
        reached.iter().any(|it| it.is_queue == is_queue && it.name == name && it.may.contains(&operation))
    };
    match attempt {
        Attempt::Publish(..) => may(false, way.exchange(exchanges), Operation::Publish),
        Attempt::Consume(queue) => may(true, queue, Operation::Consume),
        Attempt::Bind(_) => may(true, OWN, Operation::BindQueue) && may(false, exchanges[1], Operation::BindQueue),
    }
}

/// Returns when the broker has it, or has refused it.
pub async fn publish(channel: &Channel, exchange: &str, key: &str) -> lapin::Result<()> {
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    let options = BasicPublishOptions::default();
    let sent = channel.basic_publish(exchange.into(), key.into(), options, b"x", BasicProperties::default());
    sent.await?.await.map(drop)
}

pub async fn bind(channel: &Channel, queue: &str, exchange: &str, key: &str) -> lapin::Result<()> {
    let options = QueueBindOptions::default();
    channel.queue_bind(queue.into(), exchange.into(), key.into(), options, FieldTable::default()).await
}

pub async fn declare(channel: &Channel, queue: &str) -> lapin::Result<()> {
    let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    channel.queue_declare(queue.into(), options, FieldTable::default()).await.map(drop)
}

async fn login(appliance: &Appliance, account: &str) -> Connection {
    connect(&lend(appliance, &AccountName::parse(account).unwrap()).await).await
}

/// Declares what a scheduler does when it starts, with its own account.
async fn start_scheduler(appliance: &Appliance, account: &str, exchanges: &[(&str, ExchangeKind)], to: &str) {
    let channel = login(appliance, account).await.create_channel().await.unwrap();
    for (exchange, kind) in exchanges {
        let options = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
        channel.exchange_declare((*exchange).into(), kind.clone(), options, FieldTable::default()).await.unwrap();
    }
    for queue in [HEARTBEATS, RESULTS] {
        declare(&channel, queue).await.unwrap();
        bind(&channel, queue, to, queue).await.unwrap();
        let options = BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() };
        channel.basic_consume(queue.into(), "".into(), options, FieldTable::default()).await.unwrap();
    }
}

/// What of all attempts an agent's account is let do that declared and bound its own queue.
async fn table(appliance: &Appliance, account: &str, exchanges: Exchanges) -> Vec<&'static str> {
    let connection = login(appliance, account).await;
    let channel = connection.create_channel().await.unwrap();
    declare(&channel, OWN).await.unwrap();
    bind(&channel, OWN, exchanges[1], OWN).await.unwrap();
    let mut allowed = Vec::new();
    for (word, attempt) in ATTEMPTS {
        let is_allowed = may(&connection, exchanges, attempt).await;
        assert_eq!(is_foretold(appliance, account, exchanges, attempt).await, is_allowed, "{word}");
        allowed.extend(is_allowed.then_some(word));
    }
    allowed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_shared_account_of_2015_lets_an_agent_read_and_forge_what_is_for_others() {
    let appliance = appliance("access-2015", "mig-2015").await;
    apply(&appliance).await;
    let exchanges = [("mig", ExchangeKind::Topic), ("migevent", ExchangeKind::Topic)];
    start_scheduler(&appliance, "access-2015.scheduler", &exchanges, "mig").await;
    let agent = login(&appliance, "access-2015.agent").await;
    declare(&agent.create_channel().await.unwrap(), OTHER).await.unwrap();
    assert_eq!(
        table(&appliance, "access-2015.agent", ["mig", "mig"]).await,
        [
            "send a heartbeat",
            "send to another agent",
            "consume its own queue",
            "consume that of another agent",
            "bind its queue to another agent's key",
            "bind its queue to everything"
        ]
    );
    // Workers, and the user of the API that nobody uses: events, and nothing of agents.
    for account in ["access-2015.worker", "access-2015.api"] {
        let connection = login(&appliance, account).await;
        let channel = connection.create_channel().await.unwrap();
        let queue = format!("migevent.{account}");
        declare(&channel, &queue).await.unwrap();
        bind(&channel, &queue, "migevent", "agent.new").await.unwrap();
        publish(&channel, "migevent", "agent.new").await.unwrap();
        for attempt in [Attempt::Consume(OTHER), Attempt::Consume(HEARTBEATS), Attempt::Publish(Way::ToAgents, OTHER)] {
            assert!(!may(&connection, ["mig", "mig"], attempt).await, "{account}");
        }
        assert!(declare(&channel, "mig.agt.linux.x").await.is_err());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_shared_account_of_2018_cannot_send_to_agents_and_can_take_heartbeats() {
    let appliance = appliance("access-2018", "mig-2018").await;
    apply(&appliance).await;
    let exchanges = [("toagents", ExchangeKind::Direct), ("toschedulers", ExchangeKind::Direct)];
    start_scheduler(&appliance, "access-2018.scheduler", &exchanges, "toschedulers").await;
    let agent = login(&appliance, "access-2018.agent").await;
    declare(&agent.create_channel().await.unwrap(), OTHER).await.unwrap();
    assert_eq!(
        table(&appliance, "access-2018.agent", ["toschedulers", "toagents"]).await,
        [
            "send a heartbeat",
            "consume its own queue",
            "consume that of another agent",
            "consume heartbeats",
            "bind its queue to another agent's key",
            // The exchange is a direct one, where that is a key like any other.
            "bind its queue to everything"
        ]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_of_one_agent_with_topics_reaches_its_own_queue_and_the_scheduler_only() {
    let relay = Some(RelaySettings { profile: Profile::parse(OF_ONE_AGENT).unwrap(), from: "a story".to_owned() });
    let appliance = Appliance::by_hand("access-own", |settings| settings.relay = relay).await;
    apply(&appliance).await;
    let allowed = table(&appliance, "access-own.agent", ["mig", "mig"]).await;
    assert_eq!(allowed, ["send a heartbeat", "consume its own queue"]);
}
