//! The `ext` of a signed request: a certificate, and the scopes it restricts itself to (taskcluster.md 1.5, 2.4;
//! vector group `ext`).

use base64::Engine;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, NO_PAD, STANDARD};
use serde_json::{Map, Value, json};

use super::Refusal;
use crate::base::{Error, Result, Scope};

/// Bits left over after the last byte are ignored, as every client's decoder does.
const LENIENT: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, NO_PAD.with_decode_allow_trailing_bits(true));

/// An `ext` that was read, but whose two fields were not judged yet: what is wrong with them is said in the order of
/// taskcluster.md 2.3.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ext(Map<String, Value>);

impl Ext {
    /// Reads base64 of either alphabet, padded or not, holding a JSON object. Unknown keys are ignored.
    pub fn decode(text: &str) -> Result<Self, Refusal> {
        let refusal = || Refusal::new("Failed to parse ext");
        let standard = text.trim_end_matches('=').replace('-', "+").replace('_', "/");
        let json = LENIENT.decode(standard).map_err(|_| refusal())?;
        serde_json::from_slice(&json).map(Self).map_err(|_| refusal())
    }

    /// The certificate, whatever it is, see [`super::tempcred::Certificate::read`].
    pub fn certificate(&self) -> Option<&Value> {
        self.0.get("certificate").filter(|value| !value.is_null())
    }

    /// The scopes the request restricts itself to. An empty list is not the same as none: it leaves no scopes at all.
    pub fn authorized_scopes(&self) -> Result<Option<Vec<Scope>>, Refusal> {
        let value = self.0.get("authorizedScopes").filter(|value| !value.is_null());
        value.map(|value| scopes(value, "ext.authorizedScopes")).transpose()
    }
}

/// Writes an `ext` as the JavaScript client does; `None` when there is nothing to say. The certificate is the JSON text
/// from the credentials.
pub fn encode(certificate: Option<&str>, authorized_scopes: Option<&[Scope]>) -> Result<Option<String>> {
    let mut ext = Map::new();
    if let Some(text) = certificate {
        // The parser's words would quote what is there instead.
        let certificate: Map<String, Value> =
            serde_json::from_str(text).map_err(|_| Error::invalid("the certificate is not a JSON object"))?;
        ext.insert("certificate".into(), certificate.into());
    }
    if let Some(scopes) = authorized_scopes {
        ext.insert("authorizedScopes".into(), json!(scopes));
    }
    Ok((!ext.is_empty()).then(|| STANDARD.encode(Value::Object(ext).to_string())))
}

/// A list of valid scopes; `field` names it in the refusal.
pub(super) fn scopes(value: &Value, field: &str) -> Result<Vec<Scope>, Refusal> {
    let list = value.as_array().ok_or_else(|| Refusal::new(format!("{field} must be an array")))?;
    let scope = |item: &Value| Scope::parse(item.as_str()?).ok();
    let all: Option<Vec<Scope>> = list.iter().map(scope).collect();
    all.ok_or_else(|| Refusal::new(format!("{field} must be an array of valid scopes")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_write_base64_is_read() {
        let expected = json!({ "certificate": "???>>>~~~", "b": "é" });
        let standard = STANDARD.encode(expected.to_string());
        let url_safe = standard.replace('+', "-").replace('/', "_");
        assert_ne!(standard, url_safe);
        for text in [&standard, &url_safe, standard.trim_end_matches('='), url_safe.trim_end_matches('=')] {
            assert_eq!(Ext::decode(text).unwrap().certificate(), Some(&expected["certificate"]));
        }
    }

    #[test]
    fn what_is_no_object_is_refused() {
        let deep = "[".repeat(100_000);
        for json in ["", "null", "[]", "1", "\"x\"", "{", "{}{}", &deep] {
            assert_eq!(Ext::decode(&STANDARD.encode(json)).unwrap_err().message(), "Failed to parse ext");
        }
        for text in ["A", "e30 ", "e3=0", "é", "e30=\n"] {
            assert!(Ext::decode(text).is_err(), "{text:?}");
        }
    }
}
