//! Points in time as Go reads them from JSON: RFC 3339 in capital letters, with any number of digits behind the second.
//!
//! Go before 2023 took more: hours of one digit, a comma before the fraction, zones of a day and more. No program of MIG
//! writes any of it, and it is not read here.

use jiff::civil::DateTime;

use crate::base::Timestamp;

/// Where the parts of `2026-11-21T02:37:02` are, and what separates them.
const FORM: &[u8; 19] = b"0000-00-00T00:00:00";
/// How long the hours and minutes of a zone are, with their sign.
const ZONE_LEN: usize = 6;

/// The moment that is written between quotation marks, cut to milliseconds; `None` for what is none. What lies before the
/// year 0 or after the year 9999 because of its zone is the first or the last moment that has a text form.
///
/// No escape is understood, as Go understands none here.
pub fn moment(written: &[u8]) -> Option<Timestamp> {
    let written = str::from_utf8(written).ok().filter(|text| text.is_ascii())?;
    let (civil, rest) = written.split_at_checked(FORM.len())?;
    let (fraction, zone) = rest.split_at(rest.find(['Z', '+', '-'])?);
    let moment = Timestamp::from_civil(date_and_time(civil, milliseconds(fraction)?)?);
    Some(Timestamp::from_millis(moment.as_millis() - offset_ms(zone)?))
}

fn date_and_time(civil: &str, milliseconds: i32) -> Option<DateTime> {
    let has_form = civil.bytes().zip(FORM).all(|(byte, form)| match form {
        b'0' => byte.is_ascii_digit(),
        form => byte == *form,
    });
    let part = |from: usize| civil.get(from..from + 2)?.parse::<i8>().ok();
    let year = civil.get(..4)?.parse().ok().filter(|_| has_form)?;
    DateTime::new(year, part(5)?, part(8)?, part(11)?, part(14)?, part(17)?, milliseconds * 1_000_000).ok()
}

/// Of a fraction with its point, or of none.
fn milliseconds(fraction: &str) -> Option<i32> {
    if fraction.is_empty() {
        return Some(0);
    }
    let digits = fraction.strip_prefix('.').filter(|digits| !digits.is_empty())?;
    let all_digits = digits.bytes().all(|byte| byte.is_ascii_digit());
    format!("{digits:0<3}").get(..3).filter(|_| all_digits)?.parse().ok()
}

/// How far a zone is ahead of UTC.
fn offset_ms(zone: &str) -> Option<i64> {
    if zone == "Z" {
        return Some(0);
    }
    let number = |from: usize| zone.get(from..from + 2).filter(|two| two.bytes().all(|byte| byte.is_ascii_digit()));
    let hours = number(1)?.parse().ok().filter(|hours: &i64| *hours < 24)?;
    let minutes = number(4)?.parse().ok().filter(|minutes: &i64| *minutes < 60)?;
    let sign = if zone.starts_with('-') { -1 } else { 1 };
    (zone.len() == ZONE_LEN && zone.get(3..4) == Some(":")).then_some(sign * (hours * 60 + minutes) * 60_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_what_go_writes_and_any_zone_of_it() {
        for (written, meant) in [
            ("2026-11-21T02:37:02.750816507Z", "2026-11-21T02:37:02.750Z"),
            ("2026-11-21T02:36:43.22657606Z", "2026-11-21T02:36:43.226Z"),
            ("2026-11-21T02:36:43Z", "2026-11-21T02:36:43.000Z"),
            ("2026-11-21T02:36:43.99999999999999999999Z", "2026-11-21T02:36:43.999Z"),
            ("2026-11-21T02:36:43.5+05:30", "2026-11-20T21:06:43.500Z"),
            ("2026-11-21T02:36:43-23:59", "2026-11-22T02:35:43.000Z"),
            ("1969-12-31T23:59:59.9995Z", "1969-12-31T23:59:59.999Z"),
            ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000Z"),
            ("2024-02-29T00:00:00Z", "2024-02-29T00:00:00.000Z"),
            ("0000-01-01T00:00:00+01:00", "0000-01-01T00:00:00.000Z"),
        ] {
            assert_eq!(
                moment(written.as_bytes()).map(|moment| moment.to_string()),
                Some(meant.to_owned()),
                "{written}"
            );
        }
    }

    #[test]
    fn what_is_no_moment_is_none() {
        for written in [
            "",
            "null",
            "2026-11-21",
            "2026-11-21T02:36:43",
            "2026-11-21t02:36:43Z",
            "2026-11-21T02:36:43z",
            "2026-11-21 02:36:43Z",
            "2026-11-21T2:36:43Z",
            "2026-11-21T02:36:60Z",
            "2026-11-21T24:00:00Z",
            "2026-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-11-21T02:36:43.Z",
            "2026-11-21T02:36:43,5Z",
            "2026-11-21T02:36:43.5.5Z",
            "2026-11-21T02:36:43+24:00",
            "2026-11-21T02:36:43+00:60",
            "2026-11-21T02:36:43+0000",
            "2026-11-21T02:36:43+00:000",
            "2026-11-21T02:36:43+-5:00",
            "2026-11-21T02:36:43ZZ",
            "2026-11-21T02\\u003a36:43Z",
            "12026-11-21T02:36:43Z",
            "+026-11-21T02:36:43Z",
            "２026-11-21T02:36:43Z",
        ] {
            assert_eq!(moment(written.as_bytes()), None, "{written}");
        }
    }
}
