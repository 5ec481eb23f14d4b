//! What is declared now: the upstreams of the settings, or else those that were stored last.

use std::fmt;
use std::sync::Arc;

use super::Proxy;
use super::opening::client;
use crate::base::audit::Action;
use crate::base::{Error, Result};
use crate::domain::auth::Caller;
use crate::domain::declarations::{Declaration, Place, Unreadable};
use crate::ports::amqp::AmqpDoor;
use crate::ports::resolve::Resolver;
use crate::ports::upstream::{Client, Pins};
use crate::proto::proxy::declaration::{self, Declared, Mistake};
use crate::store::{Store, Table};

const UPSTREAMS: Place = Place {
    table: Table::audited("proxy_upstreams"),
    key: "upstreams",
    setting: "PROXY_UPSTREAMS_FILE",
    one: "upstreams",
    the: "the stored upstreams of the task proxy",
    no: "these are no upstreams",
};

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

/// An upstream with the way to it, which all its sessions share.
#[derive(Clone)]
pub struct Open {
    /// What is declared.
    pub declared: Declared,
    /// The way.
    pub client: Client,
}

/// What is declared when the appliance starts. Of a mistake only the line is told: secrets may stand in what is quoted.
pub(super) fn read(store: &Store, config: &Config) -> Result<Declaration<Vec<Open>>> {
    let of_settings = config.declared.clone().map(|declared| opened(declared, config));
    let line = |mistake: &Mistake| format!("a mistake in line {}", mistake.line);
    Declaration::read(&UPSTREAMS, store, of_settings, |text| match declaration::parse(text) {
        Ok(declared) => Ok(opened(declared, config)),
        Err(mistakes) => Err(mistakes.iter().map(line).collect()),
    })
}

fn opened(declared: Vec<Declared>, config: &Config) -> Vec<Open> {
    let open = |declared: Declared| {
        let client = client(&declared, Pins::default(), config.resolver.clone());
        Open { declared, client }
    };
    declared.into_iter().map(open).collect()
}

impl Proxy {
    /// The upstreams of now.
    pub fn declared(&self) -> Arc<Vec<Open>> {
        self.declaration.now().unwrap_or_default()
    }

    /// Whether they are those of the settings.
    pub fn is_of_settings(&self) -> bool {
        self.declaration.is_of_settings()
    }

    /// What is stored and declares no upstream to this version.
    pub fn unreadable(&self) -> Option<&Unreadable> {
        self.declaration.unreadable()
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
        let mut declared = self.declaration.judge(text, declaration::parse)?;
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
        let note = caller.note(Action::ProxyUpstreams, UPSTREAMS.key).with("upstreams", names);
        let storing = self.declaration.storing.lock().await;
        self.declaration.store(storing, note, text, opened(declared, &self.config)).await
    }
}
