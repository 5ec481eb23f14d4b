//! Backups on the command line: taken, listed, checked, restored, and killed at any moment.

use std::time::Duration;

use rustix::process::Signal;

use super::Home;

/// A home with so many clients.
fn home(clients: usize) -> Home {
    let home = Home::new();
    let served = home.serve();
    for n in 0..clients {
        home.run(&["client", "create", &format!("c{n}"), "--scope", "a"]).well();
    }
    drop(served);
    home
}

/// Names of the backups.
fn names(home: &Home) -> Vec<String> {
    let list = home.run(&["backup", "list", "--json"]).json();
    list["backups"].as_array().unwrap().iter().map(|backup| backup["name"].as_str().unwrap().to_owned()).collect()
}

fn entries(home: &Home) -> u64 {
    home.run(&["audit", "verify", "--json"]).json()["entries"].as_u64().unwrap()
}

#[test]
fn a_backup_is_taken_checked_and_restored_while_it_runs_and_while_it_rests() {
    let home = home(2);
    for served in [None, Some(home.serve())] {
        let taken = home.run(&["backup", "now"]).well();
        let name = taken.split(' ').next().unwrap().to_owned();
        assert!(taken.contains("was taken and is whole: made at "), "{taken}");
        assert!(names(&home).contains(&name));
        assert!(home.run(&["backup", "verify"]).well().contains("is whole"));
        let path = home.data_dir().join("backups").join(&name);
        assert!(home.run(&["backup", "verify", &name]).well().starts_with(&name));
        home.run(&["backup", "verify", path.to_str().unwrap()]).well();
        let refused = home.run(&["restore", path.to_str().unwrap()]).sentence(1);
        assert!(refused.starts_with("the data directory holds a store"), "{refused}");
        if served.is_some() {
            // Its store was moved away, and it was not stopped: it works on with the moved one.
            let (store, moved) =
                (home.data_dir().join("keylender.redb"), home.data_dir().join("keylender.redb.before"));
            std::fs::rename(&store, &moved).unwrap();
            let refused = home.run(&["restore", path.to_str().unwrap()]).sentence(1);
            assert_eq!(refused, "keylender runs in this data directory: stop it first");
            assert!(!store.exists());
            std::fs::rename(&moved, &store).unwrap();
        }
        drop(served);
    }
    assert_eq!(
        home.run(&["backup", "verify", "keylender-1.backup"]).sentence(1),
        "there is no backup `keylender-1.backup`"
    );

    // Elsewhere, with nothing but the backup and the key.
    let elsewhere = Home::new();
    let last = names(&home).pop().unwrap();
    let backup = home.data_dir().join("backups").join(last);
    let key = home.data_dir().join("key");
    let arguments = ["restore", backup.to_str().unwrap(), "--key-file", key.to_str().unwrap()];
    let restored = elsewhere.run(&arguments).well();
    assert!(
        restored.contains("is not in it; when keylender starts, every broker user gets the password"),
        "{restored}"
    );
    elsewhere.write_settings(&format!("KEY_FILE={}\n", key.display()));
    let served = elsewhere.serve();
    let listed = elsewhere.run(&["client", "list", "--json"]).json();
    assert_eq!(listed["clients"].as_array().unwrap().len(), 2);
    elsewhere.run(&["audit", "verify"]).well();
    let shown = elsewhere.run(&["audit", "show", "--action", "store.restore"]).well();
    assert_eq!(shown.lines().count(), 1, "{shown}");
    drop(served);
    drop(elsewhere.serve());
    assert_eq!(elsewhere.run(&["audit", "show", "--action", "store.restore"]).well(), shown, "it is told once");
}

#[test]
fn the_loops_take_backups_keep_the_newest_and_try_one() {
    let home = home(1);
    home.write_settings("BACKUP_KEEP=2\n");
    let served = home.serve();
    for _ in 0..3 {
        home.run(&["loop", "run", "backup"]).well();
    }
    let kept = names(&home);
    assert_eq!(kept.len(), 2);
    let drilled = home.run(&["loop", "run", "drill"]).well();
    assert!(drilled.starts_with(&format!("{} becomes a store with", kept[1])), "{drilled}");
    let list = home.run(&["backup", "list", "--json"]).json();
    assert!(list["backups"][1]["drilled"].is_string() && list["backups"][1]["verified"].is_string(), "{list}");

    // A backup that rots is found by the drill, and named.
    let path = home.data_dir().join("backups").join(&kept[1]);
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() * 3 / 4;
    bytes[middle] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    assert_eq!(home.run(&["loop", "run", "drill"]).code, 1);
    let list = home.run(&["backup", "list", "--json"]).json();
    assert_eq!(list["backups"][1]["problem"], "the backup is damaged");
    assert!(!home.data_dir().join("drill").exists());
    drop(served);
}

#[test]
fn a_backup_just_taken_stays_even_if_a_clock_that_ran_ahead_left_later_ones() {
    let home = home(1);
    home.write_settings("BACKUP_KEEP=2\n");
    let shelf = home.data_dir().join("backups");
    std::fs::create_dir_all(&shelf).unwrap();
    for year in [2998, 2999] {
        std::fs::write(shelf.join(format!("keylender-{year}0101T000000.000Z.backup")), "of a clock that ran").unwrap();
    }
    let taken = home.run(&["backup", "now"]).well();
    assert!(shelf.join(taken.split(' ').next().unwrap()).exists(), "{taken}");
    assert_eq!(names(&home).len(), 2);
}

#[test]
fn being_killed_while_a_backup_is_taken_or_restored_loses_nothing() {
    let home = home(3);
    let before = entries(&home);
    let kill_after = |home: &Home, arguments: &[&str], micros: u64| {
        let mut child = home.command(arguments).stdout(std::process::Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_micros(micros));
        child.kill().unwrap();
        child.wait().unwrap();
    };
    for step in 0..20 {
        kill_after(&home, &["backup", "now"], step * 3000);
        for name in names(&home) {
            home.run(&["backup", "verify", &name]).well();
        }
        assert!(entries(&home) >= before);
    }
    home.run(&["backup", "now"]).well();

    let backup = home.data_dir().join("backups").join(names(&home).pop().unwrap());
    let key = home.data_dir().join("key");
    let arguments = ["restore", backup.to_str().unwrap(), "--key-file", key.to_str().unwrap()];
    for step in 0..20 {
        let elsewhere = Home::new();
        kill_after(&elsewhere, &arguments, step * 2000);
        // There is a whole store or none, and whoever tries again gets one.
        if !elsewhere.store().exists() {
            elsewhere.run(&arguments).well();
        }
        elsewhere.write_settings(&format!("KEY_FILE={}\n", key.display()));
        assert!(entries(&elsewhere) >= before);
    }
}

#[test]
fn being_killed_while_the_key_changes_loses_nothing() {
    let home = home(3);
    for step in 0..20 {
        let mut child = home.command(&["key", "rotate"]).stdout(std::process::Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_micros(step * 3000));
        child.kill().unwrap();
        child.wait().unwrap();
        home.run(&["audit", "verify"]).well();
    }
    // The next start carries through what was broken off; the file of the new key goes last.
    let served = home.serve();
    let state = || home.run(&["key", "show", "--json"]).json();
    let begun = std::time::Instant::now();
    while state()["isChanging"] == true || home.data_dir().join("key.next").exists() {
        assert!(begun.elapsed() < crate::wire::PATIENCE, "it ends");
        std::thread::sleep(Duration::from_millis(10));
    }
    served.end(Signal::TERM);
    assert!(!home.data_dir().join("key.next").exists());
}
