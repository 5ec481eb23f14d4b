//! How fast a queue grows, and when it gets to its thresholds if that goes on. Pure.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::base::Timestamp;

/// Samples kept of a queue: with the usual period a quarter of an hour, so that a burst is not taken for a trend.
const SAMPLES_MAX: usize = 15;
/// Fewer say nothing: two points are always a straight line.
const SAMPLES_MIN: usize = 3;
/// Samples over less time say more about the broker's own delays than about the queue.
const SPAN_MIN: Duration = Duration::from_secs(60);
/// A sample sooner after the last one replaces it: somebody nudges the loop.
const GAP_MIN: Duration = Duration::from_secs(15);
/// A sample that is older than this says nothing about the present rate.
const AGE_MAX: Duration = Duration::from_secs(2 * 60 * 60);
/// A forecast further away is none: at that rate the queue stands still.
const AHEAD_MAX: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// The last few counts of a queue, oldest first.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Samples(VecDeque<(Timestamp, u64)>);

/// Where a queue is going at its present rate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Forecast {
    /// Messages that come in every hour more than go out.
    pub per_hour: f64,
    /// When it gets over the threshold of the warning; zero when it is over.
    pub to_warning: Duration,
    /// When it gets over the threshold of the deletion; zero when it is over.
    pub to_deletion: Duration,
}

impl Samples {
    /// Adds a count. After a clock that went backwards the earlier ones mean nothing.
    pub fn add(&mut self, at: Timestamp, messages: u64) {
        match self.0.back() {
            Some((last, _)) if at < *last => self.0.clear(),
            Some((last, _)) if at.since(*last) < GAP_MIN && self.0.len() > 1 => {
                self.0.pop_back();
            }
            _ => {}
        }
        self.0.push_back((at, messages));
        while self.0.len() > SAMPLES_MAX || self.0.front().is_some_and(|(first, _)| at.since(*first) > AGE_MAX) {
            self.0.pop_front();
        }
    }

    /// The last count, and when it was.
    pub fn last(&self) -> Option<(Timestamp, u64)> {
        self.0.back().copied()
    }

    /// Whether the last count is too old to be of use.
    pub fn is_stale(&self, now: Timestamp) -> bool {
        self.0.back().is_none_or(|(last, _)| now.since(*last) > AGE_MAX)
    }

    /// The counts, from the first to the last.
    pub fn counts(&self) -> Vec<(Timestamp, u64)> {
        self.0.iter().copied().collect()
    }

    /// Whether the last count is of this moment.
    pub fn is_of(&self, now: Timestamp) -> bool {
        self.0.back().is_some_and(|(last, _)| *last == now)
    }

    /// Whether there is more in the queue than there was; without that there is no rate above zero to look for.
    pub fn has_grown(&self) -> bool {
        self.0.front().zip(self.0.back()).is_some_and(|((_, first), (_, last))| last > first)
    }

    /// Messages per hour that the queue grew by, in the earlier and in the later half of the samples, whichever is less:
    /// a batch that came at once makes a jump in one of them, growth shows in both. `None` while there are too few.
    pub fn per_hour(&self) -> Option<f64> {
        let ((first, _), (last, _)) = (self.0.front()?, self.0.back()?);
        if self.0.len() < SAMPLES_MIN || last.since(*first) < SPAN_MIN {
            return None;
        }
        let half = self.0.len() / 2;
        let halves = [median_slope(self.0.range(..=half)), median_slope(self.0.range(half..))];
        halves.into_iter().flatten().min_by(f64::total_cmp)
    }

    /// When the queue gets over these thresholds, if it grows.
    pub fn forecast(&self, warn: u64, delete: u64) -> Option<Forecast> {
        let (_, messages) = *self.0.back()?;
        let per_hour = self.per_hour().filter(|rate| *rate > 0.0)?;
        let until = |threshold: u64| match threshold.saturating_add(1).saturating_sub(messages) {
            0 => Some(Duration::ZERO),
            left => Duration::try_from_secs_f64(precise(left) / per_hour * 3600.0).ok().filter(|far| *far <= AHEAD_MAX),
        };
        Some(Forecast { per_hour, to_warning: until(warn)?, to_deletion: until(delete)? })
    }
}

