//! What an OpenID Connect issuer says: its discovery document, its keys, and ID tokens. Strict: RS256 and ES256, nothing else.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey};
use serde::Deserialize;
use serde_json::Value;
use url::{Host, Url};

use crate::base::Timestamp;

/// Longest ID token. People with thousands of groups get a reference instead of groups from their issuer.
const TOKEN_LEN_MAX: usize = 64 << 10;
/// Keys of an issuer that are looked at. An issuer that rotates has two or three.
const KEYS_MAX: usize = 50;
/// Groups of a person that are looked at.
const GROUPS_MAX: usize = 2000;
/// Longest subject (OpenID Connect Core 2).
const SUBJECT_LEN_MAX: usize = 255;
/// How much the issuer's clock may differ from ours, in seconds.
const LEEWAY_SECONDS: i64 = 60;

/// Where an issuer is asked for what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discovery {
    /// Where people sign in.
    pub authorization: Url,
    /// Where a code becomes an ID token.
    pub token: Url,
    /// Where its keys are.
    pub keys: Url,
}

/// A public key of an issuer.
#[derive(Clone, PartialEq, Eq)]
pub struct Key {
    id: Option<String>,
    kind: KeyKind,
}

#[derive(Clone, PartialEq, Eq)]
enum KeyKind {
    Rsa { n: Vec<u8>, e: Vec<u8> },
    P256 { point: Vec<u8> },
}

/// What an ID token must say to be for us and for this sign-in.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// Who says it.
    pub issuer: &'a str,
    /// To whom.
    pub client_id: &'a str,
    /// In answer to what.
    pub nonce: &'a str,
    /// When it is looked at.
    pub now: Timestamp,
}

/// Whom an ID token is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// The issuer's own name of them, which never becomes somebody else's.
    pub subject: String,
    /// What they are called.
    pub preferred_username: Option<String>,
    /// Their address, unless the issuer says that it is not verified.
    pub email: Option<String>,
    /// The groups that they are in.
    pub groups: Vec<String>,
}

/// Why an ID token is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// It is not written as one.
    Malformed,
    /// Its algorithm is not one of ours.
    Algorithm,
    /// It is signed by a key that is not among these: the issuer may have new ones.
    UnknownKey,
    /// The signature is not of that key.
    Signature,
    /// It is of another issuer.
    Issuer,
    /// It is for somebody else.
    Audience,
    /// It is over.
    Expired,
    /// It is not valid yet, or from the future.
    TooEarly,
    /// It answers another sign-in.
    Nonce,
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "it is not written as one",
            Self::Algorithm => "its algorithm is neither RS256 nor ES256",
            Self::UnknownKey => "the issuer does not publish the key that signed it",
            Self::Signature => "its signature is wrong",
            Self::Issuer => "it is of another issuer",
            Self::Audience => "it is for another client",
            Self::Expired => "it is over",
            Self::TooEarly => "it is not valid yet",
            Self::Nonce => "it answers another sign-in",
        })
    }
}

#[derive(Deserialize)]
struct WireDiscovery {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
}

#[derive(Deserialize)]
struct WireKeys {
    keys: Vec<WireKey>,
}

#[derive(Deserialize)]
struct WireKey {
    kty: String,
    kid: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    alg: Option<String>,
    n: Option<String>,
    e: Option<String>,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    /// Extensions that must be understood (RFC 7515 4.1.11): we understand none.
    crit: Option<Value>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: OneOrMany,
    azp: Option<String>,
    exp: f64,
    nbf: Option<f64>,
    iat: f64,
    nonce: Option<String>,
    preferred_username: Option<String>,
    email: Option<String>,
    email_verified: Option<Value>,
}

/// Whether what is said to this address stays secret: https, or plain on this very host.
pub fn is_private(url: &Url) -> bool {
    let is_loopback = match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    };
    url.scheme() == "https" || (url.scheme() == "http" && is_loopback)
}

