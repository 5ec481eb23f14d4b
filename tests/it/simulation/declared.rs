//! Accounts that relays and agents declare, in the same histories: of other owners, in several vhosts, with a login that
//! is kept, and with drift that is only reported.

use keylender::base::audit::Action;
use keylender::base::{AccountName, Kind, Result, Secret, VhostName};
use keylender::domain::accounts::{Accounts, Grant, Limits, LoginWish, OnDrift, Owner, Terms, TopicGrant, Wish};
use keylender::domain::auth::Caller;
use keylender::ports::broker::{
    self, Access, Login, MemoryBroker, PasswordHash, Permission, TopicAccess, UserWish, Users,
};
use keylender::store::Store;

use super::{FOREIGN, Promise, Timestamp, World};

/// The user whose login somebody else keeps.
const KEPT: &str = "kept";
const KEPT_PASSWORD: &str = "known to its owner only";

/// An account that somebody declares.
pub struct Declared {
    name: AccountName,
    owner: Owner,
    on_drift: OnDrift,
    /// What was wished last, if it should be there.
    wanted: Option<(LoginWish, Terms)>,
    /// Whether its owner was told that this is so.
    is_settled: bool,
    /// Whether the store is known to have it.
    is_recorded: bool,
    /// What somebody changed by hand since, where that is left as it is.
    left: Vec<(VhostName, Option<Access>)>,
}

pub fn vhosts() -> [VhostName; 3] {
    ["/", "/fleet", "/other"].map(|name| VhostName::parse(name).unwrap())
}

fn caller() -> Caller {
    Caller::local("simulation", "r")
}

fn access(pattern: &str) -> Access {
    Access { configure: pattern.into(), write: pattern.into(), read: pattern.into() }
}

/// What should be declared in a history, and the user that is there before.
pub async fn declared(memory: &MemoryBroker) -> Vec<Declared> {
    for vhost in vhosts() {
        memory.add_vhost(&vhost);
    }
    let name = AccountName::parse(KEPT).unwrap();
    let login = Login::Hash(PasswordHash::of(&Secret::new(KEPT_PASSWORD)));
    memory.put_user(&UserWish { name: &name, login, tags: &[], permissions: &[] }).await.unwrap();
    let relay = || Owner::Relay("r".into());
    let each = |(name, owner, on_drift)| Declared {
        name: AccountName::parse(name).unwrap(),
        owner,
        on_drift,
        wanted: None,
        is_settled: false,
        is_recorded: false,
        left: Vec::new(),
    };
    [
        ("relay-api", relay(), OnDrift::Repair),
        ("relay-watched", relay(), OnDrift::Report),
        (KEPT, relay(), OnDrift::Repair),
        ("agent-1", Owner::Agent("1".into()), OnDrift::Repair),
    ]
    .map(each)
    .into()
}

async fn wish(store: Store, accounts: Accounts, name: AccountName, wish: Wish) -> Result<()> {
    let (account, keeper) = (name.clone(), accounts.clone());
    store
        .write(move |tx| {
            tx.audit(caller().note(Action::AccountAdjust, &account));
            keeper.wish(tx, &account, wish)
        })
        .await?;
    accounts.settle(&[name], &caller(), |_| Ok(())).await
}

async fn remove(store: Store, accounts: Accounts, name: AccountName, owner: Owner) -> Result<()> {
    let (account, keeper) = (name.clone(), accounts.clone());
    store
        .write(move |tx| {
            tx.audit(caller().note(Action::AccountDelete, &account));
            keeper.remove(tx, &account, &owner)
        })
        .await?;
    accounts.settle(&[name], &caller(), |_| Ok(())).await
}

impl World {
    fn some_declared(&mut self) -> usize {
        self.dice.roll(self.declared.len() as u64) as usize
    }

