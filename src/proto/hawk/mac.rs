//! The signed text of a request and its signature (taskcluster.md 1.2, 1.3; vector groups `hawk_header`,
//! `hawk_bewit`, `hawk_payload_hash`).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::host;
use crate::base::{Error, Result, Secret};

/// What a signature says about the request it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target<'a> {
    /// The method, in any letter case.
    pub method: &'a str,
    /// The request target exactly as transmitted: raw path and raw query.
    pub resource: &'a str,
    /// The host without port, in any letter case.
    pub host: &'a str,
    /// The port.
    pub port: u16,
}

impl<'a> Target<'a> {
    /// The target of a request to a URL, as a client signs it: the port of the scheme when the URL names none.
    pub fn of_url(method: &'a str, url: &'a str) -> Result<Self> {
        let expected = || Error::invalid("not an http or https URL");
        let (default_port, rest) = match (url.strip_prefix("http://"), url.strip_prefix("https://")) {
            (Some(rest), _) => (80, rest),
            (_, Some(rest)) => (443, rest),
            _ => return Err(expected()),
        };
        if !rest.bytes().all(|b| b.is_ascii_graphic() && b != b'#') {
            return Err(expected());
        }
        let (authority, resource) = match rest.find(['/', '?']) {
            Some(at) if rest[at..].starts_with('/') => rest.split_at(at),
            Some(_) => return Err(expected()),
            None => (rest, "/"),
        };
        let host = host::parse(authority)?;
        Ok(Self { method, resource, host: host.name, port: host.port.unwrap_or(default_port) })
    }
}

/// The text that a bewit signs: always for the method GET, without nonce and hash (taskcluster.md 1.6).
pub fn bewit_text(exp: i64, ext: &str, target: &Target<'_>) -> String {
    let mut text = normalized("hawk.1.bewit", &exp.to_string(), "", &Target { method: "GET", ..*target });
    text.push('\n');
    text.push_str(ext);
    text.push('\n');
    text
}

/// The lines that both kinds of signature begin with.
pub(super) fn normalized(kind: &str, ts: &str, nonce: &str, target: &Target<'_>) -> String {
    format!(
        "{kind}\n{ts}\n{nonce}\n{}\n{}\n{}\n{}\n",
        target.method.to_ascii_uppercase(),
        target.resource,
        target.host.to_ascii_lowercase(),
        target.port,
    )
}

/// HMAC-SHA256 in padded standard base64. The key is the text of the access token, which is never decoded.
pub fn sign(key: &Secret, text: &str) -> String {
    STANDARD.encode(hmac(key, text))
}

pub(in crate::proto) fn hmac(key: &Secret, text: &str) -> [u8; 32] {
    let mut hmac = Hmac::<Sha256>::new_from_slice(key.expose().as_bytes()).expect("HMAC takes keys of any length");
    hmac.update(text.as_bytes());
    hmac.finalize().into_bytes().into()
}

/// The hash of a body, for the attribute `hash`. The content type counts up to its parameters, in lower case; a
/// body that came compressed is hashed as it was before (taskcluster.md 1.3).
pub fn payload_hash(content_type: Option<&str>, payload: &[u8]) -> String {
    let content_type = content_type.and_then(|text| text.split(';').next()).unwrap_or("").trim();
    let mut hash = Sha256::new();
    hash.update(b"hawk.1.payload\n");
    hash.update(content_type.to_ascii_lowercase());
    hash.update(b"\n");
    hash.update(payload);
    hash.update(b"\n");
    STANDARD.encode(hash.finalize())
}

/// Whether two signatures or hashes are the same, without telling by the time it takes where they differ.
/// Texts of different lengths differ (taskcluster.md 11.12).
pub fn constant_time_eq(left: &str, right: &str) -> bool {
    left.as_bytes().ct_eq(right.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_of_other_lengths_differ() {
        assert!(constant_time_eq("abc=", "abc="));
        assert!(!constant_time_eq("abc=", "abd="));
        assert!(!constant_time_eq("abc=", "abc"));
        assert!(!constant_time_eq("", "abc"));
    }

    #[test]
    fn a_client_signs_the_port_and_path_it_calls() {
        let of = |url| Target::of_url("get", url).map(|target| (target.host, target.port, target.resource));
        assert_eq!(of("https://a.example").unwrap(), ("a.example", 443, "/"));
        assert!(of("http://[::1]:8080/x?y#z").is_err());
        assert_eq!(of("http://[::1]:8080/x?").unwrap(), ("[::1]", 8080, "/x?"));
        for url in ["ftp://a/", "http://", "http://a?b", "http://a b/", "http://user@a/", "http://a:99999/", "https:/a"]
        {
            assert!(of(url).is_err(), "{url}");
        }
    }
}
