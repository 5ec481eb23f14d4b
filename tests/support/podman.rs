//! A real podman in a network and a mount namespace of its own, which leaves nothing behind on the host, however a test
//! ends: it lives as long as somebody holds the standard input of the shell that keeps the namespaces.
//!
//! Containers need a kernel that lets root make them. Where it does not, the tests fail, unless
//! `KEYLENDER_WITHOUT_CONTAINERS=1` declares that they are not to happen here.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// Declares that this machine cannot have containers.
pub const WITHOUT: &str = "KEYLENDER_WITHOUT_CONTAINERS";
/// For an engine to answer.
const START_TIMEOUT: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(30);
/// Explicit limits, because a root without CAP_SYS_RESOURCE may not raise any; runc, because crun refuses hybrid cgroups. All
/// podmans of a host share their networks otherwise, wherever their containers are.
const SETTINGS: &str = r#"[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
"#;
/// Keeps the namespaces until its input ends, and then ends all that is in them: containers by podman, or by their
/// parents where podman fails, and at last whoever is in this network.
const KEEPER: &str = r#"
ip link set lo up && mount -t tmpfs tmpfs /run && echo ready || exit 1
cat >/dev/null
trap '' HUP INT TERM
timeout 20 podman --root "$1/root" --runroot "$1/run" rm --all --force --time 0 >/dev/null 2>&1
own=$(readlink /proc/self/ns/net)
for process in /proc/[0-9]*; do
    id=${process#/proc/}
    [ "$id" != $$ ] && [ "$(readlink "$process/ns/net" 2>/dev/null)" = "$own" ] || continue
    case $(cat "$process/comm" 2>/dev/null) in
    conmon) kill -9 $(cat "$process/task/$id/children") 2>/dev/null ;;
    esac
    kill -9 "$id" 2>/dev/null
done
umount -l "$1"/root/overlay 2>/dev/null
rm -rf "$1"
"#;

/// An engine with the images `localhost/box:1`, which has nothing but busybox, and `localhost/service:1`.
pub struct Podman {
    dir: PathBuf,
    keeper: Child,
    service: std::sync::Mutex<Child>,
}

impl Podman {
    /// The engine that stories share; `None` where it is declared that there is none. It ends with this process.
    pub fn shared() -> Option<&'static Self> {
        static SHARED: OnceLock<Result<Podman, String>> = OnceLock::new();
        if is_declared() {
            return None;
        }
        SHARED.get_or_init(Self::start).as_ref().map_or_else(|cause| give_up(cause), Some)
    }

    /// One for a story alone, which may break it.
    pub fn own() -> Option<Self> {
        if is_declared() { None } else { Some(Self::start().unwrap_or_else(|cause| give_up(&cause))) }
    }

    fn start() -> Result<Self, String> {
        let dir = tempfile::Builder::new().prefix("keylender-podman-").tempdir().unwrap().keep();
        let networks = format!("[network]\nnetwork_config_dir = {:?}\n", dir.join("networks"));
        fs::write(dir.join("containers.conf"), SETTINGS.to_owned() + &networks).unwrap();
        let mut keeper = Command::new("unshare");
        keeper.args(["--net", "--mount", "sh", "-c", KEEPER, "keeper"]).arg(&dir);
        keeper.stdin(Stdio::piped()).stdout(Stdio::piped()).env("CONTAINERS_CONF", dir.join("containers.conf"));
        let mut keeper = keeper.spawn().map_err(|e| format!("unshare: {e}"))?;
        let mut ready = String::new();
        BufReader::new(keeper.stdout.take().unwrap()).read_line(&mut ready).unwrap();
        if ready.trim() != "ready" {
            let _ = keeper.wait();
            let _ = fs::remove_dir_all(&dir);
            return Err("only root, with a kernel that lets it, makes the namespaces that they need".into());
        }
        let service = serve(&dir, keeper.id());
        let podman = Self { dir, keeper, service: service.into() };
        podman.wait_for_it()?;
        for (name, config) in images() {
            podman.load(name, config)?;
        }
        let tried = podman.podman(&["run", "--rm", "--network", "none", "localhost/box:1", "true"]);
        if tried.status.success() { Ok(podman) } else { Err(text(&tried.stderr).trim().replace('\n', "; ")) }
    }

    fn wait_for_it(&self) -> Result<(), String> {
        let deadline = Instant::now() + START_TIMEOUT;
        while std::os::unix::net::UnixStream::connect(self.socket()).is_err() {
            let has_ended = self.service.lock().unwrap().try_wait().unwrap().is_some();
            if has_ended || Instant::now() > deadline {
                return Err(format!(
                    "podman does not answer: {}",
                    text(&fs::read(self.dir.join("log")).unwrap()).trim()
                ));
            }
            std::thread::sleep(PAUSE);
        }
        Ok(())
    }

    /// Where it is asked.
    pub fn socket(&self) -> PathBuf {
        self.dir.join("podman.sock")
    }

    /// A program in its namespaces.
    pub fn inside(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        enter(self.keeper.id(), program)
    }

    /// What podman itself says.
    pub fn podman(&self, arguments: &[&str]) -> Output {
        let mut podman = self.inside("podman");
        podman.env("CONTAINERS_CONF", self.dir.join("containers.conf"));
        podman.arg("--root").arg(self.dir.join("root")).arg("--runroot").arg(self.dir.join("run"));
        podman.args(arguments).output().unwrap()
    }

    /// The same as lines.
    pub fn says(&self, arguments: &[&str]) -> Vec<String> {
        text(&self.podman(arguments).stdout).lines().map(str::to_owned).collect()
    }

    /// Kills the engine as no engine ends by itself; its containers stay.
    pub fn die(&self) {
        let mut service = self.service.lock().unwrap();
        service.kill().unwrap();
        service.wait().unwrap();
    }

    /// Starts it again.
    pub fn revive(&self) {
        fs::remove_file(self.socket()).unwrap();
        *self.service.lock().unwrap() = serve(&self.dir, self.keeper.id());
        self.wait_for_it().unwrap();
    }

    /// Takes an image of busybox and this configuration.
    pub fn load(&self, name: &str, config: Value) -> Result<(), String> {
        let archive = self.dir.join("image.tar");
        fs::write(&archive, image(name, config)).unwrap();
        let loaded = self.podman(&["load", "-q", "-i", archive.to_str().unwrap()]);
        if loaded.status.success() { Ok(()) } else { Err(text(&loaded.stderr)) }
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
        let _ = self.service.lock().map(|mut service| service.wait());
    }
}

