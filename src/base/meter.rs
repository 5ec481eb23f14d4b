//! Numbers that are counted while work goes on: without a lock, without an allocation, and read at any time.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A number that only grows. It begins at zero with the process.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// One more.
    pub fn one(&self) {
        self.add(1);
    }

    /// So many more.
    pub fn add(&self, count: u64) {
        // Nothing is concluded from the order of two counters.
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    /// How many by now.
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Upper bounds of the buckets of every histogram, in milliseconds: from a claim out of memory to the longest wait for
/// the broker. One more bucket takes what is longer.
pub const BOUNDS_MS: [u64; 11] = [1, 2, 5, 10, 25, 50, 100, 250, 1000, 5000, 30_000];

/// How long things took.
#[derive(Debug, Default)]
pub struct Histogram {
    buckets: [Counter; BOUNDS_MS.len() + 1],
    micros: Counter,
}

impl Histogram {
    /// One more that took so long.
    pub fn add(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = BOUNDS_MS.iter().position(|bound| micros <= bound * 1000).unwrap_or(BOUNDS_MS.len());
        self.buckets[bucket].one();
        self.micros.add(micros);
    }

    /// How many took at most as long as each bound says, and last how many there were.
    pub fn cumulative(&self) -> [u64; BOUNDS_MS.len() + 1] {
        let mut sum = 0;
        std::array::from_fn(|bucket| {
            sum += self.buckets[bucket].count();
            sum
        })
    }

    /// All of them together, in seconds.
    pub fn sum_seconds(&self) -> f64 {
        self.micros.count() as f64 / 1e6
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_counts_each_in_its_bucket_and_all_above() {
        let took = Histogram::default();
        for micros in [0, 1000, 1001, 60_000_000] {
            took.add(Duration::from_micros(micros));
        }
        let counts = took.cumulative();
        assert_eq!((counts[0], counts[1], counts[10], counts[11]), (2, 3, 3, 4));
        assert!((took.sum_seconds() - 60.002_001).abs() < 1e-9);
    }
}
