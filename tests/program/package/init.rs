//! The init script under a small shell, with a double of EL6's functions: every action and its exit code.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::symlink;

use super::host::{Host, Said, TOP, free_port};
use crate::static_program::static_program;

/// A host where the files of the package lie, and one instance that is set up.
fn installed(port: u16) -> Host {
    let host = Host::new();
    fs::copy(static_program(), host.path("usr/bin/keylender")).unwrap();
    host.shell("groupadd keylender; useradd keylender; mkdir -p /var/log/keylender").well();
    host.shell("chown keylender:keylender /var/log/keylender").well();
    fs::copy(format!("{TOP}/packaging/keylender.init"), host.path("etc/rc.d/init.d/keylender")).unwrap();
    settings(&host, "keylender", &format!("PORT={port}\nBIND=127.0.0.1\nFORCE_SSL=false\nNODE_ENV=production\n"));
    host
}

fn settings(host: &Host, name: &str, text: &str) {
    host.write(&format!("etc/{name}.conf"), text);
    host.shell(&format!("chgrp keylender /etc/{name}.conf; chmod 640 /etc/{name}.conf")).well();
}

fn does(host: &Host, name: &str, action: &str) -> Said {
    host.run(&[&format!("/etc/init.d/{name}"), action])
}

fn code(host: &Host, action: &str) -> i32 {
    does(host, "keylender", action).code
}

#[test]
fn every_action_has_the_exit_code_of_lsb() {
    let host = installed(free_port());
    for (action, expected) in [("status", 3), ("stop", 0), ("condrestart", 0), ("reload", 7), ("nonsense", 2)] {
        assert_eq!(code(&host, action), expected, "{action} of what is stopped");
    }
    let started = does(&host, "keylender", "start").well();
    assert!(started.contains("Starting keylender: [  OK  ]"), "{started}");
    let pid = host.read("var/run/keylender.pid");
    let process =
        host.shell(&format!("grep -E '^(Uid|Max open)' /proc/{0}/status /proc/{0}/limits", pid.trim())).well();
    assert!(process.contains("490") && process.contains("4096"), "rights are dropped, files allowed: {process}");
    assert_eq!((code(&host, "start"), code(&host, "status")), (0, 0), "a start of what runs does nothing");
    assert_eq!(host.read("var/run/keylender.pid"), pid);
    assert_eq!((code(&host, "reload"), code(&host, "force-reload")), (0, 0));
    assert_eq!(code(&host, "condrestart"), 0);
    assert_ne!(host.read("var/run/keylender.pid"), pid, "it was restarted");
    assert_eq!(code(&host, "restart"), 0);
    let log = host.read("var/log/keylender/keylender.log");
    assert_eq!(log.matches("listens on http://").count(), 3, "and no log was lost: {log}");
    assert_eq!((code(&host, "stop"), code(&host, "status")), (0, 3));
    assert!(host.read("var/log/keylender/keylender.log").ends_with("lifecycle: stopped\n"), "gracefully");
    assert!(host.read("var/log/keylender/keylender.out").contains("/setup?token="), "the link for the first account");
    assert!(!host.path("var/run/keylender.pid").exists() && !host.path("var/lock/subsys/keylender").exists());
}

#[test]
fn on_a_host_so_busy_that_the_program_begins_late_a_start_waits_for_it() {
    let host = installed(free_port());
    // Between the fork and the program there is a shell for a while.
    host.write("sbin/late", "#!/bin/sh\nsleep 3\nexec setsid \"$@\"\n");
    host.write(
        "sbin/runuser",
        "#!/bin/sh\ncommand=$(echo \"$5\" | sed 's|setsid|/sbin/late|')\nexec su -s \"$2\" \"$3\" -c \"$command\"\n",
    );
    host.shell("chmod 755 /sbin/late /sbin/runuser").well();
    let started = does(&host, "keylender", "start").well();
    assert!(started.contains("[  OK  ]"), "{started}");
    assert_eq!((code(&host, "status"), code(&host, "stop")), (0, 0));
}

