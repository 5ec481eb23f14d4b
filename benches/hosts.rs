//! Credentials for a machine over HTTP, beside a constant answer behind the same router; and the signing alone.
//!
//! A number as its argument is how many seconds the memory is watched under load: `cargo bench --bench hosts -- 600`.

mod common;
#[expect(dead_code, reason = "machines sign nothing")]
#[path = "common/http.rs"]
mod http;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::{Row, Target, alternate};
use http::Bench;
use keylender::app::settings::{Credentials, Settings};
use keylender::base::{ClientId, Clock, Scope, Secret};
use keylender::ports::broker::MemoryBroker;
use keylender::proto::addresses::AddressList;
use keylender::proto::hawk::mac;
use keylender::proto::tempcred::{self, Grant};
use keylender::web::api::{Endpoint, Reply, Routes};
use serde_json::json;

const CONNECTIONS: usize = 64;
const ROUNDS: usize = 7;
const REQUESTS: usize = 30_000;
const SIGNATURES: u32 = 200_000;
/// How long the memory is watched when nothing else is said: enough to see it grow, if it does.
const WATCH_SECONDS: u64 = 15;
/// Requests of each second while the memory is watched: ten minutes at full speed would fill a disk with audit entries.
const PER_SECOND: usize = 5_000;
/// Seconds before the first look at the memory: the store's cache fills meanwhile.
const WARM_SECONDS: u64 = 10;

/// What the method requires, and not what it does.
static CONSTANT: Endpoint = Endpoint::public("constant", "/v1/constant", "Answers always the same.");

fn main() {
    let seconds = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(WATCH_SECONDS);
    signing();
    let answer = Reply::json(&json!({ "credentials": {
        "clientId": "project/releng/host/localhost",
        "accessToken": "zoXu4WrdoCv9xk52Pq327anHn1dr5_l57OwSBRuVnfo",
        "certificate": "{\"version\":1,\"scopes\":[\"assume:project:releng:host:localhost\"],\"start\":1539604800000,\
            \"expiry\":1539648000000,\"seed\":\"GzjztyFjT2-bQgD7eYWgmwPoRh4VDzRruAsP77DCsqAg\",\
            \"signature\":\"sKx8ebPnRdWpSeoRWE/6/Qhu5YeZCuf3X7bEaIv/UZM=\",\"issuer\":\"project/releng/hosts\"}",
    } }))
    .unwrap();
    let handler = move |_, _, ()| std::future::ready(Ok(answer.clone()));
    let more = Routes::default().serve(&CONSTANT, |_, _| Ok(()), handler).into_router();
    let bench = Bench::start_with(Arc::new(MemoryBroker::default()), more, set_up);
    bench.rate(1, asks("credentials", 1));
    throughput(&bench);
    memory(&bench, Duration::from_secs(seconds));
}

/// Loopback is answered through a hosts file, as in a demo.
fn set_up(settings: &mut Settings) {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench-hosts");
    std::fs::write(&file, "127.0.0.1 localhost\n").unwrap();
    settings.credentials = Some(Credentials { client_id: issuer(), access_token: Secret::new("a-permanent-token") });
    let hosts = &mut settings.hosts;
    hosts.scope_base = Some("assume:project:releng:host:".into());
    hosts.client_id_base = Some("project/releng/host/".into());
    hosts.expires = Some(Duration::from_secs(12 * 3600));
    hosts.allowed = Some(AddressList::parse("127.0.0.0/8").unwrap());
    hosts.per_minute = 0;
    hosts.dns.servers = Some(Vec::new());
    hosts.dns.hosts_file = Some(file);
}

fn issuer() -> ClientId {
    ClientId::parse("project/releng/hosts").unwrap()
}

fn asks(noun: &str, count: usize) -> Vec<Vec<u8>> {
    vec![format!("GET /v1/{noun} HTTP/1.1\r\nHost: localhost\r\n\r\n").into_bytes(); count]
}

/// Signing alone, beside the two bare HMACs that it takes.
fn signing() {
    let (token, client_id) =
        (Secret::new("a-permanent-token"), ClientId::parse("project/releng/host/localhost").unwrap());
    let scopes = [Scope::parse("assume:project:releng:host:localhost").unwrap()];
    let start = Clock::system().now();
    let grant = Grant { name: Some(&client_id), start, expiry: start.plus(Duration::from_secs(3600)), scopes: &scopes };
    let text = "x".repeat(300);
    let (ours, reference) = alternate(
        ROUNDS,
        || micros(|| drop(tempcred::issue(&issuer(), &token, &grant, Secret::generate_long().expose()).unwrap())),
        || micros(|| drop((mac::sign(&token, &text), mac::sign(&token, &text[..44])))),
    );
    let target = Target::Below(10.0);
    Row { what: "signing host credentials", unit: "µs", ours, reference, reference_is: "bare HMACs", target }.print();
}

fn micros(run: impl Fn()) -> f64 {
    let begun = Instant::now();
    (0..SIGNATURES).for_each(|_| run());
    begun.elapsed().as_secs_f64() * 1e6 / f64::from(SIGNATURES)
}

fn throughput(bench: &Bench) {
    let mut p99s = Vec::new();
    let (ours, reference) = alternate(
        ROUNDS,
        || {
            let (rate, p99) = bench.load(CONNECTIONS, asks("credentials", REQUESTS));
            p99s.push(p99);
            rate
        },
        || bench.rate(CONNECTIONS, asks("constant", REQUESTS)),
    );
    let row = Row {
        what: &format!("host credentials over HTTP, {CONNECTIONS} connections"),
        unit: "/s",
        ours,
        reference,
        reference_is: "constant answer",
        target: Target::RatioMin(0.5),
    };
    row.print();
    p99s.sort_by(f64::total_cmp);
    let (_, reference) = bench.load(CONNECTIONS, asks("constant", REQUESTS));
    let ours = p99s[p99s.len() / 2];
    Row { what: "99 of 100 of them within", unit: "ms", ours, reference, target: Target::Below(5.0), ..row }.print();
}

/// The memory after some load, and at the end of more of it.
fn memory(bench: &Bench, watch: Duration) {
    load_for(bench, Duration::from_secs(WARM_SECONDS));
    let reference = resident_mb();
    load_for(bench, watch);
    Row {
        what: &format!("memory after {} s of {PER_SECOND} of them each", watch.as_secs()),
        unit: "MB",
        ours: resident_mb(),
        reference,
        reference_is: &format!("after {WARM_SECONDS} s"),
        target: Target::RatioMax(1.1),
    }
    .print();
}

fn load_for(bench: &Bench, span: Duration) {
    let begun = Instant::now();
    while begun.elapsed() < span {
        let second = Instant::now();
        bench.rate(CONNECTIONS, asks("credentials", PER_SECOND));
        std::thread::sleep(Duration::from_secs(1).saturating_sub(second.elapsed()));
    }
}

fn resident_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|found| found.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() * 1024.0 / 1e6
}
