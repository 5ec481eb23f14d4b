//! The two formats of a claim's body: a point in time and a mail address (taskcluster.md 6.2, vector group
//! `pulse_input_formats`).

use jiff::civil::DateTime;

use crate::base::{Error, Timestamp};

/// `2026-12-24`.
const DAY_LEN: usize = 10;
/// `2026-12-24T08:00`.
const MINUTES_LEN: usize = 16;
/// Longest mail address that can be delivered to (RFC 5321, 4.5.3.1.3).
const EMAIL_LEN_MAX: usize = 254;

/// Why a text is no point in time. Both are the caller's mistake; only the first violates the schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotATime {
    /// It does not look like one, or names a day that no calendar has.
    Malformed,
    /// It looks like one, but is none we can keep: a leap second, an offset of a day or more, a year before 0 or after
    /// 9999.
    NoSuchMoment,
}

/// Reads an RFC 3339 date and time, with its zone, cut to milliseconds. `T` may also be `t` or a space, `Z` may be `z`.
pub fn date_time(text: &str) -> Result<Timestamp, NotATime> {
    let (date, time, zone) = parts(text).ok_or(NotATime::Malformed)?;
    let [year, month, day] = numbers(date, [4, 2, 2], '-').ok_or(NotATime::Malformed)?;
    let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let [hour, minute, second] = numbers(time, [2, 2, 2], ':').ok_or(NotATime::Malformed)?;
    let millisecond = millisecond(fraction).ok_or(NotATime::Malformed)?;
    let offset = offset_minutes(zone).ok_or(NotATime::Malformed)?;
    let leap = (hour, minute, second) == (23, 59, 60);
    let second = if leap { 59 } else { second };
    let civil = civil([year, month, day, hour, minute, second], millisecond).ok_or(NotATime::Malformed)?;
    let moment = Timestamp::from_civil(civil).as_millis() - i64::from(offset.unwrap_or(0)) * 60_000;
    let keepable = (Timestamp::MIN.as_millis()..=Timestamp::MAX.as_millis()).contains(&moment);
    if leap || offset.is_none() || !keepable {
        return Err(NotATime::NoSuchMoment);
    }
    Ok(Timestamp::from_millis(moment))
}

/// A point in time as people type it: the seconds, and of a day's beginning the time, may be left out. `Invalid` with an
/// example for what is none.
pub fn moment(text: &str) -> crate::base::Result<Timestamp> {
    let text = text.trim();
    let full = match text.strip_suffix(['Z', 'z']) {
        _ if text.len() == DAY_LEN => format!("{text}T00:00:00Z"),
        Some(minutes) if minutes.len() == MINUTES_LEN => format!("{minutes}:00Z"),
        _ => text.to_owned(),
    };
    let none = |_| Error::invalid("a time was expected, such as 2026-12-24T08:00:00Z or 2026-12-24");
    date_time(&full).map_err(none)
}

/// Date, time of day and zone. The separators stand where ASCII digits end, so all three are cut at character borders.
fn parts(text: &str) -> Option<(&str, &str, &str)> {
    let (date, rest) = text.split_once(['T', 't', ' '])?;
    let zone = rest.find(['Z', 'z', '+', '-'])?;
    Some((date, &rest[..zone], &rest[zone..]))
}

/// Three numbers of given widths.
fn numbers(text: &str, widths: [usize; 3], separator: char) -> Option<[i16; 3]> {
    let mut fields = text.split(separator);
    let mut numbers = [0; 3];
    for (number, width) in numbers.iter_mut().zip(widths) {
        *number = digits(fields.next()?, width)?;
    }
    fields.next().is_none().then_some(numbers)
}

fn digits(text: &str, width: usize) -> Option<i16> {
    (text.len() == width && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok())?
}

/// The first three digits of a fraction of any length.
fn millisecond(fraction: &str) -> Option<i32> {
    let all_digits = !fraction.is_empty() && fraction.bytes().all(|b| b.is_ascii_digit());
    let first = |place: usize| fraction.as_bytes().get(place).map_or(0, |digit| i32::from(digit - b'0'));
    all_digits.then(|| first(0) * 100 + first(1) * 10 + first(2))
}

