//! Settings of host credentials, and of the DNS that verifies hosts.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::parse::{self, Parsed};
use super::reader::Reader;
use super::setting::{Optional, Setting};
use super::taskcluster::{ACCESS_TOKEN, CLIENT_ID, Credentials};
use crate::base::{ClientId, MailAddress, Scope};
use crate::domain::hosts::{Config, Lending};
use crate::ports::dns::DnsSettings;
use crate::proto::addresses::AddressList;
use crate::proto::tempcred::DURATION_MAX;

pub(super) const SCOPE_BASE: Optional<Scope> = Optional::new("TASKCLUSTER_SCOPE_BASE", "scope-base", parse::of)
    .help("host credentials: what stands before the reversed host name in the one scope");
pub(super) const CLIENT_ID_BASE: Optional<ClientId> =
    Optional::new("TASKCLUSTER_CLIENT_ID_BASE", "client-id-base", parse::of)
        .help("host credentials: what stands before the reversed host name in the client id");
pub(super) const CREDENTIALS_EXPIRE: Optional<Duration> =
    Optional::new("TASKCLUSTER_CREDENTIALS_EXPIRE", "expires", duration)
        .help("host credentials: how long they are valid, such as `12 hours`; at most 31 days");
pub(super) const ALLOWED_IPS: Optional<AddressList> = Optional::new("TASKCLUSTER_ALLOWED_IPS", "allowed-ips", allowed)
    .help("host credentials: networks that may ask, such as `10.0.0.0/8 2001:db8::/32`");
pub(super) const HOST_REQUESTS_MAX: Setting<u32> =
    Setting::new("HOST_REQUESTS_MAX", "host-requests-max", "60", parse::rate)
        .help("host credentials: requests of one address in a minute; 0 is no limit");
pub(super) const DNS_SERVERS: Optional<Vec<SocketAddr>> = Optional::new("DNS_SERVERS", "dns-servers", servers)
    .help("servers that verify hosts: a list of address[:port]; those of /etc/resolv.conf if not set");
pub(super) const DNS_AGREE: Setting<usize> =
    Setting::new("DNS_AGREE", "dns-agree", "1", |text| parse::within(text, "a number of servers", 1..=SERVERS_MAX))
        .help("how many DNS servers must give the same verdict");
pub(super) const DNS_TIMEOUT: Setting<Duration> =
    Setting::new("DNS_TIMEOUT", "dns-timeout", "2 seconds", parse::period)
        .help("for one DNS server to answer one question");
pub(super) const DNS_CACHE_MAX: Setting<Duration> =
    Setting::new("DNS_CACHE_MAX", "dns-cache-max", "5 minutes", parse::period)
        .help("how long a verified host name is believed, if its records allow it so long");
pub(super) const DNS_HOSTS_FILE: Setting<bool> =
    Setting::switch("DNS_HOSTS_FILE", "dns-hosts-file", "true", parse::boolean)
        .help("whether /etc/hosts may verify hosts too");
pub(super) const DNS_DNSSEC: Setting<bool> = Setting::switch("DNS_DNSSEC", "dns-dnssec", "false", parse::boolean)
    .help("believe only DNS answers that are signed");
pub(super) const DNS_TRUST_ANCHOR: Optional<PathBuf> =
    Optional::new("DNS_TRUST_ANCHOR", "dns-trust-anchor", parse::path)
        .help("file of the DNSKEY records that DNSSEC trusts; the keys of the root if not set");
pub(super) const OPERATOR_MAIL: Optional<Vec<MailAddress>> =
    Optional::new("OPERATOR_MAIL", "operator-mail", mail_addresses)
        .help("addresses that hear what is no namespace's matter: hosts that changed, brakes that hold");

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

impl HostSettings {
    /// What the domain knows of them. Of what hosts get, it knows the settings that are missing for it.
    pub fn config(&self, credentials: Option<&Credentials>) -> Config {
        let missing = [
            (&CLIENT_ID.info, credentials.is_none()),
            (&ACCESS_TOKEN.info, credentials.is_none()),
            (&SCOPE_BASE.info, self.scope_base.is_none()),
            (&CLIENT_ID_BASE.info, self.client_id_base.is_none()),
            (&CREDENTIALS_EXPIRE.info, self.expires.is_none()),
            (&ALLOWED_IPS.info, self.allowed.is_none()),
        ];
        let missing =
            || missing.iter().filter(|(_, is_missing)| *is_missing).map(|(setting, _)| setting.name).collect();
        Config {
            lending: self.lending(credentials).ok_or_else(missing),
            agree: self.agree,
            fresh_max: self.fresh_max,
            per_minute: self.per_minute,
            contacts: self.contacts.clone(),
        }
    }

