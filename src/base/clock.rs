//! Moments in milliseconds, and the one place that asks what time it is.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use jiff::SignedDuration;
use jiff::civil::DateTime;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::error::Error;
use super::parsed::parsed;

/// The moment zero. Civil arithmetic, because `jiff::Timestamp` ends before the year 9999 does.
const EPOCH: DateTime = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);

/// A moment, in milliseconds since 1970 (UTC). Its text form is `YYYY-MM-DDTHH:MM:SS.mmmZ`, on the wire and in
/// the store (taskcluster.md 6.2).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The first moment that has a text form: the year 0.
    pub const MIN: Self = Self(-62_167_219_200_000);
    /// The last moment that has a text form: the end of the year 9999.
    pub const MAX: Self = Self(253_402_300_799_999);

    /// From milliseconds since 1970; clamped to the years 0 to 9999.
    pub const fn from_millis(millis: i64) -> Self {
        match millis {
            ..-62_167_219_200_000 => Self::MIN,
            253_402_300_800_000.. => Self::MAX,
            _ => Self(millis),
        }
    }

    /// Milliseconds since 1970.
    pub fn as_millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since 1970, rounded down.
    pub fn as_seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// From a date and time of day in UTC.
    pub fn from_civil(civil: DateTime) -> Self {
        Self::from_millis(i64::try_from(civil.duration_since(EPOCH).as_millis()).unwrap_or(i64::MAX))
    }

    /// This much later, at most [`Timestamp::MAX`].
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self::from_millis(self.0.saturating_add(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)))
    }

    /// This much earlier, at least [`Timestamp::MIN`].
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        Self::from_millis(self.0.saturating_sub(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)))
    }

    /// Whether this was less than a period before `now`. What a clock that ran ahead wrote was not.
    pub fn is_within(self, period: Duration, now: Self) -> bool {
        self <= now && now < self.plus(period)
    }

    /// How long after `earlier` this is; zero when it is before.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let civil = EPOCH.checked_add(SignedDuration::from_millis(self.0)).unwrap_or(EPOCH);
        // By hand: every claim writes five or more of these, and `write!` takes several times as long.
        let mut text = *b"0000-00-00T00:00:00.000Z";
        let parts = [
            (0..4, i32::from(civil.year())),
            (5..7, civil.month().into()),
            (8..10, civil.day().into()),
            (11..13, civil.hour().into()),
            (14..16, civil.minute().into()),
            (17..19, civil.second().into()),
            (20..23, civil.millisecond().into()),
        ];
        for (place, mut number) in parts {
            for digit in text[place].iter_mut().rev() {
                *digit += u8::try_from(number % 10).unwrap_or(0);
                number /= 10;
            }
        }
        f.write_str(str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Reads the exact form that `Display` writes, and what means the same. What people and clients send goes through
/// `proto::formats`.
impl std::str::FromStr for Timestamp {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        if let Some(moment) = text.as_bytes().try_into().ok().and_then(written) {
            return Ok(moment);
        }
        let expected = || Error::invalid("not a time like 2026-11-20T14:03:00.000Z");
        let civil: DateTime =
            text.strip_suffix('Z').ok_or_else(expected)?.parse().map_err(|e: jiff::Error| expected().because(e))?;
        Ok(Self::from_civil(civil))
    }
}

/// The moment of a text that `Display` wrote. By hand: a list of 10,000 records has 50,000 of these.
fn written(text: &[u8; 24]) -> Option<Timestamp> {
    let is_form = text.iter().zip(b"0000-00-00T00:00:00.000Z").all(|(byte, form)| match form {
        b'0' => byte.is_ascii_digit(),
        form => byte == form,
    });
    if !is_form {
        return None;
    }
    let number =
        |place: Range<usize>| text[place].iter().fold(0, |number, digit| number * 10 + i16::from(digit - b'0'));
    let small = |place| i8::try_from(number(place)).unwrap_or(i8::MAX);
    let nanoseconds = i32::from(number(20..23)) * 1_000_000;
    let (date, time) = ((number(0..4), small(5..7), small(8..10)), (small(11..13), small(14..16), small(17..19)));
    let civil = DateTime::new(date.0, date.1, date.2, time.0, time.1, time.2, nanoseconds);
    civil.ok().map(Timestamp::from_civil)
}

