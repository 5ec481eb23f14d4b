//! Questions to DNS servers, each to one server, with all that it answered. What the answers mean is decided elsewhere:
//! no alias is followed here and nothing is remembered.

mod record;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ResolveHosts, ResolverOpts, ServerOrderingStrategy,
};
use hickory_resolver::net::dnssec::DnssecDnsHandle;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::xfer::{DnsHandle, FirstAnswer};
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::dnssec::{Proof, TrustAnchors};
use hickory_resolver::proto::op::{DnsRequestOptions, DnsResponse, Query, ResponseCode};
use hickory_resolver::proto::rr::{self, Name, RData, RecordType};
use hickory_resolver::{NameServerPool, PoolContext, TlsConfig};

use super::hosts_file::HostsFile;
use crate::base::{Error, Result};

pub use record::{Answer, Data, Kind, Question, Record, Status};

use record::text;

/// Records of one answer that are kept. One is expected, after a few aliases; more than this is too many anyway.
const RECORDS_MAX: usize = 12;

/// How to ask.
#[derive(Clone, Debug)]
pub struct DnsSettings {
    /// Whom; the servers of this machine when not said.
    pub servers: Option<Vec<SocketAddr>>,
    /// A file of addresses and names that answers before them.
    pub hosts_file: Option<PathBuf>,
    /// For one server to answer one question, TCP included.
    pub timeout: Duration,
    /// Whether only answers count that are signed up to a key we trust.
    pub dnssec: bool,
    /// The keys that are trusted, as DNSKEY records; those of the root when not said.
    pub trust_anchor: Option<PathBuf>,
}

/// All servers, in their order, and the hosts file. Cheap to clone.
#[derive(Clone)]
pub struct Dns {
    servers: Arc<[Server]>,
    hosts: Option<HostsFile>,
    /// Why there are no servers, when there are none.
    trouble: Option<Arc<str>>,
}

struct Server {
    address: SocketAddr,
    handle: Handle,
    dnssec: bool,
    timeout: Duration,
}

enum Handle {
    Plain(NameServerPool<TokioRuntimeProvider>),
    Validating(Box<DnssecDnsHandle<NameServerPool<TokioRuntimeProvider>>>),
}

impl Dns {
    /// Nothing is asked yet. Without a usable `/etc/resolv.conf` there may be no server, and then each question fails.
    pub fn new(settings: &DnsSettings) -> Result<Self> {
        let (addresses, trouble) = match &settings.servers {
            Some(addresses) => (addresses.clone(), None),
            None => match system_servers() {
                Ok(addresses) if addresses.is_empty() => (addresses, Some("/etc/resolv.conf names no server".into())),
                Ok(addresses) => (addresses, None),
                Err(e) => (Vec::new(), Some(format!("/etc/resolv.conf cannot be read: {e}").into())),
            },
        };
        let anchors = match &settings.trust_anchor {
            None => TrustAnchors::default(),
            Some(path) => TrustAnchors::from_file(path).map_err(|e| {
                Error::invalid("the file of DNS_TRUST_ANCHOR holds no DNSKEY records that can be read")
                    .because(format!("{}: {e}", path.display()))
            })?,
        };
        let anchors = settings.dnssec.then(|| Arc::new(anchors));
        let servers = addresses.into_iter().map(|address| Server::new(address, settings, anchors.clone()));
        let servers = servers.collect::<Result<_>>()?;
        Ok(Self { servers, hosts: settings.hosts_file.clone().map(HostsFile::new), trouble })
    }

    /// The addresses of the servers.
    pub fn servers(&self) -> impl ExactSizeIterator<Item = SocketAddr> {
        self.servers.iter().map(|server| server.address)
    }

    /// Whether each server answers at all, whatever it says; the error says why it seems not to.
    pub async fn answering(&self) -> Vec<(SocketAddr, std::result::Result<(), String>)> {
        let asked = self.servers.iter().map(|server| async { (server.address, server.answers().await) });
        futures_util::future::join_all(asked).await
    }

    /// What the hosts file says, if it says anything.
    pub async fn ask_hosts_file(&self, question: &Question) -> Option<Answer> {
        self.hosts.as_ref()?.ask(question).await
    }

    /// Asks one server, over TCP when its answer is cut short. It never waits longer than the timeout of the settings.
    pub async fn ask(&self, server: usize, question: &Question) -> Answer {
        match (self.servers.get(server), &self.trouble) {
            (Some(server), _) => server.ask(question).await,
            (None, Some(trouble)) => Answer::failed(question.clone(), "none", &**trouble),
            (None, None) => Answer::failed(question.clone(), "none", "there is no such server"),
        }
    }
}

