//! Where the log of the built binary goes.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::Home;
use crate::wire::PATIENCE;

/// Waits until a file holds this text.
fn wait_for(path: &Path, text: &str) -> String {
    let began = Instant::now();
    loop {
        let log = fs::read_to_string(path).unwrap_or_default();
        if log.contains(text) {
            return log;
        }
        assert!(began.elapsed() < PATIENCE, "{} said {text}: {log}", path.display());
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

#[test]
fn a_log_file_that_was_moved_away_is_made_anew_at_a_hangup() {
    let home = Home::new();
    let (log, moved) = (home.dir.path().join("keylender.log"), home.dir.path().join("keylender.log.1"));
    home.write_settings(&format!("LOG_MODE=file\nLOG_FILE={}\n", log.display()));
    let mut command = home.command(&["serve", "--port", "0"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_for(&log, "listens on http://");

    fs::rename(&log, &moved).unwrap();
    signal(&child, Signal::HUP);
    wait_for(&log, "opened the file of the log again");
    signal(&child, Signal::TERM);

    assert!(child.wait().unwrap().success());
    let (before, after) = (fs::read_to_string(&moved).unwrap(), fs::read_to_string(&log).unwrap());
    assert!(before.contains("listens on http://") && !before.contains("SIGHUP"), "{before}");
    assert!(after.contains("SIGHUP") && after.ends_with(" INFO keylender::app::lifecycle: stopped\n"), "{after}");
    let output = child.wait_with_output().unwrap();
    assert!(output.stdout.is_empty());
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.starts_with("keylender: there is no operator yet.") && said.lines().count() == 2, "{said}");
}

#[test]
fn a_log_file_that_cannot_be_opened_is_said_in_one_sentence() {
    let home = Home::new();
    home.write_settings("LOG_MODE=file\nLOG_FILE=/nonexistent/keylender.log\n");
    let said = home.run(&["serve", "--port", "0"]).sentence(1);
    assert!(said.contains("/nonexistent/keylender.log: No such file"), "{said}");
}

#[test]
fn the_last_lines_can_be_asked_for() {
    let home = Home::new();
    let made = home.run(&["client", "create", "reader", "--scope", "keylender:setting:list"]).well();
    let token = made.lines().find_map(|line| line.strip_prefix("access token: ")).expect("a token");
    let served = home.serve();
    let mut stream = TcpStream::connect(served.address).unwrap();
    let head = format!("Host: localhost\r\nAuthorization: Bearer reader/{token}\r\nConnection: close");
    write!(stream, "GET /api/keylender/v1/log HTTP/1.1\r\n{head}\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let listens = format!("listens on http://{}", served.address);
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains(&listens), "{answer}");
}
