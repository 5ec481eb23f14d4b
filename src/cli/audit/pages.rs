//! Showing entries of the log page by page, to its end or for as long as somebody looks.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use url::form_urlencoded;

use crate::app::operate::Operator;
use crate::base::{Error, Kind, Result};
use crate::cli::output;

/// Between two looks for new entries: soon for who watches, and nothing for the appliance.
const FOLLOW_PERIOD: Duration = Duration::from_secs(1);

/// Which entries are asked for, as part of a URL.
pub(super) struct Query(String);

impl Query {
    /// Of filters by name; those without a value are left out.
    pub(super) fn of<const N: usize>(filters: [(&str, Option<String>); N]) -> Self {
        let mut query = form_urlencoded::Serializer::new(String::new());
        for (name, value) in filters {
            if let Some(value) = value {
                query.append_pair(name, &value);
            }
        }
        Self(query.finish())
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// A page as the appliance answers it.
#[derive(Deserialize)]
pub(super) struct Page<'a> {
    /// The very bytes of the chain.
    #[serde(borrow)]
    pub entries: Vec<&'a RawValue>,
    pub next: Option<u64>,
    pub seen: u64,
}

impl<'a> Page<'a> {
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self> {
        serde_json::from_slice(bytes).map_err(|e| Error::unavailable("the answer is no page of a log").because(e))
    }
}

/// The bytes of a page.
pub(super) async fn fetch(operator: &Operator, from: u64, query: &Query) -> Result<Vec<u8>> {
    operator.fetch(&format!("/audit?from={from}&{}", query.0)).await
}

/// Prints the entries up to the end of the log.
pub(super) async fn show(operator: &Operator, from: u64, query: &Query, json: bool) -> Result<()> {
    let mut next = Some(from);
    while let Some(from) = next {
        let bytes = fetch(operator, from, query).await?;
        let page = Page::read(&bytes)?;
        let is_read = print(&page, json);
        next = page.next.filter(|_| is_read);
    }
    Ok(())
}

/// Prints entries as they come, until Ctrl-C or until nobody reads them.
pub(super) async fn follow(operator: &Operator, from: u64, query: &Query, json: bool) -> Result<()> {
    tokio::select! {
        ended = follow_on(operator, from, query, json) => ended,
        pressed = tokio::signal::ctrl_c() => pressed.map_err(|e| Error::internal("waiting for Ctrl-C", e)),
    }
}

async fn follow_on(operator: &Operator, from: u64, query: &Query, json: bool) -> Result<()> {
    let mut from = from.max(1);
    let mut is_begun = false;
    let mut is_away = false;
    loop {
        match fetch(operator, from, query).await {
            Ok(bytes) => {
                is_away = false;
                let page = Page::read(&bytes)?;
                // A number that was only asked for may be ahead of the log; one that was seen may not.
                if is_begun && page.seen + 1 < from {
                    return Err(shorter(page.seen, from));
                }
                is_begun |= page.seen >= from;
                from = page.next.unwrap_or(from.max(page.seen + 1));
                if !print(&page, json) {
                    return Ok(());
                }
                if page.next.is_some() {
                    continue;
                }
            }
            Err(error) if error.kind() == Kind::Unavailable => {
                if !is_away {
                    output::complain(&format!("{}; waiting for it", error.message()));
                }
                is_away = true;
            }
            Err(error) => return Err(error),
        }
        tokio::time::sleep(FOLLOW_PERIOD).await;
    }
}

fn shorter(end: u64, from: u64) -> Error {
    let seen = from - 1;
    Error::conflict(format!(
        "the log ends with entry {end}, but had {seen} before: it is another one, or an older copy"
    ))
}

/// Prints a page, and says whether somebody still reads.
fn print(page: &Page<'_>, json: bool) -> bool {
    page.entries.iter().all(|entry| {
        if json {
            output::raw_is_read(entry.get())
        } else {
            output::entry_is_read(&sentence(&serde_json::from_str(entry.get()).unwrap_or_default()))
        }
    })
}

fn sentence(entry: &Value) -> String {
    let actor = match &entry["actor"] {
        Value::Object(actor) => {
            actor.iter().map(|(kind, name)| format!("{kind} {}", name.as_str().unwrap_or_default())).collect()
        }
        other => other.as_str().unwrap_or_default().to_owned(),
    };
    let [time, action, object, outcome] =
        ["time", "action", "object", "outcome"].map(|member| output::text(entry, member));
    let details = match &entry["details"] {
        Value::Null => String::new(),
        details => details.to_string(),
    };
    format!("{:>6}  {time}  {actor}  {action} {object}: {outcome}  {details}", entry["seq"].to_string())
        .trim_end()
        .to_owned()
}
