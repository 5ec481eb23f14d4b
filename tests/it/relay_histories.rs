//! Random histories of a relay: applied, rotated, lent, revoked, edited, adopted and released, with outages, restarts and hand
//! edits in between. Whatever happens, a password of two that take turns works until it has to be asked for again, users of
//! somebody else stay as they are, and everything converges when the trouble is over.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use keylender::app::Appliance;
use keylender::app::settings::Settings;
use keylender::base::{AccountName, Clock, Kind, Reason, Secret, Timestamp, VhostName};
use keylender::domain::auth::Caller;
use keylender::domain::relay::{Adoption, What};
use keylender::ports::broker::{Access, Login, MemoryBroker, PasswordHash, UserWish, Users};
use keylender::store::{KeySource, Store};

use crate::disk::Disk;
use crate::simulation::Dice;

/// How many histories are told, and how many events each has.
const HISTORIES: u64 = 100;
const EVENTS: u32 = 30;
const MINUTE: u64 = 60;
/// Both declare `place` and `turn`; the second one also the user that somebody else made.
const PROFILE: &str = "
name = 'r'
[[vhost]]
name = 'v'
queue = [{ name = 'q' }]
[[account]]
name = 'place'
rotate-every = '2 hours'
close-after = '10 minutes'
grant = [{ vhost = 'v', configure = '', write = '', read = '^q$' }]
[[account]]
name = 'turn'
rotate-every = '2 hours'
close-after = '10 minutes'
rotate-by = 'in-turn'
grant = [{ vhost = 'v', configure = '', write = '^q$', read = '' }]
";
const LEGACY: &str =
    "[[account]]\nname = 'legacy'\ngrant = [{ vhost = 'v', configure = '', write = 'x', read = '' }]\n";

/// A password that was handed out, and until when it works.
struct Promise {
    user: String,
    password: Secret,
    until: Timestamp,
}

struct History {
    dice: Dice,
    disk: Disk,
    clock: Clock,
    broker: MemoryBroker,
    /// Nothing while it starts again.
    process: Option<Appliance>,
    promises: Vec<Promise>,
    /// The password that somebody gave the user `legacy`, while it is not ours to replace.
    legacy: Option<Secret>,
    /// Whether users were deleted behind our back since the last whole pass of `reconcile`.
    is_edited: bool,
    log: Vec<String>,
}

fn start(disk: &Disk, clock: &Clock, broker: &MemoryBroker) -> Appliance {
    let store = Store::with_backend(disk.clone(), &KeySource::Given([7; 32]), clock.clone()).unwrap();
    let settings = Settings::for_tests(std::path::Path::new("unused"));
    Appliance::on(store, &settings, clock.clone(), Some(Arc::new(broker.clone()))).unwrap()
}

fn caller() -> Caller {
    Caller::local("stories", "r").because(Reason::parse("to see").unwrap())
}

fn name(name: &str) -> AccountName {
    AccountName::parse(name).unwrap()
}

async fn make(broker: &MemoryBroker, user: &str, password: &Secret) {
    let access = Access { read: "^theirs".into(), ..Access::default() };
    let permissions = [(VhostName::parse("/").unwrap(), access)];
    let login = Login::Hash(PasswordHash::of(password));
    let wish = UserWish { name: &name(user), login, tags: &["theirs".into()], permissions: &permissions };
    broker.put_user(&wish).await.unwrap();
}

impl History {
    async fn new(seed: u64) -> Self {
        let clock = Clock::manual(Timestamp::from_millis(1_539_604_800_000));
        let (disk, broker) = (Disk::default(), MemoryBroker::default());
        broker.add_vhost(&VhostName::parse("/").unwrap());
        let legacy = Secret::new("legacy");
        make(&broker, "legacy", &legacy).await;
        make(&broker, "theirs", &Secret::new("theirs")).await;
        let process = start(&disk, &clock, &broker);
        process.relay.store_profile(PROFILE.to_owned(), &caller()).await.unwrap();
        let dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let (promises, log) = (Vec::new(), Vec::new());
        Self {
            dice,
            disk,
            clock,
            broker,
            process: Some(process),
            promises,
            legacy: Some(legacy),
            is_edited: false,
            log,
        }
    }

    fn process(&self) -> &Appliance {
        self.process.as_ref().unwrap()
    }

    fn account(&mut self) -> AccountName {
        name(["place", "turn", "legacy"][usize::try_from(self.dice.roll(3)).unwrap()])
    }

    /// Forgets what was promised of an account's users.
    fn forget(&mut self, account: &AccountName) {
        self.promises.retain(|promise| !promise.user.starts_with(account.as_str()));
    }

    /// Whether the user is an account of ours by now.
    fn legacy_is_ours(&self) -> bool {
        self.process()
            .relay
            .account(&name("legacy"))
            .is_ok_and(|account| self.process().relay.users(&account).is_ok_and(|users| !users.is_empty()))
    }

