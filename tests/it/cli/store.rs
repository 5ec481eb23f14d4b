//! Trouble with the store: one sentence, exit code 1, and nothing is changed.

use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use redb::{Database, ReadableDatabase, TableDefinition};
use rustix::process::Signal;

use super::{BINARY, Home, Outcome};

const META: TableDefinition<&str, &[u8]> = TableDefinition::new("meta");
const AUDIT: TableDefinition<u64, &[u8]> = TableDefinition::new("audit");
/// `nobody`, on every system.
const NOBODY: u32 = 65_534;

/// What may happen to a file.
type Damage = fn(&mut Vec<u8>);

/// A place where an appliance was before.
fn home() -> Home {
    let home = Home::new();
    home.run(&["client", "create", "builds", "--scope", "a"]).well();
    home
}

/// Both ways to open the store say the same.
fn assert_refused(home: &Home, expected: &str) {
    for arguments in [&["serve", "--port", "0"][..], &["client", "list"]] {
        let line = home.run(arguments).sentence(1);
        assert!(line.starts_with(expected), "{arguments:?}: {line}");
    }
}

#[test]
fn a_key_of_another_store() {
    let (home, other) = (home(), home());
    let (before, own) = (home.run(&["audit", "verify"]).well(), fs::read(home.data_dir().join("key")).unwrap());
    fs::copy(other.data_dir().join("key"), home.data_dir().join("key")).unwrap();
    assert_refused(&home, "the key does not open this store: it belongs to another one");
    fs::write(home.data_dir().join("key"), own).unwrap();
    assert_eq!(home.run(&["audit", "verify"]).well(), before, "nothing was changed");
}

#[test]
fn a_key_that_is_missing_is_not_made_anew() {
    let home = home();
    let key = home.data_dir().join("key");
    let saved = fs::read(&key).unwrap();
    fs::remove_file(&key).unwrap();
    assert_refused(&home, "the key file of the store is missing");
    assert!(!key.exists());
    fs::write(&key, &saved[1..]).unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    assert_refused(&home, "the key file does not hold 64 hexadecimal digits");
    fs::write(&key, &saved).unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o640)).unwrap();
    assert_refused(&home, "the key file can be read by others: it needs mode 0600");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    home.run(&["client", "list"]).well();
}

#[test]
fn a_passphrase_that_is_another() {
    let home = Home::new();
    let run = |passphrase: &str| {
        Outcome::of(home.command(&["client", "list"]).env("KEY_PASSPHRASE", passphrase).output().unwrap())
    };
    run("right").well();
    assert!(run("wrong").sentence(1).starts_with("the key does not open this store"));
    run("right").well();
}

#[test]
fn a_store_of_a_newer_version() {
    let home = home();
    let database = Database::open(home.store()).unwrap();
    let tx = database.begin_write().unwrap();
    tx.open_table(META).unwrap().insert("schema", b"99".as_slice()).unwrap();
    tx.commit().unwrap();
    drop(database);
    for arguments in [&["serve", "--port", "0"][..], &["client", "list"]] {
        let line = home.run(arguments).sentence(1);
        assert_eq!(line, "the store was written by a newer keylender (schema 99, this one knows 3): upgrade keylender");
    }
}

#[test]
fn a_file_that_is_damaged() {
    let whole = home();
    let bytes = fs::read(whole.store()).unwrap();
    let damages: [(&str, Damage); 5] = [
        ("text", |bytes| *bytes = b"this was a database once".to_vec()),
        ("a wrong beginning", |bytes| bytes[..64].fill(0)),
        ("half of it", |bytes| bytes.truncate(bytes.len() / 2)),
        ("a few pages", |bytes| bytes.truncate(4096 * 3)),
        ("everything behind the header", |bytes| bytes[512..].fill(0xff)),
    ];
    for (what, damage) in damages {
        let mut damaged = bytes.clone();
        damage(&mut damaged);
        fs::write(whole.store(), &damaged).unwrap();
        for arguments in [&["serve", "--port", "0"][..], &["client", "list"]] {
            let outcome = whole.run(arguments);
            assert_eq!(outcome.code, 1, "{what}: {outcome:?}");
            assert!(
                outcome.stderr.starts_with("keylender: the store is damaged: restore a backup"),
                "{what}: {outcome:?}"
            );
            assert_eq!(outcome.stderr.lines().count(), 1, "{what}: {outcome:?}");
        }
    }
    fs::write(whole.store(), &bytes).unwrap();
    whole.run(&["client", "list"]).well();
}

