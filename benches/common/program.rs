//! The program as it is installed.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// Between two attempts to get a first answer.
const POLL_PAUSE: Duration = Duration::from_micros(500);
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// The program as it is installed, in a process of its own.
pub struct Program {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Program {
    /// Starts it on a store, with a stand-in for its broker and what else it should know, and waits for its first
    /// answer; says how long that took.
    pub fn start(program: &Path, dir: &Path, broker: SocketAddr, more: &[(&str, &str)]) -> (Self, Duration) {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut command = Command::new(program);
        settings(&mut command, dir);
        command
            .arg("serve")
            .env("PORT", address.port().to_string())
            .env("RABBIT_BASE_URL", format!("http://{broker}/api"))
            .env("RABBIT_USERNAME", "administrator")
            .env("RABBIT_PASSWORD", "password")
            .envs(more.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        let begun = Instant::now();
        let mut program = Self { child: command.spawn().unwrap(), address };
        while !answers(address) {
            assert!(program.child.try_wait().unwrap().is_none(), "the program ended; see above");
            assert!(begun.elapsed() < START_TIMEOUT, "the program does not answer");
            std::thread::sleep(POLL_PAUSE);
        }
        (program, begun.elapsed())
    }

    /// What it holds in memory, in MB.
    pub fn resident_mb(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() * 1024.0 / 1e6
    }
}

impl Drop for Program {
    /// Stops it softly: a store that was not closed takes longer to open.
    fn drop(&mut self) {
        let id = Pid::from_child(&self.child);
        kill_process(id, Signal::TERM).unwrap();
        self.child.wait().unwrap();
    }
}

/// What the program and its commands are told on this store.
pub fn settings(command: &mut Command, dir: &Path) {
    command
        .env_clear()
        .env("NODE_ENV", "development")
        .env("LOG_LEVEL", "warn")
        .env("DATA_DIR", dir)
        .env("KEY_FILE", dir.join("key"));
}

fn answers(address: SocketAddr) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect(address)?;
        stream.write_all(b"GET /v1/ping HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer.starts_with("HTTP/1.1 200 "))
    };
    ask().unwrap_or(false)
}
