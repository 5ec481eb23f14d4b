//! Whether an answer is the recorded one (`meta.how_to_compare_http`).

use serde_json::{Value, json};

use super::text;
use crate::wire::Answer;

/// Members whose values differ from run to run, or are for people.
const MASKED: [&str; 3] = ["uptime", "message", "connectionString"];

/// Compares an answer with what is expected of the vector `id`. Paths in pages are those of the mount already.
pub fn compare(id: &str, answer: &Answer, expected: &Value) {
    assert_eq!(answer.status, expected["status"].as_u64().unwrap() as u16, "{id}: {answer:?}");
    let body = &expected["body_json"];
    if let Value::Object(_) = body {
        compare_document(id, answer, body);
    } else if let Value::String(page) = &expected["body_text"] {
        assert_eq!(answer.text(), page, "{id}");
    }
    let varies = MASKED.iter().any(|member| body.get(member).is_some());
    compare_headers(id, answer, &expected["headers"], varies || expected["length_varies"] == true);
}

/// All headers but `date` and `connection`: none is missing, none is added.
fn compare_headers(id: &str, answer: &Answer, expected: &Value, varies: bool) {
    let mut left = expected.as_object().unwrap().clone();
    for (name, value) in &answer.headers {
        if matches!(name.as_str(), "date" | "connection") {
            continue;
        }
        let recorded = left.remove(name).unwrap_or_else(|| panic!("{id}: unexpected header {name}: {value}"));
        let is_equal = match name.as_str() {
            "content-length" if varies => true,
            "etag" if varies => {
                let len = answer.header("content-length").unwrap();
                let len = format!("W/\"{:x}-", len.parse::<usize>().unwrap());
                value.starts_with(&len) && value.len() == len.len() + 28
            }
            _ => *value == text(&recorded),
        };
        assert!(is_equal, "{id}: {name}: {value}, recorded {recorded}");
    }
    assert!(left.is_empty(), "{id}: missing headers {left:?}");
}

/// The same members in the same order, indented by two spaces, without a final newline.
fn compare_document(id: &str, answer: &Answer, expected: &Value) {
    let mut document = answer.json();
    assert_eq!(answer.text(), pretty(&document), "{id}: how it is written");
    let mut expected = expected.clone();
    assert_eq!(document.get("message").is_some(), expected.get("message").is_some(), "{id}");
    if let Some(message) = document["message"].as_str() {
        let recorded = text(&expected["message"]);
        let trailer = &recorded[recorded.find("\n\n---\n\n").unwrap()..];
        assert!(message.ends_with(trailer) && message.len() > trailer.len(), "{id}: {message}");
    }
    if let Some(string) = document["connectionString"].as_str() {
        let ((around, password), (recorded, _)) =
            (without_password(string), without_password(text(&expected["connectionString"])));
        assert_eq!(around, recorded, "{id}");
        assert!(is_slugid(&password), "{id}: {password}");
    }
    for member in MASKED {
        for document in [&mut document, &mut expected] {
            if document.get(member).is_some() {
                document[member] = json!("masked");
            }
        }
    }
    assert_eq!(pretty(&document), pretty(&expected), "{id}");
}

/// A connection string around its password, and the password.
pub fn without_password(string: &str) -> (String, String) {
    let (before, after) = string.split_once('@').unwrap();
    let (before, password) = before.rsplit_once(':').unwrap();
    (format!("{before}:…@{after}"), password.to_owned())
}

/// A version 4 slugid (taskcluster.md 9).
fn is_slugid(password: &str) -> bool {
    let at = |index: usize, allowed: &str| allowed.as_bytes().contains(&password.as_bytes()[index]);
    password.len() == 22
        && password.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        && at(8, "QRST")
        && at(10, "CGKOSWaeimquy26-")
        && at(21, "AQgw")
}

fn pretty(document: &Value) -> String {
    serde_json::to_string_pretty(document).unwrap()
}
