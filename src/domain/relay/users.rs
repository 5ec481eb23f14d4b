//! The steps that are about broker users: accounts that are declared or were, and users that must not be there.

use std::collections::BTreeSet;

use super::found::Found;
use super::step::{Object, Plan, Step, What, Work};
use super::{versions, wanted};
use crate::base::{AccountName, VhostName};
use crate::domain::accounts::{Owned, Owner, Terms};
use crate::ports::broker::Resource;
use crate::proto::relay_profile::{Account, Exchange, Profile, Vhost};

/// Why a user of somebody else stays as it is.
const FOREIGN: &str = "the broker has a user of this name that is not ours, and is left alone: `relay adopt` takes it up, or declare another name";
/// The same where a user was to be made before somebody else's was there.
const IN_THE_WAY: &str =
    "the broker has a user of this name that is not ours, and is left alone: delete it there, or declare another name";

/// Adds the steps of users to a plan.
pub(super) fn plan(profile: &Profile, found: &Found, plan: &mut Plan) {
    let exchanges = exchanges(profile, found);
    let mut declared = BTreeSet::new();
    for account in profile.accounts() {
        for user in account.users() {
            let judged = Judged { profile, account, user: &user, found, exchanges: &exchanges };
            judged.plan(plan);
            declared.insert(user);
        }
    }
    let census = &found.census;
    for (user, owned) in census.owned.iter().filter(|(user, _)| !declared.contains(*user)) {
        let why = match (owned.is_leaving, owned.keeps_login) {
            (true, _) => "it was to be deleted, and is not yet",
            (false, false) => "it is declared no more",
            (false, true) => {
                "it is declared no more: it is given back, and its user stays with the password and the rights that it has"
            }
        };
        plan.steps.push(step(What::Remove, Object::account(user), why, Work::End(user.clone())));
    }
    for user in profile.absent_users().iter().filter(|user| census.users.contains(user.as_str())) {
        let object = Object::user(user);
        // One that is on its way out already.
        if census.owned.contains_key(user) {
            continue;
        }
        plan.steps.push(match census.others.get(user) {
            Some(owner) => Step::leave(object, format!("it belongs to {owner}")),
            None => step(What::Remove, object, "the broker must not have it", Work::Delete(user.clone())),
        });
    }
}

/// The exchanges that are there, and those that will be when it is the turn of accounts.
fn exchanges(profile: &Profile, found: &Found) -> BTreeSet<(VhostName, String)> {
    let there = found.vhosts.iter().flat_map(|(vhost, resources)| {
        resources.iter().filter_map(move |resource| match resource {
            Resource::Exchange(exchange) => Some((vhost.clone(), exchange.name.clone())),
            _ => None,
        })
    });
    let named = |vhost: &Vhost, exchange: &Exchange| (vhost.name.clone(), exchange.name.clone());
    let will_be =
        profile.vhosts().iter().flat_map(|vhost| vhost.exchanges.iter().map(move |exchange| named(vhost, exchange)));
    there.chain(will_be).collect()
}

fn step(what: What, object: Object, why: &str, work: Work) -> Step {
    Step { what, object, why: why.to_owned(), drift: None, work }
}

/// A user of an account, with what it is judged by.
struct Judged<'p> {
    profile: &'p Profile,
    account: &'p Account,
    user: &'p AccountName,
    found: &'p Found,
    exchanges: &'p BTreeSet<(VhostName, String)>,
}

