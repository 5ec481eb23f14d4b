//! A fleet of agents: their heartbeats, who is let in, and an account for each.

mod enrol;
mod heartbeats;
mod histories;
mod list_file;
mod over_http;
mod pending;
mod revoke;

use std::collections::BTreeSet;
use std::time::Duration;

use keylender::base::{AccountName, Error, Secret, VhostName};
use keylender::ports::broker::Users;
use serde_json::{Value, json};

use crate::dns::DnsServer;
use crate::hosts::set_up;
use crate::openapi::{self, call};
use crate::relay::{apply, profile};
use crate::wire::{Answer, Ask};
use crate::world::{BEGIN, World};

pub const PERIOD: Duration = Duration::from_secs(300);
/// A host that DNS knows, and its address.
pub const WEB: &str = "web1.example.net";
pub const WEB_ADDRESS: &str = "192.0.2.21";
const KEY: &str = "mig.agt.heartbeats";

/// Which hosts of it may enrol.
const FROM_EVERYWHERE: &str = "enrols-from = ['0.0.0.0/0', '::/0']";

/// A fleet whose agents have accounts of their own.
const FLEET: &str = "
name = 'mig'
[[vhost]]
name = 'mig'
[[vhost.exchange]]
name = 'toagents'
type = 'direct'
[[vhost.exchange]]
name = 'toschedulers'
type = 'direct'
[[account]]
name = 'shared'
[[account.grant]]
vhost = 'mig'
configure = '^mig\\.agt\\..*$'
write = '^(toschedulers|mig\\.agt\\..*)$'
read = '^(toagents|mig\\.agt\\..*)$'
[[part]]
name = 'agent'
kind = 'mig-agent'
age = '2018-10'
[part.settings.mq]
host = 'relay.example.net'
port = 5672
[agents]
vhost = 'mig'
sends-to = 'toschedulers'
takes-from = 'toagents'
part = 'agent'
enrols-from = ['0.0.0.0/0', '::/0']
";

/// An appliance with a fleet, and the DNS that its hosts are known by.
pub struct Fleet {
    pub world: World,
    pub dns: DnsServer,
}

impl Fleet {
    /// Whose profile is applied.
    pub async fn start() -> Self {
        Self::with("").await
    }

    /// With more in the section [agents].
    pub async fn with(more: &str) -> Self {
        Self::of(&format!("{FLEET}{more}")).await
    }

    /// With another profile.
    pub async fn of(text: &str) -> Self {
        let dns = DnsServer::start().await;
        dns.host(WEB_ADDRESS, WEB);
        let change = |settings: &mut keylender::app::settings::Settings| {
            set_up(settings, &[&dns]);
            settings.relay = profile(text);
        };
        let world = World::with(change).await;
        for name in ["reconcile", "monitor", "agents"] {
            world.operate("POST", &format!("/loops/{name}/pause"), None).await;
        }
        apply(&world).await;
        Self { world, dns }
    }

    /// Agents send these, and they are read.
    pub async fn send(&self, bodies: &[Value]) {
        let bodies: Vec<Vec<u8>> = bodies.iter().map(|body| body.to_string().into_bytes()).collect();
        self.world.appliance().agents.take(&bodies).await.unwrap();
    }

    /// One pass of the loop.
    pub async fn keep(&self) -> Result<String, Error> {
        self.world.appliance().loops.run("agents").await
    }

    pub async fn admit(&self, queueloc: &str) {
        let input = json!({ "lines": [queueloc], "reason": "it is ours" });
        self.world.operate("POST", "/agents/whitelist/add", Some(input)).await;
    }

