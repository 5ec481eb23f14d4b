//! Stories about the sealing key: changed while the store is in use, broken off anywhere, and older stores.

use std::io::Read as _;

use super::disk::{Disk, Fault};
use super::*;

/// A record that holds a secret.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
struct Holder {
    password: Sealed,
    others: Vec<Sealed>,
}

const HOLDERS: Table<String, Holder> = Table::plain("holders");
/// More records than one commit of a change seals anew.
const MANY: usize = 30;

async fn fill(store: &Store, count: usize) {
    store
        .write(move |tx| {
            for n in 0..count {
                let key = format!("h{n:04}");
                let password = tx.seal(&HOLDERS, &key, &Secret::new(format!("pw-{n}")))?;
                let others = vec![tx.seal(&HOLDERS, &key, &Secret::new(format!("other-{n}")))?];
                tx.put(&HOLDERS, &key, &Holder { password, others })?;
            }
            Ok(())
        })
        .await
        .unwrap();
}

fn holders(store: &Store) -> Vec<(String, Holder)> {
    store.survey_here(|tx| tx.scan(&HOLDERS, Bound::Unbounded, 10_000)).unwrap()
}

/// That everything opens, by whichever key.
fn opens(store: &Store, count: usize) {
    let all = holders(store);
    assert_eq!(all.len(), count);
    for (n, (key, holder)) in all.into_iter().enumerate() {
        let secret = store.read(|tx| tx.open(&HOLDERS, &key, &holder.password)).unwrap();
        assert_eq!(secret.expose(), format!("pw-{n}"));
        let other = store.read(|tx| tx.open(&HOLDERS, &key, &holder.others[0])).unwrap();
        assert_eq!(other.expose(), format!("other-{n}"));
    }
}

async fn change(store: &Store) -> Result<()> {
    store.change_key(None, note("begun"), note("done"), |_| ()).await
}

#[tokio::test]
async fn the_key_changes_while_the_store_is_in_use_and_the_old_one_opens_nothing_any_more() {
    let dir = tempfile::tempdir().unwrap();
    let store = on_disk(dir.path()).unwrap();
    fill(&store, MANY).await;
    let before = holders(&store);
    let (old_file, old_id) = (fs::read(dir.path().join("key")).unwrap(), store.key_id());
    let signing_key = store.signing_key();
    let references = store.references(&Secret::new("pw-1"));

    change(&store).await.unwrap();

    opens(&store, MANY);
    let after = holders(&store);
    for ((key, old), (_, new)) in before.iter().zip(&after) {
        assert!(old.password != new.password && old.others[0] != new.others[0], "{key}");
    }
    assert_ne!(store.key_id(), old_id);
    assert_eq!(store.signing_key(), signing_key, "who pinned it need not care");
    assert!(store.references(&Secret::new("pw-1")).contains(&references[0]), "what was lent before is still found");
    assert!(!store.is_changing_key());
    assert_eq!(store.verify_audit().await.unwrap().seq, 2);
    drop(store);

    assert_ne!(fs::read(dir.path().join("key")).unwrap(), old_file);
    assert_eq!(fs::read(dir.path().join(format!("key.{old_id}"))).unwrap(), old_file, "old backups need it");
    assert!(!dir.path().join("key.next").exists());
    opens(&on_disk(dir.path()).unwrap(), MANY);
    fs::write(dir.path().join("key"), &old_file).unwrap();
    assert_eq!(
        on_disk(dir.path()).err().unwrap().message(),
        "the key does not open this store: it belongs to another one"
    );
}

#[tokio::test]
async fn a_change_that_is_broken_off_anywhere_is_gone_on_with_and_either_key_opens_the_store() {
    for operations in 0.. {
        let disk = Disk::default();
        let open = |key: [u8; 32]| Store::with_backend(disk.clone(), &KeySource::Given(key), Clock::system());
        let store = open([7; 32]).unwrap();
        fill(&store, 9).await;
        disk.break_after(operations, Fault::Cut);
        let changed = change(&store).await.is_ok();
        let next = store.keyring.get().current.copy_master();
        drop(store);
        disk.repair();

        // The old key opens it until the change is through, the new one since it began.
        let with_old = open([7; 32]);
        let with_new = || open(next.as_slice().try_into().unwrap());
        let store = with_old.or_else(|_| with_new()).unwrap();
        opens(&store, 9);
        let was_begun = store.is_changing_key();
        change(&store).await.unwrap();
        opens(&store, 9);
        drop(store);
        if was_begun {
            opens(&with_new().unwrap(), 9);
            assert!(open([7; 32]).is_err());
        }
        if changed {
            assert!(operations > 10, "the faults came while it mattered");
            break;
        }
    }
}

