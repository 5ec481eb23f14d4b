//! What needs somebody, and which of it an operator has seen: an alarm that was acknowledged stays, and is quiet until
//! its condition ends or changes.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::auth::Caller;
use super::health::{Figures, Grade, Health};
use super::loops::Status;
use super::monitor::QueueHealth;
use super::notices::Filter;
use super::parts::Parts;
use super::relay::Missing;
use crate::base::audit::{Action, Actor, Note};
use crate::base::text::{capitalized, pluralize};
use crate::base::{Error, Result, Timestamp};
use crate::store::Table;

/// How often somebody looks whether what was acknowledged is over: whatever comes back later is loud again.
pub const WATCH_PERIOD: Duration = Duration::from_secs(60);
/// Periods after which the newest backup is too old: one may be late.
const BACKUP_PERIODS_MAX: u32 = 2;
/// Dead letters that are counted.
const DEAD_MAX: usize = 1000;
/// Accounts of the relay that have an alarm each; of more there is one for all. Nobody restarts more one by one.
const MISSING_MAX: usize = 20;
/// Alarms that there can be: one for each loop, those of accounts, and a few more.
const ALARMS_MAX: usize = 100;
/// By the key of the alarm.
static ACKNOWLEDGED: Table<String, Acknowledged> = Table::audited("alarms_acknowledged");

#[derive(Clone, Debug)]
pub struct Alarm {
    /// What it is about, of which there is one alarm: `loop rotate`, `backups old`.
    pub key: String,
    pub grade: Grade,
    pub text: String,
    pub acknowledged: Option<Acknowledged>,
}

/// That an operator has seen an alarm.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledged {
    /// What it said then. Another text is another alarm.
    pub text: String,
    /// By whom, as the audit log names them.
    pub by: String,
    pub at: Timestamp,
    /// Why nothing more needs to be done now.
    pub reason: String,
}

/// How everything is, in numbers, and what of it needs somebody.
#[derive(Clone, Debug)]
pub struct Picture {
    /// What needs somebody, the worst first.
    pub alarms: Vec<Alarm>,
    /// The figures of the appliance.
    pub figures: Figures,
    /// Notices that were given up, as far as they are counted.
    pub dead: usize,
    /// Queues that were counted, by how they are.
    pub queues: [(QueueHealth, usize); 5],
    /// Backups, and when the newest one was made.
    pub backups: (usize, Option<Timestamp>),
}

/// The keeper of the alarms. Cheap to clone.
#[derive(Clone)]
pub struct Alarms {
    parts: Arc<Parts>,
    health: Health,
}

impl Alarms {
    /// Looks at these parts, through `health` at all of them.
    pub fn new(parts: Arc<Parts>, health: Health) -> Self {
        Self { parts, health }
    }

    pub async fn picture(&self) -> Result<Picture> {
        let figures = self.health.figures().await?;
        let mut alarms = of_figures(&figures);
        let dead = self.parts.notices.list(Filter::Dead, None, DEAD_MAX).await?.len();
        if dead > 0 {
            alarms.push(alarm(
                "notices",
                Grade::Problem,
                format!("{} given up", pluralize(dead, "notice was", "notices were")),
            ));
        }
        let queues = self.queues(&mut alarms).await?;
        let backups = self.backups(&mut alarms).await?;
        self.programs(&mut alarms).await?;
        self.cluster(&mut alarms);
        self.agents(&mut alarms).await?;
        self.proxy(&mut alarms);
        self.parts.store.read(|tx| {
            for alarm in &mut alarms {
                alarm.acknowledged = tx.get(&ACKNOWLEDGED, &alarm.key)?.filter(|seen| seen.text == alarm.text);
            }
            Ok(())
        })?;
        alarms.sort_by_key(|alarm| (alarm.acknowledged.is_some(), alarm.grade != Grade::Problem));
        Ok(Picture { alarms, figures, dead, queues, backups })
    }

