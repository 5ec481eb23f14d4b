//! Stories about rotation, on the memory broker and with a clock moved by hand.

use std::sync::Arc;

use futures_util::FutureExt;

use super::*;
use crate::base::{Clock, Kind, VhostName};
use crate::domain::auth::Caller;
use crate::ports::broker::{Broker, Exchange, MemoryBroker, Queue};

const HOUR: Duration = Duration::from_secs(3600);

/// An appliance's namespaces on a broker that can be broken.
pub(super) struct World {
    clock: Clock,
    store: Store,
    broker: MemoryBroker,
    pub(super) namespaces: Namespaces,
}

fn rules() -> Rules {
    let vhost = VhostName::parse("/").unwrap();
    Rules {
        namespace_prefix: "t-".into(),
        username_prefix: String::new(),
        user_tags: Vec::new(),
        access: Access { configure: "^{{namespace}}".into(), write: String::new(), read: String::new() },
        rotation_interval: Span::from_millis(3_600_000),
        expiration_delay: HOUR,
        queue_prefix: "queue/".into(),
        exchange_prefix: "exchange/".into(),
        amqp: Amqp { protocol: "amqp://".into(), hostname: "h".into(), port: 1, vhost },
    }
}

impl World {
    pub(super) fn new() -> Self {
        let clock = Clock::manual(Timestamp::from_millis(1_539_604_800_000));
        let store = Store::memory(clock.clone()).unwrap();
        let broker = MemoryBroker::default();
        let namespaces = start(&store, &broker, rules());
        Self { clock, store, broker, namespaces }
    }

    /// The appliance starts again with other settings.
    async fn restart(&mut self, rules: Rules) {
        self.namespaces = start(&self.store, &self.broker, rules);
        self.namespaces.adopt_rules().await.unwrap();
    }

    pub(super) fn name(&self) -> NamespaceName {
        self.namespaces.parse("t-a").unwrap()
    }

    pub(super) async fn claim(&self) -> Result<Claimed> {
        self.claim_until(Timestamp::MAX).await
    }

