//! The schema says what the parser does.

use serde_json::{Map, Value, json};
use toml::de::{DeTable, DeValue};

use super::super::entries::Entries;
use super::super::keys::{Form, PROFILE, Section};
use super::super::values::json as to_json;
use super::*;

/// A text of TOML as JSON.
fn as_json(text: &str) -> Value {
    let document = DeTable::parse(text).unwrap();
    let members = document.get_ref().iter();
    let members = members.map(|(key, value)| (key.get_ref().to_string(), to_json(value, &mut |_, _| panic!("{text}"))));
    Value::Object(members.collect())
}

/// What of a value is not as a schema says, as far as ours go.
fn broken(schema: &Value, value: &Value, path: &str) -> Vec<String> {
    if let Some(forms) = schema["oneOf"].as_array() {
        let fitting = forms.iter().filter(|schema| broken(schema, value, path).is_empty()).count();
        return if fitting == 1 { Vec::new() } else { vec![format!("{path}: {fitting} forms fit")] };
    }
    let is_of_type = match schema["type"].as_str().unwrap() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64(),
        other => panic!("{other}"),
    };
    if !is_of_type {
        return vec![format!("{path}: {} expected", schema["type"])];
    }
    let mut found = Vec::new();
    let words = schema["enum"].as_array();
    found.extend(words.filter(|words| !words.contains(value)).map(|_| format!("{path}: not in the list")));
    let least = schema["minimum"].as_i64().zip(value.as_i64());
    found.extend(least.filter(|(least, value)| value < least).map(|_| format!("{path}: too small")));
    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
        found.extend(broken(&schema["items"], item, &format!("{path}/{index}")));
    }
    let Some(properties) = schema["properties"].as_object() else { return found };
    let none = Map::new();
    let members = value.as_object().unwrap_or(&none);
    for (key, value) in members {
        match properties.get(key) {
            Some(schema) => found.extend(broken(schema, value, &format!("{path}/{key}"))),
            None => found.push(format!("{path}/{key}: unknown")),
        }
    }
    let needed = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
    found.extend(needed.filter(|key| !members.contains_key(*key)).map(|key| format!("{path}/{key}: missing")));
    found
}

#[test]
fn whatever_is_a_profile_is_as_the_schema_says() {
    let schema = schema();
    for text in PRESETS.map(|(_, text)| text).into_iter().chain([FULL]) {
        assert_eq!(broken(&schema, &as_json(text), ""), Vec::<String>::new(), "{text}");
    }
    let wrong = "vhost = [{ name = 'v', on-drift = 'no', limits = { max-queues = -1 } }]\naccount = 1\nother = 1\n\
                 agents = { vhost = 'v', sends-to = 'e', takes-from = 'e', ca = { path = '/a' } }\n";
    let found = broken(&schema, &as_json(wrong), "");
    let expected = [
        "/account: \"array\" expected",
        "/agents/ca: 0 forms fit",
        "/other: unknown",
        "/vhost/0/limits/max-queues: too small",
        "/vhost/0/on-drift: not in the list",
        "/name: missing",
    ];
    assert_eq!(found, expected);
}

#[test]
fn every_key_of_the_schema_is_read() {
    let document = DeTable::parse(FULL).unwrap();
    unread(&PROFILE, &[Entries(document.get_ref())]);
    // Each of them is told from its absence: a profile without it is another one.
    let whole = Profile::parse(FULL).unwrap();
    let optional = FULL
        .lines()
        .filter(|line| line.contains(" = ") && !line.contains("name = ") && !line.starts_with("vhost"))
        // What is compared only is no part of what it declares.
        .filter(|line| !line.starts_with("fingerprint"));
    for line in optional {
        let text = FULL.replacen(&format!("{line}\n"), "", 1);
        assert!(Profile::parse(&text).is_err() || Profile::parse(&text).unwrap() != whole, "{line}");
    }
}

/// Panics for a key that no table of a kind has.
fn unread(section: &Section, tables: &[Entries<'_, '_>]) {
    for key in section.keys {
        assert!(tables.iter().any(|table| table.has(key.name)), "{}: {}", section.header, key.name);
        match key.form {
            Form::Table(inner) => unread(inner, &tables.iter().filter_map(|it| it.table(key.name)).collect::<Vec<_>>()),
            Form::Tables(inner, ..) => {
                unread(inner, &tables.iter().flat_map(|it| it.tables(key.name)).collect::<Vec<_>>())
            }
            _ => {}
        }
    }
}

#[test]
fn the_example_of_the_documentation_is_a_profile() {
    let source = include_str!("../mod.rs");
    let lines = source.lines().skip_while(|line| *line != "//! ```toml").skip(1);
    let lines = lines.take_while(|line| *line != "//! ```").map(|line| line.trim_start_matches("//!"));
    let text = lines.map(|line| line.strip_prefix(' ').unwrap_or(line)).collect::<Vec<_>>().join("\n");
    let profile = Profile::parse(&text).unwrap_or_else(|mistakes| panic!("{mistakes:?}"));
    assert_eq!((profile.vhosts().len(), profile.accounts().len()), (1, 1));
    let vhost = &schema()["properties"]["vhost"];
    assert_eq!(vhost["items"]["properties"]["queue"]["items"]["required"], json!(["name"]));
    assert!(matches!(DeTable::parse(&text).unwrap().get_ref()["name"].get_ref(), DeValue::String(_)));
}
