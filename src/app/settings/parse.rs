//! From the text of one setting to its type. A failure says what was expected; it never repeats what may hold a secret.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use url::{Host, Url};

use super::listen::TrustProxy;
use super::typed::{AmqpProtocol, Mode};
use crate::base::{Secret, Span, VhostName};

/// What stands for the namespace in the regexes of permissions.
const NAMESPACE: &str = "{{namespace}}";
/// Longest prefix of a namespace: one character of the 64 is left.
const NAMESPACE_PREFIX_LEN_MAX: usize = 63;
/// Longest prefix before a namespace in a name of the broker, whose names have at most 255 bytes.
const BROKER_PREFIX_LEN_MAX: usize = 128;
/// Shortest token of a machine.
const TOKEN_LEN_MIN: usize = 16;
/// The levels of the log.
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// The value, or what was expected.
type Parsed<T> = Result<T, String>;

fn expected<T>(what: &str, text: &str) -> Parsed<T> {
    Err(format!("expected {what}, not {text:?}"))
}

pub(super) fn mode(text: &str) -> Parsed<Mode> {
    match text {
        "development" => Ok(Mode::Development),
        "production" => Ok(Mode::Production),
        "test" => Ok(Mode::Test),
        _ => expected("development, production or test", text),
    }
}

pub(super) fn boolean(text: &str) -> Parsed<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Ok(true),
        "false" | "no" | "off" | "0" => Ok(false),
        _ => expected("true or false", text),
    }
}

/// A port to listen on; 0 lets the system choose.
pub(super) fn port(text: &str) -> Parsed<u16> {
    text.parse().or_else(|_| expected("a port from 0 to 65535", text))
}

/// A port that somebody else listens on.
pub(super) fn remote_port(text: &str) -> Parsed<u16> {
    match text.parse() {
        Ok(port) if port > 0 => Ok(port),
        _ => expected("a port from 1 to 65535", text),
    }
}

pub(super) fn address(text: &str) -> Parsed<IpAddr> {
    text.parse().or_else(|_| expected("an IP address", text))
}

/// A host as it stands in a URL, so an IPv6 address has brackets.
pub(super) fn hostname(text: &str) -> Parsed<String> {
    match Host::parse(text) {
        Ok(host) => Ok(host.to_string()),
        Err(_) => expected("a host name or address", text),
    }
}

/// Where something is served: `http` or `https`, maybe with a path, and nothing else. Final slashes are cut.
pub(super) fn service_url(text: &str) -> Parsed<Url> {
    let not_a_url = || "expected a URL such as https://host/path".to_owned();
    let mut url = Url::parse(text).map_err(|_| not_a_url())?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(not_a_url());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("a user name or password has no place in this URL".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("expected a URL without `?` and `#`".to_owned());
    }
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    Ok(url)
}

/// Something in a minute; 0 is no limit.
pub(super) fn rate(text: &str) -> Parsed<u32> {
    text.parse().or_else(|_| expected("a number of requests in a minute", text))
}

pub(super) fn path(text: &str) -> Parsed<PathBuf> {
    Ok(PathBuf::from(text))
}

pub(super) fn trust_proxy(text: &str) -> Parsed<TrustProxy> {
    if let Ok(trusted) = boolean(text) {
        return Ok(if trusted { TrustProxy::DirectPeer } else { TrustProxy::Nobody });
    }
    let hop = |word: &str| word.parse::<IpNet>().or_else(|_| word.parse::<IpAddr>().map(IpNet::from));
    match words(text).iter().map(|word| hop(word).map(|net| net.trunc())).collect::<Result<Vec<_>, _>>() {
        Ok(hops) if !hops.is_empty() => Ok(TrustProxy::Hops(hops)),
        _ => expected("false, true, or CIDRs such as 10.0.0.0/8", text),
    }
}

