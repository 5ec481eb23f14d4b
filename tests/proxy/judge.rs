//! Whether what was seen passes a vector, and why not.

use serde_json::Value;

use crate::compare::{Extent, differences, is_like, shown, without_usual};

/// So many of the last lines on standard error are reported.
const LINES_SHOWN: usize = 4;

/// How a vector ended, from the best to the worst.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// As the ancestor did it, to each header and each line that it logs.
    Strict,
    /// As the ancestor did it, so far as a client can depend on it.
    Expected,
    /// Otherwise, in a way that the vector allows.
    Allowed,
    /// With a report.
    Failed(String),
}

/// Judges one step of a vector, or the vector itself if it has but one.
pub fn judge(vector: &Value, step: &Value, seen: &Value) -> Verdict {
    let unsaid = unsaid(vector, seen);
    let pins: Vec<&str> = vector["pin"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let expected = without_said(&step["expect"]);
    let [lenient, lenient_seen] = [&expected, seen].map(|side| without_usual(side, &expected, &pins));
    let different = differences(&lenient, &lenient_seen, Extent::Whole);
    let others = step["or"].as_array().into_iter().flatten();
    let others: Vec<(&Value, Vec<String>)> = others.map(|or| (or, differences(or, seen, Extent::Named))).collect();
    let has_refused = seen["up"] == false && seen["exit"] == 1;
    let is_allowed = others.iter().any(|(_, different)| different.is_empty())
        || (has_refused && vector["may_refuse_to_start"] == true);
    if unsaid.is_empty() && different.is_empty() && step["ours_only"] != true {
        let is_same = differences(&expected, seen, Extent::Whole).is_empty();
        return if is_same && is_said(vector, &step["expect"], seen) { Verdict::Strict } else { Verdict::Expected };
    }
    if unsaid.is_empty() && is_allowed {
        return Verdict::Allowed;
    }
    let mut report =
        vec![format!("asked: {}", shown(if vector["cli"] == true { &vector["args"] } else { &step["request"] }))];
    report.extend(unsaid);
    let why = if step["ours_only"] == true { "what the ancestor did is a fault here" } else { "not as the ancestor" };
    report.push(format!("{why}:"));
    report.extend(different.iter().map(|line| format!("  {line}")));
    for (or, different) in others {
        report.push(format!("nor {}:", shown(or)));
        report.extend(different.iter().map(|line| format!("  {line}")));
    }
    for part in ["response", "received"].into_iter().filter(|part| !seen[part].is_null()) {
        report.push(format!("seen {part}: {}", shown(&seen[part])));
    }
    let stderr = seen["stderr"].as_array().map(Vec::as_slice).unwrap_or_default();
    report.extend(stderr.iter().rev().take(LINES_SHOWN).rev().map(|line| format!("it said: {}", shown(line))));
    Verdict::Failed(report.iter().map(|line| format!("    {line}\n")).collect())
}

/// What the ancestor wrote is prose; a program that is dropped in need not say the same. And what it does not end with
/// it does not end with.
fn without_said(expected: &Value) -> Value {
    let mut expected = expected.clone();
    if let Some(members) = expected.as_object_mut() {
        members.retain(|name, _| !matches!(name.as_str(), "stdout" | "stderr" | "stderr_first" | "log"));
        members.entry("exit").or_insert(Value::Null);
    }
    expected
}

/// The words that any program in the ancestor's place should say, and those that it should not.
fn unsaid(vector: &Value, seen: &Value) -> Vec<String> {
    let mut unsaid = Vec::new();
    for (place, words) in [("stdout", &vector["stdout_has"]), ("stderr", &vector["stderr_has"])] {
        let said = text(&seen[place]);
        for word in words.as_array().into_iter().flatten().filter_map(Value::as_str) {
            if !said.contains(word) {
                unsaid.push(format!("{place} does not have {word:?}: {}", shown(&seen[place])));
            }
        }
    }
    let is_quiet = text(&seen["stdout"]).is_empty();
    if vector["quiet_stdout"] == true && !is_quiet {
        unsaid.push(format!("stdout is not empty: {}", shown(&seen["stdout"])));
    }
    unsaid
}

/// Whether all lines are those of the ancestor.
fn is_said(vector: &Value, expected: &Value, seen: &Value) -> bool {
    let lines = |value: &Value| -> Vec<String> {
        value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let max = vector["max_lines"].as_u64().map_or(usize::MAX, |max| max as usize);
    let is_same = |expected: &[String], seen: &[String]| {
        expected.len() == seen.len() && expected.iter().zip(seen).all(|(pattern, line)| is_like(pattern, line))
    };
    let stderr = lines(&seen["stderr"]);
    let first = &stderr[..stderr.len().min(max)];
    let log = lines(&expected["log"]);
    let last = &stderr[stderr.len().saturating_sub(log.len())..];
    (expected["stderr"].is_null() || is_same(&lines(&expected["stderr"]), first))
        && (expected["stdout"].is_null() || is_same(&lines(&expected["stdout"]), &lines(&seen["stdout"])))
        && expected["stderr_first"].as_str().is_none_or(|line| first.first().is_some_and(|other| is_like(line, other)))
        && is_same(&log, last)
}

fn text(lines: &Value) -> String {
    let lines: Vec<&str> = lines.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_vector_is_passed_as_the_ancestor_did_or_as_it_allows() {
        let vector = json!({
            "expect": { "response": { "status": 200, "h": {}, "framing": "length" }, "tries": 1, "log": ["a:${eph}"] },
            "or": [{ "response": { "status": "4xx" } }],
        });
        let judged = |vector: &Value, status: u16, via: &str, log: &str| {
            let response = json!({ "status": status, "h": { "via": via }, "framing": "length" });
            judge(vector, vector, &json!({ "response": response, "tries": 1, "exit": null, "stderr": [log] }))
        };
        let none =
            json!({ "response": { "status": 200, "h": {}, "framing": "length" }, "tries": 1, "stderr": ["a:8"] });
        assert_eq!(judge(&vector, &vector, &none), Verdict::Strict);
        assert_eq!(judged(&vector, 200, "x", "a:8"), Verdict::Expected);
        assert_eq!(judged(&vector, 404, "x", ""), Verdict::Allowed);
        let Verdict::Failed(report) = judged(&vector, 500, "x", "") else { panic!("it passed") };
        assert!(report.contains("response.status: expected 200, seen 500"), "{report}");
        let mut ours_only = vector.clone();
        ours_only["ours_only"] = true.into();
        assert!(matches!(judged(&ours_only, 200, "x", "a:8"), Verdict::Failed(_)));
        let mut wordy = vector;
        wordy["stderr_has"] = json!(["b"]);
        assert!(matches!(judged(&wordy, 404, "x", "a:8"), Verdict::Failed(_)));
    }

    #[test]
    fn an_end_that_nobody_expects_is_a_difference() {
        let vector = json!({ "expect": { "tries": 0 } });
        assert_eq!(judge(&vector, &vector, &json!({ "tries": 0, "exit": null })), Verdict::Strict);
        assert!(matches!(judge(&vector, &vector, &json!({ "tries": 0, "exit": 1 })), Verdict::Failed(_)));
    }
}
