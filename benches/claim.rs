//! A repeated claim over HTTP, beside a constant answer behind the same router and the same authentication.

mod common;
#[path = "common/http.rs"]
mod http;

use std::sync::Arc;

use axum::routing::MethodFilter;
use common::{Row, Target, alternate};
use http::Bench;
use keylender::domain::auth::scopes;
use keylender::ports::broker::MemoryBroker;
use keylender::web::api::{Endpoint, Reply, Routes};
use serde_json::json;

const NAMESPACES: usize = 100;
const ROUNDS: usize = 7;
const REQUESTS: usize = 30_000;

/// What a claim requires, and not what it does.
static CONSTANT: Endpoint = Endpoint {
    scope: Some(scopes::PULSE_NAMESPACE),
    method: MethodFilter::POST,
    ..Endpoint::public("constant", "/v1/constant/<namespace>", "Answers always the same.").takes::<()>()
};

fn main() {
    let answer = Reply::json(&json!({
        "namespace": namespace(0),
        "created": "2026-11-21T08:00:00.000Z",
        "expires": "2099-01-01T00:00:00.000Z",
        "connectionString": "amqp://taskcluster-bench-0-1:0123456789012345678901@localhost:5672/%2F",
        "reclaimAt": "2026-11-21T10:00:00.000Z",
    }))
    .unwrap();
    let more = Routes::default().serve(
        &CONSTANT,
        |app, params| app.namespaces.parse(&params["namespace"]),
        move |_, _, _| std::future::ready(Ok(answer.clone())),
    );
    let more = more.into_router();
    let mut bench = Bench::start(Arc::new(MemoryBroker::default()), more);
    let first = claims(&mut bench, "namespace", NAMESPACES);
    bench.rate(1, first);

    for connections in [64, 128] {
        let bench = std::cell::RefCell::new(&mut bench);
        let measure = |noun: &str| {
            let requests = claims(&mut bench.borrow_mut(), noun, REQUESTS);
            bench.borrow().rate(connections, requests)
        };
        let (ours, reference) = alternate(ROUNDS, || measure("namespace"), || measure("constant"));
        Row {
            what: &format!("repeated claim over HTTP, {connections} connections"),
            unit: "/s",
            ours,
            reference,
            reference_is: "constant answer",
            target: Target::RatioMin(0.6),
        }
        .print();
    }
}

fn namespace(number: usize) -> String {
    format!("taskcluster-bench-{}", number % NAMESPACES)
}

fn claims(bench: &mut Bench, noun: &str, count: usize) -> Vec<Vec<u8>> {
    (0..count).map(|number| bench.claim(&format!("/v1/{noun}/{}", namespace(number)))).collect()
}
