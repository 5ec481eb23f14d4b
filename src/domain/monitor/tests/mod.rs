//! Stories about the monitor, on the memory broker and with a clock moved by hand; and tables for its judgements.

mod braking;
mod judging;
mod ladder;
mod lasting;
mod limits;
mod stories;
mod trouble;

use std::time::Duration;

use super::*;
use crate::base::{AccountName, MailAddress, NamespaceName, Secret, Span, Timestamp, VhostName};
use crate::domain::accounts::Accounts;
use crate::domain::archives;
use crate::domain::namespaces::{Amqp, Claim, Config as NamespaceConfig};
use crate::domain::notices::{MailWay, Ways};
use crate::ports::broker::{Access, Depth, Exchange, MemoryBroker, Queue, Topology};
use crate::ports::spool::Spool;
use crate::store::ArchiveDirectory;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);

fn prefixes() -> Prefixes {
    Prefixes { queue: "queue/".into(), exchange: "exchange/".into(), namespace: "t-".into(), username: "u-".into() }
}

fn vhost() -> VhostName {
    VhostName::parse("/").unwrap()
}

fn operator() -> Caller {
    Caller::local("tests", "r")
}

fn queue(name: &str, messages: u64) -> Queue {
    Queue { name: name.into(), messages: Some(messages), ..Queue::default() }
}

fn exchange(name: &str) -> Exchange {
    Exchange { name: name.into(), ..Exchange::default() }
}

/// An appliance that guards a broker. Its thresholds are 10 and 20.
struct World {
    clock: Clock,
    store: Store,
    broker: MemoryBroker,
    namespaces: Namespaces,
    monitor: Monitor,
}

impl World {
    fn new() -> Self {
        Self::with(false)
    }

    fn with(mock: bool) -> Self {
        let clock = Clock::manual(START);
        let store = Store::memory(clock.clone()).unwrap();
        let broker = MemoryBroker::default();
        let accounts = Accounts::new(store.clone(), broker.handle().users(), None);
        let config = NamespaceConfig {
            namespace_prefix: "t-".into(),
            username_prefix: "u-".into(),
            user_tags: Vec::new(),
            access: Access { configure: "^{{namespace}}".into(), write: String::new(), read: String::new() },
            rotation_interval: Span::from_millis(3_600_000),
            expiration_delay: HOUR,
            queue_prefix: "queue/".into(),
            exchange_prefix: "exchange/".into(),
            amqp: Amqp {
                protocol: "amqp://".into(),
                hostname: "h".into(),
                port: 1,
                vhost: vhost(),
                query: String::new(),
            },
        };
        let namespaces = Namespaces::new(store.clone(), accounts, broker.handle().bus(), config);
        let config = Config {
            alert_threshold: 10,
            delete_threshold: 20,
            connection_max_lifetime: 3 * DAY,
            // Passes of these stories are a minute or half an hour apart.
            period: HOUR / 2,
            contacts: vec![MailAddress::parse("ops@example.com").unwrap()],
            mock,
        };
        // Nothing is delivered here, so the directory is never made.
        let spool = Spool::new("unused".into(), MailAddress::parse("lender@example.com").unwrap());
        let notices = Notices::new(store.clone(), Ways { mail: MailWay::Spool(spool), webhook: None });
        // Nor is anything archived.
        let keep = archives::Config {
            directory: ArchiveDirectory::new("unused".into()),
            bytes_max: 0,
            keep: Duration::ZERO,
            free_min: 0,
        };
        let archives = Archives::new(store.clone(), broker.handle().messages(), vhost(), keep);
        let (bus, clock_of_it) = (broker.handle().bus(), clock.clone());
        let monitor = Monitor::new(store.clone(), bus, namespaces.clone(), notices, archives, clock_of_it, config);
        Self { clock, store, broker, namespaces, monitor }
    }

    /// Claims a namespace for good, and gives the password of its active user.
    async fn claim(&self, name: &str) -> Secret {
        let claim =
            Claim { expires: Some(Timestamp::MAX), contact: Some(format!("{name}@example.com")), ..Claim::default() };
        let name = NamespaceName::parse(name).unwrap();
        let claimed = self.namespaces.claim(&operator(), &name, claim).await.unwrap().into_inner();
        let text = claimed.connection_string.expose();
        Secret::new(text.rsplit_once('@').unwrap().0.rsplit_once(':').unwrap().1)
    }

    /// What was known since the start only is lost.
    fn restart(&mut self) {
        self.monitor = Monitor { recent: Arc::default(), ..self.monitor.clone() };
    }

    fn put(&self, name: &str, messages: u64) {
        self.broker.put_queue(&vhost(), queue(name, messages));
    }

    async fn has(&self, name: &str) -> bool {
        self.broker.queue(&vhost(), name).await.unwrap().is_some()
    }

    async fn run(&self) -> Report {
        self.monitor.run().await.unwrap()
    }

    /// A pass, a minute after the last one.
    async fn next(&self) -> Report {
        self.clock.advance(MINUTE);
        self.run().await
    }

    /// The audit log: action and entry.
    fn audit(&self) -> Vec<(String, serde_json::Value)> {
        let last = self.store.read(|tx| tx.last_entry()).unwrap().unwrap_or(0);
        let entries = (1..=last).map(|seq| self.store.read(|tx| tx.entry(seq)).unwrap().unwrap());
        let parse = |bytes: Vec<u8>| serde_json::from_slice::<serde_json::Value>(&bytes).unwrap();
        entries.map(parse).map(|e| (e["action"].as_str().unwrap().into(), e)).collect()
    }

    fn audited(&self, action: &str) -> usize {
        self.audit().iter().filter(|(other, _)| other == action).count()
    }

    /// The notices so far, as `kind about`.
    fn notices(&self) -> Vec<String> {
        let posted = self.audit().into_iter().filter(|(action, _)| action == "notice.post");
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        posted.map(|(_, e)| format!("{} {}", text(&e["details"]["kind"]), text(&e["details"]["about"]))).collect()
    }

    /// Who was to hear of the last notice of a kind.
    fn receivers(&self, kind: &str) -> Vec<String> {
        let mut posted = self.audit().into_iter().map(|(_, entry)| entry["details"].clone());
        let last = posted.rfind(|details| details["kind"] == kind).unwrap();
        last["to"].as_array().unwrap().iter().map(|to| to.as_str().unwrap().to_owned()).collect()
    }

    fn account(&self, name: &str) -> AccountName {
        AccountName::parse(name).unwrap()
    }
}
