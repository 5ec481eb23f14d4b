//! TLS as operators meet it: settings, the doctor, and the signal that reads the files again.

use std::fs;
use std::net::TcpListener;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::Home;
use crate::certificates::{Authority, Files, shake_hands};
use crate::wire::{Ask, Talk};

/// An appliance's settings that name these files.
fn settings(files: &Files, more: &str) -> String {
    let [cert, key, ca] = ["cert.pem", "key.pem", "ca.pem"].map(|name| files.path(name).display().to_string());
    format!("TLS_CERT={cert}\nTLS_KEY={key}\nTLS_CLIENT_CA={ca}\n{more}\n")
}

/// Grade and text of what the doctor found about something.
fn findings(home: &Home, about: &str) -> Vec<(String, String)> {
    let outcome = home.run(&["doctor", "--json"]);
    let found: Value = outcome.stdout.parse().unwrap();
    let of = |finding: &Value, member: &str| finding[member].as_str().unwrap().to_owned();
    let all = found["findings"].as_array().unwrap().iter().filter(|finding| finding["about"] == about);
    all.map(|finding| (of(finding, "grade"), of(finding, "text"))).collect()
}

#[tokio::test]
async fn a_hangup_reads_the_files_of_tls_again_and_the_log_says_how_that_went() {
    let authority = Authority::new();
    let files = Files::new(&authority.server(), Some(&authority));
    let home = Home::new();
    home.write_settings(&settings(&files, "FORCE_SSL=true"));
    let served = home.serve();
    let shown = async || {
        let config = authority.client(None, &["http/1.1"]);
        let stream = shake_hands(served.address, b"", config).await.unwrap();
        let shown = stream.get_ref().1.peer_certificates().unwrap()[0].to_vec();
        let mut talk = Talk::over(stream);
        talk.send(&Ask::get("/v1/ping").bytes()).await;
        assert_eq!(talk.answer("GET").await.unwrap().status, 200);
        shown
    };
    let before = shown().await;
    fs::write(files.path("cert.pem"), "nonsense").unwrap();
    kill_process(Pid::from_child(&served.child), Signal::HUP).unwrap();
    let line = served.wait_for("the files of TLS stay as they were read before");
    assert!(line.contains(" ERROR ") && line.contains("the file of TLS_CERT cannot be used: "), "{line}");
    assert_eq!(shown().await, before);
    files.put(&authority.issue(&["keylender.test"], [2020, 2026]));
    kill_process(Pid::from_child(&served.child), Signal::HUP).unwrap();
    let line = served.wait_for("a certificate of TLS_CERT (CN=builds) is valid from 2020-01-01");
    assert!(line.contains(" WARN "), "{line}");
    served.wait_for("read the files of TLS again");
    files.put(&authority.server());
    kill_process(Pid::from_child(&served.child), Signal::HUP).unwrap();
    served.wait_for("read the files of TLS again");
    assert_ne!(shown().await, before);
    assert_eq!(served.end(Signal::TERM).0, Some(0));
}

#[test]
fn the_doctor_tells_the_age_of_certificates_and_looks_at_the_port() {
    let authority = Authority::new();
    let files = Files::new(&authority.issue(&["keylender.test"], [2020, 2026]), Some(&authority));
    let home = Home::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    home.write_settings(&settings(&files, &format!("PORT={port}")));
    let certificates = findings(&home, "certificate");
    assert_eq!(certificates[0].0, "problem");
    assert!(certificates[0].1.starts_with("TLS_CERT (CN=builds), from 2020-01-01T"), "{certificates:?}");
    assert!(certificates[0].1.ends_with("it is over: renew it, then send SIGHUP"), "{certificates:?}");
    assert_eq!((certificates.len(), certificates[1].0.as_str()), (2, "well"), "{certificates:?}");
    assert!(certificates[1].1.starts_with("TLS_CLIENT_CA (CN=an authority), from "), "{certificates:?}");
    let (grade, text) = findings(&home, "port").remove(0);
    assert!(grade == "problem" && text.contains("another process listens there"), "{text}");
    assert_eq!(findings(&home, "open files")[0].0, "well");
    drop(taken);
    files.put(&authority.server());
    assert!(findings(&home, "port")[0].1.ends_with("is free; it will speak TLS"), "{:?}", findings(&home, "port"));
    let served = home.serve();
    let text = findings(&home, "port").remove(0).1;
    assert_eq!(text, format!("it listens on {} and speaks TLS", served.address));
    assert_eq!(findings(&home, "certificate")[0].0, "well");
    assert_eq!(served.end(Signal::TERM).0, Some(0));
}

#[test]
fn certificate_and_key_are_set_together_and_clients_are_named_from_the_command_line() {
    let home = Home::new();
    home.write_settings("TLS_CERT=/tmp/cert.pem\nTLS_CLIENT_CA=/tmp/ca.pem\n");
    let said = home.run(&["config"]).lines(2);
    assert!(said.contains("keylender.conf:1: TLS_CERT: needs TLS_KEY as well"), "{said}");
    home.write_settings("TLS_CLIENT_CA=/tmp/ca.pem\n");
    assert!(home.run(&["config"]).lines(2).contains("TLS_CLIENT_CA: needs TLS_CERT as well"));
    home.write_settings("");
    let create = ["client", "create", "builds", "--scope", "a", "--certificate-name", "builds.example.org"];
    home.run(&create).well();
    let name = |home: &Home| home.run(&["client", "list", "--json"]).json()["clients"][0]["certificateName"].clone();
    assert_eq!(name(&home), "builds.example.org");
    home.run(&["client", "certificate", "builds", "spiffe://example.org/builds"]).well();
    assert_eq!(name(&home), "spiffe://example.org/builds");
    assert!(home.run(&["client", "list"]).well().contains("spiffe://example.org/builds"));
    home.run(&["client", "certificate", "builds", "--none"]).well();
    assert_eq!(name(&home), Value::Null);
    assert_eq!(home.run(&["client", "certificate", "builds"]).code, 2);
}

#[test]
fn a_system_that_trusts_nobody_has_the_public_authorities_that_are_inside() {
    let home = Home::new();
    home.write_settings(
        "TASKCLUSTER_ROOT_URL=https://localhost:1\nRABBIT_BASE_URL=https://localhost:1/api\n\
         RABBIT_USERNAME=admin\nRABBIT_PASSWORD=unused\nWEBHOOK_URL=https://localhost:1\n\
         WEBHOOK_SECRET=0123456789abcdef\n",
    );
    let mut command = home.command(&["serve", "--port", "0"]);
    command.env("SSL_CERT_FILE", "/dev/null").env("SSL_CERT_DIR", "/nonexistent");
    let served = home.start(command);
    assert_eq!(served.end(Signal::TERM).0, Some(0));
}
