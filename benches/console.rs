//! Pages of the console with nothing, with one thing, and with 10,000 namespaces and queues: how long the server takes,
//! beside a constant body of the same size from a plain route of the same server; and how long the HTML is.

mod common;

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use axum::Router;
use axum::body::Bytes;
use axum::extract::Path as Argument;
use axum::http::header;
use axum::routing::get;
use common::{Row, Target, alternate};
use futures_util::StreamExt;
use keylender::app::settings::Settings;
use keylender::app::{Appliance, Running};
use keylender::base::{Clock, NamespaceName, OperatorName};
use keylender::domain::auth::Caller;
use keylender::domain::namespaces::Claim;
use keylender::domain::operators::{Role, Visitor};
use keylender::ports::broker::{Exchange, MemoryBroker, Queue};
use keylender::web::router_with;
use tempfile::TempDir;
use tokio::runtime::Runtime;

const MANY: usize = 10_000;
/// What is looked at, and whether it is about one of the things, so that there must be one.
const PAGES: [(&str, bool); 29] = [
    ("/", false),
    ("/namespaces", false),
    ("/namespaces?q=taskcluster-09", false),
    ("/namespaces?sort=-queued", false),
    ("/namespaces?sort=-claimed", false),
    ("/namespaces/taskcluster-00000", true),
    ("/namespaces/taskcluster-00000/expire", true),
    ("/queues", false),
    ("/queues?sort=-consumers", false),
    ("/queues/queue%2Ftaskcluster-00000%2Fjobs", true),
    ("/exchanges", false),
    ("/connections", false),
    ("/leases", false),
    ("/hosts", false),
    ("/loops", false),
    ("/loops/rotate", false),
    ("/loops/monitor", false),
    ("/loops/expire", false),
    ("/notices", false),
    ("/audit", false),
    ("/audit?action=namespace.claim", false),
    ("/held", false),
    ("/held?object=taskcluster-00000", true),
    ("/access", false),
    ("/access/clients", false),
    ("/broker", false),
    ("/backups", false),
    ("/settings", false),
    ("/api", false),
];
const ROUNDS: usize = 5;
/// Requests of a round, one after the other.
const REQUESTS: u32 = 10;
/// Claims side by side, so that they share commits.
const SIDE_BY_SIDE: usize = 64;
/// No page is to be longer, and none to take longer.
const LEN_MAX_KB: f64 = 200.0;
const TIME_MAX_MS: f64 = 50.0;

/// Bodies by their numbers, for the constant route.
type Bodies = Arc<Mutex<HashMap<usize, Bytes>>>;

/// An appliance with so many namespaces and queues, and somebody who is signed in.
struct Site {
    runtime: Runtime,
    running: Option<Running>,
    cookie: String,
    bodies: Bodies,
    _dir: TempDir,
}

fn main() {
    for (count, with) in [(0, "nothing"), (1, "one of each"), (MANY, "10,000 of each")] {
        let site = Site::start(count);
        let mut longest = (0.0, "");
        for (number, (path, _)) in
            PAGES.into_iter().enumerate().filter(|(_, (_, is_about_one))| count > 0 || !is_about_one)
        {
            let page = site.get(path);
            let len_kb = page.len() as f64 / 1e3;
            if longest.0 < len_kb {
                longest = (len_kb, path);
            }
            site.bodies.lock().unwrap().insert(number, page.into());
            let constant = format!("/constant/{number}");
            let (ours, reference) = alternate(ROUNDS, || site.millis(path), || site.millis(&constant));
            let (what, target) = (format!("`{path}` with {with}"), Target::Below(TIME_MAX_MS));
            let reference_is = "constant body of its size";
            Row { what: &what, unit: "ms", ours, reference, reference_is, target }.print();
        }
        let (what, target) = (format!("the longest HTML with {with}: `{}`", longest.1), Target::Below(LEN_MAX_KB));
        Row { what: &what, unit: "kB", ours: longest.0, reference: longest.0, reference_is: "itself", target }.print();
    }
}