impl JsonSchema for Timestamp {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Timestamp".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "date-time" })
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parsed(deserializer)
    }
}

/// Where time comes from: the system, or a hand that tests move. Cheap to clone; clones share the hand.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    System { made: Instant },
    Manual { wall: Arc<AtomicI64>, elapsed_ms: Arc<AtomicU64> },
}

impl Clock {
    /// The clock of this machine.
    pub fn system() -> Self {
        Self(Source::System { made: Instant::now() })
    }

    /// A clock that stands still until it is moved.
    pub fn manual(start: Timestamp) -> Self {
        let wall = Arc::new(AtomicI64::new(start.as_millis()));
        Self(Source::Manual { wall, elapsed_ms: Arc::default() })
    }

    /// The present moment. Ask once per decision and pass the answer on.
    #[expect(clippy::disallowed_methods, reason = "the one place that asks the system")]
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Source::Manual { wall, .. } => Timestamp::from_millis(wall.load(Ordering::SeqCst)),
            Source::System { .. } => match SystemTime::now().duration_since(UNIX_EPOCH) {
                Ok(since) => Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX)),
                Err(before) => {
                    Timestamp::from_millis(-i64::try_from(before.duration().as_millis()).unwrap_or(i64::MAX))
                }
            },
        }
    }

    /// How much time has passed since this clock was made, whoever set it meanwhile. Only differences mean something,
    /// and only between readings of clones.
    pub fn elapsed(&self) -> Duration {
        match &self.0 {
            Source::System { made } => made.elapsed(),
            Source::Manual { elapsed_ms, .. } => Duration::from_millis(elapsed_ms.load(Ordering::SeqCst)),
        }
    }

    /// Sets a manual clock to a moment, also backwards, as an operator sets a clock: no time passes. The system's clock
    /// is not set.
    pub fn set(&self, moment: Timestamp) {
        if let Source::Manual { wall, .. } = &self.0 {
            wall.store(moment.as_millis(), Ordering::SeqCst);
        }
    }

    /// Lets time pass on a manual clock.
    pub fn advance(&self, by: Duration) {
        self.set(self.now().plus(by));
        if let Source::Manual { elapsed_ms, .. } = &self.0 {
            elapsed_ms.fetch_add(u64::try_from(by.as_millis()).unwrap_or(u64::MAX), Ordering::SeqCst);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn setting_a_clock_lets_no_time_pass() {
        let clock = Clock::manual(Timestamp::from_millis(0));
        clock.advance(Duration::from_secs(2));
        clock.set(Timestamp::from_millis(86_400_000));
        assert_eq!((clock.now().as_seconds(), clock.elapsed().as_secs()), (86_400, 2));
    }

    #[test]
    fn text_form_keeps_milliseconds_and_four_digit_years() {
        for (millis, text) in [
            (1_539_604_800_054, "2018-10-15T12:00:00.054Z"),
            (Timestamp::MIN.as_millis(), "0000-01-01T00:00:00.000Z"),
            (Timestamp::MAX.as_millis(), "9999-12-31T23:59:59.999Z"),
        ] {
            let moment = Timestamp::from_millis(millis);
            assert_eq!(moment.to_string(), text);
            assert_eq!(text.parse::<Timestamp>().unwrap(), moment);
        }
        for text in ["2018-02-30T12:00:00.054Z", "2018-10-15T25:00:00.054Z", "2018-10-15 12:00:00.05", "x", ""] {
            assert!(text.parse::<Timestamp>().is_err(), "{text}");
        }
        let moment = Timestamp::from_millis(1_539_604_800_000);
        assert_eq!("2018-10-15T12:00:00Z".parse::<Timestamp>().unwrap(), moment);
        assert_eq!(serde_json::from_str::<Timestamp>(r#""2018-10-15T12\u003a00:00.000Z""#).unwrap(), moment);
    }
}
