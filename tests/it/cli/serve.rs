//! `keylender serve`: how it starts, stops, and says why it cannot.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Signal;

use super::Home;
use crate::wire::{Ask, PATIENCE, exchange};

#[tokio::test]
async fn it_serves_and_stops_softly_at_a_signal() {
    for signal in [Signal::TERM, Signal::INT] {
        let home = Home::new();
        let served = home.serve();
        let answer = exchange(served.address, "GET", &Ask::get("/api/pulse/v1/ping").bytes()).await;
        assert_eq!(answer.json()["alive"], true);
        let (code, log, took) = served.end(signal);
        assert_eq!(code, Some(0), "{log:?}");
        assert!(took < Duration::from_secs(5), "{took:?}");
        assert!(log.last().unwrap().ends_with(" INFO keylender::app::lifecycle: stopped"), "{log:?}");
        assert!(!home.data_dir().join("control.sock").exists());
    }
}

/// Everything below a directory, with its mode.
fn walk(dir: &Path) -> Vec<(PathBuf, bool, u32)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap().map(Result::unwrap) {
        let meta = entry.metadata().unwrap();
        found.push((entry.path(), meta.is_dir(), meta.permissions().mode() & 0o777));
        if meta.is_dir() {
            found.extend(walk(&entry.path()));
        }
    }
    found
}

#[test]
fn nothing_in_the_data_directory_is_for_others_and_no_core_is_dumped() {
    let home = Home::new();
    let serve = home.command(&["serve", "--port", "0", "--operator-mail", "ops@example.org"]);
    let mut lax = std::process::Command::new("/bin/sh");
    lax.args(["-c", "umask 000; ulimit -c unlimited 2>/dev/null; exec \"$0\" \"$@\""]).arg(serve.get_program());
    lax.args(serve.get_args()).env_clear().current_dir(home.dir.path());
    let mut served = home.start(lax);
    home.run(&["client", "create", "builds", "--scope", "a"]).well();
    home.run(&["backup", "now"]).well();
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", served.child.id())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().nth(4), Some("0"), "{core}");
    let status = std::fs::read_to_string(format!("/proc/{}/status", served.child.id())).unwrap();
    assert!(status.contains("\nUmask:\t0077\n"), "{status}");
    let data_dir = home.data_dir();
    assert_eq!(std::fs::metadata(&data_dir).unwrap().permissions().mode() & 0o777, 0o700);
    let found = walk(&data_dir);
    for name in ["keylender.redb", "key", "control.sock", "backups"] {
        assert!(found.iter().any(|(path, ..)| path.ends_with(name)), "{name} in {found:?}");
    }
    for (path, is_dir, mode) in found {
        assert_eq!(mode, if is_dir { 0o700 } else { 0o600 }, "{}", path.display());
    }
    served.child.kill().unwrap();
}

#[test]
fn a_hangup_is_no_reason_to_stop() {
    let served = Home::new().serve();
    rustix::process::kill_process(rustix::process::Pid::from_child(&served.child), Signal::HUP).unwrap();
    let (code, ..) = served.end(Signal::TERM);
    assert_eq!(code, Some(0));
}

#[test]
fn systemd_hears_when_it_serves_reads_its_files_again_is_alive_and_stops() {
    let home = Home::new();
    let path = home.dir.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let hear = || {
        let mut message = [0; 100];
        let len = socket.recv(&mut message).expect("it says something");
        String::from_utf8_lossy(&message[..len]).lines().next().unwrap().to_owned()
    };
    let hear_but_signs_of_life = || std::iter::repeat_with(hear).find(|message| message != "WATCHDOG=1").unwrap();
    let mut command = home.command(&["serve", "--port", "0"]);
    command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "20000");
    let served = home.start(command);
    assert_eq!(hear(), "READY=1");
    assert_eq!([hear(), hear(), hear()], ["WATCHDOG=1"; 3]);
    rustix::process::kill_process(rustix::process::Pid::from_child(&served.child), Signal::HUP).unwrap();
    assert_eq!(hear_but_signs_of_life(), "RELOADING=1");
    assert_eq!(hear_but_signs_of_life(), "READY=1");
    assert_eq!(served.end(Signal::TERM).0, Some(0));
    assert_eq!(hear_but_signs_of_life(), "STOPPING=1");
}

#[test]
fn it_starts_again_after_it_was_killed_and_knows_what_it_knew() {
    let home = Home::new();
    let served = home.serve();
    home.run(&["client", "create", "builds", "--scope", "a"]).well();
    let (code, ..) = served.end(Signal::KILL);
    assert_eq!(code, None);
    assert!(home.data_dir().join("control.sock").exists(), "it had no time to clean up");
    let list = home.run(&["client", "list", "--json"]).json();
    assert_eq!(list["clients"][0]["clientId"], "builds");
    let served = home.serve();
    assert_eq!(home.run(&["client", "list", "--json"]).json(), list);
    home.run(&["audit", "verify"]).well();
    assert_eq!(served.end(Signal::TERM).0, Some(0));
}

#[test]
fn without_a_broker_it_starts_and_says_so() {
    let served = Home::new().serve();
    let line = served.wait_for("claims that need it are answered with 503");
    assert!(line.contains(" WARN ") && line.ends_with("no broker is configured: see RABBIT_BASE_URL"), "{line}");
    assert_eq!(served.end(Signal::TERM).0, Some(0));
}

#[test]
fn a_port_in_use_is_said_in_one_sentence() {
    let home = Home::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let outcome = home.run(&["serve", "--port", &port]);
    assert_eq!(outcome.code, 1);
    let line = outcome.stderr.trim_end();
    assert!(line.starts_with(&format!("keylender: cannot listen on 127.0.0.1:{port}: ")), "{line}");
    assert_eq!(line.matches("Address already in use").count(), 1, "{line}");
    assert_eq!(line.lines().count(), 1, "{line}");
}

#[test]
fn a_second_one_on_the_same_data_is_refused() {
    let home = Home::new();
    let served = home.serve();
    let second = home.run(&["serve", "--port", "0"]).sentence(1);
    assert!(second.starts_with("the store is in use by another keylender process"), "{second}");
    home.run(&["client", "list"]).well();
    assert_eq!(served.end(Signal::TERM).0, Some(0), "the first one did not notice");
}

#[test]
fn ping_tells_whether_the_appliance_answers_and_starts_nothing() {
    let home = Home::new();
    assert_eq!(home.run(&["ping"]).sentence(1), "the appliance does not run");
    assert!(!home.data_dir().exists());
    let served = home.serve();
    assert_eq!(home.run(&["ping"]).well(), "keylender answers\n");
    assert_eq!(served.end(Signal::TERM).0, Some(0));
}
