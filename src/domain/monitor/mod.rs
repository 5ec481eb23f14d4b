//! The monitor of the broker: warns of queues that grow, deletes those that grow too far and what belongs to nobody, and
//! closes connections that stay too long.
//!
//! `judge` decides, `brake` stops, `sweep` looks and `act` does. **Invariant:** nothing outside the managed prefixes is
//! touched, because a step can only name a [`Managed`] resource.

mod act;
mod brake;
mod connections;
mod forecast;
mod held;
mod judge;
mod ladder;
mod limits;
mod load;
mod managed;
mod memory;
mod pass;
mod patience;
mod plan;
mod queue_rule;
mod rules;
mod seen;
mod sight;
mod sweep;
#[cfg(test)]
mod tests;
mod words;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::base::audit::Action;
use crate::base::{Clock, Error, MailAddress, Result, Timestamp};
use crate::domain::archives::Archives;
use crate::domain::auth::Caller;
use crate::domain::namespaces::Namespaces;
use crate::domain::notices::Notices;
use crate::ports::broker::{Bus, Handle};
use crate::store::{Store, WriteTx};
use patience::UnderWay;

pub use brake::{Brake, Cause, Trouble};
pub use forecast::{Forecast, Samples};
pub use limits::{Limits, Over};
pub use load::{Load, Loads};
pub use managed::{Managed, ManagedConnection, Prefixes, Sort};
pub use pass::Report;
pub use plan::{Object, Plan, Step, What};
pub use queue_rule::{QueueRule, Rung};
pub use rules::{Pattern, RULES_MAX};
pub use seen::{QueueHealth, SeenQueue};

use memory::{BRAKE, ONLY, RULES};
use rules::REMARK_LEN_MAX;

/// The name of the loop, in the audit log and on the console.
const LOOP: &str = "monitor";

/// What the settings say of the monitor (interface.md, section 1).
#[derive(Clone, Debug)]
pub struct Config {
    /// Messages in a queue beyond which its contact is warned. Less than `delete_threshold`.
    pub alert_threshold: u64,
    /// Messages in a queue beyond which it is deleted.
    pub delete_threshold: u64,
    /// How old a connection may be.
    pub connection_max_lifetime: Duration,
    /// How often there is a pass.
    pub period: Duration,
    /// Who hears of a brake that holds.
    pub contacts: Vec<MailAddress>,
    /// Whether a pass only plans and logs.
    pub mock: bool,
}

/// The monitor. Cheap to clone.
#[derive(Clone)]
pub struct Monitor {
    store: Store,
    bus: Handle<dyn Bus>,
    namespaces: Namespaces,
    notices: Notices,
    archives: Archives,
    clock: Clock,
    prefixes: Arc<Prefixes>,
    config: Arc<Config>,
    recent: Arc<Mutex<Recent>>,
    under_way: UnderWay,
}

/// What is known since the start, and the counts that were in the store then.
#[derive(Default)]
struct Recent {
    /// The last counts of queues. In the store are only those that matter most: they change in every pass, and are back
    /// within three.
    samples: HashMap<String, Samples>,
    /// The last pass: its moment, and the clock's counter then.
    pass: Option<(Timestamp, Duration)>,
    /// What the last look at the broker saw.
    loads: Option<Arc<Loads>>,
}

impl Monitor {
    /// The monitor over what these namespaces have at the broker.
    pub fn new(
        store: Store,
        bus: Handle<dyn Bus>,
        namespaces: Namespaces,
        notices: Notices,
        archives: Archives,
        clock: Clock,
        config: Config,
    ) -> Self {
        let prefixes = Prefixes::of(namespaces.config()).into();
        Self {
            store,
            bus,
            namespaces,
            notices,
            archives,
            clock,
            prefixes,
            config: config.into(),
            recent: Arc::default(),
            under_way: UnderWay::default(),
        }
    }

    /// Lets the next pass be as the first one of a store, which asks before it deletes what belongs to namespaces that
    /// the store does not know. A restored store lacks those that were claimed since its backup.
    pub async fn forget_last_pass(&self) -> Result<()> {
        self.store
            .write(|tx| {
                tx.delete(&memory::PASS, &memory::ONLY.into());
                Ok(())
            })
            .await
    }

    /// Whether there is a broker to look at.
    pub fn has_broker(&self) -> bool {
        self.bus.is_some()
    }

    /// The brake, while it is on.
    pub fn brake(&self) -> Result<Option<Brake>> {
        self.store.read(|tx| tx.get(&BRAKE, &ONLY.into()))
    }

    /// Why the brake stops passes, in a sentence; `None` while it is off or released.
    pub fn stopped_by(&self) -> Result<Option<String>> {
        Ok(self.brake()?.filter(|brake| brake.released.is_none()).map(|brake| brake.to_string()))
    }

