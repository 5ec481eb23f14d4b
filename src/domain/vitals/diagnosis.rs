//! A closer look than health checks take: is everything set up so that it will work. For operators.

mod premises;

pub use premises::{CertificateFile, Premises};

use super::Vitals;
use crate::base::Kind;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grade {
    /// As it should be.
    Well,
    /// It works, and an operator should know.
    Warning,
    /// Something does not work.
    Problem,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What: `store`, `broker`, `clock`, `host credentials`, `host scopes`, `dns`, `certificate`, `port`,
    /// `open files`.
    pub about: &'static str,
    /// How bad.
    pub grade: Grade,
    /// What was found, and what to do.
    pub text: String,
}

impl Finding {
    fn new(about: &'static str, grade: Grade, text: impl Into<String>) -> Self {
        Self { about, grade, text: text.into() }
    }
}

impl Vitals {
    /// Everything, looked at now.
    pub async fn diagnose(&self) -> Vec<Finding> {
        let mut findings: Vec<Finding> = self
            .check()
            .await
            .into_iter()
            .map(|vital| match vital.state {
                Ok(remark) => Finding::new(vital.name, Grade::Well, remark),
                Err(problem) => Finding::new(vital.name, Grade::Problem, problem),
            })
            .collect();
        findings.push(self.host_settings());
        if self.parts.hosts.missing().is_empty() {
            findings.push(self.host_scopes().await);
            findings.push(self.dns());
        }
        findings.extend(self.parts.premises.findings(self.parts.clock.now()));
        findings
    }

    fn host_settings(&self) -> Finding {
        let about = "host credentials";
        match self.parts.hosts.missing() {
            [] => Finding::new(about, Grade::Well, "machines are lent credentials"),
            missing => Finding::new(
                about,
                Grade::Warning,
                format!("machines are lent nothing; to lend to them, set {}", missing.join(", ")),
            ),
        }
    }

    async fn host_scopes(&self) -> Finding {
        let about = "host scopes";
        match self.parts.hosts.lacking().await {
            Ok(None) => Finding::new(about, Grade::Well, "not checked, for there is no TASKCLUSTER_ROOT_URL"),
            Ok(Some(lacking)) if lacking.is_empty() => {
                Finding::new(about, Grade::Well, "TASKCLUSTER_CLIENT_ID holds what it signs for")
            }
            Ok(Some(lacking)) => Finding::new(
                about,
                Grade::Problem,
                format!(
                    "TASKCLUSTER_CLIENT_ID lacks scopes, so what machines get will be refused: {}",
                    lacking.join(", ")
                ),
            ),
            Err(error) if error.kind() == Kind::Unauthenticated => Finding::new(
                about,
                Grade::Problem,
                format!("the auth service refuses TASKCLUSTER_CLIENT_ID and its token: {}", error.message()),
            ),
            Err(error) => Finding::new(about, Grade::Warning, error.message()),
        }
    }

    fn dns(&self) -> Finding {
        let servers = self.parts.hosts.servers();
        if servers.is_empty() {
            let text = "there is no DNS server to ask: see DNS_SERVERS and /etc/resolv.conf";
            return Finding::new("dns", Grade::Problem, text);
        }
        let distant: Vec<String> =
            servers.iter().filter(|server| !server.is_loopback()).map(ToString::to_string).collect();
        match distant.is_empty() {
            true => Finding::new("dns", Grade::Well, "only servers on this machine are asked"),
            false => Finding::new(
                "dns",
                Grade::Warning,
                format!(
                    "DNS servers elsewhere are believed ({}): whoever is on the way to them can be any host; run a \
                     resolver on this machine, or see DNS_AGREE and DNS_DNSSEC",
                    distant.join(", ")
                ),
            ),
        }
    }
}