impl Server {
    fn new(address: SocketAddr, settings: &DnsSettings, anchors: Option<Arc<TrustAnchors>>) -> Result<Self> {
        let (mut udp, mut tcp) = (ConnectionConfig::udp(), ConnectionConfig::tcp());
        (udp.port, tcp.port) = (address.port(), address.port());
        let config = NameServerConfig::new(address.ip(), true, vec![udp, tcp]);
        let mut options = ResolverOpts::default();
        options.timeout = settings.timeout;
        options.attempts = 1;
        options.edns0 = true;
        options.use_hosts_file = ResolveHosts::Never;
        options.server_ordering_strategy = ServerOrderingStrategy::UserProvidedOrder;
        options.case_randomization = true;
        let tls = TlsConfig::new().map_err(|e| Error::internal("setting up DNS", e))?;
        let context = Arc::new(PoolContext::new(options, tls));
        let pool = NameServerPool::from_config([config], context, TokioRuntimeProvider::default());
        let (dnssec, handle) = match anchors {
            None => (false, Handle::Plain(pool)),
            Some(anchors) => {
                // Without a memory of its own: that one would outlive the signatures.
                let validating = DnssecDnsHandle::with_trust_anchor(pool, anchors).validation_cache_size(0);
                (true, Handle::Validating(validating.into()))
            }
        };
        Ok(Self { address, handle, dnssec, timeout: settings.timeout })
    }

    /// Whether it answers at all, whatever it says.
    async fn answers(&self) -> std::result::Result<(), String> {
        // Every server has a word on the root, if only that it is none of its business.
        let query = Query::query(Name::root(), RecordType::NS);
        let options = DnsRequestOptions::default();
        let asked = async {
            match &self.handle {
                Handle::Plain(handle) => handle.lookup(query, options).first_answer().await.map(drop),
                Handle::Validating(handle) => handle.lookup(query, options).first_answer().await.map(drop),
            }
        };
        match tokio::time::timeout(self.timeout, asked).await {
            Err(_) | Ok(Err(NetError::Timeout)) => Err("no answer in time".into()),
            Ok(Err(error @ (NetError::Io(_) | NetError::NoConnections))) => Err(error.to_string()),
            Ok(_) => Ok(()),
        }
    }

    async fn ask(&self, question: &Question) -> Answer {
        let failed = |why: String| Answer::failed(question.clone(), self.address.to_string(), why);
        let Ok(mut name) = Name::from_ascii(&question.name) else { return failed("not a name in DNS".into()) };
        name.set_fqdn(true);
        let query = Query::query(name, record_type(question.kind));
        let mut options = DnsRequestOptions::default();
        options.use_edns = true;
        options.edns_set_dnssec_ok = self.dnssec;
        // A forger must also guess the letter case of the name; TCP is used with servers that do not keep it.
        options.case_randomization = true;
        let asked = async {
            match &self.handle {
                Handle::Plain(handle) => handle.lookup(query, options).first_answer().await,
                Handle::Validating(handle) => handle.lookup(query, options).first_answer().await,
            }
        };
        match tokio::time::timeout(self.timeout, asked).await {
            Err(_) | Ok(Err(NetError::Timeout)) => failed("no answer in time".into()),
            Ok(Ok(response)) => self.read(question, &response),
            Ok(Err(NetError::Dns(DnsError::NoRecordsFound(none)))) => match (none.response_code, self.dnssec) {
                // Whoever validates proves also that there is nothing.
                (_, true) => failed("the answer that there is nothing is not signed".into()),
                (code, false) => self.answered(question, code, Vec::new()),
            },
            Ok(Err(NetError::Dns(DnsError::Nsec { response, proof: Proof::Secure, .. }))) => {
                self.read(question, &response)
            }
            Ok(Err(error)) => failed(error.to_string()),
        }
    }

    fn read(&self, question: &Question, response: &DnsResponse) -> Answer {
        let kept = response.answers.iter().filter(|record| data(record).is_some());
        if self.dnssec && kept.clone().any(|record| record.proof != Proof::Secure) {
            let why = "the answer is not signed up to a trusted key";
            return Answer::failed(question.clone(), self.address.to_string(), why);
        }
        let records = kept.take(RECORDS_MAX).filter_map(|record| {
            Some(Record { name: text(&record.name), ttl_seconds: record.ttl, data: data(record)? })
        });
        self.answered(question, response.response_code, records.collect())
    }

    fn answered(&self, question: &Question, code: ResponseCode, records: Vec<Record>) -> Answer {
        let status = match code {
            ResponseCode::NoError => Status::Answered,
            ResponseCode::NXDomain => Status::NoSuchName,
            other => Status::Failed(other.to_string()),
        };
        Answer { question: question.clone(), server: self.address.to_string(), status, records }
    }
}

fn record_type(kind: Kind) -> RecordType {
    match kind {
        Kind::Ptr => RecordType::PTR,
        Kind::A => RecordType::A,
        Kind::Aaaa => RecordType::AAAA,
    }
}

/// What a record says, if it is of a kind that we follow.
fn data(record: &rr::Record) -> Option<Data> {
    match &record.data {
        RData::PTR(name) => Some(Data::Ptr(text(name))),
        RData::CNAME(name) => Some(Data::Cname(text(name))),
        RData::A(address) => Some(Data::Address(address.0.into())),
        RData::AAAA(address) => Some(Data::Address(address.0.into())),
        _ => None,
    }
}

fn system_servers() -> std::result::Result<Vec<SocketAddr>, NetError> {
    let (config, _) = hickory_resolver::system_conf::read_system_conf()?;
    let mut addresses = Vec::new();
    for server in config.name_servers() {
        let port = server.connections.first().map_or(53, |connection| connection.port);
        let address = SocketAddr::new(server.ip, port);
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    Ok(addresses)
}
