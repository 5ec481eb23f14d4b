//! Queues, exchanges and bindings over the management API.

use std::time::Duration;

use async_trait::async_trait;
use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::call::{Call, path_in, segment};
use super::places::PlaceRow;
use super::wire::lenient;
use super::{ManagementBroker, errors};
use crate::base::{Error, Kind, Result, Timestamp, VhostName};
use crate::ports::broker::names::{exactly, require_deletable_exchange, require_reachable};
use crate::ports::broker::places::Place;
use crate::ports::broker::topology::{Binding, Depth, Destination, Exchange, Queue, Topology};
use crate::ports::broker::versions;

/// For a login and a question over AMQP: milliseconds, and a broker that takes longer is not asked to delete.
const DEPTH_DEADLINE: Duration = Duration::from_secs(5);

#[async_trait]
impl Topology for ManagementBroker {
    async fn queues(&self, vhost: &VhostName) -> Result<Vec<Queue>> {
        let path = format!("queues/{}?{}", segment(vhost.as_str())?, versions::QUEUE_LIST_QUERY);
        self.http.list_in::<QueueRow, _>(&path).await
    }

    async fn queues_with_consumers(&self, vhost: &VhostName) -> Result<Vec<Queue>> {
        let path = format!("queues/{}?columns=name,consumers", segment(vhost.as_str())?);
        self.http.list_in::<QueueRow, _>(&path).await
    }

    async fn places(&self, vhost: &VhostName) -> Result<Vec<Place>> {
        // With counts it would leave out queues without a leader, and tell mirrors as they were.
        let columns = "name,type,state,node,leader,members,online,slave_nodes,synchronised_slave_nodes";
        let path = format!("queues/{}?disable_stats=true&columns={columns}", segment(vhost.as_str())?);
        self.http.list_in::<PlaceRow, _>(&path).await
    }

    async fn queue(&self, vhost: &VhostName, name: &str) -> Result<Option<Queue>> {
        let found: Option<Queue> = self.http.one::<QueueRow, _>(path_in("queues", vhost, name)?).await?;
        match found {
            // A broker that keeps no statistics counts in lists only (case 01), and so does one whose queue is new.
            Some(queue) if queue.messages.is_none() => {
                let counted = self.count(vhost, name).await?.unwrap_or_default();
                let Queue { messages, ready, unacknowledged, .. } = counted;
                Ok(Some(Queue { messages, ready, unacknowledged, ..queue }))
            }
            _ => Ok(found),
        }
    }

    async fn depth(&self, vhost: &VhostName, name: &str) -> Result<Option<Depth>> {
        require_reachable(name)?;
        let login = self.http.logins.present();
        let asked = match &self.door {
            Some(door) => {
                let (user, password) = login.login();
                door.depth(user, password, vhost, name, DEPTH_DEADLINE).await
            }
            None => Err(Error::unavailable("there is no way to the broker over AMQP")),
        };
        let Err(error) = asked else { return asked };
        if error.kind() != Kind::Unavailable {
            return Err(error);
        }
        // Of classic queues the list is as good: it asks them, too (rabbitmq-versions.md, A6).
        match self.count(vhost, name).await? {
            Some(Queue { kind: Some(kind), ready: Some(ready), .. }) if kind == "classic" => {
                let consumers = self.queue(vhost, name).await?.and_then(|queue| queue.consumers);
                Ok(Some(Depth { ready, consumers: consumers.unwrap_or(0) }))
            }
            Some(_) => Err(error),
            None => Ok(None),
        }
    }

    async fn delete_queue(&self, vhost: &VhostName, name: &str) -> Result<bool> {
        self.http.delete(Call::delete(path_in("queues", vhost, name)?)).await
    }

    async fn purge_queue(&self, vhost: &VhostName, name: &str) -> Result<bool> {
        let purge = Call::delete(format!("{}/contents", path_in("queues", vhost, name)?));
        let answer = self.http.send(purge).await?;
        match answer.status {
            StatusCode::NOT_FOUND => Ok(false),
            StatusCode::BAD_REQUEST => Err(errors::not_purgeable(&answer)),
            _ => Ok(true),
        }
    }

    async fn exchanges(&self, vhost: &VhostName) -> Result<Vec<Exchange>> {
        let path = format!("exchanges/{}?disable_stats=true&columns=name,type", segment(vhost.as_str())?);
        self.http.list_in::<ExchangeRow, _>(&path).await
    }

    async fn delete_exchange(&self, vhost: &VhostName, name: &str) -> Result<bool> {
        require_deletable_exchange(name)?;
        self.http.delete(Call::delete(path_in("exchanges", vhost, name)?)).await
    }

    async fn bindings(&self, vhost: &VhostName) -> Result<Vec<Binding>> {
        let columns = "source,destination,destination_type,routing_key";
        let path = format!("bindings/{}?columns={columns}", segment(vhost.as_str())?);
        let mut bindings: Vec<Binding> = self.http.list_in::<BindingRow, _>(&path).await?;
        bindings.retain(|binding| !binding.source.is_empty());
        Ok(bindings)
    }
}

impl ManagementBroker {
    /// A queue as the list counts it.
    async fn count(&self, vhost: &VhostName, name: &str) -> Result<Option<Queue>> {
        let (vhost, pattern) = (segment(vhost.as_str())?, segment(&exactly(name))?);
        let path =
            format!("queues/{vhost}?page=1&page_size=1&use_regex=true&name={pattern}&{}", versions::QUEUE_LIST_QUERY);
        let page = self.http.one::<Page, Page>(path).await?;
        Ok(page.and_then(|page| page.items.into_iter().next()).map(Queue::from))
    }
}

