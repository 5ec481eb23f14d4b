//! The instructions of a small request: what busy neighbours do not change.

use std::path::Path;

use crate::helper::Helper;
use crate::program::Installed;
use crate::upstream::SMALL;
use crate::wire::Connection;

/// Requests of the shorter run; the longer has twice as many, and the difference knows nothing of start and end.
const REQUESTS: usize = 2000;

/// Counts, and prints a row of the table without a reference.
pub fn count(program: &Path, is_quick: bool) {
    let requests = if is_quick { REQUESTS / 10 } else { REQUESTS };
    let (installed, upstream) = (Installed::new(program), Helper::upstream());
    let [short, long] = [requests, 2 * requests].map(|count| run(&installed, &upstream, count));
    let each = (long - short) / requests as f64 / 1e3;
    let start = (short - each * 1e3 * requests as f64) / 1e6;
    println!("| instructions of the proxy for a small request | {each:.1} thousand | – | – | – | – |");
    println!("| instructions of its start | {start:.1} million | – | – | – | – |");
}

/// The instructions of a run with so many requests. What was counted stays beside the bench's other files, for
/// `callgrind_annotate`.
fn run(installed: &Installed, upstream: &Helper, requests: usize) -> f64 {
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("callgrind.proxy");
    let program = installed.start_counted(upstream.address, &out);
    Connection::open(program.address, SMALL).unwrap().load(requests);
    program.stop();
    let counted = std::fs::read_to_string(&out).unwrap();
    let total = counted.lines().find_map(|line| line.strip_prefix("totals: "));
    let total = total.unwrap_or_else(|| panic!("no total in {}", out.display())).trim().parse().unwrap();
    eprintln!("{requests} requests: {total} instructions");
    total
}
