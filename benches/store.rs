//! Audited writes: many writers share one commit, so that 64 of them get ten times as much done as one.

mod common;

use std::path::Path;
use std::time::Instant;

use common::{Row, Target, alternate};
use keylender::base::audit::{Action, Actor, Note};
use keylender::base::{Clock, Result};
use keylender::store::{KeySource, Store, Table};
use tokio::runtime::Runtime;

const RECORDS: Table<String, String> = Table::audited("bench");
const WRITERS: usize = 64;
const ROUNDS: usize = 9;
/// Writes of one writer in a round.
const WRITES: usize = 50;
/// As long as a namespace's record.
const VALUE_LEN: usize = 160;

fn main() {
    let dir = tempfile::tempdir_in(Path::new(env!("CARGO_TARGET_TMPDIR"))).unwrap();
    let store = Store::open(dir.path(), &KeySource::File(dir.path().join("key")), Clock::system()).unwrap();
    let runtime = Runtime::new().unwrap();
    let (ours, reference) = alternate(ROUNDS, || writes(&runtime, &store, WRITERS), || writes(&runtime, &store, 1));
    Row {
        what: "store: audited writes, 64 writers",
        unit: "/s",
        ours,
        reference,
        reference_is: "1 writer",
        target: Target::RatioMin(10.0),
    }
    .print();
}

/// Writes per second of that many writers, each waiting for its own.
fn writes(runtime: &Runtime, store: &Store, writers: usize) -> f64 {
    let begun = Instant::now();
    runtime.block_on(async {
        let tasks: Vec<_> = (0..writers).map(|writer| tokio::spawn(write_some(store.clone(), writer))).collect();
        for task in tasks {
            task.await.unwrap().unwrap();
        }
    });
    (writers * WRITES) as f64 / begun.elapsed().as_secs_f64()
}

async fn write_some(store: Store, writer: usize) -> Result<()> {
    for number in 0..WRITES {
        let key = format!("{writer}-{number}");
        store
            .write(move |tx| {
                tx.put(&RECORDS, &key, &"x".repeat(VALUE_LEN))?;
                tx.audit(Note::done(Actor::Appliance, Action::NamespaceUpdate, &key));
                Ok(())
            })
            .await?;
    }
    Ok(())
}