#[tokio::test]
async fn a_crash_between_the_store_and_the_key_file_is_mended_at_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    let store = on_disk(dir.path()).unwrap();
    fill(&store, 3).await;
    let (key, next) = (dir.path().join("key"), dir.path().join("key.next"));
    let old = fs::read(&key).unwrap();
    change(&store).await.unwrap();
    let (new, old_id) = (fs::read(&key).unwrap(), fs::read_dir(dir.path()).unwrap().count());
    drop(store);

    // As it lies when the store has ended the change and the files have not.
    fs::write(&next, &new).unwrap();
    fs::set_permissions(&next, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(&key, &old).unwrap();
    opens(&on_disk(dir.path()).unwrap(), 3);
    assert_eq!((fs::read(&key).unwrap(), next.exists()), (new.clone(), false));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), old_id);

    // One left over from a change that never began is no key of this store.
    fs::write(&next, &old).unwrap();
    fs::set_permissions(&next, fs::Permissions::from_mode(0o600)).unwrap();
    opens(&on_disk(dir.path()).unwrap(), 3);
    assert_eq!(fs::read(&key).unwrap(), new);
}

#[tokio::test]
async fn a_passphrase_changes_to_another_one() {
    let dir = tempfile::tempdir().unwrap();
    let open = |text: &str| Store::open(dir.path(), &KeySource::Passphrase(Secret::new(text)), Clock::system());
    let store = open("one").unwrap();
    fill(&store, 2).await;
    let refused = store.change_key(None, note("a"), note("b"), |_| ()).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::Invalid);
    store.change_key(Some(Secret::new("two")), note("a"), note("b"), |_| ()).await.unwrap();
    drop(store);
    assert!(open("one").is_err());
    opens(&open("two").unwrap(), 2);
}

#[tokio::test]
async fn who_reads_and_writes_during_a_change_notices_nothing() {
    let store = store();
    fill(&store, MANY).await;
    let changing = store.clone();
    let changed = tokio::spawn(async move {
        for _ in 0..3 {
            change(&changing).await.unwrap();
        }
    });
    while !changed.is_finished() {
        opens(&store, MANY);
        fill(&store, MANY).await;
        tokio::task::yield_now().await;
    }
    changed.await.unwrap();
    opens(&store, MANY);
}

/// That a former key is kept under its name: backups may need it.
fn holds(dir: &Path, id: &str) {
    let text = fs::read_to_string(dir.join(format!("key.{id}"))).unwrap();
    assert_eq!(seal::Keys::derive(crate::base::text::unhex(text.trim()).unwrap().into()).unwrap().id(), id);
}

/// Begins a change of the key, and leaves it there.
async fn begin(store: &Store, passphrase: Option<&str>) {
    store.begin_key_change(passphrase.map(Secret::new).as_ref(), note("begun")).await.unwrap();
}

#[tokio::test]
async fn a_change_that_the_disk_broke_off_goes_on_in_the_same_process() {
    for fault in Fault::ALL {
        for operations in 0.. {
            let disk = Disk::default();
            let open = |key: [u8; 32]| Store::with_backend(disk.clone(), &KeySource::Given(key), Clock::system());
            let store = open([7; 32]).unwrap();
            fill(&store, 9).await;
            disk.break_after(operations, fault);
            let changed = change(&store).await.is_ok();
            disk.repair();
            if let Err(error) = change(&store).await {
                panic!("{fault:?} after {operations}: {}", error.chain());
            }
            opens(&store, 9);
            let current: [u8; 32] = store.keyring.get().current.copy_master().as_slice().try_into().unwrap();
            drop(store);
            opens(&open(current).unwrap(), 9);
            if changed {
                assert!(operations > 10, "the faults came while it mattered");
                break;
            }
        }
    }
}

#[tokio::test]
async fn of_two_changes_at_once_one_waits_and_each_former_key_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let store = on_disk(dir.path()).unwrap();
    fill(&store, MANY).await;
    let first = store.key_id();
    let (one, other) = tokio::join!(change(&store), change(&store));
    one.unwrap();
    other.unwrap();
    opens(&store, MANY);
    let former: Vec<String> = store.keyring.get().former.iter().map(|keys| keys.id().to_owned()).collect();
    assert_eq!((former.len(), &former[1]), (2, &first));
    for id in former {
        holds(dir.path(), &id);
    }
    drop(store);
    opens(&on_disk(dir.path()).unwrap(), MANY);
}

