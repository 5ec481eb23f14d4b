//! Scopes: what satisfies what, expressions of required scopes, and the templates they are made from
//! (taskcluster.md 4.1; vector groups `scope_*`).
//!
//! Held scopes are [`Scope`]s. A *required* scope is a plain text: it may contain a URL parameter, and a text that no
//! scope can equal is a requirement that only a wider starred scope satisfies.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::base::{Error, Result, Scope};

/// Most expressions one template renders to; nested loops over a request's lists multiply.
const RENDERED_MAX: usize = 1_000;

/// Whether a held scope grants a required one: it is equal, or ends in `*` and the required one begins with the rest.
/// Only the last character counts.
pub fn satisfies(held: &Scope, required: &str) -> bool {
    match held.as_str().strip_suffix('*') {
        Some(prefix) => required.starts_with(prefix),
        None => held.as_str() == required,
    }
}

/// Whether any of the held scopes grants the required one.
pub fn covers(held: &[Scope], required: &str) -> bool {
    held.iter().any(|held| satisfies(held, required))
}

/// Whether the held scopes grant every one of the required ones.
pub fn covers_all(held: &[Scope], required: &[Scope]) -> bool {
    required.iter().all(|required| covers(held, required.as_str()))
}

/// Sorts as Taskcluster does: without the last `*`, and of two that differ only there, the starred one first.
pub fn sort(scopes: &mut [Scope]) {
    scopes.sort_by(|left, right| key(left).cmp(&key(right)));
}

fn key(scope: &Scope) -> (&str, bool) {
    match scope.as_str().strip_suffix('*') {
        Some(prefix) => (prefix, false),
        None => (scope.as_str(), true),
    }
}

/// Sorts, and drops what a scope that stays grants already. The result grants exactly what the argument did.
pub fn normalize(mut scopes: Vec<Scope>) -> Vec<Scope> {
    sort(&mut scopes);
    // In this order a starred scope stands directly before everything it grants.
    scopes.dedup_by(|scope, kept| satisfies(kept, scope.as_str()));
    scopes
}

/// What a request needs, in Taskcluster's JSON form: `"a"`, `{"AllOf": […]}` or `{"AnyOf": […]}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Expression {
    /// Every part is satisfied; no parts are.
    AllOf(Vec<Expression>),
    /// Some part is satisfied; no parts are not.
    AnyOf(Vec<Expression>),
    /// A required scope.
    #[serde(untagged)]
    Scope(String),
}

impl Expression {
    /// Whether the held scopes are enough.
    pub fn satisfied_by(&self, held: &[Scope]) -> bool {
        match self {
            Self::Scope(required) => covers(held, required),
            Self::AllOf(parts) => parts.iter().all(|part| part.satisfied_by(held)),
            Self::AnyOf(parts) => parts.iter().any(|part| part.satisfied_by(held)),
        }
    }

    /// What is lacking, for a message; `None` when nothing is. Satisfied parts are left out, every alternative stays,
    /// and a group of one is that one.
    pub fn missing(&self, held: &[Scope]) -> Option<Self> {
        if self.satisfied_by(held) {
            return None;
        }
        let lacking = |parts: &[Self]| -> Vec<Self> { parts.iter().filter_map(|part| part.missing(held)).collect() };
        Some(match self {
            Self::Scope(required) => Self::Scope(required.clone()),
            Self::AllOf(parts) => single(lacking(parts)).unwrap_or_else(Self::AllOf),
            Self::AnyOf(parts) => single(lacking(parts)).unwrap_or_else(Self::AnyOf),
        })
    }
}

/// The only part, or all of them.
fn single(mut parts: Vec<Expression>) -> Result<Expression, Vec<Expression>> {
    match parts.pop() {
        Some(only) if parts.is_empty() => Ok(only),
        Some(last) => {
            parts.push(last);
            Err(parts)
        }
        None => Err(parts),
    }
}

/// An expression with gaps that a request's parameters fill, as API references write it (vector group
/// `scope_template`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Template {
    /// See [`Expression::AllOf`].
    AllOf(Vec<Template>),
    /// See [`Expression::AnyOf`].
    AnyOf(Vec<Template>),
    /// `each`, once for every text of a list.
    #[serde(untagged)]
    For {
        /// The name that stands for the text inside `each`.
        #[serde(rename = "for")]
        name: String,
        /// The parameter that is the list.
        #[serde(rename = "in")]
        list: String,
        /// What is repeated.
        each: Box<Template>,
    },
    /// One of two templates, or nothing.
    #[serde(untagged)]
    If {
        /// The parameter that decides; it must be a boolean.
        #[serde(rename = "if")]
        condition: String,
        /// What counts when it is true.
        then: Box<Template>,
        /// What counts when it is false.
        #[serde(rename = "else", default, skip_serializing_if = "Option::is_none")]
        otherwise: Option<Box<Template>>,
    },
    /// A scope in which `<name>` is replaced by that parameter, whatever characters it contains.
    #[serde(untagged)]
    Scope(String),
}

