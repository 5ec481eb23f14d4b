//! The task proxy beside its direct upstream, in alternating rounds: small requests, bodies of 1 GiB, memory, and its start.
//!
//! The upstream and each proxy have a process of their own; all of it shares the cores, and nothing leaves this machine.
//! `BESIDE` names another program that is to be measured as well, such as the ancestor; `PROGRAM` is the program to look at,
//! when it is not the one that was built with this bench. `PROXY_BENCH_QUICK=1` only tries whether all of this works.
//! `cargo bench --bench proxy -- count` counts instructions: see `scripts/count-proxy`.

mod common;
#[path = "proxy/count.rs"]
mod count;
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

use common::{Row, Target, median};
use program::{Installed, Program};
use upstream::{SLOW, SMALL, Upstream};
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

/// A way to the upstream: direct, or through a program.
struct Way {
    /// What stands behind the name of a row.
    suffix: &'static str,
    program: Option<Program>,
    /// Only ours has any.
    has_targets: bool,
}

struct Bench {
    sizes: Sizes,
    upstream: Upstream,
    /// The first one is direct.
    ways: Vec<Way>,
}

/// What is wanted of small requests.
struct Wanted {
    rate: Target,
    added_p50_us: Target,
    added_p99_us: Target,
    cpu_us: Target,
}

#[expect(clippy::disallowed_methods, reason = "a bench has no settings")]
fn main() {
    let is_asked = |what: &str| std::env::args().any(|argument| argument == what);
    if is_asked(upstream::ARGUMENT) {
        return upstream::serve();
    }
    let is_quick = std::env::var_os("PROXY_BENCH_QUICK").is_some();
    let program = std::env::var_os("PROGRAM").unwrap_or_else(|| env!("CARGO_BIN_EXE_keylender").into());
    if is_asked("count") {
        return count::count(Path::new(&program), is_quick);
    }
    let mut installed = vec![("", Installed::new(Path::new(&program)))];
    installed.extend(std::env::var_os("BESIDE").map(|other| (", the other proxy", Installed::new(Path::new(&other)))));
    measure(if is_quick { QUICK } else { FULL }, &installed);
}