    fn lending(&self, credentials: Option<&Credentials>) -> Option<Lending> {
        let Credentials { client_id, access_token } = credentials?.clone();
        Some(Lending {
            issuer: client_id,
            access_token,
            scope_base: self.scope_base.clone()?,
            client_id_base: self.client_id_base.clone()?,
            duration: self.expires?,
            allowed: self.allowed.clone()?,
        })
    }
}

pub(super) fn hosts(read: &mut Reader) -> HostSettings {
    let servers = read.find(&DNS_SERVERS);
    let agree = read.get(&DNS_AGREE);
    if agree > 1 && servers.as_ref().map_or(0, Vec::len) < agree {
        let message = format!("{agree} servers cannot agree: DNS_SERVERS must name that many");
        read.refuse(&DNS_AGREE.info, &message);
    }
    let use_hosts_file = read.get(&DNS_HOSTS_FILE);
    HostSettings {
        scope_base: read.find(&SCOPE_BASE).map(|base| base.to_string()),
        client_id_base: read.find(&CLIENT_ID_BASE).map(|base| base.to_string()),
        expires: read.find(&CREDENTIALS_EXPIRE),
        allowed: read.find(&ALLOWED_IPS),
        per_minute: read.get(&HOST_REQUESTS_MAX),
        dns: DnsSettings {
            servers,
            hosts_file: use_hosts_file.then(|| PathBuf::from(HOSTS_FILE)),
            timeout: read.get(&DNS_TIMEOUT),
            dnssec: read.get(&DNS_DNSSEC),
            trust_anchor: read.find(&DNS_TRUST_ANCHOR),
        },
        agree,
        fresh_max: read.get(&DNS_CACHE_MAX),
        contacts: read.find(&OPERATOR_MAIL).unwrap_or_default(),
    }
}

pub(super) fn warn_about_networks(read: &mut Reader, allowed: Option<&AddressList>) {
    for net in allowed.into_iter().flat_map(AddressList::surprises) {
        let prefix = net.prefix_len();
        read.report.warning(format!(
            "TASKCLUSTER_ALLOWED_IPS: {net} lets in every IPv6 address that begins with the same {prefix} bits, and no \
             IPv4 address; write IPv4 networks without ::ffff:"
        ));
    }
}

/// A list of `address[:port]`; an IPv6 address with a port is in brackets.
fn servers(text: &str) -> Parsed<Vec<SocketAddr>> {
    let server = |word: &String| {
        let server = word.parse::<SocketAddr>().ok();
        let server = server.or_else(|| Some(SocketAddr::new(word.parse::<IpAddr>().ok()?, DNS_PORT)))?;
        Some(SocketAddr::new(server.ip().to_canonical(), server.port()))
    };
    match parse::words(text)?.iter().map(server).collect::<Option<Vec<_>>>() {
        // One that is named twice would agree with itself.
        Some(servers) if (1..servers.len()).any(|at| servers[..at].contains(&servers[at])) => {
            Err(format!("a server is named twice in {text:?}"))
        }
        Some(servers) if !servers.is_empty() && servers.len() <= SERVERS_MAX => Ok(servers),
        _ => parse::expected(&format!("up to {SERVERS_MAX} addresses such as 10.0.0.1 or 10.0.0.1:53"), text),
    }
}

fn allowed(text: &str) -> Parsed<AddressList> {
    AddressList::parse(text).map_err(|error| error.to_string())
}

fn duration(text: &str) -> Parsed<Duration> {
    match parse::period(text)? {
        duration if duration <= DURATION_MAX => Ok(duration),
        _ => parse::expected("a span of at most 31 days", text),
    }
}

fn mail_addresses(text: &str) -> Parsed<Vec<MailAddress>> {
    parse::words(text)?.iter().map(|word| parse::of(word)).collect()
}