#[test]
fn a_store_that_another_process_has() {
    let home = home();
    let served = home.serve();
    fs::remove_file(home.data_dir().join("control.sock")).unwrap();
    let line = home.run(&["client", "list"]).sentence(1);
    assert!(line.starts_with("the store is in use by another keylender process"), "{line}");
    assert_eq!(served.end(Signal::TERM).0, Some(0));
}

/// Runs the program as a user who is not root, who may write everywhere.
fn run_as_nobody(home: &Home, arguments: &[&str]) -> Outcome {
    let mut command: Command = home.command(arguments);
    if rustix::process::geteuid().is_root() {
        // The binary's own directory may be closed to others.
        let copy = home.dir.path().join("keylender");
        if !copy.exists() {
            fs::copy(BINARY, &copy).unwrap();
        }
        let mut as_nobody = Command::new(copy);
        as_nobody.args(command.get_args()).env_clear().current_dir("/").uid(NOBODY).gid(NOBODY);
        command = as_nobody;
    }
    Outcome::of(command.arg("--data-dir").arg(home.data_dir()).output().unwrap())
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_directory_that_may_not_be_written() {
    let home = Home::new();
    set_mode(home.dir.path(), 0o755);
    fs::create_dir(home.data_dir()).unwrap();
    set_mode(&home.data_dir(), 0o555);
    let line = run_as_nobody(&home, &["serve", "--port", "0"]).sentence(1);
    assert!(line.starts_with("the store may not be written by this user"), "{line}");
    assert!(line.contains(home.data_dir().to_str().unwrap()), "the operator reads which one: {line}");
}

#[test]
fn a_store_that_belongs_to_somebody_else() {
    let home = home();
    set_mode(home.dir.path(), 0o755);
    set_mode(&home.data_dir(), 0o755);
    set_mode(&home.store(), 0o444);
    let line = run_as_nobody(&home, &["client", "list"]).sentence(1);
    assert!(line.starts_with("the store may not be written by this user"), "{line}");
    set_mode(&home.store(), 0o600);
    if rustix::process::geteuid().is_root() {
        chown(home.store(), Some(0), Some(0)).unwrap();
    }
    let served = home.serve();
    set_mode(&home.data_dir().join("control.sock"), 0o000);
    let outcome = run_as_nobody(&home, &["client", "list"]);
    let line = outcome.sentence(3);
    assert!(line.starts_with("this appliance belongs to another user"), "{line}");
    assert_eq!(served.end(Signal::TERM).0, Some(0));
}

#[test]
fn a_data_directory_that_is_none() {
    let home = Home::new();
    fs::write(home.data_dir(), "a file").unwrap();
    let line = home.run(&["client", "list"]).sentence(1);
    assert!(line.starts_with("the data directory is no directory: ./data: "), "{line}");
}

#[test]
fn an_audit_log_that_was_changed() {
    let home = home();
    for n in 0..3 {
        home.run(&["client", "create", &format!("c{n}"), "--scope", "a"]).well();
    }
    let before = home.run(&["audit", "verify"]).well();
    assert!(before.starts_with("the chain is whole: 4 entries, head "), "{before}");
    let database = Database::open(home.store()).unwrap();
    let entry = database.begin_read().unwrap().open_table(AUDIT).unwrap().get(2).unwrap().unwrap().value().to_vec();
    let forged = String::from_utf8(entry).unwrap().replace("\"c0\"", "\"c9\"");
    let tx = database.begin_write().unwrap();
    tx.open_table(AUDIT).unwrap().insert(2, forged.as_bytes()).unwrap();
    tx.commit().unwrap();
    drop(database);
    let line = home.run(&["audit", "verify"]).sentence(1);
    assert_eq!(line, "audit entry 3 does not follow entry 2: one of the two was changed");
}

#[test]
fn a_byte_that_rots_inside_a_page_is_an_error_and_no_crash() {
    let home = home();
    let len = fs::metadata(home.store()).unwrap().len();
    for page in 1..(len / 4096).min(24) {
        let saved = fs::read(home.store()).unwrap();
        let mut file = fs::OpenOptions::new().write(true).open(home.store()).unwrap();
        file.seek(SeekFrom::Start(page * 4096)).unwrap();
        file.write_all(&[0xa5; 64]).unwrap();
        let outcome = home.run(&["client", "list"]);
        assert!(matches!(outcome.code, 0 | 1), "page {page}: {outcome:?}");
        assert!(outcome.stderr.lines().count() <= 1, "page {page}: {outcome:?}");
        fs::write(home.store(), saved).unwrap();
    }
}
