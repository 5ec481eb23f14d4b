//! The texts of the monitor: why a step is taken, and the notices about it.

use std::time::Duration;

use super::forecast::Forecast;
use super::limits::{Limits, Over, Thresholds};
use super::plan::{Step, What};
use super::rules::Pattern;
use crate::base::{NamespaceName, Span, Timestamp};
use crate::domain::archives::Archive;
use crate::domain::namespaces::MonitoredNamespace;
use crate::domain::notices::Notice;
use crate::ports::broker::{Overflow, Queue, QueueLimit};

impl Limits {
    /// What holds for queues of a pattern, a sentence each.
    pub fn effects(&self, pattern: &Pattern) -> Vec<String> {
        let mut effects = vec![format!("Queues named {pattern} are warned of {}.", when(&self.warn))];
        if let Some(cap) = self.limit {
            let fate = match cap.overflow {
                Overflow::RejectPublish => "refuses what is published to them",
                Overflow::DropHead => "throws their oldest messages away for new ones",
            };
            effects.push(format!("The broker {fate} {}.", when(&cap.at)));
        }
        match self.archive {
            Some(at) if at != Thresholds::default() => {
                effects.push(format!("Their messages are taken out into an archive {}.", when(&at)));
                effects.push(format!("They are archived and deleted {}.", when(&self.delete)));
            }
            Some(_) => effects.push(format!("They are archived and deleted {}.", when(&self.delete))),
            None => effects.push(format!("They are deleted {}.", when(&self.delete))),
        }
        effects.extend(self.exempt_until.map(|until| format!("Until {until} nothing of this happens.")));
        effects
    }
}

