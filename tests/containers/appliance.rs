//! An appliance that only answers: it gives services the networks and bodies that a real one does, at a control socket.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

/// Subnets of /28 in 10.231.0.0/16, so that stories do not take one another's.
static NEXT: AtomicU16 = AtomicU16::new(0);

/// What was asked, and how it answers.
#[derive(Default)]
struct State {
    asked: Vec<String>,
    inputs: Vec<Value>,
    /// Statuses of calls that begin so, in the place of what they would be.
    refusals: HashMap<&'static str, (u16, &'static str)>,
    /// The subnet of the first set is this one, which something has.
    first_subnet: Option<u16>,
    sets: Vec<String>,
}

/// The appliance of a data directory.
pub struct Appliance {
    dir: tempfile::TempDir,
    state: Arc<Mutex<State>>,
}

impl Appliance {
    pub fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(dir.path().join("control.sock")).unwrap();
        let state: Arc<Mutex<State>> = Arc::default();
        let shared = state.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = shared.clone();
                std::thread::spawn(move || serve(stream, &state));
            }
        });
        Self { dir, state }
    }

    pub fn data_dir(&self) -> PathBuf {
        self.dir.path().to_owned()
    }

    /// Methods and paths that were called.
    pub fn asked(&self) -> Vec<String> {
        self.state.lock().unwrap().asked.clone()
    }

    /// What was sent to open sets.
    pub fn inputs(&self) -> Vec<Value> {
        self.state.lock().unwrap().inputs.clone()
    }

    /// What sets were called.
    pub fn sets(&self) -> Vec<String> {
        self.state.lock().unwrap().sets.clone()
    }

    pub fn refuse(&self, call: &'static str, status: u16, words: &'static str) {
        self.state.lock().unwrap().refusals.insert(call, (status, words));
    }

    /// The first set gets a subnet that somebody has.
    pub fn begin_with(&self, subnet: u16) {
        self.state.lock().unwrap().first_subnet = Some(subnet);
    }
}

/// A number for a subnet that no other story has.
pub fn subnet() -> u16 {
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// An address of a subnet.
pub fn address(subnet: u16, host: u16) -> String {
    let at = subnet * 16 + host;
    format!("10.231.{}.{}", at >> 8, at & 255)
}

fn serve(stream: UnixStream, state: &Mutex<State>) {
    let mut reader = BufReader::new(stream);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        if line == "\r\n" {
            break;
        }
        lines.push(line.trim().to_owned());
    }
    let len = lines.iter().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; len.unwrap_or(0)];
    reader.read_exact(&mut body).unwrap();
    let call = lines[0].trim_end_matches(" HTTP/1.1").replace("/api/keylender/v1", "");
    let (status, answer) = answer(&call, &body, &mut state.lock().unwrap());
    let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", answer.len());
    let _ = reader.into_inner().write_all(format!("{head}{answer}").as_bytes());
}

fn answer(call: &str, body: &[u8], state: &mut State) -> (u16, String) {
    state.asked.push(call.to_owned());
    if let Some((_, (status, words))) = state.refusals.iter().find(|(refused, _)| call.ends_with(*refused)) {
        return (*status, json!({ "message": words }).to_string());
    }
    if call != "POST /services" {
        return (200, "{}".into());
    }
    let input: Value = serde_json::from_slice(body).unwrap();
    let opened = opened(&input, state);
    state.inputs.push(input);
    (200, opened.to_string())
}

fn opened(input: &Value, state: &mut State) -> Value {
    let set = format!("{}-{}", std::process::id(), subnet());
    state.sets.push(set.clone());
    let mut hosts = serde_json::Map::new();
    let (mut services, mut networks, mut lines) = (Vec::new(), Vec::new(), Vec::new());
    let given = input["payload"]["services"].as_array().unwrap();
    let mut labels = input["labels"].clone();
    labels["org.keylender.set"] = set.clone().into();
    for service in given {
        let subnet = state.first_subnet.take().unwrap_or_else(subnet);
        let name = service["name"].as_str().unwrap();
        let network = format!("keylender-{set}-{name}");
        hosts.insert(name.into(), address(subnet, 2).into());
        lines.push(format!("{name}:{}", address(subnet, 2)));
        networks.push(json!({ "name": network, "address": address(subnet, 3) }));
        let mut create = json!({
            "Image": input["images"][name]["id"], "Labels": labels, "StopTimeout": 0,
            "Env": ["SERVICE=1"], "HostConfig": { "NetworkMode": network },
            "NetworkingConfig": { "EndpointsConfig": { &network: {
                "Aliases": [name], "IPAMConfig": { "IPv4Address": address(subnet, 2) } } } },
        });
        if !service["command"].is_null() {
            create["Cmd"] = service["command"].clone();
        }
        services.push(json!({
            "name": name, "image": service["image"], "decision": "no role says anything of it", "scopes": [],
            "notHeld": ["a:b"], "session": "s", "address": format!("http://{}:4711", address(subnet, 1)),
            "network": { "name": network, "create": made(&network, subnet, &labels, true) },
            "container": { "name": network, "address": address(subnet, 2), "create": create },
        }));
    }
    let (own, name) = (subnet(), format!("keylender-{set}-task"));
    let endpoints = json!({ &name: { "IPAMConfig": { "IPv4Address": address(own, 2) } } });
    json!({
        "set": set, "ends": "2030-01-01T00:00:00.000Z", "services": services,
        "task": {
            "environment": { "DB_SERVICE_HOST": hosts.values().next(), "SET": set }, "hosts": hosts,
            "networks": networks, "network": { "name": name, "create": made(&name, own, &labels, false) },
            "container": { "name": name, "address": address(own, 2), "create": {
                "Labels": labels, "HostConfig": { "NetworkMode": name, "ExtraHosts": lines },
                "NetworkingConfig": { "EndpointsConfig": endpoints } } },
        },
    })
}

fn made(name: &str, subnet: u16, labels: &Value, is_internal: bool) -> Value {
    let pool = json!({ "Subnet": format!("{}/28", address(subnet, 0)), "Gateway": address(subnet, 1) });
    json!({ "Name": name, "Internal": is_internal, "Labels": labels, "IPAM": { "Config": [pool] } })
}