/// The words of a list, separated by blanks or commas.
pub(super) fn words(text: &str) -> Vec<String> {
    text.split([' ', '\t', ',']).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

pub(super) fn tags(text: &str) -> Parsed<Vec<String>> {
    Ok(words(text))
}

/// A level, or a list of `target=level` with at most one level for the rest.
pub(super) fn log_filter(text: &str) -> Parsed<String> {
    let filter = text.to_ascii_lowercase();
    let is_directive = |directive: &str| {
        let (target, level) = directive.split_once('=').unwrap_or(("all", directive));
        let is_target = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':');
        LEVELS.contains(&level) && !target.is_empty() && target.chars().all(is_target)
    };
    match filter.split(',').all(is_directive) {
        true => Ok(filter),
        false => expected("error, warn, info, debug or trace", text),
    }
}

/// Whether the log is JSON.
pub(super) fn log_format(text: &str) -> Parsed<bool> {
    match text {
        "text" => Ok(false),
        "json" => Ok(true),
        _ => expected("text or json", text),
    }
}

pub(super) fn amqp_protocol(text: &str) -> Parsed<AmqpProtocol> {
    match text {
        "amqp://" => Ok(AmqpProtocol::Amqp),
        "amqps://" => Ok(AmqpProtocol::Amqps),
        _ => expected("amqp:// or amqps://", text),
    }
}

pub(super) fn vhost(text: &str) -> Parsed<VhostName> {
    VhostName::parse(text).map_err(|error| error.to_string())
}

/// An administrator's name. HTTP puts a colon between it and the password.
pub(super) fn administrator(text: &str) -> Parsed<String> {
    if text.contains(':') { expected("a name without a colon", text) } else { Ok(text.to_owned()) }
}

/// A prefix of user names, which stand unescaped in connection strings.
pub(super) fn username_prefix(text: &str) -> Parsed<String> {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    match text.len() <= BROKER_PREFIX_LEN_MAX && text.bytes().all(fits) {
        true => Ok(text.to_owned()),
        false => expected("at most 128 of A-Z a-z 0-9 - . _ ~", text),
    }
}

/// A prefix of namespaces. Not empty: everything at the broker would be ours to delete.
pub(super) fn namespace_prefix(text: &str) -> Parsed<String> {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    match (1..=NAMESPACE_PREFIX_LEN_MAX).contains(&text.len()) && text.bytes().all(fits) {
        true => Ok(text.to_owned()),
        false => expected("1 to 63 of A-Z a-z 0-9 _ -", text),
    }
}

/// A prefix of queues or exchanges.
pub(super) fn broker_prefix(text: &str) -> Parsed<String> {
    match text.len() <= BROKER_PREFIX_LEN_MAX && text.bytes().all(|b| b.is_ascii_graphic()) {
        true => Ok(text.to_owned()),
        false => expected("at most 128 printable ASCII characters without blanks", text),
    }
}

pub(super) fn permission(text: &str) -> Parsed<String> {
    if text.contains(NAMESPACE) { Ok(text.to_owned()) } else { expected("a regex with {{namespace}}", text) }
}

/// A number of messages; not zero, for every queue would be over it.
pub(super) fn threshold(text: &str) -> Parsed<u64> {
    match text.parse() {
        Ok(messages) if messages > 0 => Ok(messages),
        _ => expected("a number of messages, at least 1", text),
    }
}

/// How long something takes. The pulse service wrote `- 1 hour`; only the size counts.
/// What a machine shows to be let in. A short one could be guessed.
pub(super) fn token(text: &str) -> Parsed<Secret> {
    match text.len() >= TOKEN_LEN_MIN && text.bytes().all(|b| b.is_ascii_graphic()) {
        true => Ok(Secret::new(text)),
        false => Err(format!("expected at least {TOKEN_LEN_MIN} characters of ASCII, without spaces")),
    }
}

pub(super) fn period(text: &str) -> Parsed<Duration> {
    match text.parse::<Span>().map(Span::size) {
        Ok(size) if !size.is_zero() => Ok(size),
        _ => expected("a span such as `1 hour`", text),
    }
}
