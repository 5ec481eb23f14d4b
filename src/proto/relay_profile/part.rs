//! Files that the platform's programs and hosts need, which are written from the profile and the passwords of today.

use serde_json::{Map, Value};

use super::parts::words;
use crate::base::AccountName;
use crate::proto::mig::gcfg::{Age, Program};

/// The key of a setting that is read from a file when the part is written.
pub const FILE: &str = "file";

words! {
    /// What is written.
    PartKind {
        /// `scheduler.cfg` of MIG.
        Scheduler = "mig-scheduler",
        /// `api.cfg` of MIG.
        Api = "mig-api",
        /// The file of MIG's worker for refused agents.
        Worker = "mig-worker",
        /// `mig-agent.cfg`.
        Agent = "mig-agent",
        /// `acl.cfg`: whose signatures agents ask for.
        Acl = "mig-acl",
        /// The directory of investigators' keys, a file each.
        AgentKeys = "mig-agentkeys",
        /// Whose heartbeats the scheduler takes: the list that is kept here.
        Whitelist = "mig-whitelist",
        /// A shell script that makes the scheduler's directories.
        Spool = "mig-spool",
        /// The roles of MIG's database, for psql.
        DatabaseRoles = "mig-database-roles",
        /// What these may do, for psql.
        DatabaseRights = "mig-database-rights",
        /// From where they may come: lines of `pg_hba.conf`.
        DatabaseAccess = "mig-database-access",
        /// Lines of `rabbitmq.conf` for TLS.
        BrokerTls = "rabbitmq-tls",
        /// The same as `rabbitmq.config` or `advanced.config`.
        BrokerTlsClassic = "rabbitmq-tls-classic",
        /// A line of `limits.conf` for the broker.
        OpenFiles = "rabbitmq-open-files",
        /// The same for a systemd service.
        OpenFilesService = "rabbitmq-open-files-service",
        /// The redirection of port 443 to the broker, by iptables.
        RedirectIptables = "port-443-iptables",
        /// The same by nftables.
        RedirectNftables = "port-443-nftables",
    }
}

impl PartKind {
    /// The program of MIG that reads it, if it is one's settings.
    pub fn program(self) -> Option<Program> {
        match self {
            Self::Scheduler => Some(Program::Scheduler),
            Self::Api => Some(Program::Api),
            Self::Worker => Some(Program::Worker),
            Self::Agent => Some(Program::Agent),
            _ => None,
        }
    }

    /// Whether the login of an account stands in it.
    pub fn needs_login(self) -> bool {
        self.program().is_some_and(Program::needs_login)
    }

    /// Whether it depends on how old the programs are.
    pub fn needs_age(self) -> bool {
        self.program().is_some() || matches!(self, Self::Acl | Self::AgentKeys | Self::DatabaseRights)
    }

    /// Where it belongs unless said.
    pub(super) fn path(self) -> String {
        let path = match self {
            Self::Scheduler | Self::Api | Self::Worker | Self::Agent => {
                return format!("/etc/mig/{}", self.program().map_or("", Program::file_name));
            }
            Self::Acl => "/etc/mig/acl.cfg",
            Self::AgentKeys => "/etc/mig/agentkeys",
            Self::Whitelist => "/var/cache/mig/agents_whitelist.txt",
            Self::Spool => "/usr/local/sbin/mig-spool",
            Self::DatabaseRoles => "/etc/mig/roles.sql",
            Self::DatabaseRights => "/etc/mig/rights.sql",
            Self::DatabaseAccess => "/etc/mig/pg_hba.conf",
            Self::BrokerTls => "/etc/rabbitmq/rabbitmq.conf",
            Self::BrokerTlsClassic => "/etc/rabbitmq/rabbitmq.config",
            Self::OpenFiles => "/etc/security/limits.d/rabbitmq.conf",
            Self::OpenFilesService => "/etc/systemd/system/rabbitmq-server.service.d/open-files.conf",
            Self::RedirectIptables => "/usr/local/sbin/mig-port-443",
            Self::RedirectNftables => "/etc/nftables.d/mig-port-443.nft",
        };
        path.to_owned()
    }

    /// Its mode unless said: what may hold a password is its owner's alone.
    pub(super) fn mode(self) -> u32 {
        match self {
            _ if self.program().is_some() => 0o600,
            Self::Spool | Self::RedirectIptables => 0o755,
            _ => 0o644,
        }
    }
}

/// A file that is written for a program or a host.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// What it is called where it is asked for: 1 to 64 of a-z, 0-9 and `-`.
    pub name: String,
    /// What it is.
    pub kind: PartKind,
    /// The age of the programs that read it; the last one where that is no matter.
    pub age: Age,
    /// Whose login is in it: an account of the profile that may enter a vhost, the first of which is meant. That which `[agents]`
    /// names needs none: each host gets it with its own.
    pub account: Option<AccountName>,
    /// Where it belongs on its host, from the root on; the directory of one of several files.
    pub path: String,
    /// Who may read and write it there, as the bits of its mode.
    pub mode: u32,
    /// Whose it is there; of whoever writes it unless said.
    pub owner: Option<String>,
    /// The group that it has there.
    pub group: Option<String>,
    /// What stands in it beside the login, by section and key. It may say where a text is read instead: `{ file = "…" }`.
    pub settings: Map<String, Value>,
}
