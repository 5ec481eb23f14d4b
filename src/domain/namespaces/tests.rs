//! Stories about claims and rotation, on the memory broker and with a clock moved by hand.

mod expiry;

use std::sync::Arc;

use super::*;
use crate::base::{Clock, Kind, VhostName};
use crate::domain::auth::Caller;
use crate::ports::broker::{Connections, MemoryBroker, Users};

const HOUR: Duration = Duration::from_secs(3600);

/// An appliance's namespaces on a broker that can be broken.
pub(super) struct World {
    clock: Clock,
    store: Store,
    broker: MemoryBroker,
    pub(super) namespaces: Namespaces,
}

fn config() -> Config {
    let vhost = VhostName::parse("/").unwrap();
    Config {
        namespace_prefix: "t-".into(),
        username_prefix: String::new(),
        user_tags: Vec::new(),
        access: Access { configure: "^{{namespace}}".into(), write: String::new(), read: String::new() },
        rotation_interval: Span::from_millis(3_600_000),
        expiration_delay: HOUR,
        queue_prefix: "queue/".into(),
        exchange_prefix: "exchange/".into(),
        amqp: Amqp { protocol: "amqp://".into(), hostname: "h".into(), port: 1, vhost, query: String::new() },
    }
}

impl World {
    pub(super) fn new() -> Self {
        let clock = Clock::manual(Timestamp::from_millis(1_539_604_800_000));
        let store = Store::memory(clock.clone()).unwrap();
        let broker = MemoryBroker::default();
        let namespaces = start(&store, &broker, config());
        Self { clock, store, broker, namespaces }
    }

    /// The appliance starts again with other settings.
    async fn restart(&mut self, config: Config) {
        self.namespaces = start(&self.store, &self.broker, config);
        self.namespaces.apply_settings().await.unwrap();
    }

    pub(super) fn name(&self) -> NamespaceName {
        self.namespaces.parse("t-a").unwrap()
    }

    pub(super) async fn claim(&self) -> Result<Claimed> {
        self.claim_until(Timestamp::MAX).await
    }

    async fn claim_until(&self, expires: Timestamp) -> Result<Claimed> {
        let claim = Claim { expires: Some(expires), ..Claim::default() };
        let claimed = self.namespaces.claim(&Caller::local("tests", "r"), &self.name(), claim).await?;
        Ok(claimed.into_inner())
    }

    /// Whether the broker lets the holder of this document in.
    fn works(&self, claimed: &Claimed) -> bool {
        let text = claimed.connection_string.expose().strip_prefix("amqp://").unwrap();
        let (user, rest) = text.split_once(':').unwrap();
        self.broker.can_login(user, &Secret::new(rest.split_once('@').unwrap().0))
    }
}

fn start(store: &Store, broker: &MemoryBroker, config: Config) -> Namespaces {
    let accounts = Accounts::new(store.clone(), broker.handle().users(), None);
    Namespaces::new(store.clone(), accounts, broker.handle().bus(), config)
}

#[tokio::test]
async fn a_rotation_swaps_the_users_and_the_old_password_works_until_its_promise_ends() {
    let world = World::new();
    let first = world.claim().await.unwrap();
    assert_eq!(world.namespaces.rotate_due().await.unwrap(), Rotated::default());

    world.clock.advance(HOUR);
    assert_eq!(world.namespaces.rotate_due().await.unwrap().rotated, 1);
    let second = world.claim().await.unwrap();
    assert!(second.connection_string.expose().contains("t-a-2:"));
    assert!(world.works(&first) && world.works(&second));

    world.clock.advance(HOUR);
    assert!(world.clock.now() > first.reclaim_at);
    assert_eq!(world.namespaces.rotate_due().await.unwrap().rotated, 1);
    assert!(!world.works(&first) && world.works(&second));
}

