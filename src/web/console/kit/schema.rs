//! A JSON schema as a list of members, as a person reads it.

use serde_json::Value;

/// How deep members of members are listed; below that the schema itself says more.
const DEPTH_MAX: usize = 4;
const FIELDS_MAX: usize = 200;

/// A member of a document.
pub struct Field {
    /// Where it stands: `answers[].question.name`.
    pub path: String,
    pub kind: String,
    /// Whether it is always there.
    pub is_required: bool,
    pub description: String,
}

/// All members of a document.
pub fn fields(schema: &Value) -> Vec<Field> {
    let mut found = Vec::new();
    collect(schema, "", 0, &mut found);
    found
}

fn collect(schema: &Value, path: &str, depth: usize, found: &mut Vec<Field>) {
    if depth > DEPTH_MAX {
        return;
    }
    for alternative in ["anyOf", "oneOf"] {
        for one in schema[alternative].as_array().into_iter().flatten() {
            collect(one, path, depth, found);
        }
    }
    if schema["items"].is_object() {
        collect(&schema["items"], &format!("{path}[]"), depth, found);
    }
    if schema["additionalProperties"].is_object() {
        collect(&schema["additionalProperties"], &below(path, "<name>"), depth + 1, found);
    }
    let required = schema["required"].as_array();
    for (name, member) in schema["properties"].as_object().into_iter().flatten() {
        if found.len() >= FIELDS_MAX {
            return;
        }
        let path = below(path, name);
        found.push(Field {
            kind: kind(member),
            is_required: required.is_some_and(|required| required.iter().any(|listed| listed == name)),
            description: member["description"].as_str().unwrap_or_default().replace('`', ""),
            path: path.clone(),
        });
        collect(member, &path, depth + 1, found);
    }
}

fn below(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// What a value may be, in words.
fn kind(schema: &Value) -> String {
    let constant = |one: &Value| one.get("const").map(|value| value.as_str().map_or(value.to_string(), str::to_owned));
    if let Some(constant) = constant(schema) {
        return constant;
    }
    if let Some(all) = ["oneOf", "anyOf"].iter().find_map(|name| schema[*name].as_array()) {
        let all: Vec<String> = all.iter().map(kind).collect();
        return all.join(" or ");
    }
    let types: Vec<&str> = match &schema["type"] {
        Value::Array(types) => types.iter().filter_map(Value::as_str).collect(),
        Value::String(one) => vec![one],
        _ => vec!["anything"],
    };
    let format = schema["format"].as_str().filter(|format| !format.contains("int"));
    match (types.join(" or "), format) {
        (types, _) if types == "array" && schema["items"].is_object() => format!("array of {}", kind(&schema["items"])),
        (types, Some(format)) => format!("{types} ({format})"),
        (types, None) => types,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn members_are_listed_with_where_they_stand() {
        let schema = json!({
            "type": "object",
            "required": ["hosts"],
            "properties": {
                "hosts": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "required": ["kind"],
                        "properties": {
                            "kind": { "description": "What `it` is.", "oneOf": [{ "const": "A" }, { "const": "AAAA" }] },
                            "until": { "type": ["string", "null"], "format": "date-time" },
                        },
                    },
                },
            },
        });
        let fields = fields(&schema);
        let shown: Vec<_> = fields.iter().map(|f| (f.path.as_str(), f.kind.as_str(), f.is_required)).collect();
        assert_eq!(
            shown,
            [
                ("hosts", "array of object", true),
                ("hosts[].kind", "A or AAAA", true),
                ("hosts[].until", "string or null (date-time)", false),
            ]
        );
        assert_eq!(fields[1].description, "What it is.");
    }
}
