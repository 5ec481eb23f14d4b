//! What is declared in a vhost, over the management API.

use std::collections::BTreeSet;

use async_trait::async_trait;
use reqwest::StatusCode;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::call::{Answer, Call, path_in, segment};
use super::topology::BindingRow;
use super::{ManagementBroker, errors, wire};
use crate::base::{Kind, Result, VhostName};
use crate::ports::broker::cluster::Cluster;
use crate::ports::broker::resources::{
    Arguments, DeclaredBinding, DeclaredExchange, DeclaredQueue, DeclaredVhost, Key, Limit, Policy, Resource,
    Resources, is_its_own, is_left_out,
};
use crate::ports::broker::topology::{Binding, Destination};

/// The argument that says what kind of queue it is.
const QUEUE_TYPE: &str = "x-queue-type";

#[derive(Deserialize)]
struct VhostRow {
    #[serde(default)]
    default_queue_type: Option<String>,
}

impl From<VhostRow> for DeclaredVhost {
    fn from(row: VhostRow) -> Self {
        row.default_queue_type.map_or_else(Self::default, |kind| Self::of(&kind))
    }
}

#[derive(Deserialize)]
struct ExchangeRow {
    name: String,
    #[serde(rename = "type")]
    kind: String,
    durable: bool,
    auto_delete: bool,
    internal: bool,
    arguments: Map<String, Value>,
}

#[derive(Deserialize)]
struct QueueRow {
    name: String,
    #[serde(rename = "type", default)]
    kind: Option<String>,
    durable: bool,
    auto_delete: bool,
    /// Not told of quorum queues and streams, which are never of one connection.
    #[serde(default)]
    exclusive: Option<bool>,
    arguments: Map<String, Value>,
}

#[derive(Deserialize)]
struct DeclaredBindingRow {
    #[serde(flatten)]
    binding: BindingRow,
    arguments: Map<String, Value>,
    #[serde(default)]
    properties_key: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct PolicyRow {
    name: String,
    pattern: String,
    apply_to: String,
    priority: i64,
    definition: Map<String, Value>,
}

#[derive(Deserialize)]
struct LimitsRow {
    value: Map<String, Value>,
}

impl From<ExchangeRow> for DeclaredExchange {
    fn from(ExchangeRow { name, kind, durable, auto_delete, internal, arguments }: ExchangeRow) -> Self {
        Self { name, kind, durable, auto_delete, internal, arguments: Arguments::new(arguments) }
    }
}

impl From<QueueRow> for DeclaredQueue {
    fn from(row: QueueRow) -> Self {
        let QueueRow { name, kind, durable, auto_delete, mut arguments, .. } = row;
        let named = arguments.remove(QUEUE_TYPE);
        let kind = kind.or_else(|| named?.as_str().map(str::to_owned)).unwrap_or_else(|| "classic".to_owned());
        Self { name, kind, durable, auto_delete, arguments: Arguments::new(arguments) }
    }
}

impl From<PolicyRow> for Policy {
    fn from(PolicyRow { name, pattern, apply_to, priority, definition }: PolicyRow) -> Self {
        Self { name, pattern, apply_to, priority, definition: Arguments::new(definition) }
    }
}

impl From<DeclaredBindingRow> for DeclaredBinding {
    fn from(row: DeclaredBindingRow) -> Self {
        Self { binding: row.binding.into(), arguments: Arguments::new(row.arguments) }
    }
}

pub(super) fn policy_body(policy: &Policy) -> Value {
    json!({
        "pattern": policy.pattern,
        "apply-to": policy.apply_to,
        "priority": policy.priority,
        "definition": policy.definition.to_json(),
    })
}

fn exchange_body(exchange: &DeclaredExchange) -> Value {
    json!({
        "type": exchange.kind,
        "durable": exchange.durable,
        "auto_delete": exchange.auto_delete,
        "internal": exchange.internal,
        "arguments": exchange.arguments.to_json(),
    })
}

fn queue_body(queue: &DeclaredQueue) -> Value {
    let mut arguments = queue.arguments.to_json();
    arguments.insert(QUEUE_TYPE.to_owned(), queue.kind.clone().into());
    json!({"durable": queue.durable, "auto_delete": queue.auto_delete, "arguments": arguments})
}

fn bindings_path(vhost: &VhostName, binding: &Binding) -> Result<String> {
    let kind = match &binding.destination {
        Destination::Queue(_) => "q",
        Destination::Exchange(_) => "e",
    };
    let (source, destination) = (segment(&binding.source)?, segment(binding.destination.name())?);
    Ok(format!("bindings/{}/e/{source}/{kind}/{destination}", segment(vhost.as_str())?))
}

impl ManagementBroker {
    /// A list of a vhost of which no row may be left out.
    pub(super) async fn all_in<R: DeserializeOwned>(&self, kind: &str, vhost: &VhostName) -> Result<Vec<R>> {
        let path = format!("{kind}/{}?disable_stats=true", segment(vhost.as_str())?);
        let answer = self.http.send(Call::list(path)).await?;
        match answer.status {
            StatusCode::NOT_FOUND => Err(errors::unknown("vhost")),
            _ => all_rows(&answer),
        }
    }

