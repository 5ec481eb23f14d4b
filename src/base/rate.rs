//! How often somebody may do something.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Keys that are counted at once. When all of them are busy, a new one waits like the others.
const KEYS_MAX: usize = 65_536;
/// The span that a rate is about.
const MINUTE: Duration = Duration::from_secs(60);

/// Lets each key do something so often in a minute, all at once or spread.
#[derive(Debug)]
pub struct RateLimit<K> {
    /// Between two times in the long run; `None` when there is no limit.
    pause: Option<Duration>,
    /// When the last of the times so far would be through if they kept the pause.
    through: Mutex<HashMap<K, Duration>>,
}

impl<K: Eq + Hash> RateLimit<K> {
    /// So many times in a minute; zero is no limit.
    pub fn new(per_minute: u32) -> Self {
        Self { pause: MINUTE.checked_div(per_minute), through: Mutex::default() }
    }

    /// Counts one more at a moment of the steady clock, unless it is too many. The error is how long to wait.
    pub fn admit(&self, key: K, now: Duration) -> Result<(), Duration> {
        let Some(pause) = self.pause else { return Ok(()) };
        let mut through = self.through.lock().unwrap_or_else(PoisonError::into_inner);
        if through.len() >= KEYS_MAX && !through.contains_key(&key) {
            through.retain(|_, through| *through > now);
            if through.len() >= KEYS_MAX {
                return Err(pause);
            }
        }
        let last = through.entry(key).or_default();
        let next = (*last).max(now) + pause;
        fits(next, now)?;
        *last = next;
        Ok(())
    }

    /// Whether one more would not be too many, without counting it. The error is how long to wait.
    pub fn check(&self, key: &K, now: Duration) -> Result<(), Duration> {
        let Some(pause) = self.pause else { return Ok(()) };
        let last = self.through.lock().unwrap_or_else(PoisonError::into_inner).get(key).copied();
        fits(last.unwrap_or_default().max(now) + pause, now)
    }
}

/// As many as fit into a minute may come together.
fn fits(next: Duration, now: Duration) -> Result<(), Duration> {
    match next.saturating_sub(now + MINUTE) {
        Duration::ZERO => Ok(()),
        early => Err(early),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_may_come_together_and_then_one_by_one() {
        let (limit, now) = (RateLimit::new(60), Duration::from_secs(100));
        for _ in 0..60 {
            assert_eq!(limit.admit("a", now), Ok(()));
        }
        assert_eq!(limit.admit("a", now), Err(Duration::from_secs(1)));
        assert_eq!(limit.admit("b", now), Ok(()), "another one is not held up");
        assert_eq!(limit.admit("a", now + Duration::from_secs(1)), Ok(()));
        assert!(limit.admit("a", now + Duration::from_secs(1)).is_err());
        assert_eq!(limit.admit("a", now + Duration::from_secs(600)), Ok(()));
    }

    #[test]
    fn looking_counts_nothing() {
        let (limit, now) = (RateLimit::new(1), Duration::ZERO);
        assert!((0..100).all(|_| limit.check(&"a", now).is_ok()));
        assert_eq!(limit.admit("a", now), Ok(()));
        assert_eq!(limit.check(&"a", now), Err(MINUTE));
        assert_eq!(limit.check(&"a", now + MINUTE), Ok(()));
    }

    #[test]
    fn strangers_without_number_are_held_up_and_do_not_fill_the_memory() {
        let limit = RateLimit::new(60);
        for n in 0..KEYS_MAX {
            assert_eq!(limit.admit(n, Duration::ZERO), Ok(()));
        }
        assert!(limit.admit(KEYS_MAX, Duration::ZERO).is_err());
        assert_eq!(limit.admit(KEYS_MAX, Duration::from_secs(2)), Ok(()), "later there is room again");
    }

    #[test]
    fn zero_is_no_limit() {
        let limit = RateLimit::new(0);
        assert!((0..1000).all(|_| limit.admit("a", Duration::ZERO).is_ok()));
    }
}
