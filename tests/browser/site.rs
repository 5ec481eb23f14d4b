//! An appliance in this process, with a broker in memory.

use std::sync::Arc;
use std::time::Duration;

use keylender::app::operate::Operator;
use keylender::app::settings::{Credentials, RelaySettings, Settings};
use keylender::app::{self, Running};
use keylender::base::{
    AccountName, ClientId, Clock, HostName, MailAddress, NamespaceName, OperatorName, Secret, Timestamp, VhostName,
};
use keylender::domain::auth::Caller;
use keylender::domain::namespaces::Claim;
use keylender::domain::operators::{Role, Visitor};
use keylender::domain::proxy::Session;
use keylender::ports::broker::{
    Access, Binding, Destination, Exchange, Login, MemoryBroker, Message, Queue, UserWish, Users,
};
use keylender::proto::addresses::AddressList;
use keylender::proto::relay_profile::{Profile, preset_with_agents};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{fleet, tasks};

/// A file that is written for a program of the relay.
const PART: &str = "
[[part]]
name = 'scheduler'
kind = 'mig-scheduler'
age = '2018-11'
account = 'scheduler'
owner = 'mig'
[part.settings]
mq = { host = 'relay1.example.net', port = 5671 }
postgres = { host = 'db.example.net', password = 'x' }
";
/// When stories begin; pictures then show the same times whenever they are made.
pub const BEGIN: Timestamp = Timestamp::from_millis(1_795_176_000_000);
/// A namespace that anybody in the stories may have.
pub const NAMESPACE: &str = "taskcluster-foo";
/// Text as others may write it, which no page may break on: long, without a place to break, and from right to left.
pub const AWKWARD: &str = "an-address-that-somebody-made-up-and-that-does-not-end-for-quite-a-while@builds.example.org";

/// Passes of the monitor before the stories begin, a minute apart: as many as show where a queue is going.
const PASSES: [u64; 3] = [4, 8, 12];
const MINUTE: Duration = Duration::from_secs(60);

/// The relay of the stories, with a fleet of which each agent has an account of its own.
fn profile(list: &str) -> Profile {
    let key = include_str!("../data/openpgp/rosa.asc");
    let investigator =
        format!("[[investigator]]\nname = 'Rosa Sander'\nweights = {{ default = 2, file = 1 }}\nkey = '''{key}'''\n");
    let minimums = "minimum-weights = { default = 2, file = 1 }\n";
    let agents = preset_with_agents("mig-2018", false).unwrap();
    let agents = agents.replacen("[agents]\n", &format!("[agents]\nwhitelist = '{list}'\n"), 1);
    Profile::parse(&format!("{minimums}{agents}{PART}{investigator}")).unwrap()
}

pub struct Site {
    pub broker: MemoryBroker,
    clock: Clock,
    settings: Settings,
    running: Running,
    _dir: TempDir,
}

impl Site {
    pub async fn start() -> Self {
        Self::with(tempfile::tempdir().unwrap(), None).await
    }

    async fn with(dir: TempDir, relay: Option<RelaySettings>) -> Self {
        let mut settings = Settings::for_tests(dir.path());
        let client_id = ClientId::parse("project/hosts").unwrap();
        settings.credentials = Some(Credentials { client_id, access_token: Secret::generate() });
        settings.relay = relay;
        // Addresses that every host has.
        settings.services.pool = "127.231.0.0/16".parse().unwrap();
        let hosts = &mut settings.hosts;
        (hosts.scope_base, hosts.client_id_base) = (Some("assume:host:".into()), Some("host/".into()));
        hosts.expires = Some(Duration::from_secs(12 * 3600));
        hosts.allowed = Some(AddressList::parse("127.0.0.0/8").unwrap());
        let broker = MemoryBroker::default();
        broker.add_vhost(&settings.namespaces.amqp.vhost);
        // Heartbeats are read from the first moment on: what is not there yet is tried again only after a while.
        let fleet = VhostName::parse("mig").unwrap();
        broker.add_vhost(&fleet);
        broker.put_exchange(&fleet, Exchange { name: "toschedulers".into(), kind: Some("direct".into()) });
        let clock = Clock::manual(BEGIN.minus(3 * MINUTE));
        let running = app::start(&settings, clock.clone(), Some(Arc::new(broker.clone()))).await.unwrap();
        Self { broker, clock, settings, running, _dir: dir }
    }

