//! Faults of the disk: at the n-th operation, in the middle of a write, at a power cut, or for lack of space.

use super::disk::{Disk, Fault};
use super::*;

fn open(disk: &Disk) -> Result<Store> {
    Store::with_backend(disk.clone(), &KeySource::Given([7; 32]), Clock::manual(Timestamp::from_millis(0)))
}

/// Writes until the disk breaks; returns which writes were acknowledged.
async fn write_until_broken(store: &Store) -> Vec<u64> {
    let mut kept = Vec::new();
    for n in 0..5 {
        let name: &'static str = ["a", "b", "c", "d", "e"][n as usize];
        if put(store, name, n).await.is_ok() {
            kept.push(n);
        }
    }
    kept
}

#[tokio::test]
async fn whatever_write_fails_or_tears_nothing_acknowledged_is_lost_and_the_chain_is_whole() {
    for fault in Fault::ALL {
        for operations in 0.. {
            let disk = Disk::default();
            let store = open(&disk).unwrap();
            disk.break_after(operations, fault);
            let acknowledged = write_until_broken(&store).await;
            drop(store);
            disk.repair();

            let store = open(&disk).unwrap();
            let found = store.survey_here(|tx| tx.scan(&THINGS, Bound::Unbounded, 10)).unwrap();
            let found: Vec<u64> = found.into_iter().map(|(_, thing)| thing.size).collect();
            assert!(
                acknowledged.iter().all(|n| found.contains(n)),
                "{fault:?} after {operations}: acknowledged {acknowledged:?}, found {found:?}"
            );
            // What was not acknowledged may be there, but then with its entry: one commit holds both.
            assert_eq!(store.verify_audit().await.unwrap().seq, found.len() as u64);
            put(&store, "f", 9).await.unwrap();
            if acknowledged.len() == 5 {
                assert!(operations > 20, "the faults came while it mattered");
                break;
            }
        }
    }
}

#[tokio::test]
async fn whatever_fails_the_store_goes_on_by_itself_once_the_disk_works() {
    for fault in Fault::ALL {
        for operations in 0.. {
            let disk = Disk::default();
            let store = open(&disk).unwrap();
            disk.break_after(operations, fault);
            let acknowledged = write_until_broken(&store).await;
            disk.repair();

            put(&store, "f", 9).await.unwrap();

            let found = store.survey_here(|tx| tx.scan(&THINGS, Bound::Unbounded, 10)).unwrap();
            let found: Vec<u64> = found.into_iter().map(|(_, thing)| thing.size).collect();
            assert!(acknowledged.iter().all(|n| found.contains(n)), "{fault:?} after {operations}: {found:?}");
            assert_eq!(store.verify_audit().await.unwrap().seq, found.len() as u64);
            if acknowledged.len() == 5 {
                assert!(operations > 20, "the faults came while it mattered");
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_disk_that_breaks_again_while_it_is_tried_is_tried_again() {
    for operations in 0..40 {
        let disk = Disk::default();
        let store = open(&disk).unwrap();
        put(&store, "a", 1).await.unwrap();
        let before = store.version(&THINGS);
        disk.break_after(2, Fault::Full);
        put(&store, "b", 2).await.unwrap_err();
        disk.break_after(operations, Fault::Full);
        let first = put(&store, "c", 3).await.is_ok();
        disk.repair();
        put(&store, "d", 4).await.unwrap();
        let found = store.read(|tx| tx.count(&THINGS)).unwrap();
        assert_eq!(store.verify_audit().await.unwrap().seq, found);
        assert!(found >= 2 + u64::from(first));
        assert!(store.version(&THINGS) > before + 1, "whoever keeps a copy looks again");
    }
}

#[tokio::test]
async fn a_full_disk_is_named_and_reading_goes_on() {
    let disk = Disk::default();
    let store = open(&disk).unwrap();
    put(&store, "a", 1).await.unwrap();
    disk.break_after(0, Fault::Full);

    let error = put(&store, "b", 2).await.unwrap_err();

    assert_eq!(error.kind(), Kind::Unavailable);
    assert!(error.chain().contains("the disk of the store is full"), "{}", error.chain());
    assert_eq!(store.read(|tx| tx.count(&THINGS)).unwrap(), 1);
    drop(store);
    let refused = open(&disk).err().unwrap();
    assert_eq!(refused.message(), "the disk of the store is full");
    disk.repair();
    assert_eq!(open(&disk).unwrap().read(|tx| tx.count(&THINGS)).unwrap(), 1);
}

#[tokio::test]
async fn a_panic_while_committing_is_an_answer_and_the_writer_works_on() {
    let disk = Disk::default();
    let store = open(&disk).unwrap();
    disk.break_after(0, Fault::Panics);
    for _ in 0..2 {
        assert_eq!(put(&store, "a", 1).await.unwrap_err().kind(), Kind::Unavailable);
    }
    disk.repair();
    put(&store, "a", 1).await.unwrap();
    drop(store);
    put(&open(&disk).unwrap(), "b", 1).await.unwrap();
}

#[tokio::test]
async fn a_disk_that_is_tried_for_long_does_not_grow() {
    let disk = Disk::default();
    let store = open(&disk).unwrap();
    put(&store, "a", 1).await.unwrap();
    disk.break_after(0, Fault::Fails);
    put(&store, "b", 2).await.unwrap_err();
    // The file gets longer, and nothing can be written to it: as on a disk that lost a part.
    let mut lengths = Vec::new();
    for _ in 0..5 {
        disk.break_after(1, Fault::Fails);
        put(&store, "c", 3).await.unwrap_err();
        lengths.push(redb::StorageBackend::len(&disk).unwrap());
    }
    assert!(lengths.iter().all(|len| *len == lengths[0]), "{lengths:?}");
    disk.repair();
    put(&store, "d", 4).await.unwrap();
    drop(store);
    assert_eq!(open(&disk).unwrap().read(|tx| tx.count(&THINGS)).unwrap(), 2);
}

#[tokio::test]
async fn a_panic_beneath_a_closure_leaves_nothing_of_it() {
    let store = store();
    let panicking = store.write(|tx| {
        tx.audit(note("a"));
        tx.raw(|db, _| {
            let mut meta = migrate::Meta::open(db)?;
            meta.put("half", b"done")?;
            panic!("on purpose");
        })
    });
    let other = put(&store, "b", 1);
    let (panicked, _): (Result<()>, _) = tokio::join!(panicking, other);
    panicked.unwrap_err();
    assert!(store.read(|tx| migrate::read_meta(&tx.tx, "half")).unwrap().is_none());
    put(&store, "c", 1).await.unwrap();
}
