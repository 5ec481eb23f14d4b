//! An appliance that a story runs on the node, with a vhost, a directory and names of users of its own; and its client.

use keylender::app::operate::Operator;
use keylender::app::settings::{BrokerSettings, Settings};
use keylender::app::{Running, broker, start};
use keylender::base::{AccountName, Clock, Secret, Timestamp, VhostName};
use keylender::domain::auth::Caller;
use keylender::ports::broker::{Permission, User, Users};
use keylender::ports::keylender::{CALL_TIMEOUT, KeylenderClient};
use lapin::{Connection, ConnectionProperties};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::node::node;
use crate::real::LOGIN_DEADLINE;

/// Longer than any test: the loop runs once at the start, and then only a story that says so sees it.
const NEVER: std::time::Duration = std::time::Duration::from_secs(3600);

/// When stories begin whose clock is moved by hand.
const BEGIN: Timestamp = Timestamp::from_millis(1_795_176_000_000);
/// The end of a namespace that outlives its story.
const FOREVER: &str = "2999-01-01T00:00:00.000Z";

/// An appliance that runs, and a client that may claim everything.
pub struct Appliance {
    pub clock: Clock,
    pub running: Running,
    pub settings: Settings,
    pub vhost: VhostName,
    door: KeylenderClient,
    authorization: String,
    dir: TempDir,
}

/// What a claim was answered with, as its client reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lent {
    pub document: Value,
    pub user: AccountName,
    pub password: Secret,
}

impl Appliance {
    /// An appliance on the node, in a vhost of this name.
    pub async fn new(name: &str) -> Self {
        Self::with(name, |_| {}).await
    }

    /// The same with settings that the story is about.
    pub async fn with(name: &str, change: impl FnOnce(&mut Settings)) -> Self {
        Self::at(Clock::system(), name, change).await
    }

    /// The same whose clock and loops only the story moves.
    pub async fn by_hand(name: &str, change: impl FnOnce(&mut Settings)) -> Self {
        let appliance = Self::at(Clock::manual(BEGIN), name, change).await;
        let loops = &appliance.running.appliance.loops;
        for name in loops.names() {
            loops.pause(&Caller::local("story", "r"), name, true).await.unwrap();
        }
        appliance
    }

    async fn at(clock: Clock, name: &str, change: impl FnOnce(&mut Settings)) -> Self {
        node().admin("PUT", &format!("vhosts/{name}"), json!({})).await;
        let dir = tempfile::tempdir().unwrap();
        let mut settings = on_the_node(name, &dir);
        change(&mut settings);
        let running = start(&settings, clock.clone(), broker(&settings).unwrap()).await.unwrap();
        let scopes = json!({"scopes": ["pulse:namespace:*"]});
        let operator = Operator::connect(&settings).unwrap();
        let client = operator.call("PUT", "/clients/story", Some(scopes)).await.unwrap();
        let authorization = format!("Bearer story/{}", client["accessToken"].as_str().unwrap());
        let door = KeylenderClient::network(&format!("http://{}", running.address)).unwrap();
        Self { clock, running, vhost: VhostName::parse(name).unwrap(), settings, door, authorization, dir }
    }

    /// Stops it and starts it again on its data, with changed settings.
    pub async fn restart(self, change: impl FnOnce(&mut Settings)) -> Self {
        let Self { clock, running, mut settings, vhost, authorization, dir, .. } = self;
        assert!(running.stop().await, "it stops softly");
        change(&mut settings);
        let running = start(&settings, clock.clone(), broker(&settings).unwrap()).await.unwrap();
        let door = KeylenderClient::network(&format!("http://{}", running.address)).unwrap();
        Self { clock, running, settings, vhost, door, authorization, dir }
    }

    /// Asks for a document.
    pub async fn get(&self, path: &str) -> (u16, Value) {
        self.call("GET", path, None).await
    }

    /// Claims a namespace: status and body, whatever they are.
    pub async fn claim(&self, namespace: &str) -> (u16, Value) {
        // Every claim of a story asks for the same, so that equal claims are equal.
        self.claim_until(namespace, FOREVER).await
    }

    async fn claim_until(&self, namespace: &str, expires: &str) -> (u16, Value) {
        let input = json!({"expires": expires, "contact": "story@example.com"});
        self.call("POST", &format!("/api/pulse/v1/namespace/{namespace}"), Some(input)).await
    }

    /// Claims a namespace that must be lent.
    pub async fn lent(&self, namespace: &str) -> Lent {
        Self::read(self.claim(namespace).await)
    }

