//! The program at work in the namespaces of an engine, with an appliance that only answers.

use std::fs;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::appliance::Appliance;
use crate::podman::{Podman, text};

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_keylender");
const PAUSE: Duration = Duration::from_millis(20);
/// For whatever is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// A run, or several.
pub struct Bench<'p> {
    pub podman: &'p Podman,
    pub appliance: Appliance,
}

/// A run that goes on.
pub struct Running {
    pub child: Child,
    log: std::path::PathBuf,
}

impl<'p> Bench<'p> {
    pub fn new(podman: &'p Podman) -> Self {
        Self { podman, appliance: Appliance::start() }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.podman.inside(PROGRAM);
        command.arg("services").args(arguments).arg("--engine");
        command.arg(format!("unix://{}", self.podman.socket().display()));
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("DATA_DIR", self.appliance.data_dir());
        command.stdin(Stdio::null());
        command
    }

    fn run_command(&self, payload: &Value, options: &[&str], task: &[&str]) -> Command {
        let path = self.appliance.data_dir().join("payload.json");
        fs::write(&path, payload.to_string()).unwrap();
        let mut arguments = vec!["run", path.to_str().unwrap(), "--provisioner", "p", "--worker-type", "w"];
        arguments.extend(options);
        let mut command = self.command(&arguments);
        if !task.is_empty() {
            command.arg("--").args(task);
        }
        command
    }

    /// Runs to its end.
    pub fn run(&self, payload: &Value, options: &[&str], task: &[&str]) -> Output {
        self.run_command(payload, options, task).output().unwrap()
    }

    /// Begins, and goes on.
    pub fn begin(&self, payload: &Value, options: &[&str], task: &[&str]) -> Running {
        Running::of(self.run_command(payload, options, task), self.appliance.data_dir().join("log"))
    }

    pub fn clean(&self, options: &[&str]) -> Output {
        self.command(&[&["clean"], options].concat()).output().unwrap()
    }

    /// The same with an engine that the environment names.
    pub fn clean_at(&self, host: &str) -> Output {
        let mut command = self.podman.inside(PROGRAM);
        command.args(["services", "clean"]).env_clear().env("DATA_DIR", self.appliance.data_dir());
        command.env("DOCKER_HOST", host).output().unwrap()
    }

    /// Containers and networks that are there of sets of this appliance.
    pub fn left(&self) -> Vec<String> {
        let label = "label=org.keylender.set";
        let sets = self.appliance.sets();
        let of = |name: &str| sets.iter().any(|set| name.starts_with(&format!("keylender-{set}-")));
        let containers = self.podman.says(&["ps", "-a", "--filter", label, "--format", "{{.Names}}"]);
        let networks = self.podman.says(&["network", "ls", "--filter", label, "--format", "{{.Name}}"]);
        containers.into_iter().chain(networks).filter(|name| of(name)).collect()
    }

    pub fn locks(&self) -> Vec<String> {
        let output = self.podman.inside("ls").arg("/run/keylender-services").output().unwrap();
        text(&output.stdout).lines().filter(|name| *name != "identity").map(str::to_owned).collect()
    }
}

impl Running {
    /// One whose words are in a file.
    pub fn of(mut command: Command, log: std::path::PathBuf) -> Self {
        let file = fs::File::create(&log).unwrap();
        Self { child: command.stdout(file.try_clone().unwrap()).stderr(file).spawn().unwrap(), log }
    }

    pub fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    pub fn wait_for(&self, words: &str) {
        wait(|| self.said().contains(words), || format!("it does not say {words:?}, but: {}", self.said()));
    }

    pub fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
    }

    pub fn end(&mut self) -> std::process::ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(begun.elapsed() < PATIENCE, "it does not end: {}", self.said());
            std::thread::sleep(PAUSE);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until something is so.
pub fn wait(is_so: impl Fn() -> bool, words: impl Fn() -> String) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "{}", words());
        std::thread::sleep(PAUSE);
    }
}
