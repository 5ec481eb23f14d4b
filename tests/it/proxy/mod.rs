//! The task proxy of an appliance: sessions that workers open, and tasks that ask them.

mod alive;
mod amqp;
mod attached;
mod authority;
mod crash;
mod escapes;
mod histories;
mod namespaces;
mod record;
mod service;
mod sessions;
mod tokens;
mod unreadable;

use std::collections::BTreeSet;
use std::net::SocketAddr;

use keylender::app::settings::read_upstreams;
use serde_json::{Value, json};

use crate::openapi::call;
use crate::wire::{Answer, Ask, exchange};
use crate::world::World;
use service::Service;
pub use unreadable::plant;

/// An appliance with upstreams, and the service behind all of them.
pub struct Site {
    pub world: World,
    pub service: Service,
}

/// Upstreams of each kind that needs no other appliance; `ADDRESS` is where the service is.
const UPSTREAMS: &str = r#"
[[upstream]]
name = "files"
base = "http://ADDRESS/v1"
networks = ["127.0.0.0/8"]
scopes = { prefix = "files:" }
[upstream.credential]
kind = "minted"
url = "http://ADDRESS/tokens"
token = "issuing-token"
body = '{"permissions":"<permissions>","expires":"<expires>","session":"<session>"}'
pointer = "/result/token"
revoke-url = "http://ADDRESS/tokens"

[[upstream]]
name = "broker"
base = "http://ADDRESS/broker"
networks = ["127.0.0.0/8"]
methods = ["GET"]
paths = ["/api/queues"]
scopes = { table = { "broker:read" = "read", "broker:write" = "write" } }
may-give = ["read"]
credential = { kind = "basic", user = "monitor", password = "of-monitor" }

[[upstream]]
name = "hidden"
base = "http://ADDRESS"
scopes = { whole = "hidden:all" }
credential = { kind = "bearer", token = "hidden-token" }

[[upstream]]
preset = "taskcluster"
base = "http://ADDRESS"
networks = ["127.0.0.0/8"]

[[upstream]]
name = "pulse"
credential = { kind = "namespace" }
"#;

impl Site {
    pub async fn start() -> Self {
        Self::with(|_| {}).await
    }

    /// With some settings changed.
    pub async fn with(change: impl FnOnce(&mut keylender::app::settings::Settings)) -> Self {
        Self::at(keylender::base::Clock::manual(crate::world::BEGIN), change).await
    }

    /// With another clock, too.
    pub async fn at(
        clock: keylender::base::Clock,
        change: impl FnOnce(&mut keylender::app::settings::Settings),
    ) -> Self {
        let service = Service::start().await;
        let upstreams = UPSTREAMS.replace("ADDRESS", &service.address.to_string());
        let world = World::at(clock, |settings| {
            settings.proxy.declared = Some(read_upstreams(&upstreams).unwrap());
            settings.root_url = None;
            change(settings);
        })
        .await;
        Self { world, service }
    }

    /// What an opening is answered, by the operator of this host.
    pub async fn open(&self, input: Value) -> Value {
        self.world.operate("POST", "/proxy/sessions", Some(input)).await
    }

    /// A session with these scopes, at a port for whoever runs the stories.
    pub async fn session(&self, scopes: &[&str]) -> Task {
        Task::of(&self.open(json!({ "scopes": scopes, "listen": at_port() })).await)
    }

    /// What the audit log says of calls, one by one.
    pub async fn audited_calls(&self) -> Vec<Value> {
        let entries = self.world.audited("proxy.calls").await;
        entries.iter().flat_map(|entry| entry["details"]["calls"].as_array().unwrap().clone()).collect()
    }

    pub async fn sweep(&self) -> String {
        let swept = self.world.operate("POST", "/loops/proxy/run", None).await;
        swept["report"].as_str().unwrap_or_default().to_owned()
    }
}

/// A port, for root: the stories may run as root or as somebody else.
pub fn at_port() -> Value {
    json!({ "on": "port", "users": [own_user()] })
}

/// The user whom the stories run as.
pub fn own_user() -> u32 {
    std::os::unix::fs::MetadataExt::uid(&std::fs::metadata("/proc/self").unwrap())
}

/// A task with its session.
pub struct Task {
    pub session: String,
    pub address: SocketAddr,
    pub opened: Value,
}

impl Task {
    pub fn of(opened: &Value) -> Self {
        let address = opened["address"].as_str().unwrap().trim_start_matches("http://");
        let session = opened["session"].as_str().unwrap().to_owned();
        Self { session, address: address.parse().unwrap(), opened: opened.clone() }
    }

    pub async fn get(&self, target: &str) -> Answer {
        self.ask(&Ask::get(target)).await
    }

    pub async fn ask(&self, ask: &Ask) -> Answer {
        exchange(self.address, &ask.method, &ask.bytes()).await
    }

    /// Whether anybody answers there.
    pub async fn is_asked(&self) -> bool {
        tokio::net::TcpStream::connect(self.address).await.is_ok()
    }
}

/// Calls every method of the proxy once.
pub async fn every_method(seen: &mut BTreeSet<String>) {
    let service = Service::start().await;
    let world = World::start().await;
    let upstreams = UPSTREAMS.replace("ADDRESS", &service.address.to_string());
    let stored = json!({ "text": upstreams, "reason": "to see" });
    call(&world, seen, "PUT", "/proxy/upstreams", Some(stored)).await;
    call(&world, seen, "GET", "/proxy/upstreams", None).await;
    call(&world, seen, "GET", "/proxy/explain?scopes=files%3Aread", None).await;
    let credentials = json!({ "clientId": "task/A", "accessToken": "key" });
    let input = json!({ "scopes": ["files:read"], "listen": at_port(), "credentials": credentials });
    let mut opened = Vec::new();
    for _ in 0..2 {
        let answer = call(&world, seen, "POST", "/proxy/sessions", Some(input.clone())).await;
        opened.push(format!("/proxy/sessions/{}", answer["session"].as_str().unwrap()));
    }
    let [first, second] = &opened[..] else { panic!("two were opened") };
    call(&world, seen, "PUT", &format!("{first}/credentials"), Some(credentials)).await;
    call(&world, seen, "POST", &format!("{first}/alive"), None).await;
    call(&world, seen, "GET", "/proxy/sessions", None).await;
    call(&world, seen, "GET", first, None).await;
    call(&world, seen, "GET", &format!("{first}/calls"), None).await;
    call(&world, seen, "DELETE", first, None).await;
    call(&world, seen, "POST", &format!("{second}/end"), Some(json!({ "reason": "to see" }))).await;
}
