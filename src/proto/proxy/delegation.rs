//! What a signed request of the proxy says of the right by which it is made: the certificate of temporary credentials, and
//! the scopes it is limited to.

use serde_json::{Map, Value};

use crate::base::{ClientId, Error, Result, Scope, Secret, Timestamp};
use crate::proto::ext;
use crate::proto::tempcred::Certificate;

/// The members of a certificate in the order in which the ancestor writes them (proxy.md 3). Others are dropped.
const MEMBERS: [&str; 7] = ["version", "scopes", "start", "expiry", "seed", "signature", "issuer"];

/// Credentials of Taskcluster, and the limit under which they are used. **Invariant:** the certificate could be read.
#[derive(Clone, Debug)]
pub struct Delegation {
    /// Who signs.
    pub client_id: ClientId,
    /// With what.
    pub access_token: Secret,
    /// The scopes of the certificate, where the credentials are temporary.
    pub certified: Option<Vec<Scope>>,
    /// The scopes that a request is limited to; `None` is no limit, none is no right at all.
    pub authorized: Option<Vec<Scope>>,
    /// What a signature carries of both, in base64.
    pub ext: Option<String>,
    /// When the certificate is over, in milliseconds since 1970.
    expiry_ms: Option<i64>,
}

impl Delegation {
    /// Puts together what a signature needs. `certificate` is the JSON text that came with temporary credentials; an empty
    /// one is none.
    pub fn new(
        client_id: &str,
        access_token: Secret,
        certificate: Option<&str>,
        authorized: Option<Vec<Scope>>,
    ) -> Result<Self> {
        let client_id = ClientId::parse(client_id)?;
        if access_token.expose().is_empty() {
            return Err(Error::invalid("the access token is empty"));
        }
        let certificate = certificate.filter(|text| !text.is_empty()).map(read).transpose()?;
        let expiry_ms = certificate.as_ref().map(|(_, certificate)| certificate.expiry_ms);
        let (text, certified) = certificate.map(|(text, certificate)| (text, certificate.scopes)).unzip();
        let ext = ext::encode(text.as_deref(), authorized.as_deref())?;
        Ok(Self { client_id, access_token, certified, authorized, ext, expiry_ms })
    }

    /// Refuses temporary credentials that are over.
    pub fn require_time(&self, now: Timestamp) -> Result<()> {
        match self.expiry_ms {
            Some(expiry_ms) if expiry_ms <= now.as_millis() => {
                Err(Error::invalid("the certificate is over: give a fresh one"))
            }
            _ => Ok(()),
        }
    }

    /// The same right with other credentials.
    pub fn replaced(&self, client_id: &str, access_token: Secret, certificate: Option<&str>) -> Result<Self> {
        Self::new(client_id, access_token, certificate, self.authorized.clone())
    }
}

/// The certificate as it is sent, and what it says.
fn read(text: &str) -> Result<(String, Certificate)> {
    let broken = |cause: &str| Error::invalid("the certificate cannot be read").because(cause);
    // The parser's words quote what is there, which may be a secret in the wrong place.
    let mut given: Map<String, Value> = serde_json::from_str(text).map_err(|_| broken("it is not a JSON object"))?;
    let certificate = Certificate::read(&Value::Object(given.clone())).map_err(|e| broken(e.message()))?;
    let mut sent = Map::new();
    for name in MEMBERS {
        if let Some(value) = given.remove(name) {
            sent.insert(name.into(), value);
        }
    }
    Ok((Value::Object(sent).to_string(), certificate))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CERTIFICATE: &str = r#"{"more":1,"version":1,"scopes":["a*"],"start":0,"expiry":9,"seed":"abcdefghijklmnopqrstuvABCDEFGHIJKLMNOPQRSTUV","signature":"c2ln","issuer":"b"}"#;

    #[test]
    fn a_broken_pair_is_refused_before_it_counts() {
        let of = |id, token, certificate| Delegation::new(id, Secret::new(token), certificate, None);
        assert!(of("a", "k", None).unwrap().ext.is_none());
        assert!(of("a", "k", Some("")).is_ok());
        assert_eq!(of("a", "k", Some(CERTIFICATE)).unwrap().certified.unwrap().len(), 1);
        for (id, token, certificate) in [
            ("", "k", None),
            ("a", "", None),
            ("a b", "k", None),
            ("a", "k", Some("{broken")),
            ("a", "k", Some("{}")),
            ("a", "k", Some("\"x\"")),
        ] {
            let refused = of(id, token, certificate).unwrap_err().chain();
            assert!(!refused.contains("\"x\""), "{refused}");
        }
    }

    #[test]
    fn members_of_a_certificate_that_nobody_knows_are_dropped() {
        assert!(!read(CERTIFICATE).unwrap().0.contains("more"));
    }
}
