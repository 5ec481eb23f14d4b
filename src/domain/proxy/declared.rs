//! What is declared now: the upstreams of the settings, or else those that were stored last.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::Proxy;
use super::opening::client;
use crate::base::audit::Action;
use crate::base::text::hex;
use crate::base::{Error, Result, Secret, Timestamp};
use crate::domain::auth::Caller;
use crate::ports::amqp::AmqpDoor;
use crate::ports::resolve::Resolver;
use crate::ports::upstream::{Client, Pins};
use crate::proto::proxy::declaration::{self, Declared};
use crate::store::{Sealed, Store, Table, WriteTx};

const DECLARATIONS: Table<String, Stored> = Table::audited("proxy_upstreams");
/// There is one.
const KEY: &str = "upstreams";
/// Mistakes that an error names.
const NAMED_MAX: usize = 20;

/// A declaration as it was stored: tokens and passwords stand in it.
#[derive(Serialize, Deserialize)]
struct Stored {
    text: Sealed,
    stored: Timestamp,
}

/// What the settings say.
#[derive(Clone)]
pub struct Config {
    /// The upstreams that they declare, with every file read; otherwise those that were stored last count.
    pub declared: Option<Vec<Declared>>,
    /// Where users of the broker log in, where there is one.
    pub door: Option<AmqpDoor>,
    /// The one resolver of this process.
    pub resolver: Option<Resolver>,
    /// The directory for sockets of sessions.
    pub sockets: std::path::PathBuf,
    /// The address at which ports of sessions are opened: this host's own, or that of a bridge to containers.
    pub address: std::net::IpAddr,
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("declared", &self.declared)
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

/// Where the upstreams are from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// `PROXY_UPSTREAMS_FILE`. Nothing that is stored counts then.
    Settings,
    /// The store.
    Store,
}

/// An upstream with the way to it, which all its sessions share.
#[derive(Clone)]
pub struct Open {
    /// What is declared.
    pub declared: Declared,
    /// The way.
    pub client: Client,
}

/// What is declared at this moment.
pub(super) struct Declaration {
    origin: Origin,
    now: RwLock<Arc<Vec<Open>>>,
}

impl Declaration {
    /// That of the settings, or the stored one. One that this version does not read any more is left where it is, and
    /// nothing is declared.
    pub fn read(store: &Store, config: &Config) -> Result<Self> {
        let (origin, declared) = match &config.declared {
            Some(declared) => (Origin::Settings, declared.clone()),
            None => (Origin::Store, stored(store)?),
        };
        Ok(Self { origin, now: RwLock::new(opened(declared, config)) })
    }
}

fn stored(store: &Store) -> Result<Vec<Declared>> {
    let Some(text) = text(store)? else { return Ok(Vec::new()) };
    Ok(declaration::parse(text.expose()).unwrap_or_else(|mistakes| {
        let first = mistakes.first().map(ToString::to_string).unwrap_or_default();
        tracing::error!("the stored upstreams of the proxy cannot be read, and none is declared: {first}");
        Vec::new()
    }))
}

fn text(store: &Store) -> Result<Option<Secret>> {
    store.read(|tx| {
        let key = KEY.to_owned();
        let stored = tx.get(&DECLARATIONS, &key)?;
        stored.map(|Stored { text, .. }| tx.open(&DECLARATIONS, &key, &text)).transpose()
    })
}

fn opened(declared: Vec<Declared>, config: &Config) -> Arc<Vec<Open>> {
    let open = |declared: Declared| {
        let client = client(&declared, Pins::default(), config.resolver.clone());
        Open { declared, client }
    };
    Arc::new(declared.into_iter().map(open).collect())
}

impl Proxy {
    /// The upstreams of now.
    pub fn declared(&self) -> Arc<Vec<Open>> {
        self.declaration.now.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Where they are from.
    pub fn origin(&self) -> Origin {
        self.declaration.origin
    }

    /// What the settings say.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// What a text declares, if it may be stored.
    ///
    /// # Errors
    /// `Invalid` with every mistake and its line. `Conflict` while `PROXY_UPSTREAMS_FILE` is set.
    fn check(&self, text: &str) -> Result<Vec<Declared>> {
        if self.origin() == Origin::Settings {
            return Err(Error::conflict(
                "PROXY_UPSTREAMS_FILE says what is declared: take it out of the settings to store upstreams",
            ));
        }
        let mut declared = declaration::parse(text).map_err(|mistakes| {
            let named: Vec<_> = mistakes.iter().take(NAMED_MAX).map(ToString::to_string).collect();
            Error::invalid(format!("these are no upstreams that can be used:\n{}", named.join("\n")))
        })?;
        match declared.iter_mut().find_map(|one| one.names_files().then(|| one.upstream.name.clone())) {
            Some(name) => Err(Error::invalid(format!(
                "`{name}` names a file of this host, which only PROXY_UPSTREAMS_FILE may: write it out, it is sealed"
            ))),
            None => Ok(declared),
        }
    }

    /// What storing a declaration would mean, a sentence each. It fails as that would.
    pub fn plan_upstreams(&self, text: &str) -> Result<Vec<String>> {
        let declared = self.check(text)?;
        let each = declared.iter().map(|one| format!("`{}` is reached by {}.", one.upstream.name, one.kind()));
        let stays = |name: &str| declared.iter().any(|one| one.upstream.name == name);
        let before = self.declared();
        let gone = before.iter().map(|open| &*open.declared.upstream.name).filter(|name| !stays(name));
        let gone: Vec<_> = gone.map(|name| format!("`{name}` is not reached any more by new sessions.")).collect();
        let rest = "Sessions that are open go on with what they were opened with.".to_owned();
        Ok(each.chain(gone).chain([rest]).collect())
    }

    /// Stores a declaration, which counts for every session from now on.
    ///
    /// # Errors
    /// As [`Proxy::plan_upstreams`].
    pub async fn store_upstreams(&self, text: String, caller: &Caller) -> Result<()> {
        let declared = self.check(&text)?;
        let names: Vec<String> = declared.iter().map(|one| one.upstream.name.clone()).collect();
        let hash = hex(&Sha256::digest(&text));
        let note = caller.note(Action::ProxyUpstreams, KEY).with("sha256", hash).with("upstreams", names);
        let secret = Secret::new(text);
        let change = move |tx: &mut WriteTx<'_, '_>| {
            tx.audit(note);
            let text = tx.seal(&DECLARATIONS, &KEY.to_owned(), &secret)?;
            tx.put(&DECLARATIONS, &KEY.to_owned(), &Stored { text, stored: tx.now() })
        };
        self.store.write(change).await?;
        *self.declaration.now.write().unwrap_or_else(PoisonError::into_inner) = opened(declared, &self.config);
        Ok(())
    }
}
