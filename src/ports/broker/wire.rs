//! The JSON of the management API: what we send, and the rows we read, which may lack almost anything.

use serde::{Deserialize, Deserializer, Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::password::ALGORITHM;
use super::{
    Access, Binding, Connection, Destination, Exchange, Login, Node, Overview, Permission, Queue, User, UserWish,
    versions,
};
use crate::base::Result;

/// The body that makes a user what it should be. **Invariant:** it always carries tags, hash and algorithm, for
/// the broker clears the password when they are left out (rabbitmq.md, facts 1, 2, 5).
#[derive(Serialize)]
pub(super) struct UserBody<'a> {
    tags: String,
    password_hash: &'a str,
    hashing_algorithm: &'static str,
    /// Honoured only when the user is created; then there is no moment without permissions.
    permissions: Map<String, Value>,
}

impl<'a> UserBody<'a> {
    pub(super) fn new(wish: &'a UserWish<'_>) -> Result<Self> {
        Ok(Self {
            tags: versions::tags_to_send(wish.tags)?,
            password_hash: match &wish.login {
                Login::Hash(hash) => hash.as_str(),
                Login::Locked => "",
            },
            hashing_algorithm: ALGORITHM,
            permissions: wish
                .permissions
                .iter()
                .map(|(vhost, access)| (vhost.as_str().to_owned(), access_body(access)))
                .collect(),
        })
    }
}

/// The body that gives access. All three patterns are mandatory.
pub(super) fn access_body(access: &Access) -> Value {
    json!({"configure": access.configure, "write": access.write, "read": access.read})
}

/// Reads a list, row by row. Rows without what makes them useful (a name) are left out and counted: one odd row
/// must not hide the others. `None` when it is no list at all, or when no row of it makes sense: that is not an empty list.
pub(super) fn rows<R: DeserializeOwned, T: From<R>>(text: &str) -> Option<(Vec<T>, usize)> {
    let raw: Vec<&RawValue> = serde_json::from_str(text).ok()?;
    let total = raw.len();
    let rows: Vec<T> = raw.iter().filter_map(|row| serde_json::from_str::<R>(row.get()).ok()).map(T::from).collect();
    let odd = total - rows.len();
    (!rows.is_empty() || odd == 0).then_some((rows, odd))
}

/// A field that is what we expect, or as good as absent.
fn lenient<'de, D: Deserializer<'de>, T: DeserializeOwned>(deserializer: D) -> Result<Option<T>, D::Error> {
    Ok(serde_json::from_value(Value::deserialize(deserializer)?).ok())
}

#[derive(Deserialize)]
pub(super) struct OverviewRow {
    rabbitmq_version: String,
    #[serde(default, deserialize_with = "lenient")]
    cluster_name: Option<String>,
}

impl From<OverviewRow> for Overview {
    fn from(row: OverviewRow) -> Self {
        Self { version: row.rabbitmq_version, cluster_name: row.cluster_name.unwrap_or_default(), time: None }
    }
}

#[derive(Deserialize)]
pub(super) struct NodeRow {
    name: String,
    #[serde(default, deserialize_with = "lenient")]
    running: Option<bool>,
    #[serde(default, deserialize_with = "lenient")]
    partitions: Option<Vec<String>>,
}

impl From<NodeRow> for Node {
    fn from(row: NodeRow) -> Self {
        // A broker that does not say has no trouble to tell of.
        let (is_running, partitions) = (row.running.unwrap_or(true), row.partitions.unwrap_or_default());
        Self { name: row.name, is_running, partitions }
    }
}

#[derive(Deserialize)]
pub(super) struct UserRow {
    name: String,
    #[serde(default)]
    tags: Value,
}

impl From<UserRow> for User {
    fn from(row: UserRow) -> Self {
        Self { name: row.name, tags: versions::tags(&row.tags) }
    }
}

#[derive(Deserialize)]
pub(super) struct PermissionRow {
    vhost: String,
    user: String,
    configure: String,
    write: String,
    read: String,
}

