//! Which networks a set of services gets: one for each service with nobody in it but that and the task, and one for the task.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use crate::base::{Error, Result};

/// Addresses of a network: that of the network, of the host, of the service, of the task, and the one for all; eight is the least
/// that holds them.
const PREFIX_LEN: u8 = 29;

/// A network of a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network(Ipv4Net);

impl Network {
    /// One that was given before.
    pub fn of(network: Ipv4Net) -> Self {
        Self(network)
    }

    /// As it is written.
    pub fn subnet(self) -> Ipv4Net {
        self.0
    }

    /// The host in it: where a service finds its session.
    pub fn gateway(self) -> Ipv4Addr {
        self.at(1)
    }

    /// The service.
    pub fn service(self) -> Ipv4Addr {
        self.at(2)
    }

    /// The task.
    pub fn task(self) -> Ipv4Addr {
        self.at(3)
    }

    fn at(self, place: u32) -> Ipv4Addr {
        Ipv4Addr::from(u32::from(self.0.network()) + place)
    }
}

/// The first networks out of `pool` that overlap nothing that is taken, and are free.
///
/// # Errors
/// `Busy` when there are not so many, `Conflict` when there can be none.
pub fn choose(
    pool: Ipv4Net,
    count: usize,
    taken: &[Ipv4Net],
    is_free: impl Fn(Network) -> bool,
) -> Result<Vec<Network>> {
    if let Some(all) = taken.iter().find(|taken| taken.contains(&pool)) {
        return Err(Error::conflict(format!(
            "the worker's host has {all}, and with it all of {pool}: see SERVICES_NETWORK"
        )));
    }
    // One behind the other, so that what a loop over networks would compare with all is compared with the next one only.
    let mut taken: Vec<(u32, u32)> =
        taken.iter().map(|net| (u32::from(net.network()), u32::from(net.broadcast()))).collect();
    taken.sort_unstable();
    let mut taken = taken.into_iter().peekable();
    let mut chosen = Vec::new();
    let mut passed_to = None::<u32>;
    for network in pool.subnets(PREFIX_LEN).into_iter().flatten() {
        if chosen.len() == count {
            break;
        }
        let (first, last) = (u32::from(network.network()), u32::from(network.broadcast()));
        while let Some((_, end)) = taken.next_if(|(begin, _)| *begin <= last) {
            passed_to = passed_to.max(Some(end));
        }
        if passed_to.is_none_or(|end| end < first) && is_free(Network(network)) {
            chosen.push(Network(network));
        }
    }
    if chosen.len() < count {
        return Err(Error::busy(format!(
            "no {count} networks are free in {pool}: ask again when some services have ended, or see SERVICES_NETWORK"
        )));
    }
    Ok(chosen)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nets(texts: &[&str]) -> Vec<Ipv4Net> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn chosen(count: usize, taken: &[&str]) -> Vec<String> {
        let pool = "10.231.0.0/26".parse().unwrap();
        choose(pool, count, &nets(taken), |_| true)
            .unwrap()
            .into_iter()
            .map(|network| network.subnet().to_string())
            .collect()
    }

    #[test]
    fn what_is_taken_is_passed_by() {
        assert_eq!(chosen(2, &[]), ["10.231.0.0/29", "10.231.0.8/29"]);
        let taken = ["10.231.0.4/30", "10.0.0.0/16", "10.231.0.16/29", "172.17.0.0/16", "10.231.0.12/32"];
        assert_eq!(chosen(3, &taken), ["10.231.0.24/29", "10.231.0.32/29", "10.231.0.40/29"]);
        assert!(choose("10.231.0.0/26".parse().unwrap(), 9, &[], |_| true).is_err());
        assert!(choose("10.231.0.0/26".parse().unwrap(), 1, &nets(&["10.0.0.0/8"]), |_| true).is_err());
        let pool = "10.231.0.0/26".parse().unwrap();
        let free = choose(pool, 1, &[], |network| network.gateway().octets()[3] > 8).unwrap();
        assert_eq!(free[0].subnet().to_string(), "10.231.0.8/29");
    }

    #[test]
    fn everybody_in_a_network_has_an_address_of_their_own() {
        let network = choose("10.231.0.0/16".parse().unwrap(), 2, &[], |_| true).unwrap()[1];
        let own = [network.gateway(), network.service(), network.task()];
        assert_eq!(own.map(|own| own.to_string()), ["10.231.0.9", "10.231.0.10", "10.231.0.11"]);
        assert!(own.iter().all(|own| network.subnet().contains(own)));
    }
}
