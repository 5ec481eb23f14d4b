//! The main stories on a host that has nothing: no file but the static program, its own and the devices, and a kernel of EL6's age, where
//! each system call that came after Linux 2.6.32 is answered with ENOSYS. The stand-in for that kernel
//! (`tests/support/old-kernel.c`) models no missing flags and no old faults.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::dns::DnsServer;
use crate::node::node;
use crate::static_program::static_program;

const STAND_IN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/old-kernel.c");
const VHOST: &str = "bare.host";
/// Such a kernel gives random bytes by a device only.
const ENTER: &str = r#"mount --rbind /dev "$0/dev" && exec chroot "$0" /old-kernel /keylender "$@""#;

/// The root of such a host. Its settings name its neighbours, so that names have to be looked up.
struct BareHost {
    root: TempDir,
}

impl BareHost {
    async fn new(dns: &DnsServer) -> Self {
        let host = Self { root: tempfile::tempdir().unwrap() };
        let mut compile = Command::new("cc");
        compile.args(["-O1", "-static", "-o"]).arg(host.path("old-kernel")).arg(STAND_IN);
        assert!(compile.status().await.unwrap().success());
        fs::copy(static_program(), host.path("keylender")).unwrap();
        for folder in ["dev", "etc"] {
            fs::create_dir(host.path(folder)).unwrap();
        }
        fs::write(host.path("etc/hosts"), "127.0.0.1 broker.test lender.test\n").unwrap();
        for file in ["ca.pem", "client.pem", "client.key"] {
            fs::copy(node().path(file), host.path(file)).unwrap();
        }
        let settings = [
            ("DATA_DIR", "/data".to_owned()),
            ("PORT", "0".to_owned()),
            ("DNS_SERVERS", dns.address.to_string()),
            ("RABBIT_BASE_URL", format!("https://broker.test:{}/api", node().management_tls_port)),
            ("RABBIT_CA_FILE", "/ca.pem".to_owned()),
            ("RABBIT_CERT", "/client.pem".to_owned()),
            ("RABBIT_KEY", "/client.key".to_owned()),
            ("RABBIT_USERNAME", node().username.clone()),
            ("RABBIT_PASSWORD", node().password.expose().to_owned()),
            ("TASKCLUSTER_AMQP_HOSTNAME", "broker.test".to_owned()),
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
        fs::write(host.path("keylender.conf"), lines).unwrap();
        host
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// A program of the tests' own system on such a kernel.
    fn outside(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(self.path("old-kernel"));
        command.arg(program.as_ref()).env_clear();
        command
    }

    fn keylender(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("/usr/bin/unshare");
        command.arg("--mount");
        // Only root may change the root; anybody may be root of a user namespace.
        if !rustix::process::geteuid().is_root() {
            command.args(["--user", "--map-root-user"]);
        }
        command.args(["/bin/sh", "-c", ENTER]).arg(self.root.path());
        command
            .args(arguments)
            .args(["--config", "/keylender.conf"])
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .kill_on_drop(true);
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
async fn on_a_host_with_nothing_and_an_old_kernel_everything_is_lent_kept_and_found_by_name() {
    node().admin("PUT", &format!("vhosts/{VHOST}"), json!({})).await;
    let dns = DnsServer::start().await;
    dns.host("127.0.0.2", "builder.test");
    let host = BareHost::new(&dns).await;
    let kernel = well(host.outside("/usr/bin/uname").arg("-r")).await;
    assert!(kernel.starts_with("2.6."), "the stand-in stands in: {kernel}");
    let (mut serve, url) = host.serve().await;

    let client = ["client", "create", "builds", "--scope", "pulse:namespace:*", "--json"];
    let client: Value = well(&mut host.keylender(&client)).await.parse().unwrap();
    let mut claim = host.keylender(&["claim", "taskcluster-a", "--url", &url.replace("127.0.0.1", "lender.test")]);
    claim.env("TASKCLUSTER_CLIENT_ID", "builds");
    claim.env("TASKCLUSTER_ACCESS_TOKEN", client["accessToken"].as_str().unwrap());
    let lent = well(&mut claim).await;
    assert!(lent.starts_with("amqp://taskcluster-a-1:"), "VERIFY_LOGINS proved it by AMQP: {lent}");
    let ask = ["-sSf", "--interface", "127.0.0.2", &format!("{url}/v1/credentials")];
    let machine = well(host.outside("/usr/bin/curl").args(ask)).await;
    assert!(machine.contains("\"clientId\": \"host/test.builder"), "{machine}");

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
