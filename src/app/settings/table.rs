//! The list of settings.

use super::setting::Fallback::{Follows, Is, Nothing};
use super::setting::{Flag, Setting, Shape};
use super::values::Values;

/// Names that the product promises and that this version does not use yet.
pub(super) const LATER: &[&str] = &["BASE_ROUTE"];

/// Names of the ancestors that stand for nothing here: which part of their own settings files was read.
const FORMER: &[&str] = &["DEPLOY_ENV"];

/// Every setting of this version, in the order in which people read them.
pub const TABLE: &[Setting] = &[
    Setting::plain("NODE_ENV", "env", Is("development"), "development, production or test"),
    Setting::plain("PORT", "port", Is("8080"), "port to listen on; 0 takes a free one"),
    Setting::plain(
        "BIND",
        "bind",
        Follows("127.0.0.1 in development, :: in production", |values| values.by_mode("127.0.0.1", "::")),
        "address to listen on; :: takes both families",
    ),
    Setting::plain("PUBLIC_URL", "public-url", Nothing, "what clients are told; taken from the request if not set"),
    Setting::switch(
        "FORCE_SSL",
        "force-ssl",
        Follows("false in development, true in production", |values| values.by_mode("false", "true")),
        "redirect or refuse plain requests",
    ),
    Setting::switch(
        "PROXY_PROTOCOL",
        "proxy-protocol",
        Is("false"),
        "every connection begins with a PROXY header, version 1 or 2, of a hop of TRUST_PROXY",
    ),
    Setting::secret(
        ["METRICS_TOKEN", "METRICS_TOKEN_FILE"],
        ["metrics-token", "metrics-token-file"],
        "bearer token that opens /metrics to other hosts; without one only this host may ask",
    ),
    Setting::plain("TRUST_PROXY", "trust-proxy", Is("false"), "whose X-Forwarded headers count: false, true or CIDRs"),
    Setting::plain(
        "TLS_CERT",
        "tls-cert",
        Nothing,
        "PEM file of our certificate: the port speaks TLS; read again on SIGHUP",
    ),
    Setting::plain("TLS_KEY", "tls-key", Nothing, "PEM file of its key"),
    Setting::plain(
        "TLS_CLIENT_CA",
        "tls-client-ca",
        Nothing,
        "PEM file of authorities whose client certificates are believed: see `keylender client certificate`",
    ),
    Setting::plain(
        "CONNECTIONS_MAX",
        "connections-max",
        Is("900"),
        "connections at once; one address has a quarter of them",
    ),
    Setting::plain(
        "CLIENT_REQUESTS_MAX",
        "client-requests-max",
        Is("60000"),
        "requests of one client in a minute, from other hosts; 0 is no limit",
    ),
    Setting::plain(
        "AUTH_FAILURES_MAX",
        "auth-failures-max",
        Is("60"),
        "wrong credentials of one address in a minute, from other hosts; 0 is no limit",
    ),
    Setting::plain(
        "DATA_DIR",
        "data-dir",
        Follows(
            "./data in development; in production /var/lib/NAME, as settings are in /etc/NAME.conf",
            Values::data_dir,
        ),
        "directory of the store and its key",
    ),
    Setting::plain(
        "KEY_FILE",
        "key-file",
        Follows("<DATA_DIR>/key", Values::key_file),
        "file with the key that seals secrets at rest",
    ),
    Setting::secret(
        ["KEY_PASSPHRASE", "KEY_PASSPHRASE_FILE"],
        ["key-passphrase", "key-passphrase-file"],
        "passphrase that seals secrets at rest, instead of the key file",
    ),
    Setting::plain(
        "BACKUP_DIR",
        "backup-dir",
        Follows("<DATA_DIR>/backups", Values::backup_dir),
        "directory of backups; another disk is better",
    ),
    Setting::plain("BACKUP_PERIOD", "backup-period", Is("1 day"), "how often a backup is taken"),
    Setting::plain("BACKUP_KEEP", "backup-keep", Is("7"), "how many backups are kept"),
    Setting::plain("LOG_LEVEL", "log-level", Is("info"), "error, warn, info, debug or trace; also target=level lists"),
    Setting::plain("LOG_FORMAT", "log-format", Is("text"), "text or json"),
    Setting::plain("LOG_MODE", "log-mode", Is("stdout"), "where the log goes: stdout, file or syslog"),
    Setting::plain("LOG_FILE", "log-file", Nothing, "file of the log; opened again on SIGHUP"),
    Setting::plain("SYSLOG_HOST", "syslog-host", Nothing, "syslog server; if not set, the socket of this host"),
    Setting::plain("SYSLOG_PORT", "syslog-port", Is("514"), "port of the syslog server"),
    Setting::plain(
        "SYSLOG_PROTOCOL",
        "syslog-protocol",
        Follows("udp with SYSLOG_HOST, else local", Values::syslog_protocol),
        "local (the socket of this host), udp or tcp",
    ),
    Setting::plain("SYSLOG_FACILITY", "syslog-facility", Is("daemon"), "facility of every line, such as local0"),
    Setting::switch("DEBUG", "debug", Nothing, "set to anything: LOG_LEVEL is debug, whatever else it says"),
    Setting::plain(
        "TASKCLUSTER_ROOT_URL",
        "root-url",
        Nothing,
        "deployment whose auth service knows the callers; if not set, Keylender's own clients",
    ),
    Setting::plain(
        "TASKCLUSTER_CLIENT_ID",
        "client-id",
        Nothing,
        "who we are to that deployment; with it, mail goes through its notify service",
    ),
    Setting::secret(
        ["TASKCLUSTER_ACCESS_TOKEN", "TASKCLUSTER_ACCESS_TOKEN_FILE"],
        ["token", "token-file"],
        "the access token of that client",
    ),
    Setting::plain(
        "TASKCLUSTER_SCOPE_BASE",
        "scope-base",
        Nothing,
        "host credentials: what stands before the reversed host name in the one scope",
    ),
    Setting::plain(
        "TASKCLUSTER_CLIENT_ID_BASE",
        "client-id-base",
        Nothing,
        "host credentials: what stands before the reversed host name in the client id",
    ),
    Setting::plain(
        "TASKCLUSTER_CREDENTIALS_EXPIRE",
        "expires",
        Nothing,
        "host credentials: how long they are valid, such as `12 hours`; at most 31 days",
    ),
    Setting::plain(
        "TASKCLUSTER_ALLOWED_IPS",
        "allowed-ips",
        Nothing,
        "host credentials: networks that may ask, such as `10.0.0.0/8 2001:db8::/32`",
    ),
    Setting::plain(
        "HOST_REQUESTS_MAX",
        "host-requests-max",
        Is("60"),
        "host credentials: requests of one address in a minute; 0 is no limit",
    ),
    Setting::plain(
        "DNS_SERVERS",
        "dns-servers",
        Nothing,
        "servers that verify hosts: a list of address[:port]; those of /etc/resolv.conf if not set",
    ),
    Setting::plain("DNS_AGREE", "dns-agree", Is("1"), "how many DNS servers must give the same verdict"),
    Setting::plain("DNS_TIMEOUT", "dns-timeout", Is("2 seconds"), "for one DNS server to answer one question"),
    Setting::plain(
        "DNS_CACHE_MAX",
        "dns-cache-max",
        Is("5 minutes"),
        "how long a verified host name is believed, if its records allow it so long",
    ),
    Setting::switch("DNS_HOSTS_FILE", "dns-hosts-file", Is("true"), "whether /etc/hosts may verify hosts too"),
    Setting::switch("DNS_DNSSEC", "dns-dnssec", Is("false"), "believe only DNS answers that are signed"),
    Setting::plain(
        "DNS_TRUST_ANCHOR",
        "dns-trust-anchor",
        Nothing,
        "file of the DNSKEY records that DNSSEC trusts; the keys of the root if not set",
    ),
    Setting::plain("RABBIT_BASE_URL", "rabbit-url", Nothing, "management API, such as http://localhost:15672/api"),
    Setting::plain("RABBIT_USERNAME", "rabbit-username", Nothing, "an administrator of the broker"),
    Setting::secret(
        ["RABBIT_PASSWORD", "RABBIT_PASSWORD_FILE"],
        ["rabbit-password", "rabbit-password-file"],
        "the administrator's password",
    ),
    Setting::plain(
        "RABBIT_ROTATION_PERIOD",
        "rabbit-rotation-period",
        Nothing,
        "how often Keylender replaces the administrator by one of its own making, such as `30 days`; never if not set",
    ),
    Setting::plain("RABBIT_CA_FILE", "rabbit-ca-file", Nothing, "file with the broker's private CA"),
    Setting::plain("RABBIT_CERT", "rabbit-cert", Nothing, "file with the client certificate for the broker"),
    Setting::plain("RABBIT_KEY", "rabbit-key", Nothing, "file with the key of the client certificate"),
    Setting::plain(
        "TASKCLUSTER_AMQP_HOSTNAME",
        "amqp-hostname",
        Follows("host of RABBIT_BASE_URL", Values::amqp_hostname),
        "host in connection strings",
    ),
    Setting::plain("TASKCLUSTER_AMQP_PORT", "amqp-port", Is("5672"), "port in connection strings"),
    Setting::plain("TASKCLUSTER_AMQP_PROTOCOL", "amqp-protocol", Is("amqp://"), "amqp:// or amqps://"),
    Setting::plain("TASKCLUSTER_AMQP_VHOST", "amqp-vhost", Is("/"), "vhost in connection strings"),
    Setting::text("USERNAME_PREFIX", "username-prefix", Is(""), "before the namespace in broker user names"),
    Setting::text(
        "NAMESPACE_PREFIX",
        "namespace-prefix",
        Is("taskcluster-"),
        "namespaces begin with it; nothing outside it is ever touched",
    ),
    Setting::text("USER_TAGS", "user-tags", Is("taskcluster-pulse"), "tags of lent users"),
    Setting::plain(
        "USER_CONFIG_PERMISSION",
        "user-config-permission",
        Follows("queues and exchanges of the namespace", Values::own_permission),
        "regex of what lent users may configure, with {{namespace}}",
    ),
    Setting::plain(
        "USER_WRITE_PERMISSION",
        "user-write-permission",
        Follows("queues and exchanges of the namespace", Values::own_permission),
        "regex of what lent users may write, with {{namespace}}",
    ),
    Setting::plain(
        "USER_READ_PERMISSION",
        "user-read-permission",
        Follows("queues of the namespace, all exchanges", Values::read_permission),
        "regex of what lent users may read, with {{namespace}}",
    ),
    Setting::text("QUEUE_PREFIX", "queue-prefix", Is("queue/"), "queues begin with it, then the namespace"),
    Setting::text("EXCHANGE_PREFIX", "exchange-prefix", Is("exchange/"), "exchanges begin with it, then the namespace"),
    Setting::plain(
        "NAMESPACE_ROTATION_INTERVAL",
        "namespace-rotation-interval",
        Is("1 hour"),
        "how often the password of a namespace changes",
    ),
    Setting::plain(
        "NAMESPACES_EXPIRATION_DELAY",
        "namespaces-expiration-delay",
        Is("1 hour"),
        "how long after its end a namespace is removed",
    ),
    Setting::plain("EXPIRE_PERIOD", "expire-period", Is("1 hour"), "how often namespaces that are over are removed"),
    Setting::plain(
        "MONITOR_ALERT_THRESHOLD",
        "monitor-alert-threshold",
        Is("4000"),
        "messages in a queue beyond which its contact is warned",
    ),
    Setting::plain(
        "MONITOR_DELETE_THRESHOLD",
        "monitor-delete-threshold",
        Is("8000"),
        "messages in a queue beyond which it is deleted",
    ),
    Setting::plain(
        "CONNECTION_MAX_LIFETIME",
        "connection-max-lifetime",
        Is("72 hours"),
        "how old a connection of a lent user may be before it is closed",
    ),
    Setting::plain(
        "MONITOR_PERIOD",
        "monitor-period",
        Is("1 minute"),
        "how often queues and connections are looked at",
    ),
    Setting::plain("ROTATE_PERIOD", "rotate-period", Is("5 minutes"), "how often due namespaces are rotated"),
    Setting::plain("RECONCILE_PERIOD", "reconcile-period", Is("1 minute"), "how often broker and store are compared"),
    Setting::switch("VERIFY_LOGINS", "verify-logins", Is("false"), "prove a new password by an AMQP login"),
    Setting::secret(
        ["SMTP_URL", "SMTP_URL_FILE"],
        ["smtp-url", "smtp-url-file"],
        "mail server: smtp://, smtps:// or smtp+starttls://[user:password@]host[:port]; if not set, mail is put into \
         <DATA_DIR>/outbox",
    ),
    Setting::plain("MAIL_FROM", "mail-from", Is("keylender@localhost"), "address that mail comes from"),
    Setting::plain(
        "OPERATOR_MAIL",
        "operator-mail",
        Nothing,
        "addresses that hear what is no namespace's matter: hosts that changed, brakes that hold",
    ),
    Setting::plain("OIDC_ISSUER", "oidc-issuer", Nothing, "OpenID Connect issuer by which operators may sign in"),
    Setting::plain("OIDC_CLIENT_ID", "oidc-client-id", Nothing, "who the console is to that issuer"),
    Setting::secret(
        ["OIDC_CLIENT_SECRET", "OIDC_CLIENT_SECRET_FILE"],
        ["oidc-client-secret", "oidc-client-secret-file"],
        "the secret of that client",
    ),
    Setting::plain(
        "OIDC_ROLES",
        "oidc-roles",
        Nothing,
        "which role members of a group have, such as `staff=viewer,on call=operator,root=admin`; the highest counts",
    ),
    Setting::plain("OIDC_GROUPS_CLAIM", "oidc-groups-claim", Is("groups"), "claim of the ID token that lists groups"),
    Setting::plain("WEBHOOK_URL", "webhook-url", Nothing, "where every notice is posted as signed JSON"),
    Setting::secret(
        ["WEBHOOK_SECRET", "WEBHOOK_SECRET_FILE"],
        ["webhook-secret", "webhook-secret-file"],
        "what signs for the webhook; at least 16 characters",
    ),
    Setting::switch(
        "MOCK_MAINTENANCE",
        "mock-maintenance",
        Is("false"),
        "loops plan and log, and change nothing outside",
    ),
];

/// Every flag, in the order of the table; after a secret comes the flag for its file.
pub fn flags() -> impl Iterator<Item = Flag> {
    TABLE.iter().flat_map(|setting| {
        let Setting { name, flag, help, .. } = *setting;
        let switch = matches!(setting.shape, Shape::Switch);
        let by_value = Flag { name, flag, help, default: setting.default_text(), secret: setting.is_secret(), switch };
        let by_file = match setting.shape {
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
