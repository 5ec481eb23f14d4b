//! Random histories of claims, waiting, outages, crashes, clock jumps and hand edits: whatever happens, every password
//! that was handed out works until its `reclaimAt`, and everything converges when the trouble is over.

mod declared;

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use keylender::base::{AccountName, Clock, NamespaceName, Secret, SiteName, Span, Timestamp, VhostName};
use keylender::domain::accounts::Accounts;
use keylender::domain::auth::Caller;
use keylender::domain::namespaces::{Amqp, Claim, Claimed, Config, Namespaces, When};
use keylender::ports::broker::{Access, Broker, Handle, Login, MemoryBroker, Queue, Site, Topology, UserWish, Users};
use keylender::store::Store;

use crate::hasty::Hasty;
use declared::{Declared, declared};

/// How many histories are told, and how many events each has.
const HISTORIES: u64 = 1000;
const EVENTS: u32 = 25;
const NAMES: [&str; 3] = ["t-a", "t-b", "t-b-1"];
const FOREIGN: &str = "somebody-else";
const MINUTE: u64 = 60_000;

/// A small generator, so that a history is its number (xorshift64*).
pub struct Dice(pub u64);

impl Dice {
    /// One of so many sides, from 0 on.
    pub fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % sides
    }
}

/// A password that was handed out: who, what, and until when it was promised to work.
struct Promise {
    user: String,
    password: Secret,
    until: Timestamp,
}

struct World {
    dice: Dice,
    clock: Clock,
    store: Store,
    memory: MemoryBroker,
    users: Handle<dyn Users>,
    /// A further broker, which is in trouble at times of its own.
    eu: Site<dyn Broker>,
    eu_memory: MemoryBroker,
    namespaces: Namespaces,
    accounts: Accounts,
    promises: Vec<Promise>,
    /// What relays and agents declare.
    declared: Vec<Declared>,
    /// Whether somebody changed the broker behind our back since the last whole reconciliation.
    tampered: bool,
    log: Vec<String>,
}

/// The one vhost of stories on the memory broker.
pub fn vhost() -> VhostName {
    VhostName::parse("/").unwrap()
}

/// Hourly rotation, and an hour between the end of a namespace and its removal.
pub fn config() -> Config {
    let pattern = "^{{namespace}}/".to_owned();
    Config {
        namespace_prefix: "t-".into(),
        username_prefix: String::new(),
        user_tags: vec!["lent".into()],
        access: Access { configure: pattern.clone(), write: pattern, read: ".*".into() },
        rotation_interval: Span::from_millis(60 * MINUTE as i64),
        expiration_delay: Duration::from_millis(60 * MINUTE),
        queue_prefix: "queue/".into(),
        exchange_prefix: "exchange/".into(),
        amqp: Amqp { protocol: "amqp://".into(), hostname: "h".into(), port: 1, vhost: vhost(), query: String::new() },
    }
}

impl World {
    async fn new(seed: u64, wrap: fn(MemoryBroker) -> Arc<dyn Users>) -> Self {
        let clock = Clock::manual(Timestamp::from_millis(1_539_604_800_000));
        let store = Store::memory(clock.clone()).unwrap();
        let memory = MemoryBroker::default();
        let name = AccountName::parse(FOREIGN).unwrap();
        let permissions = [(vhost(), Access::default())];
        let wish = UserWish { name: &name, login: Login::Locked, tags: &["theirs".into()], permissions: &permissions };
        memory.put_user(&wish).await.unwrap();
        for queue in ["queue/other/x", "queue/t-", "theirs"] {
            memory.put_queue(&vhost(), Queue { name: queue.into(), ..Queue::default() });
        }
        let declared = declared(&memory).await;
        let users = Handle::new(Some(wrap(memory.clone())));
        let (eu_memory, eu_vhost) = (MemoryBroker::default(), VhostName::parse("/eu").unwrap());
        eu_memory.add_vhost(&eu_vhost);
        let eu = Site { name: SiteName::parse("eu").unwrap(), vhost: eu_vhost, side: eu_memory.handle() };
        let accounts = Accounts::new(store.clone(), users.clone(), None).also_at([eu.users()]);
        let namespaces = Namespaces::new(store.clone(), accounts.clone(), memory.handle().bus(), config());
        let namespaces = namespaces.also_at([eu.bus()]);
        let dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let (promises, log) = (Vec::new(), Vec::new());
        Self {
            dice,
            clock,
            store,
            memory,
            users,
            eu,
            eu_memory,
            namespaces,
            accounts,
            promises,
            declared,
            tampered: false,
            log,
        }
    }

    /// The process ends and starts again: only the store is left, with what had reached its writer.
    async fn restart(&mut self) {
        self.store.write(|_| Ok(())).await.unwrap();
        self.accounts = Accounts::new(self.store.clone(), self.users.clone(), None).also_at([self.eu.users()]);
        self.namespaces =
            Namespaces::new(self.store.clone(), self.accounts.clone(), self.memory.handle().bus(), config())
                .also_at([self.eu.bus()]);
    }

