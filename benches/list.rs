//! A list of 1,000 namespaces, beside a constant body of that size from a plain route of the same server.

mod common;
#[path = "common/http.rs"]
mod http;

use std::cell::RefCell;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::body::Bytes;
use axum::routing::get;
use common::{Row, Target, alternate};
use http::Bench;
use keylender::ports::broker::MemoryBroker;

const NAMESPACES: usize = 1000;
const CONNECTIONS: usize = 16;
const ROUNDS: usize = 9;
const REQUESTS: usize = 2000;
/// Lists that cannot be answered from what is kept: each comes after a change.
const FRESH_LISTS: usize = 20;

fn main() {
    let body = Arc::new(OnceLock::<Bytes>::new());
    let constant = body.clone();
    let more = Router::new().route("/v1/constant", get(async move || constant.get().cloned().unwrap_or_default()));
    let mut bench = Bench::start(Arc::new(MemoryBroker::default()), more);
    let claims = (0..NAMESPACES).map(|number| bench.claim(&claim_path(number))).collect();
    bench.rate(64, claims);
    body.set(list(&bench)).unwrap();

    let lists = |path: &str| bench.rate(CONNECTIONS, vec![request(&bench, path); REQUESTS]);
    let (ours, reference) = alternate(ROUNDS, || lists("/v1/namespaces"), || lists("/v1/constant"));
    let row = Row {
        what: "list of 1,000 namespaces",
        unit: "/s",
        ours,
        reference,
        reference_is: "constant body of its size",
        target: Target::RatioMin(0.6),
    };
    row.print();

    let (bench, numbers) = (RefCell::new(bench), RefCell::new(NAMESPACES..));
    let one_by_one = |path: &str| {
        let list = request(&bench.borrow(), path);
        let changes: Vec<_> = numbers
            .borrow_mut()
            .by_ref()
            .take(FRESH_LISTS)
            .map(|number| bench.borrow_mut().claim(&claim_path(number)))
            .collect();
        let rates = changes.into_iter().map(|change| {
            bench.borrow().rate(1, vec![change]);
            bench.borrow().rate(1, vec![list.clone()])
        });
        rates.sum::<f64>() / FRESH_LISTS as f64
    };
    let (ours, reference) = alternate(ROUNDS, || one_by_one("/v1/namespaces"), || one_by_one("/v1/constant"));
    Row { what: "the same, first after a change, 1 connection", ours, reference, target: Target::None, ..row }.print();
}

fn claim_path(number: usize) -> String {
    format!("/v1/namespace/taskcluster-bench-{number}")
}

/// The list itself, as it is answered.
fn list(bench: &Bench) -> Bytes {
    let mut stream = TcpStream::connect(bench.address()).unwrap();
    stream.write_all(b"GET /v1/namespaces HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    body.to_owned().into()
}

fn request(bench: &Bench, path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", bench.address()).into_bytes()
}
