//! An appliance with a session for the same task: every call is in its store before it is answered.

use std::fs::File;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::program::{CERTIFICATE, SCOPES};

const START_TIMEOUT: Duration = Duration::from_secs(60);
const POLL_PAUSE: Duration = Duration::from_millis(20);

/// A running one. It is killed when this is dropped.
pub struct Appliance {
    child: Child,
    /// Where its session listens.
    pub address: SocketAddr,
    _dir: TempDir,
}

impl Appliance {
    /// Starts it with this upstream, and opens the session. Its store is where the others of the benches are: on a disk.
    pub fn start(program: &Path, upstream: SocketAddr) -> Self {
        let dir = tempfile::tempdir_in(Path::new(env!("CARGO_TARGET_TMPDIR"))).unwrap();
        let at = |name: &str| dir.path().join(name);
        let upstreams = format!(
            "[[upstream]]\npreset = \"taskcluster\"\nbase = \"http://{upstream}\"\nnetworks = [\"127.0.0.0/8\"]\n"
        );
        std::fs::write(at("upstreams.toml"), upstreams).unwrap();
        let credentials = serde_json::json!({
            "clientId": "bench/task",
            "accessToken": "a-temporary-token-of-a-bench-for-a-task-0000",
            "certificate": CERTIFICATE,
        });
        std::fs::write(at("credentials.json"), credentials.to_string()).unwrap();
        let (data, declared) = (at("data"), at("upstreams.toml"));
        let settings = format!(
            "NODE_ENV=development\nDATA_DIR={}\nPORT=0\nPROXY_UPSTREAMS_FILE={}\n",
            data.display(),
            declared.display()
        );
        std::fs::write(at("keylender.conf"), settings).unwrap();
        let command = || {
            let mut command = Command::new(program);
            command.env_clear().arg("--config").arg(at("keylender.conf")).stdin(Stdio::null());
            command
        };
        let log = File::create(at("log")).unwrap();
        let child = command().arg("serve").stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        let mut opening = command();
        let user = std::fs::metadata("/proc/self").unwrap().uid().to_string();
        opening.args(["proxy", "session", "open", "--port", "--user", &user, "--credentials"]);
        opening.arg(at("credentials.json")).args(SCOPES.iter().flat_map(|scope| ["--scope", scope]));
        let begun = Instant::now();
        let printed = loop {
            let output = opening.output().unwrap();
            if output.status.success() {
                break String::from_utf8(output.stdout).unwrap();
            }
            let told = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(
                begun.elapsed() < START_TIMEOUT,
                "no session: {told}{}",
                std::fs::read_to_string(at("log")).unwrap()
            );
            std::thread::sleep(POLL_PAUSE);
        };
        let url = printed.lines().find_map(|line| line.strip_prefix("TASKCLUSTER_PROXY_URL=http://")).unwrap();
        Self { child, address: url.parse().unwrap(), _dir: dir }
    }

    /// The process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Appliance {
    fn drop(&mut self) {
        // An error says that it ended by itself.
        let _ = self.child.kill();
        self.child.wait().unwrap();
    }
}