    /// What a list has of each, with spaces between.
    pub async fn rows(&self, path: &str, list: &str, members: &[&str]) -> Vec<String> {
        let listed = self.world.operate("GET", path, None).await;
        let row = |each: &Value| {
            let text = |member: &&str| match &each[*member] {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            members.iter().map(text).collect::<Vec<_>>().join(" ")
        };
        listed[list].as_array().unwrap().iter().map(row).collect()
    }

    pub async fn states(&self) -> Vec<String> {
        self.rows("/agents", "agents", &["queueloc", "state"]).await
    }

    /// What a host hears that asks from an address.
    pub async fn enrol_from(&self, address: &str) -> Answer {
        self.world.ask(&Ask::get("/api/keylender/v1/agents/enrol").with("X-Forwarded-For", address)).await
    }

    /// The same of one that is enrolled.
    pub async fn enrolled(&self, address: &str) -> Value {
        let answer = self.enrol_from(address).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    }

    pub async fn revoke(&self, host: &str, queue: &str) -> Result<Value, Error> {
        let input = json!({ "queue": queue, "reason": "it was stolen" });
        crate::relay_rotation::try_to(&self.world, "POST", &format!("/agents/hosts/{host}/revoke"), Some(input)).await
    }

    /// Whether the broker takes a login that was handed out.
    pub fn works(&self, enrolled: &Value) -> bool {
        let password = Secret::new(enrolled["password"].as_str().unwrap());
        self.world.broker.can_login(enrolled["username"].as_str().unwrap(), &password)
    }

    pub async fn users(&self) -> BTreeSet<String> {
        let users = self.world.broker.users().await.unwrap();
        users.into_iter().map(|user| user.name).filter(|name| name.starts_with("agent-")).collect()
    }
}

pub fn vhost() -> VhostName {
    VhostName::parse("mig").unwrap()
}

pub fn account(name: &str) -> AccountName {
    AccountName::parse(name).unwrap()
}

/// A heartbeat of 2018, sent so long after the beginning.
pub fn heartbeat(queueloc: &str, name: &str, pid: i64, after: Duration) -> Value {
    let sent = BEGIN.plus(after);
    json!({
        "name": name, "queueloc": queueloc, "mode": "daemon", "version": "20181001", "pid": pid,
        "starttime": sent.to_string(), "destructiontime": "0001-01-01T00:00:00Z",
        "heartbeatts": sent.to_string(), "refreshts": BEGIN.to_string(),
        "environment": {
            "init": "systemd", "ident": "Debian 9 stretch", "os": "linux", "arch": "amd64", "isproxied": false,
            "addresses": ["192.0.2.21/24", "fe80::1/64"], "aws": {}, "modules": ["ping", "file"],
        },
        "tags": { "operator": "web" },
    })
}

/// Every method about agents, called once, for the story of the OpenAPI document.
pub async fn every_method(seen: &mut BTreeSet<String>) {
    let dir = tempfile::tempdir().unwrap();
    let fleet = Fleet::with(&format!("whitelist = '{}'\n", dir.path().join("list").display())).await;
    let world = &fleet.world;
    fleet.admit("linux.a").await;
    fleet.send(&[heartbeat("linux.a", "a", 7, PERIOD), heartbeat("linux.b", "b", 7, PERIOD)]).await;
    fleet.send(&[heartbeat("linux.c", "c", 7, PERIOD)]).await;
    let token = json!({ "minutes": 5, "reason": "it is new" });
    let because = json!({ "reason": "to see" });
    let rule = "/agents/rules/approve%20zone%20%2A.example.net";
    for (method, path, input) in [
        ("GET", "/agents", None),
        ("GET", "/agents/known/linux.a", None),
        ("GET", "/agents/pending", None),
        ("POST", "/agents/pending/linux.b/approve", Some(&because)),
        ("POST", "/agents/pending/linux.c/refuse", Some(&because)),
        ("PUT", rule, Some(&because)),
        ("GET", "/agents/rules", None),
        ("DELETE", rule, Some(&because)),
        ("POST", "/agents/hosts/web1.example.net/token", Some(&token)),
        ("GET", "/agents/enrol", None),
        ("GET", "/agents/gone", None),
        ("POST", "/agents/gone/remove", Some(&because)),
        ("POST", "/agents/whitelist/overwrite", Some(&because)),
    ] {
        if path == "/agents/enrol" {
            openapi::check(method, path, None, &fleet.enrolled(WEB_ADDRESS).await);
            seen.insert("keylender_enrolAgent".to_owned());
            continue;
        }
        call(world, seen, method, path, input.cloned()).await;
    }
    let cut = json!({ "queue": "keep", "reason": "to see" });
    call(world, seen, "GET", "/agents/hosts/web1.example.net/reach", None).await;
    call(world, seen, "POST", "/agents/hosts/web1.example.net/revoke", Some(cut)).await;
    call(world, seen, "POST", "/agents/hosts/web1.example.net/forget", Some(because)).await;
}
