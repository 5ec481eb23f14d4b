//! Temporary credentials: a certificate that an issuer signs, and the access token that follows from it
//! (taskcluster.md 2.2, 2.3; vector group `temporary_credentials`).

use std::fmt::Write;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde_json::Value;

use super::Refusal;
use super::ext;
use super::hawk::mac;
use crate::base::{ClientId, Error, Result, Scope, Secret, Timestamp};

/// Longest life of temporary credentials; the auth service refuses longer ones.
pub const DURATION_MAX: Duration = Duration::from_secs(31 * 24 * 60 * 60);

/// How far the clocks of issuer and verifier may be apart.
const SKEW_MAX: Duration = Duration::from_secs(5 * 60);

/// Length of a seed: two slugids.
const SEED_LEN: usize = 44;

/// What credentials are to be issued.
#[derive(Clone, Debug)]
pub struct Grant<'a> {
    /// The client id of the credentials; without one they carry the issuer's.
    pub name: Option<&'a ClientId>,
    /// From when they are valid.
    pub start: Timestamp,
    /// Until when.
    pub expiry: Timestamp,
    /// What they may do. Never empty: clients and servers disagree how that is signed (taskcluster.md 2.2).
    pub scopes: &'a [Scope],
}

/// Credentials as they are handed out.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// Who signs with them.
    pub client_id: ClientId,
    /// What to sign with.
    pub access_token: Secret,
    /// The certificate as JSON text, in the key order of the JavaScript client.
    pub certificate: String,
}

/// Issues temporary credentials, signed with the issuer's *permanent* access token. `seed` is what
/// [`Secret::generate_long`] draws; it is not secret afterwards.
pub fn issue(issuer: &ClientId, issuer_token: &Secret, grant: &Grant<'_>, seed: &str) -> Result<Credentials> {
    if grant.name == Some(issuer) {
        return Err(Error::invalid("Credential issuer must be different from the name"));
    }
    if grant.scopes.is_empty() {
        return Err(Error::invalid("temporary credentials need at least one scope"));
    }
    if grant.expiry <= grant.start || grant.expiry.since(grant.start) > DURATION_MAX {
        return Err(Error::invalid("temporary credentials must last longer than nothing and no longer than 31 days"));
    }
    if seed.len() != SEED_LEN {
        return Err(Error::invalid("the seed of a certificate has 44 characters"));
    }
    let mut certificate = Certificate {
        scopes: grant.scopes.to_vec(),
        start_ms: grant.start.as_millis(),
        expiry_ms: grant.expiry.as_millis(),
        seed: seed.to_owned(),
        signature: String::new(),
        issuer: grant.name.map(|_| issuer.to_string()),
    };
    let client_id = grant.name.unwrap_or(issuer).clone();
    certificate.signature = mac::sign(issuer_token, &certificate.text(client_id.as_str()));
    Ok(Credentials { client_id, access_token: derive_token(issuer_token, seed), certificate: certificate.to_json() })
}

/// The access token of the credentials with this seed.
pub fn derive_token(issuer_token: &Secret, seed: &str) -> Secret {
    Secret::new(URL_SAFE_NO_PAD.encode(mac::hmac(issuer_token, seed)))
}

/// A certificate whose parts have the right types. Whether it is signed, still valid, and within the rights of its
/// issuer is to be asked separately.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// The scopes, in the order in which they are signed.
    pub scopes: Vec<Scope>,
    /// From when it is valid, in milliseconds since 1970. Not a [`Timestamp`]: the number itself is signed.
    pub start_ms: i64,
    /// Until when.
    pub expiry_ms: i64,
    /// What the access token follows from.
    pub seed: String,
    /// What the issuer signed with.
    pub signature: String,
    /// The client that issued it, only when that is not the client that uses it.
    pub issuer: Option<String>,
}

