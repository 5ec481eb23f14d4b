//! A profile of 2,000 accounts on a real RabbitMQ node: applied from nothing, beside as many bare broker calls, and compared
//! with the broker when nothing is left to do.
//!
//! A number as its argument takes fewer: `cargo bench --bench relay -- 200`.

mod common;
#[expect(dead_code, reason = "nothing goes over AMQP")]
#[path = "common/node.rs"]
mod node;

use std::cell::Cell;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use common::{Row, Target, alternate, memory_mb, reset_peak};
use futures_util::StreamExt;
use keylender::app::Appliance;
use keylender::app::settings::{RelaySettings, Settings};
use keylender::base::{AccountName, Clock, Secret, VhostName};
use keylender::domain::auth::Caller;
use keylender::domain::relay::End;
use keylender::ports::broker::{Access, Login, ManagementBroker, PasswordHash, UserWish, Users};
use keylender::proto::relay_profile::Profile;
use node::Node;
use tempfile::TempDir;
use tokio::runtime::Runtime;

const COUNT: u32 = 2000;
/// Bare calls at once: the broker gains nothing beyond (rabbitmq.md 3).
const WORKERS: usize = 8;
const APPLIES: usize = 3;
const DRIFTS: usize = 5;
const VHOST: &str = "relay";

fn main() {
    let count = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(COUNT);
    let (runtime, node) = (Runtime::new().unwrap(), Node::start("relay"));
    let broker = Arc::new(node.broker());
    // First, while the broker has no other users.
    let bench = Bench::start(&broker, "first", count);
    bench.apply(&runtime);
    drift(&runtime, &bench, &broker);
    let round = Cell::new(0);
    let apply = || {
        round.set(round.get() + 1);
        // The users of the round before stay: the broker has as many for both.
        Bench::start(&broker, &format!("ours{}", round.get()), count).apply(&runtime)
    };
    let put = || {
        let begun = Instant::now();
        runtime.block_on(async {
            let puts = (0..count).map(|number| {
                let broker = broker.clone();
                tokio::spawn(put_user(broker, account(&format!("bare{}", round.get()), number), number))
            });
            futures_util::stream::iter(puts).buffer_unordered(WORKERS).for_each(async |put| put.unwrap()).await;
        });
        begun.elapsed().as_secs_f64()
    };
    let (ours, reference) = alternate(APPLIES, apply, put);
    Row {
        what: &format!("apply of a profile with {count} accounts"),
        unit: "s",
        ours,
        reference,
        reference_is: "as many users and permissions put bare, 8 at once",
        target: Target::RatioMax(1.1),
    }
    .print();
}

/// A comparison that finds nothing, beside the bare lists that it is made of, and the memory that it takes.
fn drift(runtime: &Runtime, bench: &Bench, broker: &Arc<ManagementBroker>) {
    let look = || {
        let begun = Instant::now();
        assert_eq!(runtime.block_on(bench.appliance.relay.drifts()).unwrap(), Vec::new());
        begun.elapsed().as_secs_f64()
    };
    let lists = || {
        let begun = Instant::now();
        runtime.block_on(async {
            broker.users().await.unwrap();
            broker.permissions().await.unwrap();
            broker.topic_permissions().await.unwrap();
            broker.limits().await.unwrap();
        });
        begun.elapsed().as_secs_f64()
    };
    let (ours, reference) = alternate(DRIFTS, look, lists);
    let (what, unit) = ("comparison of it with the broker", "s");
    Row { what, unit, ours, reference, reference_is: "the bare lists", target: Target::Below(1.0) }.print();
    reset_peak();
    let before = memory_mb("VmRSS:");
    look();
    let ours = memory_mb("VmHWM:") - before;
    let (what, unit) = ("memory of a comparison", "MB");
    Row { what, unit, ours, reference: before, reference_is: "of this process before", target: Target::Below(40.0) }
        .print();
}

/// An appliance with a profile that nobody applied yet.
struct Bench {
    appliance: Appliance,
    _dir: TempDir,
}

impl Bench {
    fn start(broker: &Arc<ManagementBroker>, name: &str, count: u32) -> Self {
        let dir = tempfile::tempdir_in(Path::new(env!("CARGO_TARGET_TMPDIR"))).unwrap();
        let mut settings = Settings::for_tests(dir.path());
        let profile = Profile::parse(&profile(name, count)).unwrap();
        settings.relay = Some(RelaySettings { profile, from: "a bench".into() });
        let appliance = Appliance::build(&settings, Clock::system(), Some(broker.clone())).unwrap();
        Self { appliance, _dir: dir }
    }

    fn apply(&self, runtime: &Runtime) -> f64 {
        let begun = Instant::now();
        let outcomes = runtime.block_on(self.appliance.relay.apply(&Caller::local("bench", "bench"))).unwrap();
        assert!(outcomes.iter().all(|outcome| outcome.end == End::Done), "{outcomes:?}");
        begun.elapsed().as_secs_f64()
    }
}

fn profile(name: &str, count: u32) -> String {
    let accounts = (0..count).map(|number| {
        let (account, Access { configure, write, read }) = (account(name, number), access(number));
        format!(
            "[[account]]\nname = '{account}'\n[[account.grant]]\nvhost = '{VHOST}'\nconfigure = '{configure}'\n\
             write = '{write}'\nread = '{read}'\n"
        )
    });
    format!("name = '{name}'\n[[vhost]]\nname = '{VHOST}'\n{}", accounts.collect::<String>())
}

fn account(name: &str, number: u32) -> AccountName {
    AccountName::parse(&format!("{name}.{number}")).unwrap()
}

fn access(number: u32) -> Access {
    let own = format!(r"^agent\.{number}$");
    Access { configure: own.clone(), write: format!(r"^(toschedulers|agent\.{number})$"), read: own }
}

async fn put_user(broker: Arc<ManagementBroker>, name: AccountName, number: u32) {
    let permissions = [(VhostName::parse(VHOST).unwrap(), access(number))];
    let login = Login::Hash(PasswordHash::of(&Secret::generate()));
    broker.put_user(&UserWish { name: &name, login, tags: &[], permissions: &permissions }).await.unwrap();
}
