//! The program as a worker starts it: under the name of the ancestor, with nothing in its environment that is not meant.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;
use tokio::time::sleep;

use crate::authority::Servers;
use crate::stubs::Stubs;
use crate::vectors::{self, Group, Places};

const PROGRAM: &str = env!("CARGO_BIN_EXE_keylender");
/// A name that resolves, and whose server shows a certificate for another one.
const WRONG: [&str; 2] = ["wrong-name.test", "bad-name.example.net"];
/// How often is looked.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// The ancestors' logs put `2006/01/02 15:04:05 ` before each line.
const STAMP: &str = "dddd/dd/dd dd:dd:dd ";

/// Where everything lies that programs are started with.
pub struct Bench {
    dir: TempDir,
    pub servers: Servers,
    hosts: Vec<String>,
    started: AtomicUsize,
}

/// One start of it. It is killed when this is dropped.
pub struct Program {
    child: Child,
    log: PathBuf,
}

impl Bench {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        for name in ["taskcluster-proxy", "relengapi-proxy"] {
            symlink(PROGRAM, dir.path().join(name)).expect("a link to the program");
        }
        let hosts = vectors::hosts();
        let servers = Servers::new(hosts.clone());
        fs::write(dir.path().join("ca.pem"), &servers.pem).expect("the authority's file");
        Self { dir, servers, hosts, started: AtomicUsize::new(0) }
    }

    /// Starts the program of a group behind which these stubs are.
    pub fn start(&self, group: &Group, places: &Places, stubs: &Stubs) -> Program {
        let number = self.started.fetch_add(1, Ordering::Relaxed);
        let log = self.dir.path().join(format!("log-{number}"));
        let right = self.hosts.iter().map(|host| format!("{host}:443={}", stubs.hosts));
        let wrong = WRONG.iter().map(|host| format!("{host}:443={}", stubs.wrong));
        let resolve: Vec<String> = right.chain(wrong).collect();
        let open = |end: &str| Stdio::from(File::create(log.with_extension(end)).expect("a file for what it says"));
        let (args, env) = (places.fill(&group.args), places.fill(&group.env));
        let mut command = Command::new(self.dir.path().join(group.program));
        command.args(args.as_array().into_iter().flatten().filter_map(Value::as_str));
        command.env_clear().env("PATH", "/usr/bin:/bin").current_dir(self.dir.path());
        command.env("SSL_CERT_FILE", self.dir.path().join("ca.pem")).env("PROXY_RESOLVE", resolve.join(","));
        for (name, value) in env.as_object().into_iter().flatten() {
            command.env(name, value.as_str().unwrap_or_default());
        }
        command.stdin(Stdio::null()).stdout(open("out")).stderr(open("err"));
        Program { child: command.spawn().expect("the program starts"), log }
    }
}

impl Program {
    /// With which code it ended, or by which signal (negative), if it did.
    pub fn exit(&mut self) -> Option<i32> {
        let status = self.child.try_wait().expect("our own child")?;
        status.code().or(status.signal().map(|signal| -signal))
    }

    /// Waits until it ends.
    pub async fn ends_within(&mut self, patience: Duration) -> Option<i32> {
        let begin = Instant::now();
        while self.exit().is_none() && begin.elapsed() < patience {
            sleep(LOOK_EVERY).await;
        }
        self.exit()
    }

    /// Waits until it listens on a port. False if it ends before.
    pub async fn listens_within(&mut self, port: u16, patience: Duration) -> bool {
        let begin = Instant::now();
        while listeners(port).is_empty() {
            if self.exit().is_some() || begin.elapsed() > patience {
                return false;
            }
            sleep(LOOK_EVERY).await;
        }
        true
    }

    pub fn signal(&self, name: &str) {
        let signal = match name {
            "SIGTERM" => Signal::TERM,
            "SIGINT" => Signal::INT,
            "SIGHUP" => Signal::HUP,
            "SIGUSR1" => Signal::USR1,
            "SIGPIPE" => Signal::PIPE,
            _ => panic!("no vector sends {name}"),
        };
        kill_process(Pid::from_child(&self.child), signal).expect("our own child");
    }

    pub fn stdout(&self) -> Vec<String> {
        self.said("out")
    }

    /// Without the time stamps of its lines.
    pub fn stderr(&self) -> Vec<String> {
        self.said("err").iter().map(|line| without_stamp(line).to_owned()).collect()
    }

    fn said(&self, end: &str) -> Vec<String> {
        let text = fs::read(self.log.with_extension(end)).unwrap_or_default();
        String::from_utf8_lossy(&text).lines().map(str::to_owned).collect()
    }
}

/// taskcluster-proxy at a free port of this host, for stories of their own.
pub struct Plain {
    pub address: SocketAddr,
    program: Program,
    _dir: TempDir,
}

impl Plain {
    pub async fn start(arguments: &[&str]) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let (link, port) = (dir.path().join("taskcluster-proxy"), free_port());
        symlink(PROGRAM, &link).expect("a link to the program");
        let own = ["-i", "127.0.0.1", "-p", &port.to_string()].map(str::to_owned);
        let mut command = Command::new(link);
        command.args(arguments).args(own).env_clear().stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut program = Program { child: command.spawn().expect("the program starts"), log: PathBuf::new() };
        assert!(program.listens_within(port, Duration::from_secs(30)).await, "it listens");
        Self { address: SocketAddr::from(([127, 0, 0, 1], port)), program, _dir: dir }
    }

    /// Its memory beside what is a part of its file.
    pub fn memory_kb(&self) -> u64 {
        let status =
            fs::read_to_string(format!("/proc/{}/status", self.program.child.id())).expect("a running process");
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("a kernel that tells it");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn without_stamp(line: &str) -> &str {
    let fits = |(mark, c): (char, char)| if mark == 'd' { c.is_ascii_digit() } else { mark == c };
    let is_stamped = line.len() >= STAMP.len() && STAMP.chars().zip(line.chars()).all(fits);
    if is_stamped { &line[STAMP.len()..] } else { line }
}

/// The addresses at which somebody listens on a port, as the kernel writes them.
pub fn listeners(port: u16) -> Vec<String> {
    let mut found = Vec::new();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        for line in fs::read_to_string(table).unwrap_or_default().lines() {
            let mut words = line.split_whitespace().skip(1);
            let (local, state) = (words.next().unwrap_or_default(), words.nth(1));
            let local = local.split_once(':').filter(|(_, number)| u16::from_str_radix(number, 16) == Ok(port));
            found.extend(local.filter(|_| state == Some("0A")).map(|(address, _)| address.to_owned()));
        }
    }
    found.sort();
    found
}

/// A port that nobody listens on.
pub fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("0.0.0.0:0").expect("a free port");
    listener.local_addr().expect("a bound socket has an address").port()
}

#[test]
fn a_log_loses_its_time_stamps_only() {
    assert_eq!(without_stamp("2026/08/21 10:11:12 Serving on :80"), "Serving on :80");
    assert_eq!(without_stamp("Usage: é"), "Usage: é");
}
