//! A new claim on a real RabbitMQ node, beside the broker calls that it needs.

mod common;
#[path = "common/http.rs"]
mod http;
#[expect(dead_code, reason = "only messages go over AMQP")]
#[path = "common/node.rs"]
mod node;

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use common::{Row, Target, alternate};
use futures_util::StreamExt;
use futures_util::future::try_join_all;
use http::Bench;
use keylender::base::{AccountName, Result, Secret, VhostName};
use keylender::ports::broker::{Access, Login, ManagementBroker, PasswordHash, UserWish, Users};
use node::Node;

const ROUNDS: usize = 5;
/// Claims of a round, for each that is under way at once.
const CLAIMS_EACH: usize = 12;
/// Claims of a round, at least.
const CLAIMS_MIN: usize = 48;

fn main() {
    let node = Node::start("bench");
    let broker = Arc::new(node.broker());
    let bench = RefCell::new(Bench::start(broker.clone(), Router::new()));
    let numbers = RefCell::new(0..);
    for at_once in [1, 8, 32] {
        let count = CLAIMS_MIN.max(CLAIMS_EACH * at_once);
        let name = |number: u32| format!("taskcluster-bench-{number}");
        let names = || numbers.borrow_mut().by_ref().take(count).map(name).collect::<Vec<_>>();
        let claims = || {
            let requests =
                names().iter().map(|name| bench.borrow_mut().claim(&format!("/v1/namespace/{name}"))).collect();
            1e3 / bench.borrow().rate(at_once, requests)
        };
        let bare_calls = || {
            let names = names();
            let begun = Instant::now();
            bench.borrow().runtime.block_on(call_all(broker.clone(), names, at_once));
            begun.elapsed().as_secs_f64() * 1e3 / count as f64
        };
        let (ours, reference) = alternate(ROUNDS, claims, bare_calls);
        Row {
            what: &format!("new claim on RabbitMQ, {at_once} at once"),
            unit: "ms",
            ours,
            reference,
            reference_is: "its bare broker calls",
            target: Target::RatioMax(1.2),
        }
        .print();
    }
}

async fn call_all(broker: Arc<ManagementBroker>, names: Vec<String>, at_once: usize) {
    let calls = futures_util::stream::iter(names).map(|name| tokio::spawn(put_both(broker.clone(), name)));
    calls.buffer_unordered(at_once).for_each(async |called| called.unwrap().unwrap()).await;
}

/// What the first claim of a namespace asks of the broker.
async fn put_both(broker: Arc<ManagementBroker>, name: String) -> Result<()> {
    let access = Access {
        configure: format!("^(queue/{name}/.*|exchange/{name}/.*)"),
        write: format!("^(queue/{name}/.*|exchange/{name}/.*)"),
        read: format!("^(queue/{name}/.*|exchange/.*)"),
    };
    let permissions = [(VhostName::parse("/")?, access)];
    let put = async |slot: u8, login: Login| {
        let name = AccountName::parse(&format!("{name}-{slot}"))?;
        broker.user(&name).await?;
        broker.put_user(&UserWish { name: &name, login, tags: &[], permissions: &permissions }).await
    };
    let password = Secret::generate();
    try_join_all([put(1, Login::Hash(PasswordHash::of(&password))), put(2, Login::Locked)]).await?;
    Ok(())
}