    async fn queues(&self, alarms: &mut Vec<Alarm>) -> Result<[(QueueHealth, usize); 5]> {
        let queues = self.parts.monitor.seen_queues().await?;
        let count = |health: QueueHealth| queues.iter().filter(|queue| queue.health == health).count();
        let counts =
            [QueueHealth::Doomed, QueueHealth::Warned, QueueHealth::Growing, QueueHealth::Exempt, QueueHealth::Normal];
        let counts = counts.map(|health| (health, count(health)));
        let (growing, doomed) = (count(QueueHealth::Growing) + count(QueueHealth::Warned), count(QueueHealth::Doomed));
        if doomed > 0 {
            let text = format!("{} to be deleted", pluralize(doomed, "queue is", "queues are"));
            alarms.push(alarm("queues doomed", Grade::Problem, text));
        }
        if growing > 0 {
            let text =
                pluralize(growing, "queue grows or is over its warning", "queues grow or are over their warning");
            alarms.push(alarm("queues growing", Grade::Warning, text));
        }
        Ok(counts)
    }

    /// Programs that did not come back after they were cut off.
    async fn programs(&self, alarms: &mut Vec<Alarm>) -> Result<()> {
        let missing = self.parts.relay.missing().await?;
        if let Some(more) = missing.len().checked_sub(MISSING_MAX + 1) {
            let more = pluralize(more + 1, "account's programs are", "accounts' programs are");
            alarms.push(alarm("relay accounts", Grade::Problem, format!("Of the relay {more} not back, too")));
        }
        for Missing { account, what, .. } in missing.into_iter().take(MISSING_MAX) {
            let text = format!(
                "Since its password was replaced, the programs of {account} are not back: {}. Restart what uses this account, \
                 with the new password: a program that lost its connection, such as the scheduler of MIG, may stay alive and \
                 silent",
                what.join(", ")
            );
            alarms.push(alarm(format!("relay account {account}"), Grade::Problem, text));
        }
        Ok(())
    }

    /// What is wrong with the cluster that the relay is on.
    fn cluster(&self, alarms: &mut Vec<Alarm>) {
        alarms.extend(self.parts.relay.troubles().iter().map(|trouble| {
            let grade = if trouble.is_out { Grade::Problem } else { Grade::Warning };
            alarm(format!("relay {}", trouble.about), grade, capitalized(&trouble.text))
        }));
    }

    /// What of the fleet of agents needs somebody.
    async fn agents(&self, alarms: &mut Vec<Alarm>) -> Result<()> {
        let troubles = self.parts.agents.troubles().await?.into_iter();
        alarms.extend(troubles.map(|trouble| {
            let grade = if trouble.is_out { Grade::Problem } else { Grade::Warning };
            alarm(format!("agents {}", trouble.about), grade, capitalized(&trouble.text))
        }));
        Ok(())
    }

    /// What of the task proxy needs somebody.
    fn proxy(&self, alarms: &mut Vec<Alarm>) {
        alarms.extend(self.parts.proxy.troubles().into_iter().map(|trouble| {
            let grade = if trouble.is_out { Grade::Problem } else { Grade::Warning };
            alarm(format!("proxy {}", trouble.about), grade, capitalized(&trouble.text))
        }));
    }

    async fn backups(&self, alarms: &mut Vec<Alarm>) -> Result<(usize, Option<Timestamp>)> {
        let listed = self.parts.backups.list().await?;
        let newest = listed.iter().filter_map(|(listed, _)| listed.label.as_ref().map(|label| label.made)).max();
        let age_max = self.parts.backups.period().saturating_mul(BACKUP_PERIODS_MAX);
        match newest {
            None => alarms.push(alarm("backups none", Grade::Warning, "There is no backup yet")),
            Some(made) if self.parts.clock.now().since(made) > age_max => {
                alarms.push(alarm(
                    "backups old",
                    Grade::Problem,
                    format!("The newest backup is too old: it is of {made}"),
                ));
            }
            Some(_) => {}
        }
        let is_damaged = listed.iter().filter(|(listed, fate)| fate.problem.is_some() || listed.label.is_none());
        let damaged: Vec<&str> = is_damaged.map(|(listed, _)| listed.name.as_str()).collect();
        if !damaged.is_empty() {
            alarms.push(alarm(
                "backups damaged",
                Grade::Problem,
                format!("A backup is damaged: {}", damaged.join(", ")),
            ));
        }
        Ok((listed.len(), newest))
    }

