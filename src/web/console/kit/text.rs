//! Small things that pages show: texts of others, moments, and states. Each writes its own HTML.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use askama::filters::HtmlSafe;

use crate::base::Timestamp;
use crate::base::invisible::is_invisible;

/// Characters of a foreign text that are shown.
const SHOWN_LEN: usize = 300;

/// A text that somebody else wrote: contacts, names of hosts and queues, client ids, notes. It is shown harmlessly:
/// escaped, isolated from what stands beside it, cut, and with what cannot be seen made visible.
#[derive(Clone, Debug)]
pub struct Untrusted<'t> {
    text: Cow<'t, str>,
    len_max: usize,
}

impl<'t> Untrusted<'t> {
    /// Takes the text as it came.
    pub fn of(text: impl Into<Cow<'t, str>>) -> Self {
        Self { text: text.into(), len_max: SHOWN_LEN }
    }

    /// The lines of a text that is short by a rule of ours, none of them cut.
    pub fn lines(text: &str) -> Vec<Untrusted<'static>> {
        let line = |line: &str| Untrusted { text: line.to_owned().into(), len_max: usize::MAX };
        text.lines().map(line).collect()
    }
}

impl HtmlSafe for Untrusted<'_> {}

impl fmt::Display for Untrusted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<bdi>")?;
        let mut characters = self.text.chars();
        for c in characters.by_ref().take(self.len_max) {
            match c {
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '&' => f.write_str("&amp;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                c if is_invisible(c) => write!(f, "<span class=\"unseen\">U+{:04X}</span>", u32::from(c))?,
                c => fmt::Write::write_char(f, c)?,
            }
        }
        match characters.count() {
            0 => f.write_str("</bdi>"),
            more => write!(f, "<span class=\"unseen\">… {more} more</span></bdi>"),
        }
    }
}

/// A moment: in UTC, and how far from now it is. `console.js` adds the local time.
#[derive(Clone, Copy, Debug)]
pub struct TimeTag {
    pub at: Timestamp,
    pub now: Timestamp,
}

impl HtmlSafe for TimeTag {}

impl fmt::Display for TimeTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.at.to_string();
        let (day, time) = (&text[..10], &text[11..19]);
        write!(
            f,
            "<time datetime=\"{text}\"><span class=\"date\"><span>{day}</span> <span>{time}</span></span> \
             <span class=\"zone\">UTC</span> \
             <span class=\"ago\">{}</span></time>",
            distance(self.at, self.now)
        )
    }
}

/// `in 12 min`, `3 days ago`, `now`: one unit, rounded down.
pub fn distance(at: Timestamp, now: Timestamp) -> String {
    let (ahead, behind) = (at.since(now), now.since(at));
    match (roughly(ahead), roughly(behind)) {
        (Some(ahead), _) => format!("in {ahead}"),
        (None, Some(behind)) => format!("{behind} ago"),
        (None, None) => "now".to_owned(),
    }
}

/// A span in words: one unit, rounded down.
pub fn span(span: Duration) -> String {
    roughly(span).unwrap_or_else(|| "0 s".to_owned())
}

fn roughly(span: Duration) -> Option<String> {
    let seconds = span.as_secs();
    Some(match seconds {
        0 => return None,
        1..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..172_800 => format!("{} h", seconds / 3600),
        172_800..63_072_000 => format!("{} days", seconds / 86_400),
        _ => format!("{} years", seconds / 31_536_000),
    })
}

/// How good a state is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    Well,
    /// Nothing to do, or not known.
    Quiet,
    /// Somebody should look at it.
    Warning,
    Unwell,
}

impl Tone {
    /// As the style sheet knows it.
    pub fn class(self) -> &'static str {
        match self {
            Self::Well => "well",
            Self::Quiet => "quiet",
            Self::Warning => "warning",
            Self::Unwell => "unwell",
        }
    }
}

/// A state in a word, with its tone. The word says it all: colour is never the only sign.
#[derive(Clone, Debug)]
pub struct State {
    pub tone: Tone,
    pub word: Cow<'static, str>,
}

impl HtmlSafe for State {}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<span class=\"state {}\">{}</span>", self.tone.class(), Untrusted::of(&*self.word))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_others_are_shown_harmlessly() {
        let shown = |text: &str| Untrusted::of(text).to_string();
        assert_eq!(shown("<script>\"'&"), "<bdi>&lt;script&gt;&quot;&#39;&amp;</bdi>");
        assert_eq!(shown("a\u{202e}b"), "<bdi>a<span class=\"unseen\">U+202E</span>b</bdi>");
        assert_eq!(
            shown("\0\n"),
            "<bdi><span class=\"unseen\">U+0000</span><span class=\"unseen\">U+000A</span></bdi>"
        );
        let long = shown(&"é".repeat(64 << 10));
        assert!(
            long.ends_with("<span class=\"unseen\">… 65236 more</span></bdi>") && long.len() < 700,
            "{}",
            long.len()
        );
        assert_eq!(shown("müller, 東京"), "<bdi>müller, 東京</bdi>");
    }

    #[test]
    fn a_distance_in_time_has_one_unit() {
        let now = Timestamp::from_millis(1_000_000_000_000);
        let plus = |seconds: u64| distance(now.plus(Duration::from_secs(seconds)), now);
        assert_eq!([plus(0), plus(59), plus(720), plus(7200)], ["now", "in 59 s", "in 12 min", "in 2 h"]);
        assert_eq!(distance(now.minus(Duration::from_secs(400_000)), now), "4 days ago");
        let moment = TimeTag { at: now, now }.to_string();
        assert!(
            moment.starts_with(
                "<time datetime=\"2001-09-09T01:46:40.000Z\"><span class=\"date\"><span>2001-09-09</span> <"
            )
        );
    }
}