/// Reads a discovery document, which must be of this issuer. The error says what is wrong with it.
pub fn discovery(bytes: &[u8], issuer: &str) -> Result<Discovery, &'static str> {
    let wire: WireDiscovery = serde_json::from_slice(bytes).map_err(|_| "it is no discovery document")?;
    if wire.issuer != issuer {
        return Err("it is of another issuer than OIDC_ISSUER: the texts must be equal, to the last slash");
    }
    let address = |text: &str| {
        let url = Url::parse(text).map_err(|_| "one of its addresses is none")?;
        if is_private(&url) { Ok(url) } else { Err("it names an address without TLS") }
    };
    Ok(Discovery {
        authorization: address(&wire.authorization_endpoint)?,
        token: address(&wire.token_endpoint)?,
        keys: address(&wire.jwks_uri)?,
    })
}

/// The keys of a JWKS that can have signed an ID token; others are passed over.
pub fn keys(bytes: &[u8]) -> Option<Vec<Key>> {
    let wire: WireKeys = serde_json::from_slice(bytes).ok()?;
    Some(wire.keys.into_iter().filter_map(key).take(KEYS_MAX).collect())
}

fn key(wire: WireKey) -> Option<Key> {
    if wire.purpose.is_some_and(|purpose| purpose != "sig") {
        return None;
    }
    let part = |text: Option<String>| URL_SAFE_NO_PAD.decode(text?).ok();
    let (kind, alg) = match (wire.kty.as_str(), wire.crv.as_deref()) {
        ("RSA", None) => (KeyKind::Rsa { n: part(wire.n)?, e: part(wire.e)? }, "RS256"),
        ("EC", Some("P-256")) => {
            let (x, y) = (part(wire.x)?, part(wire.y)?);
            (KeyKind::P256 { point: [&[4], x.as_slice(), y.as_slice()].concat() }, "ES256")
        }
        _ => return None,
    };
    let fits = wire.alg.is_none_or(|given| given == alg);
    fits.then_some(Key { id: wire.kid, kind })
}

/// Whom an ID token is about, if it is for us, for this sign-in and for now. `groups` is the claim that lists groups.
pub fn verify(token: &str, keys: &[Key], expected: &Expected<'_>, groups: &str) -> Result<Person, Doubt> {
    if token.len() > TOKEN_LEN_MAX {
        return Err(Doubt::Malformed);
    }
    let (signed, signature) = token.rsplit_once('.').ok_or(Doubt::Malformed)?;
    let (head, body) = signed.split_once('.').ok_or(Doubt::Malformed)?;
    let decoded = |text: &str| URL_SAFE_NO_PAD.decode(text).map_err(|_| Doubt::Malformed);
    let head: Header = serde_json::from_slice(&decoded(head)?).map_err(|_| Doubt::Malformed)?;
    let (body, signature) = (decoded(body)?, decoded(signature)?);
    if head.crit.is_some() {
        return Err(Doubt::Malformed);
    }
    check_signature(&head, keys, signed.as_bytes(), &signature)?;
    let claims: Claims = serde_json::from_slice(&body).map_err(|_| Doubt::Malformed)?;
    check_claims(&claims, expected)?;
    if claims.sub.is_empty() || claims.sub.len() > SUBJECT_LEN_MAX {
        return Err(Doubt::Malformed);
    }
    let all: Value = serde_json::from_slice(&body).map_err(|_| Doubt::Malformed)?;
    let is_verified = !matches!(claims.email_verified, Some(Value::Bool(false)))
        && claims.email_verified.as_ref().and_then(Value::as_str) != Some("false");
    Ok(Person {
        subject: claims.sub,
        preferred_username: claims.preferred_username,
        email: claims.email.filter(|_| is_verified),
        groups: listed(&all[groups]),
    })
}