/// Whether there are to be no containers here, which is said aloud.
#[expect(clippy::disallowed_methods, reason = "tests have no settings")]
fn is_declared() -> bool {
    let is_declared = std::env::var(WITHOUT).is_ok_and(|value| value == "1");
    if is_declared {
        let words = "a story of containers DID NOT HAPPEN: KEYLENDER_WITHOUT_CONTAINERS declares it";
        // Past the test harness, which shows nothing of a test that passes.
        let _ = writeln!(std::io::stderr().lock(), "\n{words}");
    }
    is_declared
}

fn give_up(cause: &str) -> ! {
    panic!("no containers on this machine ({WITHOUT}=1 declares that): {cause}")
}

fn enter(namespaces: u32, program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new("nsenter");
    command.args(["-t", &namespaces.to_string(), "-n", "-m", "--wd=/"]).arg(program);
    command
}

fn serve(dir: &Path, namespaces: u32) -> Child {
    let log = fs::File::create(dir.join("log")).unwrap();
    let mut podman = enter(namespaces, "podman");
    podman.env("CONTAINERS_CONF", dir.join("containers.conf"));
    podman.arg("--root").arg(dir.join("root")).arg("--runroot").arg(dir.join("run"));
    podman.args(["system", "service", "-t", "0"]).arg(format!("unix://{}", dir.join("podman.sock").display()));
    podman.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap()
}

fn images() -> Vec<(&'static str, Value)> {
    let listens = "while :; do echo hello | nc -l -p 7000; done";
    vec![
        ("localhost/box:1", json!({ "Cmd": ["sh"] })),
        (
            "localhost/service:1",
            json!({
                "Entrypoint": ["sh", "-c"], "Cmd": [listens], "ExposedPorts": { "7000/tcp": {}, "9/udp": {} },
                "Healthcheck": { "Test": ["CMD-SHELL", "test -e /tmp/ready"], "Interval": 1_000_000_000 },
            }),
        ),
        ("localhost/port:1", json!({ "Cmd": ["sh", "-c", listens], "ExposedPorts": { "7000/tcp": {} } })),
    ]
}

/// An archive as Docker writes them, of one layer.
fn image(name: &str, config: Value) -> Vec<u8> {
    let layer = layer();
    let digest: String = Sha256::digest(&layer).iter().map(|byte| format!("{byte:02x}")).collect();
    let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    let config = json!({
        "architecture": architecture, "os": "linux", "config": config, "created": "2026-01-01T00:00:00Z",
        "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{digest}")] },
    });
    let manifest = json!([{ "Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"] }]);
    let mut archive = tar::Builder::new(Vec::new());
    put(&mut archive, "config.json", config.to_string().as_bytes(), 0o644);
    put(&mut archive, "layer.tar", &layer, 0o644);
    put(&mut archive, "manifest.json", manifest.to_string().as_bytes(), 0o644);
    archive.into_inner().unwrap()
}

fn layer() -> Vec<u8> {
    let busybox = fs::read("/bin/busybox").expect("busybox-static is installed");
    let mut layer = tar::Builder::new(Vec::new());
    put(&mut layer, "bin/busybox", &busybox, 0o755);
    for applet in
        ["sh", "sleep", "nc", "cat", "true", "false", "grep", "test", "touch", "ip", "env", "timeout", "seq", "kill"]
    {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_size(0);
        layer.append_link(&mut header, format!("bin/{applet}"), "busybox").unwrap();
    }
    put(&mut layer, "etc/passwd", b"root:x:0:0::/:/bin/sh\n", 0o644);
    put(&mut layer, "tmp/empty", b"", 0o644);
    layer.into_inner().unwrap()
}

fn put(archive: &mut tar::Builder<Vec<u8>>, path: &str, bytes: &[u8], mode: u32) {
    let mut header = tar::Header::new_gnu();
    header.set_mode(mode);
    header.set_size(bytes.len() as u64);
    archive.append_data(&mut header, path, bytes).unwrap();
}

/// What a program wrote.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
