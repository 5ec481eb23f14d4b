//! Stories about the store: atomic, audited, chained, sealed, and clear when it cannot open.

mod archive;
mod backup;
#[expect(dead_code, reason = "stories about the store need less of it than those about the appliance")]
#[path = "../../../tests/support/disk.rs"]
mod disk;
mod exported;
mod faults;
mod keys;
mod search;
mod survey;

use std::fs;
use std::ops::Bound;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::*;
use crate::base::audit::{Action, Actor, Note};
use crate::base::{ClientId, Kind, Timestamp};

const THINGS: Table<ClientId, Thing> = Table::audited("things");
const MARKS: Table<ClientId, u64> = Table::plain("marks");

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Thing {
    size: u64,
    password: Option<Sealed>,
}

fn id(text: &str) -> ClientId {
    ClientId::parse(text).unwrap()
}

fn note(object: &str) -> Note {
    Note::done(Actor::Appliance, Action::NamespaceNote, object)
}

fn store() -> Store {
    Store::memory(Clock::manual(Timestamp::from_millis(1_539_604_800_000))).unwrap()
}

fn on_disk(dir: &Path) -> Result<Store> {
    Store::open(dir, &KeySource::File(dir.join("key")), Clock::system())
}

async fn put(store: &Store, name: &'static str, size: u64) -> Result<()> {
    store
        .write(move |tx| {
            tx.put(&THINGS, &id(name), &Thing { size, password: None })?;
            tx.audit(note(name));
            Ok(())
        })
        .await
}

async fn write(store: &Store, notes: Vec<Note>) {
    let write = |tx: &mut WriteTx<'_, '_>| {
        notes.into_iter().for_each(|note| tx.audit(note));
        Ok(())
    };
    store.write(write).await.unwrap();
}

#[tokio::test]
async fn a_change_to_an_audited_table_without_an_entry_does_not_commit() {
    let store = store();
    let error = store.write(|tx| tx.put(&THINGS, &id("a"), &Thing { size: 1, password: None })).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Internal);
    assert_eq!(store.read(|tx| tx.get(&THINGS, &id("a"))).unwrap(), None);
    store.write(|tx| tx.put(&MARKS, &id("a"), &1)).await.unwrap();
    assert_eq!(store.read(|tx| tx.get(&MARKS, &id("a"))).unwrap(), Some(1));
}

#[tokio::test]
async fn closures_that_share_a_commit_fail_and_panic_alone() {
    let store = store();
    let writes = (0..64u64).map(|n| {
        let store = store.clone();
        tokio::spawn(async move {
            store
                .write(move |tx| {
                    tx.put(&THINGS, &id(&format!("t{n}")), &Thing { size: n, password: None })?;
                    tx.audit(note("t"));
                    match n % 4 {
                        1 => Err(Error::conflict("on purpose")),
                        2 => panic!("on purpose"),
                        _ => Ok(()),
                    }
                })
                .await
        })
    });
    let outcomes = futures_util::future::join_all(writes.collect::<Vec<_>>()).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.as_ref().unwrap().is_ok()).count(), 32);
    let kept = store.survey_here(|tx| tx.scan(&THINGS, Bound::Unbounded, 100)).unwrap();
    assert!(kept.iter().all(|(_, thing)| thing.size % 4 == 0 || thing.size % 4 == 3));
    assert_eq!(kept.len(), 32);
    assert_eq!(store.verify_audit().await.unwrap().seq, 32);
}

#[tokio::test]
async fn a_closure_reads_its_own_changes_and_scans_in_order() {
    let store = store();
    put(&store, "b", 2).await.unwrap();
    let seen = store
        .write(|tx| {
            tx.put(&THINGS, &id("a"), &Thing { size: 1, password: None })?;
            tx.delete(&THINGS, &id("b"));
            tx.put(&THINGS, &id("c"), &Thing { size: 3, password: None })?;
            tx.audit(note("all"));
            assert_eq!(tx.get(&THINGS, &id("b"))?, None);
            Ok(tx.scan(&THINGS, 10)?.into_iter().map(|(key, _)| key.to_string()).collect::<Vec<_>>())
        })
        .await
        .unwrap();
    assert_eq!(seen, ["a", "c"]);
    let after = store.survey_here(|tx| tx.scan(&THINGS, Bound::Excluded(&id("a")), 10)).unwrap();
    assert_eq!(after.len(), 1);
    assert_eq!(store.read(|tx| tx.count(&THINGS)).unwrap(), 2);
}

#[tokio::test]
async fn a_closure_that_deletes_still_scans_as_many_as_it_may() {
    let store = store();
    for (name, size) in [("a", 1), ("b", 2), ("c", 3), ("d", 4)] {
        put(&store, name, size).await.unwrap();
    }
    let seen = store
        .write(|tx| {
            tx.delete(&THINGS, &id("a"));
            tx.delete(&THINGS, &id("c"));
            tx.audit(note("two"));
            Ok(tx.scan(&THINGS, 2)?.into_iter().map(|(key, _)| key.to_string()).collect::<Vec<_>>())
        })
        .await
        .unwrap();
    assert_eq!(seen, ["b", "d"]);
}

#[test]
fn a_crash_while_the_key_is_made_leaves_no_half_of_it() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("key.new"), "half").unwrap();
    drop(on_disk(dir.path()).unwrap());
    assert!(!dir.path().join("key.new").exists());
    assert_eq!(fs::read_to_string(dir.path().join("key")).unwrap().trim().len(), 64);
    assert_eq!(fs::metadata(dir.path().join("key")).unwrap().permissions().mode() & 0o777, 0o600);
    drop(on_disk(dir.path()).unwrap());
}