/// The key decides what the signature is; the algorithm of the header must only say the same.
fn check_signature(head: &Header, keys: &[Key], signed: &[u8], signature: &[u8]) -> Result<(), Doubt> {
    let is_kind = |key: &&Key| match key.kind {
        KeyKind::Rsa { .. } => head.alg == "RS256",
        KeyKind::P256 { .. } => head.alg == "ES256",
    };
    if !matches!(head.alg.as_str(), "RS256" | "ES256") {
        return Err(Doubt::Algorithm);
    }
    // Without an id it may be any key of the kind.
    let mut candidates = keys.iter().filter(is_kind).filter(|key| head.kid.is_none() || key.id == head.kid).peekable();
    candidates.peek().ok_or(Doubt::UnknownKey)?;
    let fits = |key: &Key| match &key.kind {
        KeyKind::Rsa { n, e } => {
            RsaPublicKeyComponents { n, e }.verify(&RSA_PKCS1_2048_8192_SHA256, signed, signature).is_ok()
        }
        KeyKind::P256 { point } => {
            UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(signed, signature).is_ok()
        }
    };
    if candidates.any(fits) { Ok(()) } else { Err(Doubt::Signature) }
}

/// OpenID Connect Core 3.1.3.7.
fn check_claims(claims: &Claims, expected: &Expected<'_>) -> Result<(), Doubt> {
    if claims.iss != expected.issuer {
        return Err(Doubt::Issuer);
    }
    let (is_for_us, is_for_others) = match &claims.aud {
        OneOrMany::One(one) => (one == expected.client_id, false),
        OneOrMany::Many(many) => (many.iter().any(|one| one == expected.client_id), many.len() > 1),
    };
    // Who asked for it is named when it is for several, and is us whenever it is named.
    let is_ours = match &claims.azp {
        Some(azp) => azp == expected.client_id,
        None => !is_for_others,
    };
    if !is_for_us || !is_ours {
        return Err(Doubt::Audience);
    }
    let now = expected.now.as_seconds() as f64;
    let leeway = LEEWAY_SECONDS as f64;
    if now >= claims.exp + leeway {
        return Err(Doubt::Expired);
    }
    if claims.nbf.is_some_and(|from| from > now + leeway) || claims.iat > now + leeway {
        return Err(Doubt::TooEarly);
    }
    if claims.nonce.as_deref() == Some(expected.nonce) { Ok(()) } else { Err(Doubt::Nonce) }
}

