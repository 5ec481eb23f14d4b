//! The last counts of a queue as a line: an image for the eye, and words for who cannot see it.

use std::fmt;

use askama::filters::HtmlSafe;

use crate::base::Timestamp;

/// Width and height in its own units; the style sheet says how large that is.
const SIZE: (f64, f64) = (300.0, 40.0);

pub struct Line {
    points: String,
    words: String,
}

impl Line {
    /// The line through these counts, the oldest first; none while they are of one moment.
    pub fn of(counts: &[(Timestamp, u64)]) -> Option<Self> {
        let ((begin, first), (end, last)) = (counts.first()?, counts.last()?);
        let (span, most) = (end.since(*begin), counts.iter().map(|(_, messages)| *messages).max()?);
        if span.is_zero() {
            return None;
        }
        let point = |(at, messages): &(Timestamp, u64)| {
            let x = at.since(*begin).as_secs_f64() / span.as_secs_f64() * SIZE.0;
            let y = SIZE.1 - share(*messages, most) * SIZE.1;
            format!("{x:.0},{y:.0}")
        };
        let points: Vec<String> = counts.iter().map(point).collect();
        let minutes = span.as_secs() / 60;
        Some(Self {
            points: points.join(" "),
            words: format!("from {first} to {last} messages in {minutes} minutes, at most {most}"),
        })
    }

    /// What it shows, in words.
    pub fn words(&self) -> &str {
        &self.words
    }
}

impl HtmlSafe for Line {}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { points, words } = self;
        write!(
            f,
            "<svg class=\"line\" viewBox=\"0 -2 {} {}\" role=\"img\" aria-label=\"{words}\"><polyline points=\"{points}\" \
             fill=\"none\" stroke=\"currentColor\" stroke-width=\"2\"/></svg>",
            SIZE.0,
            SIZE.1 + 4.0
        )
    }
}

/// Counts of messages are far below 2^52, from where on this would round.
fn share(part: u64, whole: u64) -> f64 {
    part as f64 / whole.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_goes_from_the_first_count_to_the_last() {
        let counts = |counts: &[u64]| -> Vec<(Timestamp, u64)> {
            (0..).zip(counts).map(|(minute, count)| (Timestamp::from_millis(minute * 60_000), *count)).collect()
        };
        let line = Line::of(&counts(&[0, 10, 5])).unwrap().to_string();
        assert!(line.contains("points=\"0,40 150,0 300,20\""), "{line}");
        assert!(line.contains("aria-label=\"from 0 to 5 messages in 2 minutes, at most 10\""), "{line}");
        assert!(Line::of(&counts(&[0, 0])).unwrap().to_string().contains("points=\"0,40 300,40\""));
        assert!(Line::of(&counts(&[7])).is_none() && Line::of(&[]).is_none());
    }
}
