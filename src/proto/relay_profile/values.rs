//! Values of TOML as JSON, in which brokers are told arguments and definitions.

use serde_json::{Map, Number, Value};
use toml::Spanned;
use toml::de::DeValue;

/// A value as JSON. What JSON has not is told with its place, and is null then.
pub(super) fn json(value: &Spanned<DeValue<'_>>, tell: &mut impl FnMut(usize, &str)) -> Value {
    let mut refuse = |message| {
        tell(value.span().start, message);
        Value::Null
    };
    match value.get_ref() {
        DeValue::String(text) => Value::String(text.as_ref().to_owned()),
        DeValue::Boolean(flag) => Value::Bool(*flag),
        whole @ DeValue::Integer(_) => match integer(whole) {
            Some(number) => Value::Number(number.into()),
            None => refuse("expected a number between -2^63 and 2^63 - 1"),
        },
        DeValue::Float(float) => match float.as_str().parse().ok().and_then(Number::from_f64) {
            Some(number) => Value::Number(number),
            None => refuse("JSON, in which brokers are told this, has finite numbers only"),
        },
        DeValue::Datetime(_) => refuse("brokers know no dates; put it in quotes, or write a number"),
        DeValue::Array(items) => Value::Array(items.iter().map(|item| json(item, tell)).collect()),
        DeValue::Table(members) => {
            let members = members.iter().map(|(name, value)| (name.get_ref().to_string(), json(value, tell)));
            Value::Object(members.collect::<Map<_, _>>())
        }
    }
}

/// A whole number that is not too large.
pub(super) fn integer(value: &DeValue<'_>) -> Option<i64> {
    let integer = value.as_integer()?;
    i64::from_str_radix(integer.as_str(), integer.radix()).ok()
}
