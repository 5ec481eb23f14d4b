//! The list of settings, in the order in which people read them, and their flags.

use super::setting::{Info, Shape};
use super::{
    broker, hosts, listen, log, mode, monitor, namespaces, oidc, outbox, proxy, relay, services, storage, taskcluster,
};

/// Names that the product promises and that this version does not use yet.
pub(super) const LATER: &[&str] = &["BASE_ROUTE"];

/// Names of the ancestors that stand for nothing here: which part of their own settings files was read.
const FORMER: &[&str] = &["DEPLOY_ENV"];

const LIST: &[&[Info]] = &[
    &[mode::NODE_ENV.info],
    &[listen::PORT.info, listen::BIND.info, listen::PUBLIC_URL.info, listen::FORCE_SSL.info],
    &[listen::PROXY_PROTOCOL.info, listen::METRICS_TOKEN.info, listen::TRUST_PROXY.info, listen::TLS_CERT.info],
    &[listen::TLS_KEY.info, listen::TLS_CLIENT_CA.info, listen::CONNECTIONS_MAX.info],
    &[listen::CLIENT_REQUESTS_MAX.info, listen::AUTH_FAILURES_MAX.info],
    &[storage::DATA_DIR.info, storage::KEY_FILE.info, storage::KEY_PASSPHRASE.info, storage::BACKUP_DIR.info],
    &[
        storage::BACKUP_PERIOD.info,
        storage::BACKUP_KEEP.info,
        storage::ARCHIVE_SIZE_MAX.info,
        storage::ARCHIVE_KEEP.info,
    ],
    &[log::LOG_LEVEL.info, log::LOG_FORMAT.info, log::LOG_MODE.info, log::LOG_FILE.info, log::SYSLOG_HOST.info],
    &[log::SYSLOG_PORT.info, log::SYSLOG_PROTOCOL.info, log::SYSLOG_FACILITY.info, log::DEBUG.info],
    &[taskcluster::ROOT_URL.info, taskcluster::CLIENT_ID.info, taskcluster::ACCESS_TOKEN.info],
    &[hosts::SCOPE_BASE.info, hosts::CLIENT_ID_BASE.info, hosts::CREDENTIALS_EXPIRE.info],
    &[hosts::ALLOWED_IPS.info, hosts::HOST_REQUESTS_MAX.info, hosts::DNS_SERVERS.info, hosts::DNS_AGREE.info],
    &[hosts::DNS_TIMEOUT.info, hosts::DNS_CACHE_MAX.info, hosts::DNS_HOSTS_FILE.info, hosts::DNS_DNSSEC.info],
    &[hosts::DNS_TRUST_ANCHOR.info],
    &[broker::BASE_URL.info, broker::USERNAME.info, broker::PASSWORD.info, broker::ROTATION_PERIOD.info],
    &[broker::CA_FILE.info, broker::CERT.info, broker::KEY.info, broker::SITES_FILE.info],
    &[relay::PROFILE.info],
    &[proxy::UPSTREAMS_FILE.info, proxy::ADDRESS.info, proxy::SOCKETS.info],
    &[services::NETWORK.info, services::LOCAL_IMAGES.info, services::MEMORY_MAX.info],
    &[services::PROCESSES_MAX.info, services::LOG_SIZE_MAX.info],
    &[namespaces::AMQP_HOSTNAME.info, namespaces::AMQP_PORT.info, namespaces::AMQP_PROTOCOL.info],
    &[
        namespaces::AMQP_VHOST.info,
        namespaces::AMQP_QUERY.info,
        namespaces::USERNAME_PREFIX.info,
        namespaces::NAMESPACE_PREFIX.info,
    ],
    &[namespaces::USER_TAGS.info, namespaces::USER_CONFIG_PERMISSION.info],
    &[namespaces::USER_WRITE_PERMISSION.info, namespaces::USER_READ_PERMISSION.info],
    &[namespaces::QUEUE_PREFIX.info, namespaces::EXCHANGE_PREFIX.info, namespaces::ROTATION_INTERVAL.info],
    &[namespaces::EXPIRATION_DELAY.info, namespaces::EXPIRE_PERIOD.info],
    &[monitor::ALERT_THRESHOLD.info, monitor::DELETE_THRESHOLD.info, monitor::CONNECTION_MAX_LIFETIME.info],
    &[monitor::MONITOR_PERIOD.info],
    &[namespaces::ROTATE_PERIOD.info, namespaces::RECONCILE_PERIOD.info, namespaces::VERIFY_LOGINS.info],
    &[outbox::SMTP_URL.info, outbox::MAIL_FROM.info],
    &[hosts::OPERATOR_MAIL.info],
    &[oidc::ISSUER.info, oidc::CLIENT_ID.info, oidc::CLIENT_SECRET.info, oidc::ROLES.info],
    &[oidc::GROUPS_CLAIM.info],
    &[outbox::WEBHOOK_URL.info, outbox::WEBHOOK_SECRET.info],
    &[monitor::MOCK_MAINTENANCE.info],
];

/// A flag of the command line. Its value goes into [`Sources::flags`](super::Sources) under `name`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flag {
    /// The setting, or `NAME_FILE` of a secret.
    pub name: &'static str,
    /// The flag, without its dashes.
    pub flag: &'static str,
    /// One line of help.
    pub help: &'static str,
    /// Whether its value must not be seen.
    pub secret: bool,
    /// Whether it may stand alone and then means `true`.
    pub switch: bool,
}

/// Every setting of this version.
pub(super) fn all() -> impl Iterator<Item = &'static Info> {
    LIST.iter().copied().flatten()
}

/// Every flag, in the order of the list; after a secret comes the flag for its file.
pub fn flags() -> impl Iterator<Item = Flag> {
    all().flat_map(|setting| {
        let Info { name, flag, help, shape, .. } = *setting;
        let switch = matches!(shape, Shape::Switch);
        let by_value = Flag { name, flag, help, secret: setting.is_secret(), switch };
        let by_file = match shape {
            Shape::Secret { file_name, file_flag } => Some(Flag {
                name: file_name,
                flag: file_flag,
                help: "file that holds the value of the flag above",
                secret: false,
                ..by_value
            }),
            _ => None,
        };
        [Some(by_value), by_file].into_iter().flatten()
    })
}

/// Whether this name is known and changes nothing.
pub(super) fn has_no_effect(name: &str) -> bool {
    LATER.contains(&name) || FORMER.contains(&name)
}
