//! Lists of networks: who may ask (taskcluster.md 6.3; vector group `host_secrets_ip_allowed`).

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use ipnet::IpNet;

use crate::base::{Error, Result};

/// Networks in a list; each is compared with every address that asks.
const NETS_MAX: usize = 1000;
/// Bits of an IPv4-mapped address before the IPv4 address begins.
const MAPPED_BITS: u8 = 96;

/// Bits of an IPv6 address behind which one machine can usually choose the rest.
const NETWORK_BITS: u32 = 64;

/// By what a machine is counted: its IPv4 address, or its network of IPv6 addresses.
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> NETWORK_BITS << NETWORK_BITS).into(),
        address => address,
    }
}

/// Networks of organizations and of this host (RFC 1918, 4193, 6598).
const ORGANIZATIONS: [&str; 7] =
    ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "127.0.0.0/8", "fc00::/7", "::1/128"];
/// Networks that are of no organization either: this network, links, tests, groups, and those that hold addresses of IPv4
/// (RFC 6890 and its registries).
const SPECIAL: [&str; 18] = [
    "0.0.0.0/8",
    "169.254.0.0/16",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/3",
    "::/96",
    "::ffff:0:0/96",
    "64:ff9b::/96",
    "64:ff9b:1::/48",
    "100::/64",
    "2001::/32",
    "2001:db8::/32",
    "2002::/16",
    "fe80::/9",
    "ff00::/8",
];

/// Networks of organizations and of this host.
pub fn organizations() -> impl Iterator<Item = IpNet> {
    ORGANIZATIONS.iter().map(|net| net.parse().expect("the list holds networks"))
}

/// Addresses at which clouds tell secrets of their machines to whoever asks there.
const METADATA: [&str; 3] = ["169.254.169.254", "fd00:ec2::254", "100.100.100.200"];

/// Whether a cloud may tell secrets at an address.
pub fn tells_secrets(address: IpAddr) -> bool {
    METADATA.iter().any(|own| own.parse() == Ok(address.to_canonical()))
}

/// Whether an address is one of the Internet at large: not of an organization, a link or this host, and none that could
/// stand for another one.
pub fn is_public(address: IpAddr) -> bool {
    let address = address.to_canonical();
    let holds = |net: &&str| net.parse::<IpNet>().is_ok_and(|net| net.contains(&address));
    !ORGANIZATIONS.iter().chain(&SPECIAL).any(holds)
}

/// A list of networks, in the order in which they were written. It may be empty and then holds nobody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddressList(Arc<[IpNet]>);

impl AddressList {
    /// Reads networks with their prefix lengths, separated by blanks or commas. Bits behind the prefix do not count.
    pub fn parse(text: &str) -> Result<Self> {
        let words = text.split([' ', '\t', '\n', ',']).filter(|word| !word.is_empty());
        let nets = words.map(net).collect::<Result<Arc<[IpNet]>>>()?;
        if nets.len() <= NETS_MAX {
            Ok(Self(nets))
        } else {
            Err(Error::invalid(format!("expected at most {NETS_MAX} networks, not {}", nets.len())))
        }
    }

    /// Whether an address lies in one of the networks. IPv4 and IPv6 are kept apart: an IPv4-mapped address must be made
    /// an IPv4 one before.
    pub fn includes(&self, address: IpAddr) -> bool {
        self.0.iter().any(|net| net.contains(&address))
    }

    /// Networks that hold more than they seem to: `::ffff:10.0.0.0/8` is `::/8`.
    pub fn surprises(&self) -> impl Iterator<Item = &IpNet> {
        self.0.iter().filter(|net| match net {
            IpNet::V6(net) => net.prefix_len() < MAPPED_BITS && net.addr().to_ipv4_mapped().is_some(),
            IpNet::V4(_) => false,
        })
    }
}

fn net(word: &str) -> Result<IpNet> {
    let expected = || Error::invalid(format!("expected networks such as 10.0.0.0/8, not {word:?}"));
    match word.parse::<IpAddr>() {
        Ok(address) => Err(Error::invalid(format!("{address} has no prefix length; write {}", IpNet::from(address)))),
        Err(_) => word.parse().map_err(|_| expected()),
    }
}

impl fmt::Display for AddressList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_written_with_blanks_or_commas() {
        let list = AddressList::parse(" 10.1.2.3/8,192.0.2.0/24\t2001:db8::/32 ").unwrap();
        assert_eq!(list.to_string(), "10.1.2.3/8 192.0.2.0/24 2001:db8::/32");
        assert!(list.includes("10.255.0.1".parse().unwrap()) && !list.includes("11.0.0.1".parse().unwrap()));
        assert!(!AddressList::parse("").unwrap().includes("10.0.0.1".parse().unwrap()));
        for text in ["10.0.0.1", "10.0.0.0/33", "example.org", "10.0.0.0/8;1.1.1.1/8", "::1", "/8"] {
            assert!(AddressList::parse(text).is_err(), "{text}");
        }
        assert!(AddressList::parse(&"10.0.0.0/8 ".repeat(NETS_MAX + 1)).is_err());
    }

    #[test]
    fn a_machine_with_a_network_of_addresses_is_one() {
        let network = |text: &str| super::network(text.parse().unwrap());
        assert_eq!(network("2001:db8::1"), network("2001:db8::2"));
        assert_ne!(network("2001:db8::1"), network("2001:db8:0:1::1"));
        assert_ne!(network("192.0.2.1"), network("192.0.2.2"));
        assert_eq!(network("::ffff:192.0.2.1"), network("192.0.2.1"));
    }

    #[test]
    fn a_mapped_network_that_is_wider_than_it_seems_is_noticed() {
        let list = AddressList::parse("::ffff:10.0.0.0/8 ::ffff:10.0.0.0/104 2001:db8::/32 10.0.0.0/8").unwrap();
        assert_eq!(list.surprises().map(ToString::to_string).collect::<Vec<_>>(), ["::ffff:10.0.0.0/8"]);
    }
}
