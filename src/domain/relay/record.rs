//! What is stored of an account of a relay beside its broker users: whose turn it is, and when it gets another password.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::base::{AccountName, Error, Result, Timestamp};
use crate::domain::accounts::{Begun, Pair, Slot};
use crate::proto::relay_profile::Account;
use crate::store::Table;

pub(super) const RECORDS: Table<AccountId, Record> = Table::audited("relay_accounts");

/// For what is noted while a rotation goes on that has its entries already, and for how programs came back.
pub(super) const NOTED: Table<AccountId, Record> = Table::plain("relay_accounts");

/// An account of a relay. Its text is the relay, a space, and the account: no name of a relay has a space.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct AccountId {
    pub relay: String,
    pub account: AccountName,
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.relay, self.account)
    }
}

impl FromStr for AccountId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (relay, account) = text.split_once(' ').ok_or_else(|| Error::invalid("not an account of a relay"))?;
        Ok(Self { relay: relay.to_owned(), account: AccountName::parse(account)? })
    }
}

/// An account as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    /// Its broker users: one whose password is replaced in place, or two that take turns.
    pub users: Vec<AccountName>,
    pub created: Timestamp,
    /// Of two, the one whose password is lent now.
    pub active: Slot,
    /// Whether the user whose turn it is was given a new password that the broker may not have yet.
    pub incoming: bool,
    /// When it gets another password by itself, if it ever does.
    pub next_rotation: Option<Timestamp>,
    /// Until when the active password was promised.
    pub promised_until: Timestamp,
    /// The same for the password of the resting user. **Invariant:** it is not replaced before.
    pub resting_until: Timestamp,
    /// When it got another password last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotated: Option<Timestamp>,
    /// That connections are to be closed as soon as the broker has the new password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closing: Option<Closing>,
    /// That its programs were cut off, and have to come back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub awaited: Option<Awaited>,
}

/// Connections that are to be closed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Closing {
    /// Of all its users: the passwords were revoked. Otherwise of the one whose password is lent no more.
    pub all: bool,
    /// When the new passwords were drawn.
    pub began: Timestamp,
    /// How many there were. Noted before the first is closed, so that a crash does not hide that programs were cut off.
    pub had: usize,
    /// Until when they are left: until then programs learn the new password. At once unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
}

/// Programs that have to come back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Awaited {
    /// By when.
    pub by: Timestamp,
    /// What was not there when it was looked last, a few words each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<String>,
}

/// How long the former one of two passwords works on: half a rotation, as with namespaces.
pub(super) fn grace(every: Duration) -> Duration {
    every / 2
}

impl Record {
    /// That of an account which is applied now.
    pub(super) fn new(account: &Account, now: Timestamp) -> Self {
        let mut record = Self {
            users: account.users(),
            created: now,
            active: Slot::First,
            incoming: false,
            next_rotation: None,
            promised_until: Timestamp::MIN,
            resting_until: Timestamp::MIN,
            rotated: None,
            closing: None,
            awaited: None,
        };
        record.promise(account, now);
        record
    }

    /// Whether it has the users that are declared now.
    pub(super) fn fits(&self, account: &Account) -> bool {
        self.users == account.users()
    }

    /// Both users as a pair, if it has two.
    fn pair(&self) -> Option<Pair> {
        let accounts: [AccountName; 2] = self.users.clone().try_into().ok()?;
        Some(Pair {
            accounts,
            active: self.active,
            incoming: self.incoming,
            next_rotation: self.next_rotation.unwrap_or(Timestamp::MAX),
            promised_until: self.promised_until,
            resting_until: self.resting_until,
        })
    }

    fn take_pair(&mut self, pair: Pair) {
        let Pair { accounts: _, active, incoming, next_rotation, promised_until, resting_until } = pair;
        let next_rotation = Some(next_rotation);
        *self = Self { active, incoming, next_rotation, promised_until, resting_until, ..self.clone() };
    }

    /// The user whose password is lent.
    pub(super) fn active(&self) -> Option<&AccountName> {
        self.users.get(usize::from(self.users.len() > 1 && self.active == Slot::Second))
    }

    /// The user that gets, or got, the next password: the active one itself, unless two take turns.
    fn next(&self) -> Option<&AccountName> {
        self.users.iter().find(|user| self.users.len() == 1 || Some(*user) != self.active())
    }

