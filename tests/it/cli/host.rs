//! Machines on the command line: what a newcomer sees, and what operators decide.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustix::process::Signal;
use serde_json::json;

use super::{Home, Outcome};
use crate::wire::{Ask, exchange};

const SETTINGS: &str = "TASKCLUSTER_CLIENT_ID=project/hosts\nTASKCLUSTER_ACCESS_TOKEN=a-permanent-token\n\
                        TASKCLUSTER_SCOPE_BASE=assume:host:\nTASKCLUSTER_CLIENT_ID_BASE=host/\n\
                        TASKCLUSTER_CREDENTIALS_EXPIRE='12 hours'\nTASKCLUSTER_ALLOWED_IPS='127.0.0.0/8 192.0.2.0/24'\n\
                        DNS_SERVERS=127.0.0.1:1\nDNS_TIMEOUT='1 second'\n";

#[tokio::test]
async fn a_machine_is_lent_to_explained_blocked_and_let_in_again() {
    let home = Home::new();
    home.write_settings(SETTINGS);
    let served = home.serve();
    // Loopback is answered through this machine's own /etc/hosts, by whatever name that has first.
    let ask = async || exchange(served.address, "GET", &Ask::get("/v1/credentials").bytes()).await;
    let answer = ask().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let client_id = answer.json()["credentials"]["clientId"].as_str().unwrap().to_owned();
    let check = home.run(&["host", "check", "127.0.0.1"]).well();
    assert!(check.contains("verdict           verified") && check.contains(&client_id), "{check}");
    assert!(check.contains("/etc/hosts  PTR 1.0.0.127.in-addr.arpa"), "{check}");

    assert_eq!(home.run(&["host", "block", "127.0.0.1", "--remark", "for a test"]).well(), "");
    assert_eq!(ask().await.error(), (403, "IPNotAllowed".to_owned()));
    let rules = home.run(&["host", "rules"]).well();
    assert!(rules.contains("block 127.0.0.1/32") && rules.contains("for a test"), "{rules}");
    let list = home.run(&["host", "list", "--json"]).json();
    assert_eq!((&list["hosts"][0]["verdict"], &list["hosts"][0]["lent"]), (&json!("blocked"), &json!(1)), "{list}");
    assert!(home.run(&["host", "show", "127.0.0.1"]).well().contains("the rule `block 127.0.0.1/32` blocks it"));
    assert_eq!(home.run(&["host", "unblock", "127.0.0.1"]).well(), "");
    assert_eq!(home.run(&["host", "unblock", "127.0.0.1"]).sentence(1), "there is no rule `block 127.0.0.1/32`");
    assert_eq!(ask().await.status, 200);

    let silent = home.run(&["host", "check", "192.0.2.1"]).well();
    assert!(silent.contains("unanswered") && silent.contains("127.0.0.1:1  PTR"), "{silent}");
    assert_eq!(served.end(Signal::TERM).0, Some(0));
    let list = home.run(&["host", "list", "--json"]).json();
    assert_eq!(
        (&list["hosts"][0]["lent"], &list["hosts"][0]["refused"]),
        (&json!(2), &json!(1)),
        "at rest, nothing lost"
    );
}

#[test]
fn the_doctor_ends_with_an_error_while_something_is_wrong() {
    let home = Home::new();
    home.write_settings(SETTINGS);
    let Outcome { code, stdout, stderr } = home.run(&["doctor"]);
    assert_eq!(code, 1, "there is no broker");
    assert!(stdout.starts_with("GRADE") && stdout.contains("host credentials  machines are lent"), "{stdout}");
    assert!(stdout.contains("problem  broker"), "{stdout}");
    assert!(stderr.contains("findings are problems"), "{stderr}");
    let findings = home.run(&["doctor", "--json"]);
    assert!(findings.stdout.contains("\"grade\": \"problem\""), "{}", findings.stdout);
}

#[tokio::test]
async fn what_is_missing_for_machines_is_in_the_log() {
    let home = Home::new();
    home.write_settings("TASKCLUSTER_SCOPE_BASE=assume:host:\nTASKCLUSTER_CLIENT_ID_BASE=host/\n");
    let served = home.serve();
    let answer = exchange(served.address, "GET", &Ask::get("/v1/credentials").bytes()).await;
    assert_eq!(answer.error(), (503, "ServiceUnavailable".to_owned()));
    let line = served.wait_for("it is not set up for it");
    for (name, is_missing) in
        [("TASKCLUSTER_CLIENT_ID,", true), ("TASKCLUSTER_ALLOWED_IPS", true), ("TASKCLUSTER_SCOPE_BASE", false)]
    {
        assert_eq!(line.contains(name), is_missing, "{name}: {line}");
    }
}

/// A file below a root, with its mode.
fn put(root: &Path, path: &str, content: &str, mode: u32) {
    let path = root.join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, content).unwrap();
    std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[test]
fn the_doctor_looks_at_an_installed_host_and_says_what_is_wrong_there() {
    let home = Home::new();
    let root = home.dir.path().join("root");
    let look = || home.run(&["doctor", "--install", root.to_str().unwrap()]).stdout;
    let bare = look();
    for part in ["problem  program", "problem  settings file", "there is no user keylender", "neither a unit nor"] {
        assert!(bare.contains(part), "{part}: {bare}");
    }
    let user = rustix::process::geteuid().as_raw();
    put(&root, "etc/passwd", &format!("root:x:0:0::/:\nkeylender:x:{user}:9::/:\n"), 0o644);
    put(&root, "usr/bin/keylender", "", 0o755);
    put(&root, "etc/keylender.conf", "", 0o644);
    put(&root, "etc/logrotate.d/keylender", "", 0o644);
    put(&root, "etc/rc.d/init.d/keylender", "", 0o755);
    for (directory, mode) in [("var/lib/keylender", 0o700), ("var/log/keylender", 0o750)] {
        std::fs::create_dir_all(root.join(directory)).unwrap();
        std::fs::set_permissions(root.join(directory), Permissions::from_mode(mode)).unwrap();
    }
    let open = look();
    assert!(open.contains(&format!("chmod 640 {}/etc/keylender.conf", root.display())), "{open}");
    assert!(open.contains("it does not start at boot: chkconfig keylender on"), "{open}");
    put(&root, "etc/keylender.conf", "", 0o640);
    put(&root, "etc/rc.d/rc3.d/S85keylender", "", 0o755);
    put(&root, "etc/passwd", &format!("keylender:x:{}:9::/:\n", user + 1), 0o644);
    let foreign = look();
    assert!(foreign.contains("chown keylender") && !foreign.contains("chmod"), "{foreign}");
    put(&root, "etc/passwd", &format!("keylender:x:{user}:9::/:\n"), 0o644);
    let whole = look();
    for about in ["program", "settings file", "user", "data directory", "log directory", "service", "log rotation"] {
        assert!(whole.lines().any(|line| line.starts_with("well") && line.contains(about)), "{about}: {whole}");
    }
}
