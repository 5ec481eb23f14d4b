//! What a value has to be, and how it is written: so that every age reads it, and the program understands what was
//! meant.

use std::net::Ipv6Addr;

use serde_json::Value;

use super::words::repeated;
use crate::base::text::{nearest, url_encoded};

/// Characters of a text: as many as Linux takes for a path.
const TEXT_CHARS_MAX: usize = 4096;
/// Characters of a host's name, as in DNS.
const HOST_CHARS_MAX: usize = 253;
/// Proxies that an agent tries, one after the other, and tags that each heartbeat repeats.
const ITEMS_MAX: usize = 64;
/// Go's durations are a 64-bit number of nanoseconds.
const DURATION_NS_MAX: f64 = 9.2e18;

/// What a value has to be.
#[derive(Clone, Copy)]
pub(super) enum Form {
    /// A text.
    Text,
    /// A text that the program puts into a URL as it is.
    UrlPart,
    /// A host to which the program appends a colon and the port: an IPv6 address needs brackets there.
    Host,
    /// The same, of a broker. The AMQP library cuts at the last colon and adds brackets: there must be none.
    RelayHost,
    /// A host and a port.
    Endpoint,
    /// Several of them, in one value with commas.
    Endpoints,
    /// A URL of a web server.
    Url,
    /// The same, to which the program appends a path.
    BaseUrl,
    /// The path of the API's routes.
    Route,
    /// A path on a server, where programs change their working directory.
    Path,
    /// A path on an endpoint, which may run Windows.
    AgentPath,
    /// One of these.
    Word(&'static [&'static str]),
    /// Where the API finds the address of a client.
    ClientAddress,
    /// A duration of Go, with units and above zero: a routine that sleeps for zero never rests.
    Duration,
    /// True or false.
    Flag,
    /// A whole number between these.
    Number(u64, u64),
    /// Names and values, in a line each.
    Tags,
}

impl Form {
    /// What it is, in a sentence about what was found or is missing.
    pub fn expected(self) -> String {
        let text = match self {
            Self::Text | Self::UrlPart => "a text in quotes, not empty and without control characters",
            Self::Host | Self::RelayHost => "the name or address of a host",
            Self::Endpoint => "a host and a port, such as \"127.0.0.1:51664\"",
            Self::Endpoints => "a list of proxies, such as [\"proxy1:8888\"]",
            Self::Url => "a URL, such as \"http://localhost:1664/api/v1/\"",
            Self::BaseUrl => "a URL without a slash at the end, such as \"http://localhost:12345\"",
            Self::Route => "a path with a slash at the beginning and none at the end, such as \"/api/v1\"",
            Self::Path => "an absolute path",
            Self::AgentPath => "an absolute path, of Windows perhaps",
            Self::Word(words) => return format!("one of {}", words.join(", ")),
            Self::ClientAddress => "\"peer\", or \"x-forwarded-for:0\" with how many addresses before the last one",
            Self::Duration => "a duration above zero with its unit, such as \"90s\", \"5m\" or \"1h30m\"",
            Self::Flag => "true or false without quotes",
            Self::Number(least, most) => return format!("a whole number from {least} to {most} without quotes"),
            Self::Tags => {
                "a list of different tags, such as [\"operator:team\"], without further colons and outer blanks"
            }
        };
        text.to_owned()
    }
}

/// The values for the lines of a key, as they stand in a file.
pub(super) fn written(form: Form, value: &Value) -> Result<Vec<String>, String> {
    let values = match (form, value) {
        (Form::Flag, Value::Bool(flag)) => Some(vec![flag.to_string()]),
        (Form::Number(least, most), Value::Number(number)) => {
            let number = number.as_u64().filter(|number| (least..=most).contains(number));
            number.map(|number| vec![number.to_string()])
        }
        (Form::Endpoints | Form::Tags, Value::Array(items)) => {
            items.iter().map(Value::as_str).collect::<Option<Vec<_>>>().and_then(|items| list(form, &items))
        }
        (Form::Flag | Form::Number(..) | Form::Endpoints | Form::Tags, other) => return Err(mismatch(form, other)),
        (form, Value::String(word)) => text(form, word).map(|text| vec![quoted(&text)]),
        (form, other) => return Err(mismatch(form, other)),
    };
    values.ok_or_else(|| match (form, value) {
        (Form::Word(words), Value::String(word)) => {
            let (known, word) = (nearest(word, words.iter().copied()), repeated(word));
            format!("expected {}; not `{word}`, to which the nearest is `{known}`", form.expected())
        }
        _ => format!("expected {}", form.expected()),
    })
}

fn mismatch(form: Form, value: &Value) -> String {
    format!("expected {}; not {}", form.expected(), kind(value))
}