#[tokio::test]
async fn versions_tell_changes_of_one_table_only() {
    let store = store();
    let before = store.version(&THINGS);
    store.write(|tx| tx.put(&MARKS, &id("a"), &1)).await.unwrap();
    assert_eq!(store.version(&THINGS), before);
    put(&store, "a", 1).await.unwrap();
    assert_ne!(store.version(&THINGS), before);
}

#[tokio::test]
async fn everything_is_there_after_a_restart_and_the_chain_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let store = on_disk(dir.path()).unwrap();
    let secret = Secret::new("swordfish-7391");
    let kept = secret.clone();
    store
        .write(move |tx| {
            let password = Some(tx.seal(&THINGS, &id("a"), &kept)?);
            tx.put(&THINGS, &id("a"), &Thing { size: 1, password })?;
            tx.audit(note("a").about(&kept));
            Ok(())
        })
        .await
        .unwrap();
    drop(store);

    let store = on_disk(dir.path()).unwrap();
    put(&store, "b", 2).await.unwrap();
    assert_eq!(store.verify_audit().await.unwrap().seq, 2);
    let opened = store
        .read(|tx| {
            let thing = tx.get(&THINGS, &id("a"))?.unwrap();
            let first = tx.entry(1)?.unwrap();
            let entry: Entry = serde_json::from_slice(&first).unwrap();
            assert_eq!(entry.secrets, store.references(&secret));
            tx.open(&THINGS, &id("a"), &thing.password.unwrap())
        })
        .unwrap();
    assert_eq!(opened, secret);
    let file = fs::read(dir.path().join("keylender.redb")).unwrap();
    assert!(!file.windows(14).any(|window| window == b"swordfish-7391"));
    for (name, mode) in [("keylender.redb", 0o600), ("key", 0o600)] {
        assert_eq!(fs::metadata(dir.path().join(name)).unwrap().permissions().mode() & 0o777, mode);
    }
}

#[tokio::test]
async fn each_way_not_to_open_is_one_sentence_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = on_disk(dir.path()).unwrap();
    put(&store, "a", 1).await.unwrap();
    let says = |outcome: Result<Store>| outcome.err().expect("it must not open").message().to_owned();

    assert_eq!(says(on_disk(dir.path())), "the store is in use by another keylender process");
    drop(store);

    let key = dir.path().join("key");
    let right = fs::read(&key).unwrap();
    fs::write(&key, "0".repeat(64)).unwrap();
    assert_eq!(says(on_disk(dir.path())), "the key does not open this store: it belongs to another one");
    fs::write(&key, "short").unwrap();
    assert_eq!(says(on_disk(dir.path())), "the key file does not hold 64 hexadecimal digits");
    fs::remove_file(&key).unwrap();
    assert_eq!(says(on_disk(dir.path())), "the key file of the store is missing");
    fs::write(&key, &right).unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(says(on_disk(dir.path())), "the key file can be read by others: it needs mode 0600");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    let passphrase = KeySource::Passphrase(Secret::new("another"));
    assert_eq!(
        says(Store::open(dir.path(), &passphrase, Clock::system())),
        "the key does not open this store: it belongs to another one"
    );

    let file = dir.path().join("keylender.redb");
    let whole = fs::read(&file).unwrap();
    fs::write(&file, &whole[..whole.len() / 2]).unwrap();
    assert_eq!(says(on_disk(dir.path())), "the store is damaged: restore a backup");
    fs::write(&file, "this is no database at all, only a text somebody saved here").unwrap();
    assert_eq!(says(on_disk(dir.path())), "the store is damaged: restore a backup");
    fs::write(&file, &whole).unwrap();

    let store = on_disk(dir.path()).unwrap();
    assert_eq!(store.read(|tx| tx.count(&THINGS)).unwrap(), 1);
    assert_eq!(store.verify_audit().await.unwrap().seq, 1);
}

#[test]
fn a_newer_schema_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    drop(on_disk(dir.path()).unwrap());
    let db = redb::Database::open(dir.path().join("keylender.redb")).unwrap();
    let tx = db.begin_write().unwrap();
    let meta: TableDefinition<&str, &[u8]> = TableDefinition::new("meta");
    tx.open_table(meta).unwrap().insert("schema", b"4".as_slice()).unwrap();
    tx.commit().unwrap();
    drop(db);
    assert!(on_disk(dir.path()).err().unwrap().message().contains("newer keylender (schema 4, this one knows 3)"));
}

#[test]
fn a_place_that_cannot_be_a_directory_is_an_error_with_its_path_in_the_log_only() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let error = on_disk(&file).err().unwrap();
    assert_eq!(error.kind(), Kind::Unavailable);
    assert!(!error.message().contains("file"), "{}", error.message());
    assert!(error.chain().contains("file"));
}

#[tokio::test]
async fn a_manual_clock_gives_one_moment_to_a_transaction() {
    let clock = Clock::manual(Timestamp::from_millis(0));
    let store = Store::memory(clock.clone()).unwrap();
    clock.advance(Duration::from_secs(5));
    assert_eq!(store.write(|tx| Ok(tx.now())).await.unwrap(), Timestamp::from_millis(5000));
}
