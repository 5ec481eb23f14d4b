//! Payloads with services on the command line, without an appliance.

use std::fs;
use std::path::Path;

use super::Home;

#[test]
fn a_payload_that_is_right_is_told_with_its_services() {
    let home = Home::new();
    // What holds on this host is no matter.
    home.write_settings("PORT=eighty\n");
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/services.json");
    let said = home.run(&["services", "check", example.to_str().unwrap()]).well();
    assert_eq!(said, format!("{} is right: 2 services (db, symbols)\n", example.display()));
    for (payload, said) in [
        (r#"{"services": [{"name": "db", "image": "postgres:16"}]}"#, "standard input is right: 1 service (db)\n"),
        (r#"{"image": "a", "services": []}"#, "standard input is right: 0 services\n"),
    ] {
        assert_eq!(home.run_with(&["services", "check", "-"], payload.as_bytes()).well(), said);
    }
    assert_eq!(home.run(&["services", "schema"]).json()["$id"], "/schemas/keylender/v1/services.json#");
    assert!(!home.data_dir().exists(), "it made no store");
}

#[test]
fn every_mistake_of_a_payload_is_told_with_its_place() {
    let home = Home::new();
    let payload =
        r#"{"services": [{"name": "DB", "image": "postgres", "comand": [], "env": {"PATH": "", "\u001b[2J": ""}}]}"#;
    fs::write(home.dir.path().join("payload.json"), payload).unwrap();
    insta::assert_snapshot!(home.run(&["services", "check", "payload.json"]).lines(1), @r#"
    payload.json: /services/0/name: "DB" has capital letters; write "db"
    payload.json: /services/0/comand: unknown member "comand"; the nearest is "command"
    payload.json: /services/0/env/PATH: "PATH" has a loader, a shell or another program run what the task says, with the scopes of the image
    payload.json: /services/0/env/\u{1b}[2J: "\u{1b}[2J" is no name of a variable: expected A-Z a-z 0-9 _, not beginning with a digit
    keylender: this is no payload that can be used
    "#);
    let said = home.run(&["services", "check", "nowhere.json"]).sentence(1);
    assert!(said.contains("nowhere.json cannot be read"), "{said}");
    assert_eq!(home.run_with(&["services", "check", "-"], b"{\"\xff\"}").sentence(1), "the payload is no UTF-8");
    let said = home.run(&["services", "check", "/dev/zero"]).sentence(1);
    assert_eq!(said, "the payload has more than 4194304 bytes");
}
