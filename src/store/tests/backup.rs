//! Stories about backups: whole or refused, and a store again.

use std::io::Write;

use super::*;

/// A writer that breaks after so many bytes.
struct Breaking(Vec<u8>, usize);

impl Write for Breaking {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let left = self.1.saturating_sub(self.0.len());
        if left == 0 {
            return Err(std::io::ErrorKind::StorageFull.into());
        }
        let len = bytes.len().min(left);
        self.0.extend_from_slice(&bytes[..len]);
        Ok(len)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A store with records, secrets and a log whose beginning was pruned.
async fn filled(dir: &Path) -> Store {
    let store = on_disk(dir).unwrap();
    for name in ["a", "b", "c"] {
        put(&store, name, 1).await.unwrap();
    }
    store.prune_audit(1, |base| note(&format!("through {}", base.seq))).await.unwrap();
    store
        .write(|tx| {
            let password = Some(tx.seal(&THINGS, &id("d"), &Secret::new("swordfish"))?);
            tx.put(&THINGS, &id("d"), &Thing { size: 4, password })?;
            // A record may be called as something of ours is.
            tx.put(&MARKS, &id("audit_base"), &7)?;
            tx.audit(note("d"));
            Ok(())
        })
        .await
        .unwrap();
    store
}

fn backup_of(store: &Store) -> Vec<u8> {
    let mut bytes = Vec::new();
    store.back_up(&mut bytes).unwrap();
    bytes
}

/// A thing, with its secret opened.
type Opened = (ClientId, u64, Option<String>);

/// What is in the tables that the tests know, and the head of the chain.
fn everything(store: &Store) -> (Vec<Opened>, u64, Head) {
    store
        .survey_here(|tx| {
            let things = tx.scan(&THINGS, Bound::Unbounded, 100)?;
            let open = |(key, thing): (ClientId, Thing)| {
                let secret = thing.password.map(|sealed| tx.open(&THINGS, &key, &sealed)).transpose()?;
                Ok((key, thing.size, secret.map(|secret| secret.expose().to_owned())))
            };
            Ok((things.into_iter().map(open).collect::<Result<_>>()?, tx.count(&MARKS)?, tx.verify_audit()?))
        })
        .unwrap()
}

fn restore(bytes: &[u8], dir: &Path, key: &KeySource) -> Result<Checked> {
    let file = dir.join("copy.backup");
    fs::write(&file, bytes).unwrap();
    Store::restore(&file, &dir.join("data"), key, &Clock::system())
}

#[tokio::test]
async fn a_backup_becomes_the_same_store_and_holds_no_secret_in_clear() {
    let [home, other] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let store = filled(home.path()).await;
    let bytes = backup_of(&store);
    assert!(!bytes.windows(9).any(|window| window == b"swordfish" || window == b"namespace"));
    let checked = store.check_backup(bytes.as_slice()).unwrap();
    assert_eq!(checked.contents.entries, 4);
    assert_eq!(checked.label.last_entry, store.verify_audit().await.unwrap().seq);

    let key = KeySource::File(home.path().join("key"));
    assert_eq!(restore(&bytes, other.path(), &key).unwrap(), checked);
    let restored = Store::open(&other.path().join("data"), &key, Clock::system()).unwrap();
    assert_eq!(everything(&restored), everything(&store));
    assert_eq!(restored.signing_key(), store.signing_key());
    let from = restored.restored_from().unwrap().unwrap();
    assert_eq!((from.made, from.last_entry), (checked.label.made, 5));
    restored.forget_restored().await.unwrap();
    assert!(restored.restored_from().unwrap().is_none());
    assert!(store.restored_from().unwrap().is_none());
    put(&restored, "e", 1).await.unwrap();
    assert_eq!(restored.verify_audit().await.unwrap().seq, 6, "the chain goes on");
}

#[tokio::test]
async fn every_changed_and_every_missing_byte_of_a_backup_is_found_and_nothing_is_left_of_it() {
    let [home, other] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let store = filled(home.path()).await;
    let bytes = backup_of(&store);
    let key = KeySource::File(home.path().join("key"));
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        let shorter = [&bytes[..at], &bytes[at + 1..]].concat();
        for (bad, how) in [(changed, "changed"), (bytes[..at].to_vec(), "cut off"), (shorter, "taken out")] {
            assert!(store.check_backup(bad.as_slice()).is_err(), "byte {at} {how}");
            if at % 97 == 0 {
                assert!(restore(&bad, other.path(), &key).is_err(), "byte {at} {how}");
                assert_eq!(fs::read_dir(other.path().join("data")).unwrap().count(), 0, "byte {at} {how}");
            }
        }
    }
    let longer = [bytes.as_slice(), b"x"].concat();
    assert!(store.check_backup(longer.as_slice()).is_err());
    assert_eq!(store.check_backup(&b"no backup"[..]).unwrap_err().message(), "the file is no backup of keylender");
}

