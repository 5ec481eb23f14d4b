//! The value language of the vectors: whether what was seen is what is expected, and if not, where it differs.

use serde_json::Value;

/// Longer texts are cut in reports.
const SHOWN_LEN_MAX: usize = 400;

/// Headers that a proxy may usually add, drop or change: no reason to fail a vector that does not pin them.
const USUAL: [&str; 17] = [
    "accept-encoding",
    "connection",
    "content-length",
    "content-type",
    "date",
    "forwarded",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "user-agent",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
    "x-real-ip",
];

/// Members that count only if a vector names them.
const OPTIONAL: [&str; 2] = ["content-length", "interim"];

/// How much of what was seen must be expected.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// Everything: a member that nobody named is a difference.
    Whole,
    /// What is named; anything else may be there.
    Named,
}

/// Where what was seen differs from what is expected, one line each.
pub fn differences(expected: &Value, seen: &Value, extent: Extent) -> Vec<String> {
    let mut found = Vec::new();
    compare("", expected, seen, extent, &mut found);
    found
}

fn compare(at: &str, expected: &Value, seen: &Value, extent: Extent, found: &mut Vec<String>) {
    let is_equal = match expected {
        Value::Object(members) if members.contains_key("any_of") => is_one_of(&members["any_of"], seen, extent),
        Value::Object(members) if seen.is_object() => {
            for (name, value) in members {
                compare(&format!("{at}.{name}"), value, &seen[name], extent, found);
            }
            let others = seen.as_object().into_iter().flatten().filter(|(name, _)| !members.contains_key(*name));
            // The first level is what was looked at, which is more than each vector asks about.
            for (name, value) in
                others.filter(|(_, value)| extent == Extent::Whole && !at.is_empty() && !value.is_null())
            {
                found.push(format!("{}.{name}: nothing expected, seen {}", &at[1..], shown(value)));
            }
            true
        }
        Value::Array(items) => match (range(items), seen.as_f64(), seen) {
            (Some((least, most)), Some(number), _) => (least..=most).contains(&number),
            (None, _, Value::Array(others)) if items.len() == others.len() => {
                for (index, (item, other)) in items.iter().zip(others).enumerate() {
                    compare(&format!("{at}.{index}"), item, other, extent, found);
                }
                true
            }
            _ => false,
        },
        Value::String(text) => match seen {
            Value::String(other) => is_like(text, other),
            Value::Number(number) => is_class(text, &number.to_string()),
            _ => text == "${any}" && !seen.is_null(),
        },
        Value::Number(_) => expected.as_f64() == seen.as_f64(),
        _ => expected == seen,
    };
    if !is_equal {
        found.push(format!("{}: expected {}, seen {}", at.trim_start_matches('.'), shown(expected), shown(seen)));
    }
}

fn is_one_of(values: &Value, seen: &Value, extent: Extent) -> bool {
    values.as_array().into_iter().flatten().any(|value| differences(value, seen, extent).is_empty())
}

/// `[least, "..", most]`.
fn range(items: &[Value]) -> Option<(f64, f64)> {
    match items {
        [least, dots, most] if dots == ".." => Some((least.as_f64()?, most.as_f64()?)),
        _ => None,
    }
}

/// `4xx`.
fn is_class(class: &str, status: &str) -> bool {
    class.len() == status.len() && class.ends_with("xx") && class[..1] == status[..1]
}

/// Whether a text is as a pattern has it: `${any}` and `${...}` stand for anything, `${eph}` for a port.
pub fn is_like(pattern: &str, text: &str) -> bool {
    let Some((before, rest)) = pattern.split_once("${") else { return pattern == text };
    let Some(tail) = text.strip_prefix(before) else { return false };
    let (name, after) = rest.split_once('}').unwrap_or((rest, ""));
    match name {
        "any" | "..." => tail.char_indices().any(|(at, _)| is_like(after, &tail[at..])) || after.is_empty(),
        "eph" => {
            let digits = tail.trim_start_matches(|c: char| c.is_ascii_digit());
            digits.len() < tail.len() && is_like(after, digits)
        }
        // What we put there ourselves, such as `${bewit}`.
        _ => tail.strip_prefix("${").is_some_and(|tail| is_like(rest, tail)),
    }
}

