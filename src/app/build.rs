//! From settings to an appliance: which part is made of what.

use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;

use url::Url;

use super::brokers::{self, Brokers};
use super::environment;
use super::loops;
use super::oidc;
use super::outbox;
use super::settings::{RelaySettings, Settings};
use crate::base::{Clock, Result};
use crate::domain::Domain;
use crate::domain::accounts::{Accounts, Administrator, Probe};
use crate::domain::agents::Agents;
use crate::domain::alarms::Alarms;
use crate::domain::archives::Archives;
use crate::domain::audit::Audit;
use crate::domain::auth::{self, Auth};
use crate::domain::backups::Backups;
use crate::domain::connections::Connections;
use crate::domain::exchanges::Exchanges;
use crate::domain::health::{Around, Health, Places};
use crate::domain::hosts::Hosts;
use crate::domain::keys::SealingKey;
use crate::domain::leases::Leases;
use crate::domain::loops::Loops;
use crate::domain::monitor::Monitor;
use crate::domain::namespaces::Namespaces;
use crate::domain::notices::Notices;
use crate::domain::operators::Operators;
use crate::domain::parts::Parts;
use crate::domain::proxy::{self, Proxy};
use crate::domain::queues::Queues;
use crate::domain::relay::{self, Relay};
use crate::domain::services::Services;
use crate::domain::wraps::Wraps;
use crate::ports::authority::Authority;
use crate::ports::broker::{Broker, Handle, Site};
use crate::ports::dns::Dns;
use crate::ports::resolve::Resolver;
use crate::ports::upstream::{Client, Networks, Way};
use crate::proto::relay_profile::preset;
use crate::proto::urls::RootUrl;
use crate::store::{Checked, KeySource, Store, check_backup_file};
use crate::web::Router;
use crate::web::state::{Admission, App, State};

/// An appliance at rest: nothing listens and no loop runs.
#[derive(Clone)]
pub struct Appliance {
    pub domain: Domain,
    /// What its handlers work with.
    pub app: App,
    pub router: Router,
}

impl Appliance {
    /// Opens the store and puts the parts together. `broker` is what lends; `None` while none is configured.
    pub fn build(settings: &Settings, clock: Clock, broker: Option<Arc<dyn Broker>>) -> Result<Self> {
        Self::with(settings, clock, Brokers::one(broker))
    }

    /// The same with all brokers that there are.
    pub fn with(settings: &Settings, clock: Clock, brokers: Brokers) -> Result<Self> {
        Self::of(Store::open(&settings.data_dir, &settings.key, clock.clone())?, settings, clock, brokers)
    }

    /// The same on a store that is open already.
    pub fn on(store: Store, settings: &Settings, clock: Clock, broker: Option<Arc<dyn Broker>>) -> Result<Self> {
        Self::of(store, settings, clock, Brokers::one(broker))
    }

    fn of(store: Store, settings: &Settings, clock: Clock, brokers: Brokers) -> Result<Self> {
        let parts = Arc::new(parts(store, settings, clock, &brokers)?);
        let loops = Loops::new(parts.store.clone(), loops::all(settings, &parts));
        let health = Health::new(parts.clone(), loops.clone(), around(settings, &brokers));
        let alarms = Alarms::new(parts.clone(), health.clone());
        let domain = Domain { parts, loops, health, alarms };
        let listen = &settings.listen;
        let app = App::new(State {
            domain: domain.clone(),
            settings: settings.effective.clone(),
            public_url: listen.public_url.clone(),
            force_ssl: listen.force_ssl,
            metrics_token: settings.metrics_token.clone(),
            meters: Default::default(),
            trust_proxy: listen.trust_proxy.clone(),
            admission: Admission::new(listen.limits.requests, listen.limits.requests_each),
            body_timeout: settings.patience.body,
            body_budget: Default::default(),
            tasks: Default::default(),
            stop: Default::default(),
            streams: crate::web::console::places(),
            first_page: Default::default(),
        });
        let router = crate::web::router(app.clone());
        Ok(Self { domain, app, router })
    }
}

impl Deref for Appliance {
    type Target = Domain;

    fn deref(&self) -> &Domain {
        &self.domain
    }
}

fn parts(store: Store, settings: &Settings, clock: Clock, brokers: &Brokers) -> Result<Parts> {
    let Brokers { main: broker, further } = brokers;
    let remote = settings.root_url.as_ref().map(|url| authority(url, settings)).transpose()?;
    let auth = Auth::new(store.clone(), remote.clone(), rates(settings), clock.clone())?;
    let accounts = accounts(&store, settings, brokers)?;
    let namespaces = Namespaces::new(store.clone(), accounts.clone(), broker.bus(), settings.namespaces.clone())
        .also_at(further.iter().map(Site::bus));
    let notices = Notices::new(store.clone(), outbox::ways(settings)?);
    let hosts = hosts((&store, &notices, &clock), remote, settings)?;
    let vhost = settings.namespaces.amqp.vhost.clone();
    let archives = Archives::new(store.clone(), broker.messages(), vhost.clone(), settings.archives.clone());
    let monitor = Monitor::new(
        store.clone(),
        broker.bus(),
        namespaces.clone(),
        notices.clone(),
        archives.clone(),
        clock.clone(),
        settings.monitor.clone(),
    );
    let operators = Operators::new(store.clone());
    let administrator = Administrator::new(accounts.clone(), broker.identity(), vhost)?;
    let relay = Relay::new(
        store.clone(),
        accounts.clone(),
        administrator.clone(),
        broker.cluster(),
        broker.resources(),
        broker.bus(),
        relay_config(settings),
    )?;
    let agents = agents((&store, &accounts), &hosts, &relay, broker);
    let proxy = task_proxy(&store, (&relay, &namespaces), broker.is_some(), settings)?;
    let wraps = Wraps::new(store.clone(), auth.clone(), namespaces.clone(), relay.clone(), notices.clone());
    Ok(Parts {
        administrator,
        leases: Leases {
            store: store.clone(),
            auth: auth.clone(),
            hosts: hosts.clone(),
            namespaces: namespaces.clone(),
            wraps: wraps.clone(),
            relay: relay.clone(),
            agents: agents.clone(),
            proxy: proxy.clone(),
        },
        services: Services::new(store.clone(), auth.clone(), proxy.clone(), settings.services.clone()),
        proxy,
        relay,
        agents,
        archives,
        audit: Audit::new(store.clone()),
        backups: Backups::new(store.clone(), settings.backups.clone()),
        keys: SealingKey::new(store.clone()),
        connections: Connections::new(store.clone(), broker.bus(), monitor.clone()),
        exchanges: Exchanges::new(broker.bus(), namespaces.clone(), monitor.clone()),
        queues: Queues::new(store.clone(), broker.bus(), namespaces.clone(), monitor.clone()),
        oidc: oidc::sign_in(settings, &operators, &clock)?,
        store,
        clock,
        auth,
        accounts,
        namespaces,
        hosts,
        monitor,
        notices,
        wraps,
        operators,
    })
}

