//! What every bench does: measure two things in turn, and print one row of the table that `scripts/bench` makes.

#![expect(dead_code, reason = "every bench has another kind of target")]

/// How a figure stands to its reference, and what it should be.
#[derive(Clone, Copy)]
pub enum Target {
    /// Ours is a rate, at least this multiple of the reference's.
    RatioMin(f64),
    /// Ours is a cost, at most this multiple of the reference's.
    RatioMax(f64),
    /// Ours is a cost below this, whatever the reference says.
    Below(f64),
    /// Only to know.
    None,
}

/// One row of the table. The exit code of a bench says nothing about it: benches inform, they never fail a build.
pub struct Row<'a> {
    pub what: &'a str,
    pub unit: &'a str,
    pub ours: f64,
    pub reference: f64,
    pub reference_is: &'a str,
    pub target: Target,
}

impl Row<'_> {
    /// Prints the row in Markdown.
    pub fn print(&self) {
        let Self { what, unit, ours, reference, reference_is, target } = *self;
        let ratio = ours / reference;
        let (wanted, met) = match target {
            Target::RatioMin(min) => (format!("≥ {min:.2}×"), Some(ratio >= min)),
            Target::RatioMax(max) => (format!("≤ {max:.2}×"), Some(ratio <= max)),
            Target::Below(max) => (format!("< {} {unit}", figure(max)), Some(ours < max)),
            Target::None => ("–".to_owned(), None),
        };
        let met = met.map_or("–", |met| if met { "yes" } else { "**no**" });
        let (ours, reference) = (figure(ours), figure(reference));
        // Memory that does not grow at all has no ratio.
        let ratio = if ratio.is_finite() && ratio > 0.0 { format!("{ratio:.2}×") } else { "–".to_owned() };
        println!("| {what} | {ours} {unit} | {reference} {unit} ({reference_is}) | {ratio} | {wanted} | {met} |");
    }
}

/// Measures both in turn, so that whatever else the machine does hits both alike, and returns the two medians. The
/// first round of each warms up and does not count.
pub fn alternate(rounds: usize, mut ours: impl FnMut() -> f64, mut reference: impl FnMut() -> f64) -> (f64, f64) {
    let (mut all_ours, mut all_references) = (Vec::new(), Vec::new());
    for round in 0..=rounds {
        let pair = (ours(), reference());
        eprintln!("round {round}: {} and {}", figure(pair.0), figure(pair.1));
        if round > 0 {
            all_ours.push(pair.0);
            all_references.push(pair.1);
        }
    }
    (median(all_ours), median(all_references))
}

/// The one in the middle.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Three digits, or all of them before the point.
fn figure(value: f64) -> String {
    match value {
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// From now on the peak is that of the memory that is resident now.
pub fn reset_peak() {
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
}

/// A line of what the kernel says about this process, in MB.
pub fn memory_mb(line: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|found| found.strip_prefix(line)).unwrap();
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() * 1024.0 / 1e6
}
