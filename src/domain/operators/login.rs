//! Signing in with a password: slow for who guesses, and alike for whatever is wrong.

use std::net::IpAddr;
use std::time::Duration;

use super::second_factor::{self, Proof};
use super::sessions::{self, Visitor};
use super::{OPERATORS, Operators, refusal};
use crate::base::audit::{Action, Actor, Note, Outcome};
use crate::base::rate::RateLimit;
use crate::base::{Clock, Error, OperatorName, Result, Secret};
use crate::proto::addresses::network;
use crate::store::Lent;

/// Wrong passwords of one account from one address in a minute: a person who mistypes.
const PAIR_FAILURES: u32 = 5;
/// Wrong passwords from one address in a minute, whatever the account.
const ADDRESS_FAILURES: u32 = 10;
/// Wrong passwords of one account in a minute, from wherever. Above what one address may, so that a single stranger does
/// not keep an operator out.
const ACCOUNT_FAILURES: u32 = 30;

#[derive(Clone, Debug)]
pub struct Attempt {
    /// The name as it was typed.
    pub name: String,
    pub password: Secret,
    /// A code of the second factor; empty for who has none.
    pub code: String,
    pub from: Visitor,
}

pub(super) struct Throttle {
    pairs: RateLimit<(OperatorName, IpAddr)>,
    addresses: RateLimit<IpAddr>,
    accounts: RateLimit<OperatorName>,
    clock: Clock,
}

impl Throttle {
    pub fn new(clock: Clock) -> Self {
        let (pairs, addresses) = (RateLimit::new(PAIR_FAILURES), RateLimit::new(ADDRESS_FAILURES));
        Self { pairs, addresses, accounts: RateLimit::new(ACCOUNT_FAILURES), clock }
    }

    /// The same where no account is named.
    pub(super) fn admit_stranger(&self, address: IpAddr) -> Result<()> {
        let wait = |after: Duration| Error::limited("too many attempts: wait a little", after);
        self.addresses.admit(network(address), self.clock.elapsed()).map_err(wait)
    }

    /// Counts an attempt that may be wrong before it is looked at, so that many at once are not looked at together.
    pub(super) fn admit(&self, name: &OperatorName, address: Option<IpAddr>) -> Result<()> {
        let now = self.clock.elapsed();
        let wait = |after: Duration| Error::limited("too many attempts: wait a little", after);
        if let Some(address) = address.map(network) {
            self.addresses.admit(address, now).map_err(wait)?;
            self.pairs.admit((name.clone(), address), now).map_err(wait)?;
        }
        self.accounts.admit(name.clone(), now).map_err(wait)
    }
}

impl Operators {
    /// Begins a session for who knows the password. `Unauthenticated` alike for whatever is wrong, and `Limited` for who
    /// tries too often, right or wrong.
    pub async fn log_in(&self, attempt: Attempt) -> Result<Lent<Secret>> {
        let Attempt { name, password, code, from } = attempt;
        // People write their name as they like; there is one spelling.
        let name = OperatorName::parse(&name.trim().to_ascii_lowercase()).map_err(|_| refusal())?;
        self.throttle.admit(&name, Some(from.address))?;
        let record = self.store.read(|tx| tx.get(&OPERATORS, &name))?;
        let stored = record.as_ref().and_then(|record| record.password.clone());
        let fits = self.stretcher.fits(password, stored.clone()).await?;
        let (known, request_id, address) = (record.is_some(), from.request_id.clone(), from.address);
        let begun = self.store.write({
            let name = name.clone();
            move |tx| {
                // Between the look and now the password may have become another one.
                let current = tx.get(&OPERATORS, &name)?;
                let current = current.filter(|record| fits && !record.disabled && record.password == stored);
                let proof = match current {
                    Some(mut record) => {
                        let proof = second_factor::check(tx, &name, &mut record, &code)?;
                        tx.put(&OPERATORS, &name, &record)?;
                        proof
                    }
                    None => Proof::Wrong,
                };
                let by = match proof {
                    Proof::NotNeeded => "password",
                    Proof::Code => "password and code",
                    Proof::Recovery => "password and recovery code",
                    Proof::Wrong => {
                        // A name that nobody has may be a password in the wrong field.
                        let object = if known { name.as_str() } else { "somebody unknown" };
                        let note =
                            Note::done(Actor::Anonymous, Action::OperatorLogin, object).outcome(Outcome::Refused);
                        tx.audit(note.request(request_id).with("address", address.to_string()));
                        return Ok(Err(refusal()));
                    }
                };
                Ok(Ok(sessions::begin(tx, name, by, from)?))
            }
        });
        begun.await?
    }
}
