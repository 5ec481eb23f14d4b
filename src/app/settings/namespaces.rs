//! Settings of what is lent to namespaces: names and rights at the broker, times, and what connection strings say.

use std::time::Duration;

use url::Host;

use super::broker::BASE_URL;
use super::parse::{self, Parsed};
use super::reader::Reader;
use super::setting::{Setting, Values};
use crate::base::{Span, VhostName};
use crate::domain::namespaces::{Amqp, Config};
use crate::ports::broker::Access;

pub(super) const AMQP_HOSTNAME: Setting<String> =
    Setting::new("TASKCLUSTER_AMQP_HOSTNAME", "amqp-hostname", "host of RABBIT_BASE_URL", hostname)
        .follows(host_of_broker)
        .help("host in connection strings");
pub(super) const AMQP_PORT: Setting<u16> =
    Setting::new("TASKCLUSTER_AMQP_PORT", "amqp-port", "5672", parse::remote_port).help("port in connection strings");
pub(super) const AMQP_PROTOCOL: Setting<&str> =
    Setting::new("TASKCLUSTER_AMQP_PROTOCOL", "amqp-protocol", "amqp://", protocol).help("amqp:// or amqps://");
pub(super) const AMQP_VHOST: Setting<VhostName> =
    Setting::new("TASKCLUSTER_AMQP_VHOST", "amqp-vhost", "/", parse::of).help("vhost in connection strings");
pub(super) const AMQP_QUERY: Setting<String> = Setting::new("TASKCLUSTER_AMQP_QUERY", "amqp-query", "", amqp_query)
    .may_be_empty()
    .help("what follows the vhost in connection strings, such as heartbeat=30");
pub(super) const USERNAME_PREFIX: Setting<String> =
    Setting::new("USERNAME_PREFIX", "username-prefix", "", username_prefix)
        .may_be_empty()
        .help("before the namespace in broker user names");
pub(super) const NAMESPACE_PREFIX: Setting<String> =
    Setting::new("NAMESPACE_PREFIX", "namespace-prefix", "taskcluster-", namespace_prefix)
        .may_be_empty()
        .help("namespaces begin with it; nothing outside it is ever touched");
pub(super) const USER_TAGS: Setting<Vec<String>> =
    Setting::new("USER_TAGS", "user-tags", "taskcluster-pulse", parse::words).may_be_empty().help("tags of lent users");
pub(super) const USER_CONFIG_PERMISSION: Setting<String> =
    Setting::new("USER_CONFIG_PERMISSION", "user-config-permission", OWN_NAMES, permission)
        .follows(own_names)
        .help("regex of what lent users may configure, with {{namespace}}");
pub(super) const USER_WRITE_PERMISSION: Setting<String> =
    Setting::new("USER_WRITE_PERMISSION", "user-write-permission", OWN_NAMES, permission)
        .follows(own_names)
        .help("regex of what lent users may write, with {{namespace}}");
pub(super) const USER_READ_PERMISSION: Setting<String> =
    Setting::new("USER_READ_PERMISSION", "user-read-permission", "queues of the namespace, all exchanges", permission)
        .follows(own_queues_and_all_exchanges)
        .help("regex of what lent users may read, with {{namespace}}");
pub(super) const QUEUE_PREFIX: Setting<String> = Setting::new("QUEUE_PREFIX", "queue-prefix", "queue/", broker_prefix)
    .may_be_empty()
    .help("queues begin with it, then the namespace");
pub(super) const EXCHANGE_PREFIX: Setting<String> =
    Setting::new("EXCHANGE_PREFIX", "exchange-prefix", "exchange/", broker_prefix)
        .may_be_empty()
        .help("exchanges begin with it, then the namespace");
pub(super) const ROTATION_INTERVAL: Setting<Duration> =
    Setting::new("NAMESPACE_ROTATION_INTERVAL", "namespace-rotation-interval", "1 hour", parse::period)
        .help("how often the password of a namespace changes");
pub(super) const EXPIRATION_DELAY: Setting<Duration> =
    Setting::new("NAMESPACES_EXPIRATION_DELAY", "namespaces-expiration-delay", "1 hour", parse::period)
        .help("how long after its end a namespace is removed");
pub(super) const EXPIRE_PERIOD: Setting<Duration> =
    Setting::new("EXPIRE_PERIOD", "expire-period", "1 hour", parse::period)
        .help("how often namespaces that are over are removed");
pub(super) const ROTATE_PERIOD: Setting<Duration> =
    Setting::new("ROTATE_PERIOD", "rotate-period", "5 minutes", parse::period)
        .help("how often due namespaces are rotated");
pub(super) const RECONCILE_PERIOD: Setting<Duration> =
    Setting::new("RECONCILE_PERIOD", "reconcile-period", "1 minute", parse::period)
        .help("how often broker and store are compared");
pub(super) const VERIFY_LOGINS: Setting<bool> =
    Setting::switch("VERIFY_LOGINS", "verify-logins", "false", parse::boolean)
        .help("prove a new password by an AMQP login");

