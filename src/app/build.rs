//! From settings to an appliance: which part is made of what.

use std::fs;
use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;

use url::Url;

use super::environment;
use super::loops;
use super::oidc;
use super::outbox;
use super::settings::{self, Effective, Settings};
use crate::base::{Clock, Error, Result, Secret, Span};
use crate::domain::Domain;
use crate::domain::accounts::{Accounts, Administrator, Probe};
use crate::domain::alarms::Alarms;
use crate::domain::audit::Audit;
use crate::domain::auth::{self, Auth};
use crate::domain::backups::{self, Backups};
use crate::domain::health::{Around, Health, Places};
use crate::domain::hosts::{self, Hosts};
use crate::domain::keys::SealingKey;
use crate::domain::leases::Leases;
use crate::domain::loops::Loops;
use crate::domain::monitor::{self, Monitor, Prefixes};
use crate::domain::namespaces::{Amqp, Namespaces, Rules};
use crate::domain::notices::Notices;
use crate::domain::operators::Operators;
use crate::domain::parts::Parts;
use crate::domain::wraps::Wraps;
use crate::ports::amqp::AmqpDoor;
use crate::ports::authority::Authority;
use crate::ports::broker::{Access, Broker, Cluster, Handle, ManagementBroker, ManagementSettings};
use crate::ports::dns::Dns;
use crate::ports::resolve::Resolver;
use crate::ports::tls::{ClientCertificate, Tls};
use crate::proto::urls::RootUrl;
use crate::store::{BackupDirectory, Checked, KeySource, Store, check_backup_file};
use crate::web::Router;
use crate::web::peer::TrustProxy;
use crate::web::state::{Admission, App, ShownSetting, State};

/// An appliance at rest: nothing listens and no loop runs.
#[derive(Clone)]
pub struct Appliance {
    /// All that it does.
    pub domain: Domain,
    /// What its handlers work with.
    pub app: App,
    /// Everything that it serves.
    pub router: Router,
}

impl Appliance {
    /// Opens the store and puts the parts together. `broker` is what lends; `None` while none is configured.
    pub fn build(settings: &Settings, clock: Clock, broker: Option<Arc<dyn Broker>>) -> Result<Self> {
        let store = Store::open(&settings.data_dir, &key_source(&settings.key), clock.clone())?;
        Self::on(store, settings, clock, broker)
    }

