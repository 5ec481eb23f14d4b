//! Hand-over links: whoever may claim a namespace, or fetch an account of the relay, makes one, and somebody without
//! credentials opens it once.
//!
//! A link stands for a claim that is not made yet. Nothing is sealed for it: the password is lent when the link is
//! opened, so it is the one that works then, it is in the audit log with the address that got it, and whoever copies
//! the store before has nothing. Of the token in the link the store keeps a hash.

mod open;

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::base::audit::{Action, Actor, Note};
use crate::base::text::hex;
use crate::base::{AccountName, ClientId, Error, NamespaceName, Result, Secret, Timestamp};
use crate::domain::auth::{Auth, Caller};
use crate::domain::namespaces::{Claim, Namespaces};
use crate::domain::notices::Notices;
use crate::domain::relay::Relay;
use crate::store::{Lent, Store, Survey, Table};

pub use open::{Look, Opened, Opener};

const WRAPS: Table<WrapId, Wrap> = Table::audited("wraps");
/// How long a link can be opened unless it says otherwise: the time in which somebody reads a message.
pub const LASTS: Duration = Duration::from_secs(60 * 60);
/// How long at most: whoever finds the message later gets nothing.
pub const LASTS_MAX: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// Links that can be opened, of all callers.
const OPEN_MAX: usize = 1000;
/// The same of one caller, so that nobody takes the room of all others.
const OPEN_OF_ONE_MAX: usize = 100;
/// Links remembered, with those that are over: a second opening of one is somebody who should hear of it.
const WRAPS_MAX: usize = 5000;
/// How long one that is over is remembered.
const KEPT: Duration = Duration::from_secs(7 * 24 * 60 * 60);
const LOOP: &str = "expire";

/// The name of a link: the SHA-256 of its token, in hexadecimal. It opens nothing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct WrapId(String);

impl WrapId {
    fn of(token: &str) -> Self {
        Self(hex(&Sha256::digest(token)))
    }
}

impl FromStr for WrapId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let fits = text.len() == 64 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if fits { Ok(Self(text.to_owned())) } else { Err(Error::invalid("not the id of a link")) }
    }
}

impl fmt::Display for WrapId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a link hands over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Handed {
    Namespace(NamespaceName),
    /// An account of the relay.
    Account(AccountName),
}

impl Handed {
    /// `namespace` or `account`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Namespace(_) => "namespace",
            Self::Account(_) => "account",
        }
    }
}

/// Its name.
impl fmt::Display for Handed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Namespace(name) => name.fmt(f),
            Self::Account(name) => name.fmt(f),
        }
    }
}

/// A link as it is stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Wrap {
    #[serde(flatten)]
    handed: Handed,
    /// Who made it, and claims when it is opened.
    by: Actor,
    /// The client of the own store that made it: it must still be one then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    client: Option<ClientId>,
    from: Option<IpAddr>,
    made: Timestamp,
    /// Until when it can be opened.
    until: Timestamp,
    expires: Option<Timestamp>,
    contact: Option<String>,
    /// When it was opened, and from where.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    opened: Option<(Timestamp, IpAddr)>,
    /// Whether people heard of a second opening.
    #[serde(default)]
    told: bool,
}

impl Wrap {
    fn is_open(&self, now: Timestamp) -> bool {
        self.opened.is_none() && now < self.until
    }
}

#[derive(Clone, Debug)]
pub struct WrapView {
    pub id: WrapId,
    pub handed: Handed,
    /// Who made it, as the audit log names them.
    pub by: String,
    pub from: Option<IpAddr>,
    pub made: Timestamp,
    /// Until when it can be opened.
    pub until: Timestamp,
}

/// A link that was just made. It leaves only as [`Lent`].
#[derive(Debug)]
pub struct Made {
    pub id: WrapId,
    /// What stands in the link: 244 random bits.
    pub token: Secret,
    /// Until when it can be opened.
    pub until: Timestamp,
}

/// The hand-over links of this appliance. Cheap to clone.
#[derive(Clone)]
pub struct Wraps {
    store: Store,
    auth: Auth,
    namespaces: Namespaces,
    relay: Relay,
    notices: Notices,
}

impl Wraps {
    pub fn new(store: Store, auth: Auth, namespaces: Namespaces, relay: Relay, notices: Notices) -> Self {
        Self { store, auth, namespaces, relay, notices }
    }

    /// Makes a link to a namespace, for a caller who may claim it. `Conflict` when there are too many already.
    pub async fn wrap(
        &self,
        caller: &Caller,
        namespace: NamespaceName,
        claim: Claim,
        lasts: Duration,
    ) -> Result<Lent<Made>> {
        self.make(caller, Handed::Namespace(namespace), claim, lasts).await
    }

    /// The same to an account of the relay, for a caller who may fetch it; `contact` hears of a second opening. `NotFound` when
    /// none of this name is declared, `Conflict` when it could not be fetched now.
    pub async fn wrap_account(
        &self,
        caller: &Caller,
        account: AccountName,
        contact: Option<String>,
        lasts: Duration,
    ) -> Result<Lent<Made>> {
        self.relay.require_lendable(&account)?;
        self.make(caller, Handed::Account(account), Claim { contact, ..Claim::default() }, lasts).await
    }