impl Template {
    /// The expression for these parameters. A parameter that is missing or of the wrong type is an error, and so is a
    /// template that comes to nothing, or to several expressions outside a group.
    pub fn render(&self, parameters: &Map<String, Value>) -> Result<Expression> {
        let mut rendered = Vec::new();
        self.render_into(parameters, &mut rendered)?;
        single(rendered).map_err(|parts| {
            Error::invalid(format!("the scope template comes to {} expressions instead of one", parts.len()))
        })
    }

    fn render_into(&self, parameters: &Map<String, Value>, rendered: &mut Vec<Expression>) -> Result<()> {
        match self {
            Self::Scope(text) => rendered.push(Expression::Scope(fill(text, parameters)?)),
            Self::AllOf(parts) => rendered.push(Expression::AllOf(render_all(parts, parameters)?)),
            Self::AnyOf(parts) => rendered.push(Expression::AnyOf(render_all(parts, parameters)?)),
            Self::For { name, list, each } => {
                let items = parameters.get(list).and_then(Value::as_array).ok_or_else(|| unfit(list, "a list"))?;
                let mut inner = parameters.clone();
                for item in items {
                    inner.insert(name.clone(), item.clone());
                    each.render_into(&inner, rendered)?;
                }
            }
            Self::If { condition, then, otherwise } => {
                let value = parameters.get(condition).and_then(Value::as_bool);
                match (value.ok_or_else(|| unfit(condition, "true or false"))?, otherwise) {
                    (true, _) => then.render_into(parameters, rendered)?,
                    (false, Some(otherwise)) => otherwise.render_into(parameters, rendered)?,
                    (false, None) => {}
                }
            }
        }
        match rendered.len() {
            0..=RENDERED_MAX => Ok(()),
            _ => Err(Error::invalid(format!("the request needs more than {RENDERED_MAX} scopes at once"))),
        }
    }
}

fn render_all(parts: &[Template], parameters: &Map<String, Value>) -> Result<Vec<Expression>> {
    let mut rendered = Vec::new();
    for part in parts {
        part.render_into(parameters, &mut rendered)?;
    }
    Ok(rendered)
}

/// Replaces every `<name>`. What is put in is not looked at again.
fn fill(text: &str, parameters: &Map<String, Value>) -> Result<String> {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, (name, after))) =
        rest.split_once('<').and_then(|(before, after)| Some((before, after.split_once('>')?)))
    {
        filled.push_str(before);
        match parameters.get(name) {
            Some(Value::String(value)) => filled.push_str(value),
            Some(Value::Number(value)) => filled.push_str(&value.to_string()),
            _ => return Err(unfit(name, "a text")),
        }
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

fn unfit(parameter: &str, expected: &str) -> Error {
    Error::invalid(format!("the scopes of this request depend on `{parameter}`, which must be {expected}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn render(template: Value, parameters: Value) -> Result<Expression> {
        serde_json::from_value::<Template>(template).unwrap().render(parameters.as_object().unwrap())
    }

    #[test]
    fn a_parameter_is_taken_as_it_is_and_only_once() {
        let star = [Scope::parse("*").unwrap()];
        let narrow = [Scope::parse("ns:x").unwrap()];
        for value in ["é", "<ns>", "x*", "a\nb", ""] {
            let needed = render(json!("ns:<ns>"), json!({ "ns": value })).unwrap();
            assert_eq!(needed, Expression::Scope(format!("ns:{value}")));
            assert!(needed.satisfied_by(&star) && !needed.satisfied_by(&narrow));
        }
        assert_eq!(render(json!("a<b"), json!({})).unwrap(), Expression::Scope("a<b".into()));
    }

    #[test]
    fn a_template_without_its_parameters_is_an_error() {
        for (template, parameters) in [
            (json!("<a>"), json!({})),
            (json!("<a>"), json!({ "a": ["b"] })),
            (json!({ "for": "x", "in": "xs", "each": "<x>" }), json!({ "xs": "no list" })),
            (json!({ "for": "x", "in": "xs", "each": "<x>" }), json!({ "xs": ["two", "scopes"] })),
            (json!({ "if": "c", "then": "a" }), json!({ "c": 1 })),
            (json!({ "if": "c", "then": "a" }), json!({ "c": false })),
        ] {
            assert!(render(template.clone(), parameters).is_err(), "{template}");
        }
    }

    #[test]
    fn nested_loops_have_a_limit() {
        let mut template = json!("<x>");
        for _ in 0..20 {
            template = json!({ "for": "x", "in": "xs", "each": template });
        }
        assert!(render(json!({ "AllOf": [template] }), json!({ "xs": ["a", "b", "c"] })).is_err());
    }

    #[test]
    fn an_expression_is_one_thing_only() {
        for text in [r#"{"AllOf":[],"AnyOf":[]}"#, r#"{"NoneOf":[]}"#, "1", "{}", r#"{"AllOf":"a"}"#] {
            assert!(serde_json::from_str::<Expression>(text).is_err(), "{text}");
        }
    }
}
