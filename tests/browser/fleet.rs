//! The agents of the stories: some that are known, some that wait, two that were enrolled, and one of these cut off.

use serde_json::{Value, json};

use crate::site::{AWKWARD, BEGIN, Site};

/// A host whose agent was enrolled.
pub const HOST: &str = "web1.example.net";
/// One whose agent was cut off.
pub const REVOKED: &str = "web2.example.net";
/// An agent that waits to be let in.
pub const WAITING: &str = "linux.web9.example.net.dn0j5d3ugjk0";
/// Another one, of which no page may believe a word.
pub const HOSTILE: &str = "windows.<b>not bold</b>.dn0j5d3ugjk0";
/// One that was refused, as they are called from 2018 on.
const LONG: &str =
    "linux.rz674mncjumrafzo3dk5wv891pcjdta9lqynstw50wp0j2hkj17pfrv9f23ntf1ri2ifqj6jbln1wyo65s9hijqbwimf8lx0sb1m";

/// What an agent of 2018 sends, as far as it matters here.
fn heartbeat(queueloc: &str, name: &str, pid: i64, version: &str) -> Value {
    let now = BEGIN.to_string();
    json!({
        "name": name, "queueloc": queueloc, "mode": "daemon", "version": version, "pid": pid, "starttime": now,
        "destructiontime": "0001-01-01T00:00:00Z", "heartbeatts": now, "refreshts": now,
        "environment": {
            "init": "systemd", "ident": "Debian 12 bookworm", "os": "linux", "arch": "amd64", "isproxied": false,
            "addresses": ["192.0.2.2/24", "fd00::2/64"], "aws": {}, "modules": ["timedrift", "file", "netstat", "ping"],
        },
        "tags": { "operator": AWKWARD, "team": "<i>shop</i>" },
    })
}

/// Has a host enrol by a token; the location of its agent.
async fn enrol(site: &Site, host: &str) -> String {
    let why = json!({ "reason": "it is new" });
    let made = site.operate("POST", &format!("/agents/hosts/{host}/token"), Some(why)).await;
    let asked = reqwest::Client::new().get(site.url("/api/keylender/v1/agents/enrol"));
    let answer = asked.bearer_auth(made["token"].as_str().unwrap()).send().await.unwrap();
    let enrolled: Value = answer.json().await.unwrap();
    enrolled["queueloc"].as_str().unwrap_or_else(|| panic!("{enrolled}")).to_owned()
}

/// Fills a site that has a relay.
pub async fn fill(site: &Site) {
    let enrolled = enrol(site, HOST).await;
    enrol(site, REVOKED).await;
    let why = json!({ "reason": "it is sold" });
    site.operate("POST", &format!("/agents/hosts/{REVOKED}/revoke"), Some(why.clone())).await;
    let mut proxied = heartbeat("linux.db1.example.net.dn0j5d3ugjk0", "db1.example.net", 7, AWKWARD);
    proxied["environment"]["isproxied"] = true.into();
    proxied["environment"]["proxy"] = "proxy.example.net:3128".into();
    site.hear(&[
        heartbeat(&enrolled, HOST, 4711, "20181115+99fd4ee.prod"),
        proxied,
        // Two that go on side by side.
        heartbeat("linux.web1.x", "web1", 100, "20181115+99fd4ee.prod"),
        heartbeat("linux.web1.x", "web1", 200, "20181115+99fd4ee.prod"),
        heartbeat("linux.web1.x", "web1", 100, "20181115+99fd4ee.prod"),
        heartbeat(WAITING, "web9.example.net", 1, "20181115+99fd4ee.prod"),
        heartbeat(HOSTILE, "<b>not bold</b>", 1, AWKWARD),
        heartbeat(LONG, "vm", 1, "0.unversioned"),
    ])
    .await;
    site.operate("POST", &format!("/agents/pending/{LONG}/refuse"), Some(why.clone())).await;
    site.operate("PUT", "/agents/rules/approve%20network%2010.0.0.0%2F8%20zone%20%2A.example.org", Some(why)).await;
}
