//! The body by which a token is asked for: JSON with places that are filled in.

use serde_json::Value;

use crate::base::{Error, Result};

/// Longest template.
const LEN_MAX: usize = 16 << 10;

/// What is filled in.
#[derive(Clone, Debug)]
pub struct Filling<'a> {
    /// For `<permissions>`, which becomes a list.
    pub permissions: &'a [String],
    /// For `<expires>`.
    pub expires: &'a str,
    /// For `<expires_in>`, which becomes a number of seconds.
    pub expires_in_s: u64,
    /// For `<session>`.
    pub session: &'a str,
}

/// A template. **Invariant:** it is JSON, and each text in it that looks like a place is one.
#[derive(Clone, Debug, PartialEq)]
pub struct Template(Value);

impl Template {
    /// Reads one such as `{"typ":"tmp","expires":"<expires>","permissions":"<permissions>"}`. A place is a whole text.
    pub fn parse(text: &str) -> Result<Self> {
        if text.len() > LEN_MAX {
            return Err(Error::invalid(format!("a template has at most {LEN_MAX} bytes")));
        }
        let value = serde_json::from_str(text).map_err(|e| Error::invalid("the template is no JSON").because(e))?;
        check(&value)?;
        Ok(Self(value))
    }

    /// The JSON with everything filled in.
    pub fn fill(&self, filling: &Filling<'_>) -> String {
        filled(&self.0, filling).to_string()
    }
}

fn check(value: &Value) -> Result<()> {
    match value {
        Value::String(text) if text.starts_with('<') && text.ends_with('>') => match text.as_str() {
            "<permissions>" | "<expires>" | "<expires_in>" | "<session>" => Ok(()),
            _ => Err(Error::invalid(format!(
                "`{text}` is no place of a template; those are <permissions>, <expires>, <expires_in> and <session>"
            ))),
        },
        Value::Array(items) => items.iter().try_for_each(check),
        Value::Object(members) => members.values().try_for_each(check),
        _ => Ok(()),
    }
}

fn filled(value: &Value, filling: &Filling<'_>) -> Value {
    match value {
        Value::String(text) => match text.as_str() {
            "<permissions>" => filling.permissions.into(),
            "<expires>" => filling.expires.into(),
            "<expires_in>" => filling.expires_in_s.into(),
            "<session>" => filling.session.into(),
            text => text.into(),
        },
        Value::Array(items) => items.iter().map(|item| filled(item, filling)).collect(),
        Value::Object(members) => {
            let members = members.iter().map(|(name, value)| (name.clone(), filled(value, filling)));
            Value::Object(members.collect())
        }
        value => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_filled_wherever_they_stand() {
        let template = Template::parse(
            r#"{"a":["<expires>",{"p":"<permissions>"}],"n":"<expires_in>","s":"<session>","t":"x <y>"}"#,
        );
        let permissions = ["\"<expires>\"".to_owned()];
        let filling = Filling { permissions: &permissions, expires: "soon", expires_in_s: 7, session: "S" };
        let filled = template.unwrap().fill(&filling);
        assert_eq!(filled, r#"{"a":["soon",{"p":["\"<expires>\""]}],"n":7,"s":"S","t":"x <y>"}"#);
        assert!(Template::parse(r#"{"a":"<expiry>"}"#).unwrap_err().message().contains("<expiry>"));
        assert!(Template::parse("{").is_err());
    }
}
