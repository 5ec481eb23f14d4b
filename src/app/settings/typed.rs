//! Settings as the rest of the program knows them: parsed, checked, and never checked again.

use std::path::{Path, PathBuf};
use std::time::Duration;

use url::Url;

use super::problems::Report;
use super::values::Values;
use super::{Effective, Sources, backup, hosts, listen, load, log, monitor, oidc, outbox, parse};
use crate::base::{Secret, VhostName};
use crate::ports::authority;

/// What says nothing alone: the first of each pair needs the second.
const NEEDS: [(&str, &str); 23] = [
    ("TLS_CERT", "TLS_KEY"),
    ("TLS_KEY", "TLS_CERT"),
    ("TLS_CLIENT_CA", "TLS_CERT"),
    ("RABBIT_ROTATION_PERIOD", "RABBIT_BASE_URL"),
    ("RABBIT_BASE_URL", "RABBIT_USERNAME"),
    ("RABBIT_BASE_URL", "RABBIT_PASSWORD"),
    ("RABBIT_USERNAME", "RABBIT_BASE_URL"),
    ("RABBIT_PASSWORD", "RABBIT_BASE_URL"),
    ("RABBIT_CA_FILE", "RABBIT_BASE_URL"),
    ("RABBIT_CERT", "RABBIT_BASE_URL"),
    ("RABBIT_CERT", "RABBIT_KEY"),
    ("RABBIT_KEY", "RABBIT_CERT"),
    ("SMTP_URL", "MAIL_FROM"),
    ("WEBHOOK_URL", "WEBHOOK_SECRET"),
    ("WEBHOOK_SECRET", "WEBHOOK_URL"),
    ("OIDC_ISSUER", "OIDC_CLIENT_ID"),
    ("OIDC_ISSUER", "OIDC_CLIENT_SECRET"),
    ("OIDC_ISSUER", "OIDC_ROLES"),
    ("OIDC_ISSUER", "PUBLIC_URL"),
    ("OIDC_CLIENT_ID", "OIDC_ISSUER"),
    ("OIDC_CLIENT_SECRET", "OIDC_ISSUER"),
    ("TASKCLUSTER_CLIENT_ID", "TASKCLUSTER_ACCESS_TOKEN"),
    ("TASKCLUSTER_ACCESS_TOKEN", "TASKCLUSTER_CLIENT_ID"),
];

/// The settings of an appliance.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What people see of all settings; secrets are masked.
    pub effective: Vec<Effective>,
    /// What it runs for (`NODE_ENV`).
    pub mode: Mode,
    /// The listener.
    pub listen: listen::ListenSettings,
    /// Directory of the store (`DATA_DIR`); it need not exist yet.
    pub data_dir: PathBuf,
    /// Where the key that seals secrets comes from.
    pub key: KeySource,
    /// Backups of the store.
    pub backup: backup::BackupSettings,
    /// The log.
    pub log: log::LogSettings,
    /// The deployment whose auth service knows the callers; without one, the own store does.
    pub root_url: Option<Url>,
    /// Who we are to that deployment.
    pub credentials: Option<outbox::Credentials>,
    /// What is lent to machines.
    pub hosts: hosts::HostSettings,
    /// The management API of the broker, if there is one.
    pub broker: Option<BrokerSettings>,
    /// What connection strings say.
    pub amqp: AmqpSettings,
    /// What is lent to namespaces.
    pub namespaces: NamespaceSettings,
    /// How often namespaces that are over are removed.
    pub expire_period: Duration,
    /// How notices leave.
    pub notices: outbox::NoticeSettings,
    /// The issuer by which operators may sign in.
    pub oidc: Option<oidc::OidcSettings>,
    /// How often namespaces whose time has come are rotated.
    pub rotate_period: Duration,
    /// How often broker and store are compared.
    pub reconcile_period: Duration,
    /// What opens the metrics to askers on other hosts.
    pub metrics_token: Option<Secret>,
    /// What is watched on the broker.
    pub monitor: monitor::MonitorSettings,
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

/// What an appliance runs for; decides defaults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// On a developer's machine.
    Development,
    /// For good.
    Production,
    /// In a test.
    Test,
}

