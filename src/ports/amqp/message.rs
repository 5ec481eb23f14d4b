//! A message as the broker hands it out and takes it: with its properties as they are on the wire.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lapin::BasicProperties;
use lapin::message::Delivery;
use lapin::protocol::basic::{gen_properties, parse_properties};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use serde_json::{Map, Value, json};

use crate::base::{Error, Result};

/// Where a message lies in a stream: the broker adds it to what it hands out.
const STREAM_OFFSET: &str = "x-stream-offset";
/// How often a quorum queue handed a message out before: the broker adds these, too.
const COUNTS_OF_QUORUM: [&str; 2] = ["x-delivery-count", "x-acquired-count"];
/// A header by which the broker delivers copies to further queues.
const COPIES: &str = "CC";

/// A message of a queue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// The exchange that it was published to; empty for the default one.
    pub exchange: String,
    /// With which key.
    pub routing_key: String,
    /// Whether it was handed out before.
    pub redelivered: bool,
    /// Where it lies in a stream.
    pub offset: Option<u64>,
    /// What its publisher said of it.
    pub properties: Properties,
    /// What it says.
    pub body: Vec<u8>,
}

/// The properties of a message, headers included, as AMQP 0-9-1 writes them (4.2.6.1). Headers are in the order of their
/// names, which is not that of their publisher; a name that was there twice is there once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Properties(Vec<u8>);

impl Default for Properties {
    /// None: no flag is set.
    fn default() -> Self {
        Self(vec![0, 0])
    }
}

impl Properties {
    /// The properties that these bytes are. What is no properties shows when it is used.
    pub fn from_wire(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// Their bytes.
    pub fn as_wire(&self) -> &[u8] {
        &self.0
    }

    pub(super) fn encode(properties: &BasicProperties) -> Result<Self> {
        let written = gen_properties(properties)(Vec::new().into());
        let written = written.map_err(|e| Error::internal("writing the properties of a message", e.to_string()))?;
        Ok(Self(written.into_inner().0))
    }

    pub(super) fn decode(&self) -> Result<BasicProperties> {
        match parse_properties(self.0.as_slice()) {
            Ok(([], properties)) => Ok(properties),
            _ => Err(Error::conflict("the properties of a message are not as AMQP writes them")),
        }
    }

    /// The same for people: members by their names in AMQP, texts as texts where they are texts.
    pub fn to_json(&self) -> Result<Value> {
        let properties = self.decode()?;
        let mut all = Map::new();
        let texts = [
            ("content_type", properties.content_type()),
            ("content_encoding", properties.content_encoding()),
            ("correlation_id", properties.correlation_id()),
            ("reply_to", properties.reply_to()),
            ("expiration", properties.expiration()),
            ("message_id", properties.message_id()),
            ("type", properties.kind()),
            ("user_id", properties.user_id()),
            ("app_id", properties.app_id()),
            ("cluster_id", properties.cluster_id()),
        ];
        all.extend(
            texts.into_iter().filter_map(|(name, text)| Some((name.to_owned(), text.as_ref()?.as_str().into()))),
        );
        let numbers = [
            ("delivery_mode", properties.delivery_mode().map(u64::from)),
            ("priority", properties.priority().map(u64::from)),
            ("timestamp", *properties.timestamp()),
        ];
        all.extend(numbers.into_iter().filter_map(|(name, number)| Some((name.to_owned(), number?.into()))));
        if let Some(headers) = properties.headers() {
            all.insert("headers".into(), table(headers));
        }
        Ok(all.into())
    }
}

/// Headers for people.
fn table(table: &FieldTable) -> Value {
    table.inner().iter().map(|(name, value)| (name.to_string(), field(value))).collect::<Map<_, _>>().into()
}

fn field(value: &AMQPValue) -> Value {
    match value {
        AMQPValue::Boolean(value) => json!(value),
        AMQPValue::ShortShortInt(value) => json!(value),
        AMQPValue::ShortShortUInt(value) => json!(value),
        AMQPValue::ShortInt(value) => json!(value),
        AMQPValue::ShortUInt(value) => json!(value),
        AMQPValue::LongInt(value) => json!(value),
        AMQPValue::LongUInt(value) => json!(value),
        AMQPValue::LongLongInt(value) => json!(value),
        AMQPValue::Float(value) => json!(value),
        AMQPValue::Double(value) => json!(value),
        AMQPValue::Timestamp(value) => json!({ "timestamp": value }),
        AMQPValue::DecimalValue(value) => json!({ "decimal": value.value, "scale": value.scale }),
        AMQPValue::ShortString(text) => json!(text.as_str()),
        AMQPValue::LongString(text) => bytes(text.as_bytes()),
        AMQPValue::ByteArray(array) => bytes(array.as_slice()),
        AMQPValue::FieldArray(array) => array.as_slice().iter().map(field).collect(),
        AMQPValue::FieldTable(inner) => self::table(inner),
        AMQPValue::Void => Value::Null,
    }
}

fn bytes(bytes: &[u8]) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) => json!(text),
        Err(_) => json!({ "base64": STANDARD.encode(bytes) }),
    }
}

