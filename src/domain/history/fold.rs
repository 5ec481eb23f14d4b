//! From entries to intervals. Pure: entries come in the order of the chain, and nothing else is asked.
//!
//! A password of a namespace is held from the claim until the broker has another one for that user: from the entry of
//! the change (`namespace.renew`, `.finish`, `.revoke`, `.expire`) the next `account.settle` or `account.delete` of the
//! user is that moment; of the relay as well (`relay.lend`, `.renew`, `.revoke`), and of agents (`agent.lend`, `.enrol`, `.revoke`). Credentials of a host end with their time. An access token ends when it is reset, disabled,
//! deleted, or over.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::holding::{End, Holding, HoldingKind};
use crate::base::Timestamp;
use crate::base::audit::{Action, Actor, Outcome};

/// Held at once, of what is asked for. Far above what one appliance lends, and what an answer may cost in memory.
const OPEN_MAX: usize = 200_000;
/// Held at once before it is looked for those whose time is over.
const TIDY_MIN: usize = 1000;
/// Intervals that are over, of what is asked for.
const OVER_MAX: usize = 10_000;

/// What can change who holds what.
const ACTIONS: [Action; 22] = [
    Action::AccountDelete,
    Action::AccountSettle,
    Action::AgentEnrol,
    Action::AgentLend,
    Action::AgentRevoke,
    Action::ClientCreate,
    Action::ClientDelete,
    Action::ClientDisable,
    Action::ClientEnable,
    Action::ClientReset,
    Action::HostLend,
    Action::HostRevoke,
    Action::NamespaceClaim,
    Action::NamespaceDelete,
    Action::NamespaceFinish,
    Action::NamespaceRenew,
    Action::NamespaceRevoke,
    Action::ProxyEnd,
    Action::ProxyOpen,
    Action::RelayLend,
    Action::RelayRenew,
    Action::RelayRevoke,
];

#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Of this thing: namespace, broker user, host, client or client id.
    pub object: Option<String>,
    /// Of this holder: `client builds`, or the name alone.
    pub holder: Option<String>,
    pub since: Option<Timestamp>,
    /// Until this moment, inclusive. What comes later is not looked at.
    pub until: Option<Timestamp>,
}

/// What is known of an entry that matters here. Other members are not looked at, so that entries of any version do; and
/// of most entries not even the actor and the details, because a log has many.
#[derive(Deserialize)]
struct Looked<'a> {
    time: Timestamp,
    #[serde(borrow)]
    actor: &'a RawValue,
    #[serde(borrow)]
    action: Cow<'a, str>,
    #[serde(borrow)]
    object: Cow<'a, str>,
    outcome: Outcome,
    #[serde(borrow)]
    details: Option<&'a RawValue>,
}

/// An entry of which all counts.
struct Read<'e> {
    time: Timestamp,
    object: &'e str,
    actor: Actor,
    details: Details,
}

/// The details that matter, of whatever sort they are.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Details {
    account: Value,
    accounts: Value,
    address: Value,
    client_id: Value,
    ends: Value,
    expires: Value,
    expiry: Value,
    is_refused: Value,
    task: Value,
}

impl Looked<'_> {
    /// The whole entry; none when it cannot be read.
    fn whole(&self) -> Option<Read<'_>> {
        let actor = serde_json::from_str(self.actor.get()).ok()?;
        let details =
            self.details.map_or(Some(Details::default()), |details| serde_json::from_str(details.get()).ok())?;
        Some(Read { time: self.time, object: &self.object, actor, details })
    }
}

/// The moment that a detail names.
fn moment(detail: &Value) -> Option<Timestamp> {
    detail.as_str().and_then(|moment| moment.parse().ok())
}

/// Who holds a thing, and where.
type Held = (String, Option<String>);

/// The state between two entries.
#[derive(Debug, Default)]
pub struct Fold {
    wanted: Wanted,
    /// By kind and thing (a broker user, a host, a client) who holds it. Boxed, because most things have one holder, and a
    /// map has room for eleven.
    open: BTreeMap<(HoldingKind, String), BTreeMap<Held, Box<Holding>>>,
    len: usize,
    /// When there are so many, those whose time is over are put away.
    tidy_at: usize,
    /// Broker users that get another password, or none, as soon as the broker is told.
    leaving: BTreeSet<String>,
    /// When the time of things is over, for those that have one.
    ends: BTreeMap<(HoldingKind, String), Timestamp>,
    over: Vec<Holding>,
    more: bool,
}

/// The action of this name, if it can change who holds what.
fn action_of(name: &str) -> Option<Action> {
    ACTIONS.into_iter().find(|action| action.as_str() == name)
}

/// When an entry was written, if it can be read.
pub(super) fn time_of(bytes: &[u8]) -> Option<Timestamp> {
    #[derive(Deserialize)]
    struct Timed {
        time: Timestamp,
    }
    serde_json::from_slice::<Timed>(bytes).ok().map(|entry| entry.time)
}

