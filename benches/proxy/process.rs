//! What the kernel says of another process.

use std::time::Duration;

/// Ticks in a second, in what the kernel tells programs of processor time: on every machine that we build for.
const TICKS: u32 = 100;

/// Processor time that a process took so far, all its threads, in it and in the kernel.
pub fn cpu(id: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap();
    // The name of the program ends with the last bracket, and `utime` is the 14th field of all.
    let fields = &stat[stat.rfind(')').unwrap() + 2..];
    let ticks: u32 = fields.split(' ').skip(11).take(2).map(|ticks| ticks.parse::<u32>().unwrap()).sum();
    Duration::from_secs(ticks.into()) / TICKS
}

/// A line of the memory of a process, in MB: `VmHWM:` is its peak.
pub fn memory_mb(id: u32, line: &str) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let line = status.lines().find_map(|found| found.strip_prefix(line)).unwrap();
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() * 1024.0 / 1e6
}

/// From now on the peak of a process is that of the memory that is resident now. A process that holds secrets lets only
/// root do this; for others its peak is that of all before.
pub fn reset_peak(id: u32) {
    let _ = std::fs::write(format!("/proc/{id}/clear_refs"), "5");
}