    /// One that has something of everything.
    pub async fn busy() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let list = dir.path().join("agents_whitelist.txt");
        std::fs::write(&list, "linux.by-hand.x\n").unwrap();
        let relay = RelaySettings { profile: profile(list.to_str().unwrap()), from: "mig-2018".into() };
        let site = Self::with(dir, Some(relay)).await;
        let (caller, appliance) = (Caller::local("stories", "r"), &site.running.appliance);
        appliance.relay.apply(&caller).await.unwrap();
        for name in ["stranger", "adopted"] {
            let (name, login) = (AccountName::parse(name).unwrap(), Login::Locked);
            let permissions =
                [(VhostName::parse("mig").unwrap(), Access { read: AWKWARD.into(), ..Access::default() })];
            let wish = UserWish { name: &name, login, tags: &["monitoring".into()], permissions: &permissions };
            site.broker.put_user(&wish).await.unwrap();
        }
        let adoption = json!({"owner": "the shop team", "note": AWKWARD, "reason": "to see"});
        site.operate("POST", "/relay/users/adopted/adopt", Some(adoption)).await;
        let lines = json!({ "lines": ["linux.web1.x", "re:linux\\.db|linux\\.web"], "reason": "seen before" });
        site.operate("POST", "/agents/whitelist/add", Some(lines)).await;
        for (name, contact) in [(NAMESPACE, "team@example.org"), ("taskcluster-a-very-long-name-that-goes-on", AWKWARD)]
        {
            let name = NamespaceName::parse(name).unwrap();
            let claim = Claim { contact: Some(contact.into()), ..Claim::default() };
            let claimed = appliance.namespaces.claim(&caller, &name, claim).await.unwrap().into_inner();
            let password = Secret::new(claimed.connection_string.expose().split([':', '@']).nth(2).unwrap());
            site.broker.connect(&format!("{name}-1"), &password, &site.settings.namespaces.amqp.vhost, BEGIN);
        }
        for growing in PASSES {
            for (name, messages) in [("builds", growing), ("results/of/everything-that-was-ever-built", 5000)] {
                let (name, messages) = (format!("queue/{NAMESPACE}/{name}"), Some(messages));
                let (ready, state) = (messages, Some("running".into()));
                let queue = Queue { name, messages, ready, consumers: Some(0), state, ..Queue::default() };
                site.broker.put_queue(&site.settings.namespaces.amqp.vhost, queue);
            }
            site.clock.advance(MINUTE);
            appliance.loops.run("monitor").await.unwrap();
        }
        let exchange = Exchange { name: format!("exchange/{NAMESPACE}/events"), kind: Some("topic".into()) };
        let source = exchange.name.clone();
        site.broker.put_exchange(&site.settings.namespaces.amqp.vhost, exchange);
        for (to, routing_key) in [("builds", "primary.*.done"), ("results/of/everything-that-was-ever-built", AWKWARD)]
        {
            let (source, destination) = (source.clone(), Destination::Queue(format!("queue/{NAMESPACE}/{to}")));
            let binding = Binding { source, destination, routing_key: routing_key.into() };
            site.broker.bind(&site.settings.namespaces.amqp.vhost, binding);
        }
        for looked in ["rotate", "reconcile"] {
            appliance.loops.run(looked).await.unwrap();
        }
        let client = json!({"scopes": ["pulse:namespace:taskcluster-*"], "description": "for the builds"});
        site.operate("PUT", "/clients/project%2Fbuilds", Some(client)).await;
        let role = json!({"scopes": ["assume:project/builds", "pulse:namespace:<..>"]});
        site.operate("PUT", "/roles/project%2Fbuilds%2F%2A", Some(role)).await;
        let rule = json!({"warnMessages": 100, "deleteMessages": 9000, "remark": "big messages"});
        site.operate("PUT", &format!("/queues/rules/queue%2F{NAMESPACE}%2F%2A"), Some(rule)).await;
        let block = json!({"remark": "it is sold"});
        site.operate("PUT", "/host-rules/block%20192.0.2.9%2F32", Some(block)).await;
        appliance.notices.post_test(&caller, MailAddress::parse("ada@example.org").unwrap()).await.unwrap();
        site.operate("POST", "/backups", None).await;
        site.archive().await;
        fleet::fill(&site).await;
        tasks::fill(&site).await;
        drop(reqwest::get(site.url("/v1/credentials")).await.unwrap());
        site
    }

    /// Takes a queue with messages of which no page may believe a word.
    async fn archive(&self) {
        let (vhost, name) = (&self.settings.namespaces.amqp.vhost, format!("queue/{NAMESPACE}/poisoned"));
        self.broker.put_queue(vhost, Queue { name: name.clone(), ..Queue::default() });
        let bodies = [&b"<b>not bold</b>"[..], AWKWARD.as_bytes(), &[0xff; 40]];
        let message = |body: &[u8]| Message { body: body.to_vec(), routing_key: AWKWARD.into(), ..Message::default() };
        self.broker.put_messages(vhost, &name, bodies.map(message));
        let why = json!({ "reason": "poisoned, and wanted later" });
        self.operate("POST", &format!("/queues/queue%2F{NAMESPACE}%2Fpoisoned/archive"), Some(why)).await;
    }

    /// The address of a page.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.running.address)
    }

    /// The same with names of what the site has only one of.
    pub async fn page(&self, path: &str) -> String {
        let appliance = &self.running.appliance;
        let session = async || appliance.operators.sessions().await.unwrap()[0].id.clone();
        let backup =
            || std::fs::read_dir(self.settings.data_dir.join("backups")).unwrap().next().unwrap().unwrap().file_name();
        let notice = async || {
            let all = keylender::domain::notices::Filter::All;
            appliance.notices.list(all, None, 1).await.unwrap()[0].id.to_string()
        };
        let path = match path {
            _ if path.contains("{proxy}") => path.replace("{proxy}", &self.proxy_session().await),
            _ if path.contains("{set}") => path.replace("{set}", &self.open_services().await),
            _ if path.contains("{session}") => path.replace("{session}", &session().await),
            _ if path.contains("{backup}") => path.replace("{backup}", backup().to_str().unwrap()),
            _ if path.contains("{archive}") => {
                path.replace("{archive}", appliance.archives.list().await.unwrap()[0].name.as_str())
            }
            _ if path.contains("{notice}") => path.replace("{notice}", &notice().await),
            _ if path.contains("{queueloc}") => {
                let host = HostName::parse(fleet::HOST).unwrap();
                path.replace("{queueloc}", appliance.agents.queueloc_of(&host).unwrap().as_str())
            }
            _ => path.to_owned(),
        };
        self.url(&path)
    }

    /// A session of the task proxy that is open.
    async fn proxy_session(&self) -> String {
        let sessions = self.running.appliance.proxy.sessions().await.unwrap();
        let is_it = |session: &Session| session.ended.is_none() && session.service.is_none();
        sessions.iter().find(|view| is_it(&view.session)).unwrap().id.to_string()
    }

    /// Services of a task that are open.
    async fn open_services(&self) -> String {
        let sets = self.running.appliance.services.sets().await.unwrap();
        sets.iter().find(|set| !set.is_over()).unwrap().set.to_string()
    }

    /// The number of the user of this process, who may ask what is opened here.
    pub fn user(&self) -> u32 {
        use std::os::unix::fs::MetadataExt;
        std::fs::metadata(&self.settings.data_dir).unwrap().uid()
    }

    /// A new session of the admin ada, as its cookie has it.
    pub async fn session(&self) -> String {
        let (ada, operators) = (OperatorName::parse("ada").unwrap(), &self.running.appliance.operators);
        // A second browser is of the same operator.
        drop(operators.create(&Caller::local("stories", "r"), ada.clone(), Role::Admin, None).await);
        let from = Visitor { address: [127, 0, 0, 1].into(), agent: "stories".into(), request_id: "r".into() };
        operators.begin_session(ada, "stories", from).await.unwrap().into_inner().expose().to_owned()
    }

    /// Where the first admin is made.
    pub async fn setup_link(&self) -> String {
        let token = self.running.appliance.operators.new_setup_link().await.unwrap().unwrap();
        self.url(&format!("/setup?token={}", token.expose()))
    }

    /// Calls a method of the own API as the operator of this host.
    pub async fn operate(&self, method: &str, path: &str, input: Option<Value>) -> Value {
        Operator::connect(&self.settings).unwrap().call(method, path, input).await.unwrap()
    }

    /// Gives these to whoever keeps the agents, as if they had come from the broker.
    pub async fn hear(&self, heartbeats: &[Value]) {
        let bodies: Vec<Vec<u8>> = heartbeats.iter().map(|heartbeat| heartbeat.to_string().into_bytes()).collect();
        self.running.appliance.agents.take(&bodies).await.unwrap();
    }

    /// A new hand-over link.
    pub async fn link(&self) -> String {
        let made = self.operate("POST", &format!("/wraps/{NAMESPACE}"), Some(json!({}))).await;
        self.url(made["path"].as_str().unwrap())
    }
}
