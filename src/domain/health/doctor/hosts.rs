//! The doctor on credentials of hosts: settings, the scopes of the issuer, DNS.

use super::{Finding, Grade};
use crate::base::Kind;
use crate::domain::health::Health;

impl Health {
    pub(super) async fn host_findings(&self) -> Vec<Finding> {
        let mut findings = vec![self.host_settings()];
        if self.parts.hosts.missing().is_empty() {
            findings.push(self.host_scopes().await);
            findings.push(self.dns());
            findings.extend(self.dns_answers().await);
        }
        findings
    }

    /// Whether every DNS server answers.
    async fn dns_answers(&self) -> Option<Finding> {
        let (agree, servers) = self.parts.hosts.answering().await;
        let silent: Vec<String> = servers
            .iter()
            .filter_map(|(server, answers)| answers.as_ref().err().map(|why| format!("{server} ({why})")))
            .collect();
        let (count, silent_count) = (servers.len(), silent.len());
        (count > 0).then(|| match silent_count {
            0 => Finding::new("dns servers", Grade::Well, format!("all {count} answer")),
            _ => {
                let grade = if count - silent_count < agree { Grade::Problem } else { Grade::Warning };
                let list = silent.join(", ");
                let text = format!("{silent_count} of {count} do not answer, {agree} must: {list}; see DNS_SERVERS");
                Finding::new("dns servers", grade, text)
            }
        })
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
        if distant.is_empty() {
            Finding::new("dns", Grade::Well, "only servers on this machine are asked")
        } else {
            Finding::new(
                "dns",
                Grade::Warning,
                format!(
                    "DNS servers elsewhere are believed ({}): whoever is on the way to them can be any host; run a \
                     resolver on this machine, or see DNS_AGREE and DNS_DNSSEC",
                    distant.join(", ")
                ),
            )
        }
    }
}
