//! The declaration of a relay: which vhosts, accounts and policies a platform of fixed programs needs on its broker, as a
//! person writes it in TOML.
//!
//! ```toml
//! name = "mig"                          # what the relay is called in records and pages
//! absent-users = ["guest"]              # users that the broker must not have
//! foreign-vhosts = ["shared"]           # vhosts that are there already, and that others declare
//!
//! [[vhost]]
//! name = "mig"
//! on-drift = "repair"                   # or "report"; so it is for all that is declared in this vhost
//! default-queue-type = "quorum"         # of queues that programs declare without one
//! limits = { max-connections = 500, max-queues = 2000 }
//!
//! [[vhost.exchange]]
//! name = "toagents"
//! type = "direct"                       # durable = true, auto-delete = false, internal = false, arguments = {}
//!
//! [[vhost.queue]]
//! name = "mig.agt.results"              # type, durable = true, auto-delete = false, arguments = {}
//!
//! [[vhost.binding]]
//! source = "toagents"
//! destination = "mig.agt.results"       # destination-type = "queue", or "exchange"
//! routing-key = "mig.agt.results"       # arguments = {}
//!
//! [[vhost.policy]]                      # [[vhost.operator-policy]] has the same keys
//! name = "short"
//! pattern = '^mig\.'
//! apply-to = "queues"                   # "all" unless said
//! priority = 0
//! definition = { max-length = 10000 }
//!
//! [[account]]
//! name = "scheduler"
//! note = "runs on relay1"               # for people
//! tags = []
//! limits = { max-connections = 2, max-channels = 20 }
//! rotate-every = "30 days"              # never by itself unless said
//! rotate-by = "in-place"                # or "in-turn": two users, scheduler-1 and scheduler-2
//! delivery = "render"                   # how its programs get the password; or "fetch", "hand-over"
//! close-after = "15 minutes"            # after a rotation; connections with the former password stay open unless said
//! back-within = "1 minute"              # and then its programs must be connected again
//! on-drift = "report"
//!
//! [[account.grant]]
//! vhost = "mig"
//! configure = '^mig\.agt\.'             # three regular expressions; an empty one allows nothing
//! write = ''
//! read = '^toagents$'
//! consumes = ["mig.agt.results"]        # queues in this vhost that its programs consume while they are well
//!
//! [[account.grant.topic]]
//! exchange = "events"
//! write = '^new\.'
//! read = ''
//!
//! [[part]]                              # a file that is written: `keylender relay render scheduler`
//! name = "scheduler"
//! kind = "mig-scheduler"                # all of them: `PartKind`
//! age = "2018-11"                       # of the program that reads it
//! account = "scheduler"                 # whose login is in it
//! path = "/etc/mig/scheduler.cfg"       # where it belongs; this unless said
//! mode = "0640"                         # "0600" unless said
//! owner = "mig"                         # and group = "mig"; of whoever writes it unless said
//!
//! [part.settings.mq]                    # what stands in it, by section and key
//! host = "relay1.example.net"
//! port = 5671
//!
//! [part.settings.postgres]
//! host = "db.example.net"
//! password = { file = "/etc/keylender/migscheduler.password" }
//!
//! [[part]]                              # one of agents has the login of the host that it is written for
//! name = "agent"
//! kind = "mig-agent"
//! age = "2018-10"
//!
//! [part.settings]
//! mq = { host = "relay1.example.net", port = 5671 }
//! certs = { ca = "/etc/mig/cacert.pem" }
//!
//! [agents]                              # the agents of a fleet: their heartbeats, and an account for each
//! vhost = "mig"                         # where they work
//! sends-to = "toschedulers"             # the exchange that takes their heartbeats and results
//! takes-from = "toagents"               # the exchange that brings their commands; it may be the same
//! exchange-type = "direct"              # or "topic": then each agent gets topic permissions
//! part = "agent"                        # what stands in their configuration
//! account-prefix = "agent-"             # what stands before the host's name in the name of its account
//! enrols-from = ["10.1.0.0/16", "*.example.net"]       # which hosts may enrol by their name in DNS; others by tokens
//! heartbeat-period = "5 minutes"        # the scheduler's agent.heartbeatfreq
//! timeout = "1 hour"                    # the scheduler's agent.timeout
//! enrol-every = "30 days"               # how often a host should enrol again, by which its password is replaced
//! gone-after = "30 days"                # then one is proposed for removal whose host DNS does not know any more
//! ca = { file = "/etc/keylender/mig-ca.pem" }          # or a text: certificates that hosts get along
//! whitelist = "/var/cache/mig/agents_whitelist.txt"    # the scheduler's on this host, written whenever the list changes
//! ```
//!
//! With `shared-account = "agent"` in `[agents]` all agents share an account of the profile, instead of one each.
//!
//! The parts "mig-acl" and "mig-agentkeys" are made of `minimum-weights = { default = 2 }`, at the top, and of
//!
//! ```text
//! [[investigator]]
//! name = "Ria"
//! key = '''-----BEGIN PGP PUBLIC KEY BLOCK----- …'''
//! fingerprint = "…"                     # need not be said; it is compared with the key's own
//! weights = { default = 1, file = 2 }
//! ```
//!
//! Reading takes three steps: `shape` compares the text with the list of keys and says what is unknown, missing or of the
//! wrong form; `sense` says what does not go together; `build` makes the [`Profile`] when neither had anything to say. The
//! list of keys (`keys`) is the published schema, too, so that the two cannot differ. Whether a broker understands a
//! pattern, an argument or a setting of a policy is for the broker to say: it depends on its version.