#[tokio::test]
async fn a_change_leaves_a_file_with_the_key_whatever_became_of_the_next_one() {
    let dir = tempfile::tempdir().unwrap();
    let store = on_disk(dir.path()).unwrap();
    fill(&store, 3).await;
    let old = fs::read(dir.path().join("key")).unwrap();
    let old_id = store.key_id();
    let next = dir.path().join("key.next");
    store.change_key(None, note("begun"), note("done"), |_| drop(fs::remove_file(&next))).await.unwrap();
    drop(store);
    opens(&on_disk(dir.path()).unwrap(), 3);
    assert_eq!(fs::read(dir.path().join(format!("key.{old_id}"))).unwrap(), old);
}

#[tokio::test]
async fn a_key_file_that_could_not_take_its_place_does_so_before_the_next_change() {
    let dir = tempfile::tempdir().unwrap();
    let store = on_disk(dir.path()).unwrap();
    fill(&store, 3).await;
    let (key, next) = (dir.path().join("key"), dir.path().join("key.next"));
    let old = fs::read(&key).unwrap();
    change(&store).await.unwrap();
    // As it lies when the store has ended the change and the files could not follow.
    fs::copy(&key, &next).unwrap();
    fs::write(&key, &old).unwrap();
    let second = store.key_id();

    change(&store).await.unwrap();

    holds(dir.path(), &second);
    drop(store);
    opens(&on_disk(dir.path()).unwrap(), 3);
}

#[tokio::test]
async fn a_change_to_one_passphrase_is_not_ended_in_the_name_of_another() {
    let dir = tempfile::tempdir().unwrap();
    let open = |text: &str| Store::open(dir.path(), &KeySource::Passphrase(Secret::new(text)), Clock::system());
    let store = open("one").unwrap();
    fill(&store, 2).await;
    begin(&store, Some("two")).await;
    let go_on = |text| store.change_key(Some(Secret::new(text)), note("a"), note("b"), |_| ());
    let refused = go_on("three").await.unwrap_err();
    assert_eq!(refused.kind(), Kind::Invalid);
    assert!(refused.message().contains("to another passphrase was broken off"), "{}", refused.message());
    go_on("two").await.unwrap();
    drop(store);
    opens(&open("two").unwrap(), 2);
}

#[tokio::test]
async fn a_backup_from_the_middle_of_a_change_is_a_way_back() {
    for passphrase in [None, Some("two")] {
        let [home, other] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let key = match passphrase {
            None => KeySource::File(home.path().join("key")),
            Some(_) => KeySource::Passphrase(Secret::new("one")),
        };
        let store = Store::open(home.path(), &key, Clock::system()).unwrap();
        fill(&store, 3).await;
        begin(&store, passphrase).await;
        let (name, _) = BackupDirectory::new(home.path().join("backups")).take(&store).unwrap();
        let backup = home.path().join("backups").join(name);
        store.drill(&backup, &home.path().join("drill")).unwrap();
        store.change_key(passphrase.map(Secret::new), note("a"), note("b"), |_| ()).await.unwrap();

        let key = passphrase.map_or(key, |text| KeySource::Passphrase(Secret::new(text)));
        Store::restore(&backup, other.path(), &key, &Clock::system()).unwrap();
        let restored = Store::open(other.path(), &key, Clock::system()).unwrap();
        opens(&restored, 3);
        change(&restored).await.unwrap();
        drop(restored);
        opens(&Store::open(other.path(), &key, Clock::system()).unwrap(), 3);
    }
}

/// A data directory as keylender left it at schema 1.
fn of_schema_1(dir: &Path) {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/stores");
    let packed = fs::read(fixtures.join("schema-1.redb.gz")).unwrap();
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(packed.as_slice()).read_to_end(&mut bytes).unwrap();
    fs::write(dir.join("keylender.redb"), bytes).unwrap();
    fs::write(dir.join("key"), fs::read(fixtures.join("schema-1.key")).unwrap()).unwrap();
    fs::set_permissions(dir.join("key"), fs::Permissions::from_mode(0o600)).unwrap();
}

#[tokio::test]
async fn a_store_of_schema_1_is_taken_up_and_kept_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    of_schema_1(dir.path());
    let store = on_disk(dir.path()).unwrap();
    assert_eq!(store.verify_audit().await.unwrap().seq, 2);
    assert_eq!(store.checkpoint(None).unwrap().verify().unwrap().seq, 2);
    drop(store);

    let snapshot = dir.path().join("keylender.redb.schema-1");
    assert_eq!(snapshot.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let db = redb::Database::open(&snapshot).unwrap();
    assert_eq!(migrate::schema(&db).unwrap(), Some(1));
    drop(db);
    fs::remove_file(&snapshot).unwrap();
    drop(on_disk(dir.path()).unwrap());
    assert!(!snapshot.exists(), "there is nothing to migrate any more");
}
