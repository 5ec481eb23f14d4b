//! The disk breaks at every operation of the main stories. Whenever it does: what was handed out is kept, a restart
//! finishes what was begun, and the story can be told again.

use std::collections::BTreeSet;
use std::time::Duration;

use keylender::app::Appliance;
use keylender::app::settings::Settings;
use keylender::base::{AccountName, Clock, Error, NamespaceName, Result, Secret, Timestamp};
use keylender::domain::accounts::Accounts;
use keylender::domain::auth::Caller;
use keylender::domain::namespaces::{Claim, Namespaces};
use keylender::ports::broker::{Exchange, MemoryBroker, Queue, Topology, Users};
use keylender::store::{KeySource, Store};

use crate::disk::{Disk, Fault};
use crate::simulation::{config, vhost};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
/// Far more operations than any story has.
const OPERATIONS_MAX: u32 = 1000;
/// Fewer than any story has: each writes at least once.
const OPERATIONS_MIN: u32 = 5;

/// What happens while the disk breaks.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Story {
    FirstClaim,
    /// A claim of a namespace that is there, with another end.
    OtherClaim,
    Rotation,
    Expiry,
    /// Somebody changed the broker by hand, and it is put right.
    Drift,
}

/// A password that was handed out, and until when it was promised to work.
#[derive(Debug)]
struct Promise {
    user: String,
    password: Secret,
    until: Timestamp,
}

/// What outlives the process: disk, broker, the time, and what clients hold.
struct World {
    story: Story,
    disk: Disk,
    clock: Clock,
    broker: MemoryBroker,
    promises: Vec<Promise>,
}

/// The process.
struct Process {
    store: Store,
    accounts: Accounts,
    namespaces: Namespaces,
}

impl World {
    fn new(story: Story) -> Self {
        let clock = Clock::manual(Timestamp::from_millis(1_539_604_800_000));
        Self { story, disk: Disk::default(), clock, broker: MemoryBroker::default(), promises: Vec::new() }
    }

    fn start(&self) -> Process {
        let store = Store::with_backend(self.disk.clone(), &KeySource::Given([7; 32]), self.clock.clone()).unwrap();
        let broker = self.broker.handle();
        let accounts = Accounts::new(store.clone(), broker.users(), None);
        let namespaces = Namespaces::new(store.clone(), accounts.clone(), broker.bus(), config());
        Process { store, accounts, namespaces }
    }

    /// Claims until so much time from now, and holds what is handed out.
    async fn claim(&mut self, process: &Process, lasts: Duration) -> Result<()> {
        let claim = Claim { expires: Some(self.clock.now().plus(lasts)), ..Claim::default() };
        let lent = process.namespaces.claim(&Caller::local("tests", "r"), &name(), claim).await?.into_inner();
        assert!(lent.reclaim_at > self.clock.now());
        let text = lent.connection_string.expose().strip_prefix("amqp://").unwrap();
        let (user, rest) = text.split_once(':').unwrap();
        let password = Secret::new(rest.split_once('@').unwrap().0);
        self.promises.push(Promise { user: user.into(), password, until: lent.reclaim_at });
        Ok(())
    }

    /// What comes before the story, while the disk is well.
    async fn prepare(&mut self, process: &Process) {
        match self.story {
            Story::FirstClaim => {}
            Story::OtherClaim => self.claim(process, HOUR).await.unwrap(),
            Story::Rotation => {
                self.claim(process, 100 * HOUR).await.unwrap();
                self.clock.advance(HOUR);
            }
            Story::Expiry => {
                self.claim(process, MINUTE).await.unwrap();
                self.broker.put_queue(&vhost(), Queue { name: "queue/t-a/x".into(), ..Queue::default() });
                self.broker.put_exchange(&vhost(), Exchange { name: "exchange/t-a/x".into(), ..Exchange::default() });
                self.clock.advance(2 * HOUR);
            }
            Story::Drift => {
                self.claim(process, 100 * HOUR).await.unwrap();
                let users = [1, 2].map(|slot| AccountName::parse(&format!("t-a-{slot}")).unwrap());
                self.broker.delete_user(&users[0]).await.unwrap();
                self.broker.delete_permission(&vhost(), &users[1]).await.unwrap();
            }
        }
    }

    /// The story. The error is that of its first step that did not work.
    async fn tell(&mut self, process: &Process) -> Result<()> {
        let failed = match self.story {
            Story::FirstClaim | Story::OtherClaim => return self.claim(process, 2 * HOUR).await,
            Story::Rotation => {
                let rotated = process.namespaces.rotate_due().await?;
                self.claim(process, 100 * HOUR).await?;
                rotated.failed
            }
            Story::Expiry => process.namespaces.expire_over().await?.failed,
            Story::Drift => process.accounts.reconcile().await?.failed,
        };
        if failed == 0 { Ok(()) } else { Err(Error::unavailable("a step failed")) }
    }

    /// One pass of every loop that changes the broker.
    async fn pass(&self, process: &Process) {
        assert_eq!(process.accounts.reconcile().await.unwrap().failed, 0);
        assert_eq!(process.namespaces.rotate_due().await.unwrap().failed, 0);
        assert_eq!(process.namespaces.expire_over().await.unwrap().failed, 0);
    }

    /// How the store is, as the health check tells it.
    async fn health(&self, process: &Process) -> std::result::Result<String, String> {
        let settings = Settings::for_tests(std::path::Path::new("unused"));
        let appliance = Appliance::on(process.store.clone(), &settings, self.clock.clone(), None).unwrap();
        appliance.health.check().await.swap_remove(0).state
    }

