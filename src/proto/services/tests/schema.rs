//! The schema says what the parser does, and is what is served.

use regex_automata::meta::Regex;
use serde_json::json;

use super::super::schema::schema;
use super::*;

/// The schema as it is served at `/schemas/keylender/v1/services.json`.
const SERVED: &str = include_str!("../../../../static/schemas/keylender/services.json");

/// Whether a value is as a schema says, as far as ours go.
fn fits(schema: &Value, value: &Value) -> bool {
    let Some(keywords) = schema.as_object() else { return *schema == true };
    keywords.iter().all(|(keyword, wanted)| {
        let most = |len: usize| len as u64 <= wanted.as_u64().unwrap();
        match (keyword.as_str(), value) {
            ("type", _) => match wanted.as_str().unwrap() {
                "object" => value.is_object(),
                "array" => value.is_array(),
                "string" => value.is_string(),
                other => panic!("{other}"),
            },
            ("not", _) => !fits(wanted, value),
            ("anyOf", _) => wanted.as_array().unwrap().iter().any(|schema| fits(schema, value)),
            ("enum", _) => wanted.as_array().unwrap().contains(value),
            ("pattern", Value::String(text)) => {
                let pattern = wanted.as_str().unwrap().replace("\\u0000", "\\x00");
                Regex::new(&pattern).unwrap().is_match(text.as_bytes())
            }
            ("maxLength", Value::String(text)) => most(text.chars().count()),
            ("maxItems", Value::Array(items)) => most(items.len()),
            ("items", Value::Array(items)) => items.iter().all(|item| fits(wanted, item)),
            ("maxProperties", Value::Object(members)) => most(members.len()),
            ("required", Value::Object(members)) => {
                wanted.as_array().unwrap().iter().all(|name| members.contains_key(name.as_str().unwrap()))
            }
            ("properties", Value::Object(members)) => {
                members.iter().all(|(name, value)| wanted.get(name).is_none_or(|schema| fits(schema, value)))
            }
            ("propertyNames", Value::Object(members)) => {
                members.keys().all(|name| fits(wanted, &Value::from(name.as_str())))
            }
            ("additionalProperties", Value::Object(members)) => {
                let others = members.iter().filter(|(name, _)| schema["properties"].get(name).is_none());
                others.into_iter().all(|(_, value)| fits(wanted, value))
            }
            ("$schema" | "$id" | "title" | "description", _) => true,
            (other, _) => {
                ["properties", "propertyNames", "items", "pattern", "maxLength"].contains(&other)
                    || ["additionalProperties", "maxItems", "maxProperties", "required"].contains(&other)
            }
        }
    })
}

#[test]
fn the_schema_that_is_served_is_this_one() {
    assert_eq!(SERVED, format!("{}\n", serde_json::to_string_pretty(&schema()).unwrap()), "keylender services schema");
    assert_eq!(schema()["$id"], "/schemas/keylender/v1/services.json#");
}

/// A payload of one service, of which this member is so.
fn of(member: &str, value: impl Into<Value>) -> Value {
    let mut service = json!({ "name": "db", "image": "a" });
    service[member] = value.into();
    json!({ "services": [service] })
}

fn cases() -> Vec<Value> {
    let digits = "0".repeat(64);
    let names = "db DB a- -a 0x 0xg 12 task xn--a ip6-a a.b  \u{f6}".split(' ').map(|name| of("name", name));
    let images = format!(
        "postgres:16 a.b:5/c/d:e [::1]:5/a A a//b a@b a___b a__b a--b sha256:abc {digits} sha256:{digits} \
         a:b@sha256:{digits} -a a:-b localhost:5 sha512:ab "
    );
    let images = images.split(' ').map(|image| of("image", image));
    let variables = "A 1 a-b LD_PRELOAD XLD_PRELOAD HTTP_proxy HTTP_PROXY2 X_PROXY_URL PROXY_URL PATH PATHS TASK_ID GIT_CONFIG \
                     GIT_CONF npm_config_x ";
    let variables = variables.split(' ').map(|name| of("env", json!({ name: "" })));
    let values = ["", "() {", "a\0b", "() x", "\n"].map(|value| of("env", json!({ "A": value })));
    let others = [
        of("command", json!(["a"])),
        of("command", json!(["\0"])),
        of("command", json!([1])),
        of("command", "a"),
        of("env", json!({ "A": 1 })),
        of("volumes", json!([])),
        json!({}),
        json!([]),
        json!({ "services": [], "log": 1 }),
        json!({ "services": [], "logs": 1 }),
        json!({ "services": [{ "name": "db" }] }),
        json!({ "services": [1] }),
    ];
    names.chain(images).chain(variables).chain(values).chain(others).collect()
}

#[test]
fn the_schema_and_the_parser_agree_where_the_schema_can_tell() {
    let mut told = [0, 0];
    for case in cases() {
        let is_right = parse(&case.to_string()).is_ok();
        assert_eq!(fits(&schema(), &case), is_right, "{case}");
        told[usize::from(is_right)] += 1;
    }
    assert!(told[0] > 30 && told[1] > 15, "{told:?}");
}
