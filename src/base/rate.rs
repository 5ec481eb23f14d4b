//! How often one address may ask.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Addresses that are counted at once. When all of them are busy, a new one waits like the others.
const ADDRESSES_MAX: usize = 65_536;
/// The span that a rate is about.
const MINUTE: Duration = Duration::from_secs(60);
/// Bits of an IPv6 address that one machine can usually choose the rest of.
const NETWORK_BITS: u32 = 64;

/// Lets each address ask so often in a minute, all at once or spread. A machine with a network of IPv6 addresses is one.
#[derive(Debug)]
pub(super) struct Limit {
    /// Between two requests in the long run; `None` when there is no limit.
    pause: Option<Duration>,
    /// When the last of the requests so far would be through if they kept the pause.
    through: Mutex<HashMap<IpAddr, Duration>>,
}

impl Limit {
    /// So many requests in a minute; zero is no limit.
    pub fn new(per_minute: u32) -> Self {
        Self { pause: MINUTE.checked_div(per_minute), through: Mutex::default() }
    }

    /// Counts a request at a moment of the steady clock. The error is how long to wait.
    pub fn admit(&self, address: IpAddr, now: Duration) -> Result<(), Duration> {
        let Some(pause) = self.pause else { return Ok(()) };
        let key = key(address);
        let mut through = self.through.lock().unwrap_or_else(PoisonError::into_inner);
        if through.len() >= ADDRESSES_MAX && !through.contains_key(&key) {
            through.retain(|_, through| *through > now);
            if through.len() >= ADDRESSES_MAX {
                return Err(pause);
            }
        }
        let last = through.entry(key).or_default();
        let next = (*last).max(now) + pause;
        // As many as fit into a minute may come together.
        match next.saturating_sub(now + MINUTE) {
            Duration::ZERO => {
                *last = next;
                Ok(())
            }
            early => Err(early),
        }
    }
}

fn key(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> NETWORK_BITS << NETWORK_BITS).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn so_many_may_come_together_and_then_one_by_one() {
        let (limit, now) = (Limit::new(60), Duration::from_secs(100));
        for _ in 0..60 {
            assert_eq!(limit.admit(address("192.0.2.1"), now), Ok(()));
        }
        assert_eq!(limit.admit(address("192.0.2.1"), now), Err(Duration::from_secs(1)));
        assert_eq!(limit.admit(address("192.0.2.2"), now), Ok(()), "another one is not held up");
        assert_eq!(limit.admit(address("192.0.2.1"), now + Duration::from_secs(1)), Ok(()));
        assert!(limit.admit(address("192.0.2.1"), now + Duration::from_secs(1)).is_err());
        assert_eq!(limit.admit(address("192.0.2.1"), now + Duration::from_secs(600)), Ok(()));
    }

    #[test]
    fn a_machine_with_a_network_of_addresses_is_one() {
        let limit = Limit::new(1);
        assert_eq!(limit.admit(address("2001:db8::1"), Duration::ZERO), Ok(()));
        assert!(limit.admit(address("2001:db8::2"), Duration::ZERO).is_err());
        assert_eq!(limit.admit(address("2001:db8:0:1::1"), Duration::ZERO), Ok(()));
    }

    #[test]
    fn strangers_without_number_are_held_up_and_do_not_fill_the_memory() {
        let limit = Limit::new(60);
        let nth = |n: usize| IpAddr::from(u32::try_from(n).unwrap().to_be_bytes());
        for n in 0..ADDRESSES_MAX {
            assert_eq!(limit.admit(nth(n), Duration::ZERO), Ok(()));
        }
        assert!(limit.admit(nth(ADDRESSES_MAX), Duration::ZERO).is_err());
        assert_eq!(limit.admit(nth(ADDRESSES_MAX), Duration::from_secs(2)), Ok(()), "later there is room again");
    }

    #[test]
    fn zero_is_no_limit() {
        let limit = Limit::new(0);
        assert!((0..1000).all(|_| limit.admit(address("192.0.2.1"), Duration::ZERO).is_ok()));
    }
}
