//! The rule of a pattern of queues, as it is typed and shown: the ladder tell, limit, archive, delete.

use clap::Args;
use serde_json::{Map, Value, json};

use super::act::Given;
use super::output;
use crate::base::{Span, Timestamp};
use crate::ports::broker::Overflow;

/// A pattern and its rule.
#[derive(Args)]
pub(super) struct Ruled {
    /// Names of queues; `*` stands for any text
    pattern: String,
    /// Messages beyond which the contact is warned
    #[arg(long, value_name = "MESSAGES")]
    warn: Option<u64>,
    /// Messages beyond which the queue is deleted
    #[arg(long, value_name = "MESSAGES")]
    delete: Option<u64>,
    /// Bytes beyond which the contact is warned
    #[arg(long, value_name = "BYTES")]
    warn_bytes: Option<u64>,
    /// Bytes beyond which the queue is deleted
    #[arg(long, value_name = "BYTES")]
    delete_bytes: Option<u64>,
    /// Age of the first message from which on the contact is warned, such as `2 days`
    #[arg(long, value_name = "SPAN")]
    warn_head: Option<Span>,
    /// Age of the first message from which on the queue is deleted
    #[arg(long, value_name = "SPAN")]
    delete_head: Option<Span>,
    /// How long it may be without a consumer, such as `7 days`
    #[arg(long, value_name = "SPAN")]
    no_consumer: Option<Span>,
    #[command(flatten)]
    limit: Limit,
    #[command(flatten)]
    archive: Archive,
    /// How long it may be over a threshold before it is deleted
    #[arg(long, value_name = "SPAN")]
    grace: Option<Span>,
    /// Until when nothing of this holds, such as `2026-12-24T00:00:00Z`
    #[arg(long, value_name = "TIME")]
    exempt_until: Option<Timestamp>,
    /// Why, for other operators
    #[arg(long, value_name = "TEXT", default_value = "")]
    remark: String,
    #[command(flatten)]
    given: Given,
}

/// When the broker takes no more for it.
#[derive(Args)]
struct Limit {
    /// Messages beyond which the broker refuses more
    #[arg(long = "limit", value_name = "MESSAGES")]
    limit_messages: Option<u64>,
    /// Bytes beyond which the broker refuses more
    #[arg(long, value_name = "BYTES")]
    limit_bytes: Option<u64>,
    /// Age of the first message from which on the broker refuses more
    #[arg(long, value_name = "SPAN")]
    limit_head: Option<Span>,
    /// How long it may be without a consumer before the broker refuses more
    #[arg(long, value_name = "SPAN")]
    limit_no_consumer: Option<Span>,
    /// Throw the oldest away for what comes, instead of refusing it
    #[arg(long)]
    drop_oldest: bool,
}

/// When its messages are archived.
#[derive(Args)]
struct Archive {
    /// Archive what it holds before it is deleted
    #[arg(long)]
    archive: bool,
    /// Messages beyond which they are taken out into an archive, and the queue stays
    #[arg(long = "archive-over", value_name = "MESSAGES")]
    archive_messages: Option<u64>,
    /// The same in bytes
    #[arg(long, value_name = "BYTES")]
    archive_bytes: Option<u64>,
    /// The same by the age of the first message
    #[arg(long, value_name = "SPAN")]
    archive_head: Option<Span>,
    /// The same by the time without a consumer
    #[arg(long, value_name = "SPAN")]
    archive_no_consumer: Option<Span>,
}

impl Ruled {
    pub(super) fn pattern(&self) -> &str {
        &self.pattern
    }

    pub(super) fn given(&self) -> &Given {
        &self.given
    }

    /// The input of the action.
    pub(super) fn rule(&self) -> Value {
        let (limit, archive) = (&self.limit, &self.archive);
        let limited = rung(limit.limit_messages, limit.limit_bytes, limit.limit_head, limit.limit_no_consumer);
        let overflow = if limit.drop_oldest { Overflow::DropHead } else { Overflow::RejectPublish };
        let archived =
            rung(archive.archive_messages, archive.archive_bytes, archive.archive_head, archive.archive_no_consumer);
        let is_archived = archive.archive || !archived.is_empty();
        json!({
            "warnMessages": self.warn,
            "deleteMessages": self.delete,
            "warnBytes": self.warn_bytes,
            "deleteBytes": self.delete_bytes,
            "warnHeadSeconds": seconds(self.warn_head),
            "deleteHeadSeconds": seconds(self.delete_head),
            "unconsumedSeconds": seconds(self.no_consumer),
            "limit": (!limited.is_empty()).then_some(limited),
            "overflow": overflow.as_str(),
            "archive": is_archived.then_some(archived),
            "graceSeconds": seconds(self.grace).unwrap_or_default(),
            "exemptUntil": self.exempt_until.map(|until| until.to_string()),
            "remark": self.remark,
        })
    }
}

fn seconds(span: Option<Span>) -> Option<u64> {
    span.map(|span| span.size().as_secs())
}

/// A rung with what was typed of it.
fn rung(messages: Option<u64>, bytes: Option<u64>, head: Option<Span>, idle: Option<Span>) -> Map<String, Value> {
    let named = [
        ("messages", messages),
        ("bytes", bytes),
        ("headSeconds", seconds(head)),
        ("unconsumedSeconds", seconds(idle)),
    ];
    named.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.into()))).collect()
}

/// Prints a list of rules.
pub(super) fn show(list: &Value) {
    let heading = [
        "PATTERN",
        "WARN",
        "DELETE",
        "WARN BYTES",
        "DELETE BYTES",
        "HEAD S",
        "NO CONSUMER S",
        "LIMIT",
        "OVERFLOW",
        "ARCHIVE",
        "GRACE S",
        "EXEMPT UNTIL",
        "REMARK",
    ];
    let members = [
        "pattern",
        "warnMessages",
        "deleteMessages",
        "warnBytes",
        "deleteBytes",
        "deleteHeadSeconds",
        "unconsumedSeconds",
        "limit",
        "overflow",
        "archive",
        "graceSeconds",
        "exemptUntil",
        "remark",
    ];
    output::table(&heading, &output::rows(list, "rules", &members));
}
