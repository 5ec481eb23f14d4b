//! The login of an account of the relay, for a session: lent when it is needed, and lent again when the account has another
//! password.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::base::{AccountName, Clock, Error, Kind, ProxySessionId, Result, Secret, Timestamp, VhostName};
use crate::domain::auth::Caller;
use crate::domain::relay::{Login, Relay};

/// A login that was refused this soon was not too old: the same one would be lent.
const FRESH: Duration = Duration::from_secs(30);

/// Lends one account to one session.
pub struct Lender {
    relay: Relay,
    clock: Clock,
    session: ProxySessionId,
    account: AccountName,
    lent: Mutex<Option<Lent>>,
    /// Held by the one who asks: of many who wait, one asks.
    asking: tokio::sync::Mutex<()>,
}

/// What was lent.
#[derive(Clone)]
struct Lent {
    login: Arc<Login>,
    at: Timestamp,
    /// The broker refused it.
    is_refused: bool,
}

impl std::fmt::Debug for Lender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lender").field("account", &self.account).finish_non_exhaustive()
    }
}

impl Lender {
    /// Has no login until one is needed.
    pub fn new(relay: Relay, clock: Clock, session: ProxySessionId, account: AccountName) -> Self {
        Self { relay, clock, session, account, lent: Mutex::default(), asking: tokio::sync::Mutex::default() }
    }

    /// The login of now. While the broker is away that is the last one, which may still work.
    pub async fn login(&self) -> Result<Arc<Login>> {
        if let Some(login) = self.known() {
            return Ok(login);
        }
        let _asking = self.asking.lock().await;
        if let Some(login) = self.known() {
            return Ok(login);
        }
        let fresh = self.fresh().await;
        let mut lent = self.lent();
        match (fresh, &*lent) {
            (Ok(fresh), _) => {
                let login = Arc::new(fresh);
                *lent = Some(Lent { login: login.clone(), at: self.clock.now(), is_refused: false });
                Ok(login)
            }
            (Err(error), Some(last)) if error.kind() == Kind::Unavailable => Ok(last.login.clone()),
            (Err(error), _) => Err(error),
        }
    }

    /// The login as it is at this moment, for a connection: nobody tells us when that is refused.
    pub async fn fresh(&self) -> Result<Login> {
        Ok(self.relay.lend(&Caller::of_session(&self.session), &self.account).await?.into_inner())
    }

    /// The login as a header.
    pub async fn header(&self) -> Result<Secret> {
        let login = self.login().await?;
        Ok(basic(login.username.as_str(), &login.password))
    }

    /// Notes that the login was refused. `true`: there may be a better one.
    pub fn was_refused(&self) -> bool {
        let now = self.clock.now();
        let mut lent = self.lent();
        let old = lent.as_mut().filter(|lent| !lent.at.is_within(FRESH, now));
        old.map(|lent| lent.is_refused = true).is_some()
    }

    /// The vhost that the account is for; the first of them, where there are several.
    pub fn vhost(&self) -> Result<VhostName> {
        let account = self.relay.account(&self.account)?;
        let first = account.grants.first().map(|grant| grant.vhost.clone());
        first.ok_or_else(|| Error::conflict(format!("the account `{}` has no vhost", self.account)))
    }

    /// Refuses an account of which nothing can be lent, whatever the broker says.
    pub fn require(&self) -> Result<()> {
        self.relay.require_lendable(&self.account).map_err(|error| match error.kind() {
            Kind::NotFound => {
                Error::conflict(format!("an upstream has the account `{}`: {}", self.account, error.message()))
            }
            _ => error,
        })
    }

    /// What was lent and should work.
    fn known(&self) -> Option<Arc<Login>> {
        let now = self.clock.now();
        let lent = self.lent();
        lent.as_ref().filter(|lent| !lent.is_refused && now < lent.login.expires).map(|lent| lent.login.clone())
    }

    fn lent(&self) -> std::sync::MutexGuard<'_, Option<Lent>> {
        self.lent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The header of a name and a password.
pub fn basic(user: &str, password: &Secret) -> Secret {
    Secret::new(format!("Basic {}", STANDARD.encode(format!("{user}:{}", password.expose()))))
}
