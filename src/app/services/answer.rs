//! What an appliance answers to who wants services: sessions, and bodies that are ready for the engine.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::Deserialize;
use serde_json::Value;

use crate::base::Timestamp;

/// A set of services that was opened.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Opened {
    /// What it is called.
    pub set: String,
    /// When its sessions end, if it has any.
    pub ends: Option<Timestamp>,
    pub services: Vec<Served>,
    pub task: TaskPlace,
}

/// A service of it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Served {
    pub name: String,
    /// In words: by what it has scopes, or why it has none.
    #[serde(default)]
    pub decision: String,
    /// The role of its image, if that was delegated to.
    #[serde(default)]
    pub role: Option<String>,
    #[serde(default)]
    pub scopes: Vec<String>,
    #[serde(default)]
    pub not_held: Vec<String>,
    /// What it does not reach, and why.
    #[serde(default)]
    pub withheld: Vec<String>,
    pub network: Made,
    pub container: Placed,
}

/// A network, and the body that makes it.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Made {
    pub create: Value,
}

/// A container, and the body that makes it.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Placed {
    pub name: String,
    /// Where it is in its network.
    pub address: IpAddr,
    pub create: Value,
}

/// Where the task is.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct TaskPlace {
    pub environment: BTreeMap<String, String>,
    /// The names of services.
    pub hosts: BTreeMap<String, IpAddr>,
    /// Networks that its container joins.
    pub networks: Vec<Joined>,
    pub network: Made,
    pub container: Placed,
}

/// A network that is joined, at an address.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Joined {
    pub name: String,
    pub address: IpAddr,
}

impl Served {
    /// What was given to its image, beside the scope of its role.
    fn given(&self) -> Vec<&str> {
        let assumed = self.role.as_ref().map(|role| format!("assume:{role}")).unwrap_or_default();
        self.scopes.iter().map(String::as_str).filter(|scope| **scope != *assumed).collect()
    }

    /// Whether it holds anything.
    pub fn is_given_something(&self) -> bool {
        !self.given().is_empty()
    }

    /// What it holds, in words.
    pub fn holds(&self) -> String {
        match &self.role {
            None => "it holds no scopes".into(),
            Some(role) if !self.is_given_something() => format!("nothing is given to the role {role}"),
            Some(_) => format!("it holds {}", self.given().join(" ")),
        }
    }
}

impl Made {
    /// The addresses that it is to have.
    pub fn subnets(&self) -> Vec<String> {
        let pools = self.create["IPAM"]["Config"].as_array().map(Vec::as_slice).unwrap_or_default();
        pools.iter().filter_map(|pool| pool["Subnet"].as_str()).map(str::to_owned).collect()
    }
}
