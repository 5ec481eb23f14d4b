//! The beginning of a connection of AMQP 0-9-1, as far as whoever puts another login in the place of a client's must read it:
//! the broker's `connection.start` is passed on, the client's `connection.start-ok` is written anew, and everything behind
//! that means nothing here (AMQP 0-9-1, 2.3.5 and 4.2.3; RabbitMQ's errata).

use zeroize::Zeroizing;

use crate::base::{Error, Result, Secret};

/// How a client begins that speaks 0-9-1. A broker answers it to one that speaks anything else, and leaves.
pub const PROTOCOL_HEADER: [u8; 8] = *b"AMQP\x00\x00\x09\x01";
/// Bytes before the payload of a frame: type, channel, length.
pub const FRAME_HEADER_LEN: usize = 7;
/// Bytes of a frame before the two sides have agreed on more. The standard says 4096, and clients send less; lists of
/// mechanisms and properties of brokers are within it, too.
const FRAME_LEN_MAX: usize = 64 << 10;

/// Bytes of a short text, whose length is one byte.
const SHORT_LEN_MAX: usize = 255;
/// Bytes of a frame beside its texts, and some.
const SPARE_LEN: usize = 64;

const METHOD_FRAME: u8 = 1;
const FRAME_END: u8 = 0xce;
const CONNECTION: u16 = 10;
const START: u16 = 10;
const START_OK: u16 = 11;
const CLOSE: u16 = 50;

/// A frame that may hold a secret.
pub type Frame = Zeroizing<Vec<u8>>;

/// The number of bytes that follow the header of a frame, its end included.
pub fn rest_len(header: [u8; FRAME_HEADER_LEN]) -> Result<usize> {
    let [kind, channel_high, channel_low, length @ ..] = header;
    let len = u32::from_be_bytes(length) as usize;
    if kind != METHOD_FRAME || (channel_high, channel_low) != (0, 0) || len > FRAME_LEN_MAX {
        return Err(unexpected());
    }
    Ok(len + 1)
}

/// Refuses what a broker sends first if it is no `connection.start`.
pub fn require_start(rest: &[u8]) -> Result<()> {
    Reader(rest).method(START)
}

/// A client's answer to `connection.start`.
#[derive(Debug)]
pub struct StartOk<'f> {
    /// What it says of itself, with the length in front.
    properties: &'f [u8],
    mechanism: &'f [u8],
    response: &'f [u8],
    locale: &'f [u8],
}

impl<'f> StartOk<'f> {
    /// Reads what follows the header of its frame.
    pub fn read(rest: &'f [u8]) -> Result<Self> {
        let mut reader = Reader(rest);
        reader.method(START_OK)?;
        let properties = reader.0;
        let len = reader.long()?;
        reader.take(len)?;
        let properties = &properties[..4 + len];
        let mechanism = reader.short_text()?;
        let len = reader.long()?;
        let response = reader.take(len)?;
        let locale = reader.short_text()?;
        if reader.0 == [FRAME_END] { Ok(Self { properties, mechanism, response, locale }) } else { Err(unexpected()) }
    }

    /// Whom the client means to be, if it says so by one of the mechanisms with a name and a password.
    pub fn user(&self) -> Option<String> {
        let name = match self.mechanism {
            b"PLAIN" => self.response.split(|b| *b == 0).nth(1)?,
            b"AMQPLAIN" => self.field(b"LOGIN")?,
            _ => return None,
        };
        String::from_utf8(name.to_owned()).ok()
    }

    /// A text of the table that AMQPLAIN has for a response, without a length in front.
    fn field(&self, wanted: &[u8]) -> Option<&'f [u8]> {
        let mut reader = Reader(self.response);
        while !reader.0.is_empty() {
            let name = reader.short_text().ok()?;
            // Clients send texts only.
            if reader.take(1).ok()? != b"S" {
                return None;
            }
            let len = reader.long().ok()?;
            let value = reader.take(len).ok()?;
            if name == wanted {
                return Some(value);
            }
        }
        None
    }

    /// The same with another login, as a frame.
    pub fn with_login(&self, user: &str, password: &Secret) -> Frame {
        let response = Zeroizing::new(format!("\0{user}\0{}", password.expose()));
        // As long as all of it, so that no part of a secret is left behind by one that grows.
        let len = self.properties.len() + response.len() + self.locale.len() + SPARE_LEN;
        let mut payload = Zeroizing::new(Vec::with_capacity(len));
        payload.extend_from_slice(self.properties);
        put_short(&mut payload, b"PLAIN");
        payload.extend_from_slice(&(response.len() as u32).to_be_bytes());
        payload.extend_from_slice(response.as_bytes());
        put_short(&mut payload, self.locale);
        frame(START_OK, &payload)
    }
}

/// A `connection.start` of a broker that nobody knows anything of: before it, clients take no reason for a refusal.
pub fn start() -> Frame {
    // The version 0-9, no properties, the mechanisms that are read, one language.
    let mut payload = vec![0, 9, 0, 0, 0, 0];
    for text in ["PLAIN AMQPLAIN", "en_US"] {
        payload.extend((text.len() as u32).to_be_bytes());
        payload.extend(text.bytes());
    }
    frame(START, &payload)
}