    /// The alarm of this key, which must say what somebody was shown.
    pub async fn as_shown(&self, key: &str, text: &str) -> Result<Alarm> {
        let found = self.picture().await?.alarms.into_iter().find(|alarm| alarm.key == key);
        let alarm = found.ok_or_else(|| Error::not_found(format!("there is no alarm `{key}` now")))?;
        if alarm.text == text {
            Ok(alarm)
        } else {
            Err(Error::conflict(format!("the alarm says something else now: {}", alarm.text)))
        }
    }

    /// Notes that an operator has seen an alarm as it is now: `text` is what they were shown.
    pub async fn acknowledge(&self, caller: &Caller, key: &str, text: &str) -> Result<()> {
        let alarm = self.as_shown(key, text).await?;
        let (caller, reason) = (caller.clone(), caller.reason()?.to_string());
        self.parts
            .store
            .write(move |tx| {
                tx.audit(caller.note(Action::AlarmAcknowledge, &alarm.key).with("text", alarm.text.clone()));
                let by = caller.actor().to_string();
                let seen = Acknowledged { text: alarm.text, by, at: tx.now(), reason };
                tx.put(&ACKNOWLEDGED, &alarm.key, &seen)
            })
            .await
    }

    /// Forgets what was acknowledged and is over or has changed.
    pub async fn forget_ended(&self) -> Result<()> {
        if self.parts.store.read(|tx| tx.count(&ACKNOWLEDGED))? == 0 {
            return Ok(());
        }
        let alarms = self.picture().await?.alarms;
        self.parts
            .store
            .write(move |tx| {
                for (key, seen) in tx.scan(&ACKNOWLEDGED, ALARMS_MAX)? {
                    let holds = alarms.iter().any(|alarm| alarm.key == key && alarm.text == seen.text);
                    if !holds {
                        tx.delete(&ACKNOWLEDGED, &key);
                        tx.audit(Note::done(Actor::Appliance, Action::AlarmEnd, &key).with("text", seen.text));
                    }
                }
                Ok(())
            })
            .await
    }
}

fn alarm(key: impl Into<String>, grade: Grade, text: impl Into<String>) -> Alarm {
    Alarm { key: key.into(), grade, text: text.into(), acknowledged: None }
}

fn of_figures(figures: &Figures) -> Vec<Alarm> {
    let mut alarms: Vec<Alarm> = figures.loops.iter().filter_map(of_loop).collect();
    if figures.administrator_refused == Some(true) {
        alarms.push(alarm("broker", Grade::Problem, "The broker refuses our administrator"));
    }
    if figures.accounts_unsettled > 0 {
        let text = format!("{} broker users are not yet as wished", figures.accounts_unsettled);
        alarms.push(alarm("accounts", Grade::Warning, text));
    }
    alarms
}

fn of_loop(each: &Status) -> Option<Alarm> {
    let (grade, what) = match each {
        Status { brake: Some(why), .. } => (Grade::Problem, format!("the brake holds it: {why}")),
        Status { paused: true, .. } => (Grade::Warning, "paused".to_owned()),
        Status { failures: 1.., last_error, .. } => (Grade::Problem, format!("failing: {last_error}")),
        _ => return None,
    };
    Some(alarm(format!("loop {}", each.name), grade, format!("Loop {}: {what}", each.name)))
}