/// When a rung is reached.
fn when(at: &Thresholds) -> String {
    let parts = [
        at.messages.map(|messages| format!("beyond {messages} messages")),
        at.bytes.map(|bytes| format!("beyond {bytes} bytes")),
        at.head.map(|age| format!("when the first message is {} old", span(age))),
        at.unconsumed.map(|time| format!("after {} without a consumer", span(time))),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    if parts.is_empty() { "never".to_owned() } else { parts.join(", or ") }
}

/// Why a queue is over a limit.
pub fn describe_over(over: &Over, queue: &Queue) -> String {
    let messages = queue.messages.unwrap_or_default();
    match over {
        Over::Messages(limit) => match queue.unacknowledged {
            Some(in_hand @ 1..) => {
                format!("it has {messages} messages, {in_hand} of them in the hands of consumers, more than {limit}")
            }
            _ => format!("it has {messages} messages, more than {limit}"),
        },
        Over::Unbounded(limit) => format!(
            "it has {messages} messages, more than {limit}, and neither an age nor a number of bytes bounds this stream"
        ),
        Over::Bytes(limit) => format!("it has {} bytes, more than {limit}", queue.bytes.unwrap_or_default()),
        Over::Head(limit) => format!("its first message is older than {}", span(*limit)),
        Over::Unconsumed(limit) => format!("it had no consumer for {}", span(*limit)),
    }
}

/// Why a contact is warned.
pub fn warning(
    limit: &Over,
    queue: &Queue,
    is_again: bool,
    forecast: Option<&Forecast>,
    deletion: Option<Timestamp>,
    grace: Duration,
) -> String {
    let still = if is_again { "still " } else { "" };
    let mut why = describe_over(limit, queue).replacen("it ", &format!("it {still}"), 1);
    match (deletion, forecast) {
        (Some(at), _) => why.push_str(&format!(", and is deleted after {at} if nothing changes")),
        (None, Some(forecast)) if forecast.to_deletion > Duration::ZERO => {
            why.push_str(&format!(
                ", and at the present rate is deleted in {}",
                span(forecast.to_deletion.saturating_add(grace))
            ));
        }
        (None, _) => {}
    }
    why
}

/// Why a contact hears that all is well again.
pub fn normal(queue: &Queue) -> String {
    format!("it has {} messages and is in order again", queue.messages.unwrap_or_default())
}

/// Why the broker takes no more for a queue, and what that means for those who publish.
pub fn limited(why: &str, limit: &QueueLimit) -> String {
    let counts =
        [limit.messages.map(|most| format!("{most} messages")), limit.bytes.map(|most| format!("{most} bytes"))];
    let most = counts.into_iter().flatten().collect::<Vec<_>>().join(" and ");
    let fate = match limit.overflow {
        Overflow::RejectPublish => "more is refused: publishers that ask for confirmations learn of it",
        Overflow::DropHead => "for each that comes the oldest goes",
    };
    format!("{why}; from now on it holds {most} at most, and {fate}")
}

/// Why messages of a queue were taken out, and where they are.
pub fn archived(why: &str, archive: &Archive) -> String {
    let arrived = match archive.arrived {
        0 => String::new(),
        arrived => format!("; {arrived} came meanwhile and are in the queue"),
    };
    format!("{why}; {} messages are in the archive {}{arrived}", archive.messages, archive.name)
}

/// Why a queue was deleted whose messages are kept.
pub fn archived_and_deleted(why: &str, archive: &Archive) -> String {
    format!("{why}; {} messages that waited in it are in the archive {}", archive.messages, archive.name)
}

/// Why a limit ends that no rule asks for any more.
pub fn unruled() -> String {
    "no rule limits it any more".to_owned()
}

/// Why the limit of a queue ends that is gone.
pub fn absent() -> String {
    "it is not there any more".to_owned()
}

/// Why a contact hears of a deletion to come.
pub fn forecast(messages: u64, limits: &Limits, forecast: &Forecast) -> String {
    let (warn, delete) = limits.messages().unwrap_or_default();
    let warning = match forecast.to_warning {
        Duration::ZERO => String::new(),
        until => format!("gets over {warn} in {} and ", span(until)),
    };
    let deletion = match limits.grace {
        Duration::ZERO => format!("is deleted at {delete} in {}", span(forecast.to_deletion)),
        grace => {
            let until = span(forecast.to_deletion);
            format!("gets over {delete} in {until} and is deleted {} later", span(grace))
        }
    };
    format!(
        "it has {messages} messages, grows by {:.0} an hour, and at this rate {warning}{deletion}",
        forecast.per_hour
    )
}

/// Why something is not wanted any more.
pub fn describe_gone(namespace: &NamespaceName) -> String {
    format!("the namespace {namespace} no longer exists")
}

/// Why a connection is closed; its client reads it.
pub fn too_old(lifetime: Duration) -> String {
    format!("it is older than {}: claim the credentials anew and connect again", span(lifetime))
}

/// Why the contact of a namespace hears of its connections.
pub fn outlive(count: usize, watched: &MonitoredNamespace) -> String {
    let connections = if count == 1 { "1 connection uses".to_owned() } else { format!("{count} connections use") };
    format!("{connections} the user {}, whose password was promised until {}", watched.resting, watched.resting_until)
}

/// A length of time, as exactly as a person wants it.
fn span(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let unit = match seconds {
        ..120 => 1,
        120..7_200 => 60,
        7_200..172_800 => 3_600,
        _ => 86_400,
    };
    let rounded = i64::try_from((seconds / unit * unit).saturating_mul(1000)).unwrap_or(i64::MAX);
    Span::from_millis(rounded).to_string()
}

/// The notice of a step; `None` for a step that nobody is told of.
pub fn notice(step: &Step, to: Vec<String>) -> Option<Notice> {
    let name = step.object.name();
    let (kind, subject, advice) = match step.what {
        What::Warn if matches!(step.over, Some(Over::Unconsumed(_))) => (
            "queue.warn",
            format!("queue {name} has no consumer"),
            "Connect a consumer, or delete the queue if nobody needs it.",
        ),
        What::Warn if matches!(step.over, Some(Over::Unbounded(_))) => (
            "queue.warn",
            format!("stream {name} grows without a bound"),
            "Declare it with x-max-age or x-max-length-bytes, or ask an operator for a policy or a rule.",
        ),
        What::Warn => (
            "queue.warn",
            format!("queue {name} is filling up"),
            "Consume its messages, or delete the queue if nobody needs it: a queue that grows further is deleted.",
        ),
        What::Forecast => (
            "queue.forecast",
            format!("queue {name} will soon be deleted"),
            "Consume its messages faster, or ask an operator for an exemption.",
        ),
        What::Normal => ("queue.normal", format!("queue {name} is in order again"), "Nothing needs to be done."),
        What::Outlive => (
            "connections.outlive",
            format!("old connections of {name}"),
            "They stay open, but the clients should claim their credentials anew and connect again.",
        ),
        What::Delete | What::Conclude => {
            ("queue.delete", format!("queue {name} was deleted"), "A client that needs the queue can declare it again.")
        }
        What::Limit => (
            "queue.limit",
            format!("queue {name} takes no more messages"),
            "Consume its messages: the limit ends when the queue is in order again.",
        ),
        What::Unlimit => ("queue.unlimit", format!("queue {name} takes messages again"), "Nothing needs to be done."),
        What::Archive => (
            "queue.archive",
            format!("the messages of queue {name} were archived"),
            "An operator can bring them back: into this queue, or into another one.",
        ),
        What::Close => return None,
    };
    let lost = match (step.what, step.messages) {
        (What::Delete | What::Conclude, Some(messages)) => format!("{messages} messages were lost. "),
        _ => String::new(),
    };
    let sort = if step.what == What::Outlive { "namespace" } else { "queue" };
    let body = format!("About the {sort} {name}: {}.\n\n{lost}{advice}\n", step.why);
    Some(Notice { kind, about: name.to_owned(), to, subject, body })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::monitor::{Object, Prefixes};

    #[test]
    fn the_notice_of_a_deletion_says_how_many_messages_were_lost() {
        let [queue, exchange, namespace, username] = ["queue/", "exchange/", "t-", ""].map(String::from);
        let name = Prefixes { queue, exchange, namespace, username }.queue("queue/t-a/jobs").unwrap();
        let why = "it has 8001 messages, more than 8000".to_owned();
        let over = Some(Over::Messages(8000));
        let step = Step { what: What::Delete, object: Object::Resource(name), why, messages: Some(8001), over };
        let notice = notice(&step, vec!["a@example.com".into()]).unwrap();
        assert_eq!(
            (notice.subject.as_str(), notice.to),
            ("queue queue/t-a/jobs was deleted", vec!["a@example.com".into()])
        );
        insta::assert_snapshot!(notice.body, @r"
        About the queue queue/t-a/jobs: it has 8001 messages, more than 8000.

        8001 messages were lost. A client that needs the queue can declare it again.
        ");
    }
}
