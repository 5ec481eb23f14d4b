//! The schema of profiles, for editors and for whoever makes profiles by a program.

use serde_json::{Map, Value, json};

use super::keys::{FILE, Form, Key, PROFILE, Section};
use super::rules::Rule;

/// The JSON schema of a profile that was read as TOML. It is made of the keys that the parser knows, and says less than the
/// parser: what goes together is not in it.
pub fn schema() -> Value {
    let mut schema = Map::new();
    schema.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
    schema.insert("title".to_owned(), json!("Profile of a relay"));
    schema.extend(section(&PROFILE));
    Value::Object(schema)
}

fn section(section: &Section) -> Map<String, Value> {
    let properties: Map<String, Value> = section.keys.iter().map(|key| (key.name.to_owned(), of_key(key))).collect();
    let needed: Vec<&str> = section.keys.iter().filter(|key| key.is_needed).map(|key| key.name).collect();
    let mut schema = Map::new();
    schema.insert("type".to_owned(), json!("object"));
    schema.insert("description".to_owned(), json!(section.says));
    schema.insert("properties".to_owned(), Value::Object(properties));
    if !needed.is_empty() {
        schema.insert("required".to_owned(), json!(needed));
    }
    schema.insert("additionalProperties".to_owned(), json!(false));
    schema
}

fn of_key(key: &Key) -> Value {
    let (mut schema, expected) = match &key.form {
        Form::Text(rule) => (text(rule), rule.has_others.then_some(rule.expected)),
        Form::TextOrFile(rule) => (json!({ "oneOf": [text(rule), section(&FILE)] }), Some(rule.expected)),
        Form::Texts(rule, most) => {
            let list = json!({ "type": "array", "items": text(rule), "maxItems": most, "uniqueItems": true });
            (list, Some(rule.expected))
        }
        Form::Flag => (json!({ "type": "boolean" }), None),
        Form::Count => (json!({ "type": "integer", "minimum": 0, "maximum": u32::MAX }), None),
        Form::Number => (json!({ "type": "integer" }), None),
        Form::Free => (json!({ "type": "object" }), None),
        Form::Table(inner) => (Value::Object(section(inner)), None),
        Form::Tables(inner, most, _) => (json!({ "type": "array", "items": section(inner), "maxItems": most }), None),
    };
    let says = match expected {
        Some(expected) => format!("{} Expected: {expected}.", key.says),
        None => key.says.to_owned(),
    };
    if let Value::Object(members) = &mut schema {
        members.insert("description".to_owned(), json!(says));
    }
    schema
}

fn text(rule: &Rule) -> Value {
    if rule.words.is_empty() || rule.has_others {
        json!({ "type": "string" })
    } else {
        json!({ "type": "string", "enum": rule.words })
    }
}