#[tokio::test]
async fn a_long_backup_is_as_whole_as_a_short_one() {
    let dir = tempfile::tempdir().unwrap();
    let store = on_disk(dir.path()).unwrap();
    // Random bytes do not pack, so that it has several chunks.
    let text = |n: u64| {
        let mut random = n;
        let mut next = || {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            random.to_string()
        };
        (0..200).map(|_| next()).collect::<String>()
    };
    for n in 0..100 {
        let note = note("a").with("note", text(n));
        write(&store, vec![note]).await;
    }
    let bytes = backup_of(&store);
    assert!(bytes.len() > 2 * (64 << 10), "{}", bytes.len());
    assert_eq!(store.check_backup(bytes.as_slice()).unwrap().contents.entries, 100);
    let chunk = (64 << 10) + 16;
    let line = bytes.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    // Whole chunks in another order, or left out at the end.
    let (first, rest) = bytes[line..].split_at(chunk);
    let (second, last) = rest.split_at(chunk);
    for order in [[second, first, last].concat(), [first, second].concat(), [first, last].concat()] {
        assert!(store.check_backup([&bytes[..line], &order].concat().as_slice()).is_err());
    }
}

#[tokio::test]
async fn a_backup_is_refused_for_one_sentence_of_reasons() {
    let [home, other] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let store = filled(home.path()).await;
    let bytes = backup_of(&store);
    let key = KeySource::File(home.path().join("key"));
    let id = store.key_id();

    let stranger = on_disk(other.path()).unwrap();
    let strange = KeySource::File(other.path().join("key"));
    let expected = format!("the backup is sealed by another key: {id}");
    assert_eq!(restore(&bytes, home.path(), &strange).unwrap_err().message(), expected);
    assert_eq!(stranger.check_backup(bytes.as_slice()).unwrap_err().message(), expected);
    drop(stranger);

    put(&store, "e", 1).await.unwrap();
    put(&store, "f", 1).await.unwrap();
    let file = home.path().join("copy.backup");
    let again = || Store::restore(&file, home.path(), &key, &Clock::system()).unwrap_err().message().to_owned();
    fs::write(&file, &bytes).unwrap();
    assert_eq!(
        again(),
        "the data directory holds a store (the store is in use by another keylender process); stop keylender and move the \
         store away first"
    );
    drop(store);
    assert!(again().starts_with("the data directory holds a store, with 2 audit entries from after the backup"));
    assert_eq!(everything(&on_disk(home.path()).unwrap()).0.len(), 6, "nothing was touched");
}

#[tokio::test]
async fn of_two_restorations_at_once_one_is_refused() {
    let [home, other] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let bytes = backup_of(&filled(home.path()).await);
    let key = KeySource::File(home.path().join("key"));
    let data = other.path().join("data");
    fs::create_dir(&data).unwrap();
    let unfinished = fs::File::create(data.join("keylender.redb.new")).unwrap();
    unfinished.lock().unwrap();
    let refused = restore(&bytes, other.path(), &key).unwrap_err();
    assert_eq!(refused.message(), "another restoration is at work in this directory");
    assert!(data.join("keylender.redb.new").exists(), "it is the other one's");
    // What a crash left belongs to nobody.
    drop(unfinished);
    restore(&bytes, other.path(), &key).unwrap();
    assert_eq!(fs::read_dir(&data).unwrap().count(), 1);
}