    /// Lets the next pass do what the brake stopped, once. Trouble that the brake did not name stops it again.
    pub async fn release(&self, caller: &Caller) -> Result<Brake> {
        let caller = caller.clone();
        self.store
            .write(move |tx| {
                let brake = tx.get(&BRAKE, &ONLY.into())?;
                let brake = brake.ok_or_else(|| Error::conflict("the brake of the monitor is not on"))?;
                let brake = Brake { released: Some(tx.now()), ..brake };
                tx.put(&BRAKE, &ONLY.into(), &brake)?;
                let causes: Vec<String> = brake.causes.iter().map(|cause| cause.why.clone()).collect();
                tx.audit(caller.note(Action::MonitorRelease, LOOP).with("causes", causes));
                Ok(brake)
            })
            .await
    }

    /// The rules of operators, in the order of their patterns.
    pub async fn queue_rules(&self) -> Result<Vec<(Pattern, QueueRule)>> {
        self.store.survey(memory::queue_rules).await
    }

    /// What would hold for a queue by a rule. `Invalid` for one that cannot be.
    pub fn ruled(&self, rule: &QueueRule) -> Result<Limits> {
        if rule.remark.len() > REMARK_LEN_MAX {
            return Err(Error::invalid(format!("the remark has more than {REMARK_LEN_MAX} bytes")));
        }
        self.usual().ruled(rule)
    }

    /// Sets the rule of a pattern.
    pub async fn set_queue_rule(&self, caller: &Caller, pattern: Pattern, rule: QueueRule) -> Result<()> {
        self.ruled(&rule)?;
        let caller = caller.clone();
        let change = move |tx: &mut WriteTx<'_, '_>| {
            if tx.get(&RULES, &pattern)?.is_none() && tx.scan(&RULES, RULES_MAX)?.len() >= RULES_MAX {
                return Err(Error::busy(format!("there are {RULES_MAX} rules already: remove one")));
            }
            tx.put(&RULES, &pattern, &rule)?;
            let text = serde_json::to_value(&rule).map_err(|e| Error::internal("encoding a rule", e))?;
            tx.audit(caller.note(Action::QueueRuleSet, &pattern).with("rule", text));
            Ok(())
        };
        self.store.write(change).await
    }

    /// Removes the rule of a pattern.
    pub async fn remove_queue_rule(&self, caller: &Caller, pattern: Pattern) -> Result<()> {
        let caller = caller.clone();
        let change = move |tx: &mut WriteTx<'_, '_>| {
            tx.get(&RULES, &pattern)?.ok_or_else(|| Error::not_found(format!("there is no rule for '{pattern}'")))?;
            tx.delete(&RULES, &pattern);
            tx.audit(caller.note(Action::QueueRuleRemove, &pattern));
            Ok(())
        };
        self.store.write(change).await
    }

    /// Exempts one queue until then, whatever holds for it otherwise: that goes on afterwards. `Invalid` for a name that
    /// would mean other queues, too.
    pub async fn exempt_queue(&self, caller: &Caller, name: &str, until: Timestamp) -> Result<()> {
        let reason = caller.reason()?;
        if self.prefixes.queue(name).is_none() {
            return Err(Error::not_found("no namespace has a queue of this name now"));
        }
        if name.contains('*') {
            return Err(Error::invalid("the name has a `*`, which stands for any text in a rule: set a rule by hand"));
        }
        let (rules, pattern) = (self.queue_rules().await?, Pattern::parse(name)?);
        let own = rules.iter().find(|(known, _)| *known == pattern).map(|(_, rule)| rule.clone());
        let limits = self.rule_book(rules).limits(name);
        // A rule of its own hides the others that fit: it says what they say.
        let rule = own.unwrap_or_else(|| limits.rule());
        let rule = QueueRule { exempt_until: Some(until), remark: reason.to_string(), ..rule };
        self.set_queue_rule(caller, pattern, rule).await
    }

    /// Where the queue of this name is going at its present rate. Known from the third pass that sees it grow.
    pub async fn forecast(&self, queue: &str) -> Result<Option<Forecast>> {
        let book = self.rule_book(self.queue_rules().await?);
        let limits = book.limits(queue);
        let recent = self.recent();
        let limits = limits.of(recent.loads.as_ref().and_then(|loads| loads.stream(queue)));
        Ok(recent.samples.get(queue).and_then(|samples| limits.forecast(samples)))
    }

    /// How the names of what is ours begin.
    pub(in crate::domain) fn prefixes(&self) -> &Prefixes {
        &self.prefixes
    }

    fn usual(&self) -> Limits {
        Limits::new(self.config.alert_threshold, self.config.delete_threshold)
    }

    fn rule_book(&self, rules: Vec<(Pattern, QueueRule)>) -> rules::RuleBook {
        rules::RuleBook::new(self.usual(), rules)
    }

    /// A panic while it was held left nothing half-done that the next pass does not replace.
    fn recent(&self) -> std::sync::MutexGuard<'_, Recent> {
        self.recent.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
