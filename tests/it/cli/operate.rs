//! Operating: the same commands, while the appliance runs and while it rests.

use rustix::process::Signal;
use serde_json::json;

use super::Home;

#[test]
fn clients_are_managed_the_same_way_while_it_runs_and_while_it_rests() {
    let home = Home::new();
    for runs in [false, true] {
        let served = runs.then(|| home.serve());
        let made = home
            .run(&[
                "client",
                "create",
                "team/builds",
                "--scope",
                "pulse:namespace:taskcluster-*",
                "--scope",
                "b",
                "--description",
                "for CI",
            ])
            .well();
        let token = made.lines().find_map(|line| line.strip_prefix("access token: ")).unwrap();
        assert_eq!(token.len(), 44);
        assert!(made.contains("client id:    team/builds\n") && made.contains("not shown again"), "{made}");
        let table = home.run(&["client", "list"]).well();
        assert!(table.starts_with("CLIENT       EXPIRES"), "{table}");
        assert!(table.contains("pulse:namespace:taskcluster-* b") && !table.contains(token), "{table}");
        let again = home.run(&["client", "create", "team/builds", "--scope", "a"]).sentence(1);
        assert_eq!(again, "client `team/builds` exists: reset or delete it");
        let reset = home.run(&["client", "reset", "team/builds", "--json"]).json();
        assert_eq!(reset["clientId"], "team/builds");
        assert_ne!(reset["accessToken"], json!(token));
        for (verb, disabled) in [("disable", true), ("enable", false)] {
            assert_eq!(home.run(&["client", verb, "team/builds"]).well(), "");
            let list = home.run(&["client", "list", "--json"]).json();
            assert_eq!(list["clients"][0]["disabled"], disabled);
        }
        assert_eq!(home.run(&["client", "delete", "team/builds"]).well(), "");
        let gone = home.run(&["client", "delete", "team/builds"]).sentence(1);
        assert_eq!(gone, "there is no client `team/builds`");
        if let Some(served) = served {
            assert_eq!(served.end(Signal::TERM).0, Some(0));
        }
    }
}

#[test]
fn a_client_may_have_an_end() {
    let home = Home::new();
    home.run(&["client", "create", "a", "--scope", "a", "--lasts", "90 days"]).well();
    home.run(&["client", "create", "b", "--scope", "a"]).well();
    let list = home.run(&["client", "list", "--json"]).json();
    let year = |at: usize| list["clients"][at]["expires"].as_str().unwrap()[..4].parse::<u32>().unwrap();
    assert!(year(0) < year(1) - 900);
    assert_eq!(home.run(&["client", "create", "c", "--scope", "a", "--lasts", "soon"]).code, 2);
}

#[test]
fn roles_are_made_listed_and_deleted() {
    let home = Home::new();
    for served in [None, Some(home.serve())] {
        home.run(&["role", "create", "pulse-user:*", "--scope", "pulse:namespace:<..>"]).well();
        let table = home.run(&["role", "list"]).well();
        assert_eq!(table, "ROLE          SCOPES\npulse-user:*  pulse:namespace:<..>\n");
        let list = home.run(&["role", "list", "--json"]).json();
        assert_eq!(list, json!({"roles": [{"roleId": "pulse-user:*", "scopes": ["pulse:namespace:<..>"]}]}));
        home.run(&["role", "create", "loop", "--scope", "assume:loop"]).sentence(1);
        home.run(&["role", "delete", "pulse-user:*"]).well();
        assert_eq!(home.run(&["role", "delete", "pulse-user:*"]).code, 1);
        drop(served);
    }
}