    /// The user whose present password is lent no more, after a rotation: of two the resting one.
    pub(super) fn outdated(&self) -> Option<&AccountName> {
        self.next()
    }

    /// Whether this user may log in when it is made anew: the second of two cannot before its turn.
    pub(super) fn lends(&self, user: &AccountName) -> bool {
        self.active() == Some(user)
    }

    /// Whether there is something to do for it: its time has come, or something was begun and not finished.
    pub(super) fn is_due(&self, account: &Account, now: Timestamp) -> bool {
        let is_begun = self.incoming || self.closes(now).is_some();
        is_begun || account.rotation.is_some_and(|rotation| self.is_time(rotation.every.size(), now))
    }

    /// The connections that are to be closed now. A clock that was set back must not put that off for ever.
    pub(super) fn closes(&self, now: Timestamp) -> Option<&Closing> {
        let is_due = |closing: &&Closing| closing.not_before.is_none_or(|at| at <= now || closing.began > now);
        self.closing.as_ref().filter(is_due)
    }

    /// Until when the password works that is replaced now. Who has it comes back with it, so closing is for later.
    fn former_until(&self, account: &Account) -> Timestamp {
        let takes_turns = self.users.len() > 1 && account.rotation.is_some();
        if takes_turns { self.promised_until } else { Timestamp::MIN }
    }

    /// Wishes that connections with the former password are closed now, or as soon as there is a new one.
    pub(super) fn close_now(&mut self, now: Timestamp) {
        let closing = self.closing.take().unwrap_or(Closing { all: false, began: now, had: 0, not_before: None });
        self.closing = Some(Closing { not_before: None, ..closing });
    }

    fn is_time(&self, every: Duration, now: Timestamp) -> bool {
        match (self.pair(), self.next_rotation) {
            (Some(pair), _) => pair.due(now, every),
            (None, Some(next)) => now >= next || self.is_far(every, now),
            // It never rotated by itself when it was applied, and does now.
            (None, None) => true,
        }
    }

    /// Whether the next rotation is further away than any interval is: the clock was set, or another interval is declared.
    fn is_far(&self, every: Duration, now: Timestamp) -> bool {
        self.next_rotation.is_none_or(|next| next > now.plus(every))
    }

    /// Of an account in place whose rotation is further away than it can be: lets its time begin now. Replacing the password
    /// would cut programs off for nothing.
    pub(super) fn is_to_begin_anew(&self, account: &Account, now: Timestamp) -> bool {
        let every = account.rotation.map(|rotation| rotation.every.size());
        let is_in_place = self.users.len() == 1 && !self.incoming && self.closes(now).is_none();
        is_in_place && every.is_some_and(|every| self.is_far(every, now))
    }

    /// Begins a rotation, or goes on with one. `None` for a record without users, which no profile makes.
    pub(super) fn begin(&mut self, now: Timestamp) -> Option<Begun> {
        if let Some(mut pair) = self.pair() {
            let begun = pair.begin(now);
            self.take_pair(pair);
            return Some(begun);
        }
        let user = self.next()?.clone();
        let was_begun = std::mem::replace(&mut self.incoming, true);
        Some(if was_begun { Begun::Renewed(user) } else { Begun::Renew(user) })
    }

    /// Whose new password the broker must have before the rotation can end.
    pub(super) fn waits_for(&self) -> Option<&AccountName> {
        self.next().filter(|_| self.incoming)
    }

    /// Ends a rotation. To be called when the broker is known to have the new password.
    pub(super) fn finish(&mut self, account: &Account, now: Timestamp) {
        self.rotated = Some(now);
        // What was to be closed some time after the rotation before waits for the programs of this one.
        if self.closing.as_ref().is_none_or(|closing| closing.not_before.is_some()) {
            let not_before = account.close_after.map(|after| now.plus(after.size()).max(self.former_until(account)));
            self.closing = not_before.map(|at| Closing { all: false, began: now, had: 0, not_before: Some(at) });
        }
        match (self.pair(), account.rotation) {
            (Some(mut pair), Some(rotation)) => {
                let every = rotation.every.size();
                pair.swap(now.plus(every), grace(every));
                self.take_pair(pair);
            }
            _ => {
                self.incoming = false;
                self.promise(account, now);
            }
        }
    }