#[tokio::test]
async fn a_backup_that_breaks_off_anywhere_is_none() {
    let home = tempfile::tempdir().unwrap();
    let store = filled(home.path()).await;
    let whole = backup_of(&store).len();
    for len in (0..whole).step_by(7) {
        let mut to = Breaking(Vec::new(), len);
        assert_eq!(store.back_up(&mut to).unwrap_err().kind(), Kind::Unavailable);
        assert!(store.check_backup(to.0.as_slice()).is_err(), "{len} of {whole} bytes");
    }
}

#[tokio::test]
async fn a_shelf_keeps_whole_backups_under_their_time_and_a_drill_leaves_nothing_behind() {
    let home = tempfile::tempdir().unwrap();
    let store = filled(home.path()).await;
    let dir = home.path().join("backups");
    let directory = BackupDirectory::new(dir.clone());
    assert!(directory.list().unwrap().is_empty() && directory.newest().unwrap().is_none());
    // What a crash left.
    fs::create_dir(&dir).unwrap();
    fs::write(dir.join("unfinished.new"), "half").unwrap();
    fs::write(dir.join("notes.txt"), "of somebody").unwrap();

    let (first, _) = directory.take(&store).unwrap();
    let (second, checked) = directory.take(&store).unwrap();

    let names: Vec<String> = directory.list().unwrap().into_iter().map(|listed| listed.name).collect();
    assert_eq!(names, [first.clone(), second.clone()]);
    assert_eq!(directory.newest().unwrap().unwrap().label, Some(checked.label.clone()));
    assert_eq!(fs::read_dir(&dir).unwrap().count(), 3, "two backups and what is not ours");
    assert_eq!(dir.join(&first).metadata().unwrap().permissions().mode() & 0o777, 0o600);
    for name in ["../key", "keylender-../x.backup", "notes.txt", "keylender-1.backup"] {
        assert_eq!(directory.path(name).unwrap_err().kind(), Kind::NotFound, "{name}");
    }

    let aside = home.path().join("drill");
    fs::create_dir(&aside).unwrap();
    fs::write(aside.join("keylender.redb"), "of a drill that was killed").unwrap();
    let drilled = store.drill(&directory.path(&second).unwrap(), &aside).unwrap();
    assert_eq!((drilled.made, drilled.contents), (checked.label.made, checked.contents));
    assert!(!aside.exists());

    directory.remove(&first).unwrap();
    let path = dir.join(&second);
    let mut bytes = fs::read(&path).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&path, bytes).unwrap();
    let error = store.drill(&path, &aside).unwrap_err();
    assert_eq!(error.message(), "the backup is damaged");
    assert!(!aside.exists());
}

#[tokio::test]
async fn backups_from_before_a_change_of_the_key_are_still_checked_and_tried() {
    let home = tempfile::tempdir().unwrap();
    let store = filled(home.path()).await;
    let directory = BackupDirectory::new(home.path().join("backups"));
    let (name, _) = directory.take(&store).unwrap();
    let old_id = store.key_id();
    store.change_key(None, note("begun"), note("done"), |_| ()).await.unwrap();

    let path = directory.path(&name).unwrap();
    store.check_backup(fs::File::open(&path).unwrap()).unwrap();
    store.drill(&path, &home.path().join("drill")).unwrap();

    let elsewhere = tempfile::tempdir().unwrap();
    let restore = |key: &str| {
        let key = KeySource::File(home.path().join(key));
        Store::restore(&path, elsewhere.path(), &key, &Clock::system())
    };
    assert_eq!(restore("key").unwrap_err().kind(), Kind::Conflict);
    restore(&format!("key.{old_id}")).unwrap();
}
