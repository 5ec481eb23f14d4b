//! A private RabbitMQ node for this process; the script that runs it watches us.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use keylender::base::Secret;
use keylender::ports::amqp::AmqpDoor;
use keylender::ports::broker::{ManagementBroker, ManagementSettings};
use keylender::ports::resolve::Resolver;
use keylender::ports::tls::Tls;
use rustix::process::{Pid, Signal, kill_process};

/// Longer than the script itself waits, so that its own message is what we see.
const START_TIMEOUT: Duration = Duration::from_secs(300);

/// A running node and where its management API is.
pub struct Node {
    script: Child,
    pub settings: ManagementSettings,
    pub amqp_port: u16,
}

impl Node {
    /// Starts one. Each name may be used once per process.
    pub fn start(name: &str) -> Self {
        let pid = std::process::id().to_string();
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("rabbitmq-{name}-{pid}"));
        let mut script = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/rabbitmq-node"))
            .args(["run", "--ephemeral", "--parent", &pid])
            .arg(&dir)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let begun = Instant::now();
        let env = loop {
            if let Ok(env) = std::fs::read_to_string(dir.join("node.env")) {
                break env;
            }
            assert!(script.try_wait().unwrap().is_none(), "the node did not start; see above");
            assert!(begun.elapsed() < START_TIMEOUT, "the node took too long to start");
            std::thread::sleep(Duration::from_millis(50));
        };
        let value =
            |key: &str| env.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('=')).unwrap().to_owned();
        let settings = ManagementSettings {
            url: format!("http://127.0.0.1:{}/api", value("MANAGEMENT_PORT")).parse().unwrap(),
            username: value("USERNAME"),
            password: Secret::new(value("PASSWORD")),
            tls: Tls::default(),
        };
        Self { script, settings, amqp_port: value("AMQP_PORT").parse().unwrap() }
    }

    /// Where users log in over AMQP.
    pub fn door(&self) -> AmqpDoor {
        let url = format!("amqp://127.0.0.1:{}", self.amqp_port).parse().unwrap();
        AmqpDoor::new(&url, Tls::default(), Resolver::system().unwrap()).unwrap()
    }

    /// A client of its own as the administrator.
    pub fn broker(&self) -> ManagementBroker {
        ManagementBroker::new(&self.settings, Resolver::system().unwrap()).unwrap()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // An error says that it ended by itself.
        let _ = kill_process(Pid::from_child(&self.script), Signal::TERM);
        drop(self.script.wait());
    }
}
