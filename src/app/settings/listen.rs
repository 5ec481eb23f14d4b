//! Settings of the port that we listen on: who may speak for others there, TLS, and how much may be asked for.

use std::net::IpAddr;
use std::path::PathBuf;

use ipnet::IpNet;
use url::Url;

use super::mode::by_mode;
use super::parse::{self, Parsed};
use super::reader::{Need, Reader};
use super::setting::{Optional, Setting};
use crate::base::Secret;
use crate::web::peer::TrustProxy;

pub(super) const PORT: Setting<u16> =
    Setting::new("PORT", "port", "8080", |text| parse::within(text, "a port", 0..=u16::MAX))
        .help("port to listen on; 0 takes a free one");
pub(super) const BIND: Setting<IpAddr> =
    Setting::new("BIND", "bind", "127.0.0.1 in development, :: in production", address)
        .follows(|values| by_mode(values, "127.0.0.1", "::"))
        .help("address to listen on; :: takes both families");
pub(super) const PUBLIC_URL: Optional<Url> = Optional::new("PUBLIC_URL", "public-url", parse::service_url)
    .help("what clients are told; taken from the request if not set");
pub(super) const FORCE_SSL: Setting<bool> =
    Setting::switch("FORCE_SSL", "force-ssl", "false in development, true in production", parse::boolean)
        .follows(|values| by_mode(values, "false", "true"))
        .help("redirect or refuse plain requests");
pub(super) const PROXY_PROTOCOL: Setting<bool> =
    Setting::switch("PROXY_PROTOCOL", "proxy-protocol", "false", parse::boolean)
        .help("every connection begins with a PROXY header, version 1 or 2, of a hop of TRUST_PROXY");
pub(super) const METRICS_TOKEN: Optional<Secret> =
    Optional::secret(["METRICS_TOKEN", "METRICS_TOKEN_FILE"], ["metrics-token", "metrics-token-file"], token)
        .help("bearer token that opens /metrics to other hosts; without one only this host may ask");
pub(super) const TRUST_PROXY: Setting<TrustProxy> = Setting::new("TRUST_PROXY", "trust-proxy", "false", trust_proxy)
    .help("whose X-Forwarded headers count: false, true or CIDRs");
pub(super) const TLS_CERT: Optional<PathBuf> = Optional::new("TLS_CERT", "tls-cert", parse::path)
    .help("PEM file of our certificate: the port speaks TLS; read again on SIGHUP");
pub(super) const TLS_KEY: Optional<PathBuf> =
    Optional::new("TLS_KEY", "tls-key", parse::path).help("PEM file of its key");
pub(super) const TLS_CLIENT_CA: Optional<PathBuf> = Optional::new("TLS_CLIENT_CA", "tls-client-ca", parse::path)
    .help("PEM file of authorities whose client certificates are believed: see `keylender client certificate`");
pub(super) const CONNECTIONS_MAX: Setting<usize> =
    Setting::new("CONNECTIONS_MAX", "connections-max", "900", connections)
        .help("connections at once; one address has a quarter of them");
pub(super) const CLIENT_REQUESTS_MAX: Setting<u32> =
    Setting::new("CLIENT_REQUESTS_MAX", "client-requests-max", "60000", parse::rate)
        .help("requests of one client in a minute, from other hosts; 0 is no limit");
pub(super) const AUTH_FAILURES_MAX: Setting<u32> =
    Setting::new("AUTH_FAILURES_MAX", "auth-failures-max", "60", parse::rate)
        .help("wrong credentials of one address in a minute, from other hosts; 0 is no limit");

pub(super) const NEEDS: [Need; 3] =
    [(TLS_CERT.info, TLS_KEY.info), (TLS_KEY.info, TLS_CERT.info), (TLS_CLIENT_CA.info, TLS_CERT.info)];

/// Shortest token of a machine.
const TOKEN_LEN_MIN: usize = 16;
/// Of what everybody shares, one address may have a quarter: enough for a machine with many services or for many
/// machines behind one address, and three like it leave something for others.
const SHARE: usize = 4;
/// Requests in hand at once. What a request costs most is its body, and room for the beginnings of bodies is for so many.
const REQUESTS_MAX: usize = 1024;
/// Connections that can be asked for; each is an open file.
const CONNECTIONS_LIMIT: usize = 100_000;

/// Where requests come in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenSettings {
    /// The address; `::` takes both families.
    pub bind: IpAddr,
    /// The port; 0 takes a free one.
    pub port: u16,
    /// What clients are told, perhaps with a path, without a final slash in it; else the request says it.
    pub public_url: Option<Url>,
    /// Whether plain requests are redirected or refused.
    pub force_ssl: bool,
    /// Whether connections begin with a PROXY header.
    pub proxy_protocol: bool,
    /// Whose `X-Forwarded-*` headers count.
    pub trust_proxy: TrustProxy,
    /// TLS, where it is spoken on this port.
    pub tls: Option<TlsSettings>,
    /// How much may be asked for.
    pub limits: Limits,
}