/// A page of a list.
#[derive(Deserialize)]
struct Page {
    items: Vec<QueueRow>,
}

#[derive(Deserialize)]
pub(super) struct QueueRow {
    name: String,
    #[serde(default, deserialize_with = "lenient")]
    messages: Option<u64>,
    #[serde(default, deserialize_with = "lenient", rename = "messages_ready")]
    ready: Option<u64>,
    #[serde(default, deserialize_with = "lenient", rename = "messages_unacknowledged")]
    unacknowledged: Option<u64>,
    #[serde(default, deserialize_with = "lenient", rename = "message_bytes")]
    bytes: Option<u64>,
    #[serde(default, deserialize_with = "lenient")]
    consumers: Option<u64>,
    #[serde(default, deserialize_with = "lenient")]
    state: Option<String>,
    #[serde(default, deserialize_with = "lenient", rename = "type")]
    kind: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    exclusive: Option<bool>,
    /// Seconds.
    #[serde(default, deserialize_with = "lenient")]
    head_message_timestamp: Option<i64>,
    /// Milliseconds; of a stream, from 4.3 on.
    #[serde(default, deserialize_with = "lenient")]
    first_timestamp: Option<i64>,
    #[serde(default, deserialize_with = "lenient")]
    message_stats: Option<MessageStats>,
    #[serde(default, deserialize_with = "lenient")]
    members: Option<Vec<String>>,
    #[serde(default, deserialize_with = "lenient")]
    online: Option<Vec<String>>,
    #[serde(default, deserialize_with = "lenient")]
    arguments: Option<Map<String, Value>>,
    #[serde(default, deserialize_with = "lenient")]
    effective_policy_definition: Option<Map<String, Value>>,
}

#[derive(Deserialize)]
struct MessageStats {
    #[serde(default, deserialize_with = "lenient")]
    deliver_get: Option<u64>,
}

impl QueueRow {
    /// What an argument of the queue says, or else a policy.
    fn says(&self, name: &str) -> Option<&Value> {
        let argument = self.arguments.as_ref().and_then(|arguments| arguments.get(&format!("x-{name}")));
        argument.or_else(|| self.effective_policy_definition.as_ref().and_then(|policy| policy.get(name)))
    }
}

impl From<QueueRow> for Queue {
    fn from(row: QueueRow) -> Self {
        let is_bounded = ["max-age", "max-length-bytes"].iter().any(|name| row.says(name).is_some());
        let dead_letters = row.says("dead-letter-exchange").and_then(Value::as_str).map(str::to_owned);
        let seconds = row.head_message_timestamp.map(|seconds| seconds.saturating_mul(1000));
        let members = row.members.map(|members| (row.online.map_or(0, |online| online.len()), members.len()));
        Self {
            name: row.name,
            messages: row.messages,
            ready: row.ready,
            unacknowledged: row.unacknowledged,
            bytes: row.bytes,
            consumers: row.consumers,
            state: row.state,
            kind: row.kind,
            exclusive: row.exclusive,
            head: seconds.or(row.first_timestamp).map(Timestamp::from_millis),
            delivered: row.message_stats.and_then(|stats| stats.deliver_get),
            members,
            is_bounded,
            dead_letters,
        }
    }
}

#[derive(Deserialize)]
pub(super) struct ExchangeRow {
    name: String,
    #[serde(default, deserialize_with = "lenient", rename = "type")]
    kind: Option<String>,
}

impl From<ExchangeRow> for Exchange {
    fn from(row: ExchangeRow) -> Self {
        Self { name: row.name, kind: row.kind }
    }
}

#[derive(Deserialize)]
pub(super) struct BindingRow {
    source: String,
    destination: String,
    destination_type: DestinationKind,
    routing_key: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum DestinationKind {
    Queue,
    Exchange,
}

impl From<BindingRow> for Binding {
    fn from(row: BindingRow) -> Self {
        let destination = match row.destination_type {
            DestinationKind::Queue => Destination::Queue(row.destination),
            DestinationKind::Exchange => Destination::Exchange(row.destination),
        };
        Self { source: row.source, destination, routing_key: row.routing_key }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::broker::management::wire::rows;

    #[test]
    fn a_queue_without_numbers_has_none_rather_than_zero() {
        // Fresh, of a lost node, and a stream in totals mode (rabbitmq.md, fact 7 and 2.6).
        let text = r#"[{"name":"fresh"},{"name":"lost","state":"down"},{"name":"stream","exclusive":null,"totals":null},
            {"name":"full","messages":12,"consumers":3,"type":"classic","exclusive":false}]"#;
        let (queues, odd) = rows::<QueueRow, Queue>(text).unwrap();
        assert_eq!(odd, 0);
        assert!(queues[..3].iter().all(|queue| queue.messages.is_none() && queue.exclusive.is_none()));
        assert_eq!((queues[3].messages, queues[3].consumers, queues[3].exclusive), (Some(12), Some(3), Some(false)));
    }

    #[test]
    fn a_binding_that_leads_to_something_unknown_is_left_out() {
        let text = r#"[{"source":"","destination":"q","destination_type":"queue","routing_key":"q"},
            {"source":"x","destination":"y","destination_type":"exchange","routing_key":"a.#"},
            {"source":"x","destination":"s","destination_type":"stream","routing_key":""}]"#;
        let (bindings, odd) = rows::<BindingRow, Binding>(text).unwrap();
        assert_eq!((bindings.len(), odd), (2, 1));
        assert_eq!(bindings[1].destination, Destination::Exchange("y".into()));
    }
}
