//! Two accounts that take turns, so that a password can be replaced while the one before works on. Nothing here looks at
//! a clock, store or broker: whoever has a pair writes it down, and settles the account that gets a new password.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::base::{AccountName, Timestamp};

/// One of the two accounts of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "u8", try_from = "u8")]
pub enum Slot {
    /// `…-1` of a namespace, active after the first claim.
    First,
    /// `…-2`.
    Second,
}

impl Slot {
    /// Both, in order.
    pub const BOTH: [Self; 2] = [Self::First, Self::Second];

    /// The one that rests while this one is active.
    pub fn other(self) -> Self {
        match self {
            Self::First => Self::Second,
            Self::Second => Self::First,
        }
    }

    /// Which account it is.
    pub fn of(self, accounts: &[AccountName; 2]) -> &AccountName {
        &accounts[usize::from(self == Self::Second)]
    }
}

impl From<Slot> for u8 {
    fn from(slot: Slot) -> Self {
        match slot {
            Slot::First => 1,
            Slot::Second => 2,
        }
    }
}

impl TryFrom<u8> for Slot {
    type Error = &'static str;

    fn try_from(number: u8) -> Result<Self, &'static str> {
        match number {
            1 => Ok(Self::First),
            2 => Ok(Self::Second),
            _ => Err("not a slot: expected 1 or 2"),
        }
    }
}

/// Two accounts that take turns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// The two.
    pub accounts: [AccountName; 2],
    /// The slot whose password is in use; the other one rests.
    pub active: Slot,
    /// Whether the resting slot was given a new password, to become active as soon as the brokers know it.
    pub incoming: bool,
    /// When the slots change places.
    pub next_rotation: Timestamp,
    /// Until when the active password was promised to work.
    pub promised_until: Timestamp,
    /// The same for the password of the resting slot. **Invariant:** it is not replaced before.
    pub resting_until: Timestamp,
}

/// What the first step of a rotation comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Begun {
    /// The password of the resting account was promised until then.
    Promised(Timestamp),
    /// This account, which rested, gets a new password now.
    Renew(AccountName),
    /// This account got one in a try that was broken off.
    Renewed(AccountName),
}

impl Pair {
    /// A new pair: the first account is active, and nothing was promised of the second.
    pub fn new(accounts: [AccountName; 2], next_rotation: Timestamp, grace: Duration) -> Self {
        let mut pair = Self {
            accounts,
            active: Slot::First,
            incoming: false,
            next_rotation,
            promised_until: Timestamp::MIN,
            resting_until: Timestamp::MIN,
        };
        pair.promise(next_rotation, grace);
        pair
    }

    /// The account whose password is in use.
    pub fn active(&self) -> &AccountName {
        self.active.of(&self.accounts)
    }

    /// The other one.
    pub fn resting(&self) -> &AccountName {
        self.active.other().of(&self.accounts)
    }

    /// Whether a rotation is due, or was begun.
    pub fn due(&self, now: Timestamp, interval: Duration) -> bool {
        // A clock that was set forward and back leaves a rotation further away than any interval is.
        let is_far = self.next_rotation > now.plus(interval);
        self.incoming || now >= self.next_rotation || is_far
    }

    /// Begins a rotation, or goes on with one that was begun, unless the resting password was promised for longer.
    pub fn begin(&mut self, now: Timestamp) -> Begun {
        if self.incoming {
            return Begun::Renewed(self.resting().clone());
        }
        if now < self.resting_until {
            return Begun::Promised(self.resting_until);
        }
        self.incoming = true;
        Begun::Renew(self.resting().clone())
    }

    /// Ends it: the slots change places. To be called when the brokers are known to have the new password.
    pub fn swap(&mut self, next_rotation: Timestamp, grace: Duration) {
        self.active = self.active.other();
        self.incoming = false;
        self.resting_until = self.promised_until;
        self.promise(next_rotation, grace);
    }

    /// Forgets every promise: both passwords are replaced at once.
    pub fn restart(&mut self, next_rotation: Timestamp, grace: Duration) {
        self.incoming = false;
        self.resting_until = Timestamp::MIN;
        self.promise(next_rotation, grace);
    }

    fn promise(&mut self, next_rotation: Timestamp, grace: Duration) {
        self.next_rotation = next_rotation;
        self.promised_until = next_rotation.plus(grace);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn at(hour: u32) -> Timestamp {
        Timestamp::from_millis(0).plus(HOUR * hour)
    }

    fn pair() -> Pair {
        let accounts = ["a", "b"].map(|name| AccountName::parse(name).unwrap());
        Pair::new(accounts, at(2), HOUR)
    }

    #[test]
    fn a_rotation_that_was_begun_goes_on_and_swaps_the_two() {
        let (mut pair, [a, b]) = (pair(), pair().accounts);
        assert_eq!(pair.begin(at(2)), Begun::Renew(b.clone()));
        assert_eq!(pair.begin(at(2)), Begun::Renewed(b.clone()));
        pair.swap(at(4), HOUR);
        assert_eq!((pair.active(), pair.resting()), (&b, &a));
        assert_eq!((pair.resting_until, pair.promised_until, pair.incoming), (at(3), at(5), false));
    }

    #[test]
    fn a_password_is_not_replaced_before_its_promise_ends() {
        let mut pair = pair();
        pair.begin(at(2));
        pair.swap(at(4), HOUR);
        assert_eq!(pair.begin(at(2)), Begun::Promised(at(3)));
        assert_eq!(pair.begin(at(3)), Begun::Renew(pair.resting().clone()));
        pair.restart(at(6), HOUR);
        assert_eq!((pair.resting_until, pair.promised_until, pair.incoming), (Timestamp::MIN, at(7), false));
    }

    #[test]
    fn it_is_due_in_time_when_begun_and_when_the_clock_was_set_back() {
        let mut pair = pair();
        assert!(!pair.due(at(1), HOUR) && pair.due(at(2), HOUR) && pair.due(at(9), HOUR));
        assert!(pair.due(at(0), HOUR), "further away than an interval is");
        pair.begin(at(1));
        assert!(pair.due(at(1), HOUR));
    }
}
