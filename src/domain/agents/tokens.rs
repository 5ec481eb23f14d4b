//! Tokens by which a host enrols once: for hosts that DNS does not know, and to let one in again that was revoked.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::Agents;
use crate::base::audit::Action;
use crate::base::text::hex;
use crate::base::{Error, HostName, Result, Secret, Timestamp};
use crate::domain::auth::Caller;
use crate::store::{Lent, Table, WriteTx};

const TOKENS: Table<TokenId, Token> = Table::audited("agents_tokens");
/// How long a token can be used unless it says otherwise: while somebody sets up a host.
pub const LASTS: Duration = Duration::from_secs(60 * 60);
/// How long at most.
pub const LASTS_MAX: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// Tokens at once: a rack full of hosts, some times over.
const TOKENS_MAX: usize = 2000;

/// What is said of every token that does not count.
pub(super) fn refused() -> Error {
    Error::forbidden("this token does not count: it was used, its time is over, or it never was one")
}

/// The SHA-256 of a token, in hexadecimal. It enrols nobody.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct TokenId(String);

impl TokenId {
    pub fn of(token: &Secret) -> Self {
        Self(hex(&Sha256::digest(token.expose())))
    }
}

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for TokenId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let fits = text.len() == 64 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if fits { Ok(Self(text.to_owned())) } else { Err(Error::invalid("not the id of a token")) }
    }
}

/// A token as it is stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Token {
    host: HostName,
    by: String,
    until: Timestamp,
}

/// A token that was just made. It leaves only as [`Lent`].
#[derive(Debug)]
pub struct NewToken {
    pub host: HostName,
    pub token: Secret,
    /// Until when it can be used.
    pub until: Timestamp,
}

impl Agents {
    /// A token by which this host enrols once.
    ///
    /// # Errors
    /// `NotFound` while no agents are declared. `Invalid` for a time that is too long; `Conflict` when there are too many.
    pub async fn make_token(&self, host: HostName, lasts: Duration, caller: &Caller) -> Result<Lent<NewToken>> {
        self.agents()?;
        if lasts.is_zero() || lasts > LASTS_MAX {
            return Err(Error::invalid("a token can be used for 7 days at most"));
        }
        let caller = caller.clone();
        self.store
            .write(move |tx| {
                let (token, until) = (Secret::generate_long(), tx.now().plus(lasts));
                let all = tx.scan(&TOKENS, TOKENS_MAX)?;
                let over = all.iter().filter(|(_, token)| token.until <= tx.now());
                let over: Vec<TokenId> = over.map(|(id, _)| id.clone()).collect();
                if all.len() - over.len() >= TOKENS_MAX {
                    return Err(Error::conflict(format!("there are {TOKENS_MAX} tokens that can be used")));
                }
                over.iter().for_each(|id| tx.delete(&TOKENS, id));
                let by = caller.actor().to_string();
                tx.put(&TOKENS, &TokenId::of(&token), &Token { host: host.clone(), by, until })?;
                let note = caller.note(Action::AgentToken, &host).about(&token).with("until", until.to_string());
                Ok(tx.lend(note, NewToken { host, token, until }))
            })
            .await
    }

    /// The host that a token is for, while it counts.
    ///
    /// # Errors
    /// `Forbidden`, in the same words for every cause.
    pub(super) fn host_of(&self, token: &Secret) -> Result<HostName> {
        let id = TokenId::of(token);
        self.store.read(|tx| {
            let found = tx.get(&TOKENS, &id)?.filter(|token| tx.now() < token.until);
            found.map(|token| token.host).ok_or_else(refused)
        })
    }
}

/// Takes all tokens of a host away. The caller's audit entry covers it.
pub(super) fn take_back(tx: &mut WriteTx<'_, '_>, host: &HostName) -> Result<()> {
    for (id, _) in tx.scan(&TOKENS, TOKENS_MAX)?.into_iter().filter(|(_, token)| token.host == *host) {
        tx.delete(&TOKENS, &id);
    }
    Ok(())
}

/// Requires that a token counts. It is used up when what it is for is handed out, so that an outage burns none.
pub(super) fn require(tx: &WriteTx<'_, '_>, token: &Secret, host: &HostName) -> Result<()> {
    let found = tx.get(&TOKENS, &TokenId::of(token))?.filter(|token| tx.now() < token.until && token.host == *host);
    found.map(drop).ok_or_else(refused)
}

/// Uses a token up, in the transaction of what it is used for. The caller's audit entry covers it.
pub(super) fn use_up(tx: &mut WriteTx<'_, '_>, token: &Secret, host: &HostName) -> Result<()> {
    require(tx, token, host)?;
    tx.delete(&TOKENS, &TokenId::of(token));
    Ok(())
}
