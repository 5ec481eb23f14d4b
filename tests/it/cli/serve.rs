//! `keylender serve`: how it starts, stops, and says why it cannot.

use std::net::TcpListener;
use std::time::Duration;

use rustix::process::Signal;

use super::Home;
use crate::wire::{Ask, exchange};

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

#[test]
fn a_hangup_is_no_reason_to_stop() {
    let served = Home::new().serve();
    rustix::process::kill_process(rustix::process::Pid::from_child(&served.child), Signal::HUP).unwrap();
    let (code, ..) = served.end(Signal::TERM);
    assert_eq!(code, Some(0));
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