impl Fold {
    /// Nothing is held.
    pub fn new(wanted: Wanted) -> Self {
        Self { wanted, tidy_at: TIDY_MIN, ..Self::default() }
    }

    /// Takes an entry up; false when it cannot be read.
    pub fn read(&mut self, bytes: &[u8]) -> bool {
        if !self.may_matter(bytes) {
            return true;
        }
        let Ok(entry) = serde_json::from_slice::<Looked>(bytes) else { return false };
        if entry.outcome == Outcome::Done && self.wanted.until.is_none_or(|until| entry.time <= until) {
            let is_read = self.take(&entry).is_some();
            if self.len > self.tidy_at {
                self.end_all_in_time(entry.time);
                self.tidy_at = (2 * self.len).max(TIDY_MIN);
            }
            return is_read;
        }
        true
    }

    /// Whether an entry need be parsed, which costs most of the time. Callers wrote only a name before its action, and a
    /// quotation mark inside of a text has a backslash before it: nothing of theirs is taken for the action.
    fn may_matter(&self, bytes: &[u8]) -> bool {
        let text = str::from_utf8(bytes).ok();
        let action = text.and_then(|text| text.split_once("\"action\":\"")).and_then(|(_, rest)| rest.split_once('"'));
        match action {
            Some((name, _)) => match action_of(name) {
                Some(Action::AccountSettle) => !self.leaving.is_empty(),
                action => action.is_some(),
            },
            None => true,
        }
    }

    /// Whether more is held than fits into memory.
    pub fn is_too_much(&self) -> bool {
        self.len > OPEN_MAX
    }

    /// What was held, and whether some of it is left out. What is over was only kept when it was asked for by time.
    pub fn finish(mut self) -> (Vec<Holding>, bool) {
        self.end_all_in_time(self.wanted.until.unwrap_or(Timestamp::MAX));
        let open = std::mem::take(&mut self.open).into_values().flat_map(BTreeMap::into_values).map(|open| *open);
        let mut holdings: Vec<Holding> = self.over.into_iter().chain(open).collect();
        holdings.sort_by(|one, other| (one.since, &one.object).cmp(&(other.since, &other.object)));
        (holdings, self.more)
    }

    /// None when more of the entry counts than can be read.
    fn take(&mut self, entry: &Looked<'_>) -> Option<()> {
        let (object, time) = (&*entry.object, entry.time);
        let Some(action) = action_of(&entry.action) else { return Some(()) };
        match action {
            Action::NamespaceClaim => {
                let entry = entry.whole()?;
                // Which of its users it was is missing in no known version; then only the removal ends it.
                let account = entry.details.account.as_str().unwrap_or(object).to_owned();
                self.begin((HoldingKind::Namespace, account), &entry, object, None);
            }
            Action::RelayLend | Action::AgentLend => {
                let entry = entry.whole()?;
                let kind = if action == Action::RelayLend { HoldingKind::Relay } else { HoldingKind::Agent };
                let user = entry.details.account.as_str().unwrap_or(object).to_owned();
                self.begin((kind, user), &entry, object, None);
            }
            Action::ProxyOpen => {
                let entry = entry.whole()?;
                let task = entry.details.task.as_str().unwrap_or(object);
                self.begin((HoldingKind::Proxy, object.to_owned()), &entry, task, moment(&entry.details.ends));
            }
            Action::ProxyEnd => self.end(&(HoldingKind::Proxy, object.to_owned()), time, End::Removed),
            // Where agents share an account, their entries do not name it.
            Action::NamespaceRenew
            | Action::NamespaceFinish
            | Action::RelayRenew
            | Action::AgentEnrol
            | Action::AgentRevoke => {
                self.leaving.extend(entry.whole()?.details.account.as_str().map(str::to_owned));
            }
            Action::NamespaceRevoke | Action::RelayRevoke => {
                let details = entry.whole()?.details;
                let accounts = details.accounts.as_array().into_iter().flatten();
                self.leaving.extend(accounts.filter_map(|account| account.as_str().map(str::to_owned)));
            }
            Action::AccountSettle if self.leaving.remove(object) => self.end_of_user(object, time, End::Replaced),
            Action::AccountDelete => self.end_of_user(object, time, End::Removed),
            Action::NamespaceDelete => self.end_all_of(HoldingKind::Namespace, object, time),
            Action::HostLend => {
                let entry = entry.whole()?;
                // Each address has its own, which end at their own time.
                let place = format!("{object} {}", entry.details.address.as_str().unwrap_or_default());
                let part = entry.details.client_id.as_str().unwrap_or(object);
                self.begin((HoldingKind::Host, place), &entry, part, moment(&entry.details.expiry));
            }
            Action::HostRevoke if entry.whole()?.details.is_refused == Value::Bool(true) => {
                self.end_all_of(HoldingKind::Host, object, time);
            }
            Action::ClientCreate | Action::ClientReset | Action::ClientEnable => {
                let whole = entry.whole()?;
                let thing = (HoldingKind::Client, object.to_owned());
                let until = moment(&whole.details.expires).or(self.ends.get(&thing).copied());
                if action == Action::ClientReset {
                    self.end(&thing, time, End::Replaced);
                }
                self.begin(thing, &whole, object, until);
            }
            Action::ClientDisable => self.end(&(HoldingKind::Client, object.to_owned()), time, End::Removed),
            Action::ClientDelete => {
                let thing = (HoldingKind::Client, object.to_owned());
                self.end(&thing, time, End::Removed);
                self.ends.remove(&thing);
            }
            _ => {}
        }
        Some(())
    }

