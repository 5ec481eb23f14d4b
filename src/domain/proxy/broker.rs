//! What a session is lent at the broker of this appliance: a namespace of its own, which ends with it, or the login of an
//! account of the relay, which it never sees.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::keys::Key;
use super::sessions::Live;
use super::{Opened, Proxy};
use crate::base::{AccountName, Error, Kind, NamespaceName, ProxySessionId, Result, Secret, VhostName};
use crate::domain::auth::Caller;
use crate::domain::namespaces::{Claim, Claimed};
use crate::domain::relay::Login;

/// Namespaces of one session: a task has one or two, and each is two users of the broker.
const NAMESPACES_MAX: usize = 8;

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
    /// `Forbidden` for a name that was not granted, `Conflict` for a namespace that somebody has, `Limited` for one too many,
    /// `Unavailable` while the broker is away.
    pub async fn lend_namespace(&self, live: &Arc<Live>, opened: &Opened, name: &str) -> Result<Claimed> {
        let name = self.granted_namespace(opened, name)?;
        live.note_namespace(&name)?;
        self.has_lent.store(true, Ordering::SeqCst);
        let claim = Claim { expires: Some(live.session.ends), session: Some(live.id.clone()), ..Claim::default() };
        let (this, live) = (self.clone(), live.clone());
        // To the end also when nobody waits any more: what was lent must be known, to be taken back.
        let lending = tokio::spawn(async move {
            let caller = Caller::of_session(&live.id);
            let claimed = this.namespaces.claim(&caller, &name, claim).await;
            // What cannot be read may be: it is looked for at the end again.
            let is_ours = || match this.namespaces.detail(&name) {
                Ok(detail) => detail.session.as_ref() == Some(&live.id),
                Err(error) => error.kind() != Kind::NotFound,
            };
            if claimed.is_err() && !is_ours() {
                live.namespaces().remove(&name);
            }
            if live.stop.is_cancelled() {
                // The session ended meanwhile, perhaps before the namespace was there to be ended.
                this.namespaces.end_of_session(&caller, &live.id, vec![name]).await?;
                return Err(Error::forbidden("this session is over"));
            }
            claimed
        });
        let claimed = lending.await.unwrap_or_else(|e| Err(Error::internal("lending a namespace", e)))?;
        Ok(claimed.into_inner())
    }

    /// Ends a namespace of a session before the session ends.
    ///
    /// # Errors
    /// `NotFound` for one that the session has not.
    pub async fn give_namespace_back(&self, live: &Arc<Live>, opened: &Opened, name: &str) -> Result<()> {
        let name = self.granted_namespace(opened, name)?;
        if !live.namespaces().contains(&name) {
            return Err(Error::not_found(format!("this session has no namespace `{name}`")));
        }
        let caller = Caller::of_session(&live.id);
        self.namespaces.end_of_session(&caller, &live.id, vec![name.clone()]).await?;
        live.namespaces().remove(&name);
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
                let Login { username, password, .. } = lender.fresh().await?;
                Ok(BrokerLogin { user: username, password })
            }
            _ => {
                let Claimed { account, password, .. } = self.lend_namespace(live, opened, user).await?;
                Ok(BrokerLogin { user: account, password })
            }
        }
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

impl Live {
    /// Notes that the session is about to have a namespace.
    fn note_namespace(&self, name: &NamespaceName) -> Result<()> {
        let mut namespaces = self.namespaces();
        if namespaces.len() >= NAMESPACES_MAX && !namespaces.contains(name) {
            return Err(Error::busy(format!(
                "a session has at most {NAMESPACES_MAX} namespaces: give one back by DELETE"
            )));
        }
        namespaces.insert(name.clone());
        Ok(())
    }
}