    /// Forgets every promise: all passwords are replaced at once.
    pub(super) fn restart(&mut self, account: &Account, now: Timestamp) {
        self.incoming = false;
        self.resting_until = Timestamp::MIN;
        self.rotated = Some(now);
        let had = self.closing.as_ref().map_or(0, |closing| closing.had);
        self.closing = Some(Closing { all: true, began: now, had, not_before: None });
        self.promise(account, now);
    }

    /// What is promised of a password that is lent from now on.
    pub(super) fn promise(&mut self, account: &Account, now: Timestamp) {
        let every = account.rotation.map(|rotation| rotation.every.size());
        let grace = if self.users.len() > 1 { every.map_or(Duration::ZERO, grace) } else { Duration::ZERO };
        self.next_rotation = every.map(|every| now.plus(every));
        self.promised_until = self.next_rotation.map_or(Timestamp::MIN, |next| next.plus(grace));
    }

    /// Makes sure, where two take turns, that the promise lies well in the future: a rotation that is late must not make it
    /// shorter for who comes now. True when that is a change.
    pub(super) fn stretch(&mut self, account: &Account, now: Timestamp) -> bool {
        let Some(grace) = account.rotation.map(|rotation| grace(rotation.every.size())) else { return false };
        if self.users.len() < 2 || self.promised_until >= now.plus(grace / 2) {
            return false;
        }
        self.promised_until = now.plus(grace);
        true
    }

    /// Notes that a user was made anew, with another password or none.
    pub(super) fn was_remade(&mut self, user: &AccountName) {
        if self.waits_for() == Some(user) {
            self.incoming = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::relay_profile::Profile;

    const HOUR: Duration = Duration::from_secs(3600);

    fn account(rest: &str) -> Account {
        Profile::parse(&format!("name = 'r'\n[[account]]\nname = 'a'\n{rest}")).unwrap().accounts()[0].clone()
    }

    fn at(hour: u32) -> Timestamp {
        Timestamp::from_millis(0).plus(HOUR * hour)
    }

    #[test]
    fn the_text_of_an_account_reads_back() {
        for name in ["scheduler", "a b", " ", "r r"] {
            let id = AccountId { relay: "r".into(), account: AccountName::parse(name).unwrap() };
            assert_eq!(id.to_string().parse::<AccountId>().unwrap(), id);
        }
        assert!("nothing".parse::<AccountId>().is_err());
    }

    #[test]
    fn in_place_there_is_no_grace_and_in_turn_half_an_interval() {
        for (rest, promised) in [
            ("rotate-every = '2 hours'", at(3)),
            ("rotate-every = '2 hours'\nrotate-by = 'in-turn'", at(4)),
            ("", Timestamp::MIN),
        ] {
            let account = account(rest);
            let record = Record::new(&account, at(1));
            assert_eq!(record.promised_until, promised, "{rest}");
            assert!(!record.is_due(&account, at(2)), "{rest}");
            assert_eq!(record.is_due(&account, at(3)), !rest.is_empty(), "{rest}");
        }
    }

    #[test]
    fn a_clock_that_was_set_back_and_another_interval_let_the_time_begin_anew_in_place() {
        let (daily, hourly) = (account("rotate-every = '24 hours'"), account("rotate-every = '1 hour'"));
        let record = Record::new(&daily, at(100));
        assert!(!record.is_to_begin_anew(&daily, at(100)));
        assert!(record.is_to_begin_anew(&daily, at(99)) && record.is_to_begin_anew(&hourly, at(100)));
        let never = Record::new(&account(""), at(100));
        assert!(never.is_to_begin_anew(&daily, at(100)) && never.is_due(&daily, at(100)));
        let mut begun = record.clone();
        begun.begin(at(100));
        assert!(!begun.is_to_begin_anew(&daily, at(99)), "what was begun is finished");
    }

    #[test]
    fn a_user_that_is_made_anew_ends_what_was_begun_for_it() {
        let account = account("rotate-every = '2 hours'\nrotate-by = 'in-turn'");
        let mut record = Record::new(&account, at(0));
        record.begin(at(2));
        let [first, second]: [AccountName; 2] = account.users().try_into().unwrap();
        record.was_remade(&first);
        assert!(record.incoming && record.waits_for() == Some(&second));
        record.was_remade(&second);
        assert!(!record.incoming && record.lends(&first) && !record.lends(&second));
    }
}