    /// Claims a namespace that must be lent and is over at once.
    pub async fn lent_for_now(&self, namespace: &str) -> Lent {
        Self::read(self.claim_until(namespace, &self.clock.now().to_string()).await)
    }

    fn read((status, document): (u16, Value)) -> Lent {
        assert_eq!(status, 200, "{document}");
        let url: url::Url = document["connectionString"].as_str().unwrap().parse().unwrap();
        let user = AccountName::parse(url.username()).unwrap();
        Lent { user, password: Secret::new(url.password().unwrap()), document }
    }

    /// Claims a namespace that must not be lent: 503, and neither a word too many nor a secret.
    pub async fn refused(&self, namespace: &str) {
        let (status, body) = self.claim(namespace).await;
        assert_eq!((status, &body["code"]), (503, &json!("ServiceUnavailable")), "{body}");
        assert!(!body.to_string().contains("amqp:") && !body.to_string().contains("127.0.0.1"), "{body}");
    }

    async fn call(&self, method: &str, path: &str, input: Option<Value>) -> (u16, Value) {
        let body = input.map(|input| input.to_string());
        let answer = self.door.call(method, path, Some(&self.authorization), body, CALL_TIMEOUT).await.unwrap();
        (answer.status, serde_json::from_slice(&answer.body).unwrap())
    }

    /// The audit entries with this action and outcome.
    pub fn audited(&self, action: &str, outcome: &str) -> Vec<Value> {
        let entries = self.running.appliance.store.survey_here(|tx| tx.entries(1, usize::MAX)).unwrap();
        let entries = entries.into_iter().map(|(_, bytes)| serde_json::from_slice::<Value>(&bytes).unwrap());
        entries.filter(|entry| entry["action"] == action && entry["outcome"] == outcome).collect()
    }

    /// The audit entries of claims that could not be settled. The loop's own are not among them.
    pub fn failures(&self) -> Vec<Value> {
        let mut entries = self.audited("account.settle", "failed");
        entries.retain(|entry| entry["actor"] == json!({"client": "story"}));
        entries
    }

    /// The user of a slot.
    pub fn user(&self, namespace: &str, slot: u8) -> AccountName {
        AccountName::parse(&format!("{}{namespace}-{slot}", self.settings.namespaces.username_prefix)).unwrap()
    }

    /// What the broker knows of the users whose names begin as ours do.
    pub async fn at_the_broker(&self) -> (Vec<User>, Vec<Permission>) {
        let (broker, prefix) = (node().broker(), &self.settings.namespaces.username_prefix);
        let (mut users, mut permissions) = (broker.users().await.unwrap(), broker.permissions().await.unwrap());
        users.retain(|user| user.name.starts_with(prefix));
        permissions.retain(|permission| permission.user.starts_with(prefix));
        users.sort_by(|one, other| one.name.cmp(&other.name));
        // Each time that a password is told its hash has another salt.
        users.iter_mut().for_each(|user| user.login = None);
        permissions.sort();
        (users, permissions)
    }

    /// Whether this login works over AMQP, in the vhost of the story.
    pub async fn can_login(&self, user: &AccountName, password: &Secret) -> bool {
        node().door(&self.vhost).verify_login(user.as_str(), password, LOGIN_DEADLINE).await.unwrap()
    }

    /// Whether what was lent works.
    pub async fn works(&self, lent: &Lent) -> bool {
        self.can_login(&lent.user, &lent.password).await
    }
}

impl Lent {
    /// Connects as a client does: with the connection string as it is.
    pub async fn connect(&self) -> Connection {
        let uri = self.document["connectionString"].as_str().unwrap();
        Connection::connect(uri, ConnectionProperties::default()).await.unwrap()
    }
}

fn on_the_node(name: &str, dir: &TempDir) -> Settings {
    let at = node().settings();
    let mut settings = Settings::for_tests(dir.path());
    settings.broker = Some(BrokerSettings {
        base_url: at.url,
        username: at.username,
        password: at.password,
        rotation_period: None,
        ca_file: None,
        certificate: None,
    });
    settings.namespaces.amqp.hostname = "127.0.0.1".to_owned();
    settings.namespaces.amqp.port = node().amqp_port;
    settings.namespaces.amqp.vhost = VhostName::parse(name).unwrap();
    settings.namespaces.username_prefix = format!("{name}.");
    settings.reconcile_period = NEVER;
    settings
}
