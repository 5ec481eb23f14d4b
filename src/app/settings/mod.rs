//! Settings: one list, three spellings, four sources; read once, checked once, reported all at once.
//!
//! Strongest first: flag, environment, settings file, default. Each setting is a constant of the section that
//! reads it, and `list` has them all. An empty value stands for
//! the default, also over a weaker source, except where an empty text means something (the prefixes, `USER_TAGS`).
//!
//! In the settings file an unknown key is an error that names the nearest known one. A key that the product promises
//! but that this version does not use yet draws a warning, so that one file can serve two versions. `OPTIONS` holds flags, as
//! in the files of the ancestors.

mod broker;
mod file;
mod hosts;
mod list;
mod listen;
mod log;
mod mode;
mod monitor;
mod namespaces;
mod nearest;
mod oidc;
mod options;
mod outbox;
mod parse;
mod problems;
mod proxy;
mod reader;
mod relay;
mod services;
mod setting;
mod sites;
mod sources;
mod storage;
mod taskcluster;
mod template;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::time::Duration;

use url::Url;

use crate::base::Secret;
use crate::domain;
use crate::ports::authority;
use crate::store::{ArchiveDirectory, BackupDirectory, KeySource};
use crate::web::state::SettingView;

pub use broker::{BrokerSettings, ClientCertificate};
pub use hosts::HostSettings;
pub use list::{Flag, flags};
pub use listen::{Limits, ListenSettings, TlsSettings};
pub use log::{LogOutput, LogSettings};
pub use mode::Mode;
pub use oidc::OidcSettings;
pub use outbox::{NoticeSettings, SmtpSettings, WebhookSettings};
pub use problems::{Place, Problem, Problems};
pub use proxy::resolved as read_upstreams;
pub use relay::{RelaySettings, Unusable, read_profile};
pub use sites::SiteSettings;
pub use sources::Sources;
pub use taskcluster::Credentials;
pub use template::template;

use problems::Report;
use reader::Reader;
use setting::{Info, Values};

/// What stands for a secret wherever settings are shown.
pub const MASK: &str = "•••";

/// The settings of an appliance.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What people see of all settings, in the order of the list; secrets are masked.
    pub effective: Vec<SettingView>,
    /// What it runs for (`NODE_ENV`).
    pub mode: Mode,
    /// The listener.
    pub listen: ListenSettings,
    /// Directory of the store (`DATA_DIR`); it need not exist yet.
    pub data_dir: PathBuf,
    /// Where the key that seals secrets comes from.
    pub key: KeySource,
    /// Backups of the store.
    pub backups: domain::backups::Config,
    /// Archives of queues.
    pub archives: domain::archives::Config,
    /// The log.
    pub log: LogSettings,
    /// The deployment whose auth service knows the callers; without one, the own store does.
    pub root_url: Option<Url>,
    /// Who we are to that deployment.
    pub credentials: Option<Credentials>,
    /// What is lent to machines.
    pub hosts: HostSettings,
    /// The management API of the broker, if there is one.
    pub broker: Option<BrokerSettings>,
    /// Further brokers that get the users of all namespaces.
    pub sites: Vec<SiteSettings>,
    /// What a platform of fixed programs needs on the broker, if that is declared.
    pub relay: Option<RelaySettings>,
    /// What sessions of the task proxy reach, and where they listen.
    pub proxy: domain::proxy::Config,
    /// Services beside tasks: their networks, their images, and how much each may take.
    pub services: domain::services::Config,
    /// What is lent to namespaces.
    pub namespaces: domain::namespaces::Config,
    /// Whether a new password is proved by a login before it is handed out.
    pub verify_logins: bool,
    /// How often namespaces that are over are removed.
    pub expire_period: Duration,
    /// How notices leave.
    pub notices: NoticeSettings,
    /// The issuer by which operators may sign in.
    pub oidc: Option<OidcSettings>,
    /// How often namespaces whose time has come are rotated.
    pub rotate_period: Duration,
    /// How often broker and store are compared.
    pub reconcile_period: Duration,
    /// What opens the metrics to askers on other hosts.
    pub metrics_token: Option<Secret>,
    /// What is watched on the broker.
    pub monitor: domain::monitor::Config,
    /// How long it waits for others. No source sets this: it is here for tests, which are less patient.
    pub patience: Patience,
}

/// How long an appliance waits for others.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For a TLS handshake.
    pub handshake: Duration,
    /// For the head of a request, and for an idle connection to send its next one.
    pub head: Duration,
    /// For all of a request's body to arrive.
    pub body: Duration,
    /// For a request from the network to be answered.
    pub work: Duration,
    /// For the remote authority.
    pub authority: authority::Patience,
}

