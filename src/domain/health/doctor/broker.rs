//! The broker: its version, its clock, its alarms, and what we may do there.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{Finding, Grade};
use crate::base::{AccountName, Error, Result, Timestamp};
use crate::domain::connections::NamespaceConnection;
use crate::domain::health::Health;
use crate::ports::broker::{self, Access, Alarm, Changed, Node, Overview, Proven, Support, Version};

/// For all questions of one finding: a list of users may take long on a large broker.
const ASK_TIMEOUT: Duration = Duration::from_secs(20);
/// Clocks that differ by more deserve a look: NTP keeps them within milliseconds.
const SKEW_WARNING: Duration = Duration::from_secs(5);
/// By more, people who compare logs of both conclude nonsense, and ages of connections are wrong.
const SKEW_PROBLEM: Duration = Duration::from_secs(60);
/// Users, or patterns, that a finding names.
const NAMED_MAX: usize = 10;
/// The broker tells whole seconds.
const SKEW_UNSEEN: Duration = Duration::from_secs(1);

impl Health {
    /// Nothing but who we are while it is away: that it is away is a finding of its own.
    pub(super) async fn broker_findings(&self, is_well: bool) -> Vec<Finding> {
        let Ok(cluster) = self.around.cluster.get() else { return Vec::new() };
        if !is_well {
            return Vec::from_iter(self.administrator(None));
        }
        let overview = within(cluster.overview());
        let rights = within(self.rights());
        let alarms = within(cluster.alarms());
        let nodes = within(cluster.nodes());
        let strangers = within(self.parts.administrator.strangers());
        let in_the_way = within(self.parts.administrator.in_the_way());
        let connections = within(self.parts.connections.list());
        let (overview, rights, alarms, nodes, strangers, in_the_way, connections) =
            tokio::join!(overview, rights, alarms, nodes, strangers, in_the_way, connections);
        let mut findings = Vec::new();
        match overview {
            Ok(overview) => {
                findings.push(version(&overview));
                findings.extend(frames(&overview, self.parts.namespaces.amqp_query()));
                let settings = self.patterns_of_settings().ok().into_iter().flatten();
                let patterns = settings.map(|(setting, pattern)| (setting.to_owned(), pattern));
                let patterns: Vec<_> = patterns.chain(self.parts.relay.patterns()).collect();
                findings.extend(changes(&overview, &patterns));
                findings.extend(overview.time.map(|theirs| skew(self.parts.clock.now(), theirs)));
            }
            Err(error) => findings.push(unasked("broker version", &error)),
        }
        findings.push(rights.unwrap_or_else(|error| unasked("broker rights", &error)));
        findings.extend(nodes.as_ref().ok().and_then(|nodes| mixed(nodes)));
        findings.push(match (alarms, nodes) {
            (Ok(alarms), Ok(nodes)) => trouble(&alarms, &nodes),
            (Err(error), _) | (_, Err(error)) => unasked("broker alarms", &error),
        });
        findings.extend(connections.ok().as_deref().and_then(ages));
        findings.extend(self.administrator(strangers.ok()));
        findings.extend(in_the_way.ok().and_then(|names| taken(&names)));
        findings
    }

    async fn rights(&self) -> Result<Finding> {
        let Proven { user, access } = self.parts.administrator.rights().await?;
        Ok(rights(&user.name, self.around.vhost.as_str(), access.as_ref()))
    }

    fn administrator(&self, strangers: Option<Vec<String>>) -> Option<Finding> {
        let about = "administrator";
        let shown = self.parts.administrator.status().ok()?;
        let strangers = strangers.unwrap_or_default();
        let (grade, text) = match (&shown.active, shown.rotated) {
            _ if shown.is_refused => (
                Grade::Problem,
                "the broker refuses the one of the store, and the login of the settings stands in: see `keylender loop run \
                 reconcile`"
                    .to_owned(),
            ),
            _ if shown.incoming.is_some() => (
                Grade::Warning,
                "a rotation began and has not ended: `keylender loop run reconcile` finishes it".to_owned(),
            ),
            _ if !strangers.is_empty() => (
                Grade::Warning,
                format!(
                    "users of another appliance, or of a store that was lost: {}; delete those that nobody uses",
                    strangers.join(", ")
                ),
            ),
            (Some(active), Some(rotated)) => (Grade::Well, format!("`{active}` since {rotated}")),
            _ => (
                Grade::Well,
                "RABBIT_USERNAME, with the password of the settings; `keylender broker rotate` replaces it".to_owned(),
            ),
        };
        Some(Finding::new(about, grade, text))
    }
}

async fn within<T>(asked: impl Future<Output = Result<T>>) -> Result<T> {
    let late = || Error::unavailable("the broker does not answer in time");
    tokio::time::timeout(ASK_TIMEOUT, asked).await.unwrap_or_else(|_| Err(late()))
}

