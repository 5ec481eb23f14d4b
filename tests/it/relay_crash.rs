//! The disk breaks at every operation while an account of the relay is rotated, fetched or taken back. Whenever it does: what
//! was handed out has its entry, a restart finishes what was begun, and nobody is locked out.

use std::sync::Arc;
use std::time::Duration;

use keylender::app::Appliance;
use keylender::app::settings::{RelaySettings, Settings};
use keylender::base::{AccountName, Clock, Reason, Result, Secret, Timestamp, VhostName};
use keylender::domain::auth::Caller;
use keylender::ports::broker::MemoryBroker;
use keylender::proto::relay_profile::Profile;
use keylender::store::{KeySource, Store};

use crate::disk::{Disk, Fault};

const HOUR: Duration = Duration::from_secs(3600);
/// Far more operations than any story has.
const OPERATIONS_MAX: u32 = 1000;
/// Fewer than any story has: each writes at least once.
const OPERATIONS_MIN: u32 = 5;
const PROFILE: &str = "
name = 'r'
[[vhost]]
name = 'v'
[[account]]
name = 'place'
rotate-every = '2 hours'
back-within = '1 minute'
grant = [{ vhost = 'v', configure = '', write = '', read = '' }]
[[account]]
name = 'turn'
rotate-every = '2 hours'
rotate-by = 'in-turn'
grant = [{ vhost = 'v', configure = '', write = '', read = '' }]
";

/// What happens while the disk breaks.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Story {
    Rotation,
    Revocation,
}

/// A password that was handed out.
#[derive(Clone, Debug, PartialEq)]
struct Login {
    user: String,
    password: Secret,
}

/// What outlives the process: disk, broker, the time, and what programs hold.
struct World {
    account: AccountName,
    disk: Disk,
    clock: Clock,
    broker: MemoryBroker,
    lent: Vec<Login>,
}

impl World {
    fn new(account: &str) -> Self {
        let clock = Clock::manual(Timestamp::from_millis(1_539_604_800_000));
        let account = AccountName::parse(account).unwrap();
        Self { account, disk: Disk::default(), clock, broker: MemoryBroker::default(), lent: Vec::new() }
    }

    fn start(&self) -> Appliance {
        let store = Store::with_backend(self.disk.clone(), &KeySource::Given([7; 32]), self.clock.clone()).unwrap();
        let mut settings = Settings::for_tests(std::path::Path::new("unused"));
        settings.relay = Some(RelaySettings { profile: Profile::parse(PROFILE).unwrap(), from: "a story".into() });
        Appliance::on(store, &settings, self.clock.clone(), Some(Arc::new(self.broker.clone()))).unwrap()
    }

    async fn fetch(&mut self, process: &Appliance) -> Result<Login> {
        let login = process.relay.lend(&caller(), &self.account).await?.into_inner();
        let login = Login { user: login.username.to_string(), password: login.password };
        self.lent.push(login.clone());
        Ok(login)
    }

    fn works(&self, Login { user, password }: &Login) -> bool {
        self.broker.can_login(user, password)
    }

    /// The story. The error is that of its first step that did not work.
    async fn tell(&mut self, process: &Appliance, story: Story) -> Result<()> {
        match story {
            Story::Rotation => process.relay.rotate(&self.account, &caller(), true).await?,
            Story::Revocation => process.relay.revoke(&self.account, &caller()).await?,
        }
        self.fetch(process).await.map(drop)
    }
}

fn caller() -> Caller {
    Caller::local("tests", "r").because(Reason::parse("a story").unwrap())
}

/// Tells a story on a disk that breaks after so many operations. False when it ended before that.
async fn break_and_recover(account: &str, story: Story, operations: u32, fault: Fault) -> bool {
    let context = format!("{account}, {story:?}, {fault:?} after {operations} operations");
    let mut world = World::new(account);
    let process = world.start();
    process.relay.apply(&caller()).await.unwrap();
    let before = world.fetch(&process).await.unwrap();
    let vhost = VhostName::parse("v").unwrap();
    world.broker.connect(&before.user, &before.password, &vhost, world.clock.now()).unwrap();
    world.disk.break_after(operations, fault);
    let told = world.tell(&process, story).await;
    assert!(account != "turn" || story != Story::Rotation || world.works(&before), "{context}: it was promised");
    drop(process);
    let broke = world.disk.repair();
    assert!(broke || told.is_ok(), "{context}: {told:?}");

    let process = world.start();
    let lent = world.fetch(&process).await.unwrap_or_else(|error| panic!("{context}: {}", error.chain()));
    assert!(world.works(&lent), "{context}: what is fetched works, whatever is left undone");
    assert_eq!(process.accounts.reconcile().await.unwrap().failed, 0, "{context}");
    assert_eq!(process.relay.rotate_due().await.unwrap().failed, 0, "{context}");
    assert_eq!(process.relay.due().await.unwrap(), [], "{context}: nothing is left undone");
    let lent = world.fetch(&process).await.unwrap();
    assert!(world.works(&lent), "{context}: after the passes");
    // Either it never began, or all of it was done.
    let (began, closed) = (lent != before, world.broker.closed().len());
    let old_works = world.works(&before);
    assert_eq!(old_works, !began || (account == "turn" && story == Story::Rotation), "{context}: {began}");
    assert_eq!(closed, usize::from(began), "{context}");
    assert!(process.relay.plan().await.unwrap().steps.is_empty(), "{context}");

    world.clock.advance(3 * HOUR);
    assert_eq!(process.relay.rotate_due().await.unwrap().failed, 0, "{context}");
    let next = world.fetch(&process).await.unwrap();
    assert!(next != lent && world.works(&next), "{context}: it rotates on");
    process.store.verify_audit().await.unwrap_or_else(|error| panic!("{context}: {error}"));
    let entries = process.store.survey_here(|tx| tx.entries(1, 1000)).unwrap();
    let log: String = entries.into_iter().map(|(_, entry)| String::from_utf8(entry).unwrap()).collect();
    for Login { user, password } in &world.lent {
        let references = process.store.references(password);
        assert!(references.iter().any(|one| log.contains(one)), "{context}: {user} was lent without an entry");
    }
    broke
}

async fn break_everywhere(account: &str, story: Story) {
    for fault in Fault::ALL {
        let mut operations = 0;
        while break_and_recover(account, story, operations, fault).await {
            operations += 1;
            assert!(operations < OPERATIONS_MAX, "{story:?} never ends");
        }
        assert!(operations > OPERATIONS_MIN, "{story:?}: the faults came while it mattered");
    }
}

#[tokio::test]
async fn a_rotation_in_place_survives_a_disk_that_breaks_anywhere() {
    break_everywhere("place", Story::Rotation).await;
}

#[tokio::test]
async fn a_rotation_in_turn_survives_a_disk_that_breaks_anywhere() {
    break_everywhere("turn", Story::Rotation).await;
}

#[tokio::test]
async fn a_revocation_in_place_survives_a_disk_that_breaks_anywhere() {
    break_everywhere("place", Story::Revocation).await;
}

#[tokio::test]
async fn a_revocation_in_turn_survives_a_disk_that_breaks_anywhere() {
    break_everywhere("turn", Story::Revocation).await;
}
