//! What keeps a store over the years: walking its audit chain, backups, and a store of one again. Each in time, beside the
//! least that it takes, and in memory, beside a store of a tenth.

mod common;

use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use common::{Row, Target, alternate, memory_mb, reset_peak};
use keylender::base::Clock;
use keylender::base::audit::{Action, Actor, Note};
use keylender::store::{BackupDirectory, KeySource, Sealed, Store, Table, verify_exported};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tokio::runtime::Runtime;

const RECORDS: Table<String, Record> = Table::audited("bench");
/// Records, and as many entries.
const COUNT: u32 = 100_000;
/// Records of one write while a store is filled.
const CHUNK: u32 = 500;
const ROUNDS: usize = 5;

/// About as long as that of an account.
#[derive(serde::Serialize, serde::Deserialize)]
struct Record {
    password: Sealed,
    access: String,
}

fn main() {
    let runtime = Runtime::new().unwrap();
    let (large, small) = (Home::filled(&runtime, COUNT), Home::filled(&runtime, COUNT / 10));
    verify(&large, &small);
    back_up(&large, &small);
}

/// A store, and a file of its backup.
struct Home {
    dir: TempDir,
    store: Store,
    lines: PathBuf,
}

impl Home {
    fn filled(runtime: &Runtime, count: u32) -> Self {
        let dir = tempfile::tempdir_in(Path::new(env!("CARGO_TARGET_TMPDIR"))).unwrap();
        let store = Store::open(dir.path(), &KeySource::File(dir.path().join("key")), Clock::system()).unwrap();
        for chunk in 0..count / CHUNK {
            let fill = move |tx: &mut keylender::store::WriteTx<'_, '_>| {
                for number in chunk * CHUNK..(chunk + 1) * CHUNK {
                    let key = format!("taskcluster-bench-{number}");
                    let password = tx.seal(&RECORDS, &key, &keylender::base::Secret::generate())?;
                    let access = format!("^(queue/{key}/.*|exchange/{key}/.*)");
                    tx.put(&RECORDS, &key, &Record { password, access })?;
                    tx.audit(
                        Note::done(Actor::Appliance, Action::NamespaceUpdate, &key)
                            .with("expires", "2027-01-01T00:00:00Z"),
                    );
                }
                Ok(())
            };
            runtime.block_on(store.write(fill)).unwrap();
        }
        let lines = dir.path().join("audit.jsonl");
        let mut to = BufWriter::new(File::create(&lines).unwrap());
        let mut from = 1;
        loop {
            let entries = store.survey_here(|tx| tx.entries(from, 1000)).unwrap();
            let Some((last, _)) = entries.last() else { break };
            from = last + 1;
            for (_, entry) in entries {
                to.write_all(&entry).unwrap();
                to.write_all(b"\n").unwrap();
            }
        }
        to.flush().unwrap();
        Self { dir, store, lines }
    }
}

/// Seconds of some work.
fn time(work: impl FnOnce()) -> f64 {
    let begun = Instant::now();
    work();
    begun.elapsed().as_secs_f64()
}

/// How much memory some work takes at its peak, in MB.
fn peak(work: impl FnOnce()) -> f64 {
    let before = memory_mb("VmRSS:");
    reset_peak();
    work();
    memory_mb("VmHWM:") - before
}

fn print(what: &str, ours: f64, reference: f64, reference_is: &str) {
    Row { what, unit: "s", ours, reference, reference_is, target: Target::None }.print();
}

fn print_peak(what: &str, large: f64, small: f64) {
    let row = Row {
        what,
        unit: "MB",
        ours: large,
        reference: small,
        reference_is: "of a tenth",
        target: Target::Below(32.0),
    };
    row.print();
}

fn verify(large: &Home, small: &Home) {
    let live = |home: &Home| assert!(home.store.survey_here(|tx| tx.verify_audit()).unwrap().seq > 0);
    let file =
        |home: &Home| drop(verify_exported(BufReader::new(File::open(&home.lines).unwrap()), |_, _| ()).unwrap());
    let hash = || {
        let bytes = std::fs::read(&large.lines).unwrap();
        for line in bytes.split(|byte| *byte == b'\n') {
            std::hint::black_box(Sha256::digest(line));
        }
    };
    live(small);
    // Memory first: what is freed later is used again.
    let peaks = [peak(|| live(small)), peak(|| live(large)), peak(|| file(small)), peak(|| file(large))];
    let (ours, reference) = alternate(ROUNDS, || time(|| live(large)), || time(hash));
    print("audit verify, 100,000 entries of a live store", ours, reference, "their bare hashes");
    print_peak("memory at its peak", peaks[1], peaks[0]);
    let (ours, reference) = alternate(ROUNDS, || time(|| file(large)), || time(hash));
    print("audit verify, 100,000 entries of a file", ours, reference, "their bare hashes");
    print_peak("memory at its peak", peaks[3], peaks[2]);
}

fn back_up(large: &Home, small: &Home) {
    let directory = |home: &Home| BackupDirectory::new(home.dir.path().join("backups"));
    let take = |home: &Home| drop(directory(home).take(&home.store).unwrap());
    let drill = |home: &Home| {
        let newest = directory(home).newest().unwrap().unwrap().name;
        let drilled =
            home.store.drill(&directory(home).path(&newest).unwrap(), &home.dir.path().join("drill")).unwrap();
        assert!(drilled.contents.records > 0);
    };
    let copy = || {
        let to = large.dir.path().join("copy");
        std::fs::copy(large.dir.path().join("keylender.redb"), &to).unwrap();
        File::open(&to).unwrap().sync_all().unwrap();
    };
    let peaks = [peak(|| take(small)), peak(|| take(large)), peak(|| drill(small)), peak(|| drill(large))];
    let (ours, reference) = alternate(ROUNDS, || time(|| take(large)), || time(copy));
    print("backup of 100,000 records and entries, written and checked", ours, reference, "a copy of the file");
    print_peak("memory at its peak", peaks[1], peaks[0]);
    let (ours, reference) = alternate(ROUNDS, || time(|| drill(large)), || time(copy));
    print("restore drill of it", ours, reference, "a copy of the file");
    print_peak("memory at its peak", peaks[3], peaks[2]);
}
