//! Messages as they lie in the frames of an archive: each with its lengths before it.

use crate::base::{Error, Result};
use crate::ports::broker::{Message, Properties};

/// Bits of the byte that says what else a record holds.
const REDELIVERED: u8 = 1;
const HAS_OFFSET: u8 = 2;

/// The records of some messages.
pub(super) fn encode(messages: &[Message]) -> Result<Vec<u8>> {
    let len = messages.iter().map(|message| message.body.len() + message.properties.as_wire().len() + 64).sum();
    let mut to = Vec::with_capacity(len);
    for message in messages {
        short(&mut to, &message.exchange)?;
        short(&mut to, &message.routing_key)?;
        let redelivered = if message.redelivered { REDELIVERED } else { 0 };
        to.push(redelivered | message.offset.map_or(0, |_| HAS_OFFSET));
        if let Some(offset) = message.offset {
            to.extend_from_slice(&offset.to_be_bytes());
        }
        long(&mut to, message.properties.as_wire())?;
        long(&mut to, &message.body)?;
    }
    Ok(to)
}

/// AMQP has exchanges and routing keys of at most 255 bytes.
fn short(to: &mut Vec<u8>, text: &str) -> Result<()> {
    let len = u8::try_from(text.len()).map_err(|e| Error::internal("writing a message", e))?;
    to.push(len);
    to.extend_from_slice(text.as_bytes());
    Ok(())
}

fn long(to: &mut Vec<u8>, bytes: &[u8]) -> Result<()> {
    let len = u32::try_from(bytes.len()).map_err(|e| Error::internal("writing a message", e))?;
    to.extend_from_slice(&len.to_be_bytes());
    to.extend_from_slice(bytes);
    Ok(())
}

/// The messages of some records.
pub(super) fn decode(records: &[u8]) -> Result<Vec<Message>> {
    let mut rest = records;
    let mut messages = Vec::new();
    while !rest.is_empty() {
        let message = message(&mut rest).ok_or_else(|| Error::conflict("the archive holds what is no message"))?;
        messages.push(message);
    }
    Ok(messages)
}

/// Bytes of the bodies in some records.
pub(super) fn payload(records: &[u8]) -> Result<u64> {
    Ok(decode(records)?.iter().map(|message| message.body.len() as u64).sum())
}

fn message(from: &mut &[u8]) -> Option<Message> {
    let exchange = text(from)?;
    let routing_key = text(from)?;
    let [flags] = *take(from, 1)? else { return None };
    let offset = match flags & HAS_OFFSET {
        0 => None,
        _ => Some(u64::from_be_bytes(take(from, 8)?.try_into().ok()?)),
    };
    let properties = Properties::from_wire(bytes(from)?);
    let body = bytes(from)?;
    Some(Message { exchange, routing_key, redelivered: flags & REDELIVERED != 0, offset, properties, body })
}

fn take<'b>(from: &mut &'b [u8], len: usize) -> Option<&'b [u8]> {
    let (taken, rest) = from.split_at_checked(len)?;
    *from = rest;
    Some(taken)
}

fn text(from: &mut &[u8]) -> Option<String> {
    let len = usize::from(*take(from, 1)?.first()?);
    String::from_utf8(take(from, len)?.to_vec()).ok()
}

fn bytes(from: &mut &[u8]) -> Option<Vec<u8>> {
    let len = u32::from_be_bytes(take(from, 4)?.try_into().ok()?);
    Some(take(from, usize::try_from(len).ok()?)?.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_back_as_they_were_and_half_a_record_is_none() {
        let odd = Message {
            exchange: "é".repeat(127),
            routing_key: "a.\0.#".into(),
            redelivered: true,
            offset: Some(u64::MAX),
            properties: Properties::from_wire(vec![0x80, 0, 1, b'x']),
            body: (0..=255).collect(),
        };
        let messages = [Message::default(), odd.clone(), Message { offset: Some(0), ..Message::default() }];
        let records = encode(&messages).unwrap();
        assert_eq!(decode(&records).unwrap(), messages);
        assert_eq!(payload(&records).unwrap(), 256);
        let one = encode(&[odd]).unwrap();
        assert!((1..one.len()).all(|len| decode(&one[..len]).is_err()));
        assert!(encode(&[Message { exchange: "x".repeat(256), ..Message::default() }]).is_err());
    }
}
