//! The audit log on the command line: filtered, followed, exported, checked in a file, and asked for a secret.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};

use rustix::process::{Pid, Signal, kill_process};

use super::Home;
use crate::wire::PATIENCE;

/// A home with a log of four entries.
fn home() -> Home {
    let home = Home::new();
    home.run(&["client", "create", "builds", "--scope", "a"]).well();
    home.run(&["role", "create", "r", "--scope", "b"]).well();
    home.run(&["client", "disable", "builds"]).well();
    home.run(&["role", "delete", "r"]).well();
    home
}

fn numbers(shown: &str) -> Vec<u64> {
    shown.lines().map(|line| line.split_whitespace().next().unwrap().parse().unwrap()).collect()
}

#[test]
fn entries_are_shown_by_actor_action_object_outcome_and_time() {
    let home = home();
    for served in [None, Some(home.serve())] {
        for (filter, expected) in [
            (&["--action", "client.create"][..], &[1][..]),
            (&["--action", "client."], &[1, 3]),
            (&["--action", "role.*", "--from", "3"], &[4]),
            (&["--object", "r"], &[2, 4]),
            (&["--object", "r", "--action", "client.*"], &[]),
            (&["--actor", "local"], &[1, 2, 3, 4]),
            (&["--actor", "client builds"], &[]),
            (&["--outcome", "done"], &[1, 2, 3, 4]),
            (&["--outcome", "failed"], &[]),
            (&["--since", "1 hour"], &[1, 2, 3, 4]),
            (&["--until", "1 hour"], &[]),
            (&["--since", "2999-01-01T00:00:00Z"], &[]),
        ] {
            let shown = home.run(&[&["audit", "show"], filter].concat()).well();
            assert_eq!(numbers(&shown), expected, "{filter:?}: {shown}");
        }
        drop(served);
    }
    assert_eq!(home.run(&["audit", "show", "--since", "soon"]).code, 2);
    assert_eq!(home.run(&["audit", "show", "--outcome", "maybe"]).code, 2);
    let wrong = home.run(&["audit", "show", "--action", "Client"]).lines(1);
    assert!(wrong.contains("action=\"Client\" does not match expression"), "{wrong}");
}

#[test]
fn an_export_is_the_chain_and_is_checked_without_a_store() {
    let home = home();
    let verified = home.run(&["audit", "verify"]).well();
    for served in [None, Some(home.serve())] {
        let lines = home.run(&["audit", "export"]).well();
        let (entries, end) = lines.trim_end().rsplit_once('\n').unwrap();
        assert_eq!(entries.to_owned() + "\n", home.run(&["audit", "show", "--json"]).well());
        assert!(end.starts_with("{\"checkpoint\":{\"seq\":4,"), "{end}");
        drop(served);
    }
    assert_eq!(home.run(&["audit", "export", "log.jsonl"]).well(), "exported 4 entries\n");
    let path = home.dir.path().join("log.jsonl");
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let again = home.run(&["audit", "export", "log.jsonl"]).sentence(1);
    assert!(again.starts_with("cannot make log.jsonl: "), "an export is not written over: {again}");

    let elsewhere = Home::new();
    let path = path.to_str().unwrap();
    assert_eq!(elsewhere.run(&["audit", "verify", path]).well(), verified);
    let head = verified.lines().next().unwrap().rsplit_once(' ').unwrap().1;
    let key = verified.lines().last().unwrap().strip_prefix("signed by ").unwrap();
    assert_eq!(elsewhere.run(&["audit", "verify", path, "--head", head, "--key", key, "--json"]).json()["entries"], 4);
    let another = elsewhere.run(&["audit", "verify", path, "--key", &"0".repeat(64)]).sentence(1);
    assert_eq!(another, format!("another key signed it: {key}"));
    let lines = std::fs::read(path).unwrap();
    assert_eq!(elsewhere.run_with(&["audit", "verify", "-", "--head", head], &lines).well(), verified);
    assert!(!elsewhere.data_dir().exists(), "it made no store");

    let third = lines.split_inclusive(|byte| *byte == b'\n').take(3).map(<[u8]>::len).sum::<usize>();
    let cut = elsewhere.run_with(&["audit", "verify", "-", "--head", head], &lines[..third]).sentence(1);
    assert!(cut.starts_with("the file ends with entry 3 and another head"), "{cut}");
    let forged = String::from_utf8(lines).unwrap().replacen("role.create", "role.delete", 1);
    let line = elsewhere.run_with(&["audit", "verify", "-"], forged.as_bytes()).sentence(1);
    assert_eq!(line, "line 3: audit entry 3 does not follow entry 2: one of the two was changed");
    assert!(elsewhere.run(&["audit", "verify", "none.jsonl"]).sentence(1).starts_with("cannot read none.jsonl"));
    assert_eq!(elsewhere.run(&["audit", "verify", "--head", head]).code, 2, "only a file is compared");
}

