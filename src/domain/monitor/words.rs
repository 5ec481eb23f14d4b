//! The texts of the monitor: why a step is taken, and the notices about it.

use std::time::Duration;

use super::forecast::Forecast;
use super::plan::{Step, What};
use super::rules::{Limits, Over};
use crate::base::{NamespaceName, Span, Timestamp};
use crate::domain::namespaces::MonitoredNamespace;
use crate::domain::notices::Notice;
use crate::ports::broker::Queue;

/// Why a queue is over a limit.
pub fn over(over: &Over, queue: &Queue) -> String {
    match over {
        Over::Messages(limit) => format!("it has {} messages, more than {limit}", queue.messages.unwrap_or_default()),
        Over::Bytes(limit) => format!("it has {} bytes, more than {limit}", queue.bytes.unwrap_or_default()),
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
    let mut why = over(limit, queue).replacen("it ", &format!("it {still}"), 1);
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

/// Why a contact hears of a deletion to come.
pub fn forecast(messages: u64, limits: &Limits, forecast: &Forecast) -> String {
    let warning = match forecast.to_warning {
        Duration::ZERO => String::new(),
        until => format!("gets over {} in {} and ", limits.warn, span(until)),
    };
    let deletion = match limits.grace {
        Duration::ZERO => format!("is deleted at {} in {}", limits.delete, span(forecast.to_deletion)),
        grace => {
            let until = span(forecast.to_deletion);
            format!("gets over {} in {until} and is deleted {} later", limits.delete, span(grace))
        }
    };
    format!(
        "it has {messages} messages, grows by {:.0} an hour, and at this rate {warning}{deletion}",
        forecast.per_hour
    )
}

/// Why something is not wanted any more.
pub fn gone(namespace: &NamespaceName) -> String {
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
        let step = Step { what: What::Delete, object: Object::Thing(name), why, messages: Some(8001), over };
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