impl From<PermissionRow> for Permission {
    fn from(row: PermissionRow) -> Self {
        let access = Access { configure: row.configure, write: row.write, read: row.read };
        Self { vhost: row.vhost, user: row.user, access }
    }
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
}

impl From<QueueRow> for Queue {
    fn from(row: QueueRow) -> Self {
        let QueueRow { name, messages, ready, unacknowledged, bytes, consumers, state, kind, exclusive } = row;
        Self { name, messages, ready, unacknowledged, bytes, consumers, state, kind, exclusive }
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

#[derive(Deserialize)]
pub(super) struct ConnectionRow {
    name: String,
    #[serde(default, deserialize_with = "lenient")]
    user: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    vhost: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    node: Option<String>,
    #[serde(default)]
    connected_at: Value,
    #[serde(default)]
    client_properties: Value,
    #[serde(default, deserialize_with = "lenient")]
    peer_host: Option<String>,
}

impl From<ConnectionRow> for Connection {
    fn from(row: ConnectionRow) -> Self {
        Self {
            name: row.name,
            user: row.user.unwrap_or_default(),
            vhost: row.vhost,
            node: row.node,
            connected_at: versions::connected_at(Some(&row.connected_at)),
            client_name: row.client_properties.get("connection_name").and_then(Value::as_str).map(str::to_owned),
            peer_host: row.peer_host,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Secret;
    use crate::base::{AccountName, VhostName};
    use crate::ports::broker::PasswordHash;

    #[test]
    fn a_user_body_is_always_complete() {
        let name = AccountName::parse("ns").unwrap();
        let access = Access { configure: "^queue/ns/".into(), ..Access::default() };
        let permissions = [(VhostName::parse("/").unwrap(), access)];
        let mut wish = UserWish { name: &name, login: Login::Locked, tags: &[], permissions: &permissions };
        let body = serde_json::to_string(&UserBody::new(&wish).unwrap()).unwrap();
        assert_eq!(
            body,
            r#"{"tags":"","password_hash":"","hashing_algorithm":"rabbit_password_hashing_sha256","permissions":{"/":{"configure":"^queue/ns/","write":"","read":""}}}"#
        );

        wish.login = Login::Hash(PasswordHash::of(&Secret::new("p")));
        let body = serde_json::to_value(UserBody::new(&wish).unwrap()).unwrap();
        assert_eq!(body["password_hash"].as_str().unwrap().len(), 48);
    }

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
    fn a_list_of_nothing_but_odd_rows_is_no_empty_list() {
        assert!(rows::<UserRow, User>("[]").is_some());
        assert!(rows::<UserRow, User>(r#"[1, {}, null]"#).is_none());
    }

    #[test]
    fn one_odd_row_does_not_hide_the_others() {
        let text = r#"[{"name":"a","tags":"administrator"},{"tags":[]},7,{"name":"b","tags":["x"],"limits":{}}]"#;
        let (users, odd) = rows::<UserRow, User>(text).unwrap();
        assert_eq!(users.iter().map(|user| user.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(odd, 2);
        assert!(rows::<UserRow, User>(r#"{"items":[]}"#).is_none());
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

    #[test]
    fn a_connection_without_statistics_has_name_and_user_only() {
        let text = r#"[{"name":"127.0.0.1:1 -> 127.0.0.1:2","user":"u","vhost":"/","node":"r@h"},
            {"name":"c","user":"u","connected_at":1539604800054,"peer_host":"10.0.0.1",
             "client_properties":{"connection_name":"worker","capabilities":{}}}]"#;
        let (connections, _) = rows::<ConnectionRow, Connection>(text).unwrap();
        assert_eq!((connections[0].connected_at, &connections[0].client_name), (None, &None));
        assert_eq!(connections[1].client_name.as_deref(), Some("worker"));
        assert_eq!(connections[1].connected_at.unwrap().as_millis(), 1_539_604_800_054);
    }
}
