//! The program in the place of the task proxies before it: replays what was recorded of them, one request or command
//! line at a time, and compares what clients, servers and workers see of it.
//!
//! `PROXY_VECTOR=tc/api/plain cargo test --test proxy -- --nocapture` plays one of them. Needs root: some of the clients
//! are other users.

mod authority;
mod client;
mod command;
mod compare;
mod judge;
mod long;
mod observe;
mod replay;
mod signature;
mod stubs;
mod vectors;
mod wire;

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use command::Bench;
use judge::Verdict;

/// Programs that run at once, aside from those that do nothing but wait.
const AT_ONCE: usize = 8;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_proxies_do_what_was_recorded_of_their_ancestors() {
    let only = only();
    let bench = Arc::new(Bench::new());
    let turns = Arc::new(Semaphore::new(AT_ONCE));
    let mut running = JoinSet::new();
    for group in vectors::groups(only.as_deref()) {
        let (bench, turns) = (bench.clone(), turns.clone());
        running.spawn(async move {
            let _turn = if vectors::is_slow(&group) { None } else { turns.acquire().await.ok() };
            replay::run(&bench, group).await
        });
    }
    let mut verdicts = running.join_all().await.concat();
    verdicts.sort();
    assert!(!verdicts.is_empty(), "there is no such vector: {only:?}");
    let count = |verdict: Verdict| verdicts.iter().filter(|(_, other)| *other == verdict).count();
    let [strict, expected, allowed] = [Verdict::Strict, Verdict::Expected, Verdict::Allowed].map(count);
    println!("{} vectors: {strict} strictly as recorded, {expected} as recorded, {allowed} as allowed", verdicts.len());
    let mut failed = Vec::new();
    for (id, verdict) in &verdicts {
        if let Verdict::Failed(report) = verdict {
            println!("\n{id}\n{report}");
            failed.push(id.as_str());
        }
    }
    assert!(failed.is_empty(), "{} vectors fail:\n{}", failed.len(), failed.join("\n"));
}

#[expect(clippy::disallowed_methods, reason = "a switch of a trial by hand")]
fn only() -> Option<String> {
    std::env::var("PROXY_VECTOR").ok()
}
