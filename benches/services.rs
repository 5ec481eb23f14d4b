//! Services beside a task, from the payload to the start of the task, and from the end of the task to nothing left: by the runner,
//! and by the command line of the engine for the same containers and networks, all of them at once where they can be.

mod common;
#[expect(dead_code, reason = "its stories break it")]
#[path = "../tests/support/podman.rs"]
mod podman;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::{Row, Target, median};
use podman::Podman;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

const ROUNDS: usize = 9;
const PATIENCE: Duration = Duration::from_secs(30);
/// What the engine's own command line is told.
const START: &str = r#"
$P network create --internal --subnet 10.240.0.0/29 n1 >/dev/null & $P network create --internal --subnet 10.240.0.8/29 n2 >/dev/null &
$P network create --subnet 10.240.0.16/29 n3 >/dev/null & wait
$P run -d --name one --stop-timeout 0 --network n1:ip=10.240.0.2 localhost/box:1 sleep 1000 >/dev/null &
$P run -d --name two --stop-timeout 0 --network n2:ip=10.240.0.10 localhost/box:1 sleep 1000 >/dev/null & wait
exec $P run --name task --stop-timeout 0 --network n3:ip=10.240.0.18 --network n1:ip=10.240.0.3 --network n2:ip=10.240.0.11 \
    --add-host one:10.240.0.2 --add-host two:10.240.0.10 localhost/box:1 sh -c 'echo begun; sleep 1000'
"#;
const END: &str = "$P rm -f -t 0 task one two >/dev/null; $P network rm n1 n2 n3 >/dev/null";

struct Stand {
    podman: Podman,
    dir: tempfile::TempDir,
    serve: Child,
}

#[expect(clippy::disallowed_methods, reason = "a bench has no settings")]
fn main() {
    let program = std::env::var_os("PROGRAM").unwrap_or_else(|| env!("CARGO_BIN_EXE_keylender").into());
    let Some(stand) = Stand::start(Path::new(&program)) else { return };
    let (mut starts, mut ends, mut own_starts, mut own_ends) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let (start, end) = stand.by_runner(Path::new(&program));
        let (own_start, own_end) = stand.by_engine();
        eprintln!("round {round}: {start:.0} and {own_start:.0} ms; {end:.0} and {own_end:.0} ms");
        // The first one warms up.
        if round > 0 {
            starts.push(start);
            ends.push(end);
            own_starts.push(own_start);
            own_ends.push(own_end);
        }
    }
    for (what, ours, reference, max) in [
        ("services: from the payload to the start of the task, two services", starts, own_starts, 1.3),
        ("services: from a signal to nothing left", ends, own_ends, 1.2),
    ] {
        let (ours, reference) = (median(ours), median(reference));
        let reference_is = "podman's command line";
        Row { what, unit: "ms", ours, reference, reference_is, target: Target::RatioMax(max) }.print();
    }
}

impl Stand {
    fn start(program: &Path) -> Option<Self> {
        let (podman, dir) = (Podman::own()?, tempfile::tempdir().unwrap());
        let services: Vec<_> = ["one", "two"]
            .map(|name| json!({ "name": name, "image": "localhost/box:1", "command": ["sleep", "1000"] }))
            .into();
        fs::write(dir.path().join("payload.json"), json!({ "services": services }).to_string()).unwrap();
        let mut serve = keylender(&podman, dir.path(), program);
        let serve = serve.args(["serve", "--port", "0"]).stdout(Stdio::null()).spawn().unwrap();
        let begun = Instant::now();
        while !dir.path().join("control.sock").exists() {
            assert!(begun.elapsed() < PATIENCE, "the appliance does not answer");
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(Self { podman, dir, serve })
    }

    /// Milliseconds until the task says that it began, and from the signal to the end of the runner.
    fn by_runner(&self, program: &Path) -> (f64, f64) {
        let mut run = keylender(&self.podman, self.dir.path(), program);
        run.args(["services", "run"]).arg(self.dir.path().join("payload.json")).arg("--engine");
        run.arg(format!("unix://{}", self.podman.socket().display()));
        run.args(["--provisioner", "p", "--worker-type", "w", "--task-image", "localhost/box:1", "--"]);
        let (mut run, start) = until_begun(run.args(["sh", "-c", "echo begun; sleep 1000"]).stderr(Stdio::null()));
        let begun = Instant::now();
        kill_process(Pid::from_child(&run), Signal::TERM).unwrap();
        run.wait().unwrap();
        (start, millis(begun))
    }

    fn by_engine(&self) -> (f64, f64) {
        let (mut run, start) = until_begun(self.shell(START).stderr(Stdio::null()));
        let begun = Instant::now();
        assert!(self.shell(END).status().unwrap().success());
        let end = millis(begun);
        run.wait().unwrap();
        (start, end)
    }

    fn shell(&self, script: &str) -> Command {
        let home = self.podman.socket().parent().unwrap().to_owned();
        let mut shell = self.podman.inside("sh");
        shell.env("CONTAINERS_CONF", home.join("containers.conf")).args(["-c", script]);
        shell.env("P", format!("podman --root {0}/root --runroot {0}/run", home.display()));
        shell
    }
}

impl Drop for Stand {
    fn drop(&mut self) {
        let _ = self.serve.kill();
        let _ = self.serve.wait();
    }
}

fn keylender(podman: &Podman, dir: &Path, program: &Path) -> Command {
    let mut command = podman.inside(program);
    command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("NODE_ENV", "test");
    command.env("DATA_DIR", dir).env("LOG_LEVEL", "warn").stdin(Stdio::null());
    command
}

fn until_begun(command: &mut Command) -> (Child, f64) {
    let begun = Instant::now();
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line.trim(), "begun");
    (child, millis(begun))
}

fn millis(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}
