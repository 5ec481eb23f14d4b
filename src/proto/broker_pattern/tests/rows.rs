//! Every answer of Erlang in `regex-differences.json`: ours is the same, or that we cannot tell.

use std::collections::BTreeMap;

use crate::proto::broker_pattern::{Answer, BrokerPattern, Erlang};
use serde_json::Value;

/// Of 2,599 questions that Erlang answers by yes or no: three for each row.
const CANNOT_TELL_MAX: usize = 115;

fn bytes(value: &Value) -> Vec<u8> {
    let Some(hex) = value.get("hex").and_then(Value::as_str) else { return value.as_str().unwrap().into() };
    (0..hex.len() / 2).map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap()).collect()
}

#[test]
fn every_row_is_answered_as_erlang_did_or_not_at_all() {
    let file: Value =
        serde_json::from_str(include_str!("../../../../tests/fixtures/vectors/regex-differences.json")).unwrap();
    let mut told = 0;
    let mut untold: BTreeMap<String, usize> = BTreeMap::new();
    for row in file["rows"].as_array().unwrap() {
        let (pattern, subject) = (row["pattern"].as_str().unwrap(), bytes(&row["subject"]));
        if pattern.is_empty() {
            continue; // asked as it stands there, while the broker asks `^$`
        }
        let erlang = &row["erlang"];
        let of = |version: &str| erlang.get(version).unwrap_or(erlang).as_bool();
        let (old, new) = (of("23-27"), of("29"));
        let any = if old == new { old } else { None };
        for (which, expected) in [(Erlang::UpTo27, old), (Erlang::From28, new), (Erlang::Unknown, any)] {
            let doubt = match BrokerPattern::read_by(pattern, which).reaches(&subject) {
                Answer::CannotTell(doubt) => doubt,
                answer => {
                    told += 1;
                    assert_eq!(Some(answer == Answer::Yes), expected, "{pattern} {subject:?} {which:?}");
                    continue;
                }
            };
            if expected.is_some() {
                *untold.entry(format!("{doubt:?} {}", row["class"])).or_default() += 1;
            }
        }
    }
    assert!(told > 2_450, "{told}");
    assert!(untold.values().sum::<usize>() <= CANNOT_TELL_MAX, "{untold:#?}");
}