    async fn limits_in(&self, vhost: &VhostName) -> Result<Vec<Limit>> {
        let rows: Vec<LimitsRow> = self.all_in("vhost-limits", vhost).await?;
        let told = rows.into_iter().flat_map(|row| row.value);
        told.map(|(name, value)| match value.as_i64() {
            Some(value) => Ok(Limit { name, value }),
            None => Err(errors::not_a_broker(value.to_string().as_bytes())),
        })
        .collect()
    }

    /// The bindings between these two, each with the name that the broker gave it.
    async fn bindings_between(&self, vhost: &VhostName, binding: &Binding) -> Result<Vec<(DeclaredBinding, String)>> {
        let answer = self.http.send(Call::list(bindings_path(vhost, binding)?)).await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(Vec::new());
        }
        let rows: Vec<DeclaredBindingRow> = all_rows(&answer)?;
        let named = |row: DeclaredBindingRow| {
            let name = row.properties_key.clone();
            (row.into(), name)
        };
        Ok(rows.into_iter().map(named).collect())
    }

    async fn declare(&self, vhost: &VhostName, (kind, name): (&str, &str), body: &Value) -> Result<()> {
        let path = path_in(kind, vhost, name)?;
        let put = self.http.send(Call::put(path.clone(), body)?).await;
        let answer = match put {
            // 4.0.5 answers 500 without a word to an operator policy where there is no vhost.
            Err(_) if kind == "operator-policies" && !self.vhost_exists(vhost).await? => {
                return Err(errors::unknown("vhost"));
            }
            put => put?,
        };
        match answer.status {
            StatusCode::NOT_FOUND => Err(errors::unknown("vhost")),
            // Its words do not tell one that is there otherwise from one that it does not take.
            StatusCode::BAD_REQUEST if ["queues", "exchanges"].contains(&kind) => {
                let found = self.http.send(Call::get(path)).await?;
                let is_there = found.status.is_success();
                Err(if is_there { errors::declared_otherwise(&answer) } else { errors::refused(&answer) })
            }
            StatusCode::BAD_REQUEST => Err(errors::refused(&answer)),
            _ => Ok(()),
        }
    }

    async fn bind(&self, vhost: &VhostName, declared: &DeclaredBinding) -> Result<()> {
        let DeclaredBinding { binding, arguments } = declared;
        let body = json!({"routing_key": binding.routing_key, "arguments": arguments.to_json()});
        let answer = self.http.send(Call::post(bindings_path(vhost, binding)?, &body)?).await?;
        match answer.status {
            StatusCode::NOT_FOUND => Err(errors::unknown("exchange or queue")),
            StatusCode::BAD_REQUEST => Err(errors::refused(&answer)),
            _ => Ok(()),
        }
    }

    async fn unbind(&self, vhost: &VhostName, declared: &DeclaredBinding) -> Result<bool> {
        let found = self.bindings_between(vhost, &declared.binding).await?;
        let Some((_, name)) = found.into_iter().find(|(found, _)| found == declared) else { return Ok(false) };
        // What it is called is told encoded, and decoded twice when it is asked for: it is encoded once more.
        let path = format!("{}/{}", bindings_path(vhost, &declared.binding)?, segment(&name)?);
        self.http.delete(Call::delete(path)).await
    }

