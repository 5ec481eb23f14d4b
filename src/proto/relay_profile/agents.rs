//! The agents of a fleet: where they work, what keeps them known, and whether each has an account of its own.

use std::net::IpAddr;

use ipnet::IpNet;

use super::entries::Entries;
use super::part::FILE;
use super::parts::words;
use crate::base::{AccountName, HostName, Span, VhostName};

/// What stands before a host's name unless said.
pub(super) const ACCOUNT_PREFIX: &str = "agent-";
/// What MIG's scheduler expects unless told otherwise.
pub(super) const HEARTBEAT_PERIOD: Span = Span::from_millis(5 * MINUTE_MS);
pub(super) const TIMEOUT: Span = Span::from_millis(60 * MINUTE_MS);
/// A host that was away for a holiday comes back with a password that works, and is not proposed for removal.
const ENROL_EVERY: Span = Span::from_millis(30 * DAY_MS);
pub(super) const GONE_AFTER: Span = Span::from_millis(30 * DAY_MS);
const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 24 * 60 * MINUTE_MS;

words! {
    /// By what exchanges of agents hand messages on.
    #[derive(Default)]
    ExchangeType {
        /// By the routing key itself. Brokers have no permissions for routing keys of such an exchange.
        #[default]
        Direct = "direct",
        /// By patterns. Then each agent may use the routing keys only that it needs.
        Topic = "topic",
    }
}

/// A text that stands in the profile, or in a file of Keylender's host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TextOrFile {
    /// The text.
    Text(String),
    /// The path of the file, from the root on.
    File(String),
}

/// Which hosts may enrol their agents by their name in DNS. Whoever shows a token need not be one of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EnrolsFrom {
    /// Where their addresses are, if that is said.
    pub(super) networks: Vec<IpNet>,
    /// What they are called, if that is said.
    pub(super) zones: Vec<Zone>,
}

/// A name in DNS, or all names below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    pub(super) name: HostName,
    pub(super) below: bool,
}

impl EnrolsFrom {
    /// Whether a host of this address and name is one of them: by the networks if there are any, and by the names if there
    /// are any. None is when nothing is named.
    pub fn includes(&self, address: IpAddr, name: &HostName) -> bool {
        // A socket that is open for both families writes IPv4 addresses as IPv6 ones.
        let address = address.to_canonical();
        !self.is_empty()
            && (self.networks.is_empty() || self.networks.iter().any(|network| network.contains(&address)))
            && (self.zones.is_empty() || self.zones.iter().any(|zone| zone.includes(name)))
    }

    /// Whether nothing is named, so that hosts enrol by tokens only.
    pub fn is_empty(&self) -> bool {
        self.networks.is_empty() && self.zones.is_empty()
    }

    /// Those of a list. `None` when one of its texts is neither a network nor a name.
    fn of<'t>(texts: impl Iterator<Item = &'t str>) -> Option<Self> {
        let mut these = Self::default();
        for text in texts {
            match Origin::parse(text).ok()? {
                Origin::Network(network) => these.networks.push(network),
                Origin::Zone(zone) => these.zones.push(zone),
            }
        }
        Some(these)
    }
}

impl Zone {
    fn includes(&self, name: &HostName) -> bool {
        if self.below {
            name.as_str().strip_suffix(self.name.as_str()).is_some_and(|rest| rest.ends_with('.'))
        } else {
            self.name == *name
        }
    }
}

/// An entry of the list of those that enrol by their name.
enum Origin {
    Network(IpNet),
    Zone(Zone),
}

impl Origin {
    /// What a text names, or what is wrong with it. A network whose address is not its first one would be another one than
    /// the eye sees.
    fn parse(text: &str) -> Result<Self, &'static str> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self::Network(address.to_canonical().into()));
        }
        if let Ok(network) = text.parse::<IpNet>() {
            return if network != network.trunc() {
                Err("bits are set behind the length of this network; write its first address, as in 10.1.0.0/16")
            } else if matches!(network, IpNet::V6(network) if network.addr().to_ipv4_mapped().is_some()) {
                Err("these are IPv4 addresses, written as IPv6 ones; write an IPv4 network such as 10.1.0.0/16")
            } else {
                Ok(Self::Network(network))
            };
        }
        let (below, name) = text.strip_prefix("*.").map_or((false, text), |name| (true, name));
        let name = HostName::of_dns(name).map_err(|_| {
            "expected a network such as 10.1.0.0/16, an address, a name in DNS, or `*.` and a name for all below it"
        })?;
        Ok(Self::Zone(Zone { name, below }))
    }
}