mod agents;
mod build;
mod entries;
mod investigator;
mod keys;
mod mistakes;
mod part;
mod part_text;
mod parts;
mod presets;
mod rules;
mod schema;
mod sense;
mod sense_agents;
mod sense_part;
mod shape;
mod values;

#[cfg(test)]
mod tests;

use toml::Spanned;
use toml::de::DeTable;

use self::mistakes::Mistakes;
use crate::base::{AccountName, VhostName};
use crate::proto::mig::acl::Acl;

pub use self::agents::{Agents, EnrolsFrom, ExchangeType, TextOrFile, Zone};
pub use self::investigator::Investigator;
pub use self::mistakes::Mistake;
pub use self::part::{FILE, Part, PartKind};
pub use self::parts::{
    Account, AccountLimits, ApplyTo, Binding, Delivery, Destination, Exchange, Grant, OnDrift, Policy, Queue,
    QueueType, RotateBy, Rotation, TopicGrant, Vhost, VhostLimits,
};
pub use self::presets::{PRESETS, preset, preset_with_agents};
pub use self::schema::schema;

/// Longest text of a profile. One with the most accounts and patterns of usual length has half of it.
pub const TEXT_LEN_MAX: usize = 4 * 1024 * 1024;

/// Longest text of which all that is no TOML is told at once; of a longer one only the first. Megabytes of nothing but errors,
/// such as a file of another kind, would become hundreds.
const RECOVERED_LEN_MAX: usize = 256 * 1024;

/// What is declared of a relay.
///
/// **Invariant:** it went through [`Profile::parse`]. Every name is one that a broker keeps as it is, each stands once in
/// its list, bindings have both their ends, the vhosts of grants are declared or named as foreign, and no user is wished
/// both there and away.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    name: String,
    vhosts: Vec<Vhost>,
    accounts: Vec<Account>,
    absent_users: Vec<AccountName>,
    foreign_vhosts: Vec<VhostName>,
    parts: Vec<Part>,
    investigators: Vec<Investigator>,
    acl: Option<Acl>,
    agents: Option<Agents>,
}

impl Profile {
    /// The profile that a text declares, or everything that is wrong with the text, in the order of its places. There is at
    /// least one mistake then, and of very many the last one counts the rest.
    pub fn parse(text: &str) -> Result<Self, Vec<Mistake>> {
        let mut mistakes = Mistakes::default();
        if text.len() > TEXT_LEN_MAX {
            mistakes.note(0, format!("a profile has at most {TEXT_LEN_MAX} bytes, not {}; take it apart", text.len()));
            return Err(mistakes.list(text));
        }
        let Some(document) = document(text, &mut mistakes) else { return Err(mistakes.list(text)) };
        shape::check(&document, &mut mistakes);
        sense::check(&document, &mut mistakes);
        let profile = mistakes.is_empty().then(|| build::profile(&document)).flatten();
        profile.ok_or_else(|| mistakes.list(text))
    }

    /// The built-in profile of this name.
    pub fn builtin(name: &str) -> Option<Self> {
        Self::parse(preset(name)?).ok()
    }

    /// What the relay is called: 1 to 64 of a-z, 0-9 and `-`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its vhosts, with what is declared in them.
    pub fn vhosts(&self) -> &[Vhost] {
        &self.vhosts
    }

    /// Its accounts.
    pub fn accounts(&self) -> &[Account] {
        &self.accounts
    }

    /// The users that the broker must not have.
    pub fn absent_users(&self) -> &[AccountName] {
        &self.absent_users
    }

    /// Those whose signatures agents ask for.
    pub fn investigators(&self) -> &[Investigator] {
        &self.investigators
    }

    /// The list that agents get of them; `None` without any.
    pub fn acl(&self) -> Option<&Acl> {
        self.acl.as_ref()
    }

    /// The agents of a fleet, if they are looked after.
    pub fn agents(&self) -> Option<&Agents> {
        self.agents.as_ref()
    }

    /// Files that are written for programs and hosts, each name once.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Vhosts that accounts may enter and that somebody else declares.
    pub fn foreign_vhosts(&self) -> &[VhostName] {
        &self.foreign_vhosts
    }
}

/// The tables of a text, as far as there are any.
fn document<'t>(text: &'t str, mistakes: &mut Mistakes) -> Option<DeTable<'t>> {
    let (document, errors) = if text.len() > RECOVERED_LEN_MAX {
        match DeTable::parse(text) {
            Ok(document) => (Some(document), Vec::new()),
            Err(error) => (None, vec![error]),
        }
    } else {
        let (document, errors) = DeTable::parse_recoverable(text);
        (Some(document), errors)
    };
    for error in errors {
        mistakes.note_syntax(error.span().unwrap_or_default().start, error.message());
    }
    document.map(Spanned::into_inner)
}
