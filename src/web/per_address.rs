//! How many of something one address has at once: nobody may take all of what is there for everybody.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use crate::proto::addresses::network;

/// Counts by address. A machine with a network of IPv6 addresses is one. Cheap to clone.
///
/// **Invariant:** it has an entry for each address that holds a permit, and no other, so that it is as long as what it
/// counts.
#[derive(Clone, Debug)]
pub struct PerAddress {
    each_max: usize,
    counts: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

impl PerAddress {
    /// So many for each address.
    pub fn new(each_max: usize) -> Self {
        Self { each_max, counts: Arc::default() }
    }

    /// A permit for an address, until it is dropped; `None` when it has all that it may have.
    pub fn acquire(&self, address: IpAddr) -> Option<AddressPermit> {
        let address = network(address);
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(address).or_default();
        if *count >= self.each_max {
            return None;
        }
        *count += 1;
        Some(AddressPermit { per_address: self.clone(), address })
    }
}

/// One of those that an address may have at once; dropped, it is free again.
#[derive(Debug)]
pub struct AddressPermit {
    per_address: PerAddress,
    address: IpAddr,
}

impl Drop for AddressPermit {
    fn drop(&mut self) {
        let mut counts = self.per_address.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Entry::Occupied(mut count) = counts.entry(self.address) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_address_has_its_places_and_none_is_remembered_for_nothing() {
        let (per_address, address) = (PerAddress::new(2), |text: &str| text.parse::<IpAddr>().unwrap());
        let first = per_address.acquire(address("192.0.2.1")).unwrap();
        let second = per_address.acquire(address("192.0.2.1")).unwrap();
        assert!(per_address.acquire(address("192.0.2.1")).is_none());
        let other = per_address.acquire(address("192.0.2.2")).unwrap();
        drop(first);
        assert!(per_address.acquire(address("192.0.2.1")).is_some());
        drop((second, other));
        assert!(per_address.counts.lock().unwrap().is_empty());
        let _network = [
            per_address.acquire(address("2001:db8::1")).unwrap(),
            per_address.acquire(address("2001:db8::2")).unwrap(),
        ];
        assert!(per_address.acquire(address("2001:db8::3")).is_none());
    }
}