    /// The same on a store that is open already.
    pub fn on(store: Store, settings: &Settings, clock: Clock, broker: Option<Arc<dyn Broker>>) -> Result<Self> {
        let broker = Handle::new(broker);
        let parts = Arc::new(parts(store, settings, clock, &broker)?);
        let loops = Loops::new(parts.store.clone(), loops::all(settings, &parts));
        let health = Health::new(parts.clone(), loops.clone(), around(settings, broker.cluster()));
        let alarms = Alarms::new(parts.clone(), health.clone());
        let domain = Domain { parts, loops, health, alarms };
        let listen = &settings.listen;
        let app = App::new(State {
            domain: domain.clone(),
            settings: shown_settings(settings),
            public_url: listen.public_url.clone(),
            force_ssl: listen.force_ssl,
            metrics_token: settings.metrics_token.clone(),
            meters: Default::default(),
            trust_proxy: trust_proxy(&listen.trust_proxy),
            admission: Admission::new(listen.limits.requests, listen.limits.requests_each),
            body_timeout: settings.patience.body,
            body_budget: Default::default(),
            tasks: Default::default(),
            stop: Default::default(),
            streams: crate::web::console::places(),
            list_cache: Default::default(),
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

fn shown_settings(settings: &Settings) -> Vec<ShownSetting> {
    let shown = |Effective { name, value, source, help }| ShownSetting { name, value, source, help };
    settings.effective.iter().cloned().map(shown).collect()
}

fn parts(store: Store, settings: &Settings, clock: Clock, broker: &Handle<dyn Broker>) -> Result<Parts> {
    let remote = settings.root_url.as_ref().map(|url| authority(url, settings)).transpose()?;
    let auth = Auth::new(store.clone(), remote.clone(), rates(settings), clock.clone())?;
    let always = settings.namespaces.verify_logins;
    let probe = if broker.is_some() { Some(Probe { door: amqp_door(settings)?, always }) } else { None };
    let accounts = Accounts::new(store.clone(), broker.users(), probe);
    let namespaces = Namespaces::new(store.clone(), accounts.clone(), broker.bus(), rules(settings));
    let notices = Notices::new(store.clone(), outbox::ways(settings)?);
    let dns = Dns::new(&settings.hosts.dns)?;
    let hosts = Hosts::new(store.clone(), notices.clone(), clock.clone(), dns, remote, host_rules(settings));
    let monitor = Monitor::new(
        store.clone(),
        broker.bus(),
        namespaces.clone(),
        notices.clone(),
        clock.clone(),
        monitor_rules(settings),
    );
    let wraps = Wraps::new(store.clone(), auth.clone(), namespaces.clone(), notices.clone());
    let operators = Operators::new(store.clone());
    Ok(Parts {
        administrator: Administrator::new(accounts.clone(), broker.identity(), settings.amqp.vhost.clone())?,
        leases: Leases::new(store.clone(), auth.clone(), hosts.clone(), namespaces.clone(), wraps.clone()),
        audit: Audit::new(store.clone()),
        backups: Backups::new(store.clone(), backup_rules(settings)),
        keys: SealingKey::new(store.clone()),
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

fn around(settings: &Settings, cluster: Handle<dyn Cluster>) -> Around {
    Around {
        cluster,
        vhost: settings.amqp.vhost.clone(),
        places: places(settings),
        environment: environment::read(settings),
        log: settings.log.tail.clone(),
    }
}

fn places(settings: &Settings) -> Places {
    let key_file = match &settings.key {
        settings::KeySource::File(path) => Some(path.clone()),
        settings::KeySource::Passphrase(_) => None,
    };
    Places { data_dir: settings.data_dir.clone(), key_file }
}

/// The broker of these settings, if they name one. It is not asked anything yet.
pub fn broker(settings: &Settings) -> Result<Option<Arc<dyn Broker>>> {
    let Some(broker) = &settings.broker else { return Ok(None) };
    let settings = ManagementSettings {
        url: broker.base_url.clone(),
        username: broker.username.clone(),
        password: broker.password.clone(),
        tls: tls(settings)?,
    };
    Ok(Some(Arc::new(ManagementBroker::new(&settings, Resolver::system()?)?)))
}

fn authority(root_url: &Url, settings: &Settings) -> Result<Authority> {
    Authority::new(&RootUrl::parse(root_url.as_str())?, Resolver::system()?, settings.patience.authority)
}

/// Where lent users log in, to try it ourselves.
fn amqp_door(settings: &Settings) -> Result<AmqpDoor> {
    let amqp = amqp(settings);
    let url = amqp.url().parse().map_err(|e: url::ParseError| Error::invalid("not an AMQP address").because(e))?;
    AmqpDoor::new(&url, tls(settings)?, Resolver::system()?)
}

/// How to speak TLS to the broker, on both of its doors.
fn tls(settings: &Settings) -> Result<Tls> {
    let Some(broker) = &settings.broker else { return Ok(Tls::default()) };
    let authorities = broker.ca_file.as_deref().map(|path| read("RABBIT_CA_FILE", path)).transpose()?;
    let identity = match &broker.certificate {
        None => None,
        Some(files) => Some(ClientCertificate {
            certificate: read("RABBIT_CERT", &files.cert_file)?,
            key: Secret::new(read("RABBIT_KEY", &files.key_file)?),
        }),
    };
    Ok(Tls { authorities, identity })
}

fn read(setting: &str, path: &Path) -> Result<String> {
    fs::read_to_string(path).map_err(|e| {
        Error::invalid(format!("the file of {setting} cannot be read")).because(format!("{}: {e}", path.display()))
    })
}

fn backup_rules(settings: &Settings) -> backups::Rules {
    backups::Rules {
        directory: BackupDirectory::new(settings.backup.dir.clone()),
        aside: settings.data_dir.join("drill"),
        keep: settings.backup.keep,
        period: settings.backup.period,
    }
}

/// Makes the store of a backup in the data directory, which must have none.
pub fn restore(settings: &Settings, backup: &Path) -> Result<Checked> {
    Store::restore(backup, &settings.data_dir, &key_source(&settings.key), &Clock::system())
}

/// Reads a backup to its end, by the key of the settings.
pub fn check_backup(settings: &Settings, backup: &Path) -> Result<Checked> {
    check_backup_file(backup, &key_source(&settings.key))
}

fn key_source(key: &settings::KeySource) -> KeySource {
    match key {
        settings::KeySource::File(path) => KeySource::File(path.clone()),
        settings::KeySource::Passphrase(passphrase) => KeySource::Passphrase(passphrase.clone()),
    }
}

fn trust_proxy(trust: &settings::TrustProxy) -> TrustProxy {
    match trust {
        settings::TrustProxy::Nobody => TrustProxy::Nobody,
        settings::TrustProxy::DirectPeer => TrustProxy::DirectPeer,
        settings::TrustProxy::Hops(nets) => TrustProxy::Hops(nets.clone().into()),
    }
}

fn amqp(settings: &Settings) -> Amqp {
    let settings::AmqpSettings { protocol, hostname, port, vhost } = settings.amqp.clone();
    Amqp { protocol: protocol.as_str().into(), hostname, port, vhost }
}

/// How often one client may ask, and one address be wrong.
fn rates(settings: &Settings) -> auth::Limits {
    let limits = settings.listen.limits;
    auth::Limits { requests: limits.per_minute, failures: limits.failures_per_minute }
}

fn monitor_rules(settings: &Settings) -> monitor::Rules {
    let namespaces = settings.namespaces.clone();
    monitor::Rules {
        prefixes: Prefixes {
            queue: namespaces.queue_prefix,
            exchange: namespaces.exchange_prefix,
            namespace: namespaces.namespace_prefix,
            username: namespaces.username_prefix,
        },
        vhost: settings.amqp.vhost.clone(),
        alert_threshold: settings.monitor.alert_threshold,
        delete_threshold: settings.monitor.delete_threshold,
        connection_max_lifetime: settings.monitor.connection_max_lifetime,
        period: settings.monitor.period,
        contacts: settings.hosts.contacts.clone(),
        mock: settings.monitor.mock,
    }
}

fn host_rules(settings: &Settings) -> hosts::Rules {
    let host = settings.hosts.clone();
    hosts::Rules {
        lending: lending(settings),
        agree: host.agree,
        fresh_max: host.fresh_max,
        per_minute: host.per_minute,
        contacts: host.contacts,
    }
}

/// What hosts get, or the settings that are missing for it.
fn lending(settings: &Settings) -> std::result::Result<hosts::Lending, Vec<&'static str>> {
    let (credentials, host) = (settings.credentials.clone(), settings.hosts.clone());
    let missing = [
        ("TASKCLUSTER_CLIENT_ID", credentials.is_none()),
        ("TASKCLUSTER_ACCESS_TOKEN", credentials.is_none()),
        ("TASKCLUSTER_SCOPE_BASE", host.scope_base.is_none()),
        ("TASKCLUSTER_CLIENT_ID_BASE", host.client_id_base.is_none()),
        ("TASKCLUSTER_CREDENTIALS_EXPIRE", host.expires.is_none()),
        ("TASKCLUSTER_ALLOWED_IPS", host.allowed.is_none()),
    ];
    let missing = || missing.iter().filter(|(_, is_missing)| *is_missing).map(|(name, _)| *name).collect();
    let lending = || {
        let settings::Credentials { client_id, access_token } = credentials?;
        Some(hosts::Lending {
            issuer: client_id,
            access_token,
            scope_base: host.scope_base?,
            client_id_base: host.client_id_base?,
            duration: host.expires?,
            allowed: host.allowed?,
        })
    };
    lending().ok_or_else(missing)
}

fn rules(settings: &Settings) -> Rules {
    let namespaces = settings.namespaces.clone();
    Rules {
        namespace_prefix: namespaces.namespace_prefix,
        username_prefix: namespaces.username_prefix,
        user_tags: namespaces.user_tags,
        access: Access { configure: namespaces.configure, write: namespaces.write, read: namespaces.read },
        expiration_delay: namespaces.expiration_delay,
        queue_prefix: namespaces.queue_prefix,
        exchange_prefix: namespaces.exchange_prefix,
        rotation_interval: Span::from_millis(
            i64::try_from(namespaces.rotation_interval.as_millis()).unwrap_or(i64::MAX),
        ),
        amqp: amqp(settings),
    }
}