#[test]
fn rules_for_queues_are_set_listed_and_removed() {
    let home = Home::new();
    let builds = "queue/taskcluster-builds/*";
    for served in [None, Some(home.serve())] {
        home.run(&["queue", "rule", "*/idle", "--no-consumer", "7 days", "--remark", "ask ops"]).well();
        home.run(&["queue", "rule", builds, "--warn", "1"]).well();
        let ruled = ["--warn", "9000", "--delete", "50000", "--grace", "6 hours", "--warn-bytes", "5"];
        home.run(&[&["queue", "rule", builds, "--exempt-until", "2027-01-01T00:00:00Z"], &ruled[..]].concat()).well();
        let list = home.run(&["queue", "rules", "--json"]).json();
        let (idle, ours) = (
            json!({"pattern": "*/idle", "unconsumedSeconds": 604_800, "graceSeconds": 0, "remark": "ask ops"}),
            json!({"pattern": builds, "warnMessages": 9000, "deleteMessages": 50_000, "warnBytes": 5, "remark": "",
                   "graceSeconds": 21_600, "exemptUntil": "2027-01-01T00:00:00.000Z"}),
        );
        assert_eq!(list, json!({"rules": [idle, ours]}));
        assert!(home.run(&["queue", "rules"]).well().starts_with("PATTERN  "));
        let wrong = home.run(&["queue", "rule", builds, "--delete", "1"]).lines(1);
        assert!(wrong.contains("the warning must come before the deletion"), "{wrong}");
        let wordy = home.run(&["queue", "rule", builds, "--remark", &"é".repeat(501)]).lines(1);
        assert!(wordy.contains("the remark has more than 1000 bytes"), "{wordy}");
        home.run(&["queue", "rule", "", "--warn", "1"]).lines(1);
        home.run(&["queue", "unrule", "*/idle"]).well();
        home.run(&["queue", "unrule", builds]).well();
        let gone = home.run(&["queue", "unrule", builds]).sentence(1);
        assert_eq!(gone, format!("there is no rule for '{builds}'"));
        let forecast = home.run(&["queue", "forecast", "queue/taskcluster-builds/jobs"]).well();
        assert_eq!(forecast, "it does not grow, or was not looked at often enough\n");
        drop(served);
    }
}

#[test]
fn an_alarm_is_acknowledged_by_its_name_without_typing_what_it_says() {
    let home = Home::new();
    assert!(home.run(&["alarm", "list"]).well().starts_with("ALARM  "));
    for (served, reason) in [(None, "the disk comes tomorrow"), (Some(home.serve()), "the disk is late")] {
        // One word or two: it is the same alarm.
        let named: &[&str] = if served.is_some() { &["backups none"] } else { &["backups", "none"] };
        let acknowledge = |more: &[&str]| home.run(&[&["alarm", "acknowledge"], named, more].concat());
        let changed = acknowledge(&["--text", "The newest backup is too old", "--reason", reason]).sentence(1);
        assert_eq!(changed, "the alarm says something else now: There is no backup yet");
        assert_eq!(acknowledge(&[]).code, 2, "a reason is needed");
        assert!(acknowledge(&["--reason", " "]).lines(1).contains("say why"));
        let said = acknowledge(&["--reason", reason]).well();
        assert_eq!(said, "acknowledged: There is no backup yet\n", "what was taken as seen is printed");
        let list = home.run(&["alarm", "list", "--json"]).json();
        let alarms = list["alarms"].as_array().unwrap();
        let alarm = alarms.iter().find(|alarm| alarm["alarm"] == "backups none").unwrap();
        assert_eq!(alarm["acknowledged"]["reason"], reason);
        let shown = home.run(&["alarm", "list"]).well();
        let line = shown.lines().find(|line| line.starts_with("backups none  warning  ")).unwrap();
        assert!(line.contains("local uid ") && line.ends_with("  There is no backup yet"), "{shown}");
        let unknown = home.run(&["alarm", "acknowledge", "backups", "nine", "--reason", "x"]).sentence(1);
        assert!(unknown.starts_with("there is no alarm `backups nine` now; there are "), "{unknown}");
        assert!(unknown.contains("backups none"), "{unknown}");
        drop(served);
    }
}

#[test]
fn the_audit_log_tells_who_did_what_and_is_whole() {
    let home = Home::new();
    home.run(&["client", "create", "builds", "--scope", "a"]).well();
    let served = home.serve();
    home.run(&["role", "create", "r", "--scope", "b"]).well();
    let shown = home.run(&["audit", "show"]).well();
    let lines: Vec<&str> = shown.lines().collect();
    assert_eq!(lines.len(), 2, "{shown}");
    assert!(lines[0].contains("local uid ") && lines[0].contains("client.create builds: "), "{shown}");
    assert!(lines[1].trim_start().starts_with("2  ") && lines[1].contains(" r: "), "{shown}");
    let from = home.run(&["audit", "show", "--from", "2", "--json"]).json();
    assert_eq!((&from["seq"], &from["object"]), (&json!(2), &json!("r")));
    let running = home.run(&["audit", "verify", "--json"]).json();
    assert_eq!(running["entries"], 2);
    assert_eq!(served.end(Signal::TERM).0, Some(0));
    assert_eq!(home.run(&["audit", "verify", "--json"]).json(), running);
}

