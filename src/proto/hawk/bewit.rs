//! Signed GET URLs: a signature in the query parameter `bewit` (taskcluster.md 1.6, vector groups `hawk_bewit`,
//! `client_signed_urls`).

use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::general_purpose::{GeneralPurpose, NO_PAD, URL_SAFE_NO_PAD};

use super::is_value;
use super::mac::{self, Target};
use crate::base::{ClientId, Result, Secret};
use crate::proto::Refusal;

/// Longest request target that may carry a bewit.
pub const RESOURCE_LEN_MAX: usize = 4096;

/// How the originals read: bits left over after the last byte are ignored.
const LENIENT: GeneralPurpose = GeneralPurpose::new(&URL_SAFE, NO_PAD.with_decode_allow_trailing_bits(true));

/// What a bewit holds. **Invariant:** after [`Bewit::decode`] the texts consist of the value characters of a header,
/// so a bewit can say nothing that a header cannot, least of all a line break inside the signed text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bewit {
    /// Who signed.
    pub id: String,
    /// The end of validity, in seconds since 1970.
    pub exp: i64,
    /// The signature, in padded standard base64.
    pub mac: String,
    /// Taskcluster's extension, or nothing.
    pub ext: String,
}

impl Bewit {
    /// Reads the value of the query parameter.
    pub fn decode(text: &str) -> Result<Self, Refusal> {
        let bytes = LENIENT.decode(text).map_err(|_| Refusal::new("Bad Request: Invalid bewit encoding"))?;
        let structure = || Refusal::new("Bad Request: Invalid bewit structure");
        let text = String::from_utf8(bytes).map_err(|_| structure())?;
        let parts: Vec<&str> = text.split('\\').collect();
        let [id, exp, mac, ext] = parts[..] else { return Err(structure()) };
        if ![id, exp, mac, ext].into_iter().all(is_value) {
            return Err(structure());
        }
        let exp = Some(exp).filter(|exp| exp.bytes().all(|b| b.is_ascii_digit())).and_then(|exp| exp.parse().ok());
        match exp {
            Some(exp) if !id.is_empty() && !mac.is_empty() => {
                Ok(Self { id: id.into(), exp, mac: mac.into(), ext: ext.into() })
            }
            _ => Err(Refusal::new("Bad Request: Missing bewit attributes")),
        }
    }

    /// The value of the query parameter.
    pub fn encode(&self) -> String {
        let Self { id, exp, mac, ext } = self;
        URL_SAFE_NO_PAD.encode(format!("{id}\\{exp}\\{mac}\\{ext}"))
    }
}

/// Whether a request target carries a bewit at all, readable or not.
pub fn is_in(resource: &str) -> bool {
    resource.starts_with('/') && resource.split(['?', '&']).skip(1).any(|part| part.starts_with("bewit="))
}

/// Takes the bewit out of a request target: what is left is what was signed. `None` when there is none, or none
/// that can be taken out. The last one counts, and only if a value or the end follows it.
pub fn split(resource: &str) -> Option<(String, &str)> {
    if !resource.starts_with('/') {
        return None;
    }
    resource.rmatch_indices("bewit=").find_map(|(at, name)| {
        let (before, rest) = (&resource[..at], &resource[at + name.len()..]);
        let separator = before.chars().next_back().filter(|c| matches!(c, '?' | '&'))?;
        let (value, after) = rest.split_at(rest.find(['&', '$']).unwrap_or(rest.len()));
        let path = &before[..at - 1];
        match after.strip_prefix('&') {
            _ if after.is_empty() => Some((path.to_owned(), value)),
            Some(others) if !others.is_empty() => Some((format!("{path}{separator}{others}"), value)),
            _ => None,
        }
    })
}

/// Signs a URL for reading until `exp`, in seconds since 1970.
pub fn sign_url(url: &str, id: &ClientId, key: &Secret, exp: i64, ext: Option<&str>) -> Result<String> {
    let ext = ext.unwrap_or("").to_owned();
    let mac = mac::sign(key, &mac::bewit_text(exp, &ext, &Target::of_url("GET", url)?));
    let bewit = Bewit { id: id.to_string(), exp, mac, ext }.encode();
    let separator = if url.contains('?') { '&' } else { '?' };
    Ok(format!("{url}{separator}bewit={bewit}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bewit_stands_anywhere_in_the_query() {
        for (resource, expected) in [
            ("/a?bewit=x", Some(("/a", "x"))),
            ("/a?b=1&bewit=x", Some(("/a?b=1", "x"))),
            ("/a?bewit=x&b=1", Some(("/a?b=1", "x"))),
            ("/a?c=2&bewit=x&b=1", Some(("/a?c=2&b=1", "x"))),
            ("/a?bewit=", Some(("/a", ""))),
            ("/a?bewit=x&bewit=y", Some(("/a?bewit=x", "y"))),
            ("/a?bewit=x&bewit=y$", Some(("/a?bewit=y$", "x"))),
            ("/a?bewit=x&", None),
            ("/a?bewit=x$y", None),
            ("/a?xbewit=x", None),
            ("/bewit=x", None),
            ("a?bewit=x", None),
            ("", None),
            ("/é?bewit=ü", Some(("/é", "ü"))),
        ] {
            let found = split(resource);
            assert_eq!(found.as_ref().map(|(rest, bewit)| (rest.as_str(), *bewit)), expected, "{resource}");
            assert!(found.is_none() || is_in(resource));
        }
        assert!(is_in("/a?bewit=x&") && !is_in("/a?xbewit=x"));
    }

    #[test]
    fn hostile_bewits_are_refused() {
        let decode = |text: &str| Bewit::decode(&URL_SAFE_NO_PAD.encode(text)).map_err(|r| r.message().to_owned());
        let missing = Err("Bad Request: Missing bewit attributes".to_owned());
        let structure = Err("Bad Request: Invalid bewit structure".to_owned());
        assert_eq!(decode("\\1\\m\\"), missing);
        assert_eq!(decode("a\\\\m\\"), missing);
        assert_eq!(decode("a\\-1\\m\\"), missing);
        assert_eq!(decode("a\\+1\\m\\"), missing);
        assert_eq!(decode("a\\1x\\m\\"), missing);
        assert_eq!(decode("a\\1\\\\"), missing);
        assert_eq!(decode("a\\999999999999999999999999999999\\m\\"), missing);
        assert_eq!(decode("a\\1\\m\\e\\f"), structure);
        assert_eq!(decode("a\nissuer:b\\1\\m\\"), structure);
        assert_eq!(decode("é\\1\\m\\"), structure);
        for text in ["a", "YQ==", "a+b/", "a b", "é", &"A".repeat(5)] {
            assert_eq!(Bewit::decode(text).unwrap_err().message(), "Bad Request: Invalid bewit encoding", "{text}");
        }
    }
}
