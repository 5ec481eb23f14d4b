//! A disk that fails on purpose at the n-th operation. Shared by the tests of the store and by those of the appliance.

use std::io::{Error as IoError, ErrorKind};
use std::sync::{Arc, Mutex};

use redb::StorageBackend;

/// A disk in memory. Clones are the same disk, so that it can be looked at again after a crash.
#[derive(Clone, Debug, Default)]
pub struct Disk(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    bytes: Vec<u8>,
    /// What the bytes were before each change since the last sync, oldest first: where, and how long the disk was.
    unsynced: Vec<(usize, Vec<u8>, usize)>,
    /// Operations that may still change the disk; `None`: all.
    left: Option<u32>,
    /// What the operation after the last one does.
    fault: Fault,
    has_failed: bool,
}

/// How it fails. It goes on failing until it is repaired.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Fault {
    /// The operation fails and changes nothing.
    #[default]
    Fails,
    /// It writes half and fails.
    Tears,
    /// There is no space left.
    Full,
    /// The power is cut: what was not synced is lost, too.
    Cut,
    /// The database gives up on it: the operation panics.
    Panics,
}

impl Fault {
    pub const ALL: [Self; 4] = [Self::Fails, Self::Tears, Self::Full, Self::Cut];
}

impl Disk {
    /// Another disk with the same bytes: a backup.
    pub fn copy(&self) -> Self {
        let bytes = self.0.lock().unwrap().bytes.clone();
        Self(Arc::new(Mutex::new(State { bytes, ..State::default() })))
    }

    /// From now on so many operations work, and then none.
    pub fn break_after(&self, operations: u32, fault: Fault) {
        let mut state = self.0.lock().unwrap();
        (state.left, state.fault, state.has_failed) = (Some(operations), fault, false);
    }

    /// From now on everything works. Tells whether something had failed.
    pub fn repair(&self) -> bool {
        let mut state = self.0.lock().unwrap();
        state.left = None;
        std::mem::take(&mut state.has_failed)
    }
}

impl State {
    /// Whether a change may happen now; on the way out it says with which error it may not.
    fn spend(&mut self) -> Result<(), IoError> {
        match &mut self.left {
            None => return Ok(()),
            Some(0) => {}
            Some(left) => {
                *left -= 1;
                return Ok(());
            }
        }
        self.has_failed = true;
        if self.fault == Fault::Cut {
            self.forget_unsynced();
        }
        Err(match self.fault {
            Fault::Full => ErrorKind::StorageFull.into(),
            _ => IoError::other("the disk fails on purpose"),
        })
    }

    /// Remembers what is about to be changed, up to the end when that moves.
    fn remember(&mut self, from: usize, to: usize) {
        let len = self.bytes.len();
        let before = self.bytes[from.min(len)..to.min(len)].to_vec();
        self.unsynced.push((from, before, len));
    }

    fn forget_unsynced(&mut self) {
        while let Some((from, before, len)) = self.unsynced.pop() {
            self.bytes.resize(len, 0);
            self.bytes[from..from + before.len()].copy_from_slice(&before);
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
        state.spend()?;
        let (len, end) = (len as usize, state.bytes.len());
        state.remember(len.min(end), end);
        state.bytes.resize(len, 0);
        Ok(())
    }

    fn sync_data(&self) -> Result<(), IoError> {
        let mut state = self.0.lock().unwrap();
        state.spend()?;
        state.unsynced.clear();
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), IoError> {
        let mut state = self.0.lock().unwrap();
        let from = offset as usize;
        let spent = state.spend();
        let len = match (&spent, state.fault) {
            (Ok(()), _) => data.len(),
            (Err(_), Fault::Tears) => data.len() / 2,
            (Err(_), _) => 0,
        };
        state.remember(from, from + len);
        state.bytes[from..from + len].copy_from_slice(&data[..len]);
        let panics = spent.is_err() && state.fault == Fault::Panics;
        drop(state);
        assert!(!panics, "on purpose");
        spent
    }
}