    async fn event(&mut self) {
        let relay = self.process().relay.clone();
        let event = self.dice.roll(15);
        let account = self.account();
        self.log.push(format!("{event} {account}"));
        match event {
            0 | 1 => self.clock.advance(Duration::from_secs(self.dice.roll(180) * MINUTE)),
            2 | 3 => {
                // What was ours and is declared no more goes.
                if relay.account(&name("legacy")).is_err() && self.legacy_was_rotated() {
                    self.legacy = None;
                }
                _ = relay.apply(&caller()).await;
            }
            4 => self.reconcile().await,
            5 => _ = self.process().loops.run("rotate").await,
            6 => {
                if account.as_str() == "legacy" && self.legacy_is_ours() {
                    self.legacy = None;
                }
                _ = relay.rotate(&account, &caller(), self.dice.roll(2) == 0).await;
            }
            7 | 8 => self.lend(&account).await,
            9 => {
                self.forget(&account);
                if account.as_str() == "legacy" && self.legacy_is_ours() {
                    self.legacy = None;
                }
                _ = relay.revoke(&account, &caller()).await;
            }
            10 => self.broker.fail_after(u32::try_from(self.dice.roll(30)).unwrap()),
            11 => self.broker.come_back(),
            12 => {
                drop(relay);
                self.process = None;
                self.process = Some(start(&self.disk, &self.clock, &self.broker));
            }
            13 => self.edit_by_hand().await,
            _ => self.change_what_is_declared().await,
        }
    }

    /// Whether the password that somebody gave it is not the one it has.
    fn legacy_was_rotated(&self) -> bool {
        self.legacy.as_ref().is_none_or(|password| !self.broker.can_login("legacy", password))
    }

    async fn reconcile(&mut self) {
        if self.process().loops.run("reconcile").await.is_ok() {
            self.is_edited = false;
        }
    }

    async fn lend(&mut self, account: &AccountName) {
        let Ok(login) = self.process().relay.lend(&caller(), account).await else { return };
        let login = login.into_inner();
        let works = self.broker.can_login(login.username.as_str(), &login.password);
        assert!(works || self.is_edited, "{account} is lent and refused");
        if !works {
            return;
        }
        // In place it may be replaced at any moment by hand.
        if account.as_str() == "turn" {
            let user = login.username.to_string();
            self.promises.push(Promise { user, password: login.password, until: login.expires });
        }
    }

    async fn edit_by_hand(&mut self) {
        let users = ["place", "turn-1", "turn-2"];
        let user = name(users[usize::try_from(self.dice.roll(3)).unwrap()]);
        match self.dice.roll(3) {
            0 => {
                self.is_edited = true;
                self.promises.retain(|promise| promise.user != user.as_str());
                _ = self.broker.delete_user(&user).await;
            }
            1 => {
                let all = Access { read: ".*".into(), ..Access::default() };
                _ = self.broker.put_permission(&VhostName::parse("/").unwrap(), &user, &all).await;
            }
            _ => _ = self.broker.delete_permission(&VhostName::parse("v").unwrap(), &user).await,
        }
    }

    async fn change_what_is_declared(&mut self) {
        let (relay, legacy) = (self.process().relay.clone(), name("legacy"));
        match self.dice.roll(4) {
            0 => _ = relay.store_profile(format!("{PROFILE}{LEGACY}"), &caller()).await,
            1 => _ = relay.store_profile(PROFILE.to_owned(), &caller()).await,
            2 => _ = relay.adopt(&legacy, &caller(), Adoption::new("they", "", false).unwrap()).await,
            _ => _ = relay.release(&legacy, &caller()).await,
        }
    }

    fn check(&self) {
        for Promise { user, password, until } in &self.promises {
            assert!(self.clock.now() >= *until || self.broker.can_login(user, password), "{user} is refused too early");
        }
        if let Some(password) = &self.legacy {
            assert!(self.broker.can_login("legacy", password), "somebody else's password does not work any more");
        }
        assert!(self.broker.can_login("theirs", &Secret::new("theirs")), "a user of somebody else was changed");
    }

    /// The trouble is over.
    async fn converge(&mut self) {
        self.broker.come_back();
        for _ in 0..2 {
            self.reconcile().await;
            _ = self.process().loops.run("rotate").await;
            if self.process().relay.account(&name("legacy")).is_err() && self.legacy_was_rotated() {
                self.legacy = None;
            }
            _ = self.process().relay.apply(&caller()).await;
        }
        self.check();
        let steps = self.process().relay.plan().await.unwrap().steps;
        let left: BTreeSet<String> =
            steps.iter().filter(|step| step.what != What::Leave).map(ToString::to_string).collect();
        assert_eq!(left, BTreeSet::new());
        for account in ["place", "turn"] {
            self.lend(&name(account)).await;
            let lent = self.process().relay.lend(&caller(), &name(account)).await;
            assert!(lent.is_ok(), "{account}: {lent:?}");
        }
        // Nobody but the broker may know its password, and it may be somebody else's.
        if let Err(error) = self.process().relay.lend(&caller(), &name("legacy")).await {
            assert!([Kind::Conflict, Kind::NotFound].contains(&error.kind()), "{error}");
        }
        let theirs = self.broker.permissions().await.unwrap();
        let theirs: Vec<_> = theirs.iter().filter(|row| row.user == "theirs").collect();
        assert!(theirs.len() == 1 && theirs[0].access.read == "^theirs", "{theirs:?}");
    }
}

#[tokio::test]
async fn whatever_happens_to_a_relay_promises_are_kept_and_users_of_others_stay() {
    for seed in 1..=HISTORIES {
        let mut history = History::new(seed).await;
        let told = std::panic::AssertUnwindSafe(async {
            for _ in 0..EVENTS {
                history.event().await;
                history.check();
            }
            history.converge().await;
        });
        if let Err(panic) = futures_util::FutureExt::catch_unwind(told).await {
            eprintln!("history {seed}: {}", history.log.join(", "));
            std::panic::resume_unwind(panic);
        }
    }
}