    fn keeps_its_promises(&self) -> bool {
        let now = self.clock.now();
        let mut promises = self.promises.iter().filter(|promise| promise.until > now);
        promises.all(|Promise { user, password, .. }| self.broker.can_login(user, password))
    }

    /// The broker has what the store says, and nothing else; everything handed out is in a chain that is whole.
    async fn check(&self, process: &Process, context: &str) {
        let live = process.namespaces.list(None, 10).await.unwrap().namespaces;
        let mut expected = BTreeSet::from(["administrator".to_owned()]);
        expected.extend(live.iter().flat_map(|(name, _)| [format!("{name}-1"), format!("{name}-2")]));
        let users = self.broker.users().await.unwrap();
        assert_eq!(users.into_iter().map(|user| user.name).collect::<BTreeSet<_>>(), expected, "{context}");
        assert!(process.accounts.drifts().await.unwrap().is_empty(), "{context}");
        let things = self.broker.queues(&vhost()).await.unwrap().len();
        assert!(things == 0 || !live.is_empty(), "{context}: a queue is left of a namespace that is gone");

        process.store.verify_audit().await.unwrap_or_else(|error| panic!("{context}: {error}"));
        let entries = process.store.survey_here(|tx| tx.entries(1, 1000)).unwrap();
        let log: String = entries.into_iter().map(|(_, entry)| String::from_utf8(entry).unwrap()).collect();
        for Promise { user, password, .. } in &self.promises {
            let references = process.store.references(password);
            assert!(references.iter().any(|one| log.contains(one)), "{context}: {user} was lent without an entry");
        }
    }
}

fn name() -> NamespaceName {
    NamespaceName::parse("t-a").unwrap()
}

/// Tells a story on a disk that breaks after so many operations. False when it ended before that.
async fn break_and_recover(story: Story, operations: u32, fault: Fault) -> bool {
    let context = format!("{story:?}, {fault:?} after {operations} operations");
    let mut world = World::new(story);
    let process = world.start();
    world.prepare(&process).await;
    world.disk.break_after(operations, fault);
    let told = world.tell(&process).await;
    assert!(story == Story::Drift || world.keeps_its_promises(), "{context}: before the restart");
    drop(process);
    let broke = world.disk.repair();
    assert!(broke || told.is_ok(), "{context}: {told:?}");

    let process = world.start();
    world.pass(&process).await;
    assert!(world.keeps_its_promises(), "{context}: after the restart");
    world.check(&process, &context).await;

    world.prepare(&process).await;
    world.tell(&process).await.unwrap_or_else(|error| panic!("{context}, told again: {}", error.chain()));
    while world.promises.iter().any(|promise| promise.until > world.clock.now()) {
        assert!(world.keeps_its_promises(), "{context}: told again, at {}", world.clock.now());
        world.clock.advance(20 * MINUTE);
        world.pass(&process).await;
    }
    world.check(&process, &context).await;
    broke
}

async fn break_everywhere(story: Story) {
    for fault in Fault::ALL {
        let mut operations = 0;
        while break_and_recover(story, operations, fault).await {
            operations += 1;
            assert!(operations < OPERATIONS_MAX, "{story:?} never ends");
        }
        assert!(operations > OPERATIONS_MIN, "{story:?}: the faults came while it mattered");
    }
}

#[tokio::test]
async fn a_first_claim_survives_a_disk_that_breaks_anywhere() {
    break_everywhere(Story::FirstClaim).await;
}

#[tokio::test]
async fn a_claim_with_other_input_survives_a_disk_that_breaks_anywhere() {
    break_everywhere(Story::OtherClaim).await;
}

#[tokio::test]
async fn a_rotation_survives_a_disk_that_breaks_anywhere() {
    break_everywhere(Story::Rotation).await;
}

#[tokio::test]
async fn expiry_survives_a_disk_that_breaks_anywhere() {
    break_everywhere(Story::Expiry).await;
}

#[tokio::test]
async fn repair_of_drift_survives_a_disk_that_breaks_anywhere() {
    break_everywhere(Story::Drift).await;
}

#[tokio::test]
async fn a_health_check_finds_a_full_disk_before_anybody_needs_it_and_does_not_fill_one() {
    let world = World::new(Story::FirstClaim);
    let process = world.start();
    let settings = Settings::for_tests(std::path::Path::new("unused"));
    let appliance = Appliance::on(process.store.clone(), &settings, world.clock.clone(), None).unwrap();
    let store = async || appliance.health.check().await.swap_remove(0).state;
    let head = process.store.verify_audit().await.unwrap();
    // Under a load balancer that asks all the time, one write in a few seconds, and no entry in the log.
    world.disk.break_after(OPERATIONS_MAX, Fault::Full);
    for _ in 0..1000 {
        assert!(store().await.is_ok());
    }
    assert!(!world.disk.repair());
    assert_eq!(process.store.verify_audit().await.unwrap(), head);

    drop(appliance);
    world.disk.break_after(0, Fault::Full);
    assert_eq!(world.health(&process).await, Err("the store cannot be written".to_owned()));
}

#[tokio::test]
async fn a_disk_that_broke_shows_in_the_health_check_until_it_works() {
    let mut world = World::new(Story::FirstClaim);
    let process = world.start();
    world.disk.break_after(0, Fault::Fails);
    world.tell(&process).await.unwrap_err();
    assert_eq!(world.health(&process).await, Err("the store cannot be written".to_owned()));
    world.disk.repair();
    assert_eq!(world.health(&process).await, Ok("0 namespaces".to_owned()));
    world.tell(&process).await.unwrap();
}
