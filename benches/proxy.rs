//! The task proxy beside its direct upstream, in alternating rounds: small requests, bodies of 1 GiB, memory, and its start.
//!
//! The upstream and each proxy have a process of their own; all of it shares the cores, and nothing leaves this machine. A
//! relay that only copies bytes shows what that leaves possible at all. An appliance with a session for the same task has
//! every call in its store before it is answered.
//! `BESIDE` names another program that is to be measured as well, such as the ancestor; `PROGRAM` is the program to look at,
//! when it is not the one that was built with this bench. `PROXY_BENCH_QUICK=1` only tries whether all of this works,
//! and `PROXY_BENCH_MIB` is how long a body is in either.
//! `cargo bench --bench proxy -- count` counts instructions: see `scripts/count-proxy`.

#[path = "proxy/appliance.rs"]
mod appliance;
mod common;
#[path = "proxy/count.rs"]
mod count;
#[path = "proxy/helper.rs"]
mod helper;
#[path = "proxy/process.rs"]
mod process;
#[path = "proxy/program.rs"]
mod program;
#[path = "proxy/upstream.rs"]
mod upstream;
#[path = "proxy/wire.rs"]
mod wire;

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use appliance::Appliance;
use common::{Row, Target, median};
use helper::Helper;
use program::{Installed, Program};
use upstream::{SLOW, SMALL};
use wire::{Connection, Load, Passage};

const CONNECTIONS: usize = 64;
/// What the first byte of a body may take that comes at once, however long the body is.
const AT_ONCE_MS: f64 = 10.0;
/// Without a store, whatever goes by.
const MEMORY_MB: Target = Target::Below(12.0);

/// How much is measured.
struct Sizes {
    rounds: usize,
    /// Requests of a round, over one connection and over many.
    alone: usize,
    many: usize,
    /// Rounds of bodies, and bytes of one.
    body_rounds: usize,
    body: u64,
    starts: usize,
}

const FULL: Sizes = Sizes { rounds: 7, alone: 20_000, many: 50_000, body_rounds: 3, body: 1 << 30, starts: 20 };
const QUICK: Sizes = Sizes { rounds: 2, alone: 500, many: 2000, body_rounds: 1, body: 10 << 20, starts: 3 };

/// A way to the upstream: direct, through a relay, or through a proxy.
struct Way {
    /// What stands behind the name of a row.
    suffix: &'static str,
    address: SocketAddr,
    /// Whoever answers there.
    id: u32,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The upstream itself.
    Direct,
    /// Something that is no proxy.
    Relay,
    /// Another proxy.
    Other,
    /// Ours, without a store: of it most is wanted.
    Ours,
    /// Ours, with a store.
    Stored,
}

struct Bench {
    sizes: Sizes,
    /// The first one is direct.
    ways: Vec<Way>,
    _helpers: [Helper; 2],
    _programs: Vec<Program>,
    _appliance: Appliance,
}

/// What is wanted of small requests.
struct Wanted {
    rate: Target,
    stored_rate: Target,
    added_p50_us: Target,
    added_p99_us: Target,
    cpu_us: Target,
}

/// A figure of a round.
type Of = fn(&Load) -> f64;

#[expect(clippy::disallowed_methods, reason = "a bench has no settings")]
fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    helper::play(&arguments);
    let is_quick = std::env::var_os("PROXY_BENCH_QUICK").is_some();
    let program = std::env::var_os("PROGRAM").unwrap_or_else(|| env!("CARGO_BIN_EXE_keylender").into());
    if arguments.iter().any(|argument| argument == "count") {
        return count::count(Path::new(&program), is_quick);
    }
    let mut installed = vec![("", Installed::new(Path::new(&program)))];
    installed.extend(std::env::var_os("BESIDE").map(|other| (", the other proxy", Installed::new(Path::new(&other)))));
    let mut sizes = if is_quick { QUICK } else { FULL };
    if let Some(mib) = std::env::var_os("PROXY_BENCH_MIB") {
        sizes.body = mib.to_str().unwrap().parse::<u64>().unwrap() << 20;
    }
    measure(sizes, Path::new(&program), &installed);
}

