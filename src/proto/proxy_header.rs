//! The header by which a proxy says whose connection it hands on: PROXY protocol, versions 1 and 2.

use std::net::SocketAddr;

use ppp::v1::Addresses as Text;
use ppp::v2::{Addresses as Binary, Command};
use ppp::{HeaderResult, PartialResult};

use crate::base::{Error, Result};

/// Bytes to read before anything can be said: the signature of version 2, and less than any header of version 1.
pub const LEN_MIN: usize = SIGNATURE.len();
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// Bytes of a header of version 2 before what its length is about.
const FIXED_LEN: usize = 16;
/// Longest header of version 1.
const TEXT_LEN_MAX: usize = 107;
/// Longest header of version 2 that is read: addresses and room for many additions. The protocol would allow 64 KiB.
const BINARY_LEN_MAX: usize = 2048;

/// How many bytes can be read that surely belong to the header; `None` when it is complete, or is none.
pub fn missing(header: &[u8]) -> Option<usize> {
    if header.len() < LEN_MIN {
        return Some(LEN_MIN - header.len());
    }
    if header.starts_with(SIGNATURE) {
        let Some(len) = header.get(FIXED_LEN - 2..FIXED_LEN) else { return Some(FIXED_LEN - header.len()) };
        let len = FIXED_LEN + usize::from(u16::from_be_bytes([len[0], len[1]]));
        return len.checked_sub(header.len()).filter(|missing| *missing > 0 && len <= BINARY_LEN_MAX);
    }
    let is_complete = header.ends_with(b"\n") || header.len() >= TEXT_LEN_MAX || !header.starts_with(b"PROXY ");
    (!is_complete).then_some(1)
}

/// Whose connection it is; `None` when the proxy speaks for itself or does not know.
pub fn source(header: &[u8]) -> Result<Option<SocketAddr>> {
    let parsed = HeaderResult::parse(header);
    if parsed.is_incomplete() {
        return Err(Error::invalid("a PROXY header that is incomplete or too long"));
    }
    match parsed {
        HeaderResult::V1(Ok(header)) => Ok(match header.addresses {
            Text::Tcp4(addresses) => Some((addresses.source_address, addresses.source_port).into()),
            Text::Tcp6(addresses) => Some((addresses.source_address, addresses.source_port).into()),
            Text::Unknown => None,
        }),
        HeaderResult::V2(Ok(header)) => Ok(match (header.command, header.addresses) {
            (Command::Proxy, Binary::IPv4(addresses)) => Some((addresses.source_address, addresses.source_port).into()),
            (Command::Proxy, Binary::IPv6(addresses)) => Some((addresses.source_address, addresses.source_port).into()),
            _ => None,
        }),
        HeaderResult::V1(Err(e)) => Err(Error::invalid("not a PROXY header").because(e.to_string())),
        HeaderResult::V2(Err(e)) => Err(Error::invalid("not a PROXY header").because(e.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads as a listener does, and returns what is left of the bytes.
    fn read(bytes: &[u8]) -> (Option<Result<Option<SocketAddr>>>, &[u8]) {
        let mut len = LEN_MIN.min(bytes.len());
        while let Some(missing) = missing(&bytes[..len]) {
            if len + missing > bytes.len() {
                return (None, &[]);
            }
            len += missing;
        }
        (Some(source(&bytes[..len])), &bytes[len..])
    }

    fn binary(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
        let len = u16::try_from(body.len()).unwrap().to_be_bytes();
        [SIGNATURE, &[0x20 | command, family], &len, body, b"GET /"].concat()
    }

    #[test]
    fn both_versions_say_whose_connection_it_is_and_leave_the_rest() {
        let address = |text: &str| Some(text.parse::<SocketAddr>().unwrap());
        let (v4, v6) = ([192, 0, 2, 7, 10, 0, 0, 1, 0x1f, 0x90, 0, 80], {
            let source = "2001:db8::7".parse::<std::net::Ipv6Addr>().unwrap().octets();
            [&source[..], &source[..], &[0x1f, 0x90, 0, 80]].concat()
        });
        let with_additions = [&v4[..], &[0x04, 0, 3, 0, 0, 0]].concat();
        for (bytes, expected) in [
            (b"PROXY TCP4 192.0.2.7 10.0.0.1 8080 80\r\nGET /".to_vec(), address("192.0.2.7:8080")),
            (b"PROXY TCP6 2001:db8::7 ::1 8080 80\r\nGET /".to_vec(), address("[2001:db8::7]:8080")),
            (b"PROXY UNKNOWN\r\nGET /".to_vec(), None),
            (b"PROXY UNKNOWN ffff:f:f a b c\r\nGET /".to_vec(), None),
            (binary(1, 0x11, &v4), address("192.0.2.7:8080")),
            (binary(1, 0x21, &v6), address("[2001:db8::7]:8080")),
            (binary(1, 0x11, &with_additions), address("192.0.2.7:8080")),
            (binary(0, 0x00, &[]), None),
            (binary(0, 0x11, &v4), None),
        ] {
            let (source, rest) = read(&bytes);
            assert_eq!(
                (source.unwrap().unwrap(), rest),
                (expected, &b"GET /"[..]),
                "{:?}",
                String::from_utf8_lossy(&bytes)
            );
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for bytes in [
            b"GET /v1/credentials HTTP/1.1\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.7 10.0.0.1 8080\r\n.......".to_vec(),
            b"PROXY TCP4 192.0.2.777 10.0.0.1 8080 80\r\n".to_vec(),
            [b"PROXY TCP4 ".to_vec(), vec![b'1'; 200]].concat(),
            binary(1, 0x11, &[1, 2, 3]),
            binary(1, 0x11, &[0; 4000]),
        ] {
            assert!(read(&bytes).0.unwrap().is_err(), "{:?}", String::from_utf8_lossy(&bytes));
        }
        assert!(read(b"PROXY").0.is_none() && read(&SIGNATURE[..10]).0.is_none(), "more is waited for");
    }
}
