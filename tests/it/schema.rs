//! A validator for the part of JSON Schema that our documents use. Stricter than the standard where that finds more: a
//! keyword that it does not know, and a member that no schema names, are faults.

use serde_json::Value;

/// Keywords that say nothing about what is valid here.
const REMARKS: [&str; 6] = ["description", "title", "default", "writeOnly", "format", "readOnly"];

/// What is wrong with a value, each with the place where.
pub fn problems(document: &Value, schema: &Value, value: &Value) -> Vec<String> {
    let mut problems = Vec::new();
    validate(document, schema, value, "$", &mut problems);
    problems
}

/// What a reference inside of the document points to.
pub fn resolve<'d>(document: &'d Value, reference: &str) -> Option<&'d Value> {
    document.pointer(reference.strip_prefix('#')?)
}

fn validate(document: &Value, schema: &Value, value: &Value, at: &str, problems: &mut Vec<String>) {
    let Some(keywords) = schema.as_object() else {
        if *schema != Value::Bool(true) {
            problems.push(format!("{at}: nothing is valid here"));
        }
        return;
    };
    for (keyword, wanted) in keywords {
        let fits = match keyword.as_str() {
            "$ref" => {
                let target = resolve(document, wanted.as_str().unwrap()).expect("the reference leads somewhere");
                validate(document, target, value, at, problems);
                true
            }
            "type" => match wanted {
                Value::Array(types) => types.iter().any(|each| is_a(each, value)),
                one => is_a(one, value),
            },
            "const" => wanted == value,
            "enum" => wanted.as_array().unwrap().contains(value),
            "minimum" => value.as_f64().is_none_or(|number| number >= wanted.as_f64().unwrap()),
            "maximum" => value.as_f64().is_none_or(|number| number <= wanted.as_f64().unwrap()),
            "minLength" => value.as_str().is_none_or(|text| text.len() as u64 >= wanted.as_u64().unwrap()),
            "anyOf" => fitting(document, wanted, value) >= 1,
            "oneOf" => fitting(document, wanted, value) == 1,
            "items" => {
                for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                    validate(document, wanted, item, &format!("{at}[{index}]"), problems);
                }
                true
            }
            "properties" | "additionalProperties" | "required" => true,
            remark => {
                assert!(REMARKS.contains(&remark), "{at}: this validator does not know `{remark}`");
                true
            }
        };
        if !fits {
            problems.push(format!("{at}: {keyword} {wanted} does not hold for {value}"));
        }
    }
    if let Some(members) = value.as_object() {
        validate_members(document, schema, members, at, problems);
    }
}

fn validate_members(
    document: &Value,
    schema: &Value,
    members: &serde_json::Map<String, Value>,
    at: &str,
    problems: &mut Vec<String>,
) {
    for name in schema["required"].as_array().into_iter().flatten() {
        if !members.contains_key(name.as_str().unwrap()) {
            problems.push(format!("{at}: {name} is missing"));
        }
    }
    for (name, member) in members {
        let at = format!("{at}.{name}");
        match (schema["properties"].get(name), schema.get("additionalProperties")) {
            (Some(named), _) => validate(document, named, member, &at, problems),
            (None, Some(Value::Bool(true))) => {}
            (None, Some(schema)) => validate(document, schema, member, &at, problems),
            (None, None) if schema.get("properties").is_none() => {}
            (None, None) => problems.push(format!("{at}: is not described")),
        }
    }
}

fn fitting(document: &Value, schemas: &Value, value: &Value) -> usize {
    schemas.as_array().unwrap().iter().filter(|schema| problems(document, schema, value).is_empty()).count()
}

fn is_a(name: &Value, value: &Value) -> bool {
    match name.as_str().unwrap() {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("{other} is no type"),
    }
}

#[test]
fn it_finds_what_is_wrong() {
    let schema = serde_json::json!({
        "type": "object",
        "properties": { "a": { "type": ["string", "null"] }, "b": { "type": "array", "items": { "minimum": 0 } } },
        "required": ["a"],
    });
    for (value, wrong) in
        [(r#"{"a":null,"b":[1]}"#, 0), (r#"{"b":[-1]}"#, 2), (r#"{"a":1,"c":1}"#, 2), ("[]", 1), ("null", 1)]
    {
        let found = problems(&Value::Null, &schema, &value.parse().unwrap());
        assert_eq!(found.len(), wrong, "{value}: {found:?}");
    }
}
