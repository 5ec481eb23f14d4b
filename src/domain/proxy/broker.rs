//! What a session is lent at the broker of this appliance: a namespace of its own, which ends with it, or the login of an
//! account of the relay, which it never sees.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::grants::Granted;
use super::keys::Key;
use super::opening::worth;
use super::sessions::Live;
use super::{Opened, Proxy};
use crate::base::{AccountName, Error, NamespaceName, ProxySessionId, Result, Scope, Secret, VhostName};
use crate::domain::auth::Caller;
use crate::domain::namespaces::{Claim, Claimed};
use crate::domain::relay::Login;
use crate::proto::proxy::declaration::{Credential, Declared};

/// Who may log in to the broker, and by what.
#[derive(Debug)]
pub struct BrokerLogin {
    /// The user.
    pub user: AccountName,
    /// The password.
    pub password: Secret,
}

impl Proxy {
    /// Lends a namespace to a session: again, if the session has it. Nobody else can claim it before the session is over.
    ///
    /// # Errors
    /// `Forbidden` for a name that was not granted, `Conflict` for a namespace that somebody has, `Busy` and `Limited` for one
    /// too many, `Unavailable` while the broker is away.
    pub async fn lend_namespace(&self, live: &Arc<Live>, opened: &Opened, name: &str) -> Result<Claimed> {
        let name = self.granted_namespace(opened, name)?;
        let (this, of) = (self.clone(), live.clone());
        self.in_turn(live, async move { this.lend(&of, name).await }).await
    }

    /// Does what a session wants of the broker when others of it have done theirs, and to the end also when nobody waits any
    /// more: what was lent must be known, to be taken back.
    async fn in_turn<T: Send + 'static>(
        &self,
        live: &Live,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        live.lending.admit(self.clock.elapsed())?;
        let turn = live.lending.turn().await?;
        let working = tokio::spawn(async move {
            let done = work.await;
            drop(turn);
            done
        });
        working.await.unwrap_or_else(|e| Err(Error::internal("lending a namespace", e)))
    }

    async fn lend(&self, live: &Live, name: NamespaceName) -> Result<Claimed> {
        live.lending.note(&name)?;
        let caller = Caller::of_session(&live.id);
        let claim = Claim { expires: Some(live.session.ends), session: Some(live.id.clone()), ..Claim::default() };
        let claimed = self.namespaces.claim(&caller, &name, claim).await;
        self.has_lent.store(true, Ordering::SeqCst);
        // What cannot be read may be the session's: it is ended with it.
        if claimed.is_err() && !self.namespaces.is_of_session(&name, &live.id).unwrap_or(true) {
            live.lending.names().remove(&name);
        }
        if live.stop.is_cancelled() {
            // The session ended meanwhile, perhaps before the namespace was there to be ended.
            let lent = vec![(live.id.clone(), vec![name])];
            if let Err(error) = self.namespaces.end_of_sessions(&caller, lent).await? {
                tracing::warn!("a namespace of a session that is over is not gone yet: {}", error.chain());
            }
            return Err(Error::forbidden("this session is over"));
        }
        Ok(claimed?.into_inner())
    }

    /// Ends a namespace of a session before the session ends.
    ///
    /// # Errors
    /// `NotFound` for one that the session has not, `Unavailable` when the broker has not lost it yet.
    pub async fn give_namespace_back(&self, live: &Arc<Live>, opened: &Opened, name: &str) -> Result<()> {
        let name = self.granted_namespace(opened, name)?;
        let (this, of) = (self.clone(), live.clone());
        self.in_turn(live, async move { this.give_back(&of, name).await }).await
    }

    async fn give_back(&self, live: &Live, name: NamespaceName) -> Result<()> {
        if !live.lending.names().contains(&name) {
            return Err(Error::not_found(format!("this session has no namespace `{name}`")));
        }
        let lent = vec![(live.id.clone(), vec![name.clone()])];
        self.namespaces.end_of_sessions(&Caller::of_session(&live.id), lent).await??;
        live.lending.names().remove(&name);
        Ok(())
    }

    /// The vhost behind the tunnel of an upstream, if it has one: it is the broker of this appliance and has no place for HTTP.
    pub fn tunnel_vhost(&self, opened: &Opened) -> Result<Option<VhostName>> {
        Ok(match &opened.key {
            Key::Namespaces => Some(self.namespaces.vhost().clone()),
            Key::Account(lender) if opened.upstream.mounts.is_empty() => Some(lender.vhost()?),
            _ => None,
        })
    }

    /// The login for somebody who calls themselves this at a tunnel: the namespace that they mean, or any name where there is
    /// one account.
    pub async fn broker_login(&self, live: &Arc<Live>, opened: &Opened, user: &str) -> Result<BrokerLogin> {
        match &opened.key {
            Key::Account(lender) => {
                live.lending.admit(self.clock.elapsed())?;
                let Login { username, password, .. } = lender.fresh().await?;
                Ok(BrokerLogin { user: username, password })
            }
            _ => {
                let Claimed { account, password, .. } = self.lend_namespace(live, opened, user).await?;
                Ok(BrokerLogin { user: account, password })
            }
        }
    }

    /// What scopes are worth at an upstream of this appliance: of names of namespaces those that one can have here.
    pub(super) fn worth(&self, declared: &Declared, held: &[Scope]) -> Granted {
        let mut granted = worth(declared, held);
        if matches!(declared.credential, Credential::Namespace) {
            let prefix = self.namespaces.prefix();
            let can_be = |name: &str| match name.strip_suffix('*') {
                Some(beginning) => beginning.starts_with(prefix) || prefix.starts_with(beginning),
                None => self.namespaces.parse(name).is_ok(),
            };
            let (names, none): (Vec<_>, Vec<_>) = granted.permissions.into_iter().partition(|name| can_be(name));
            granted.permissions = names;
            let why =
                |name| format!("`{name}` is no namespace here: they begin with `{prefix}` and have up to 64 letters");
            granted.reasons.extend(none.iter().map(why));
        }
        granted
    }

    /// A namespace by its name, if it was granted. A permission that ends in `*` grants all names that begin so.
    fn granted_namespace(&self, opened: &Opened, name: &str) -> Result<NamespaceName> {
        let grants = |permission: &String| match permission.strip_suffix('*') {
            Some(beginning) => name.starts_with(beginning),
            None => permission == name,
        };
        if !opened.permissions.iter().any(grants) {
            let granted = opened.permissions.join(", ");
            return Err(Error::forbidden(format!(
                "no namespace {name:?} is granted to this session; granted is: {granted}"
            )));
        }
        self.namespaces.parse(name)
    }
}

/// The name of a session's listener for an upstream that has one of its own.
pub fn tunnel_name(session: &ProxySessionId, upstream: &str) -> String {
    format!("{session}.{upstream}")
}

/// The file of a listener that is a socket.
pub fn socket_name(listener: &str) -> String {
    format!("{listener}.sock")
}