    fn name(&mut self) -> NamespaceName {
        let name = NAMES[self.dice.roll(NAMES.len() as u64) as usize];
        self.namespaces.parse(name).unwrap()
    }

    /// One event.
    async fn step(&mut self) {
        let kind = self.dice.roll(21);
        self.log.push(format!("{} event {kind}", self.clock.now()));
        match kind {
            0..=3 => self.claim().await,
            4..=6 => self.wait(),
            7 | 8 => self.rotate().await,
            9 => self.expire().await,
            10 => self.reconcile().await,
            11 => self.trouble(),
            12 => self.come_back(),
            13 => self.tamper().await,
            14 => self.jump(),
            15..=17 => self.declare().await,
            18 => self.undeclare().await,
            19 => self.tamper_with_declared().await,
            _ => self.restart().await,
        }
        self.check();
    }

    /// Runs something to its end, or crashes in the middle of it.
    async fn maybe_crash<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        let waits = if self.dice.roll(3) == 0 { self.dice.roll(6) } else { u64::MAX };
        let outcome = crash_after(work, waits).await;
        if outcome.is_none() {
            self.log.push(format!("crash after {waits} waits"));
            self.restart().await;
        }
        outcome
    }

    async fn claim(&mut self) {
        let name = self.name();
        let lasts = [10, 200, 100_000][self.dice.roll(3) as usize] * MINUTE;
        let claim = Claim { expires: Some(self.clock.now().plus(Duration::from_millis(lasts))), ..Claim::default() };
        let namespaces = self.namespaces.clone();
        let caller = Caller::local("simulation", "r");
        let Some(Ok(claimed)) = self.maybe_crash(namespaces.claim(&caller, &name, claim)).await else { return };
        let claimed = claimed.into_inner();
        assert!(claimed.reclaim_at > self.clock.now(), "a claim is told a moment in the future");
        let (user, password) = login(&claimed);
        self.log.push(format!("lent {user} until {}", claimed.reclaim_at));
        self.promises.push(Promise { user, password, until: claimed.reclaim_at });
    }

    fn wait(&mut self) {
        let minutes = [1, 20, 45, 61, 300][self.dice.roll(5) as usize];
        self.clock.advance(Duration::from_millis(minutes * MINUTE));
    }

    async fn rotate(&mut self) {
        let namespaces = self.namespaces.clone();
        match self.dice.roll(4) {
            0 => {
                let name = self.name();
                drop(self.maybe_crash(namespaces.rotate(&name, &Caller::of_loop("simulation"), When::Now)).await);
            }
            _ => drop(self.maybe_crash(namespaces.rotate_due()).await),
        }
    }

    async fn expire(&mut self) {
        let namespaces = self.namespaces.clone();
        drop(self.maybe_crash(namespaces.expire_over()).await);
    }

    async fn reconcile(&mut self) {
        let accounts = self.accounts.clone();
        if let Some(Ok(done)) = self.maybe_crash(accounts.reconcile()).await
            && done.failed == 0
        {
            self.tampered = false;
        }
    }

    fn trouble(&mut self) {
        let calls = self.dice.roll(5) as u32;
        let broker = if self.dice.roll(4) == 0 { &self.eu_memory } else { &self.memory };
        match self.dice.roll(4) {
            0 => broker.go_away(),
            1 => broker.fail_after(calls),
            2 => broker.fail_next(calls),
            _ => broker.lose_answers(calls),
        }
    }

    fn come_back(&self) {
        self.memory.come_back();
        self.eu_memory.come_back();
    }

    /// Somebody changes users of ours by hand, or the broker loses its disk.
    async fn tamper(&mut self) {
        let user = format!("{}-{}", self.name(), 1 + self.dice.roll(2));
        let name = AccountName::parse(&user).unwrap();
        // It may take effect although the answer is lost.
        match self.dice.roll(4) {
            3 => return drop(self.eu_memory.delete_user(&name).await),
            0 => drop(self.memory.delete_user(&name).await),
            1 => drop(self.memory.delete_permission(&vhost(), &name).await),
            _ => {
                let access = Access { configure: ".*".into(), write: ".*".into(), read: ".*".into() };
                drop(self.memory.put_permission(&vhost(), &name, &access).await);
            }
        }
        self.tampered = true;
    }

    /// The clock is set, by some minutes or by days.
    fn jump(&mut self) {
        let by = Duration::from_millis([5, 90, 3000][self.dice.roll(3) as usize] * MINUTE);
        let now = self.clock.now();
        self.clock.set(if self.dice.roll(2) == 0 { now.plus(by) } else { now.minus(by) });
    }

    /// Every promise that is not over is kept, at every moment at which nobody meddled.
    fn check(&mut self) {
        let now = self.clock.now();
        self.promises.retain(|promise| promise.until > now);
        self.check_kept();
        if self.tampered {
            return;
        }
        for Promise { user, password, until } in &self.promises {
            let works = self.memory.can_login(user, password);
            assert!(works, "{user} was promised until {until}\n{}", self.log.join("\n"));
        }
    }

    /// The trouble is over: one pass of each loop, and everything is as it should be.
    async fn converge(&mut self) {
        self.come_back();
        for broker in [&self.memory, &self.eu_memory] {
            broker.fail_next(0);
            broker.lose_answers(0);
        }
        self.restart().await;
        self.accounts.reconcile().await.unwrap();
        self.converge_declared().await;
        self.accounts.reconcile().await.unwrap();
        self.check_declared().await;
        self.tampered = false;
        self.namespaces.rotate_due().await.unwrap();
        self.namespaces.expire_over().await.unwrap();
        self.accounts.reconcile().await.unwrap();
        self.check();

        let live = self.namespaces.list(None, 100).await.unwrap().namespaces;
        let mut expected: BTreeSet<String> = ["administrator", FOREIGN].map(String::from).into();
        expected.extend(self.declared_users());
        for (name, _) in &live {
            expected.extend([format!("{name}-1"), format!("{name}-2")]);
        }
        let users = self.memory.users().await.unwrap();
        assert_eq!(users.iter().map(|user| user.name.clone()).collect::<BTreeSet<_>>(), expected, "{:?}", self.log);
        let at_eu: BTreeSet<_> = self.eu_memory.users().await.unwrap().into_iter().map(|user| user.name).collect();
        let of_namespaces = live.iter().flat_map(|(name, _)| [format!("{name}-1"), format!("{name}-2")]);
        let expected: BTreeSet<_> = of_namespaces.chain(["administrator".to_owned()]).collect();
        assert_eq!(at_eu, expected, "{:?}", self.log);
        let drifts = self.accounts.drifts().await.unwrap();
        assert!(drifts.iter().all(|drift| drift.is_left), "{drifts:?} {:?}", self.log);
        assert!(users.iter().any(|user| user.name == FOREIGN && user.tags == ["theirs"]));
        assert_eq!(self.memory.queues(&vhost()).await.unwrap().len(), 3, "nothing outside the prefix is touched");
        for (name, _) in live {
            let caller = Caller::local("simulation", "r");
            let claimed = self.namespaces.claim(&caller, &name, Claim::default()).await.unwrap().into_inner();
            assert!(claimed.reclaim_at > self.clock.now());
            let (user, password) = login(&claimed);
            assert!(self.eu_memory.can_login(&user, &password), "{:?}", self.log);
        }
        self.store.verify_audit().await.unwrap();
    }
}