    fn terms(&mut self, on_drift: OnDrift) -> Terms {
        let mut grants = Vec::new();
        for vhost in vhosts() {
            if self.dice.roll(2) == 0 {
                let mut grant = Grant::new(vhost, access(["^a", "^b", ".*"][self.dice.roll(3) as usize]));
                for exchange in ["first", "second"] {
                    if self.dice.roll(3) == 0 {
                        let write = ["^x", "^y"][self.dice.roll(2) as usize].to_owned();
                        grant.topics.push(TopicGrant { exchange: exchange.into(), write, read: ".*".into() });
                    }
                }
                grants.push(grant);
            }
        }
        let limit = [None, Some(1), Some(2)];
        let limits = Limits {
            max_connections: limit[self.dice.roll(3) as usize],
            max_channels: limit[self.dice.roll(3) as usize],
        };
        Terms { grants, limits, on_drift, ..Terms::default() }
    }

    /// An owner wishes something of its account, or somebody else tries to.
    pub(super) async fn declare(&mut self) {
        let index = self.some_declared();
        let (name, on_drift) = (self.declared[index].name.clone(), self.declared[index].on_drift);
        let terms = self.terms(on_drift);
        let (store, accounts) = (self.store.clone(), self.accounts.clone());
        if self.declared[index].is_recorded && self.dice.roll(3) == 0 {
            let owner = Owner::Relay("another".into());
            let theirs = Wish { owner, login: LoginWish::Locked, terms };
            let outcome = self.maybe_crash(wish(store, accounts, name, theirs)).await;
            assert!(outcome.is_none_or(|outcome| outcome.unwrap_err().kind() == Kind::Conflict), "{:?}", self.log);
            return;
        }
        let login = match name.as_str() {
            KEPT => LoginWish::Kept,
            _ => LoginWish::Password(Secret::generate()),
        };
        self.promises.retain(|promise| promise.user != name.as_str());
        let declared = &mut self.declared[index];
        declared.left.clear();
        declared.is_settled = false;
        declared.wanted = Some((login.clone(), terms.clone()));
        let ours = Wish { owner: declared.owner.clone(), login: login.clone(), terms };
        if let Some(Ok(())) = self.maybe_crash(wish(store, accounts, name.clone(), ours)).await {
            let declared = &mut self.declared[index];
            (declared.is_settled, declared.is_recorded) = (true, true);
            if let LoginWish::Password(password) = login {
                self.promises.push(Promise { user: name.to_string(), password, until: Timestamp::MAX });
            }
        }
    }

    /// An owner wants its account gone, or somebody covets a user that is none of ours.
    pub(super) async fn undeclare(&mut self) {
        let (store, accounts) = (self.store.clone(), self.accounts.clone());
        if self.dice.roll(2) == 0 {
            let (terms, owner) = (self.terms(OnDrift::Repair), Owner::Relay("r".into()));
            let theirs = Wish { owner, login: LoginWish::Password(Secret::generate()), terms };
            let name = AccountName::parse(FOREIGN).unwrap();
            let outcome = self.maybe_crash(wish(store, accounts, name, theirs)).await;
            assert!(outcome.is_none_or(|outcome| outcome.is_err()), "{:?}", self.log);
            return;
        }
        let index = self.some_declared();
        let declared = &mut self.declared[index];
        let (name, owner) = (declared.name.clone(), declared.owner.clone());
        (declared.wanted, declared.is_settled, declared.is_recorded) = (None, false, false);
        declared.left.clear();
        self.promises.retain(|promise| promise.user != name.as_str());
        drop(self.maybe_crash(remove(store, accounts, name, owner)).await);
    }