#[test]
fn an_empty_appliance_has_empty_lists() {
    let home = Home::new();
    assert_eq!(home.run(&["namespace", "list"]).well(), "NAMESPACE  CREATED  EXPIRES  LAST CONNECTED  CONTACT\n");
    assert_eq!(home.run(&["namespace", "list", "--json"]).json(), json!([]));
    assert_eq!(home.run(&["client", "list", "--json"]).json(), json!({"clients": []}));
    assert_eq!(home.run(&["audit", "show"]).well(), "");
    assert!(home.run(&["audit", "verify"]).well().starts_with("the chain is whole: 0 entries"));
    let line = home.run(&["namespace", "show", "taskcluster-none"]).sentence(1);
    assert_eq!(line, "namespace 'taskcluster-none' does not exist");
}

#[test]
fn a_reader_that_goes_away_is_no_trouble() {
    let home = Home::new();
    home.run(&["client", "create", "a", "--scope", "a"]).well();
    let mut child = home.command(&["client", "list"]).stdout(std::process::Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_change_is_asked_for_what_it_would_do_and_done_with_a_reason() {
    let home = Home::new();
    let help = home.run(&["loop", "pause", "--help"]).well();
    assert!(help.starts_with("Keeps a loop from running by itself\n"), "{help}");
    let planned = home.run(&["loop", "pause", "expire", "--plan"]).well();
    assert!(planned.starts_with("expire does not run by itself until somebody resumes it."), "{planned}");
    let paused = |home: &Home| home.run(&["loop", "list", "--json"]).json()["loops"][1]["paused"].clone();
    assert_eq!(paused(&home), false);
    assert_eq!(home.run(&["loop", "pause", "expire", "--reason", "we move; 50%"]).well(), "");
    assert_eq!(paused(&home), true);
    let entries = home.run(&["audit", "show", "--json"]).well();
    assert!(entries.contains(r#""reason":"we move; 50%""#), "{entries}");
    let planned = home.run(&["queue", "purge", "x", "--plan"]).sentence(1);
    assert_eq!(planned, "no namespace has a queue of this name now", "as the purge itself would fail");
    assert_eq!(home.run(&["queue", "purge", "x"]).code, 2, "its reason is missing");
}

#[test]
fn whatever_a_command_would_change_it_says_first_and_leaves_alone() {
    let home = Home::new();
    home.run(&["operator", "create", "ada", "--role", "admin"]).well();
    home.run(&["client", "create", "builds", "--scope", "a"]).well();
    home.run(&["host", "block", "10.1.0.0/16", "--reason", "sold"]).well();
    home.run(&["queue", "rule", "a*", "--warn", "5"]).well();
    let list = || home.run(&["audit", "show", "--json"]).well();
    let before = list();
    assert!(before.contains(r#""reason":"sold""#), "{before}");
    for (command, said) in [
        (&["client", "create", "c", "--scope", "a"][..], "It gets the scope a."),
        (&["client", "change", "builds", "--scope", "b"], "It loses the scope a."),
        (&["client", "reset", "builds", "--keep-old", "1 day"], "works until"),
        (&["client", "certificate", "builds", "--none"], "No certificate stands for builds any more."),
        (&["role", "create", "r", "--scope", "a"], "There is a role r"),
        (&["operator", "create", "bob", "--role", "viewer"], "There is an operator bob."),
        (&["operator", "reset", "ada"], "They get a new password"),
        (&["operator", "role", "ada", "viewer"], "Instead of admin they are viewer"),
        (&["operator", "disable", "ada"], "Their sessions end at once."),
        (&["operator", "delete", "ada"], "They are removed."),
        (&["host", "pin", "a.example", "10.1.2.3"], "believed only from 10.1.2.3"),
        (&["host", "unblock", "10.1.0.0/16"], "It was decided by"),
        (&["queue", "rule", "b*", "--delete", "90000"], "They are deleted beyond 90000 messages."),
        (&["queue", "unrule", "a*"], "count by the next rule"),
        (&["alarm", "acknowledge", "backups", "none"], "There is no backup yet"),
        (&["lease", "revoke", "--kind", "client"], "builds"),
        (&["key", "rotate"], "All secrets are sealed by a new key"),
        (&["backup", "now"], "written to a sealed file"),
        (&["audit", "prune", "--before", "2025-01-01T00:00:00Z"], "No entry is that old."),
    ] {
        let planned = home.run(&[command, &["--plan"]].concat()).well();
        assert!(planned.contains(said), "{command:?}: {planned}");
    }
    assert_eq!(list(), before, "nothing was changed");
    assert_eq!(home.run(&["client", "disable", "none", "--plan"]).sentence(1), "there is no client `none`");
    assert_eq!(home.run(&["alarm", "acknowledge", "backups", "none"]).code, 2, "its reason is missing");
}
