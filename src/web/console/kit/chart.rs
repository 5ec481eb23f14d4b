//! Counts over time as stacked columns: an image for the eye, and a table with the same numbers for everybody.

use askama::Template;
use askama::filters::HtmlSafe;

use super::text::TimeTag;

/// The image in its own units; the style sheet stretches it.
const WIDTH: u64 = 960;
const HEIGHT: u64 = 160;
const GAP: u64 = 6;

/// A chart of two sorts of counts.
#[derive(Template)]
#[template(path = "parts/chart.html")]
pub struct Chart {
    caption: &'static str,
    /// What is counted, from the bottom up.
    sorts: [&'static str; 2],
    columns: Vec<Column>,
    highest: u64,
    totals: [u64; 2],
}

impl HtmlSafe for Chart {}

struct Column {
    at: TimeTag,
    counts: [u64; 2],
    bars: Vec<Bar>,
}

struct Bar {
    sort: usize,
    x: u64,
    y: u64,
    width: u64,
    height: u64,
}

impl Chart {
    /// A chart of counts, the oldest first.
    pub fn of(caption: &'static str, sorts: [&'static str; 2], counts: &[(TimeTag, [u64; 2])]) -> Self {
        let highest = counts.iter().map(|(_, [a, b])| a.saturating_add(*b)).max().unwrap_or(0);
        let step = WIDTH / u64::try_from(counts.len()).unwrap_or(1).max(1);
        let column = |(place, (at, counts)): (u64, &(TimeTag, [u64; 2]))| Column {
            at: *at,
            counts: *counts,
            bars: bars(place * step + GAP / 2, step.saturating_sub(GAP).max(1), *counts, highest),
        };
        Self {
            caption,
            sorts,
            columns: (0..).zip(counts).map(column).collect(),
            highest,
            totals: counts.iter().fold([0, 0], |[a, b], (_, [x, y])| [a.saturating_add(*x), b.saturating_add(*y)]),
        }
    }
}

/// One bar on the other. What is counted at all can be seen.
fn bars(x: u64, width: u64, counts: [u64; 2], highest: u64) -> Vec<Bar> {
    let mut y = HEIGHT;
    let mut bars = Vec::new();
    for (sort, count) in counts.into_iter().enumerate().filter(|(_, count)| *count > 0) {
        let share = u128::from(count) * u128::from(HEIGHT - 2) / u128::from(highest.max(1));
        let height = u64::try_from(share).unwrap_or(HEIGHT).max(2).min(y);
        y -= height;
        bars.push(Bar { sort, x, y, width, height });
    }
    bars
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Timestamp;

    fn chart(counts: &[[u64; 2]]) -> Chart {
        let at = TimeTag { at: Timestamp::from_millis(0), now: Timestamp::from_millis(0) };
        let counts: Vec<_> = counts.iter().map(|counts| (at, *counts)).collect();
        Chart::of("Lent", ["claims", "hosts"], &counts)
    }

    #[test]
    fn columns_stand_on_the_ground_and_none_is_higher_than_the_image() {
        for counts in [&[[0, 0]][..], &[[1, 0], [0, 1]], &[[u64::MAX, u64::MAX], [1, 0]], &[[1, 1_000_000]; 24], &[]] {
            let chart = chart(counts);
            for column in &chart.columns {
                let height: u64 = column.bars.iter().map(|bar| bar.height).sum();
                assert!(height <= HEIGHT, "{counts:?}");
                assert_eq!(column.bars.first().map_or(HEIGHT, |bar| bar.y + bar.height), HEIGHT, "{counts:?}");
                assert_eq!(column.bars.len(), column.counts.iter().filter(|count| **count > 0).count());
                assert!(column.bars.iter().all(|bar| bar.x + bar.width <= WIDTH));
            }
        }
    }

    #[test]
    fn what_the_image_shows_is_said_in_words_too() {
        let html = chart(&[[3, 0], [1, 2]]).to_string();
        for part in ["role=\"img\"", "4 claims and 2 hosts", "<td class=\"number\">3</td>", "<rect class=\"second\""] {
            assert!(html.contains(part), "{part}: {html}");
        }
        assert!(!html.contains("style"));
    }
}