fn measure(sizes: Sizes, installed: &[(&'static str, Installed)]) {
    let upstream = Upstream::start();
    let mut ways = vec![Way { suffix: "", program: None, has_targets: false }];
    for (number, (suffix, installed)) in installed.iter().enumerate() {
        starts(&sizes, suffix, installed, upstream.address, number == 0);
        let (program, _) = installed.start(upstream.address);
        ways.push(Way { suffix, program: Some(program), has_targets: number == 0 });
    }
    let bench = Bench { sizes, upstream, ways };
    bench.memory("memory after its first answer", "VmRSS:");
    bench.small();
    bench.memory("memory at its peak so far", "VmHWM:");
    bench.bodies("down", wire::download);
    bench.bodies("up", wire::upload);
}

/// From the start to the first answer of the upstream.
fn starts(sizes: &Sizes, suffix: &str, installed: &Installed, upstream: SocketAddr, is_ours: bool) {
    let millis = |took: Duration| took.as_secs_f64() * 1e3;
    let all = (0..sizes.starts).map(|_| (millis(installed.start(upstream).1), millis(installed.version())));
    let (ours, reference) = all.unzip();
    Row {
        what: &format!("start to first answer through it{suffix}"),
        unit: "ms",
        ours: median(ours),
        reference: median(reference),
        reference_is: "the same program says its version",
        target: if is_ours { Target::Below(15.0) } else { Target::None },
    }
    .print();
}

impl Way {
    /// A target, if it is one for this way.
    fn wants(&self, target: Target) -> Target {
        if self.has_targets { target } else { Target::None }
    }
}

impl Bench {
    fn address(&self, way: &Way) -> SocketAddr {
        way.program.as_ref().map_or(self.upstream.address, |program| program.address)
    }

    /// Processor time of whoever answers on a way.
    fn cpu(&self, way: &Way) -> Duration {
        way.program.as_ref().map_or_else(|| self.upstream.cpu(), Program::cpu)
    }

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
            added_p50_us: Target::Below(100.0),
            added_p99_us: Target::None,
            cpu_us: Target::Below(60.0),
        };
        let load = |address| Connection::open(address, SMALL).unwrap().load(alone);
        self.loads("small request, 1 connection", alone, &wanted, load);
        let wanted = Wanted {
            rate: Target::RatioMin(0.6),
            added_p50_us: Target::None,
            added_p99_us: Target::Below(4000.0),
            cpu_us: Target::Below(60.0),
        };
        let load = |address| wire::load(address, SMALL, CONNECTIONS, many);
        self.loads(&format!("small request, {CONNECTIONS} connections"), many, &wanted, load);
        let wanted = Wanted { rate: Target::None, added_p99_us: Target::None, ..wanted };
        let load = |address| wire::load(address, SLOW, CONNECTIONS, many);
        self.loads("the same, the upstream takes 2 ms", many, &wanted, load);
    }

    fn loads(&self, what: &str, count: usize, wanted: &Wanted, measure: impl Fn(SocketAddr) -> Load) {
        let all = self.rounds(self.sizes.rounds, |way| {
            let before = self.cpu(way);
            (measure(self.address(way)), self.cpu(way).saturating_sub(before))
        });
        let micros = |took: Duration| took.as_secs_f64() * 1e6;
        let middle =
            |all: &[(Load, Duration)], of: fn(&Load) -> f64| median(all.iter().map(|one| of(&one.0)).collect());
        // Ticks of the clock are coarse: they count over all rounds.
        let cpu = |all: &[(Load, Duration)]| micros(all.iter().map(|one| one.1).sum()) / (count * all.len()) as f64;
        let (direct, programs) = all.split_first().unwrap();
        for (way, all) in self.ways[1..].iter().zip(programs) {
            let print = |end: &str, unit, figures: (f64, f64), reference_is, target| {
                let what = format!("{what}: {end}{}", way.suffix);
                let (ours, reference) = figures;
                Row { what: &what, unit, ours, reference, reference_is, target: way.wants(target) }.print();
            };
            let rate: fn(&Load) -> f64 = |load| load.rate;
            print("answers", "/s", (middle(all, rate), middle(direct, rate)), "direct", wanted.rate);
            let percents: [(_, _, fn(&Load) -> f64, _); 2] = [
                ("half within", "added to half of them", |load| load.p50.as_secs_f64() * 1e6, wanted.added_p50_us),
                ("99 of 100 within", "added to these", |load| load.p99.as_secs_f64() * 1e6, wanted.added_p99_us),
            ];
            for (within, added, of, target) in percents {
                let (ours, reference) = (middle(all, of), middle(direct, of));
                print(within, "µs", (ours, reference), "direct", Target::None);
                print(added, "µs", (ours - reference, reference), "direct", target);
            }
            print("CPU of the proxy", "µs", (cpu(all), cpu(direct)), "of the upstream", wanted.cpu_us);
        }
    }

    /// Bodies in one direction, and the memory of whoever passes them on.
    fn bodies(&self, direction: &str, pass: impl Fn(SocketAddr, u64) -> Passage) {
        let Sizes { body_rounds, body, .. } = self.sizes;
        self.ways.iter().filter_map(|way| way.program.as_ref()).for_each(Program::reset_peak);
        let all = self.rounds(body_rounds, |way| pass(self.address(way), body));
        let speed = |all: &[Passage]| median(all.iter().map(|one| one.mb_per_s).collect());
        let first = |all: &[Passage]| median(all.iter().map(|one| one.first.as_secs_f64() * 1e3).collect());
        let (direct, programs) = all.split_first().unwrap();
        let what = format!("{} MiB {direction}", body >> 20);
        for (way, all) in self.ways[1..].iter().zip(programs) {
            let print = |what: &str, unit, ours, reference, target| {
                let what = format!("{what}{}", way.suffix);
                let target = way.wants(target);
                Row { what: &what, unit, ours, reference, reference_is: "direct", target }.print();
            };
            print(&what, "MB/s", speed(all), speed(direct), Target::RatioMin(0.8));
            print("its first byte after", "ms", first(all), first(direct), Target::Below(AT_ONCE_MS));
        }
        self.memory(&format!("memory at its peak while {what}"), "VmHWM:");
    }

    /// What each program has in memory, with its file; beside it what is its own.
    fn memory(&self, what: &str, line: &str) {
        for way in &self.ways {
            let Some(program) = &way.program else { continue };
            Row {
                what: &format!("{what}{}", way.suffix),
                unit: "MB",
                ours: program.memory_mb(line),
                reference: program.memory_mb("RssAnon:"),
                reference_is: "without pages of files, afterwards",
                target: way.wants(MEMORY_MB),
            }
            .print();
        }
    }
}