impl Default for Patience {
    /// Thirty seconds are ten mebibytes over a slow line, and no longer. Nothing that a method waits for takes five minutes
    /// by itself.
    fn default() -> Self {
        let [handshake, head, body, work] = [10, 20, 30, 300].map(Duration::from_secs);
        Self { handshake, head, body, work, authority: authority::Patience::default() }
    }
}

/// Settings that passed every check.
#[derive(Debug)]
pub struct Loaded {
    /// The values, parsed.
    pub settings: Settings,
    /// What works but should be changed; for the log.
    pub warnings: Vec<String>,
}

/// Reads all sources and checks every value. Fails with all problems of all sources.
pub fn load(sources: &Sources) -> Result<Loaded, Problems> {
    let mut report = Report::default();
    let values = sources::gather(sources, &mut report);
    let settings = read(&mut Reader { values: &values, report: &mut report });
    report.finish().map(|warnings| Loaded { settings, warnings })
}

impl Settings {
    /// The defaults of `NODE_ENV=test`, with a free port and this data directory.
    pub fn for_tests(data_dir: &Path) -> Self {
        let flags = vec![("NODE_ENV".into(), "test".into()), ("PORT".into(), "0".into())];
        let loaded = load(&Sources { flags, ..Sources::default() }).expect("the defaults of settings are valid");
        let (directory, aside) = (BackupDirectory::new(data_dir.join("backups")), data_dir.join("drill"));
        let backups = domain::backups::Config { directory, aside, ..loaded.settings.backups };
        let directory = ArchiveDirectory::new(data_dir.join("archives"));
        let archives = domain::archives::Config { directory, ..loaded.settings.archives };
        let key = KeySource::File(data_dir.join("key"));
        let proxy = domain::proxy::Config { sockets: data_dir.join("proxy"), ..loaded.settings.proxy.clone() };
        Self { data_dir: data_dir.into(), key, backups, archives, proxy, ..loaded.settings }
    }
}

/// Parses every value. Where one is wrong, the problem is noted and the default stands in.
fn read(read: &mut Reader) -> Settings {
    for needs in
        [listen::NEEDS.as_slice(), &broker::NEEDS, &relay::NEEDS, &outbox::NEEDS, &oidc::NEEDS, &taskcluster::NEEDS]
    {
        read.check(needs);
    }
    let mode = read.get(&mode::NODE_ENV);
    let listen = listen::listen(read);
    let data_dir = read.get(&storage::DATA_DIR);
    let key = storage::key(read);
    let log = log::log(read);
    let root_url = read.find(&taskcluster::ROOT_URL);
    let credentials = taskcluster::credentials(read);
    let hosts = hosts::hosts(read);
    let contacts = hosts.contacts.clone();
    let namespaces = namespaces::namespaces(read);
    let settings = Settings {
        effective: list::all().map(|setting| effective(read.values, setting)).collect(),
        broker: broker::broker(read),
        sites: sites::sites(read, &namespaces.amqp.vhost),
        relay: relay::relay(read),
        proxy: proxy::proxy(read),
        services: services::services(read),
        namespaces,
        verify_logins: read.get(&namespaces::VERIFY_LOGINS),
        expire_period: read.get(&namespaces::EXPIRE_PERIOD),
        notices: outbox::notices(read),
        oidc: oidc::oidc(read),
        rotate_period: read.get(&namespaces::ROTATE_PERIOD),
        reconcile_period: read.get(&namespaces::RECONCILE_PERIOD),
        patience: Patience::default(),
        backups: storage::backups(read, &data_dir),
        archives: storage::archives(read, &data_dir),
        metrics_token: read.find(&listen::METRICS_TOKEN),
        monitor: monitor::monitor(read, contacts),
        mode,
        listen,
        data_dir,
        key,
        log,
        root_url,
        credentials,
        hosts,
    };
    listen::check_proxy(read, &settings.listen, settings.root_url.as_ref());
    outbox::warn_about_mail(read, &settings.notices);
    hosts::warn_about_networks(read, settings.hosts.allowed.as_ref());
    settings
}

/// What people see of a setting.
fn effective(values: &Values, setting: &Info) -> SettingView {
    let given = values.given(setting);
    let value = match given {
        Some(_) if setting.is_secret() => Some(MASK.to_owned()),
        _ => values.text(setting),
    };
    let source = match given {
        None => "default".to_owned(),
        Some(given) => match &given.read_from {
            Some(path) => format!("{}, file {}", given.place, path.display()),
            None => given.place.to_string(),
        },
    };
    SettingView { name: setting.name, value, source, help: setting.help }
}