/// What the program has to read for this text, if it is what it has to be.
fn text(form: Form, text: &str) -> Option<String> {
    if text.is_empty()
        || text.chars().count() > TEXT_CHARS_MAX
        || text.contains(|c: char| c.is_control() || c == '\u{feff}')
    {
        return None;
    }
    let is_fine = match form {
        Form::Text => true,
        Form::UrlPart => return Some(url_encoded(text)),
        Form::Host => return host(text),
        Form::RelayHost => return relay_host(text),
        Form::Endpoint => is_endpoint(text),
        Form::Url => is_url(text),
        Form::BaseUrl => is_url(text) && !text.ends_with('/'),
        Form::Route => {
            text.starts_with('/') && !text.ends_with('/') && text.chars().all(|c| is_unreserved(c) || c == '/')
        }
        Form::Path => text.starts_with('/'),
        Form::AgentPath => text.starts_with('/') || is_windows_path(text),
        Form::Word(words) => words.contains(&text),
        Form::ClientAddress => text == "peer" || text.strip_prefix("x-forwarded-for:").is_some_and(is_offset),
        Form::Duration => nanoseconds(text).is_some_and(|count| (1.0..DURATION_NS_MAX).contains(&count)),
        Form::Flag | Form::Number(..) | Form::Endpoints | Form::Tags => false,
    };
    is_fine.then(|| text.to_owned())
}

fn list(form: Form, items: &[&str]) -> Option<Vec<String>> {
    if items.is_empty() || items.len() > ITEMS_MAX {
        return None;
    }
    if matches!(form, Form::Endpoints) {
        return items.iter().all(|item| is_endpoint(item)).then(|| vec![quoted(&items.join(","))]);
    }
    // Of two with the same name only the last one would count, and blanks and whatever follows a second colon be lost.
    let mut met = Vec::new();
    for item in items {
        let (name, value) =
            text(Form::Text, item)?.split_once(':').map(|(name, value)| (name.to_owned(), value.to_owned()))?;
        if name.is_empty() || value.contains(':') || [&name, &value].iter().any(|part| part.trim() != part.as_str()) {
            return None;
        }
        if met.contains(&name) {
            return None;
        }
        met.push(name);
    }
    Some(items.iter().map(|item| quoted(item)).collect())
}

/// In double quotes. There a backslash and a double quote are escaped, and nothing else means anything.
pub(super) fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

const fn is_unreserved(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | '~')
}

/// A name or an IPv4 address. Underscores are common in names of containers.
fn is_name(text: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    text.len() <= HOST_CHARS_MAX && text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.chars().all(is_part)
}

fn host(text: &str) -> Option<String> {
    if is_name(text) {
        return Some(text.to_owned());
    }
    let address = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    address.parse::<Ipv6Addr>().ok().map(|address| format!("[{address}]"))
}

/// As the AMQP library takes it.
pub(super) fn relay_host(text: &str) -> Option<String> {
    host(text).map(|host| host.trim_matches(['[', ']']).to_owned())
}

fn is_endpoint(text: &str) -> bool {
    let Some((name, port)) = text.rsplit_once(':') else { return false };
    let is_host = is_name(name) || (name.starts_with('[') && host(name).is_some());
    is_host && port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0)
}

fn is_url(text: &str) -> bool {
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    rest.is_some_and(|rest| {
        let authority = rest.split('/').next().unwrap_or_default();
        let is_host = host(authority).is_some_and(|_| !authority.contains(':') || authority.ends_with(']'));
        (is_host || is_endpoint(authority))
            && !text.contains(|c: char| c.is_whitespace() || matches!(c, '?' | '#' | '"' | '\\'))
    })
}

fn is_windows_path(text: &str) -> bool {
    let mut chars = text.chars();
    let (drive, colon, slash) = (chars.next(), chars.next(), chars.next());
    drive.is_some_and(|c| c.is_ascii_alphabetic()) && colon == Some(':') && matches!(slash, Some('\\' | '/'))
}

fn is_offset(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit()) && text.parse::<u16>().is_ok()
}

/// A duration as Go's `time.ParseDuration` reads it: numbers, each with its unit. Signs and a bare zero are not taken.
fn nanoseconds(mut text: &str) -> Option<f64> {
    let mut sum = 0.0;
    while !text.is_empty() {
        let (number, rest) = text.split_at(text.find(|c: char| !c.is_ascii_digit() && c != '.')?);
        let (unit, rest) = rest.split_at(rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len()));
        let of_one = match unit {
            "ns" => 1.0,
            "us" | "µs" => 1e3,
            "ms" => 1e6,
            "s" => 1e9,
            "m" => 60e9,
            "h" => 3_600e9,
            _ => return None,
        };
        sum += number.parse::<f64>().ok()? * of_one;
        text = rest;
    }
    Some(sum)
}

/// What a value is.
pub(super) const fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a table",
    }
}