fn unasked(about: &'static str, error: &Error) -> Finding {
    Finding::new(about, Grade::Warning, format!("it could not be asked: {}", error.message()))
}

pub(super) fn version(overview: &Overview) -> Finding {
    let version = &overview.version;
    let (grade, text) = match overview.support() {
        Support::Known => (Grade::Well, format!("RabbitMQ {version}")),
        Support::EndOfLife => (
            Grade::Warning,
            format!("RabbitMQ {version} works, and its makers mend nothing in it any more: plan an upgrade"),
        ),
        Support::TooOld => (
            Grade::Problem,
            format!("RabbitMQ {version} is older than 3.8, the first that this was tried on: upgrade it"),
        ),
        Support::Untried => {
            (Grade::Warning, format!("RabbitMQ {version} is newer than what this Keylender was tried with"))
        }
    };
    Finding::new("broker version", grade, text)
}

/// What cannot be known of connections where the broker keeps no statistics.
fn ages(connections: &[NamespaceConnection]) -> Option<Finding> {
    let is_unknown = !connections.is_empty() && connections.iter().all(|each| each.connection.connected_at.is_none());
    let text = "the broker keeps no statistics, so nobody knows how old they are: CONNECTION_MAX_LIFETIME closes none";
    is_unknown.then(|| Finding::new("connections", Grade::Warning, text))
}

/// Users of somebody else that have the names of ours.
fn taken(names: &[AccountName]) -> Option<Finding> {
    let named: Vec<&str> = names.iter().take(NAMED_MAX).map(AccountName::as_str).collect();
    let more = names.len().checked_sub(NAMED_MAX + 1).map(|more| format!(" and {} more", more + 1)).unwrap_or_default();
    let text = format!(
        "somebody else has users there with names of ours: {}{more}; they are left alone. Delete them there, or remove what \
         they stand in the way of",
        named.join(", ")
    );
    (!names.is_empty()).then(|| Finding::new("broker users", Grade::Warning, text))
}

/// What connection strings lack on this version.
fn frames(overview: &Overview, query: &str) -> Option<Finding> {
    let is_told = query.to_ascii_lowercase().replace('_', "").contains("framemax=");
    let is_lacking = !is_told && Version::parse(&overview.version).is_some_and(Version::needs_large_frames);
    let text = format!(
        "RabbitMQ {} cuts off clients of amqplib before 0.10.6, without a word, unless connection strings ask for larger \
         frames: where there are such clients set TASKCLUSTER_AMQP_QUERY=frameMax=8192, which pika and kombu refuse",
        overview.version
    );
    is_lacking.then(|| Finding::new("connection strings", Grade::Warning, text))
}

/// What patterns of lent users will not mean any more when the broker gets a newer Erlang.
fn changes(overview: &Overview, patterns: &[(String, String)]) -> Option<Finding> {
    if overview.has_pcre2() {
        return None;
    }
    let told = patterns.iter().flat_map(|(setting, pattern)| {
        broker::changed(pattern).into_iter().map(move |Changed { construct, part }| {
            let fate = if construct.is_refused() { "is refused" } else { "means something else" };
            format!("`{part}` of {setting} {fate}: {}", construct.instead())
        })
    });
    let mut told: Vec<String> = told.take(NAMED_MAX + 1).collect();
    if told.len() > NAMED_MAX {
        told[NAMED_MAX] = "and there are more".to_owned();
    }
    let text = format!("with Erlang 28 and newer, as RabbitMQ 4.2 and newer are packaged with it, {}", told.join("; "));
    (!told.is_empty()).then(|| Finding::new("patterns", Grade::Warning, text))
}

fn skew(ours: Timestamp, theirs: Timestamp) -> Finding {
    let about = "broker clock";
    let differs = ours.since(theirs).max(theirs.since(ours)).saturating_sub(SKEW_UNSEEN);
    let which = if ours > theirs { "behind" } else { "ahead of" };
    let text = |what: &str| format!("the broker's clock is {} s {which} ours: {what}", differs.as_secs());
    match differs {
        differs if differs >= SKEW_PROBLEM => Finding::new(about, Grade::Problem, text("set the one that is wrong")),
        differs if differs >= SKEW_WARNING => {
            Finding::new(about, Grade::Warning, text("see that both hosts are kept by NTP"))
        }
        _ => Finding::new(about, Grade::Well, "it shows the same time as ours"),
    }
}

