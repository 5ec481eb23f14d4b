//! Settings of the monitor.

use std::time::Duration;

use super::parse;
use super::typed::Reader;

/// What is watched on the broker, and when it is stepped in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MonitorSettings {
    /// Messages in a queue beyond which its contact is warned. Less than `delete_threshold`.
    pub alert_threshold: u64,
    /// Messages in a queue beyond which it is deleted.
    pub delete_threshold: u64,
    /// How old a connection of a lent user may be.
    pub connection_max_lifetime: Duration,
    /// How often queues and connections are looked at.
    pub period: Duration,
    /// Whether the monitor plans and logs, and changes nothing.
    pub mock: bool,
}

pub(super) fn monitor(read: &mut Reader) -> MonitorSettings {
    let [alert, delete] = ["MONITOR_ALERT_THRESHOLD", "MONITOR_DELETE_THRESHOLD"];
    let alert_threshold = read.required(alert, parse::threshold);
    let delete_threshold = read.required(delete, parse::threshold);
    if alert_threshold >= delete_threshold
        && let Some(given) = read.values.given(alert).or_else(|| read.values.given(delete))
    {
        let message = format!("{alert}: {alert_threshold} is not less than {delete_threshold}, which is {delete}");
        read.report.problem(&given.place, message);
    }
    MonitorSettings {
        alert_threshold,
        delete_threshold,
        connection_max_lifetime: read.required("CONNECTION_MAX_LIFETIME", parse::period),
        period: read.required("MONITOR_PERIOD", parse::period),
        mock: read.required("MOCK_MAINTENANCE", parse::boolean),
    }
}