/// The median of the slopes between all pairs of samples (Theil and Sen), which a few odd samples do not move.
fn median_slope<'s>(samples: impl Iterator<Item = &'s (Timestamp, u64)> + Clone) -> Option<f64> {
    let mut slopes = Vec::with_capacity(SAMPLES_MAX * SAMPLES_MAX / 8);
    for (index, (later, more)) in samples.clone().enumerate() {
        for (earlier, less) in samples.clone().take(index) {
            slopes.push(slope(*more, *less, later.since(*earlier)));
        }
    }
    let middle = slopes.len() / 2;
    (!slopes.is_empty()).then(|| *slopes.select_nth_unstable_by(middle, f64::total_cmp).1)
}

fn slope(more: u64, less: u64, over: Duration) -> f64 {
    (precise(more) - precise(less)) / over.as_secs_f64().max(1.0) * 3600.0
}

/// Counts of messages are far below 2^52, from where on this would round.
fn precise(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A series that was taken once a minute.
    fn series(counts: &[u64]) -> Samples {
        let mut samples = Samples::default();
        for (minute, count) in (0..).zip(counts) {
            samples.add(Timestamp::from_millis(minute * 60_000), *count);
        }
        samples
    }

    fn minutes(duration: Duration) -> u64 {
        duration.as_secs() / 60
    }

    #[test]
    fn recorded_series_have_the_rates_that_a_person_would_say() {
        for (what, counts, expected) in [
            ("nothing happens", &[7, 7, 7, 7][..], 0),
            ("a consumer went away", &[0, 0, 110, 205, 310, 420, 515], 5_400),
            ("it drains", &[9_000, 8_100, 7_150, 6_200, 5_300], -55_500),
            ("steady, with one burst that was worked off", &[100, 200, 300, 9_000, 500, 600, 700], 6_000),
            ("a batch every now and then, drained at once", &[0, 900, 0, 0, 850, 0, 0, 910, 0], 0),
            (
                "a purge in between, so that there is room again",
                &[1_000, 1_100, 1_200, 0, 100, 200, 300, 400, 500],
                -13_500,
            ),
        ] {
            let rate = series(counts).per_hour().unwrap();
            let slack = (f64::from(expected).abs() * 0.45).max(1.0);
            assert!((rate - f64::from(expected)).abs() <= slack, "{what}: {rate} is not about {expected}");
        }
    }

    #[test]
    fn a_growing_queue_is_told_when_it_gets_to_both_thresholds() {
        let forecast = series(&[100, 200, 300, 400]).forecast(4_000, 8_000).unwrap();
        assert_eq!((minutes(forecast.to_warning), minutes(forecast.to_deletion)), (36, 76));
        let over = series(&[4_000, 4_100, 4_200]).forecast(4_000, 8_000).unwrap();
        assert_eq!((minutes(over.to_warning), minutes(over.to_deletion)), (0, 38));
    }

    #[test]
    fn no_forecast_comes_from_too_little_or_of_what_does_not_grow() {
        for counts in [&[][..], &[100], &[100, 5_000], &[5, 5, 5], &[9, 8, 7, 6], &[1, 900, 900], &[1, 1, 1, 900, 900]]
        {
            assert_eq!(series(counts).forecast(4_000, 8_000), None, "{counts:?}");
        }
        assert_eq!(series(&[0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2]).forecast(4_000, 8_000), None);
        let mut nudged = Samples::default();
        for second in 0..10 {
            nudged.add(Timestamp::from_millis(second * 1_000), 100 * u64::try_from(second).unwrap());
        }
        assert_eq!(nudged.forecast(4_000, 8_000), None);
    }

    #[test]
    fn samples_are_few_and_a_clock_set_back_starts_anew() {
        let mut samples = series(&[1; 100]);
        assert_eq!(samples.0.len(), SAMPLES_MAX);
        samples.add(Timestamp::from_millis(0), 3);
        assert_eq!(samples.0.len(), 1);
    }
}
