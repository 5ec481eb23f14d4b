//! A proxy as a worker starts it: the program under the name of its ancestor, or the ancestor itself.

use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::upstream::SMALL;
use crate::wire::Connection;

/// Between two attempts to get a first answer.
const POLL_PAUSE: Duration = Duration::from_micros(200);
/// Also below valgrind on a busy machine.
const START_TIMEOUT: Duration = Duration::from_secs(60);
const NAME: &str = "taskcluster-proxy";
/// What a worker gives: temporary credentials, and the scopes of a task.
pub const CERTIFICATE: &str = r#"{"version":1,"scopes":["queue:create-artifact:*","index:*","secrets:get:*"],"start":1795219200000,"expiry":4102444800000,"seed":"abcdefghijklmnopqrstuvABCDEFGHIJKLMNOPQRSTUV","signature":"c2lnbmF0dXJlIG9mIGEgYmVuY2ggdGhhdCBub2JvZHk=","issuer":"bench/worker"}"#;
pub const SCOPES: [&str; 3] = ["queue:create-artifact:bench/0", "index:insert-task:bench.*", "secrets:get:bench"];

/// Where a program is that can be started as a proxy.
pub struct Installed {
    path: PathBuf,
    dir: TempDir,
}

/// A running one. It is killed when this is dropped.
pub struct Program {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Installed {
    /// The program under its other name.
    pub fn new(program: &Path) -> Self {
        let dir = tempfile::tempdir_in(Path::new(env!("CARGO_TARGET_TMPDIR"))).unwrap();
        let path = dir.path().join(NAME);
        symlink(std::fs::canonicalize(program).unwrap(), &path).unwrap();
        Self { path, dir }
    }

    /// Starts it before this upstream and waits for its first answer from there; says how long that took.
    pub fn start(&self, upstream: SocketAddr) -> (Program, Duration) {
        self.start_as(Command::new(&self.path), upstream)
    }

    /// Starts it so that its instructions are counted in a file, when it ends.
    pub fn start_counted(&self, upstream: SocketAddr, out: &Path) -> Program {
        let mut command = Command::new("valgrind");
        command.args(["--quiet", "--tool=callgrind"]).arg(format!("--callgrind-out-file={}", out.display()));
        command.arg(&self.path);
        self.start_as(command, upstream).0
    }

    fn start_as(&self, mut command: Command, upstream: SocketAddr) -> (Program, Duration) {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let log = self.dir.path().join("log");
        command
            .args(["--ip-address", "127.0.0.1", "--port", &address.port().to_string()])
            .args(SCOPES)
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("TASKCLUSTER_ROOT_URL", format!("http://{upstream}"))
            .env("TASKCLUSTER_CLIENT_ID", "bench/task")
            .env("TASKCLUSTER_ACCESS_TOKEN", "a-temporary-token-of-a-bench-for-a-task-0000")
            .env("TASKCLUSTER_CERTIFICATE", CERTIFICATE)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log).unwrap());
        let begun = Instant::now();
        let mut program = Program { child: command.spawn().unwrap(), address };
        while Connection::open(address, SMALL).is_err() {
            let ended = program.child.try_wait().unwrap();
            assert!(ended.is_none(), "the proxy ended: {}", std::fs::read_to_string(log).unwrap());
            assert!(begun.elapsed() < START_TIMEOUT, "the proxy does not answer");
            std::thread::sleep(POLL_PAUSE);
        }
        (program, begun.elapsed())
    }

    /// How long it takes to say its version: what any start of it costs.
    pub fn version(&self) -> Duration {
        let begun = Instant::now();
        let mut command = Command::new(&self.path);
        assert!(command.arg("--short-version").stdout(Stdio::null()).status().unwrap().success());
        begun.elapsed()
    }
}

impl Program {
    /// The process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends it like a worker and waits until it is gone.
    pub fn stop(mut self) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // An error says that it ended by itself.
        let _ = self.child.kill();
        self.child.wait().unwrap();
    }
}