/// What is wrong with an entry of the list of those that enrol by their name.
pub(super) fn check_origin(text: &str) -> Result<(), &'static str> {
    Origin::parse(text).map(drop)
}

/// The agents of a fleet.
#[derive(Clone, Debug, PartialEq)]
pub struct Agents {
    /// Where they work: a vhost of the same profile, or a foreign one.
    pub vhost: VhostName,
    /// The exchange that takes their heartbeats and results. It need not be declared here.
    pub sends_to: String,
    /// The exchange that brings their commands; it may be the same.
    pub takes_from: String,
    /// The type of both: that with which they are declared here, if they are.
    pub exchange_type: ExchangeType,
    /// The part with what stands in their configuration: one of this profile, of the kind `mig-agent`. It has no account, or
    /// the one that is shared.
    pub part: Option<String>,
    /// What stands before a host's name in the name of its account. No account of the profile begins with it.
    pub account_prefix: String,
    /// An account of the profile that all of them share, and that may enter their vhost; without it each has its own.
    pub shared_account: Option<AccountName>,
    /// Which hosts may enrol by their name in DNS; none unless said, and all others by tokens.
    pub enrols_from: EnrolsFrom,
    /// How often each sends a heartbeat, as the scheduler knows it.
    pub heartbeat_period: Span,
    /// After which silence the scheduler takes one for offline; longer than that.
    pub timeout: Span,
    /// How often a host should enrol again.
    pub enrol_every: Span,
    /// After which silence one is proposed for removal if DNS does not know its host; longer than `timeout`.
    pub gone_after: Span,
    /// The certificates of the authority that hosts get along. Their place there is the setting `certs.ca` of the part, which
    /// has one then.
    pub ca: Option<TextOrFile>,
    /// The scheduler's whitelist on Keylender's host, from the root on.
    pub whitelist: Option<String>,
}

impl Agents {
    /// Whether files of Keylender's host are read or written for them. Only a profile of the settings may say so: whoever
    /// stores another one need not be who may do that.
    pub fn names_files(&self) -> bool {
        self.whitelist.is_some() || matches!(self.ca, Some(TextOrFile::File(_)))
    }
}

/// The agents of a section. `None` when one of the steps before had something to note.
pub(super) fn agents(agents: Entries<'_, '_>) -> Option<Agents> {
    let text = |key| agents.text(key).map(str::to_owned);
    Some(Agents {
        vhost: agents.text("vhost")?.parse().ok()?,
        sends_to: text("sends-to")?,
        takes_from: text("takes-from")?,
        exchange_type: exchange_type(agents)?,
        part: text("part"),
        account_prefix: text("account-prefix").unwrap_or_else(|| ACCOUNT_PREFIX.to_owned()),
        shared_account: agents.text("shared-account").map(str::parse).transpose().ok()?,
        enrols_from: EnrolsFrom::of(agents.texts("enrols-from").map(|(text, _)| text))?,
        heartbeat_period: span(agents, "heartbeat-period", HEARTBEAT_PERIOD)?,
        timeout: span(agents, "timeout", TIMEOUT)?,
        enrol_every: span(agents, "enrol-every", ENROL_EVERY)?,
        gone_after: span(agents, "gone-after", GONE_AFTER)?,
        ca: text_or_file(agents, "ca"),
        whitelist: text("whitelist"),
    })
}

/// The type that is said, or the usual one; `None` for a word that is none.
pub(super) fn exchange_type(agents: Entries<'_, '_>) -> Option<ExchangeType> {
    agents.text("exchange-type").map_or(Some(ExchangeType::default()), ExchangeType::of)
}

/// The span that is said, or the usual one; `None` for a text that is none.
pub(super) fn span(agents: Entries<'_, '_>, key: &str, usual: Span) -> Option<Span> {
    agents.text(key).map_or(Some(usual), |text| text.parse().ok())
}

fn text_or_file(agents: Entries<'_, '_>, key: &str) -> Option<TextOrFile> {
    match agents.table(key) {
        Some(table) => table.text(FILE).map(|path| TextOrFile::File(path.to_owned())),
        None => agents.text(key).map(|text| TextOrFile::Text(text.to_owned())),
    }
}
