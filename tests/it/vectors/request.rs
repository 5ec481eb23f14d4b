//! A recorded request, made into bytes again.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;

use super::{MOUNTS, text};
use crate::wire::Ask;

/// The request of a vector at a mount.
pub fn ask(vector: &Value, mount: &str) -> Ask {
    let request = &vector["request"];
    assert_eq!(request["http_version"], "1.1");
    let mut ask = Ask::new(text(&request["method"]), &at_mount(text(&request["path"]), mount)).without("Host");
    for line in request["headers"].as_array().unwrap() {
        let (name, value) = text(line).split_once(": ").unwrap();
        ask.headers.push((name.to_owned(), value.to_owned()));
    }
    match (&request["body"], text(&vector["id"])) {
        (Value::Null, _) => ask,
        (Value::String(body), _) => Ask { body: Some(body.clone().into()), ..ask },
        (_, "pulse-claim-10") => ask.body(gzip(br#"{"contact":"a@example.com"}"#)),
        (_, "pulse-claim-23") => Ask { body: Some(b"2\r\n{}\r\n0\r\n\r\n".to_vec()), ..ask },
        (_, "hs-http-21") => ask.body(format!(r#"{{"a":"{}"}}"#, "a".repeat(11 << 20))),
        (_, "pulse-body-21") => ask.body(format!(r#"{{"contact":"{}@example.com"}}"#, "a".repeat(10 << 20))),
        (note, id) => panic!("{id} has a body that nobody wrote down: {note}"),
    }
}

/// A path of the recorded mount at another one, in the recorded letter case.
pub fn at_mount(path: &str, mount: &str) -> String {
    match path.split_at_checked(MOUNTS[0].len()) {
        Some((recorded, rest)) if recorded == MOUNTS[0] => format!("{mount}{rest}"),
        Some((recorded, rest)) if recorded.eq_ignore_ascii_case(MOUNTS[0]) => {
            format!("{}{rest}", mount.to_ascii_uppercase())
        }
        _ => path.to_owned(),
    }
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}