impl Site {
    fn start(count: usize) -> Self {
        let runtime = Runtime::new().unwrap();
        let dir = tempfile::tempdir_in(Path::new(env!("CARGO_TARGET_TMPDIR"))).unwrap();
        let settings = Settings::for_tests(dir.path());
        let broker = MemoryBroker::default();
        broker.add_vhost(&settings.namespaces.amqp.vhost);
        for number in 0..count {
            let name = format!("queue/{}/jobs", namespace(number));
            let queue = Queue { name, messages: Some(12), state: Some("running".into()), ..Queue::default() };
            broker.put_queue(&settings.namespaces.amqp.vhost, queue);
            let name = format!("exchange/{}/jobs", namespace(number));
            broker.put_exchange(&settings.namespaces.amqp.vhost, Exchange { name, kind: Some("topic".into()) });
        }
        let bodies = Bodies::default();
        let constant = bodies.clone();
        let body = move |Argument(number): Argument<usize>| {
            let body = constant.lock().unwrap().get(&number).cloned().unwrap_or_default();
            std::future::ready(([(header::CONTENT_TYPE, "text/html")], body))
        };
        let (running, cookie) = runtime.block_on(async {
            let mut appliance = Appliance::build(&settings, Clock::system(), Some(Arc::new(broker))).unwrap();
            let more = Router::new().route("/constant/{number}", get(body));
            appliance.router = router_with(appliance.app.clone(), more);
            let running = keylender::app::run(appliance, &settings).await.unwrap();
            let cookie = fill(&running.appliance, count).await;
            (running, cookie)
        });
        Self { runtime, running: Some(running), cookie, bodies, _dir: dir }
    }

    /// Milliseconds until a page is there, over one connection that stays open.
    fn millis(&self, path: &str) -> f64 {
        let mut stream = self.connect();
        self.ask(&mut stream, path);
        let begun = Instant::now();
        for _ in 0..REQUESTS {
            self.ask(&mut stream, path);
        }
        begun.elapsed().as_secs_f64() * 1e3 / f64::from(REQUESTS)
    }

    fn get(&self, path: &str) -> Vec<u8> {
        self.ask(&mut self.connect(), path)
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.running.as_ref().unwrap().address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }

    fn ask(&self, stream: &mut TcpStream, path: &str) -> Vec<u8> {
        let head = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nCookie: {}\r\n\r\n", self.cookie);
        stream.write_all(head.as_bytes()).unwrap();
        let mut received = Vec::new();
        let mut buffer = vec![0; 64 << 10];
        loop {
            let read = stream.read(&mut buffer).unwrap();
            assert!(read > 0, "the appliance closed the connection");
            received.extend_from_slice(&buffer[..read]);
            let Some(at) = received.windows(4).position(|end| end == b"\r\n\r\n").map(|at| at + 4) else { continue };
            let head = str::from_utf8(&received[..at]).unwrap();
            assert!(head.starts_with("HTTP/1.1 200 "), "{path}: {head}");
            let len = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
            let missing = at + len.parse::<usize>().unwrap() - received.len();
            let mut rest = vec![0; missing];
            stream.read_exact(&mut rest).unwrap();
            received.extend_from_slice(&rest);
            return received.split_off(at);
        }
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            self.runtime.block_on(running.stop());
        }
    }
}

fn namespace(number: usize) -> String {
    format!("taskcluster-{number:05}")
}

/// Claims the namespaces, lets the monitor count the queues, and signs somebody in.
async fn fill(appliance: &Appliance, count: usize) -> String {
    let caller = Caller::local("bench", "bench");
    let claims = (0..count).map(|number| {
        let (name, caller) = (NamespaceName::parse(&namespace(number)).unwrap(), &caller);
        let claim = Claim { contact: Some("somebody@builds.example.org".into()), ..Claim::default() };
        async move { drop(appliance.namespaces.claim(caller, &name, claim).await.unwrap()) }
    });
    futures_util::stream::iter(claims).buffer_unordered(SIDE_BY_SIDE).collect::<Vec<()>>().await;
    appliance.loops.run("monitor").await.unwrap();
    let (ada, operators) = (OperatorName::parse("ada").unwrap(), &appliance.operators);
    operators.create(&caller, ada.clone(), Role::Admin, None).await.unwrap();
    let from = Visitor { address: [127, 0, 0, 1].into(), agent: "bench".into(), request_id: "bench".into() };
    let id = operators.begin_session(ada, "bench", from).await.unwrap().into_inner();
    format!("keylender_session={}", id.expose())
}