/// On one thread, as this test is, and with more surveys than are ever at work.
#[tokio::test]
async fn a_claim_waits_for_no_survey() {
    let world = World::new();
    let (release, is_held) = (Arc::new(tokio::sync::RwLock::new(())), Arc::default());
    let held = release.write().await;
    let surveys: Vec<_> = (0..10)
        .map(|_| {
            let (store, release, is_held) = (world.store.clone(), release.clone(), Arc::clone(&is_held));
            tokio::spawn(async move {
                let wait = move |_: &crate::store::Survey<'_>| {
                    tokio::sync::Notify::notify_one(&is_held);
                    drop(release.blocking_read());
                    Ok(())
                };
                store.survey(wait).await
            })
        })
        .collect();
    is_held.notified().await;
    let claimed = world.claim().await.unwrap();
    assert!(world.works(&claimed));
    assert!(surveys.iter().all(|survey| !survey.is_finished()));
    drop(held);
    for survey in surveys {
        survey.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn an_outage_delays_a_rotation_and_the_active_password_is_lent_on() {
    let world = World::new();
    let first = world.claim().await.unwrap();
    world.clock.advance(HOUR);
    world.broker.go_away();
    assert_eq!(world.namespaces.rotate_due().await.unwrap().failed, 1);
    let during = world.claim().await.unwrap();
    assert_eq!(during.connection_string, first.connection_string);

    world.broker.come_back();
    assert_eq!(world.namespaces.rotate_due().await.unwrap().rotated, 1);
    assert!(world.works(&first) && world.works(&world.claim().await.unwrap()));
}

#[tokio::test]
async fn a_loop_that_runs_hours_late_never_shortens_a_promise() {
    let world = World::new();
    world.claim().await.unwrap();
    world.clock.advance(6 * HOUR);
    let late = world.claim().await.unwrap();
    assert!(late.reclaim_at > world.clock.now(), "a claim is always told a moment in the future");

    assert_eq!(world.namespaces.rotate_due().await.unwrap().rotated, 1);
    let next = world.claim().await.unwrap();
    let refused = world.namespaces.rotate(&world.name(), &Caller::of_loop("tests"), When::Now).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::Conflict);
    assert!(world.works(&late) && world.works(&next));
}

#[tokio::test]
async fn a_rotation_makes_one_request_to_the_broker() {
    let world = World::new();
    world.claim().await.unwrap();
    for _ in 0..2 {
        world.clock.advance(2 * HOUR);
        world.broker.forget_calls();
        assert_eq!(world.namespaces.rotate_due().await.unwrap().rotated, 1);
    }
    assert_eq!(world.broker.calls(), ["PUT user t-a-1"]);
}

#[tokio::test]
async fn one_that_cannot_be_rotated_keeps_no_other_from_it() {
    let world = expiry::world_with_many_at_their_end(5).await;
    // The first failure is of all in step, the second of the one that is tried alone first.
    world.broker.fail_next(2);
    assert_eq!(world.namespaces.rotate_due().await.unwrap(), Rotated { rotated: 4, waiting: 0, failed: 1 });
    assert_eq!(world.namespaces.rotate_due().await.unwrap(), Rotated { rotated: 1, waiting: 0, failed: 0 });
}

#[tokio::test]
async fn an_operator_sees_who_still_uses_the_old_password_and_may_end_it_once_nobody_does() {
    let world = World::new();
    let first = world.claim().await.unwrap();
    let password = Secret::new(first.connection_string.expose().split([':', '@']).nth(2).unwrap());
    let vhost = VhostName::parse("/").unwrap();
    let connection = world.broker.connect("t-a-1", &password, &vhost, world.clock.now()).unwrap();
    world.clock.advance(HOUR);
    world.namespaces.rotate_due().await.unwrap();
    let caller = Caller::local("tests", "r");

    let holders = world.namespaces.holders(&world.name()).await.unwrap();
    assert_eq!(holders.iter().map(|holder| holder.account.as_str()).collect::<Vec<_>>(), ["t-a-1"]);
    assert_eq!(world.namespaces.finish(&world.name(), &caller).await.unwrap_err().kind(), Kind::Conflict);
    assert!(world.works(&first));

    world.broker.close_connection(&connection, "moved").await.unwrap();
    world.namespaces.finish(&world.name(), &caller).await.unwrap();
    assert!(!world.works(&first) && world.works(&world.claim().await.unwrap()));
}

#[tokio::test]
async fn users_keep_their_names_when_the_prefix_for_new_ones_changes() {
    let mut world = World::new();
    let first = world.claim().await.unwrap();
    world.restart(Config { username_prefix: "new-".into(), ..config() }).await;
    let again = world.claim().await.unwrap();
    assert_eq!(again.connection_string, first.connection_string);

    world.namespaces.expire(&world.name(), &Caller::of_loop("tests"), Which::Any).await.unwrap();
    assert!(!world.works(&first));
    assert!(world.claim().await.unwrap().connection_string.expose().contains("new-t-a-1:"));
}

#[tokio::test]
async fn changed_settings_reach_the_users_that_are_there_with_their_passwords() {
    let mut world = World::new();
    let first = world.claim().await.unwrap();
    let vhost = VhostName::parse("/other").unwrap();
    world.broker.add_vhost(&vhost);
    let amqp = Amqp { vhost: vhost.clone(), query: "frameMax=8192&heartbeat=30".into(), ..config().amqp };
    world.restart(Config { amqp, user_tags: vec!["lent".into()], ..config() }).await;

    let again = world.claim().await.unwrap();
    assert!(again.connection_string.expose().ends_with("/%2Fother?frameMax=8192&heartbeat=30"));
    assert!(world.works(&first) && world.works(&again));
    let permissions = world.broker.permissions().await.unwrap();
    assert!(permissions.iter().any(|permission| permission.user == "t-a-1" && permission.vhost == "/other"));
    assert_eq!(world.namespaces.apply_settings().await.unwrap(), 0);
}

