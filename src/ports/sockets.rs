//! Whose the other end of a connection on this host is, as the kernel lists it.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::net::{IpAddr, SocketAddr};

/// The lists of both families, each of which may hold a connection of IPv4.
const LISTS: [&str; 2] = ["/proc/self/net/tcp", "/proc/self/net/tcp6"];

/// The user that a connection to us was made by: the number of the owner of its other end. `None` when that end is not on
/// this host, or in another network namespace of it.
pub fn owner(peer: SocketAddr, ours: SocketAddr) -> io::Result<Option<u32>> {
    for list in LISTS {
        let file = match File::open(list) {
            Ok(file) => BufReader::new(file),
            // A kernel without IPv6.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        for line in file.lines() {
            if let Some(owner) = owner_in(&line?, peer, ours) {
                return Ok(Some(owner));
            }
        }
    }
    Ok(None)
}

/// The owner that a line of the list tells, if it is about the other end.
fn owner_in(line: &str, peer: SocketAddr, ours: SocketAddr) -> Option<u32> {
    let mut columns = line.split_ascii_whitespace().skip(1);
    let is = |text: Option<&str>, address: SocketAddr| read(text?).filter(|read| same(*read, address));
    is(columns.next(), peer)?;
    is(columns.next(), ours)?;
    columns.nth(4)?.parse().ok()
}

fn same(left: SocketAddr, right: SocketAddr) -> bool {
    left.port() == right.port() && left.ip().to_canonical() == right.ip().to_canonical()
}

/// An address as the kernel writes it: words of 32 bits in the byte order of the machine, then the port.
fn read(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let mut bytes = [0; 16];
    let words = address.as_bytes().chunks(8);
    for (place, word) in bytes.chunks_mut(4).zip(words) {
        let word = u32::from_str_radix(std::str::from_utf8(word).ok()?, 16).ok()?;
        place.copy_from_slice(&word.to_ne_bytes());
    }
    let ip = match address.len() {
        8 => IpAddr::from(<[u8; 4]>::try_from(&bytes[..4]).ok()?),
        32 => IpAddr::from(bytes),
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;
    use crate::ports::system;

    #[test]
    fn the_other_end_of_a_connection_of_ours_is_ours() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(listener) = TcpListener::bind(address) else { continue };
            let ours = listener.local_addr().unwrap();
            let client = TcpStream::connect(ours).unwrap();
            let peer = client.local_addr().unwrap();
            assert_eq!(owner(peer, ours).unwrap(), Some(system::user()), "{address}");
            assert_eq!(owner("192.0.2.1:1".parse().unwrap(), ours).unwrap(), None);
        }
    }

    #[test]
    fn a_connection_of_ipv4_is_found_in_the_list_of_ipv6() {
        let line =
            "  1: 0000000000000000FFFF00000100007F:9C40 0000000000000000FFFF00000100007F:1F90 01 0:0 0:0 0 1000 0 5";
        let (peer, ours) = ("127.0.0.1:40000".parse().unwrap(), "127.0.0.1:8080".parse().unwrap());
        assert_eq!(owner_in(line, peer, ours), Some(1000));
        assert_eq!(owner_in(line, ours, peer), None);
        assert_eq!(owner_in("  sl  local_address rem_address   st tx_queue", peer, ours), None);
    }
}
