//! From a declaration, what the broker has and what was applied before to the steps that are left: a pure judgement.

use std::collections::{BTreeMap, BTreeSet};

use super::found::Found;
use super::memory::{Memory, Remembered};
use super::resource::{ResourceId, members};
use super::step::{Object, Plan, Step, What, Work};
use super::{users, versions, wanted};
use crate::ports::broker::{Key, Resource};
use crate::proto::relay_profile::{Profile, Vhost};

/// What happens to the type of queues that a vhost declares.
const DEFAULT_QUEUE_TYPE: &str = "queues that the profile declares without a type get it; the broker is not told, so give the \
                                  vhost the same for queues that programs declare";

/// What is to be done: vhosts with what is in them, then accounts, which enter them, then what is declared no more.
pub(super) fn plan(profile: &Profile, found: &Found, memory: &Memory) -> Plan {
    let mut plan = Plan::default();
    let mut declared = BTreeSet::new();
    for vhost in profile.vhosts() {
        InVhost { relay: profile.name(), vhost, found, memory }.plan(&mut plan, &mut declared);
    }
    users::plan(profile, found, &mut plan);
    no_longer_declared(found, memory, &declared, &mut plan);
    plan
}

/// What a vhost is judged by.
struct InVhost<'p> {
    relay: &'p str,
    vhost: &'p Vhost,
    found: &'p Found,
    memory: &'p Memory,
}

impl InVhost<'_> {
    fn plan(&self, plan: &mut Plan, declared: &mut BTreeSet<ResourceId>) {
        let here = self.found.vhosts.get(&self.vhost.name);
        let has: BTreeMap<Key, &Resource> =
            here.into_iter().flatten().map(|resource| (resource.key(), resource)).collect();
        for resource in wanted::resources(self.vhost, &has) {
            let id = ResourceId { vhost: self.vhost.name.clone(), key: resource.key() };
            self.judge(&id, resource, has.get(&id.key).copied(), plan);
            declared.insert(id);
        }
        if let Some(kind) = self.vhost.default_queue_type {
            let (kind, vhost) = (kind.as_str(), Some(self.vhost.name.clone()));
            let object = Object { kind: "default queue type", name: kind.to_owned(), vhost };
            plan.steps.push(Step::leave(object, DEFAULT_QUEUE_TYPE));
        }
        let is_of_nobody = |key: &&Key| {
            let id = ResourceId { vhost: self.vhost.name.clone(), key: (*key).clone() };
            !declared.contains(&id) && !self.memory.get(&id).is_some_and(|remembered| remembered.is_ours)
        };
        plan.unmanaged += has.keys().filter(is_of_nobody).count();
    }

    fn judge(&self, id: &ResourceId, resource: Resource, has: Option<&Resource>, plan: &mut Plan) {
        let (remembered, members) = (self.memory.get(id), members(&resource));
        let is_applied = remembered.is_some_and(|remembered| remembered.declared == members);
        if has == Some(&resource) {
            if !is_applied {
                let is_ours = remembered.is_some_and(|remembered| remembered.is_ours);
                let relay = self.relay.to_owned();
                plan.as_declared
                    .push((id.clone(), Remembered { relay, is_ours, declared: members, is_attempted: false }));
            }
            return;
        }
        let object = Object::from(id);
        if let Some(why) = versions::refuses(&resource, self.found.version) {
            plan.steps.push(Step::leave(object, why));
            return;
        }
        let drift = is_applied.then_some(self.vhost.on_drift);
        let step = match has {
            Some(other) if matches!(id.key, Key::Queue(_) | Key::Exchange(_)) => {
                let why =
                    format!("{}, and cannot change it: delete it there, or declare it so", differs(other, &resource));
                Step { drift, ..Step::leave(object, why) }
            }
            other => {
                let (what, why) = match other {
                    Some(other) => (What::Change, differs(other, &resource)),
                    None if is_applied => (What::Create, "it was there, and is gone".to_owned()),
                    None => (What::Create, "it is declared, and not there".to_owned()),
                };
                let work = Work::Put { id: id.clone(), resource: Box::new(resource), is_new: other.is_none() };
                Step { what, object, why, drift, work }
            }
        };
        plan.steps.push(step);
    }
}

/// What the broker has otherwise, in words.
fn differs(has: &Resource, declared: &Resource) -> String {
    let (has, declared) = (members(has), members(declared));
    let names = declared.iter().filter(|(name, value)| has.get(*name) != Some(*value));
    let names: Vec<&str> = names.map(|(name, _)| name.as_str()).collect();
    format!("the broker has it with another {}", names.join(", "))
}

/// What an earlier declaration had and the present one has not. A vhost never goes by itself: all that programs made in it
/// would go with it.
fn no_longer_declared(found: &Found, memory: &Memory, declared: &BTreeSet<ResourceId>, plan: &mut Plan) {
    let mut steps = Vec::new();
    for (id, remembered) in memory.iter().filter(|(id, _)| !declared.contains(*id)) {
        let here = found.vhosts.get(&id.vhost);
        let is_there = here.is_some_and(|here| here.iter().any(|resource| resource.key() == id.key));
        if !is_there || !remembered.is_ours {
            plan.forgotten.push(id.clone());
            continue;
        }
        let why = match id.key {
            Key::Vhost => {
                let why = "it is declared no more; all that is in it would go with it, so that is for you to do";
                plan.steps.push(Step::leave(Object::from(id), why));
                continue;
            }
            Key::Queue(_) => "it is declared no more; its messages go with it",
            _ => "it is declared no more",
        };
        let work = Work::Remove(id.clone());
        steps.push(Step { what: What::Remove, object: id.into(), why: why.to_owned(), drift: None, work });
    }
    // Bindings would go with their ends, and policies are in force until there is nothing that they fit.
    let turn = |step: &Step| ["binding", "queue", "exchange"].iter().position(|kind| *kind == step.object.kind);
    steps.sort_by_key(|step| turn(step).unwrap_or(usize::MAX));
    plan.steps.extend(steps);
}
