//! Settings of the port that we listen on: who may speak for others there, TLS, and how much may be asked for.

use std::net::IpAddr;
use std::path::PathBuf;

use ipnet::IpNet;
use url::Url;

use super::parse;
use super::problems::Report;
use super::typed::{Reader, Settings};
use super::values::Values;

/// Of what everybody shares, one address may have a quarter: enough for a machine with many services or for many
/// machines behind one address, and three like it leave something for others.
const SHARE: usize = 4;
/// Requests in hand at once. What a request costs most is its body, and room for the beginnings of bodies is for so many.
const REQUESTS_MAX: usize = 1024;
/// Connections that can be asked for; each is an open file.
const CONNECTIONS_MAX: usize = 100_000;

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

/// Who may speak for others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrustProxy {
    /// Nobody.
    Nobody,
    /// Whoever connects.
    DirectPeer,
    /// Peers in one of these networks; never empty.
    Hops(Vec<IpNet>),
}

pub(super) fn listen(read: &mut Reader) -> ListenSettings {
    ListenSettings {
        bind: read.required("BIND", parse::address),
        port: read.required("PORT", parse::port),
        public_url: read.optional("PUBLIC_URL", parse::service_url),
        force_ssl: read.required("FORCE_SSL", parse::boolean),
        proxy_protocol: read.required("PROXY_PROTOCOL", parse::boolean),
        trust_proxy: read.required("TRUST_PROXY", parse::trust_proxy),
        tls: tls(read),
        limits: limits(read),
    }
}

fn tls(read: &mut Reader) -> Option<TlsSettings> {
    let cert_file = read.optional("TLS_CERT", parse::path);
    let key_file = read.optional("TLS_KEY", parse::path);
    let client_ca_file = read.optional("TLS_CLIENT_CA", parse::path);
    cert_file.zip(key_file).map(|(cert_file, key_file)| TlsSettings { cert_file, key_file, client_ca_file })
}

fn limits(read: &mut Reader) -> Limits {
    let connections = read.required("CONNECTIONS_MAX", connections);
    Limits {
        connections,
        connections_each: connections.div_ceil(SHARE),
        requests: REQUESTS_MAX,
        requests_each: REQUESTS_MAX.div_ceil(SHARE),
        per_minute: read.required("CLIENT_REQUESTS_MAX", parse::rate),
        failures_per_minute: read.required("AUTH_FAILURES_MAX", parse::rate),
    }
}

fn connections(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count @ 1..=CONNECTIONS_MAX) => Ok(count),
        _ => Err(format!("expected a number of connections from 1 to {CONNECTIONS_MAX}, not {text:?}")),
    }
}

pub(super) fn check_proxy(settings: &Settings, values: &Values, report: &mut Report) {
    let listen = &settings.listen;
    if let (Some(_), Some(_)) = (&settings.root_url, values.given("TLS_CLIENT_CA")) {
        report.warning(
            "TLS_CLIENT_CA: client certificates say nothing while TASKCLUSTER_ROOT_URL is set, since its auth service \
             knows the callers",
        );
    }
    if let (true, TrustProxy::Nobody, Some(given)) =
        (listen.proxy_protocol, &listen.trust_proxy, values.given("PROXY_PROTOCOL"))
    {
        report.problem(&given.place, "PROXY_PROTOCOL: needs TRUST_PROXY, the proxies whose word counts");
    }
    match listen.trust_proxy {
        TrustProxy::DirectPeer => report.warning(
            "TRUST_PROXY is true: whoever connects may claim any address, and so get any host's credentials; name the \
             networks of the proxies instead",
        ),
        TrustProxy::Nobody if listen.force_ssl && listen.tls.is_none() => report.warning(
            "FORCE_SSL is on but neither TLS_CERT nor TRUST_PROXY is set: nothing can tell that a request came by TLS, \
             so all are redirected or refused",
        ),
        _ => {}
    }
}