    /// Somebody holds a thing from this entry on, or goes on to.
    fn begin(&mut self, thing: (HoldingKind, String), entry: &Read<'_>, part: &str, until: Option<Timestamp>) {
        let kind = thing.0;
        let (object, part, holder) = match kind {
            HoldingKind::Namespace | HoldingKind::Relay | HoldingKind::Agent => {
                (part, thing.1.as_str(), entry.actor.to_string())
            }
            HoldingKind::Host | HoldingKind::Proxy => (entry.object, part, entry.actor.to_string()),
            // Whoever was shown the token: the client is who it is for.
            HoldingKind::Client => (part, part, format!("client {part}")),
        };
        let from = entry.details.address.as_str().map(str::to_owned);
        let holding = Holding {
            kind,
            object: object.to_owned(),
            part: part.to_owned(),
            holder,
            from,
            since: entry.time,
            last: entry.time,
            until: None,
        };
        if !self.is_wanted(&holding) {
            return;
        }
        self.end_in_time(&thing, entry.time);
        if let Some(until) = until {
            let end = self.ends.entry(thing.clone()).or_insert(until);
            *end = if kind == HoldingKind::Host { until.max(*end) } else { until };
        }
        let held = (holding.holder.clone(), holding.from.clone());
        let holders = self.open.entry(thing).or_default();
        match holders.get_mut(&held) {
            Some(before) => before.last = before.last.max(entry.time),
            None => {
                self.len += 1;
                holders.insert(held, holding.into());
            }
        }
    }

    /// Ends what was over before this moment by its own time.
    fn end_in_time(&mut self, thing: &(HoldingKind, String), now: Timestamp) {
        if let Some(end) = self.ends.get(thing).copied().filter(|end| *end <= now) {
            self.end(thing, end, End::Over);
        }
    }

    fn end_all_in_time(&mut self, now: Timestamp) {
        let over: Vec<(HoldingKind, String)> =
            self.ends.iter().filter(|(_, end)| **end <= now).map(|(thing, _)| thing.clone()).collect();
        over.iter().for_each(|thing| self.end_in_time(thing, now));
    }

    /// Ends the password of a broker user, which is one of a namespace, of the relay or of an agent.
    fn end_of_user(&mut self, user: &str, time: Timestamp, why: End) {
        for kind in [HoldingKind::Namespace, HoldingKind::Relay, HoldingKind::Agent] {
            self.end(&(kind, user.to_owned()), time, why);
        }
    }

    fn end(&mut self, thing: &(HoldingKind, String), time: Timestamp, why: End) {
        let over = self.ends.get(thing).copied().filter(|end| *end < time);
        // A client keeps its end when it is disabled or reset.
        if thing.0 == HoldingKind::Host {
            self.ends.remove(thing);
        }
        let until = over.map_or((time, why), |end| (end, End::Over));
        for (_, holding) in self.open.remove(thing).into_iter().flatten() {
            self.len -= 1;
            self.keep(Holding { until: Some((until.0.max(holding.since), until.1)), ..*holding });
        }
    }

    fn end_all_of(&mut self, kind: HoldingKind, object: &str, time: Timestamp) {
        let of_it = |holders: &BTreeMap<Held, Box<Holding>>| holders.values().any(|holding| holding.object == object);
        let things = self.open.iter().filter(|(thing, holders)| thing.0 == kind && of_it(holders));
        let things: Vec<(HoldingKind, String)> = things.map(|(thing, _)| thing.clone()).collect();
        things.iter().for_each(|thing| self.end(thing, time, End::Removed));
    }

    /// Keeps an interval that is over, if it reaches into the time that is asked for.
    fn keep(&mut self, holding: Holding) {
        let ended = holding.until.map_or(Timestamp::MAX, |(until, _)| until);
        if self.wanted.since.is_some_and(|since| ended <= since) {
            return;
        }
        if self.over.len() < OVER_MAX { self.over.push(holding) } else { self.more = true }
    }

    fn is_wanted(&self, holding: &Holding) -> bool {
        let Wanted { object, holder, .. } = &self.wanted;
        let is_holder = |wanted: &String| {
            *wanted == holding.holder || holding.holder.split_once(' ').is_some_and(|(_, name)| name == wanted)
        };
        object.as_ref().is_none_or(|wanted| *wanted == holding.object || *wanted == holding.part)
            && holder.as_ref().is_none_or(is_holder)
    }
}
