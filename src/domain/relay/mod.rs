//! The relay: vhosts, what is in them, and fixed accounts of a broker, declared in a profile, planned, applied, watched.
//!
//! A plan is the difference between three things: what is declared, what the broker has, and what was applied before.
//! `apply` takes its steps; `reconcile` takes those among them that put back what was applied, where it is declared so.
//! Only what was made here is ever removed, and never a vhost.

mod admissions;
mod adopt;
mod agent_files;
mod apply;
mod close;
mod cluster;
mod drift;
mod found;
mod leases;
mod lend;
mod made;
mod memory;
mod patterns;
mod plan;
mod profile;
mod protect;
mod reach;
mod record;
mod render;
mod resource;
mod revoke;
mod rotate;
mod step;
mod users;
mod versions;
mod wanted;
mod whitelist;

#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex};

use crate::base::{AccountName, Error, Result};
use crate::domain::accounts::{AccountStatus, Accounts, Administrator, Census, Owner};
use crate::domain::declarations::Declaration;
use crate::domain::namespaces::Amqp;
use crate::ports::broker::{Bus, Cluster, Handle, Resources};
use crate::proto::relay_profile::{Account, Profile};
use crate::store::{Cached, Store};

pub use admissions::Admissions;
pub use adopt::{Adopted, Adoption};
pub use agent_files::AgentTemplate;
pub use apply::{End, Outcome};
pub use close::Missing;
pub use cluster::{Placed, Trouble};
pub use leases::AccountLease;
pub use lend::Login;
pub use made::Standing;
pub use protect::Reserved;
pub use reach::{Asked, NAMES_MAX, Reached, Reaches};
pub use render::Rendered;
pub use rotate::Rotated;
pub use step::{Object, Plan, Step, What};
pub use whitelist::{Change, WhitelistLine};

/// What the settings say.
#[derive(Clone, Debug)]
pub struct Config {
    /// What they declare; otherwise what was stored last, if anything was.
    pub declared: Option<Declared>,
    /// Names that are used otherwise.
    pub reserved: Reserved,
    /// How programs reach the broker.
    pub amqp: Amqp,
}

/// What is declared.
#[derive(Clone, Debug)]
pub struct Declared {
    /// The declaration.
    pub profile: Profile,
    /// The built-in name or the file that it was read from, or that it is the stored one.
    pub from: String,
    /// As it was written; not kept of a file.
    pub text: Option<String>,
}

/// Keeps what is declared. Cheap to clone.
#[derive(Clone)]
pub struct Relay {
    store: Store,
    accounts: Accounts,
    administrator: Administrator,
    cluster: Handle<dyn Cluster>,
    resources: Handle<dyn Resources>,
    bus: Handle<dyn Bus>,
    config: Arc<Config>,
    declaration: Arc<Declaration<Declared>>,
    looked: Arc<cluster::Looked>,
    admissions: Cached<Arc<Admissions>>,
    /// The last that were compiled.
    patterns: Arc<Mutex<Option<Arc<Admissions>>>>,
}

impl Relay {
    /// Keeps nothing while nothing is declared.
    pub fn new(
        store: Store,
        accounts: Accounts,
        administrator: Administrator,
        cluster: Handle<dyn Cluster>,
        resources: Handle<dyn Resources>,
        bus: Handle<dyn Bus>,
        config: Config,
    ) -> Result<Self> {
        let declaration = Arc::new(profile::read(&store, config.declared.clone())?);
        let (config, looked, admissions, patterns) =
            (Arc::new(config), Arc::default(), Cached::default(), Arc::default());
        Ok(Self {
            store,
            accounts,
            administrator,
            cluster,
            resources,
            bus,
            config,
            declaration,
            looked,
            admissions,
            patterns,
        })
    }

    /// What is declared.
    ///
    /// # Errors
    /// `NotFound` when nothing is.
    pub fn declared(&self) -> Result<Arc<Declared>> {
        let none = || Error::not_found("no relay is declared: see RELAY_PROFILE, or store a profile");
        self.declaration.now().ok_or_else(none)
    }

    /// Who owns the accounts that are declared.
    fn owner(&self) -> Result<Owner> {
        Ok(owner(&self.declared()?.profile))
    }

    /// The account that is declared under this name.
    ///
    /// # Errors
    /// `NotFound` when there is none.
    pub fn account(&self, name: &AccountName) -> Result<Account> {
        let declared = self.declared()?;
        let found = declared.profile.accounts().iter().find(|account| account.name == *name);
        found.cloned().ok_or_else(|| Error::not_found(format!("the profile of the relay declares no account `{name}`")))
    }

    /// Refuses a profile that would lock us out.
    fn check_names(&self) -> Result<()> {
        protect::check(&self.declared()?.profile, &self.config.reserved, &self.administrator.acting()?)
    }

    /// What is to be done so that the broker is as declared. It only asks.
    ///
    /// # Errors
    /// `Conflict` for a profile that would lock us out. Any error of the broker: there is no plan then.
    pub async fn plan(&self) -> Result<Plan> {
        self.look_and_plan().await.map(|(plan, _)| plan)
    }

    /// The same, with the users that there are.
    async fn look_and_plan(&self) -> Result<(Plan, Census)> {
        self.check_names()?;
        let declared = self.declared()?;
        let profile = &declared.profile;
        let memory = memory::read(&self.store, profile.name()).await?;
        let found = self.look(profile, &memory).await?;
        let mut plan = plan::plan(profile, &found, &memory);
        self.judge_patterns(&mut plan).await?;
        Ok((plan, found.census))
    }

    /// How the users of an account stand; those that were never applied are not among them.
    pub fn users(&self, account: &Account) -> Result<Vec<AccountStatus>> {
        let users = account.users();
        let status: Vec<Option<AccountStatus>> =
            self.store.read(|tx| users.iter().map(|user| self.accounts.status(tx, user)).collect())?;
        Ok(status.into_iter().flatten().collect())
    }
}

/// What is said of an account that is declared only.
fn not_applied(account: &Account) -> Error {
    let name = &account.name;
    Error::conflict(format!(
        "the account `{name}` is not applied yet: `keylender relay apply` makes it, `relay plan` says why not"
    ))
}

/// Who owns the accounts of a profile.
fn owner(profile: &Profile) -> Owner {
    Owner::Relay(profile.name().to_owned())
}
