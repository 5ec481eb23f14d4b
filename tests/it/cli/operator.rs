//! `keylender operator`, and the link that the first start prints.

use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;

use rustix::process::Signal;
use serde_json::json;

use super::Home;
use crate::wire::{Ask, exchange};

#[tokio::test]
async fn the_first_start_prints_a_link_beside_the_log_and_later_ones_do_not() {
    let home = Home::new();
    let mut served = home.serve();
    let mut said = BufReader::new(served.child.stderr.take().unwrap()).lines();
    let sentence = said.next().unwrap().unwrap();
    assert!(sentence.starts_with("keylender: there is no operator yet."), "{sentence}");
    let link = said.next().unwrap().unwrap();
    let path = link.trim().strip_prefix(&format!("http://{}", served.address)).expect("a link to this appliance");
    let host = served.address.to_string();
    let page = exchange(served.address, "GET", &Ask::get(path).with("Host", &host).bytes()).await;
    assert!(page.status == 200 && page.text().contains("The first admin"), "{}", page.text());
    home.run(&["operator", "create", "ada", "--role", "admin", "--json"]).json();
    let (_, log, _) = served.end(Signal::TERM);
    assert!(log.iter().all(|line| !line.contains("token=")), "{log:?}");
    let served = home.serve();
    assert_eq!(exchange(served.address, "GET", &Ask::get(path).bytes()).await.status, 303);
    served.end(Signal::TERM);
}

#[test]
fn operators_are_managed_by_command() {
    let home = Home::new();
    let made = home.run(&["operator", "create", "ada", "--role", "auditor", "--json"]).json();
    assert_eq!((&made["operator"], &made["role"]), (&json!("ada"), &json!("auditor")));
    assert!(made["password"].as_str().unwrap().len() >= 20);
    assert!(home.run(&["operator", "create", "ada", "--role", "admin"]).sentence(1).contains("exists"));
    assert!(home.run(&["operator", "create", "bob", "--role", "king"]).sentence(1).contains("not a role"));
    assert!(home.run(&["operator", "create", "B b", "--role", "admin"]).lines(1).contains("operator name"));
    let mut command = home.command(&["operator", "reset", "ada", "--password-stdin"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"correct horse battery\n").unwrap();
    let said = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    assert!(said.contains("ada") && !said.contains("password"), "{said}");
    home.run(&["operator", "role", "ada", "viewer"]).well();
    home.run(&["operator", "disable", "ada"]).well();
    let table = home.run(&["operator", "list"]).well();
    assert!(table.lines().nth(1).unwrap().starts_with("ada       viewer  true"), "{table}");
    home.run(&["operator", "enable", "ada"]).well();
    home.run(&["operator", "delete", "ada"]).well();
    assert_eq!(home.run(&["operator", "list", "--json"]).json()["operators"], json!([]));
    assert_eq!(home.run(&["operator", "sessions", "--json"]).json()["sessions"], json!([]));
}
