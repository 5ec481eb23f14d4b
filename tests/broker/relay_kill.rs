//! The built program is killed at each request that a rotation makes to a real broker, before the broker has it and after it.
//! Whenever that is: nobody is locked out, and one pass later the file of a program is what the broker accepts.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use keylender::app::operate::Operator;
use keylender::app::settings::Settings;
use keylender::base::{Secret, VhostName};
use lapin::{Connection, ConnectionProperties};

use crate::node::node;
use crate::real::{LOGIN_DEADLINE, eventually};
use crate::served::Program;
use crate::servers::{Fate, Gate, LOST};

/// More requests than a rotation makes.
const STEPS_MAX: usize = 40;

fn profile(name: &str) -> String {
    format!(
        "name = '{name}'
[[vhost]]
name = '{name}'
[[account]]
name = '{name}.place'
grant = [{{ vhost = '{name}', configure = '', write = '', read = '' }}]
[[account]]
name = '{name}.turn'
rotate-every = '2 hours'
rotate-by = 'in-turn'
grant = [{{ vhost = '{name}', configure = '', write = '', read = '' }}]
[[part]]
name = 'file'
kind = 'mig-worker'
age = '2016-09'
account = '{name}.place'
path = '/etc/mig/worker.cfg'
settings.mq = {{ host = 'localhost', port = 5672 }}
"
    )
}

struct World {
    name: String,
    gate: Gate,
    program: Program,
}

/// A user with a password.
type Login = (String, Secret);

impl World {
    async fn new(name: &str) -> Self {
        let gate = Gate::start().await;
        let program = Program::new(&[
            ("RABBIT_BASE_URL", format!("http://{}/api", gate.address)),
            ("RABBIT_USERNAME", node().username.clone()),
            ("RABBIT_PASSWORD", node().password.expose().to_owned()),
            ("TASKCLUSTER_AMQP_PROTOCOL", "amqp://".to_owned()),
            ("TASKCLUSTER_AMQP_HOSTNAME", "localhost".to_owned()),
            ("TASKCLUSTER_AMQP_PORT", node().amqp_port.to_string()),
            ("RELAY_PROFILE", "@DIR@/relay.toml".to_owned()),
        ]);
        std::fs::write(program.dir.path().join("relay.toml"), profile(name)).unwrap();
        Self { name: name.to_owned(), gate, program }
    }

    /// What the appliance lends.
    async fn fetch(&self, account: &str) -> Login {
        let operator = Operator::connect(&Settings::for_tests(&self.program.dir.path().join("data"))).unwrap();
        let lent = operator.call("GET", &format!("/relay/accounts/{account}/credentials"), None).await.unwrap();
        let text = |member: &str| lent[member].as_str().unwrap().to_owned();
        (text("username"), Secret::new(text("password")))
    }

    /// What stands in the file that is written for the program of the account in place.
    async fn file(&self) -> Login {
        let dir = self.program.dir.path().display();
        self.program.well(&format!("relay render file --to {dir}")).await;
        let text = std::fs::read_to_string(self.program.dir.path().join("worker.cfg")).unwrap();
        let value = |key: &str| {
            let lines = text.lines().filter_map(|line| line.trim().strip_prefix(key)?.trim().strip_prefix('='));
            lines
                .map(|value| value.trim().trim_matches('"').to_owned())
                .next()
                .unwrap_or_else(|| panic!("{key}: {text}"))
        };
        (value("user"), Secret::new(value("pass")))
    }

    async fn works(&self, (user, password): &Login) -> bool {
        let vhost = VhostName::parse(&self.name).unwrap();
        node().door(&vhost).verify_login(user, password, LOGIN_DEADLINE).await.unwrap()
    }

    async fn connect(&self, (user, password): &Login) -> Connection {
        let (port, vhost) = (node().amqp_port, &self.name);
        let way = format!("amqp://{user}:{}@127.0.0.1:{port}/{vhost}", password.expose());
        Connection::connect(&way, ConnectionProperties::default()).await.unwrap()
    }

    /// Rotates an account, and kills the program when its request of this number is on its way, or was answered by the broker
    /// and nobody heard. False when it made fewer.
    async fn killed_in_rotation(&self, account: &str, number: usize, fate: &Fate) -> bool {
        let mut serve = self.program.serve("unlimited").await;
        let (count, own, fate_of) = (Arc::new(AtomicUsize::new(0)), self.name.clone(), fate.clone());
        self.gate.requests();
        let counted = Arc::clone(&count);
        // Loops ask for other lists meanwhile.
        self.gate.decide(move |line| {
            if !line.contains(&own) && !line.contains("connections") {
                return Fate::Passes;
            }
            match counted.fetch_add(1, Ordering::SeqCst) {
                before if before < number => Fate::Passes,
                before if before == number => fate_of.clone(),
                _ => Fate::Hangs,
            }
        });
        let command = format!("relay rotate {account} --close-connections --reason r");
        let is_killed = tokio::select! {
            (code, said) = self.program.keylender(&command) => {
                assert_eq!(code, 0, "{said}");
                false
            }
            () = self.is_reached(&count, number, fate) => true,
        };
        serve.kill().await.unwrap();
        self.gate.decide(|_| Fate::Passes);
        is_killed
    }

    async fn is_reached(&self, count: &AtomicUsize, number: usize, fate: &Fate) {
        let mut seen = Vec::new();
        eventually(async || {
            seen.extend(self.gate.requests());
            let is_lost = || seen.iter().any(|line| line.starts_with(LOST));
            let is_there = count.load(Ordering::SeqCst) > number;
            (is_there && (!matches!(fate, Fate::Unanswered) || is_lost())).then_some(())
        })
        .await;
    }
}

async fn killed_everywhere(name: &str, turn: &str, fate: Fate) {
    let world = World::new(name).await;
    let account = format!("{name}.{turn}");
    let mut serve = world.program.serve("unlimited").await;
    world.program.well("relay apply --reason r").await;
    for number in 0..STEPS_MAX {
        let before = world.fetch(&account).await;
        // There is somebody to be cut off.
        let connection = world.connect(&before).await;
        serve.kill().await.unwrap();
        let is_killed = world.killed_in_rotation(&account, number, &fate).await;
        let context = format!("{turn}: {fate:?} request {number}");
        if turn == "turn" {
            assert!(world.works(&before).await, "{context}: it was promised");
        }
        drop(connection);
        serve = world.program.serve("unlimited").await;
        let after = world.fetch(&account).await;
        assert!(world.works(&after).await, "{context}: what is lent works, whatever was left undone");
        for each in ["rotate", "reconcile"] {
            world.program.well(&format!("loop run {each}")).await;
        }
        if turn == "place" {
            let file = world.file().await;
            assert!(world.works(&file).await && file == world.fetch(&account).await, "{context}: the file is true");
        } else {
            // The other password is promised: without this the account could not be rotated once more.
            world.program.well(&format!("lease revoke --kind relay --name {account} --reason r --yes")).await;
        }
        if !is_killed {
            assert!(number >= 2, "{context}: it was killed while it mattered");
            return;
        }
    }
    panic!("it never ends");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_in_place_is_killed_before_any_request() {
    killed_everywhere("kill-place", "place", Fate::Hangs).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_in_place_is_killed_after_any_request() {
    killed_everywhere("kill-place-after", "place", Fate::Unanswered).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_in_turn_is_killed_before_any_request() {
    killed_everywhere("kill-turn", "turn", Fate::Hangs).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_in_turn_is_killed_after_any_request() {
    killed_everywhere("kill-turn-after", "turn", Fate::Unanswered).await;
}