    async fn make(&self, caller: &Caller, handed: Handed, claim: Claim, lasts: Duration) -> Result<Lent<Made>> {
        if lasts.is_zero() || lasts > LASTS_MAX {
            let days = LASTS_MAX.as_secs() / 86_400;
            return Err(Error::invalid(format!("a link can be opened for up to {days} days")));
        }
        let client = match caller.actor() {
            Actor::Client(id) if self.auth.is_usable(&id)?.is_some() => Some(id),
            _ => None,
        };
        let caller = caller.clone();
        self.store
            .write(move |tx| {
                let (now, token) = (tx.now(), Secret::generate_long());
                let rows = tx.scan(&WRAPS, WRAPS_MAX)?;
                let open = || rows.iter().filter(|(_, wrap)| wrap.is_open(now));
                if open().count() >= OPEN_MAX {
                    return Err(Error::conflict(format!("there are {OPEN_MAX} links already that nobody opened")));
                }
                if open().filter(|(_, wrap)| wrap.by == caller.actor()).count() >= OPEN_OF_ONE_MAX {
                    return Err(Error::conflict(format!(
                        "you have {OPEN_OF_ONE_MAX} links already that nobody opened"
                    )));
                }
                if rows.len() >= WRAPS_MAX {
                    let over = rows.iter().filter(|(_, wrap)| !wrap.is_open(now));
                    over.min_by_key(|(_, wrap)| wrap.made).into_iter().for_each(|(id, _)| tx.delete(&WRAPS, id));
                }
                let (id, until) = (WrapId::of(token.expose()), now.plus(lasts));
                let wrap = Wrap {
                    handed,
                    by: caller.actor(),
                    client,
                    from: caller.address(),
                    made: now,
                    until,
                    expires: claim.expires,
                    contact: claim.contact,
                    opened: None,
                    told: false,
                };
                tx.put(&WRAPS, &id, &wrap)?;
                let note =
                    caller.lend_note(Action::WrapMake, &wrap.handed).about(&token).with("kind", wrap.handed.kind());
                let note = note.with("wrap", id.to_string()).with("until", until.to_string());
                Ok(tx.lend(note, Made { id, token, until }))
            })
            .await
    }

    /// Ends a link that nobody opened.
    pub async fn revoke(&self, caller: &Caller, id: &WrapId) -> Result<()> {
        let (id, caller) = (id.clone(), caller.clone());
        self.store
            .write(move |tx| {
                let wrap = tx.get(&WRAPS, &id)?.ok_or_else(no_such)?;
                if wrap.opened.is_some() {
                    let what = wrap.handed.kind();
                    return Err(Error::conflict(format!("the link was opened meanwhile: revoke the {what}")));
                }
                tx.delete(&WRAPS, &id);
                let note = caller.note(Action::WrapRevoke, &wrap.handed).with("kind", wrap.handed.kind());
                tx.audit(note.with("wrap", id.to_string()));
                Ok(())
            })
            .await
    }

    /// The links that can be opened.
    pub fn open_ones(tx: &Survey<'_>) -> Result<Vec<WrapView>> {
        let rows = tx.scan(&WRAPS, std::ops::Bound::Unbounded, WRAPS_MAX)?;
        let open = rows.into_iter().filter(|(_, wrap)| wrap.is_open(tx.now()));
        Ok(open
            .map(|(id, wrap)| WrapView {
                id,
                handed: wrap.handed,
                by: wrap.by.to_string(),
                from: wrap.from,
                made: wrap.made,
                until: wrap.until,
            })
            .collect())
    }

    /// Forgets links that are over for long. Returns how many there were.
    pub async fn forget_over(&self) -> Result<usize> {
        let is_old = |wrap: &Wrap, now| now >= wrap.until.plus(KEPT);
        let any = self.store.survey(move |tx| {
            let rows = tx.scan(&WRAPS, std::ops::Bound::Unbounded, WRAPS_MAX)?;
            Ok(rows.iter().any(|(_, wrap)| is_old(wrap, tx.now())))
        });
        if !any.await? {
            return Ok(0);
        }
        self.store
            .write(move |tx| {
                let (now, mut ids) = (tx.now(), Vec::new());
                for (id, _) in tx.scan(&WRAPS, WRAPS_MAX)?.into_iter().filter(|(_, wrap)| is_old(wrap, now)) {
                    tx.delete(&WRAPS, &id);
                    ids.push(id.to_string());
                }
                let forgotten = ids.len();
                tx.audit(Note::done(Actor::Loop(LOOP.into()), Action::WrapForget, "wraps").with("wraps", ids));
                Ok(forgotten)
            })
            .await
    }
}

fn no_such() -> Error {
    Error::not_found("there is no such link, or it is over for long").with_code("ResourceNotFound")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_of_versions_that_knew_only_namespaces_are_read() {
        let old = r#"{"namespace":"taskcluster-a","by":{"client":"builds"},"client":"builds","from":"127.0.0.1",
            "made":"2026-11-20T12:00:00.000Z","until":"2026-11-20T13:00:00.000Z","expires":null,"contact":null,"told":false}"#;
        let wrap: Wrap = serde_json::from_str(old).unwrap();
        assert_eq!(wrap.handed, Handed::Namespace(NamespaceName::parse("taskcluster-a").unwrap()));
        let written = serde_json::to_value(&wrap).unwrap();
        assert_eq!(written, serde_json::from_str::<serde_json::Value>(old).unwrap());
        let account = Wrap { handed: Handed::Account(AccountName::parse("a b").unwrap()), ..wrap };
        let again: Wrap = serde_json::from_str(&serde_json::to_string(&account).unwrap()).unwrap();
        assert_eq!(again.handed, account.handed);
    }
}
