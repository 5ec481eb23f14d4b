//! Leases on the command line: listed, taken back after a look at the plan, and found in the log afterwards.

use super::Home;

fn home() -> Home {
    let home = Home::new();
    home.run(&["client", "create", "builds", "--scope", "a"]).well();
    home.run(&["client", "create", "tests", "--scope", "a"]).well();
    home
}

#[test]
fn what_is_lent_is_listed_and_taken_back_only_when_somebody_says_so() {
    for is_served in [false, true] {
        let home = home();
        let _served = is_served.then(|| home.serve());
        let lines = |arguments: &[&str]| home.run(arguments).well().lines().count();
        assert_eq!(lines(&["lease", "list"]), 3, "a heading and two");
        assert_eq!(lines(&["lease", "list", "--prefix", "bui"]), 2);
        assert_eq!(lines(&["lease", "list", "--unused", "1 day"]), 1, "nothing is that old");
        assert_eq!(lines(&["client", "list", "--unused", "1 day"]), 1);
        assert_eq!(lines(&["namespace", "list", "--unused", "1 day"]), 1);

        let revoke = |more: &[&str]| home.run(&[&["lease", "revoke", "--reason", "found in a log"], more].concat());
        let planned = revoke(&["--holder", "builds"]).well();
        assert!(planned.contains("disable client builds") && planned.contains("nothing was done"), "{planned}");
        assert_eq!(home.run(&["lease", "list", "--json"]).json()["count"], 2);
        assert!(revoke(&["--yes"]).sentence(1).starts_with("no filter was given"));
        assert_eq!(home.run(&["lease", "revoke", "--holder", "builds", "--yes"]).code, 2, "it needs a reason");
        assert!(home.run(&["lease", "revoke", "--holder", "builds"]).well().contains("1 would be revoked"));
        let done = revoke(&["--holder", "builds", "--yes", "--json"]).json();
        assert_eq!((&done["revoked"][0]["name"], &done["revoked"][0]["outcome"]), (&"builds".into(), &"done".into()));
        assert_eq!(lines(&["lease", "list"]), 2);
        assert_eq!(lines(&["audit", "show", "--action", "lease.revoke", "--object", "builds"]), 1);
        assert_eq!(revoke(&["--holder", "builds", "--yes"]).well(), "nothing that is lent fits\n");
    }
}

#[test]
fn the_log_tells_who_held_what() {
    let home = home();
    home.run(&["client", "disable", "tests"]).well();
    for served in [None, Some(home.serve())] {
        assert_eq!(home.run(&["audit", "at", "2020-01-01T00:00Z", "--json"]).json()["held"], serde_json::json!([]));
        let now = home.run(&["audit", "at", "2999-01-01T00:00:00Z", "--json"]).json();
        assert_eq!((&now["held"][0]["holder"], now["held"].as_array().unwrap().len()), (&"client builds".into(), 1));
        let held = home.run(&["audit", "held", "--object", "tests"]).well();
        assert!(held.lines().count() == 2 && held.contains("removed"), "{held}");
        assert_eq!(home.run(&["audit", "held"]).code, 2, "of whom?");
        assert_eq!(home.run(&["audit", "at", "then"]).code, 2);
        drop(served);
    }
}