    async fn claim_until(&self, expires: Timestamp) -> Result<Claimed> {
        let claim = Claim { expires: Some(expires), contact: None };
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

fn start(store: &Store, broker: &MemoryBroker, rules: Rules) -> Namespaces {
    let accounts = Accounts::new(store.clone(), Some(Arc::new(broker.clone()) as Arc<dyn Broker>), None);
    Namespaces::new(store.clone(), accounts, rules)
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

fn queue(name: &str) -> Queue {
    Queue { name: name.into(), messages: Some(1), ..Queue::default() }
}

fn exchange(name: &str) -> Exchange {
    Exchange { name: name.into(), ..Exchange::default() }
}

/// A world with a claimed namespace that has queues and exchanges, next to those of others; its time is over.
async fn world_at_its_end() -> World {
    let world = World::new();
    world.claim_until(world.clock.now()).await.unwrap();
    let vhost = VhostName::parse("/").unwrap();
    for name in ["queue/t-a/x", "queue/t-a/y", "queue/t-ab/x", "queue/t-a", "other"] {
        world.broker.put_queue(&vhost, queue(name));
    }
    for name in ["exchange/t-a/x", "exchange/t-ab/x", "other"] {
        world.broker.put_exchange(&vhost, exchange(name));
    }
    world.clock.advance(2 * HOUR);
    world
}

async fn left(world: &World) -> (Vec<String>, Vec<String>, usize) {
    let vhost = VhostName::parse("/").unwrap();
    let mut queues: Vec<_> = world.broker.queues(&vhost).await.unwrap().into_iter().map(|queue| queue.name).collect();
    let exchanges = world.broker.exchanges(&vhost).await.unwrap();
    let mut exchanges: Vec<_> = exchanges.into_iter().map(|exchange| exchange.name).collect();
    queues.sort();
    exchanges.sort();
    exchanges.retain(|name| name.starts_with("exchange/") || name == "other");
    (queues, exchanges, world.broker.users().await.unwrap().len())
}

#[tokio::test]
async fn expiry_removes_users_queues_and_exchanges_of_the_namespace_and_nothing_else() {
    let world = world_at_its_end().await;

    assert_eq!(world.namespaces.expire_over().await.unwrap(), Expired { removed: 1, failed: 0 });

    let (queues, exchanges, users) = left(&world).await;
    assert_eq!(queues, ["other", "queue/t-a", "queue/t-ab/x"]);
    assert_eq!(exchanges, ["exchange/t-ab/x", "other"]);
    assert_eq!(users, 1, "the administrator");
    assert_eq!(world.namespaces.count().unwrap(), 0);
    assert_eq!(world.namespaces.expire_over().await.unwrap(), Expired::default());
}

#[tokio::test]
async fn a_promise_holds_expiry_back() {
    let world = World::new();
    let claimed = world.claim_until(world.clock.now().plus(Duration::from_secs(60))).await.unwrap();
    world.clock.set(claimed.reclaim_at.minus(Duration::from_secs(1)));
    assert_eq!(world.namespaces.expire_over().await.unwrap(), Expired::default());
    assert!(world.works(&claimed));
    world.clock.set(claimed.reclaim_at);
    assert_eq!(world.namespaces.expire_over().await.unwrap().removed, 1);
}

#[tokio::test]
async fn expiry_that_is_broken_off_anywhere_is_finished_by_the_next_pass() {
    for calls_before_outage in 0..8 {
        let world = world_at_its_end().await;
        world.broker.fail_after(calls_before_outage);
        let first = world.namespaces.expire_over().await.unwrap();
        world.broker.come_back();
        if first.failed == 1 {
            let claim = world.claim().await.unwrap_err();
            assert_eq!(claim.kind(), Kind::Busy, "a claim is told to come again");
        }
        world.namespaces.expire_over().await.unwrap();
        let (queues, exchanges, users) = left(&world).await;
        assert_eq!((queues.len(), exchanges.len(), users), (3, 2, 1), "after {calls_before_outage} calls");
        assert!(world.works(&world.claim().await.unwrap()), "and it can be claimed anew");
    }
}

#[tokio::test]
async fn a_claim_that_comes_first_saves_the_namespace() {
    let world = world_at_its_end().await;
    let saved = world.claim().await.unwrap();
    assert_eq!(world.namespaces.expire_over().await.unwrap(), Expired::default());
    assert!(world.works(&saved));
}

#[tokio::test]
async fn users_keep_their_names_when_the_prefix_for_new_ones_changes() {
    let mut world = World::new();
    let first = world.claim().await.unwrap();
    world.restart(Rules { username_prefix: "new-".into(), ..rules() }).await;
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
    let amqp = Amqp { vhost: vhost.clone(), ..rules().amqp };
    world.restart(Rules { amqp, user_tags: vec!["lent".into()], ..rules() }).await;

    let again = world.claim().await.unwrap();
    assert!(again.connection_string.expose().ends_with("/%2Fother"));
    assert!(world.works(&first) && world.works(&again));
    let permissions = world.broker.permissions().await.unwrap();
    assert!(permissions.iter().any(|permission| permission.user == "t-a-1" && permission.vhost == "/other"));
    assert_eq!(world.namespaces.adopt_rules().await.unwrap(), 0);
}

#[tokio::test]
async fn a_claim_does_not_take_over_a_user_that_somebody_else_made() {
    let world = World::new();
    let name = AccountName::parse("t-a-1").unwrap();
    let theirs = Secret::new("theirs");
    let login = crate::ports::broker::Login::Hash(crate::ports::broker::PasswordHash::of(&theirs));
    let tags = ["administrator".to_owned()];
    let wish = crate::ports::broker::UserWish { name: &name, login, tags: &tags, permissions: &[] };
    world.broker.put_user(&wish).await.unwrap();

    assert_eq!(world.claim().await.unwrap_err().kind(), Kind::Unavailable);
    assert!(world.broker.can_login("t-a-1", &theirs));
}

#[tokio::test]
async fn a_late_removal_spares_the_things_of_the_next_owner() {
    let world = world_at_its_end().await;
    let caller = Caller::of_loop("tests");
    let late = world.namespaces.end(&world.name(), &caller, Which::Over).await.unwrap().unwrap();
    world.namespaces.expire_over().await.unwrap();
    world.clock.advance(Duration::from_secs(1));
    world.claim().await.unwrap();
    world.broker.put_queue(&VhostName::parse("/").unwrap(), queue("queue/t-a/new"));

    world.namespaces.clear(&late, &world.namespaces.things().await.unwrap(), &caller).await.unwrap();

    assert!(left(&world).await.0.contains(&"queue/t-a/new".to_owned()));
    assert_eq!(world.namespaces.count().unwrap(), 1);
}

/// A world with so many namespaces, `t-0` and so on, each with a queue and an exchange; their time is over.
async fn world_with_many_at_their_end(count: usize) -> World {
    let (world, vhost) = (World::new(), VhostName::parse("/").unwrap());
    for number in 0..count {
        let name = NamespaceName::parse(&format!("t-{number}")).unwrap();
        let claim = Claim { expires: Some(world.clock.now()), contact: None };
        world.namespaces.claim(&Caller::local("tests", "r"), &name, claim).await.unwrap();
        world.broker.put_queue(&vhost, queue(&format!("queue/{name}/x")));
        world.broker.put_exchange(&vhost, exchange(&format!("exchange/{name}/x")));
    }
    world.clock.advance(2 * HOUR);
    world
}

#[tokio::test]
async fn a_removal_of_many_that_was_released_and_broken_off_is_finished_without_the_brake() {
    let world = world_with_many_at_their_end(30).await;
    let brake = world.namespaces.expiry_brake().unwrap();
    assert_eq!(brake.as_deref(), Some("it would remove 30 of 30 namespaces: is the clock right?"));
    world.broker.go_away();
    assert_eq!(world.namespaces.expire_over().await.unwrap(), Expired { removed: 0, failed: 30 });
    world.broker.come_back();
    assert_eq!(world.namespaces.expiry_brake().unwrap(), None);
    assert_eq!(world.namespaces.expire_over().await.unwrap(), Expired { removed: 30, failed: 0 });
}

#[tokio::test]
async fn many_are_removed_side_by_side_and_each_claim_meanwhile_wins_or_loses() {
    let count = 2 * WORKERS;
    let world = world_with_many_at_their_end(count).await;
    let caller = Caller::local("tests", "r");
    let names: Vec<_> = (0..count).map(|number| NamespaceName::parse(&format!("t-{number}")).unwrap()).collect();
    let claims = names.iter().map(|name| world.namespaces.claim(&caller, name, Claim::default()));

    let (expired, claims) = tokio::join!(world.namespaces.expire_over(), futures_util::future::join_all(claims));

    assert_eq!(expired.unwrap().failed, 0);
    let mut won = Vec::new();
    for claim in claims {
        match claim {
            Ok(claimed) => won.push(claimed.into_inner()),
            Err(error) => assert_eq!(error.kind(), Kind::Busy),
        }
    }
    assert!(won.iter().all(|claimed| world.works(claimed)));
    assert_eq!(world.namespaces.count().unwrap(), won.len() as u64);
    assert_eq!(left(&world).await.2, 1 + 2 * won.len());
}

#[tokio::test]
async fn of_many_that_are_removed_each_loses_its_own_things() {
    let world = world_with_many_at_their_end(2 * WORKERS).await;
    let saved = NamespaceName::parse("t-1").unwrap();
    world.namespaces.claim(&Caller::local("tests", "r"), &saved, Claim::default()).await.unwrap();

    let expired = world.namespaces.expire_over().await.unwrap();

    assert_eq!(expired, Expired { removed: 2 * WORKERS - 1, failed: 0 });
    assert_eq!(left(&world).await, (vec!["queue/t-1/x".into()], vec!["exchange/t-1/x".into()], 3));
}

#[tokio::test]
async fn two_that_clear_the_same_namespace_take_turns() {
    let world = world_at_its_end().await;
    let (caller, before) = (Caller::of_loop("tests"), left(&world).await);
    let ended = world.namespaces.end(&world.name(), &caller, Which::Over).await.unwrap().unwrap();
    let things = world.namespaces.things().await.unwrap();
    let turn = world.namespaces.clearing.take(&[world.name()]).await;
    assert!(world.namespaces.clear(&ended, &things, &caller).now_or_never().is_none());
    assert_eq!(left(&world).await.0, before.0, "nothing is deleted out of turn");
    drop(turn);
    world.namespaces.clear(&ended, &things, &caller).await.unwrap();
    assert_eq!(world.namespaces.count().unwrap(), 0);
}

#[tokio::test]
async fn a_page_for_operators_shows_what_each_namespace_shows_alone() {
    let world = World::new();
    let caller = Caller::local("tests", "r");
    let names: Vec<NamespaceName> =
        ["t-a", "t-b", "t-c"].iter().map(|name| world.namespaces.parse(name).unwrap()).collect();
    for name in &names {
        let claim = Claim { expires: Some(Timestamp::MAX), contact: Some(format!("{name}@example.com")) };
        world.namespaces.claim(&caller, name, claim).await.unwrap();
    }
    let page = world.namespaces.details(None, 2).unwrap();
    for (shown, name) in page.namespaces.iter().zip(&names) {
        assert_eq!(format!("{shown:?}"), format!("{:?}", world.namespaces.detail(name).unwrap()));
    }
    assert_eq!((page.namespaces.len(), page.next.as_ref()), (2, Some(&names[2])));
    let page = world.namespaces.details(page.next.as_ref(), 2).unwrap();
    assert_eq!((page.namespaces.len(), page.next), (1, None));
}
