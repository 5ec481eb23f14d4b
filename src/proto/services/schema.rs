//! The schema of payloads, for editors and for whoever makes payloads by a program.

use serde_json::{Map, Value, json};

use super::image::{DIGITS, IMAGE_LEN_MAX, TAG_LEN_MAX};
use super::members::{SERVICES, USUAL};
use super::name::{NAME_LEN_MAX, RESERVED, RESERVED_PREFIXES};
use super::variable::{REFUSED, Refused};
use super::{COMMAND_WORDS_MAX, ENV_MAX, ENV_NAME_LEN_MAX, ENV_VALUE_LEN_MAX, SERVICES_MAX};

/// Where the schema is served.
const ID: &str = "/schemas/keylender/v1/services.json#";

/// The JSON schema of the services of a payload. It is made of the lists and limits that the parser knows, and says less
/// than the parser: it counts letters where that counts bytes, and knows no sums.
pub fn schema() -> Value {
    let mut properties = Map::new();
    properties.insert(
        SERVICES.to_owned(),
        json!({
            "type": "array",
            "description": "What runs beside the task until it ends. No two have one name.",
            "maxItems": SERVICES_MAX,
            "items": service(),
        }),
    );
    properties.extend(USUAL.map(|name| (name.to_owned(), json!(true))));
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": ID,
        "title": "Services beside a task",
        "description": "The part of a task's payload that says which services run beside it. What else there is belongs to the worker.",
        "type": "object",
        "properties": properties,
        "required": [SERVICES],
        "additionalProperties": false,
    })
}

fn service() -> Value {
    json!({
        "type": "object",
        "properties": {
            "name": name(),
            "image": image(),
            "command": {
                "type": "array",
                "description": "What is put behind the image's entry point. Without it, the image has its own.",
                "items": { "type": "string", "pattern": without_nul() },
                "maxItems": COMMAND_WORDS_MAX,
            },
            "env": env(),
        },
        "required": ["name", "image"],
        "additionalProperties": false,
    })
}

fn name() -> Value {
    json!({
        "type": "string",
        "description": "The host name by which the task reaches it.",
        "maxLength": NAME_LEN_MAX,
        "pattern": "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$",
        "not": { "anyOf": [
            { "enum": RESERVED },
            { "pattern": format!("^({})", RESERVED_PREFIXES.join("|")) },
            { "pattern": "^([0-9]+|0x[0-9a-f]*)$" },
        ] },
    })
}

fn image() -> Value {
    let label = "[a-z0-9]([a-z0-9-]*[a-z0-9])?";
    let host = format!(r"({label}(\.{label})*|\[[0-9a-fA-F:.]+\])(:[1-9][0-9]{{0,4}})?");
    let word = "[a-z0-9]+((\\.|__?|-+)[a-z0-9]+)*";
    let tag = format!("[A-Za-z0-9_][A-Za-z0-9_.-]{{0,{}}}", TAG_LEN_MAX - 1);
    let digest = format!("sha256:[0-9a-f]{{{DIGITS}}}");
    json!({
        "type": "string",
        "description": "An image as container engines read it, or the id of one.",
        "maxLength": IMAGE_LEN_MAX,
        "anyOf": [
            { "pattern": format!("^{digest}$") },
            {
                "pattern": format!("^({host}/)?{word}(/{word})*(:{tag})?(@{digest})?$"),
                "not": { "pattern": format!("^(sha(256|384|512):|[0-9a-f]{{{DIGITS}}}$)") },
            },
        ],
    })
}

fn env() -> Value {
    let refused = REFUSED.iter().map(|refused| {
        let patterns: Vec<String> = refused.names.iter().map(|name| pattern(name, refused)).collect();
        json!({ "description": format!("Such a variable {}.", refused.why), "pattern": patterns.join("|") })
    });
    json!({
        "type": "object",
        "description": "Variables of the task's choice. The service's own proxy is told by others.",
        "maxProperties": ENV_MAX,
        "propertyNames": {
            "maxLength": ENV_NAME_LEN_MAX,
            "pattern": "^[A-Za-z_][A-Za-z0-9_]*$",
            "not": { "anyOf": refused.collect::<Vec<_>>() },
        },
        "additionalProperties": {
            "type": "string",
            "maxLength": ENV_VALUE_LEN_MAX,
            "pattern": without_nul(),
            "not": { "pattern": r"^\(\) \{" },
        },
    })
}

/// A name of the table as a regular expression.
fn pattern(name: &str, refused: &Refused) -> String {
    let letters = name.trim_matches('*').chars().map(|c| match c {
        c if refused.in_any_case && c.is_ascii_alphabetic() => format!("[{c}{}]", c.to_ascii_lowercase()),
        c => c.to_string(),
    });
    let start = if name.starts_with('*') { "" } else { "^" };
    let end = if name.ends_with('*') { "" } else { "$" };
    format!("{start}{}{end}", letters.collect::<String>())
}

fn without_nul() -> &'static str {
    r"^[^\u0000]*$"
}