/// A fleet's agents, who are heard of by the broker.
fn agents((store, accounts): (&Store, &Accounts), hosts: &Hosts, relay: &Relay, broker: &Handle<dyn Broker>) -> Agents {
    let held = (store.clone(), accounts.clone());
    Agents::new(held, hosts.clone(), relay.clone(), (broker.bus(), broker.subscriptions()))
}

/// Machines, with those who know their names.
fn hosts(
    (store, notices, clock): (&Store, &Notices, &Clock),
    remote: Option<Authority>,
    settings: &Settings,
) -> Result<Hosts> {
    let dns = Dns::new(&settings.hosts.dns)?;
    let config = settings.hosts.config(settings.credentials.as_ref());
    Ok(Hosts::new(store.clone(), notices.clone(), clock.clone(), dns, remote, config))
}

/// The task proxy, with the queue of the deployment, which whoever set it may have anywhere.
fn task_proxy(
    store: &Store,
    (relay, namespaces): (&Relay, &Namespaces),
    has_broker: bool,
    settings: &Settings,
) -> Result<Proxy> {
    let resolver = Resolver::system()?;
    let queue = settings.root_url.as_ref().map(|url| {
        let way = Way { networks: Networks::of_organizations(), ..Way::default() };
        let client = Client::with_resolver(way, Some(resolver.clone()));
        proxy::Queue::new(client, &format!("{}/api/queue", url.as_str().trim_end_matches('/')))
    });
    let door = has_broker.then(|| brokers::amqp_door(settings)).transpose()?;
    let config = proxy::Config { resolver: Some(resolver), door, ..settings.proxy.clone() };
    Proxy::new(store.clone(), (relay.clone(), namespaces.clone()), queue, config)
}

fn accounts(store: &Store, settings: &Settings, brokers: &Brokers) -> Result<Accounts> {
    let Brokers { main: broker, further } = brokers;
    let always = settings.verify_logins;
    let probe = if broker.is_some() { Some(Probe { door: brokers::amqp_door(settings)?, always }) } else { None };
    Ok(Accounts::new(store.clone(), broker.users(), probe).also_at(further.iter().map(Site::users)))
}

/// What is declared of a relay, with the names that Keylender needs for itself.
fn relay_config(settings: &Settings) -> relay::Config {
    let declared = settings.relay.clone().map(|RelaySettings { profile, from }| relay::Declared {
        text: preset(&from).map(str::to_owned),
        profile,
        from,
    });
    let administrator = settings.broker.as_ref().map(|broker| broker.username.clone());
    let namespaces = format!("{}{}", settings.namespaces.username_prefix, settings.namespaces.namespace_prefix);
    let (reserved, amqp) = (relay::Reserved { administrator, namespaces }, settings.namespaces.amqp.clone());
    relay::Config { declared, reserved, amqp }
}

fn around(settings: &Settings, brokers: &Brokers) -> Around {
    Around {
        cluster: brokers.main.cluster(),
        further: brokers.further.iter().map(|site| (site.cluster(), site.identity())).collect(),
        vhost: settings.namespaces.amqp.vhost.clone(),
        places: places(settings),
        environment: environment::read(settings),
        log: settings.log.tail.clone(),
    }
}

fn places(settings: &Settings) -> Places {
    let key_file = match &settings.key {
        KeySource::File(path) => Some(path.clone()),
        _ => None,
    };
    Places { data_dir: settings.data_dir.clone(), key_file }
}

fn authority(root_url: &Url, settings: &Settings) -> Result<Authority> {
    Authority::new(&RootUrl::parse(root_url.as_str())?, Resolver::system()?, settings.patience.authority)
}

/// Makes the store of a backup in the data directory, which must have none.
pub fn restore(settings: &Settings, backup: &Path) -> Result<Checked> {
    Store::restore(backup, &settings.data_dir, &settings.key, &Clock::system())
}

/// Reads a backup to its end, by the key of the settings.
pub fn check_backup(settings: &Settings, backup: &Path) -> Result<Checked> {
    check_backup_file(backup, &settings.key)
}

/// How often one client may ask, and one address be wrong.
fn rates(settings: &Settings) -> auth::Limits {
    let limits = settings.listen.limits;
    auth::Limits { requests: limits.per_minute, failures: limits.failures_per_minute }
}