/// The types of queues, as far as what they hand out differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum QueueKind {
    Classic,
    Quorum,
    Stream,
}

impl QueueKind {
    /// Whether the broker added a header of this name and value to a message. Quorum queues count in 64 bits: some versions also
    /// what was never handed out before, others only what was, and then the same name is the publisher's (`docs/brokers.md`).
    fn adds(self, name: &str, value: &AMQPValue, is_redelivered: bool) -> bool {
        match self {
            Self::Classic => false,
            Self::Quorum => match value.as_long_long_int() {
                Some(count) => COUNTS_OF_QUORUM.contains(&name) && (is_redelivered || count == 0),
                None => false,
            },
            Self::Stream => name == STREAM_OFFSET,
        }
    }
}

/// A message as it was published, from one that was handed out: what the broker added is no header of it any more. Whether
/// there was a table without headers, or none, nobody knows then.
pub(super) fn taken(delivery: Delivery, kind: QueueKind) -> Result<Message> {
    let mut properties = delivery.properties;
    let offset = stream_offset(&properties).filter(|_| kind == QueueKind::Stream);
    if let Some(headers) = properties.headers() {
        let is_added = |name: &str, value: &AMQPValue| kind.adds(name, value, delivery.redelivered);
        if headers.inner().iter().any(|(name, value)| is_added(name.as_str(), value)) {
            properties = without_headers(properties, is_added);
        }
    }
    Ok(Message {
        exchange: delivery.exchange.to_string(),
        routing_key: delivery.routing_key.to_string(),
        redelivered: delivery.redelivered,
        offset,
        properties: Properties::encode(&properties)?,
        body: delivery.data,
    })
}

/// Where a stream says that this message lies.
pub(super) fn stream_offset(properties: &BasicProperties) -> Option<u64> {
    let offset = properties.headers().as_ref()?.inner().get(STREAM_OFFSET)?.as_long_long_int()?;
    u64::try_from(offset).ok()
}

/// What is published of properties in the name of `user`, and whether that is less than there was: the broker refuses the name
/// of another user, and would deliver copies to what `CC` names.
pub(super) fn publishable(properties: BasicProperties, user: &str) -> (BasicProperties, bool) {
    let is_ours = properties.user_id().as_ref().is_none_or(|name| name.as_str() == user);
    let has_copies = properties.headers().as_ref().is_some_and(|headers| headers.contains_key(COPIES));
    if is_ours && !has_copies {
        return (properties, false);
    }
    let properties = if has_copies { without_headers(properties, |name, _| name == COPIES) } else { properties };
    (if is_ours { properties } else { rebuilt(&properties, properties.headers().clone(), None) }, true)
}

/// The same without some of the headers; without a table when none is left.
fn without_headers(properties: BasicProperties, is_left_out: impl Fn(&str, &AMQPValue) -> bool) -> BasicProperties {
    let left: Vec<(ShortString, AMQPValue)> = properties
        .headers()
        .iter()
        .flat_map(|headers| headers.inner())
        .filter(|(name, value)| !is_left_out(name.as_str(), value))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    let table = left.into_iter().fold(FieldTable::default(), |mut table, (name, value)| {
        table.insert(name, value);
        table
    });
    let headers = (!table.inner().is_empty()).then_some(table);
    rebuilt(&properties, headers, properties.user_id().clone())
}

/// How a property that is a text is set.
type SetText = fn(BasicProperties, ShortString) -> BasicProperties;

