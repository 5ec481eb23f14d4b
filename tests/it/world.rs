//! An appliance in this process, the world around it, and the operator's hand.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use keylender::app::operate::Operator;
use keylender::app::settings::Settings;
use keylender::app::{self, Appliance, Brokers, Running};
use keylender::base::{ClientId, Clock, Kind, Result, Secret, SiteName, Timestamp, VhostName};
use keylender::ports::broker::{MemoryBroker, Site};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::openapi;
use crate::sign::Client;
use crate::wire::{Answer, Ask, exchange};

/// When stories begin.
pub const BEGIN: Timestamp = Timestamp::from_millis(1_795_176_000_000);
/// A namespace that anybody in the stories may have.
pub const NAMESPACE: &str = "taskcluster-foo";

/// One appliance. Its clock stands still until it is moved.
pub struct World {
    pub settings: Settings,
    pub clock: Clock,
    pub broker: MemoryBroker,
    /// A further broker, called `eu`, in whose vhost `/eu` namespaces are.
    pub eu: Option<MemoryBroker>,
    running: Option<Running>,
    nonces: AtomicUsize,
    _dir: TempDir,
}

impl World {
    /// With the settings of a test.
    pub async fn start() -> Self {
        Self::with(|_| {}).await
    }

    /// With some settings changed.
    pub async fn with(change: impl FnOnce(&mut Settings)) -> Self {
        Self::at(Clock::manual(BEGIN), change).await
    }

    /// With another clock.
    pub async fn at(clock: Clock, change: impl FnOnce(&mut Settings)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut settings = Settings::for_tests(dir.path());
        change(&mut settings);
        let broker = MemoryBroker::default();
        broker.add_vhost(&settings.namespaces.amqp.vhost);
        let nonces = AtomicUsize::new(0);
        let mut world = Self { settings, clock, broker, eu: None, running: None, nonces, _dir: dir };
        world.begin().await;
        world
    }

    /// Starts again with the broker `eu` besides, or without it.
    pub async fn restart_with(&mut self, eu: Option<MemoryBroker>) {
        self.eu = eu;
        self.restart().await;
    }

    /// Starts, after it was stopped.
    pub async fn begin(&mut self) {
        let mut appliance = self.open();
        // What a story broke off may still write, and has the store for itself until then.
        for _ in 0..200 {
            if !matches!(&appliance, Err(error) if error.kind() == Kind::Unavailable) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
            appliance = self.open();
        }
        self.running = Some(app::run(appliance.unwrap(), &self.settings).await.unwrap());
    }

    fn open(&self) -> Result<Appliance> {
        let vhost = VhostName::parse("/eu").unwrap();
        let eu = self.eu.iter().inspect(|eu| eu.add_vhost(&vhost)).map(|eu| Site {
            name: SiteName::parse("eu").unwrap(),
            vhost: vhost.clone(),
            side: eu.handle(),
        });
        let further = eu.collect();
        let brokers = Brokers { further, ..Brokers::one(Some(Arc::new(self.broker.clone()))) };
        Appliance::with(&self.settings, self.clock.clone(), brokers)
    }

    /// Reads the files of TLS again, as at a SIGHUP.
    pub fn reload(&self) {
        self.running.as_ref().unwrap().reload();
    }

    /// Stops and starts again on the same data directory.
    pub async fn restart(&mut self) {
        self.stop().await;
        self.begin().await;
    }

    /// Stops softly.
    pub async fn stop(&mut self) {
        assert!(self.running.take().unwrap().stop().await, "it stops in time");
    }

    pub fn address(&self) -> SocketAddr {
        self.running.as_ref().unwrap().address
    }

    /// Its parts, for what has no door of its own.
    pub fn appliance(&self) -> &Appliance {
        &self.running.as_ref().unwrap().appliance
    }

    /// A text that no other request of this world uses.
    pub fn nonce(&self) -> String {
        format!("n{}", self.nonces.fetch_add(1, Ordering::SeqCst))
    }

    /// Sends a request as it is.
    pub async fn ask(&self, ask: &Ask) -> Answer {
        exchange(self.address(), &ask.method, &ask.bytes()).await
    }

    /// Sends a request signed by a client.
    pub async fn ask_as(&self, client: &Client, ask: &Ask) -> Answer {
        self.ask(&client.sign(self, ask)).await
    }

    /// What a claim by this client is answered with.
    pub async fn claim(&self, client: &Client, namespace: &str, json: &str) -> Answer {
        self.ask_as(client, &Ask::claim(namespace, json)).await
    }

    /// Calls a method of the own API as the operator of this host. Whatever it answers must be as the OpenAPI document
    /// says.
    pub async fn operate(&self, method: &str, path: &str, input: Option<Value>) -> Value {
        let operator = Operator::connect(&self.settings).unwrap();
        let answer = operator.call(method, path, input.clone()).await.unwrap();
        openapi::check(method, path, input.as_ref(), &answer);
        answer
    }

    /// Makes a client in the own store.
    pub async fn client(&self, id: &str, scopes: &[&str]) -> Client {
        self.client_until(id, scopes, None).await
    }

    /// The same, with an end.
    pub async fn client_until(&self, id: &str, scopes: &[&str], expires: Option<Timestamp>) -> Client {
        let mut input = json!({ "scopes": scopes });
        if let Some(expires) = expires {
            input["expires"] = expires.to_string().into();
        }
        let issued = self.operate("PUT", &format!("/clients/{}", segment(id)), Some(input)).await;
        Client::new(ClientId::parse(id).unwrap(), token_in(&issued))
    }

    /// Makes a role in the own store.
    pub async fn role(&self, id: &str, scopes: &[&str]) {
        self.operate("PUT", &format!("/roles/{}", segment(id)), Some(json!({ "scopes": scopes }))).await;
    }

    /// What the audit log says was done, oldest first.
    pub async fn audited(&self, action: &str) -> Vec<Value> {
        let page = self.operate("GET", "/audit", None).await;
        page["entries"].as_array().unwrap().iter().filter(|entry| entry["action"] == action).cloned().collect()
    }
}

/// The access token of a document that shows one.
pub fn token_in(issued: &Value) -> Secret {
    Secret::new(issued["accessToken"].as_str().unwrap())
}

/// A name as one segment of a path.
pub fn segment(name: &str) -> String {
    const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    utf8_percent_encode(name, ESCAPED).to_string()
}
