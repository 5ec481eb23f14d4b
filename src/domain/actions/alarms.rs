//! What people may do with an alarm.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{About, Action, Done, Weight, any_name};
use crate::domain::auth::scopes;

/// The alarm that was looked at.
#[derive(Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Seen {
    /// What the alarm says, as it was listed: one that says something else by now is another one.
    pub text: String,
    /// Why nothing more needs to be done now.
    #[serde(default)]
    #[schemars(!default)]
    pub reason: String,
}

pub const ACKNOWLEDGE: Action<String, Done, Seen> = Action {
    about: About {
        name: "acknowledgeAlarm",
        route: "PUT /alarms/<alarm>/acknowledge",
        scope: scopes::ALARM_ACKNOWLEDGE,
        command: "alarm acknowledge <alarm> --reason <why>",
        says: "Notes that somebody has seen an alarm: it is quiet until its condition ends or changes.",
        page: ("Acknowledge an alarm", "Acknowledge"),
        weight: Weight::Reasoned,
        asks_programs: true,
        ..super::ABOUT
    },
    on: any_name,
    plan: work!(|domain, _, key, Seen { text, .. }| {
        Ok(vec![
            domain.alarms.as_shown(&key, &text).await?.text,
            "It stays on the overview, with your name and reason, and is quiet.".into(),
            "When its condition ends, comes back or changes, it is loud again.".into(),
        ])
    }),
    run: done!(|domain, caller, key, Seen { text, .. }| domain.alarms.acknowledge(&caller, &key, &text)),
};