/// Where the key that seals secrets comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// A file, which is made when it is missing.
    File(PathBuf),
    /// A passphrase.
    Passphrase(Secret),
}

/// The management API of the broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerSettings {
    /// Its address with any path prefix, without credentials and without a final slash in the path.
    pub base_url: Url,
    /// An administrator.
    pub username: String,
    /// The administrator's password.
    pub password: Secret,
    /// How often the administrator is replaced by one of our own making; never unless set.
    pub rotation_period: Option<Duration>,
    /// A private CA.
    pub ca_file: Option<PathBuf>,
    /// A client certificate.
    pub certificate: Option<ClientCertificate>,
}

/// The files of a client certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The certificate.
    pub cert_file: PathBuf,
    /// Its key.
    pub key_file: PathBuf,
}

/// How a connection string begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AmqpProtocol {
    /// Plain.
    Amqp,
    /// With TLS.
    Amqps,
}

impl AmqpProtocol {
    /// The text, with its `://`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Amqp => "amqp://",
            Self::Amqps => "amqps://",
        }
    }
}

/// What connection strings say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AmqpSettings {
    /// Plain or TLS.
    pub protocol: AmqpProtocol,
    /// The host; an IPv6 address is in brackets.
    pub hostname: String,
    /// The port.
    pub port: u16,
    /// The vhost, not encoded.
    pub vhost: VhostName,
}

/// What is lent to namespaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamespaceSettings {
    /// Stands before the namespace in the names of broker users.
    pub username_prefix: String,
    /// Every namespace begins with it; not empty.
    pub namespace_prefix: String,
    /// Tags of lent users.
    pub user_tags: Vec<String>,
    /// Regex of what may be configured, with `{{namespace}}`.
    pub configure: String,
    /// Regex of what may be written, with `{{namespace}}`.
    pub write: String,
    /// Regex of what may be read, with `{{namespace}}`.
    pub read: String,
    /// Stands before the namespace in the names of queues.
    pub queue_prefix: String,
    /// Stands before the namespace in the names of exchanges.
    pub exchange_prefix: String,
    /// How long after its end a namespace is removed.
    pub expiration_delay: Duration,
    /// How often the password changes.
    pub rotation_interval: Duration,
    /// Whether a new password is proved by a login before it is handed out.
    pub verify_logins: bool,
}

impl Settings {
    /// The defaults of `NODE_ENV=test`, with a free port and this data directory.
    pub fn for_tests(data_dir: &Path) -> Self {
        let flags = vec![("NODE_ENV".into(), "test".into()), ("PORT".into(), "0".into())];
        let loaded = load(&Sources { flags, ..Sources::default() }).expect("the defaults of the table are valid");
        let backup = backup::BackupSettings { dir: data_dir.join("backups"), ..loaded.settings.backup };
        Self { data_dir: data_dir.into(), key: KeySource::File(data_dir.join("key")), backup, ..loaded.settings }
    }
}

/// Parses every value. Where one is wrong, the problem is noted and the default stands in.
pub(super) fn build(values: &Values, report: &mut Report) -> Settings {
    let mut read = Reader { values, report };
    read.check_needs();
    let settings = Settings {
        effective: Vec::new(),
        mode: read.required("NODE_ENV", parse::mode),
        listen: listen::listen(&mut read),
        data_dir: read.required("DATA_DIR", parse::path),
        key: key(&mut read),
        log: log::log(&mut read),
        root_url: read.optional("TASKCLUSTER_ROOT_URL", parse::service_url),
        credentials: outbox::credentials(&mut read),
        hosts: hosts::hosts(&mut read),
        broker: broker(&mut read),
        amqp: AmqpSettings {
            protocol: read.required("TASKCLUSTER_AMQP_PROTOCOL", parse::amqp_protocol),
            hostname: read.required("TASKCLUSTER_AMQP_HOSTNAME", parse::hostname),
            port: read.required("TASKCLUSTER_AMQP_PORT", parse::remote_port),
            vhost: read.required("TASKCLUSTER_AMQP_VHOST", parse::vhost),
        },
        namespaces: namespaces(&mut read),
        expire_period: read.required("EXPIRE_PERIOD", parse::period),
        notices: outbox::notices(&mut read),
        oidc: oidc::oidc(&mut read),
        rotate_period: read.required("ROTATE_PERIOD", parse::period),
        reconcile_period: read.required("RECONCILE_PERIOD", parse::period),
        patience: Patience::default(),
        backup: backup::backup(&mut read),
        metrics_token: read.optional("METRICS_TOKEN", parse::token),
        monitor: monitor::monitor(&mut read),
    };
    listen::check_proxy(&settings, values, report);
    outbox::warn_about_mail(&settings.notices, report);
    hosts::warn_about_networks(&settings.hosts, report);
    settings
}

