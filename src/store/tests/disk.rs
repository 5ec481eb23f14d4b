//! A disk that fails on purpose: at the n-th operation, in the middle of a write, or for lack of space.

use std::io::{Error as IoError, ErrorKind};
use std::sync::{Arc, Mutex};

use redb::StorageBackend;

use super::*;

/// A disk in memory. Clones are the same disk, so that it can be looked at again after a crash.
#[derive(Clone, Debug, Default)]
struct Disk(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    bytes: Vec<u8>,
    /// Operations that may still change the disk; `None`: all.
    left: Option<u32>,
    /// What the operation after the last one does.
    fault: Fault,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Fault {
    /// It fails and changes nothing.
    #[default]
    Fails,
    /// It writes half and fails.
    Tears,
    /// There is no space left.
    Full,
    /// The database gives up on it.
    Panics,
}

impl Disk {
    fn break_after(&self, operations: u32, fault: Fault) {
        let mut state = self.0.lock().unwrap();
        (state.left, state.fault) = (Some(operations), fault);
    }

    fn repair(&self) {
        self.0.lock().unwrap().left = None;
    }

    fn store(&self) -> Result<Store> {
        Store::with_backend(self.clone(), &KeySource::Given([7; 32]), Clock::manual(Timestamp::from_millis(0)))
    }

    /// Whether a change may happen now; on the way out it says with which error it may not.
    fn spend(state: &mut State) -> Result<(), IoError> {
        match &mut state.left {
            None => Ok(()),
            Some(0) if state.fault == Fault::Full => Err(ErrorKind::StorageFull.into()),
            Some(0) => Err(IoError::other("the disk fails on purpose")),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
        }
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> Result<u64, IoError> {
        Ok(self.0.lock().unwrap().bytes.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), IoError> {
        let state = self.0.lock().unwrap();
        let from = offset as usize;
        let bytes = state.bytes.get(from..from + out.len()).ok_or(ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(bytes);
        Ok(())
    }

    fn set_len(&self, len: u64) -> Result<(), IoError> {
        let mut state = self.0.lock().unwrap();
        Self::spend(&mut state)?;
        state.bytes.resize(len as usize, 0);
        Ok(())
    }

    fn sync_data(&self) -> Result<(), IoError> {
        Self::spend(&mut self.0.lock().unwrap())
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), IoError> {
        let mut state = self.0.lock().unwrap();
        let from = offset as usize;
        let spent = Self::spend(&mut state);
        let len = match (&spent, state.fault) {
            (Ok(()), _) => data.len(),
            (Err(_), Fault::Tears) => data.len() / 2,
            (Err(_), _) => 0,
        };
        state.bytes[from..from + len].copy_from_slice(&data[..len]);
        let panics = spent.is_err() && state.fault == Fault::Panics;
        drop(state);
        assert!(!panics, "on purpose");
        spent
    }
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
    for fault in [Fault::Fails, Fault::Tears, Fault::Full] {
        for operations in 0.. {
            let disk = Disk::default();
            let store = disk.store().unwrap();
            disk.break_after(operations, fault);
            let acknowledged = write_until_broken(&store).await;
            drop(store);
            disk.repair();

            let store = disk.store().unwrap();
            let found = store.read(|tx| tx.scan(&THINGS, Bound::Unbounded, 10)).unwrap();
            let found: Vec<u64> = found.into_iter().map(|(_, thing)| thing.size).collect();
            assert!(
                acknowledged.iter().all(|n| found.contains(n)),
                "{fault:?} after {operations}: acknowledged {acknowledged:?}, found {found:?}"
            );
            // What was not acknowledged may be there, but then with its entry: one commit holds both.
            assert_eq!(store.verify_audit().unwrap().seq, found.len() as u64);
            put(&store, "f", 9).await.unwrap();
            if acknowledged.len() == 5 {
                assert!(operations > 20, "the faults came while it mattered");
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_full_disk_is_named_and_reading_goes_on() {
    let disk = Disk::default();
    let store = disk.store().unwrap();
    put(&store, "a", 1).await.unwrap();
    disk.break_after(0, Fault::Full);

    let error = put(&store, "b", 2).await.unwrap_err();

    assert_eq!(error.kind(), Kind::Unavailable);
    assert!(error.chain().contains("the disk of the store is full"), "{}", error.chain());
    assert_eq!(store.read(|tx| tx.count(&THINGS)).unwrap(), 1);
    drop(store);
    let refused = disk.store().err().unwrap();
    assert_eq!(refused.message(), "the disk of the store is full");
    disk.repair();
    assert_eq!(disk.store().unwrap().read(|tx| tx.count(&THINGS)).unwrap(), 1);
}

#[tokio::test]
async fn a_store_that_cannot_be_written_says_so_until_it_can_be_again() {
    let disk = Disk::default();
    let store = disk.store().unwrap();
    put(&store, "a", 1).await.unwrap();
    assert_eq!(store.trouble(), None);
    disk.break_after(0, Fault::Full);
    assert!(put(&store, "b", 2).await.is_err());
    let trouble = Some("it cannot be written: the disk of the store is full".to_owned());
    assert_eq!(store.trouble(), trouble);
    assert_eq!(store.read(|tx| tx.count(&THINGS)).unwrap(), 1, "it can be read");
    drop(store);
    disk.repair();
    let store = disk.store().unwrap();
    put(&store, "b", 2).await.unwrap();
    assert_eq!(store.trouble(), None);
}

#[tokio::test]
async fn a_panic_while_committing_is_an_answer_and_the_writer_works_on() {
    let disk = Disk::default();
    let store = disk.store().unwrap();
    disk.break_after(0, Fault::Panics);
    for _ in 0..2 {
        assert_eq!(put(&store, "a", 1).await.unwrap_err().kind(), Kind::Unavailable);
        assert!(store.trouble().is_some());
    }
    assert_eq!(store.write(|_| Err::<(), _>(Error::conflict("heard"))).await.unwrap_err().kind(), Kind::Unavailable);
}
