//! The built binary, as people and init scripts run it.

mod audit;
mod backup;
mod claim;
mod full_disk;
mod harmless;
mod host;
mod lease;
mod log;
mod operate;
mod operator;
mod relay;
mod serve;
mod services;
mod settings;
mod store;
mod tls;

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::wire::PATIENCE;

const BINARY: &str = env!("CARGO_BIN_EXE_keylender");

/// What a command came to.
#[derive(Debug)]
struct Outcome {
    code: i32,
    stdout: String,
    stderr: String,
}

impl Outcome {
    fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let code = output.status.code().expect("it ended by itself");
        Self { code, stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    /// Of a command that worked and had nothing to complain about.
    fn well(self) -> String {
        assert_eq!((self.code, self.stderr.as_str()), (0, ""), "{}", self.stdout);
        self.stdout
    }

    /// The document that a command printed.
    fn json(self) -> Value {
        self.well().parse().unwrap()
    }

    /// What a command said that failed with this code, where the answer it got has several lines.
    fn lines(self, code: i32) -> String {
        assert_eq!((self.code, self.stdout.as_str()), (code, ""), "{}", self.stderr);
        self.stderr
    }

    /// The one sentence of a command that failed with this code.
    fn sentence(self, code: i32) -> String {
        assert_eq!((self.code, self.stdout.as_str()), (code, ""), "{}", self.stderr);
        let line = self.stderr.strip_suffix('\n').unwrap().strip_prefix("keylender: ").unwrap().to_owned();
        assert!(!line.contains('\n'), "{line}");
        line
    }
}

/// A place with a data directory, and a settings file instead of the host's.
struct Home {
    dir: TempDir,
}

impl Home {
    fn new() -> Self {
        let home = Self { dir: tempfile::tempdir().unwrap() };
        home.write_settings("");
        home
    }

    fn data_dir(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    fn store(&self) -> PathBuf {
        self.data_dir().join("keylender.redb")
    }

    fn write_settings(&self, text: &str) -> PathBuf {
        let path = self.dir.path().join("keylender.conf");
        std::fs::write(&path, text).unwrap();
        path
    }

    /// A command with an environment that only the test decides.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(BINARY);
        command.args(arguments).env_clear().current_dir(self.dir.path());
        command.env("PATH", "/usr/bin:/bin").arg("--config").arg(self.dir.path().join("keylender.conf"));
        command
    }

    fn run(&self, arguments: &[&str]) -> Outcome {
        Outcome::of(self.command(arguments).output().unwrap())
    }

    /// The same with something on standard input.
    fn run_with(&self, arguments: &[&str], stdin: &[u8]) -> Outcome {
        let mut command = self.command(arguments);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(stdin).unwrap();
        Outcome::of(child.wait_with_output().unwrap())
    }

    /// Starts the appliance on a free port, and waits until it listens.
    fn serve(&self) -> Served {
        self.start(self.command(&["serve", "--port", "0"]))
    }

    /// The same by a command of the test's own.
    fn start(&self, mut command: Command) -> Served {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut log = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        let address = loop {
            line.clear();
            assert!(log.read_line(&mut line).unwrap() > 0, "it said where it listens");
            if let Some((_, address)) = line.trim_end().split_once("listens on http") {
                break address.trim_start_matches('s').trim_start_matches("://").parse().unwrap();
            }
        };
        let (line_tx, log_rx) = mpsc::channel();
        std::thread::spawn(move || log.lines().map_while(Result::ok).try_for_each(|line| line_tx.send(line)));
        Served { child, address, log: log_rx }
    }
}

/// A running appliance. It is killed when the test is done with it.
struct Served {
    child: Child,
    address: std::net::SocketAddr,
    log: mpsc::Receiver<String>,
}

impl Served {
    /// Waits until something is logged.
    fn wait_for(&self, text: &str) -> String {
        let next = || self.log.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("it said {text}"));
        std::iter::repeat_with(next).find(|line| line.contains(text)).unwrap()
    }

    /// Sends a signal, and returns the exit code, what was logged since the start, and how long it took.
    fn end(mut self, signal: Signal) -> (Option<i32>, Vec<String>, Duration) {
        let began = Instant::now();
        kill_process(Pid::from_child(&self.child), signal).unwrap();
        let code = self.child.wait().unwrap().code();
        (code, self.log.iter().collect(), began.elapsed())
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