fn measure(sizes: Sizes, program: &Path, installed: &[(&'static str, Installed)]) {
    let upstream = Helper::upstream();
    let relay = Helper::relay(upstream.address);
    let of = |suffix, helper: &Helper, kind| Way { suffix, address: helper.address, id: helper.id(), kind };
    let mut ways = vec![of("", &upstream, Kind::Direct)];
    let mut programs = Vec::new();
    for (number, (suffix, installed)) in installed.iter().enumerate() {
        let kind = if number == 0 { Kind::Ours } else { Kind::Other };
        starts(&sizes, suffix, installed, upstream.address, kind);
        let (started, _) = installed.start(upstream.address);
        ways.push(Way { suffix, address: started.address, id: started.id(), kind });
        programs.push(started);
    }
    let appliance = Appliance::start(program, upstream.address);
    let (suffix, address, id) = (", with a store", appliance.address, appliance.id());
    ways.push(Way { suffix, address, id, kind: Kind::Stored });
    ways.push(of(", a relay that only copies", &relay, Kind::Relay));
    let bench = Bench { sizes, ways, _helpers: [upstream, relay], _programs: programs, _appliance: appliance };
    bench.memory("memory after its first answer", "VmRSS:");
    bench.small();
    bench.memory("memory at its peak so far", "VmHWM:");
    bench.bodies("down", wire::download);
    bench.bodies("up", wire::upload);
}

/// From the start to the first answer of the upstream.
fn starts(sizes: &Sizes, suffix: &str, installed: &Installed, upstream: SocketAddr, kind: Kind) {
    let millis = |took: Duration| took.as_secs_f64() * 1e3;
    let all = (0..sizes.starts).map(|_| (millis(installed.start(upstream).1), millis(installed.version())));
    let (ours, reference) = all.unzip();
    Row {
        what: &format!("start to first answer through it{suffix}"),
        unit: "ms",
        ours: median(ours),
        reference: median(reference),
        reference_is: "the same program says its version",
        target: kind.wants(Target::Below(15.0)),
    }
    .print();
}

impl Kind {
    /// A target, if something is wanted of it.
    fn wants(self, target: Target) -> Target {
        if self == Self::Ours { target } else { Target::None }
    }
}

impl Way {
    fn is_proxy(&self) -> bool {
        matches!(self.kind, Kind::Ours | Kind::Other)
    }
}

impl Bench {
    /// Measures every way in turn. The first round warms up and does not count.
    fn rounds<T>(&self, rounds: usize, mut measure: impl FnMut(&Way) -> T) -> Vec<Vec<T>> {
        let mut all: Vec<Vec<T>> = self.ways.iter().map(|_| Vec::new()).collect();
        for round in 0..=rounds {
            eprintln!("round {round}");
            for (way, measured) in self.ways.iter().zip(&mut all) {
                let one = measure(way);
                if round > 0 {
                    measured.push(one);
                }
            }
        }
        all
    }

    fn small(&self) {
        let Sizes { alone, many, .. } = self.sizes;
        let wanted = Wanted {
            rate: Target::None,
            stored_rate: Target::None,
            added_p50_us: Target::Below(100.0),
            added_p99_us: Target::None,
            cpu_us: Target::Below(60.0),
        };
        let load = |address| Connection::open(address, SMALL).unwrap().load(alone);
        self.loads("small request, 1 connection", alone, &wanted, load);
        let wanted = Wanted {
            rate: Target::RatioMin(0.6),
            stored_rate: Target::RatioMin(0.4),
            added_p50_us: Target::None,
            added_p99_us: Target::Below(4000.0),
            cpu_us: Target::Below(60.0),
        };
        let load = |address| wire::load(address, SMALL, CONNECTIONS, many);
        self.loads(&format!("small request, {CONNECTIONS} connections"), many, &wanted, load);
        let load = |address| wire::load(address, SLOW, CONNECTIONS, many);
        self.loads("the same, the upstream takes 2 ms", many, &wanted, load);
    }

    fn loads(&self, what: &str, count: usize, wanted: &Wanted, measure: impl Fn(SocketAddr) -> Load) {
        let all = self.rounds(self.sizes.rounds, |way| {
            let before = process::cpu(way.id);
            (measure(way.address), process::cpu(way.id).saturating_sub(before))
        });
        let micros = |took: Duration| took.as_secs_f64() * 1e6;
        let middle = |all: &[(Load, Duration)], of: Of| median(all.iter().map(|one| of(&one.0)).collect());
        // Ticks of the clock are coarse: they count over all rounds.
        let cpu = |all: &[(Load, Duration)]| micros(all.iter().map(|one| one.1).sum()) / (count * all.len()) as f64;
        let (direct, programs) = all.split_first().unwrap();
        for (way, all) in self.ways[1..].iter().zip(programs) {
            let print_wanted = |end: &str, unit, figures: (f64, f64), reference_is, target| {
                let what = format!("{what}: {end}{}", way.suffix);
                let (ours, reference) = figures;
                Row { what: &what, unit, ours, reference, reference_is, target }.print();
            };
            let print = |end: &str, unit, figures, reference_is, target| {
                print_wanted(end, unit, figures, reference_is, way.kind.wants(target))
            };
            let rate: Of = |load| load.rate;
            let (figures, stored) = ((middle(all, rate), middle(direct, rate)), wanted.stored_rate);
            match way.kind {
                Kind::Stored => print_wanted("answers", "/s", figures, "direct", stored),
                _ => print("answers", "/s", figures, "direct", wanted.rate),
            }
            let percents: [(_, _, Of, _); 2] = [
                ("half within", "added to half of them", |load| load.p50.as_secs_f64() * 1e6, wanted.added_p50_us),
                ("99 of 100 within", "added to these", |load| load.p99.as_secs_f64() * 1e6, wanted.added_p99_us),
            ];
            for (within, added, of, target) in percents {
                let (ours, reference) = (middle(all, of), middle(direct, of));
                print(within, "µs", (ours, reference), "direct", Target::None);
                print(added, "µs", (ours - reference, reference), "direct", target);
            }
            print("CPU of it for each", "µs", (cpu(all), cpu(direct)), "of the upstream", wanted.cpu_us);
        }
    }

    /// Bodies in one direction, and the memory of whoever passes them on.
    fn bodies(&self, direction: &str, pass: impl Fn(SocketAddr, u64) -> Passage) {
        let Sizes { body_rounds, body, .. } = self.sizes;
        self.ways.iter().for_each(|way| process::reset_peak(way.id));
        let all = self.rounds(body_rounds, |way| pass(way.address, body));
        let speed = |all: &[Passage]| median(all.iter().map(|one| one.mb_per_s).collect());
        let first = |all: &[Passage]| median(all.iter().map(|one| one.first.as_secs_f64() * 1e3).collect());
        let (direct, programs) = all.split_first().unwrap();
        let what = format!("{} MiB {direction}", body >> 20);
        for (way, all) in self.ways[1..].iter().zip(programs) {
            let print = |what: &str, unit, ours, reference, target| {
                let what = format!("{what}{}", way.suffix);
                let target = way.kind.wants(target);
                Row { what: &what, unit, ours, reference, reference_is: "direct", target }.print();
            };
            print(&what, "MB/s", speed(all), speed(direct), Target::RatioMin(0.8));
            print("its first byte after", "ms", first(all), first(direct), Target::Below(AT_ONCE_MS));
        }
        self.memory(&format!("memory at its peak while {what}"), "VmHWM:");
    }

    /// What each program has in memory, with its file; beside it what is its own.
    fn memory(&self, what: &str, line: &str) {
        for way in self.ways.iter().filter(|way| way.is_proxy()) {
            Row {
                what: &format!("{what}{}", way.suffix),
                unit: "MB",
                ours: process::memory_mb(way.id, line),
                reference: process::memory_mb(way.id, "RssAnon:"),
                reference_is: "without pages of files, afterwards",
                target: way.kind.wants(MEMORY_MB),
            }
            .print();
        }
    }
}
