//! Clients that sign: with permanent or temporary credentials, restricted or not, in time or not.

use std::time::Duration;

use keylender::base::{ClientId, Scope, Secret, Timestamp};
use keylender::proto::ext;
use keylender::proto::hawk::{Header, Target, bewit, host, mac};
use keylender::proto::tempcred::{self, Grant};
use serde_json::Value;

use crate::wire::Ask;
use crate::world::World;

/// Credentials, and how they are used.
#[derive(Clone)]
pub struct Client {
    pub id: ClientId,
    pub token: Secret,
    certificate: Option<String>,
    authorized: Option<Vec<Scope>>,
    hashes: bool,
    skew_seconds: i64,
}

impl Client {
    pub fn new(id: ClientId, token: Secret) -> Self {
        Self { id, token, certificate: None, authorized: None, hashes: false, skew_seconds: 0 }
    }

    /// Restricted to these scopes.
    pub fn restricted(&self, scopes: &[&str]) -> Self {
        Self { authorized: Some(parse(scopes)), ..self.clone() }
    }

    /// Signing the body too, as Python clients do.
    pub fn hashing(&self) -> Self {
        Self { hashes: true, ..self.clone() }
    }

    /// With a clock that is wrong.
    pub fn skewed(&self, seconds: i64) -> Self {
        Self { skew_seconds: seconds, ..self.clone() }
    }

    /// With another access token.
    pub fn with_token(&self, token: &str) -> Self {
        Self { token: Secret::new(token), ..self.clone() }
    }

    /// Temporary credentials for an hour, issued by this client; a name makes them named.
    pub fn issue(&self, start: Timestamp, name: Option<&str>, scopes: &[&str]) -> Self {
        self.issue_for(start, Duration::from_secs(3600), name, scopes)
    }

    pub fn issue_for(&self, start: Timestamp, lasts: Duration, name: Option<&str>, scopes: &[&str]) -> Self {
        let name = name.map(|name| ClientId::parse(name).unwrap());
        let grant = Grant { name: name.as_ref(), start, expiry: start.plus(lasts), scopes: &parse(scopes) };
        let seed = Secret::generate_long();
        let issued = tempcred::issue(&self.id, &self.token, &grant, seed.expose()).unwrap();
        let certificate = Some(issued.certificate);
        Self { id: issued.client_id, token: issued.access_token, certificate, ..self.clone() }
    }

    /// Credentials as a machine gets them (taskcluster.md 6.3).
    pub fn lent(credentials: &Value) -> Self {
        let text = |member: &str| credentials[member].as_str().unwrap();
        let client = Self::new(text("clientId").parse().unwrap(), Secret::new(text("accessToken")));
        Self { certificate: Some(text("certificate").to_owned()), ..client }
    }

    /// The certificate of temporary credentials.
    pub fn certificate(&self) -> Option<&str> {
        self.certificate.as_deref()
    }

    fn ext(&self) -> Option<String> {
        ext::encode(self.certificate.as_deref(), self.authorized.as_deref()).unwrap()
    }

    /// The request with an `Authorization` header, signed now.
    pub fn sign(&self, world: &World, ask: &Ask) -> Ask {
        let ts = (world.clock.now().as_seconds() + self.skew_seconds).to_string();
        let (nonce, ext) = (world.nonce(), self.ext());
        let hash = self.hashes.then(|| {
            let body = ask.body.clone().unwrap_or_default();
            mac::payload_hash(ask.header("content-type"), &body)
        });
        let header = Header {
            id: self.id.as_str(),
            ts: &ts,
            nonce: &nonce,
            hash: hash.as_deref(),
            ext: ext.as_deref(),
            ..Header::default()
        };
        let (host, port) = host::signed_authority(
            ask.header("host").unwrap_or_default(),
            ask.header("x-forwarded-port"),
            ask.header("x-forwarded-proto"),
            false,
        )
        .unwrap();
        let target = Target { method: &ask.method, resource: &ask.target, host, port };
        ask.clone().with("Authorization", &header.signed(&self.token, &target))
    }

    /// The target of a signed URL on `keylender.test`, valid until `expires`.
    pub fn sign_target(&self, target: &str, expires: Timestamp) -> String {
        let url = format!("http://keylender.test{target}");
        let signed = bewit::sign_url(&url, &self.id, &self.token, expires.as_seconds(), self.ext().as_deref());
        signed.unwrap().strip_prefix("http://keylender.test").unwrap().to_owned()
    }

    /// `Authorization` for `curl`.
    pub fn bearer(&self) -> String {
        format!("Bearer {}/{}", self.id, self.token.expose())
    }
}

fn parse(scopes: &[&str]) -> Vec<Scope> {
    scopes.iter().map(|scope| Scope::parse(scope).unwrap()).collect()
}