/// A `connection.close` with a code of the standard and why, as a frame.
pub fn close(code: u16, text: &str) -> Frame {
    let mut payload = code.to_be_bytes().to_vec();
    put_short(&mut payload, &text.as_bytes()[..text.floor_char_boundary(SHORT_LEN_MAX)]);
    // What it is about: the login.
    payload.extend([CONNECTION.to_be_bytes(), START_OK.to_be_bytes()].concat());
    frame(CLOSE, &payload)
}

fn frame(method: u16, payload: &[u8]) -> Frame {
    let mut frame = Zeroizing::new(Vec::with_capacity(payload.len() + SPARE_LEN));
    frame.extend([METHOD_FRAME, 0, 0]);
    frame.extend((payload.len() as u32 + 4).to_be_bytes());
    frame.extend([CONNECTION.to_be_bytes(), method.to_be_bytes()].concat());
    frame.extend_from_slice(payload);
    frame.push(FRAME_END);
    frame
}

fn put_short(payload: &mut Vec<u8>, text: &[u8]) {
    payload.push(text.len() as u8);
    payload.extend_from_slice(text);
}

fn unexpected() -> Error {
    Error::invalid("this is not how a connection of AMQP 0-9-1 begins")
}

/// What is left to be read.
struct Reader<'f>(&'f [u8]);

impl<'f> Reader<'f> {
    fn take(&mut self, len: usize) -> Result<&'f [u8]> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or_else(unexpected)?;
        self.0 = rest;
        Ok(taken)
    }

    fn method(&mut self, method: u16) -> Result<()> {
        let ids = self.take(4)?;
        if *ids == [CONNECTION.to_be_bytes(), method.to_be_bytes()].concat() { Ok(()) } else { Err(unexpected()) }
    }

    fn long(&mut self) -> Result<usize> {
        let bytes = self.take(4)?.try_into().map_err(|_| unexpected())?;
        Ok(u32::from_be_bytes(bytes) as usize)
    }

    fn short_text(&mut self) -> Result<&'f [u8]> {
        let len = self.take(1)?[0];
        self.take(len.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As clients send it, without the frame's header.
    fn start_ok(mechanism: &[u8], response: &[u8]) -> Vec<u8> {
        let mut rest = vec![0, 10, 0, 11];
        let table = b"\x07productS\x00\x00\x00\x01x";
        rest.extend((table.len() as u32).to_be_bytes());
        rest.extend_from_slice(table);
        put_short(&mut rest, mechanism);
        rest.extend((response.len() as u32).to_be_bytes());
        rest.extend_from_slice(response);
        put_short(&mut rest, b"en_US");
        rest.push(FRAME_END);
        rest
    }

    #[test]
    fn a_client_says_who_it_means_to_be() {
        let amqplain = b"\x05LOGINS\x00\x00\x00\x02ci\x08PASSWORDS\x00\x00\x00\x01x";
        for (mechanism, response, user) in [
            (&b"PLAIN"[..], &b"\0ci\0x"[..], Some("ci")),
            (b"PLAIN", b"\0ci", Some("ci")),
            (b"PLAIN", b"", None),
            (b"AMQPLAIN", amqplain, Some("ci")),
            (b"AMQPLAIN", &amqplain[..9], None),
            (b"EXTERNAL", b"", None),
        ] {
            let rest = start_ok(mechanism, response);
            assert_eq!(StartOk::read(&rest).unwrap().user().as_deref(), user, "{response:?}");
        }
    }

    #[test]
    fn another_login_stands_where_the_clients_was() {
        let rest = start_ok(b"AMQPLAIN", b"");
        let frame = StartOk::read(&rest).unwrap().with_login("user", &Secret::new("password"));
        let header = frame[..FRAME_HEADER_LEN].try_into().unwrap();
        assert_eq!(rest_len(header).unwrap(), frame.len() - FRAME_HEADER_LEN);
        assert_eq!(frame[FRAME_HEADER_LEN..], start_ok(b"PLAIN", b"\0user\0password"));
    }

    #[test]
    fn what_is_cut_off_or_another_frame_is_refused() {
        let rest = start_ok(b"PLAIN", b"\0a\0b");
        assert!((0..rest.len()).all(|len| StartOk::read(&rest[..len]).is_err()));
        assert!(require_start(&rest).is_err() && require_start(&[0, 10, 0, 10]).is_ok());
        assert!(rest_len([1, 0, 0, 0, 0, 0, 4]).is_ok_and(|len| len == 5));
        for header in [[2, 0, 0, 0, 0, 0, 4], [1, 0, 1, 0, 0, 0, 4], [1, 0, 0, 1, 0, 0, 0]] {
            assert!(rest_len(header).is_err());
        }
        assert!(require_start(&start()[FRAME_HEADER_LEN..]).is_ok());
        let long = close(403, &"é".repeat(200));
        assert_eq!(usize::from(long[13]), 254);
    }
}
