//! Stories about rotation, on the memory broker and with a clock moved by hand.

use std::sync::Arc;

use super::*;
use crate::base::audit::Actor;
use crate::base::{Clock, Kind, VhostName};
use crate::domain::auth::Caller;
use crate::ports::broker::{Broker, MemoryBroker};

const HOUR: Duration = Duration::from_secs(3600);

/// An appliance's namespaces on a broker that can be broken.
struct World {
    clock: Clock,
    broker: MemoryBroker,
    namespaces: Namespaces,
}

impl World {
    fn new() -> Self {
        let clock = Clock::manual(Timestamp::from_millis(1_539_604_800_000));
        let store = Store::memory(clock.clone()).unwrap();
        let broker = MemoryBroker::default();
        let accounts = Accounts::new(store.clone(), Some(Arc::new(broker.clone()) as Arc<dyn Broker>), None);
        let amqp =
            Amqp { protocol: "amqp://".into(), hostname: "h".into(), port: 1, vhost: VhostName::parse("/").unwrap() };
        let rules = Rules {
            namespace_prefix: "t-".into(),
            username_prefix: String::new(),
            user_tags: Vec::new(),
            access: Access { configure: "^{{namespace}}".into(), write: String::new(), read: String::new() },
            rotation_interval: Span::from_millis(3_600_000),
            amqp,
        };
        Self { clock, broker, namespaces: Namespaces::new(store, accounts, rules) }
    }

    fn name(&self) -> NamespaceName {
        self.namespaces.parse("t-a").unwrap()
    }

    async fn claim(&self) -> Result<Claimed> {
        let claim = Claim { expires: Some(Timestamp::MAX), contact: None };
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
    let refused = world.namespaces.rotate(&world.name(), Actor::Appliance, When::Now).await.unwrap_err();
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