/// The user and the password that were lent.
fn login(claimed: &Claimed) -> (String, Secret) {
    let text = claimed.connection_string.expose().strip_prefix("amqp://").unwrap();
    let (user, rest) = text.split_once(':').unwrap();
    (user.to_owned(), Secret::new(rest.split_once('@').unwrap().0))
}

/// Polls a future until it has waited so many times, then drops it: to it, that is a crash.
async fn crash_after<T>(work: impl Future<Output = T>, mut waits: u64) -> Option<T> {
    let mut work = pin!(work);
    std::future::poll_fn(|context| match work.as_mut().poll(context) {
        Poll::Ready(outcome) => Poll::Ready(Some(outcome)),
        Poll::Pending if waits == 0 => Poll::Ready(None),
        Poll::Pending => {
            waits -= 1;
            Poll::Pending
        }
    })
    .await
}

async fn tell(seed: u64, wrap: fn(MemoryBroker) -> Arc<dyn Users>) {
    let mut world = World::new(seed, wrap).await;
    for _ in 0..EVENTS {
        world.step().await;
    }
    world.converge().await;
}

#[tokio::test]
async fn every_random_history_keeps_its_promises_and_converges() {
    for seed in 0..HISTORIES {
        tell(seed, |memory| Arc::new(memory)).await;
    }
}

/// Wrong histories that have to be noticed, and how many may be told for that.
const NOTICED_MIN: usize = 5;
const HISTORIES_MAX: u64 = 400;

#[tokio::test]
async fn the_simulation_notices_when_store_and_broker_are_told_in_the_wrong_order() {
    // How the threads meet decides in which histories it matters, so there are as many as it takes.
    let (mut noticed, mut told_of) = (0, 0);
    while noticed <= NOTICED_MIN && told_of < HISTORIES_MAX {
        let told = tokio::spawn(tell(told_of, |memory| Arc::new(Hasty::new(memory))));
        noticed += usize::from(told.await.is_err());
        told_of += 1;
    }
    assert!(noticed > NOTICED_MIN, "only {noticed} of {told_of} wrong histories were noticed");
}