/// The same with other headers and another user: lapin can set properties, and not take them away.
fn rebuilt(from: &BasicProperties, headers: Option<FieldTable>, user: Option<ShortString>) -> BasicProperties {
    let mut to = BasicProperties::default();
    let texts: [(&Option<ShortString>, SetText); 10] = [
        (from.content_type(), BasicProperties::with_content_type),
        (from.content_encoding(), BasicProperties::with_content_encoding),
        (from.correlation_id(), BasicProperties::with_correlation_id),
        (from.reply_to(), BasicProperties::with_reply_to),
        (from.expiration(), BasicProperties::with_expiration),
        (from.message_id(), BasicProperties::with_message_id),
        (from.kind(), BasicProperties::with_type),
        (&user, BasicProperties::with_user_id),
        (from.app_id(), BasicProperties::with_app_id),
        (from.cluster_id(), BasicProperties::with_cluster_id),
    ];
    for (text, with) in texts {
        if let Some(text) = text {
            to = with(to, text.clone());
        }
    }
    if let Some(headers) = headers {
        to = to.with_headers(headers);
    }
    if let Some(mode) = *from.delivery_mode() {
        to = to.with_delivery_mode(mode);
    }
    if let Some(priority) = *from.priority() {
        to = to.with_priority(priority);
    }
    match *from.timestamp() {
        Some(timestamp) => to.with_timestamp(timestamp),
        None => to,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(names: &[&str]) -> FieldTable {
        names.iter().fold(FieldTable::default(), |mut table, name| {
            table.insert((*name).into(), AMQPValue::LongLongInt(7));
            table
        })
    }

    fn all() -> BasicProperties {
        BasicProperties::default()
            .with_content_type("a".into())
            .with_content_encoding("b".into())
            .with_headers(headers(&["CC", "h"]))
            .with_delivery_mode(2)
            .with_priority(9)
            .with_correlation_id("c".into())
            .with_reply_to("d".into())
            .with_expiration("1000".into())
            .with_message_id("e".into())
            .with_timestamp(u64::MAX)
            .with_type("f".into())
            .with_user_id("somebody".into())
            .with_app_id("g".into())
            .with_cluster_id("h".into())
    }

    #[test]
    fn properties_are_the_same_after_they_were_written_and_read() {
        for properties in [BasicProperties::default(), all()] {
            let written = Properties::encode(&properties).unwrap();
            assert_eq!(written.decode().unwrap(), properties);
            assert_eq!(Properties::from_wire(written.as_wire().to_vec()), written);
        }
        assert_eq!(Properties::default(), Properties::encode(&BasicProperties::default()).unwrap());
        assert!(Properties::from_wire(vec![0x80]).decode().is_err());
        assert!(Properties::from_wire(vec![0, 0, 1]).decode().is_err());
    }

    #[test]
    fn only_what_the_broker_adds_to_a_type_of_queue_is_no_header() {
        let (long, short) = (AMQPValue::LongLongInt, AMQPValue::LongInt);
        for (kind, name, value, is_redelivered, is_added) in [
            (QueueKind::Stream, "x-stream-offset", long(5), false, true),
            (QueueKind::Classic, "x-stream-offset", long(5), false, false),
            (QueueKind::Quorum, "x-delivery-count", long(0), false, true),
            (QueueKind::Quorum, "x-delivery-count", long(1), true, true),
            (QueueKind::Quorum, "x-acquired-count", long(2), true, true),
            (QueueKind::Quorum, "x-acquired-count", short(9), true, false),
            (QueueKind::Quorum, "x-delivery-count", long(7), false, false),
            (QueueKind::Quorum, "x-death", long(0), true, false),
            (QueueKind::Classic, "x-delivery-count", long(1), true, false),
        ] {
            assert_eq!(kind.adds(name, &value, is_redelivered), is_added, "{kind:?} {name} {value:?}");
        }
    }

    #[test]
    fn what_the_broker_would_act_upon_is_not_published_and_all_else_is() {
        let (published, is_less) = publishable(all(), "us");
        assert!(is_less);
        assert_eq!(published, rebuilt(&all(), Some(headers(&["h"])), None));
        assert_eq!(published.user_id(), &None);
        let ours = rebuilt(&all(), None, Some("us".into()));
        assert_eq!(publishable(ours.clone(), "us"), (ours, false));
    }
}
