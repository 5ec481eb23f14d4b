//! What an engine is told to start, ready to be sent to the Docker Engine API: everything that keeps services apart is said here, so
//! that no worker has to know it (containers.md, what follows for a runner).

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use serde_json::{Value, json};

use super::networks::Network;
use super::{Begun, Limits};
use crate::base::ServiceSetId;

/// The label that everything of a set carries, with its id. The runner finds by it what was left over.
pub const LABEL: &str = "org.keylender.set";
/// By what a service finds the task.
const TASK_ALIAS: &str = "task";
/// What services may not do although engines let them unless told: with raw sockets, one could pass for another; nodes of devices
/// and entries of the host's audit log are nobody's here.
const SERVICES_CANNOT: [&str; 3] = ["NET_RAW", "MKNOD", "AUDIT_WRITE"];
/// What tasks may not do: with raw sockets, a task could pass for the service whose network it is in, and ask its session.
const TASKS_CANNOT: [&str; 1] = ["NET_RAW"];

/// Something that an engine is told to make.
#[derive(Clone, Debug)]
pub struct Make {
    /// Its name.
    pub name: String,
    /// The body of the call.
    pub create: Value,
}

/// What a set of services has in common.
pub struct Common<'a> {
    /// The set.
    pub set: &'a ServiceSetId,
    /// Labels that the worker wants besides ours.
    pub labels: &'a BTreeMap<String, String>,
    /// How much a service may take.
    pub limits: Limits,
    /// Whether the task is a process of the host.
    pub is_task_on_host: bool,
}

impl Common<'_> {
    /// What a container, or a network, is called.
    pub fn name(&self, part: &str) -> String {
        format!("keylender-{}-{part}", self.set)
    }

    fn labels(&self, part: &str) -> Value {
        let mut labels = self.labels.clone();
        labels.insert(LABEL.into(), self.set.to_string());
        labels.insert("org.keylender.service".into(), part.into());
        json!(labels)
    }

    /// A network. In one without a way out nobody reaches more than who is in it: the host, by its address there, and the task.
    pub fn network(&self, part: &str, network: Network, is_internal: bool) -> Make {
        let create = json!({
            "Name": self.name(part),
            "Driver": "bridge",
            "Internal": is_internal,
            "Labels": self.labels(part),
            "IPAM": { "Config": [{ "Subnet": network.subnet().to_string(), "Gateway": network.gateway().to_string() }] },
        });
        Make { name: self.name(part), create }
    }

    /// The container of a service: the image that was looked at, the command and the environment of the payload, and nothing else
    /// of it.
    pub fn service(&self, begun: &Begun) -> Make {
        let Begun { service, network, facts, environment, .. } = begun;
        let name = service.name.as_str();
        let task = if self.is_task_on_host { network.gateway() } else { network.task() };
        // The proxy's own variables stand last; the payload cannot name them anyway.
        let env: Vec<_> =
            service.env.iter().chain(environment).map(|(name, value)| format!("{name}={value}")).collect();
        let Limits { memory_len, processes, log_len } = self.limits;
        let mut create = json!({
            "Image": facts.id.as_str(),
            "Hostname": name,
            "Env": env,
            "Labels": self.labels(name),
            "StopTimeout": 0,
            "HostConfig": {
                "NetworkMode": self.name(name),
                "ExtraHosts": [format!("{TASK_ALIAS}:{task}")],
                "CapDrop": SERVICES_CANNOT,
                "SecurityOpt": ["no-new-privileges"],
                "Memory": memory_len,
                "MemorySwap": memory_len,
                "PidsLimit": processes,
                "LogConfig": { "Type": "json-file", "Config": { "max-size": log_len.to_string() } },
            },
            "NetworkingConfig": { "EndpointsConfig": { self.name(name): {
                "Aliases": [name],
                "IPAMConfig": { "IPv4Address": network.service().to_string() },
            } } },
        });
        if !service.command.is_empty() {
            create["Cmd"] = json!(service.command);
        }
        Make { name: self.name(name), create }
    }

    /// The container of the task, which lacks what is run in it. Names stand in its hosts file, too: a container on several
    /// networks asks only the first of them for names on podman 4.3.
    pub fn task(&self, hosts: &BTreeMap<String, Ipv4Addr>, network: Network) -> Make {
        let hosts: Vec<_> = hosts.iter().map(|(name, address)| format!("{name}:{address}")).collect();
        let create = json!({
            "Labels": self.labels(TASK_ALIAS),
            "StopTimeout": 0,
            "HostConfig": {
                "NetworkMode": self.name(TASK_ALIAS),
                "ExtraHosts": hosts,
                "CapDrop": TASKS_CANNOT,
            },
            "NetworkingConfig": { "EndpointsConfig": { self.name(TASK_ALIAS): {
                "IPAMConfig": { "IPv4Address": network.service().to_string() },
            } } },
        });
        Make { name: self.name(TASK_ALIAS), create }
    }
}