pub(super) fn rights(us: &str, vhost: &str, access: Option<&Access>) -> Finding {
    let about = "broker rights";
    let command = format!("rabbitmqctl set_permissions -p {vhost} {us} '.*' '.*' '.*'");
    match access {
        None => {
            let text = format!("`{us}` may not enter the vhost {vhost}, so that no queue can be deleted: {command}");
            Finding::new(about, Grade::Problem, text)
        }
        Some(Access { configure, write, read }) if [configure, write, read].iter().any(|part| *part != ".*") => {
            let text = format!("`{us}` may not do everything in the vhost {vhost}: {command}");
            Finding::new(about, Grade::Warning, text)
        }
        Some(_) => {
            Finding::new(about, Grade::Well, format!("`{us}` is an administrator and may do everything in {vhost}"))
        }
    }
}

fn trouble(alarms: &[Alarm], nodes: &[Node]) -> Finding {
    let about = "broker alarms";
    let alarmed = alarms
        .iter()
        .map(|alarm| format!("{} is short on {}: publishers are blocked; make room there", alarm.resource, alarm.node));
    let split = nodes.iter().filter(|node| !node.partitions.is_empty()).map(|node| {
        let lost = node.partitions.join(", ");
        format!("{} lost sight of {lost}: the cluster is split; restart the side that is to give way", node.name)
    });
    let problems: Vec<String> = alarmed.chain(split).collect();
    let stopped: Vec<&str> = nodes.iter().filter(|node| !node.is_running).map(|node| node.name.as_str()).collect();
    match (problems.as_slice(), stopped.as_slice()) {
        ([], []) => Finding::new(about, Grade::Well, "none"),
        ([], stopped) => Finding::new(about, Grade::Warning, format!("nodes do not run: {}", stopped.join(", "))),
        (problems, _) => Finding::new(about, Grade::Problem, problems.join("; ")),
    }
}

/// Nodes of several versions in one cluster, as in the middle of an upgrade.
fn mixed(nodes: &[Node]) -> Option<Finding> {
    let versions: BTreeSet<&str> = nodes.iter().filter_map(|node| node.version.as_deref()).collect();
    let named = versions.iter().copied().collect::<Vec<_>>().join(" and ");
    let text = format!(
        "its nodes run RabbitMQ {named}: each tells of its own connections only, and new quorum queues, streams and limits of users \
         may be refused until all have the newer one and its feature flags are on"
    );
    (versions.len() > 1).then(|| Finding::new("broker nodes", Grade::Warning, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_of_two_versions_is_said() {
        let node = |name: &str, version: Option<&str>| Node {
            name: name.into(),
            is_running: true,
            is_drained: false,
            partitions: Vec::new(),
            version: version.map(str::to_owned),
        };
        assert!(mixed(&[node("a", Some("3.8.9")), node("b", Some("3.8.9")), node("c", None)]).is_none());
        let found = mixed(&[node("a", Some("3.10.8")), node("b", Some("3.8.9"))]).unwrap();
        assert!(found.text.contains("3.10.8 and 3.8.9"), "{}", found.text);
    }

    #[test]
    fn clocks_that_differ_are_a_warning_from_five_seconds_and_a_problem_from_sixty() {
        let ours = Timestamp::from_millis(1_800_000_000_000);
        for (seconds, grade) in
            [(0, Grade::Well), (5, Grade::Well), (6, Grade::Warning), (60, Grade::Warning), (61, Grade::Problem)]
        {
            let apart = Duration::from_secs(seconds);
            assert_eq!(skew(ours, ours.plus(apart)).grade, grade, "{seconds} s ahead");
            assert_eq!(skew(ours, ours.minus(apart)).grade, grade, "{seconds} s behind");
        }
        assert!(
            skew(ours, ours.minus(Duration::from_secs(9))).text.starts_with("the broker's clock is 8 s behind ours")
        );
    }

    #[test]
    fn every_alarm_and_every_split_is_named() {
        let node = |partitions: &[&str], is_running| Node {
            name: "rabbit@a".into(),
            is_running,
            is_drained: false,
            partitions: partitions.iter().map(|name| (*name).to_owned()).collect(),
            version: None,
        };
        assert_eq!(trouble(&[], &[node(&[], true)]).grade, Grade::Well);
        assert_eq!(trouble(&[], &[node(&[], false)]).grade, Grade::Warning);
        let alarm = Alarm { node: "rabbit@a".into(), resource: "memory".into() };
        let found = trouble(&[alarm], &[node(&["rabbit@b"], true)]);
        assert!(found.grade == Grade::Problem && found.text.contains("memory") && found.text.contains("rabbit@b"));
    }

    #[test]
    fn rights_that_lack_something_say_the_command() {
        assert_eq!(rights("u", "/", None).grade, Grade::Problem);
        let all = || ".*".to_owned();
        let some = Access { configure: all(), write: all(), read: "^$".into() };
        let found = rights("u", "/", Some(&some));
        assert!(found.grade == Grade::Warning && found.text.contains("rabbitmqctl set_permissions -p / u"));
        assert_eq!(rights("u", "/", Some(&Access { read: all(), ..some })).grade, Grade::Well);
    }
}
