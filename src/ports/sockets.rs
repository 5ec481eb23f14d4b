//! Whose the other end of a connection on this host is, as the kernel lists it, and from which address we are one.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use super::resolve::Resolver;
use crate::base::Result;

/// The lists of both families, each of which may hold a connection of IPv4.
const LISTS: [&str; 2] = ["/proc/self/net/tcp", "/proc/self/net/tcp6"];

/// Addresses that documents use, and no host has.
const NOBODYS: (Ipv4Addr, Ipv6Addr) = (Ipv4Addr::new(192, 0, 2, 1), Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1));

/// Whose the other end of a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// This user's.
    User(u32),
    /// Of this host, by any of its addresses, and closed by now: the kernel lists it without its user, as if it were root's.
    Closed,
    /// Not of this host, or of another network namespace of it.
    Elsewhere,
}

/// The addresses from which this host asks another one, by each address that the other has. The kernel chooses them, and
/// nothing is sent.
pub async fn own_addresses(host: &str, port: u16) -> Result<Vec<IpAddr>> {
    let there = Resolver::system()?.addresses(host).await?;
    Ok(there.into_iter().filter_map(|ip| own_towards(ip, port)).collect())
}

fn own_towards(ip: IpAddr, port: u16) -> Option<IpAddr> {
    let any = if ip.is_ipv4() { IpAddr::from(Ipv4Addr::UNSPECIFIED) } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect((ip, port)).ok()?;
    socket.local_addr().ok().map(|own| own.ip())
}

/// Whose a connection to us is. The lists are long on a busy host, and are read aside.
pub async fn owner(peer: SocketAddr, ours: SocketAddr) -> io::Result<Owner> {
    tokio::task::spawn_blocking(move || look(peer, ours)).await.map_err(io::Error::other)?
}

fn look(peer: SocketAddr, ours: SocketAddr) -> io::Result<Owner> {
    for list in LISTS {
        let file = match File::open(list) {
            Ok(file) => BufReader::new(file),
            // A kernel without IPv6.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        for line in file.lines() {
            if let Some(owner) = owner_in(&line?, peer, ours) {
                return Ok(owner);
            }
        }
    }
    // The lists are not read in one piece: one of this host that is not found was missed.
    let is_of_this_host = peer.ip().is_loopback() || peer.ip() == ours.ip().to_canonical() || is_own(peer);
    Ok(if is_of_this_host { Owner::Closed } else { Owner::Elsewhere })
}

/// Whether an address is one of this host: nobody can be at another's, unless the kernel lets everybody be anywhere
/// (`ip_nonlocal_bind`). There it is known of those from which this host asks itself.
pub fn is_own(address: SocketAddr) -> bool {
    let can_be_at = |address: SocketAddr| UdpSocket::bind(address).is_ok();
    let ip = address.ip().to_canonical();
    // With the interface, without which a link-local one is none.
    let mut address = if ip.is_ipv4() { SocketAddr::new(ip, 0) } else { address };
    address.set_port(0);
    let nobodys = if ip.is_ipv4() { NOBODYS.0.into() } else { NOBODYS.1.into() };
    own_towards(ip, 9) == Some(ip) || (can_be_at(address) && !can_be_at(SocketAddr::new(nobodys, 0)))
}

/// The owner that a line of the list tells, if it is about the other end.
fn owner_in(line: &str, peer: SocketAddr, ours: SocketAddr) -> Option<Owner> {
    let mut columns = line.split_ascii_whitespace().skip(1);
    let is = |text: Option<&str>, address: SocketAddr| read(text?).filter(|read| same(*read, address));
    is(columns.next(), peer)?;
    is(columns.next(), ours)?;
    let user = columns.nth(4)?.parse().ok()?;
    let inode: u64 = columns.nth(1)?.parse().ok()?;
    Some(if inode == 0 { Owner::Closed } else { Owner::User(user) })
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

    #[tokio::test]
    async fn who_asks_itself_has_its_own_address() {
        assert!(own_addresses("localhost", 9).await.unwrap().contains(&Ipv4Addr::LOCALHOST.into()));
    }

    #[test]
    fn the_other_end_of_a_connection_of_ours_is_ours() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(listener) = TcpListener::bind(address) else { continue };
            let ours = listener.local_addr().unwrap();
            let client = TcpStream::connect(ours).unwrap();
            let peer = client.local_addr().unwrap();
            assert_eq!(look(peer, ours).unwrap(), Owner::User(system::user()), "{address}");
            assert_eq!(look("192.0.2.1:1".parse().unwrap(), ours).unwrap(), Owner::Elsewhere);
        }
    }

    #[tokio::test]
    async fn who_is_at_an_address_of_this_host_is_never_from_elsewhere() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let ours = listener.local_addr().unwrap();
        // Where this host is on a network.
        for own in own_addresses("198.51.100.1", 9).await.unwrap() {
            assert_eq!(look(SocketAddr::new(own, 1), ours).unwrap(), Owner::Closed, "{own}");
        }
        assert!(is_own("[::ffff:127.0.0.1]:1".parse().unwrap()) && is_own("127.0.0.2:1".parse().unwrap()));
        assert!(!is_own("198.51.100.1:1".parse().unwrap()));
    }

    #[test]
    fn one_that_is_closed_is_nobodys_and_not_roots() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let ours = listener.local_addr().unwrap();
        let client = TcpStream::connect(ours).unwrap();
        let peer = client.local_addr().unwrap();
        drop(client);
        assert_eq!(look(peer, ours).unwrap(), Owner::Closed);
        let line = "  1: 0100007F:9C40 0100007F:1F90 05 0:0 0:0 0 0 0 0";
        let ends = ("127.0.0.1:40000".parse().unwrap(), "127.0.0.1:8080".parse().unwrap());
        assert_eq!(owner_in(line, ends.0, ends.1), Some(Owner::Closed));
    }

    #[test]
    fn a_connection_of_ipv4_is_found_in_the_list_of_ipv6() {
        let line =
            "  1: 0000000000000000FFFF00000100007F:9C40 0000000000000000FFFF00000100007F:1F90 01 0:0 0:0 0 1000 0 5";
        let (peer, ours) = ("127.0.0.1:40000".parse().unwrap(), "127.0.0.1:8080".parse().unwrap());
        assert_eq!(owner_in(line, peer, ours), Some(Owner::User(1000)));
        assert_eq!(owner_in(line, ours, peer), None);
        assert_eq!(owner_in("  sl  local_address rem_address   st tx_queue", peer, ours), None);
    }
}
