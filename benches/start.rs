//! From the start of the program to its first answer, and its memory at rest, with 10,000 namespaces in the store.
//!
//! It has a broker to compare with, for that is what a new appliance does first: a stand-in that lists their users.

mod common;
#[expect(dead_code, reason = "nobody talks to it")]
#[path = "common/program.rs"]
mod program;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::routing::get;
use axum::{Json, Router};
use common::{Row, Target, alternate};
use futures_util::StreamExt;
use keylender::app::Appliance;
use keylender::app::settings::Settings;
use keylender::base::{Clock, NamespaceName};
use keylender::domain::auth::Caller;
use keylender::domain::namespaces::Claim;
use keylender::ports::broker::{MemoryBroker, Users};
use program::Program;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

const NAMESPACES: u32 = 10_000;
const CLAIMS_AT_ONCE: usize = 512;
const ROUNDS: usize = 9;
/// After it the first comparison with the broker is over; the next comes a minute later.
const REST: Duration = Duration::from_secs(5);

fn main() {
    let tmp = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let (full, empty) = (tempfile::tempdir_in(tmp).unwrap(), tempfile::tempdir_in(tmp).unwrap());
    let runtime = Runtime::new().unwrap();
    let broker = runtime.block_on(async {
        let broker = Arc::new(MemoryBroker::default());
        claim_all(full.path(), broker.clone()).await;
        stand_in(&broker).await
    });

    let start = |dir: &Path| Program::start(Path::new(env!("CARGO_BIN_EXE_keylender")), dir, broker, &[]);
    let start_on = |dir: &Path| start(dir).1.as_secs_f64() * 1e3;
    let (ours, reference) = alternate(ROUNDS, || start_on(full.path()), || start_on(empty.path()));
    let row = Row {
        what: "start to first answer, 10,000 namespaces",
        unit: "ms",
        ours,
        reference,
        reference_is: "empty store",
        target: Target::Below(200.0),
    };
    row.print();

    let (ours, reference) = (start(full.path()).0, start(empty.path()).0);
    std::thread::sleep(REST);
    let (ours, reference) = (ours.resident_mb(), reference.resident_mb());
    let target = Target::Below(40.0);
    Row { what: "idle memory, 10,000 namespaces", unit: "MB", ours, reference, target, ..row }.print();
}

/// Fills a store as claims do.
async fn claim_all(dir: &Path, broker: Arc<MemoryBroker>) {
    let appliance = Appliance::build(&Settings::for_tests(dir), Clock::system(), Some(broker)).unwrap();
    let claims = futures_util::stream::iter(0..NAMESPACES).map(|number| {
        let namespaces = appliance.app.namespaces.clone();
        tokio::spawn(async move {
            let name = NamespaceName::parse(&format!("taskcluster-bench-{number}")).unwrap();
            let caller = Caller::local("bench", "bench");
            namespaces.claim(&caller, &name, Claim::default()).await.unwrap();
        })
    });
    claims.buffer_unordered(CLAIMS_AT_ONCE).for_each(async |claimed| claimed.unwrap()).await;
}

/// Answers what an appliance at rest asks of a broker, with the users and permissions of this one.
async fn stand_in(broker: &MemoryBroker) -> SocketAddr {
    let user = |user: keylender::ports::broker::User| json!({"name": user.name, "tags": user.tags.join(",")});
    let users: Value = broker.users().await.unwrap().into_iter().map(user).collect();
    let permission = |permission: keylender::ports::broker::Permission| {
        let access = permission.access;
        json!({
            "vhost": permission.vhost, "user": permission.user,
            "configure": access.configure, "write": access.write, "read": access.read,
        })
    };
    let permissions: Value = broker.permissions().await.unwrap().into_iter().map(permission).collect();
    let answer = |document: Value| get(async move || Json(document));
    let router = Router::new()
        .route("/api/users", answer(users))
        .route("/api/permissions", answer(permissions))
        .route("/api/overview", answer(json!({"rabbitmq_version": "3.10.8", "cluster_name": "bench"})))
        .route("/api/whoami", answer(json!({"name": "administrator", "tags": "administrator"})))
        .route("/api/vhosts/{name}", answer(json!({"name": "/"})))
        .route("/api/health/checks/alarms", answer(json!({"status": "ok"})))
        // Queues, exchanges, connections.
        .fallback(async || Json(json!([])));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    // It lives as long as this process.
    drop(tokio::spawn(async move { axum::serve(listener, router).await }));
    address
}