    /// Somebody changes the permissions of a declared user by hand.
    pub(super) async fn tamper_with_declared(&mut self) {
        let index = self.some_declared();
        let name = self.declared[index].name.clone();
        let vhost = vhosts()[self.dice.roll(3) as usize].clone();
        let changed = if self.dice.roll(2) == 0 { None } else { Some(access("^by hand")) };
        if self.declared[index].on_drift == OnDrift::Repair && self.dice.roll(2) == 0 {
            let topic = TopicAccess { exchange: "first".into(), write: "^by hand".into(), read: String::new() };
            match self.dice.roll(3) {
                0 => drop(self.memory.put_topic_permission(&vhost, &name, &topic).await),
                1 => drop(self.memory.delete_topic_permissions(&vhost, &name).await),
                _ => {
                    let limits = broker::Limits { max_connections: Some(7), max_channels: None };
                    drop(self.memory.put_limits(&name, &limits).await);
                }
            }
            self.tampered = true;
            return;
        }
        let outcome = match &changed {
            None => self.memory.delete_permission(&vhost, &name).await.map(drop),
            Some(access) => self.memory.put_permission(&vhost, &name, access).await,
        };
        let declared = &mut self.declared[index];
        match declared.on_drift {
            OnDrift::Repair => self.tampered = true,
            OnDrift::Report if declared.is_settled && outcome.is_ok() => {
                declared.left.retain(|(place, _)| *place != vhost);
                declared.left.push((vhost, changed));
            }
            OnDrift::Report => {}
        }
    }

    /// Its owner's password, which we never had, works whatever happened.
    pub(super) fn check_kept(&self) {
        assert!(self.memory.can_login(KEPT, &Secret::new(KEPT_PASSWORD)), "{}", self.log.join("\n"));
    }

    async fn access(&self, vhost: &VhostName, user: &AccountName) -> Option<Access> {
        let all = self.memory.permissions().await.unwrap();
        let here = |each: &Permission| each.user == user.as_str() && each.vhost == vhost.as_str();
        all.into_iter().find(here).map(|permission| permission.access)
    }

    /// The trouble is over: what was only to be reported is as it was left, and owners wish once more.
    pub(super) async fn converge_declared(&mut self) {
        let (store, accounts) = (&self.store, &self.accounts);
        let foreign = AccountName::parse(FOREIGN).unwrap();
        remove(store.clone(), accounts.clone(), foreign, Owner::Relay("r".into())).await.unwrap();
        for Declared { name, owner, wanted, left, .. } in &self.declared {
            for (vhost, expected) in left {
                assert_eq!(self.access(vhost, name).await, *expected, "{}", self.log.join("\n"));
            }
            match wanted.clone() {
                None => remove(store.clone(), accounts.clone(), name.clone(), owner.clone()).await.unwrap(),
                Some((login, terms)) => {
                    let ours = Wish { owner: owner.clone(), login, terms };
                    wish(store.clone(), accounts.clone(), name.clone(), ours).await.unwrap();
                }
            }
        }
    }

    /// Every account that is wanted is as its owner wishes it.
    pub(super) async fn check_declared(&self) {
        for Declared { name, wanted, .. } in &self.declared {
            let Some((login, terms)) = wanted.clone() else { continue };
            let limits = self.memory.limits().await.unwrap().into_iter().find(|each| each.user == name.as_str());
            let limits = limits.map(|each| each.limits).unwrap_or_default();
            let wished = terms.limits;
            assert_eq!((limits.max_connections, limits.max_channels), (wished.max_connections, wished.max_channels));
            let topics = self.memory.topic_permissions().await.unwrap();
            let topics = topics.iter().filter(|each| each.user == name.as_str()).count();
            assert_eq!(topics, terms.grants.iter().map(|grant| grant.topics.len()).sum::<usize>(), "{name}");
            for grant in terms.grants {
                assert_eq!(self.access(&grant.vhost, name).await, Some(grant.access), "{name}");
            }
            if let LoginWish::Password(password) = login {
                assert!(self.memory.can_login(name.as_str(), &password), "{name}");
            }
        }
    }

    /// The users that should be there for it.
    pub(super) fn declared_users(&self) -> impl Iterator<Item = String> {
        let wanted =
            self.declared.iter().filter(|declared| declared.wanted.is_some() || declared.name.as_str() == KEPT);
        wanted.map(|declared| declared.name.to_string())
    }
}