/// A list of texts, or a single one.
fn listed(value: &Value) -> Vec<String> {
    match value {
        Value::String(one) => vec![one.clone()],
        Value::Array(many) => many.iter().filter_map(Value::as_str).take(GROUPS_MAX).map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_discovery_document_is_of_its_issuer_and_names_no_address_in_clear() {
        let document = |issuer: &str, token: &str| {
            format!(
                r#"{{"issuer":"{issuer}","authorization_endpoint":"https://id.example/a","token_endpoint":"{token}","jwks_uri":"https://id.example/k"}}"#
            )
        };
        let read = |issuer, token| discovery(document(issuer, token).as_bytes(), "https://id.example");
        assert!(read("https://id.example", "https://id.example/t").is_ok());
        assert!(read("https://id.example", "http://127.0.0.1:1/t").is_ok());
        assert!(read("https://id.example/", "https://id.example/t").unwrap_err().contains("another issuer"));
        assert!(read("https://id.example", "http://id.example/t").unwrap_err().contains("without TLS"));
        assert!(discovery(b"{}", "https://id.example").is_err());
    }

    #[test]
    fn keys_that_sign_no_id_tokens_are_passed_over() {
        let jwks = br#"{"keys":[{"kty":"oct","k":"AAAA"},{"kty":"RSA","use":"enc","n":"AQAB","e":"AQAB"},
            {"kty":"RSA","alg":"PS256","n":"AQAB","e":"AQAB"},{"kty":"EC","crv":"P-384","x":"AA","y":"AA"},
            {"kty":"RSA","kid":"a","use":"sig","n":"AQAB","e":"AQAB"}]}"#;
        assert_eq!(keys(jwks).unwrap().len(), 1);
        assert!(keys(b"[]").is_none());
    }

    /// Made by openssl 3; the private key is gone.
    const RSA: &str = "thEiu0_1JoJOtHncG9B3IQWPXjBZLH1wC2oBsIJWI-G7TTzkPZu3K1mnh4OARyALnmQNjUIl3PFkNCDCWYJYjE7hyYtqMPf8HpweQcZVw\
        ry9hfBLAJayh61GBfYDm4kYLRhMDuZj7lMvkTeZk7v7huXxS-vdLO6xveHa1rRE2toaFQ20ZM0SoDsQBPQiIXSbkpfWoJagLTw4Nxde3D\
        XINI427fSN2GKXEfIo4RsDtq4--BBoRHAoht6IDD3618MFF6p1doTw2YC6--GhPdR_MC3NziAaGiPKD6uRyVNlXdwko-iKEWzZpEeBWd1\
        f_QzSgm08a4PcojmzNneHsdTdDw";
    const TOKEN: &str = "eyJhbGciOiJSUzI1NiIsImtpZCI6InIifQ.eyJpc3MiOiJodHRwczovL2lkLmV4YW1wbGUiLCJzdWIiOiIxIiwiYXVkIjoibGVuZCIsIm\
        lhdCI6MTc5NTE3NjAwMCwiZXhwIjoxNzk1MTc2MzAwLCJub25jZSI6Im4iLCJlbWFpbCI6IkFkYUBpZC5leGFtcGxlIiwiZW1haWxfdmV\
        yaWZpZWQiOnRydWUsImdyb3VwcyI6WyJzdGFmZiJdfQ.kHMzoANXVUCmdCq_9CYcgipjeXe2JTRxllLB_0NAOVEGYiS0dbIzvolyRcVp_\
        OrPsjSwYWb5VtxSAWHY8f6P76mUA4-3zzC6mc2gY3WHU2g-WiJC3dsyHMIeqFCcls8ZOyVjkdnKOJyzLl-7ItaR-yrthGKnn51DkT8hxP\
        7NF1b96uf9UJDipeeNV7ZUKl4hmUqaj0UrzT2APMFIiBdU7Ylw_UKnTTnVZuTMtJ5Crfa_K_NsqRHco9cH3u9A-qx7WAN24OAtOoUeKxc\
        3hW6C5M6Dy4gHHsqyc0lm2pnfMLu37CWCLKkQ3t7AK9y3mMzFhIC6iyedV_AHMkQ0H7F4PQ";

    #[test]
    fn a_token_that_openssl_signed_is_believed_and_none_that_was_changed() {
        let jwks = format!(r#"{{"keys":[{{"kty":"RSA","kid":"r","alg":"RS256","n":"{RSA}","e":"AQAB"}}]}}"#);
        let keys = keys(jwks.as_bytes()).unwrap();
        let now = Timestamp::from_millis(1_795_176_001_000);
        let expected = Expected { issuer: "https://id.example", client_id: "lend", nonce: "n", now };
        let person = verify(TOKEN, &keys, &expected, "groups").unwrap();
        assert_eq!((person.subject.as_str(), person.email.as_deref()), ("1", Some("Ada@id.example")));
        assert_eq!(person.groups, ["staff"]);
        for at in 0..TOKEN.len() {
            let other = if TOKEN.as_bytes()[at] == b'A' { "B" } else { "A" };
            let changed = format!("{}{other}{}", &TOKEN[..at], &TOKEN[at + 1..]);
            assert!(verify(&changed, &keys, &expected, "groups").is_err(), "at {at}");
        }
        assert_eq!(verify(TOKEN, &[], &expected, "groups"), Err(Doubt::UnknownKey));
    }
}