#[test]
fn a_log_that_was_cut_off_does_not_fit_a_checkpoint_from_before() {
    let home = home();
    let exported = home.run(&["audit", "export"]).well();
    let lines: Vec<&str> = exported.lines().collect();
    let checkpoint = format!("INFO keylender::audit: audit checkpoint {}", lines[4]);
    for served in [None, Some(home.serve())] {
        home.run(&["audit", "verify", "--checkpoint", &checkpoint]).well();
        drop(served);
    }
    let cut = lines[..3].join("\n") + "\n";
    let says =
        |text: &str| home.run_with(&["audit", "verify", "-", "--checkpoint", &checkpoint], text.as_bytes()).sentence(1);
    assert_eq!(says(&cut), "it ends with entry 3, but had 4 when the checkpoint was signed: its end was cut off");
    let another = Home::new();
    another.run(&["client", "create", "x", "--scope", "a"]).well();
    let line = another.run(&["audit", "verify", "--checkpoint", &checkpoint]).sentence(1);
    assert!(line.starts_with("another key signed it: "), "{line}");
    let forged = checkpoint.replace("\"seq\":4", "\"seq\":3");
    let line = home.run(&["audit", "verify", "--checkpoint", &forged]).sentence(1);
    assert!(line.ends_with("is not signed by its key: it was changed"), "{line}");
    let line = home.run(&["audit", "verify", "--checkpoint", "4"]).sentence(1);
    assert_eq!(line, "not a checkpoint as the log has it");
}

#[test]
fn old_entries_are_pruned_on_request_and_those_of_the_last_day_never() {
    let home = home();
    let line = home.run(&["audit", "prune", "--before", "1 hour", "--yes"]).sentence(1);
    assert_eq!(line, "entries of the last day are kept: name an earlier moment");
    assert_eq!(home.run(&["audit", "prune", "--before", "2 days"]).well(), "no entry is that old\n");
    assert_eq!(home.run(&["audit", "prune", "--before", "2 days", "--yes", "--json"]).json()["entries"], 0);
    assert_eq!(home.run(&["audit", "prune"]).code, 2);
}

#[test]
fn the_sealing_key_changes_while_it_runs_and_while_it_rests() {
    let home = home();
    let made = home.run(&["client", "create", "ci", "--scope", "a"]).well();
    let token = made.lines().find_map(|line| line.strip_prefix("access token: ")).unwrap();
    for served in [None, Some(home.serve())] {
        let before = home.run(&["key", "show"]).well();
        let rotated = home.run(&["key", "rotate"]).well();
        let after = home.run(&["key", "show"]).well();
        assert_ne!(before, after);
        assert!(rotated.starts_with(&format!("everything is sealed by the key {after}")), "{rotated}");
        assert!(home.data_dir().join(format!("key.{}", before.trim())).exists());
        let found = home.run_with(&["audit", "find-secret"], token.as_bytes()).well();
        assert_eq!(numbers(&found), [5], "a secret is found across keys: {found}");
        drop(served);
    }
    home.run(&["audit", "verify"]).well();
    let shown = home.run(&["audit", "show", "--action", "key.rotate"]).well();
    assert_eq!(numbers(&shown).len(), 4, "{shown}");
}

#[test]
fn a_secret_is_found_by_its_value_which_comes_in_by_standard_input() {
    let home = home();
    let made = home.run(&["client", "create", "ci", "--scope", "a"]).well();
    let token = made.lines().find_map(|line| line.strip_prefix("access token: ")).unwrap();
    for served in [None, Some(home.serve())] {
        for end in ["", "\n", "\r\n"] {
            let found = home.run_with(&["audit", "find-secret"], format!("{token}{end}").as_bytes()).well();
            assert_eq!(numbers(&found), [5], "{found}");
            assert!(!found.contains(token));
        }
        assert_eq!(home.run_with(&["audit", "find-secret"], b"another").well(), "");
        drop(served);
    }
    let line = home.run_with(&["audit", "find-secret"], b"\n").sentence(1);
    assert_eq!(line, "there is no secret on standard input");
    let line = home.run_with(&["audit", "find-secret"], &[b'x'; 17 << 10]).sentence(1);
    assert_eq!(line, "a secret has at most 16384 bytes");
    assert_eq!(home.run(&["audit", "find-secret", token]).code, 2, "not by the arguments, which anybody may read");
}

/// A `show --follow` at work, and the lines that it prints.
fn follow(home: &Home, arguments: &[&str]) -> (Child, Receiver<String>) {
    let mut command = home.command(&[&["audit", "show", "--follow"], arguments].concat());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let (line_tx, line_rx) = channel();
    std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| line_tx.send(line)));
    (child, line_rx)
}

#[test]
fn following_goes_on_over_a_restart_and_ends_by_ctrl_c() {
    let home = home();
    let line = home.run(&["audit", "show", "--follow"]).sentence(1);
    assert_eq!(line, "the appliance does not run", "whoever follows must not keep it from starting");
    let served = home.serve();
    let (child, shown) = follow(&home, &["--action", "role.*"]);
    let next = || numbers(&shown.recv_timeout(PATIENCE).unwrap())[0];
    assert_eq!([next(), next()], [2, 4]);
    home.run(&["role", "create", "s", "--scope", "b"]).well();
    assert_eq!(next(), 5);
    assert_eq!(served.end(Signal::TERM).0, Some(0));
    home.run(&["role", "delete", "s"]).well();
    let _served = home.serve();
    assert_eq!(next(), 6);
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let ended = child.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(0));
    let told = String::from_utf8(ended.stderr).unwrap();
    assert!(told.is_empty() || told == "keylender: the appliance does not answer; waiting for it\n", "{told}");
}