impl Certificate {
    /// Who issued a certificate that was not read yet, for a client that calls itself `id`: step 1 of taskcluster.md
    /// 2.3.
    pub fn issuer_in<'a>(value: &'a Value, id: &str) -> Result<Option<&'a str>, Refusal> {
        match value.get("issuer") {
            None => Ok(None),
            Some(Value::String(issuer)) if issuer == id => {
                Err(Refusal::new("ext.certificate.issuer must differ from the supplied clientId"))
            }
            Some(Value::String(issuer)) => Ok(Some(issuer)),
            Some(_) => Err(Refusal::new("ext.certificate.issuer must be a string")),
        }
    }

    /// Reads a certificate: step 2.
    pub fn read(value: &Value) -> Result<Self, Refusal> {
        if !value.is_object() {
            return Err(Refusal::new("ext.certificate must be a JSON object"));
        }
        if value["version"].as_i64() != Some(1) {
            return Err(Refusal::new("ext.certificate.version must be 1"));
        }
        let seed = value["seed"].as_str().ok_or(Refusal::new("ext.certificate.seed must be a string"))?;
        if seed.len() != SEED_LEN {
            return Err(Refusal::new("ext.certificate.seed must be 44 characters"));
        }
        Ok(Self {
            start_ms: millis(value, "start")?,
            expiry_ms: millis(value, "expiry")?,
            scopes: ext::scopes(&value["scopes"], "ext.certificate.scopes")?,
            seed: seed.to_owned(),
            // One that is missing or no text is one that does not match.
            signature: value["signature"].as_str().unwrap_or_default().to_owned(),
            issuer: value["issuer"].as_str().map(str::to_owned),
        })
    }

    /// Checks the time: step 3. It may be over for five minutes.
    pub fn check_time(&self, now: Timestamp) -> Result<(), Refusal> {
        if self.start_ms > now.plus(SKEW_MAX).as_millis() {
            return Err(Refusal::new("ext.certificate.start > now"));
        }
        if self.expiry_ms < now.minus(SKEW_MAX).as_millis() {
            return Err(Refusal::new("ext.certificate.expiry < now"));
        }
        if i128::from(self.expiry_ms) - i128::from(self.start_ms) > DURATION_MAX.as_millis().cast_signed() {
            return Err(Refusal::new("ext.certificate cannot last longer than 31 days!"));
        }
        Ok(())
    }

    /// Checks the signature: step 6. `id` is who uses the certificate.
    pub fn check_signature(&self, id: &str, issuer_token: &Secret) -> Result<(), Refusal> {
        match (mac::constant_time_eq(&self.signature, &mac::sign(issuer_token, &self.text(id))), &self.issuer) {
            (true, _) => Ok(()),
            (false, None) => Err(Refusal::new("ext.certificate.signature is not valid")),
            (false, Some(_)) => Err(Refusal::new("ext.certificate.signature is not valid, or wrong clientId provided")),
        }
    }

    /// The text that is signed. **Invariant:** it can be read in one way only, because the seed has a fixed length and
    /// neither ids nor scopes hold line breaks.
    pub fn text(&self, id: &str) -> String {
        let mut text = "version:1".to_owned();
        if let Some(issuer) = &self.issuer {
            let _ = write!(text, "\nclientId:{id}\nissuer:{issuer}");
        }
        let Self { seed, start_ms, expiry_ms, .. } = self;
        let _ = write!(text, "\nseed:{seed}\nstart:{start_ms}\nexpiry:{expiry_ms}\nscopes:");
        for scope in &self.scopes {
            let _ = write!(text, "\n{scope}");
        }
        text
    }

    /// The certificate as JSON text, in the key order of the JavaScript client.
    pub fn to_json(&self) -> String {
        #[derive(Serialize)]
        struct Wire<'a> {
            version: u8,
            scopes: &'a [Scope],
            start: i64,
            expiry: i64,
            seed: &'a str,
            signature: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            issuer: Option<&'a str>,
        }
        let Self { scopes, start_ms, expiry_ms, seed, signature, issuer } = self;
        let (start, expiry) = (*start_ms, *expiry_ms);
        let wire = Wire { version: 1, scopes, start, expiry, seed, signature, issuer: issuer.as_deref() };
        serde_json::to_string(&wire).expect("texts and numbers always have a JSON form")
    }
}

fn millis(certificate: &Value, key: &str) -> Result<i64, Refusal> {
    certificate[key].as_i64().ok_or_else(|| Refusal::new(format!("ext.certificate.{key} must be a number")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const SEED: &str = "AAAAAAAAQACAAAAAAAAAAAASNFZ4mrTe-BI0VniavN7w";

    #[test]
    fn what_would_be_refused_is_not_issued() {
        let issuer = ClientId::parse("issuer").unwrap();
        let (token, scope) = (Secret::new("token"), [Scope::parse("a").unwrap()]);
        let start = Timestamp::from_millis(1_539_604_800_000);
        let good = Grant { name: None, start, expiry: start.plus(DURATION_MAX), scopes: &scope };
        assert!(issue(&issuer, &token, &good, SEED).is_ok());
        assert!(issue(&issuer, &token, &good, "short").is_err());
        for bad in [
            Grant { name: Some(&issuer), ..good.clone() },
            Grant { scopes: &[], ..good.clone() },
            Grant { expiry: start, ..good.clone() },
            Grant { expiry: start.plus(DURATION_MAX + Duration::from_millis(1)), ..good.clone() },
        ] {
            assert!(issue(&issuer, &token, &bad, SEED).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn extreme_times_are_refused() {
        let now = Timestamp::from_millis(1_539_604_800_000);
        for (start, expiry) in
            [(i64::MIN, i64::MAX), (i64::MAX, i64::MIN), (i64::MIN, i64::MIN), (i64::MIN, 1_539_604_800_000)]
        {
            let value = json!({ "version": 1, "seed": SEED, "start": start, "expiry": expiry, "scopes": [] });
            assert!(Certificate::read(&value).unwrap().check_time(now).is_err());
        }
        for start in [json!(1e300), json!(1.5), json!(u64::MAX), json!(null), json!([1])] {
            let value = json!({ "version": 1, "seed": SEED, "start": start, "expiry": 1, "scopes": [] });
            assert_eq!(Certificate::read(&value).unwrap_err().message(), "ext.certificate.start must be a number");
        }
    }

    #[test]
    fn a_seed_is_counted_in_bytes() {
        let value = json!({ "version": 1, "seed": "é".repeat(44) });
        assert_eq!(Certificate::read(&value).unwrap_err().message(), "ext.certificate.seed must be 44 characters");
    }
}
