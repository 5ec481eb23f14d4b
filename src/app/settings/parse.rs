//! From texts of settings to values that several sections know. A failure says what was expected; it never repeats what
//! may hold a secret.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use url::Url;

use crate::base::{Secret, Span};

/// The value, or what was expected.
pub(super) type Parsed<T> = Result<T, String>;

pub(super) fn expected<T>(what: &str, text: &str) -> Parsed<T> {
    Err(format!("expected {what}, not {text:?}"))
}

/// A type that says itself what it expects.
pub(super) fn of<T: FromStr<Err: Display>>(text: &str) -> Parsed<T> {
    text.parse().map_err(|error: T::Err| error.to_string())
}

/// One of a few words; none of them needs a comma.
pub(super) fn one_of<T: Copy>(text: &str, words: &[(&str, T)]) -> Parsed<T> {
    if let Some((_, value)) = words.iter().find(|(word, _)| *word == text) {
        return Ok(*value);
    }
    let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
    let (last, others) = words.split_last().unwrap_or((&"", &[]));
    expected(&format!("{} or {last}", others.join(", ")), text)
}

pub(super) fn within<T: FromStr + PartialOrd + Display>(text: &str, what: &str, range: RangeInclusive<T>) -> Parsed<T> {
    let number = text.parse().ok().filter(|number| range.contains(number));
    number.map_or_else(|| expected(&format!("{what} from {} to {}", range.start(), range.end()), text), Ok)
}

/// A text that fits, as it is.
pub(super) fn fitting(text: &str, fits: bool, what: &str) -> Parsed<String> {
    if fits { Ok(text.to_owned()) } else { expected(what, text) }
}

pub(super) fn text(text: &str) -> Parsed<String> {
    Ok(text.to_owned())
}

pub(super) fn secret(text: &str) -> Parsed<Secret> {
    Ok(Secret::new(text))
}

pub(super) fn path(text: &str) -> Parsed<PathBuf> {
    Ok(PathBuf::from(text))
}

pub(super) fn boolean(text: &str) -> Parsed<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Ok(true),
        "false" | "no" | "off" | "0" => Ok(false),
        _ => expected("true or false", text),
    }
}

/// A port that somebody else listens on.
pub(super) fn remote_port(text: &str) -> Parsed<u16> {
    within(text, "a port", 1..=u16::MAX)
}

/// Something in a minute; 0 is no limit.
pub(super) fn rate(text: &str) -> Parsed<u32> {
    text.parse().or_else(|_| expected("a number of requests in a minute", text))
}

/// How long something takes. The pulse service wrote `- 1 hour`; only the size counts.
pub(super) fn period(text: &str) -> Parsed<Duration> {
    match text.parse::<Span>().map(Span::size) {
        Ok(size) if !size.is_zero() => Ok(size),
        _ => expected("a span such as `1 hour`", text),
    }
}

/// Bytes, such as `10 GiB` or `500 MiB`.
pub(super) fn size(text: &str) -> Parsed<u64> {
    let split = text.trim().split_once(' ').and_then(|(number, unit)| {
        let bits = match unit.trim() {
            "MiB" => 20,
            "GiB" => 30,
            "TiB" => 40,
            _ => return None,
        };
        number.parse::<u64>().ok()?.checked_mul(1 << bits)
    });
    split.filter(|size| *size > 0).map_or_else(|| expected("a size such as `10 GiB`", text), Ok)
}

/// The words of a list, separated by blanks or commas.
pub(super) fn words(text: &str) -> Parsed<Vec<String>> {
    Ok(text.split([' ', '\t', ',']).filter(|word| !word.is_empty()).map(str::to_owned).collect())
}

/// Where something is served: `http` or `https`, maybe with a path, and nothing else. Final slashes are cut.
pub(super) fn service_url(text: &str) -> Parsed<Url> {
    let not_a_url = || "expected a URL such as https://host/path".to_owned();
    let mut url = Url::parse(text).map_err(|_| not_a_url())?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(not_a_url());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("a user name or password has no place in this URL".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("expected a URL without `?` and `#`".to_owned());
    }
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    Ok(url)
}
