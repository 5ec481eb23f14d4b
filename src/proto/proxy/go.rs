//! Texts as Go writes them, for those who compare what the ancestors wrote (proxy.md 3).

use std::fmt::Write;

use jiff::tz::TimeZone;

use crate::base::Timestamp;

/// A list of texts in JSON, with what HTML reads specially written out; `null` for no list.
pub fn json_list<T: AsRef<str>>(list: Option<&[T]>) -> String {
    let Some(list) = list else { return "null".into() };
    let texts: Vec<&str> = list.iter().map(AsRef::as_ref).collect();
    let json = serde_json::to_string(&texts).expect("texts are JSON");
    let mut written = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                let _ = write!(written, "\\u{:04x}", u32::from(c));
            }
            c => written.push(c),
        }
    }
    written
}

/// A list as `%v` prints it.
pub fn printed_list<T: AsRef<str>>(list: &[T]) -> String {
    let texts: Vec<&str> = list.iter().map(AsRef::as_ref).collect();
    format!("[{}]", texts.join(" "))
}

/// The moment in front of a line of a log.
pub fn log_stamp(moment: Timestamp, zone: &TimeZone) -> String {
    zoned(moment, zone).strftime("%Y/%m/%d %H:%M:%S").to_string()
}

/// A moment with nanoseconds and the offset of a place, which is `Z` where there is none.
pub fn rfc3339_nano(moment: Timestamp, zone: &TimeZone) -> String {
    let zoned = zoned(moment, zone);
    let offset = if zoned.offset().is_zero() { "Z".into() } else { zoned.strftime("%:z").to_string() };
    format!("{}{offset}", zoned.strftime("%Y-%m-%dT%H:%M:%S.%9f"))
}

fn zoned(moment: Timestamp, zone: &TimeZone) -> jiff::Zoned {
    jiff::Timestamp::from_millisecond(moment.as_millis()).unwrap_or_default().to_zoned(zone.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_html_reads_specially_is_written_out() {
        assert_eq!(json_list(Some(&["a<b>&c", "\"\\"])), r#"["a\u003cb\u003e\u0026c","\"\\"]"#);
        assert_eq!(json_list::<&str>(Some(&[])), "[]");
        assert_eq!(json_list::<&str>(None), "null");
        assert_eq!(printed_list(&["a", "b c"]), "[a b c]");
    }

    #[test]
    fn moments_have_the_offset_of_their_place() {
        let moment: Timestamp = "2026-12-01T12:00:00.250Z".parse().unwrap();
        let east = TimeZone::fixed(jiff::tz::offset(2));
        assert_eq!(log_stamp(moment, &east), "2026/12/01 14:00:00");
        assert_eq!(rfc3339_nano(moment, &east), "2026-12-01T14:00:00.250000000+02:00");
        assert_eq!(rfc3339_nano(moment, &TimeZone::UTC), "2026-12-01T12:00:00.250000000Z");
    }
}