impl Judged<'_> {
    fn plan(&self, plan: &mut Plan) {
        let (terms, without) = versions::without_limits(wanted::terms(self.account), self.found.version);
        if let Some(why) = without {
            plan.steps.push(Step::leave(Object::account(self.user), why));
        }
        let Some(step) = self.step(&terms) else { return };
        let is_made =
            matches!(step.work, Work::Make { .. } | Work::TakeOver { .. } | Work::Adjust(..) | Work::Settle(_));
        let waits = is_made.then(|| self.waits(&terms)).flatten();
        plan.steps.push(match waits {
            Some(why) => Step::leave(step.object, why),
            None => step,
        });
    }

    fn step(&self, terms: &Terms) -> Option<Step> {
        let (census, user, object) = (&self.found.census, self.user, Object::account(self.user));
        let is_there = census.users.contains(user.as_str());
        let make = |why: &str| {
            let account = self.account.name.clone();
            let work = Work::Make { account, user: user.clone(), terms: terms.clone() };
            step(What::Create, Object::account(user), why, work)
        };
        match (census.owned.get(user), census.others.get(user)) {
            (_, Some(Owner::Adopted)) => Some(self.take_over(terms, is_there)),
            (_, Some(owner)) => Some(Step::leave(object, format!("the broker user belongs to {owner}"))),
            (None, None) if is_there => Some(Step::leave(object, FOREIGN)),
            (Some(owned), None) if is_there && !owned.is_told => Some(Step::leave(object, IN_THE_WAY)),
            (None, None) => Some(make("it is declared, and not there")),
            (Some(owned), None) if owned.is_leaving => Some(make("it was to be deleted, and is declared again")),
            (Some(owned), None) => self.change(owned, terms, object),
        }
    }

    /// What becomes of a user that was adopted and is declared.
    fn take_over(&self, terms: &Terms, is_there: bool) -> Step {
        let (object, has) = (Object::account(self.user), self.found.census.adopted.get(self.user));
        if !is_there {
            return Step::leave(object, "it was adopted, and is gone from the broker: release it, and apply again");
        }
        let has = has.map(|has| Terms { tags: terms.tags.clone(), ..has.clone() });
        let changes = has.map(|has| differs(&has, terms)).unwrap_or_default();
        let changes = if changes.is_empty() { String::new() } else { format!(", it gets the declared {changes},") };
        let why = format!("it was adopted{changes} and keeps its password and its tags until it is rotated");
        let (account, user) = (self.account.name.clone(), self.user.clone());
        step(What::TakeOver, object, &why, Work::TakeOver { account, user, terms: terms.clone() })
    }

    /// What an account lacks that is ours.
    fn change(&self, owned: &Owned, terms: &Terms, object: Object) -> Option<Step> {
        let user = self.user.clone();
        if owned.terms != *terms {
            let why = format!("it is declared with other {}", differs(&owned.terms, terms));
            return Some(step(What::Change, object, &why, Work::Adjust(user, terms.clone())));
        }
        if !owned.is_settled {
            return Some(step(What::Change, object, "the broker was not told all of it yet", Work::Settle(user)));
        }
        let why = owned.drift.as_deref()?;
        if owned.needs_password {
            let why = format!("{why}, and only the broker knows its password: rotating it puts that right");
            return Some(Step { drift: Some(self.account.on_drift), ..Step::leave(object, why) });
        }
        let work = Work::Renew(user, owned.strays.clone());
        Some(Step { drift: Some(self.account.on_drift), ..step(What::Change, object, why, work) })
    }

    /// Why it cannot be made yet.
    fn waits(&self, terms: &Terms) -> Option<String> {
        let is_missing = |vhost: &&VhostName| {
            self.profile.foreign_vhosts().contains(*vhost) && !self.found.vhosts.contains_key(*vhost)
        };
        if let Some(vhost) = terms.grants.iter().map(|grant| &grant.vhost).find(is_missing) {
            return Some(format!("the vhost {vhost} is not there, and others declare it"));
        }
        versions::waits_for_exchange(terms, self.exchanges, self.found.version)
    }
}

/// What of the terms is otherwise, in words.
fn differs(has: &Terms, declared: &Terms) -> String {
    let all = [
        ("tags", has.tags != declared.tags),
        ("permissions", has.grants != declared.grants),
        ("limits", has.limits != declared.limits),
        ("orders for drift", has.on_drift != declared.on_drift),
    ];
    all.iter().filter(|(_, differs)| *differs).map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}