#[test]
fn a_stale_pid_file_stops_nobody_and_no_start() {
    let host = installed(free_port());
    // A number that nobody has, one that another program has, and none at all.
    for (number, kind) in [("99999999", "nobody's"), ("1", "another program's"), ("x", "no number")] {
        host.write("var/run/keylender.pid", number);
        assert_eq!(code(&host, "status"), 1, "{kind}");
        does(&host, "keylender", "stop").well();
        host.write("var/run/keylender.pid", number);
        does(&host, "keylender", "start").well();
        assert_eq!(code(&host, "status"), 0, "{kind}");
        does(&host, "keylender", "stop").well();
    }
    host.shell("touch /var/lock/subsys/keylender").well();
    assert_eq!(code(&host, "status"), 2);
    does(&host, "keylender", "start").well();
    host.shell("kill -9 $(cat /var/run/keylender.pid); sleep 1").well();
    assert_eq!(code(&host, "status"), 1, "killed");
    does(&host, "keylender", "restart").well();
    assert_eq!(code(&host, "status"), 0);
}

#[test]
fn a_start_that_fails_says_why() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = installed(taken.local_addr().unwrap().port());
    let said = does(&host, "keylender", "start");
    assert_eq!(said.code, 1, "{}", said.text);
    assert!(said.text.contains("[FAILED]") && said.text.contains("did not start"), "{}", said.text);
    assert!(said.text.contains("in use"), "the last lines tell that the port is taken: {}", said.text);
    assert_eq!(code(&host, "status"), 3);

    settings(&host, "keylender", "PORT=eighty\nNODE_ENV=production\nNAMESPACE_PREFX=a\n");
    let said = does(&host, "keylender", "start");
    assert_eq!(said.code, 6);
    assert!(said.text.contains("keylender.conf:1: PORT: ") && said.text.contains("NAMESPACE_PREFIX"), "{}", said.text);
    settings(&host, "keylender", "PORT='8080\nif\n");
    let said = does(&host, "keylender", "start");
    assert!(said.code == 6 && said.text.contains("keylender.conf:1: "), "no shell can read it: {said:?}");
    host.shell("chmod 600 /etc/keylender.conf").well();
    let said = does(&host, "keylender", "start");
    assert!(said.code == 6 && said.text.contains("chmod 640 /etc/keylender.conf"), "{said:?}");
    fs::remove_file(host.path("etc/keylender.conf")).unwrap();
    assert_eq!(code(&host, "start"), 6);
    fs::remove_file(host.path("usr/bin/keylender")).unwrap();
    assert_eq!(code(&host, "start"), 5);
}

#[test]
fn a_link_is_another_instance_and_takes_the_settings_file_of_the_ancestor() {
    let host = installed(free_port());
    let port = free_port();
    symlink("keylender", host.path("etc/rc.d/init.d/host-secrets")).unwrap();
    settings(
        &host,
        "host-secrets",
        &format!(
            "# of the package before\nexport TASKCLUSTER_CLIENT_ID=project/host-secrets\n\
             export TASKCLUSTER_ACCESS_TOKEN=a-permanent-token\nexport NODE_ENV=production\nexport DEBUG=\"*\"\n\
             OPTIONS=\"--scope-base assume:host: --client-id-base host/ --expires '1 day' --allowed-ips 127.0.0.0/8 \
             --force-ssl false --port {port}\"\n"
        ),
    );
    for name in ["keylender", "host-secrets"] {
        does(&host, name, "start").well();
    }
    host.write("etc/hosts", "127.0.0.1 localhost machine.example.test\n");
    let answer = host.shell(&format!("wget -qO- http://127.0.0.1:{port}/v1/ping")).well();
    assert!(answer.contains("alive"), "{answer}");
    let line = host.shell("tr '\\0' ' ' </proc/$(cat /var/run/host-secrets.pid)/cmdline").well();
    assert!(!line.contains("a-permanent-token"), "no user of the host reads the token: {line}");
    assert!(
        host.path("var/lib/host-secrets/keylender.redb").exists()
            && host.path("var/lib/keylender/keylender.redb").exists()
    );
    does(&host, "keylender", "stop").well();
    assert_eq!((code(&host, "status"), does(&host, "host-secrets", "status").code), (3, 0));
    does(&host, "host-secrets", "stop").well();
}