/// What users of a namespace may configure and write unless something else is set, in words.
const OWN_NAMES: &str = "queues and exchanges of the namespace";
/// What stands for the namespace in the regexes of permissions.
const NAMESPACE: &str = "{{namespace}}";
/// What a regex gives a meaning; escaped when a prefix becomes part of one.
const REGEX_SPECIAL: &str = r"\.^$*+?()[]{}|";
/// Longest query of connection strings: some parts fit, and the string stays one line.
const AMQP_QUERY_LEN_MAX: usize = 200;
/// Longest prefix of a namespace: one character of the 64 is left.
const NAMESPACE_PREFIX_LEN_MAX: usize = 63;
/// Longest prefix before a namespace in a name of the broker, whose names have at most 255 bytes.
const BROKER_PREFIX_LEN_MAX: usize = 128;

pub(super) fn namespaces(read: &mut Reader) -> Config {
    let amqp = Amqp {
        protocol: read.get(&AMQP_PROTOCOL).into(),
        hostname: read.get(&AMQP_HOSTNAME),
        port: read.get(&AMQP_PORT),
        vhost: read.get(&AMQP_VHOST),
        query: read.get(&AMQP_QUERY),
    };
    Config {
        amqp,
        username_prefix: read.get(&USERNAME_PREFIX),
        namespace_prefix: read.get(&NAMESPACE_PREFIX),
        user_tags: read.get(&USER_TAGS),
        access: Access {
            configure: read.get(&USER_CONFIG_PERMISSION),
            write: read.get(&USER_WRITE_PERMISSION),
            read: read.get(&USER_READ_PERMISSION),
        },
        queue_prefix: read.get(&QUEUE_PREFIX),
        exchange_prefix: read.get(&EXCHANGE_PREFIX),
        expiration_delay: read.get(&EXPIRATION_DELAY),
        rotation_interval: span(read.get(&ROTATION_INTERVAL)),
    }
}

fn span(size: Duration) -> Span {
    Span::from_millis(i64::try_from(size.as_millis()).unwrap_or(i64::MAX))
}

/// The broker's host. A URL that is refused says nothing, so that this default is valid whatever was given.
fn host_of_broker(values: &Values) -> String {
    let url = values.text(&BASE_URL.info).and_then(|text| parse::service_url(&text).ok());
    url.and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_else(|| "localhost".to_owned())
}

fn own_names(values: &Values) -> String {
    let [queue, exchange] = prefixes(values);
    format!("^({queue}{NAMESPACE}/.*|{exchange}{NAMESPACE}/.*)")
}

fn own_queues_and_all_exchanges(values: &Values) -> String {
    let [queue, exchange] = prefixes(values);
    format!("^({queue}{NAMESPACE}/.*|{exchange}.*)")
}

/// The prefixes of queues and exchanges, as regexes that match just them.
fn prefixes(values: &Values) -> [String; 2] {
    [QUEUE_PREFIX, EXCHANGE_PREFIX].map(|prefix| {
        let escape = |c| REGEX_SPECIAL.contains(c).then_some('\\').into_iter().chain([c]);
        values.text(&prefix.info).unwrap_or_default().chars().flat_map(escape).collect()
    })
}

/// A host as it stands in a URL, so an IPv6 address has brackets.
fn hostname(text: &str) -> Parsed<String> {
    Host::parse(text).map(|host| host.to_string()).or_else(|_| parse::expected("a host name or address", text))
}

fn protocol(text: &str) -> Parsed<&'static str> {
    parse::one_of(text, &[("amqp://", "amqp://"), ("amqps://", "amqps://")])
}

/// What libraries of clients read behind a `?`, each part with a value.
fn amqp_query(text: &str) -> Parsed<String> {
    let is_word =
        |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~%".contains(&b));
    let is_part = |part: &str| part.split_once('=').is_some_and(|(name, value)| is_word(name) && is_word(value));
    let fits = text.len() <= AMQP_QUERY_LEN_MAX && (text.is_empty() || text.split('&').all(is_part));
    parse::fitting(text, fits, "such as frameMax=8192&heartbeat=30, at most 200 characters")
}

/// A prefix of user names, which stand unescaped in connection strings.
fn username_prefix(text: &str) -> Parsed<String> {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    let fits = text.len() <= BROKER_PREFIX_LEN_MAX && text.bytes().all(fits);
    parse::fitting(text, fits, "at most 128 of A-Z a-z 0-9 - . _ ~")
}

/// A prefix of namespaces. Not empty: everything at the broker would be ours to delete.
fn namespace_prefix(text: &str) -> Parsed<String> {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    let fits = (1..=NAMESPACE_PREFIX_LEN_MAX).contains(&text.len()) && text.bytes().all(fits);
    parse::fitting(text, fits, "1 to 63 of A-Z a-z 0-9 _ -")
}

/// A prefix of queues or exchanges.
fn broker_prefix(text: &str) -> Parsed<String> {
    let fits = text.len() <= BROKER_PREFIX_LEN_MAX && text.bytes().all(|b| b.is_ascii_graphic());
    parse::fitting(text, fits, "at most 128 printable ASCII characters without blanks")
}

fn permission(text: &str) -> Parsed<String> {
    parse::fitting(text, text.contains(NAMESPACE), "a regex with {{namespace}}")
}