fn key(read: &mut Reader) -> KeySource {
    let file = read.required("KEY_FILE", parse::path);
    let Some(passphrase) = read.secret("KEY_PASSPHRASE") else { return KeySource::File(file) };
    if let Some(given) = read.values.given("KEY_FILE") {
        read.report.problem(&given.place, "KEY_FILE: KEY_PASSPHRASE is set as well; set one of them");
    }
    KeySource::Passphrase(passphrase)
}

fn broker(read: &mut Reader) -> Option<BrokerSettings> {
    let base_url = read.optional("RABBIT_BASE_URL", parse::service_url);
    let username = read.optional("RABBIT_USERNAME", parse::administrator);
    let password = read.secret("RABBIT_PASSWORD");
    let rotation_period = read.optional("RABBIT_ROTATION_PERIOD", parse::period);
    let ca_file = read.optional("RABBIT_CA_FILE", parse::path);
    let cert_file = read.optional("RABBIT_CERT", parse::path);
    let key_file = read.optional("RABBIT_KEY", parse::path);
    let certificate = cert_file.zip(key_file).map(|(cert_file, key_file)| ClientCertificate { cert_file, key_file });
    let (base_url, username, password) = (base_url?, username?, password?);
    Some(BrokerSettings { base_url, username, password, rotation_period, ca_file, certificate })
}

fn namespaces(read: &mut Reader) -> NamespaceSettings {
    NamespaceSettings {
        username_prefix: read.required("USERNAME_PREFIX", parse::username_prefix),
        namespace_prefix: read.required("NAMESPACE_PREFIX", parse::namespace_prefix),
        user_tags: read.required("USER_TAGS", parse::tags),
        configure: read.required("USER_CONFIG_PERMISSION", parse::permission),
        write: read.required("USER_WRITE_PERMISSION", parse::permission),
        read: read.required("USER_READ_PERMISSION", parse::permission),
        queue_prefix: read.required("QUEUE_PREFIX", parse::broker_prefix),
        exchange_prefix: read.required("EXCHANGE_PREFIX", parse::broker_prefix),
        expiration_delay: read.required("NAMESPACES_EXPIRATION_DELAY", parse::period),
        rotation_interval: read.required("NAMESPACE_ROTATION_INTERVAL", parse::period),
        verify_logins: read.required("VERIFY_LOGINS", parse::boolean),
    }
}

/// Reads values by name and notes what is wrong with them.
pub(super) struct Reader<'a> {
    pub(super) values: &'a Values,
    pub(super) report: &'a mut Report,
}

impl Reader<'_> {
    /// A value that always exists, because the table has a default for it.
    pub(super) fn required<T>(&mut self, name: &str, parse: fn(&str) -> Result<T, String>) -> T {
        self.optional(name, parse).unwrap_or_else(|| {
            let fallback = self.values.fallback(name).expect("the table has a default for it");
            parse(&fallback).expect("the defaults of the table are valid")
        })
    }

    /// A value that may be missing.
    pub(super) fn optional<T>(&mut self, name: &str, parse: fn(&str) -> Result<T, String>) -> Option<T> {
        let given = self.values.given(name)?;
        match parse(given.text.expose()) {
            Ok(value) => Some(value),
            Err(message) => {
                self.report.problem(&given.place, format!("{name}: {message}"));
                None
            }
        }
    }

    pub(super) fn secret(&self, name: &str) -> Option<Secret> {
        self.values.given(name).map(|given| given.text.clone())
    }

    fn check_needs(&mut self) {
        for (name, needed) in NEEDS {
            if let (Some(given), None) = (self.values.given(name), self.values.given(needed)) {
                self.report.problem(&given.place, format!("{name}: needs {needed} as well"));
            }
        }
    }
}