#[tokio::test]
async fn a_claim_does_not_take_over_a_user_that_somebody_else_made() {
    // Tags decide nothing: the second ones are those of the users that are lent.
    for tags in [vec!["administrator".to_owned()], Vec::new()] {
        let world = World::new();
        let name = AccountName::parse("t-a-1").unwrap();
        let theirs = Secret::new("theirs");
        let login = crate::ports::broker::Login::Hash(crate::ports::broker::PasswordHash::of(&theirs));
        let wish = crate::ports::broker::UserWish { name: &name, login, tags: &tags, permissions: &[] };
        world.broker.put_user(&wish).await.unwrap();

        let refused = world.claim().await.unwrap_err();
        assert_eq!(refused.kind(), Kind::Conflict, "to ask again does not help");
        assert!(refused.message().contains("a user `t-a-1` that is not ours"), "{refused:?}");
        assert!(world.broker.can_login("t-a-1", &theirs) && world.namespaces.count().unwrap() == 0);
        world.broker.delete_user(&name).await.unwrap();
        world.claim().await.unwrap();
    }
}

#[tokio::test]
async fn a_claim_goes_on_with_the_users_of_a_history_that_was_lost() {
    let mut world = World::new();
    let lost = world.claim().await.unwrap();
    world.store = Store::memory(world.clock.clone()).unwrap();
    world.restart(config()).await;
    let claimed = world.claim().await.unwrap();
    assert!(world.works(&claimed) && !world.works(&lost));
}

#[tokio::test]
async fn two_namespaces_never_share_a_user() {
    let mut world = World::new();
    let first = world.claim().await.unwrap();
    let longer = Config { username_prefix: "t-".into(), namespace_prefix: String::new(), ..config() };
    world.restart(longer).await;
    let (caller, name) = (Caller::local("tests", "r"), NamespaceName::parse("a").unwrap());
    let refused = world.namespaces.claim(&caller, &name, Claim::default()).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::Conflict);
    assert!(refused.message().contains("belongs to the namespace `t-a`"), "{}", refused.message());
    assert!(world.works(&first));
}

#[tokio::test]
async fn a_page_for_operators_shows_what_each_namespace_shows_alone() {
    let world = World::new();
    let caller = Caller::local("tests", "r");
    let names: Vec<NamespaceName> =
        ["t-a", "t-b", "t-c"].iter().map(|name| world.namespaces.parse(name).unwrap()).collect();
    for name in &names {
        let claim =
            Claim { expires: Some(Timestamp::MAX), contact: Some(format!("{name}@example.com")), ..Claim::default() };
        world.namespaces.claim(&caller, name, claim).await.unwrap();
    }
    let page = world.namespaces.details(None, 2).await.unwrap();
    for (shown, name) in page.namespaces.iter().zip(&names) {
        assert_eq!(format!("{shown:?}"), format!("{:?}", world.namespaces.detail(name).unwrap()));
    }
    assert_eq!((page.namespaces.len(), page.next.as_ref()), (2, Some(&names[2])));
    let page = world.namespaces.details(page.next, 2).await.unwrap();
    assert_eq!((page.namespaces.len(), page.next), (1, None));
}

#[tokio::test]
async fn a_lend_is_one_line_of_the_log_without_its_secret() {
    let world = World::new();
    let claim = async || {
        let log = tempfile::NamedTempFile::new().unwrap();
        let lines = tracing_subscriber::fmt().with_ansi(false).with_writer(Arc::new(log.reopen().unwrap())).finish();
        let guard = tracing::subscriber::set_default(lines);
        let claimed = world.claim().await.unwrap();
        drop(guard);
        (claimed, std::fs::read_to_string(log.path()).unwrap())
    };
    let (mut claimed, mut said) = claim().await;
    // Another test, which listens to nothing, may have met the place of this line first: then tracing skips it for everybody
    // until somebody listens anew.
    for _ in 0..10 {
        if said.is_empty() {
            (claimed, said) = claim().await;
        }
    }
    let lends: Vec<&str> = said.lines().filter(|line| line.contains("lent namespace `t-a` to local tests")).collect();
    assert!(matches!(lends[..], [line] if line.contains(" INFO ") && line.contains("request_id=\"r\"")), "{said}");
    let password = claimed.connection_string.expose().split([':', '@']).nth(2).unwrap();
    assert!(!said.contains(password), "{said}");
}
