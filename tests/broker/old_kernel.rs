//! The main stories as on a kernel of EL6's age: each system call that came after Linux 2.6.32 is answered with ENOSYS. The
//! stand-in (`tests/support/old-kernel.c`) models no missing flags and no old faults.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::node::node;

const STAND_IN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/old-kernel.c");
const VHOST: &str = "old.kernel";

/// A host with such a kernel, and a settings file that names its neighbours, so that names have to be looked up.
struct OldHost {
    dir: TempDir,
}

impl OldHost {
    async fn new() -> Self {
        let host = Self { dir: tempfile::tempdir().unwrap() };
        let built = Command::new("cc").args(["-O1", "-o"]).arg(host.stand_in()).arg(STAND_IN).status().await.unwrap();
        assert!(built.success());
        let file = |name| node().path(name).display().to_string();
        let settings = [
            ("DATA_DIR", host.dir.path().join("data").display().to_string()),
            ("PORT", "0".to_owned()),
            ("RABBIT_BASE_URL", format!("https://localhost:{}/api", node().management_tls_port)),
            ("RABBIT_CA_FILE", file("ca.pem")),
            ("RABBIT_CERT", file("client.pem")),
            ("RABBIT_KEY", file("client.key")),
            ("RABBIT_USERNAME", node().username.clone()),
            ("RABBIT_PASSWORD", node().password.expose().to_owned()),
            ("TASKCLUSTER_AMQP_HOSTNAME", "localhost".to_owned()),
            ("TASKCLUSTER_AMQP_PORT", node().amqp_port.to_string()),
            ("TASKCLUSTER_AMQP_VHOST", VHOST.to_owned()),
            ("VERIFY_LOGINS", "true".to_owned()),
            ("TASKCLUSTER_CLIENT_ID", "project/hosts".to_owned()),
            ("TASKCLUSTER_ACCESS_TOKEN", "a-permanent-token".to_owned()),
            ("TASKCLUSTER_SCOPE_BASE", "assume:host:".to_owned()),
            ("TASKCLUSTER_CLIENT_ID_BASE", "host/".to_owned()),
            ("TASKCLUSTER_CREDENTIALS_EXPIRE", "'12 hours'".to_owned()),
            ("TASKCLUSTER_ALLOWED_IPS", "127.0.0.0/8".to_owned()),
        ];
        let lines: String = settings.iter().map(|(name, value)| format!("{name}={value}\n")).collect();
        std::fs::write(host.settings(), lines).unwrap();
        host
    }

    fn stand_in(&self) -> PathBuf {
        self.dir.path().join("old-kernel")
    }

    fn settings(&self) -> PathBuf {
        self.dir.path().join("keylender.conf")
    }

    /// A program on this host.
    fn program(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(self.stand_in());
        command.arg(program.as_ref()).env_clear().kill_on_drop(true).current_dir(self.dir.path());
        command
    }

    fn keylender(&self, arguments: &[&str]) -> Command {
        let mut command = self.program(env!("CARGO_BIN_EXE_keylender"));
        command.args(arguments).arg("--config").arg(self.settings());
        command
    }

    /// Starts the appliance, and tells where it listens.
    async fn serve(&self) -> (Child, String) {
        let mut serve = self.keylender(&["serve"]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut log = BufReader::new(serve.stdout.take().unwrap()).lines();
        loop {
            let line = log.next_line().await.unwrap().expect("it says where it listens");
            if let Some((_, url)) = line.split_once("listens on ") {
                // It may say more, and must not wait for a reader.
                tokio::spawn(async move { while let Ok(Some(_)) = log.next_line().await {} });
                return (serve, url.to_owned());
            }
        }
    }
}

/// What a command printed that must work.
async fn well(command: &mut Command) -> String {
    let output = command.output().await.unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_kernel_of_el6s_age_everything_is_lent_kept_and_found_by_name() {
    node().admin("PUT", &format!("vhosts/{VHOST}"), json!({})).await;
    let host = OldHost::new().await;
    let kernel = well(host.program("/usr/bin/uname").arg("-r")).await;
    assert!(kernel.starts_with("2.6."), "the stand-in stands in: {kernel}");
    let (mut serve, url) = host.serve().await;

    let client = ["client", "create", "builds", "--scope", "pulse:namespace:*", "--json"];
    let client: Value = well(&mut host.keylender(&client)).await.parse().unwrap();
    let mut claim = host.keylender(&["claim", "taskcluster-a", "--url", &url.replace("127.0.0.1", "localhost")]);
    claim.env("TASKCLUSTER_CLIENT_ID", "builds");
    claim.env("TASKCLUSTER_ACCESS_TOKEN", client["accessToken"].as_str().unwrap());
    let lent = well(&mut claim).await;
    assert!(lent.starts_with("amqp://taskcluster-a-1:"), "VERIFY_LOGINS proved it by AMQP: {lent}");
    let machine = well(host.program("/usr/bin/curl").args(["-sSf", &format!("{url}/v1/credentials")])).await;
    assert!(machine.contains("\"clientId\": \"host/"), "{machine}");

    for command in ["namespace rotate taskcluster-a", "loop run monitor", "loop run reconcile", "backup now"] {
        well(&mut host.keylender(&command.split(' ').collect::<Vec<_>>())).await;
    }
    well(&mut host.keylender(&["backup", "verify"])).await;
    well(&mut host.keylender(&["key", "rotate"])).await;
    let chain = well(&mut host.keylender(&["audit", "verify"])).await;
    assert!(chain.starts_with("the chain is whole"), "{chain}");
    well(&mut host.keylender(&["namespace", "expire", "taskcluster-a"])).await;

    let pid = rustix::process::Pid::from_raw(serve.id().unwrap().cast_signed()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert_eq!(serve.wait().await.unwrap().code(), Some(0));
}
