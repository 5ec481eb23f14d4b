//! A closer look than health checks take: is everything set up so that it will work. For operators; a file for each group.

mod backups;
mod broker;
mod environment;
mod files;
mod further;
mod hosts;
mod install;
mod loops;
mod outside;

pub use environment::{CertificateFile, Environment};
pub use install::installed;

use super::Health;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grade {
    Well,
    /// It works, and an operator should know.
    Warning,
    /// Something does not work.
    Problem,
}

impl Grade {
    /// Its word, as the API and commands say it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Well => "well",
            Self::Warning => "warning",
            Self::Problem => "problem",
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What: `store`, `broker`, `broker clock`, `disk`, `key`, `mail`, `loops`, `dns`, `certificate`, `port`, ….
    pub about: &'static str,
    pub grade: Grade,
    /// What was found, and what to do.
    pub text: String,
}

impl Finding {
    fn new(about: &'static str, grade: Grade, text: impl Into<String>) -> Self {
        Self { about, grade, text: text.into() }
    }
}

impl Health {
    /// Only what there is to say of the broker, asked now within its deadline.
    pub async fn diagnose_broker(&self, is_well: bool) -> Vec<Finding> {
        let (mut findings, further) = tokio::join!(self.broker_findings(is_well), self.further_findings());
        let unreadable = self.parts.relay.unreadable();
        findings.extend(unreadable.map(|it| Finding::new("relay profile", Grade::Problem, &it.why)));
        findings.extend(further);
        findings
    }

    /// Everything, looked at now. Neighbours are asked side by side, each within its own deadline.
    pub async fn diagnose(&self) -> Vec<Finding> {
        let checks = self.check().await;
        let broker_is_well = checks.iter().any(|check| check.name == "broker" && check.state.is_ok());
        let mut findings: Vec<Finding> = checks
            .into_iter()
            .map(|check| match check.state {
                Ok(remark) => Finding::new(check.name, Grade::Well, remark),
                Err(problem) => Finding::new(check.name, Grade::Problem, problem),
            })
            .collect();
        let neighbours = async {
            let mut findings = self.host_findings().await;
            findings.extend(self.outside_findings().await);
            findings
        };
        let (files, backups, broker, neighbours) = tokio::join!(
            self.file_findings(),
            self.backup_findings(),
            self.diagnose_broker(broker_is_well),
            neighbours
        );
        let environment = self.around.environment.findings(self.parts.clock.now());
        findings.extend([files, backups, environment, broker, self.loop_findings(), neighbours].into_iter().flatten());
        let unreadable = self.parts.proxy.unreadable();
        findings.extend(unreadable.map(|it| Finding::new("proxy upstreams", Grade::Problem, &it.why)));
        findings
    }
}
