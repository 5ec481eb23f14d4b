//! Settings of host credentials, and of the DNS that verifies hosts.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::parse;
use super::problems::Report;
use super::typed::Reader;
use crate::base::{ClientId, MailAddress, Scope};
use crate::ports::dns::DnsSettings;
use crate::proto::addresses::AddressList;
use crate::proto::tempcred::DURATION_MAX;

/// DNS servers that are asked.
const SERVERS_MAX: usize = 16;
/// The port of DNS.
const DNS_PORT: u16 = 53;
/// The file of this machine's own names.
const HOSTS_FILE: &str = "/etc/hosts";

/// What is lent to machines, and how they are known.
#[derive(Clone, Debug)]
pub struct HostSettings {
    /// Stands before the reversed name in the one scope.
    pub scope_base: Option<String>,
    /// Stands before the reversed name in the client id.
    pub client_id_base: Option<String>,
    /// How long credentials are valid.
    pub expires: Option<Duration>,
    /// Who may ask.
    pub allowed: Option<AddressList>,
    /// Requests of one address in a minute; 0 is no limit.
    pub per_minute: u32,
    /// Whom to ask for names.
    pub dns: DnsSettings,
    /// How many servers must give the same verdict.
    pub agree: usize,
    /// How long a verified name is believed at most.
    pub fresh_max: Duration,
    /// Who hears of hosts that changed.
    pub contacts: Vec<MailAddress>,
}

pub(super) fn hosts(read: &mut Reader) -> HostSettings {
    let servers = read.optional("DNS_SERVERS", servers);
    let agree = read.required("DNS_AGREE", count);
    if let Some(given) = read.values.given("DNS_AGREE")
        && agree > 1
        && servers.as_ref().map_or(0, Vec::len) < agree
    {
        let message = format!("DNS_AGREE: {agree} servers cannot agree: DNS_SERVERS must name that many");
        read.report.problem(&given.place, message);
    }
    let use_hosts_file = read.required("DNS_HOSTS_FILE", parse::boolean);
    HostSettings {
        scope_base: read.optional("TASKCLUSTER_SCOPE_BASE", scope_base),
        client_id_base: read.optional("TASKCLUSTER_CLIENT_ID_BASE", client_id_base),
        expires: read.optional("TASKCLUSTER_CREDENTIALS_EXPIRE", duration),
        allowed: read.optional("TASKCLUSTER_ALLOWED_IPS", allowed),
        per_minute: read.required("HOST_REQUESTS_MAX", parse::rate),
        dns: DnsSettings {
            servers,
            hosts_file: use_hosts_file.then(|| PathBuf::from(HOSTS_FILE)),
            timeout: read.required("DNS_TIMEOUT", parse::period),
            dnssec: read.required("DNS_DNSSEC", parse::boolean),
            trust_anchor: read.optional("DNS_TRUST_ANCHOR", parse::path),
        },
        agree,
        fresh_max: read.required("DNS_CACHE_MAX", parse::period),
        contacts: read.optional("OPERATOR_MAIL", mail_addresses).unwrap_or_default(),
    }
}

pub(super) fn warn_about_networks(settings: &HostSettings, report: &mut Report) {
    for net in settings.allowed.iter().flat_map(AddressList::surprises) {
        let prefix = net.prefix_len();
        report.warning(format!(
            "TASKCLUSTER_ALLOWED_IPS: {net} lets in every IPv6 address that begins with the same {prefix} bits, and no \
             IPv4 address; write IPv4 networks without ::ffff:"
        ));
    }
}

/// A list of `address[:port]`; an IPv6 address with a port is in brackets.
fn servers(text: &str) -> Result<Vec<SocketAddr>, String> {
    let server = |word: &String| {
        let server = word.parse::<SocketAddr>().ok();
        let server = server.or_else(|| Some(SocketAddr::new(word.parse::<IpAddr>().ok()?, DNS_PORT)))?;
        Some(SocketAddr::new(server.ip().to_canonical(), server.port()))
    };
    match parse::words(text).iter().map(server).collect::<Option<Vec<_>>>() {
        // One that is named twice would agree with itself.
        Some(servers) if (1..servers.len()).any(|at| servers[..at].contains(&servers[at])) => {
            Err(format!("a server is named twice in {text:?}"))
        }
        Some(servers) if !servers.is_empty() && servers.len() <= SERVERS_MAX => Ok(servers),
        _ => Err(format!("expected up to {SERVERS_MAX} addresses such as 10.0.0.1 or 10.0.0.1:53, not {text:?}")),
    }
}

fn count(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count @ 1..=SERVERS_MAX) => Ok(count),
        _ => Err(format!("expected a number of servers from 1 to {SERVERS_MAX}, not {text:?}")),
    }
}

fn allowed(text: &str) -> Result<AddressList, String> {
    AddressList::parse(text).map_err(|error| error.to_string())
}

fn scope_base(text: &str) -> Result<String, String> {
    Scope::parse(text).map(|scope| scope.to_string()).map_err(|error| error.to_string())
}

fn client_id_base(text: &str) -> Result<String, String> {
    ClientId::parse(text).map(|id| id.to_string()).map_err(|error| error.to_string())
}

fn duration(text: &str) -> Result<Duration, String> {
    match parse::period(text)? {
        duration if duration <= DURATION_MAX => Ok(duration),
        _ => Err(format!("expected a span of at most 31 days, not {text:?}")),
    }
}

fn mail_addresses(text: &str) -> Result<Vec<MailAddress>, String> {
    parse::words(text).iter().map(|word| MailAddress::parse(word).map_err(|error| error.to_string())).collect()
}