/// A vector's side or ours without what a proxy may do as it likes.
pub fn without_usual(side: &Value, expected: &Value, pins: &[&str]) -> Value {
    let mut side = side.clone();
    for part in ["response", "received", "mint"] {
        let Some(members) = side.get_mut(part).and_then(Value::as_object_mut) else { continue };
        members.retain(|name, _| {
            let is_optional = OPTIONAL.contains(&name.as_str()) && expected[part].get(name).is_none();
            name != "framing" && name != "chunked" && !is_optional
        });
        if let Some(headers) = members.get_mut("h").and_then(Value::as_object_mut) {
            headers.retain(|name, _| !USUAL.contains(&name.as_str()) || pins.contains(&name.as_str()));
        }
    }
    side
}

/// A value as reports show it.
pub fn shown(value: &Value) -> String {
    let text = value.to_string();
    if text.len() <= SHOWN_LEN_MAX {
        return text;
    }
    let cut: String = text.chars().take(SHOWN_LEN_MAX).collect();
    format!("{cut}… ({} bytes)", text.len())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_value_language_says_what_it_says() {
        for (expected, seen) in [
            (json!(null), json!(null)),
            (json!("${any}"), json!("x")),
            (json!("${any}"), json!(["a", "b"])),
            (json!("x${...}"), json!("x")),
            (json!("x${...}"), json!("xyz")),
            (json!("a:${eph} b"), json!("a:80 b")),
            (json!("a?bewit=${bewit}&c"), json!("a?bewit=${bewit}&c")),
            (json!("4xx"), json!(404)),
            (json!({ "any_of": [null, 200] }), json!(200)),
            (json!({ "any_of": [null, 200] }), json!(null)),
            (json!([1, "..", 3.5]), json!(3)),
            (json!(["a", "b"]), json!(["a", "b"])),
            (json!({ "a": { "b": 1 } }), json!({ "a": { "b": 1.0, "c": 2 } })),
            (json!({ "a": { "b": null } }), json!({ "a": {} })),
        ] {
            assert_eq!(differences(&expected, &seen, Extent::Named), [""; 0], "{expected} {seen}");
        }
        for (expected, seen) in [
            (json!(null), json!("x")),
            (json!("${any}"), json!(null)),
            (json!("x${...}"), json!("yx")),
            (json!("a:${eph}"), json!("a:")),
            (json!("a?bewit=${bewit}"), json!("a?bewit=x")),
            (json!("4xx"), json!(500)),
            (json!("4xx"), json!(40)),
            (json!({ "any_of": [1, 2] }), json!(3)),
            (json!([1, "..", 3]), json!(3.1)),
            (json!(["a"]), json!(["a", "b"])),
            (json!("a"), json!(["a"])),
            (json!({ "a": 1 }), json!("a")),
        ] {
            assert_eq!(differences(&expected, &seen, Extent::Named).len(), 1, "{expected} {seen}");
        }
    }

    #[test]
    fn what_is_compared_whole_has_nothing_more_but_at_the_top() {
        let seen =
            json!({ "tries": 1, "response": { "status": 200, "h": { "x-a": "1", "via": "b" }, "framing": "length" } });
        let expected = json!({ "response": { "status": 200, "h": {}, "framing": "chunked" } });
        let lenient = |side: &Value, pins: &[&str]| without_usual(side, &expected, pins);
        let found = differences(&lenient(&expected, &[]), &lenient(&seen, &[]), Extent::Whole);
        assert_eq!(found, ["response.h.x-a: nothing expected, seen \"1\""]);
        let found = differences(&lenient(&expected, &["via"]), &lenient(&seen, &["via"]), Extent::Whole);
        assert_eq!(found.len(), 2);
        assert_eq!(differences(&expected, &seen, Extent::Whole).len(), 3);
    }
}