    /// Not deleted unseen: the broker says that it did, or fails, for a limit that there is none of.
    async fn remove_limit(&self, vhost: &VhostName, name: &str) -> Result<bool> {
        match self.limits_in(vhost).await {
            Ok(limits) if limits.iter().any(|limit| limit.name == name) => {
                self.http.delete(Call::delete(path_in("vhost-limits", vhost, name)?)).await
            }
            Ok(_) => Ok(false),
            Err(error) if error.kind() == Kind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }
}

fn all_rows<R: DeserializeOwned>(answer: &Answer) -> Result<Vec<R>> {
    if !answer.status.is_success() {
        return Err(errors::unexpected(answer));
    }
    serde_json::from_str(&wire::text(&answer.body)).map_err(|_| errors::not_a_broker(&answer.body))
}

#[async_trait]
impl Resources for ManagementBroker {
    async fn resources(&self, vhost: &VhostName) -> Result<BTreeSet<Resource>> {
        // Queues of a lost node are missing from the list for a moment.
        if self.nodes().await?.iter().any(|node| !node.is_running) {
            return Err(errors::half_told());
        }
        let path = format!("vhosts/{}?columns=name,default_queue_type", segment(vhost.as_str())?);
        let itself = self.http.one::<VhostRow, DeclaredVhost>(path).await?;
        let mut all = BTreeSet::from([Resource::Vhost(itself.ok_or_else(|| errors::unknown("vhost"))?)]);
        let exchanges: Vec<ExchangeRow> = self.all_in("exchanges", vhost).await?;
        let queues: Vec<QueueRow> = self.all_in("queues", vhost).await?;
        let bindings: Vec<DeclaredBindingRow> = self.all_in("bindings", vhost).await?;
        let exchanges = exchanges.into_iter().filter(|row| !is_its_own(&row.name));
        all.extend(exchanges.map(|row| Resource::Exchange(row.into())));
        let queues: Vec<DeclaredQueue> = queues
            .into_iter()
            .filter(|row| !is_its_own(&row.name) && row.exclusive != Some(true))
            .map(DeclaredQueue::from)
            .collect();
        let names: BTreeSet<String> = queues.iter().map(|queue| queue.name.clone()).collect();
        all.extend(queues.into_iter().map(Resource::Queue));
        let bindings = bindings.into_iter().map(DeclaredBinding::from);
        all.extend(bindings.filter(|declared| !is_left_out(&declared.binding, &names)).map(Resource::Binding));
        let policies: Vec<PolicyRow> = self.all_in("policies", vhost).await?;
        all.extend(policies.into_iter().map(|row| Resource::Policy(row.into())));
        let policies: Vec<PolicyRow> = self.all_in("operator-policies", vhost).await?;
        all.extend(policies.into_iter().map(|row| Resource::OperatorPolicy(row.into())));
        all.extend(self.limits_in(vhost).await?.into_iter().map(Resource::Limit));
        Ok(all)
    }

    async fn put_resource(&self, vhost: &VhostName, resource: &Resource) -> Result<()> {
        resource.key().require_ours()?;
        match resource {
            // Once more would take away its description, its tags and the type of its new queues.
            Resource::Vhost(_) if self.vhost_exists(vhost).await? => Ok(()),
            Resource::Vhost(DeclaredVhost { default_queue_type }) => {
                // 3.10 reads the second name and ignores the first, which it tells; newer ones read the first.
                let told = |kind: &String| json!({ "default_queue_type": kind, "defaultqueuetype": kind });
                let body = default_queue_type.as_ref().map_or(json!({}), told);
                let call = Call::put(format!("vhosts/{}", segment(vhost.as_str())?), &body)?;
                let answer = self.http.send(call).await?;
                if answer.status.is_success() { Ok(()) } else { Err(errors::refused(&answer)) }
            }
            Resource::Exchange(exchange) => {
                self.declare(vhost, ("exchanges", &exchange.name), &exchange_body(exchange)).await
            }
            Resource::Queue(queue) => self.declare(vhost, ("queues", &queue.name), &queue_body(queue)).await,
            Resource::Binding(binding) => self.bind(vhost, binding).await,
            Resource::Policy(policy) => self.declare(vhost, ("policies", &policy.name), &policy_body(policy)).await,
            Resource::OperatorPolicy(policy) => {
                self.declare(vhost, ("operator-policies", &policy.name), &policy_body(policy)).await
            }
            Resource::Limit(Limit { name, value }) => {
                self.declare(vhost, ("vhost-limits", name), &json!({ "value": value })).await
            }
        }
    }

    async fn remove_resource(&self, vhost: &VhostName, key: &Key) -> Result<bool> {
        key.require_ours()?;
        let call = match key {
            Key::Vhost => Call::delete(format!("vhosts/{}", segment(vhost.as_str())?)),
            Key::Exchange(name) => Call::delete(path_in("exchanges", vhost, name)?),
            Key::Queue(name) => Call::delete(path_in("queues", vhost, name)?),
            Key::Binding(binding) => return self.unbind(vhost, binding).await,
            Key::Policy(name) => Call::delete(path_in("policies", vhost, name)?),
            Key::OperatorPolicy(name) => Call::delete(path_in("operator-policies", vhost, name)?),
            Key::Limit(name) => return self.remove_limit(vhost, name).await,
        };
        match self.http.delete(call).await {
            // 4.0.5 answers 500 without a word when there is no vhost.
            Err(_) if matches!(key, Key::OperatorPolicy(_)) && !self.vhost_exists(vhost).await? => Ok(false),
            outcome => outcome,
        }
    }
}