/// The minutes of a zone; `None` when it is no zone, `Some(None)` when no place on Earth is in it.
fn offset_minutes(zone: &str) -> Option<Option<i16>> {
    let (sign, rest) = match zone.strip_prefix('-') {
        _ if zone.eq_ignore_ascii_case("z") => return Some(Some(0)),
        Some(rest) => (-1, rest),
        None => (1, zone.strip_prefix('+')?),
    };
    let (hours, minutes) = rest.split_once(':')?;
    let (hours, minutes) = (digits(hours, 2)?, digits(minutes, 2)?);
    Some((hours < 24 && minutes < 60).then_some(sign * (hours * 60 + minutes)))
}

fn civil([year, month, day, hour, minute, second]: [i16; 6], millisecond: i32) -> Option<DateTime> {
    let small = |number: i16| i8::try_from(number).ok();
    let (month, day) = (small(month)?, small(day)?);
    DateTime::new(year, month, day, small(hour)?, small(minute)?, small(second)?, millisecond * 1_000_000).ok()
}

/// The moment of a `Date` header (RFC 9110, 5.6.7), in the one form that is still written.
pub fn http_date(text: &str) -> Result<Timestamp, NotATime> {
    let parsed = DateTime::strptime("%a, %d %b %Y %H:%M:%S GMT", text);
    parsed.map(Timestamp::from_civil).map_err(|_| NotATime::Malformed)
}

/// Whether a text is a mail address as the claim schema means it: ASCII, no quotes, a domain with a dot.
pub fn email(text: &str) -> bool {
    let Some((local, domain)) = text.split_once('@').filter(|_| text.len() <= EMAIL_LEN_MAX) else { return false };
    let is_atom = |atom: &str| {
        !atom.is_empty() && atom.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+/=?^_`{|}~-".contains(&b))
    };
    let is_label = |label: &str| {
        let inner = label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        inner && !label.is_empty() && !label.starts_with('-') && !label.ends_with('-')
    };
    local.split('.').all(is_atom) && domain.contains('.') && domain.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_outside_our_years_do_not_exist() {
        for text in ["0000-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01", "2018-10-16T12:00:00+24:00"] {
            assert_eq!(date_time(text), Err(NotATime::NoSuchMoment), "{text}");
        }
        assert_eq!(date_time("0000-01-01T00:00:00-00:01").unwrap().to_string(), "0000-01-01T00:01:00.000Z");
        assert_eq!(date_time("2018-10-16T12:00:00.9999999999999999999999Z").unwrap().as_millis() % 1000, 999);
    }

    #[test]
    fn hostile_texts_are_malformed() {
        let long = "9".repeat(1_000_000);
        let texts =
            ["2018-10-16TéZ", "é", "T", "TZ", "2018-10-16T12:00:00é", "2018-10-16T-1:00:00Z", "+018-10-16T12:00:00Z"];
        for text in texts.into_iter().chain(["٢018-10-16T12:00:00Z", "2018-10-16T12:00:00Z+00:00", &long]) {
            assert_eq!(date_time(text), Err(NotATime::Malformed), "{text}");
        }
    }

    #[test]
    fn a_date_header_is_a_moment() {
        let date = http_date("Mon, 15 Oct 2018 12:00:00 GMT").unwrap();
        assert_eq!(date.to_string(), "2018-10-15T12:00:00.000Z");
        for text in ["", "Tue, 15 Oct 2018 12:00:00 GMT", "2018-10-15T12:00:00Z", "Mon, 15 Oct 2018 12:00:00 CET"] {
            assert_eq!(http_date(text), Err(NotATime::Malformed), "{text}");
        }
    }

    #[test]
    fn an_address_that_cannot_be_delivered_to_is_refused() {
        assert!(email(&format!("{}@b.c", "a".repeat(250))));
        assert!(!email(&format!("{}@b.c", "a".repeat(251))));
        assert!(!email("a@b..c") && !email("a@b.c-") && !email("a@.b.c") && !email("@"));
    }
}