/// The files of TLS on our own port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsSettings {
    /// Our certificate and its intermediates.
    pub cert_file: PathBuf,
    /// Its key.
    pub key_file: PathBuf,
    /// The authorities whose client certificates are believed; none is asked for without.
    pub client_ca_file: Option<PathBuf>,
}

/// How much may be asked for at once and in a minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at once.
    pub connections: usize,
    /// Of these, connections of one address.
    pub connections_each: usize,
    /// Requests in hand at once.
    pub requests: usize,
    /// Of these, requests of one address.
    pub requests_each: usize,
    /// Requests of one client in a minute; 0 is no limit.
    pub per_minute: u32,
    /// Failed authentications of one address in a minute; 0 is no limit.
    pub failures_per_minute: u32,
}

pub(super) fn listen(read: &mut Reader) -> ListenSettings {
    ListenSettings {
        bind: read.get(&BIND),
        port: read.get(&PORT),
        public_url: read.find(&PUBLIC_URL),
        force_ssl: read.get(&FORCE_SSL),
        proxy_protocol: read.get(&PROXY_PROTOCOL),
        trust_proxy: read.get(&TRUST_PROXY),
        tls: tls(read),
        limits: limits(read),
    }
}

fn tls(read: &mut Reader) -> Option<TlsSettings> {
    let (cert_file, key_file, client_ca_file) = (read.find(&TLS_CERT), read.find(&TLS_KEY), read.find(&TLS_CLIENT_CA));
    cert_file.zip(key_file).map(|(cert_file, key_file)| TlsSettings { cert_file, key_file, client_ca_file })
}

fn limits(read: &mut Reader) -> Limits {
    let connections = read.get(&CONNECTIONS_MAX);
    Limits {
        connections,
        connections_each: connections.div_ceil(SHARE),
        requests: REQUESTS_MAX,
        requests_each: REQUESTS_MAX.div_ceil(SHARE),
        per_minute: read.get(&CLIENT_REQUESTS_MAX),
        failures_per_minute: read.get(&AUTH_FAILURES_MAX),
    }
}

/// What does not go together. The root URL names who knows the callers.
pub(super) fn check_proxy(read: &mut Reader, listen: &ListenSettings, root_url: Option<&Url>) {
    if root_url.is_some() && read.is_given(&TLS_CLIENT_CA.info) {
        read.report.warning(
            "TLS_CLIENT_CA: client certificates say nothing while TASKCLUSTER_ROOT_URL is set, since its auth service \
             knows the callers",
        );
    }
    if listen.proxy_protocol && matches!(listen.trust_proxy, TrustProxy::Nobody) {
        read.refuse(&PROXY_PROTOCOL.info, "needs TRUST_PROXY, the proxies whose word counts");
    }
    match listen.trust_proxy {
        TrustProxy::DirectPeer => read.report.warning(
            "TRUST_PROXY is true: whoever connects may claim any address, and so get any host's credentials; name the \
             networks of the proxies instead",
        ),
        TrustProxy::Nobody if listen.force_ssl && listen.tls.is_none() => read.report.warning(
            "FORCE_SSL is on but neither TLS_CERT nor TRUST_PROXY is set: nothing can tell that a request came by TLS, \
             so all are redirected or refused",
        ),
        _ => {}
    }
}

fn address(text: &str) -> Parsed<IpAddr> {
    text.parse().or_else(|_| parse::expected("an IP address", text))
}

fn connections(text: &str) -> Parsed<usize> {
    parse::within(text, "a number of connections", 1..=CONNECTIONS_LIMIT)
}

fn trust_proxy(text: &str) -> Parsed<TrustProxy> {
    if let Ok(trusted) = parse::boolean(text) {
        return Ok(if trusted { TrustProxy::DirectPeer } else { TrustProxy::Nobody });
    }
    let hop = |word: &String| word.parse::<IpNet>().or_else(|_| word.parse::<IpAddr>().map(IpNet::from));
    match parse::words(text)?.iter().map(|word| hop(word).map(|net| net.trunc())).collect::<Result<Vec<_>, _>>() {
        Ok(hops) if !hops.is_empty() => Ok(TrustProxy::Hops(hops.into())),
        _ => parse::expected("false, true, or CIDRs such as 10.0.0.0/8", text),
    }
}

/// What a machine shows to be let in. A short one could be guessed.
fn token(text: &str) -> Parsed<Secret> {
    if text.len() < TOKEN_LEN_MIN || !text.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(format!("expected at least {TOKEN_LEN_MIN} characters of ASCII, without spaces"));
    }
    Ok(Secret::new(text))
}
