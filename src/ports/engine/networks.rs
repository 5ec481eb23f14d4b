//! Networks: those there are, one of our own, and who is in it.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{CALL_TIMEOUT, Engine, REMOVE_TIMEOUT, filter, segment};
use crate::base::{Kind, Result};

/// A network of an engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// By which the engine knows it.
    pub id: String,
    /// What it was called.
    pub name: String,
    /// The addresses in it.
    pub subnets: Vec<IpNet>,
    /// What was written on it.
    pub labels: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Listed {
    #[serde(rename = "Id", default)]
    id: String,
    #[serde(rename = "Name")]
    name: String,
    #[serde(rename = "IPAM", default)]
    ipam: Option<Ipam>,
    #[serde(rename = "Labels", default)]
    labels: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
struct Ipam {
    #[serde(rename = "Config", default)]
    config: Option<Vec<Pool>>,
}

#[derive(Deserialize)]
struct Pool {
    #[serde(rename = "Subnet", default)]
    subnet: String,
}

impl From<Listed> for Network {
    fn from(listed: Listed) -> Self {
        let Listed { id, name, ipam, labels } = listed;
        let pools = ipam.and_then(|ipam| ipam.config).unwrap_or_default();
        // A network of the host has none.
        let subnets = pools.iter().filter_map(|pool| pool.subnet.parse().ok()).collect();
        Self { id, name, subnets, labels: labels.unwrap_or_default() }
    }
}

impl Engine {
    /// All networks.
    pub async fn networks(&self) -> Result<Vec<Network>> {
        let listed: Vec<Listed> = self.get("/networks", CALL_TIMEOUT).await?;
        Ok(listed.into_iter().map(Network::from).collect())
    }

    /// Those with a label, `name` or `name=value`.
    pub async fn networks_with(&self, label: &str) -> Result<Vec<Network>> {
        let listed: Vec<Listed> = self.get(&format!("/networks?filters={}", filter(label)), CALL_TIMEOUT).await?;
        Ok(listed.into_iter().map(Network::from).collect())
    }

    /// Makes a network by a body of the API. `Conflict` when its name is taken, and with the code `SubnetTaken` when
    /// its addresses are.
    pub async fn create_network(&self, body: &Value) -> Result<()> {
        self.call(Method::POST, "/networks/create", Some(body), CALL_TIMEOUT).await.map(|_| ())
    }

    /// Puts a container into a network, at this address.
    pub async fn join(&self, network: &str, container: &str, address: IpAddr) -> Result<()> {
        let kind = if address.is_ipv4() { "IPv4Address" } else { "IPv6Address" };
        let body = json!({ "Container": container, "EndpointConfig": { "IPAMConfig": { kind: address } } });
        let path = format!("/networks/{}/connect", segment(network));
        self.call(Method::POST, &path, Some(&body), CALL_TIMEOUT).await.map(|_| ())
    }

    /// Removes a network. One that is gone is fine; `Conflict` while somebody is in it.
    pub async fn remove_network(&self, network: &str) -> Result<()> {
        match self.call(Method::DELETE, &format!("/networks/{}", segment(network)), None, REMOVE_TIMEOUT).await {
            Err(error) if error.kind() != Kind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}
