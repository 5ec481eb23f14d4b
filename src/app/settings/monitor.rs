//! Settings of the monitor.

use std::time::Duration;

use super::parse;
use super::reader::Reader;
use super::setting::Setting;
use crate::base::MailAddress;
use crate::domain::monitor::Config;

pub(super) const ALERT_THRESHOLD: Setting<u64> =
    Setting::new("MONITOR_ALERT_THRESHOLD", "monitor-alert-threshold", "4000", threshold)
        .help("messages in a queue beyond which its contact is warned");
pub(super) const DELETE_THRESHOLD: Setting<u64> =
    Setting::new("MONITOR_DELETE_THRESHOLD", "monitor-delete-threshold", "8000", threshold)
        .help("messages in a queue beyond which it is deleted");
pub(super) const CONNECTION_MAX_LIFETIME: Setting<Duration> =
    Setting::new("CONNECTION_MAX_LIFETIME", "connection-max-lifetime", "72 hours", parse::period)
        .help("how old a connection of a lent user may be before it is closed");
pub(super) const MONITOR_PERIOD: Setting<Duration> =
    Setting::new("MONITOR_PERIOD", "monitor-period", "1 minute", parse::period)
        .help("how often queues and connections are looked at");
pub(super) const MOCK_MAINTENANCE: Setting<bool> =
    Setting::switch("MOCK_MAINTENANCE", "mock-maintenance", "false", parse::boolean)
        .help("loops plan and log, and change nothing outside");

pub(super) fn monitor(read: &mut Reader, contacts: Vec<MailAddress>) -> Config {
    let (alert_threshold, delete_threshold) = (read.get(&ALERT_THRESHOLD), read.get(&DELETE_THRESHOLD));
    if alert_threshold >= delete_threshold
        && let Some(place) = read.place_of(&ALERT_THRESHOLD.info).or(read.place_of(&DELETE_THRESHOLD.info)).cloned()
    {
        let [alert, delete] = [ALERT_THRESHOLD.info.name, DELETE_THRESHOLD.info.name];
        let message = format!("{alert}: {alert_threshold} is not less than {delete_threshold}, which is {delete}");
        read.report.problem(&place, message);
    }
    Config {
        alert_threshold,
        delete_threshold,
        connection_max_lifetime: read.get(&CONNECTION_MAX_LIFETIME),
        period: read.get(&MONITOR_PERIOD),
        mock: read.get(&MOCK_MAINTENANCE),
        contacts,
    }
}

/// A number of messages; not zero, for every queue would be over it.
fn threshold(text: &str) -> parse::Parsed<u64> {
    match text.parse() {
        Ok(messages) if messages > 0 => Ok(messages),
        _ => parse::expected("a number of messages, at least 1", text),
    }
}
