//! What opens an upstream: a signature of Taskcluster, a token that was minted, or a login that stays.

use std::sync::{Arc, PoisonError, RwLock};

use super::lender::Lender;
use super::tokens::Minted;
use crate::base::{Result, Secret, Timestamp};
use crate::proto::hawk::header::Header;
use crate::proto::hawk::mac::Target;
use crate::proto::proxy::delegation::Delegation;

/// Characters of a nonce. It tells apart what the same key signs in the same second, for which six letters would do.
const NONCE_LEN: usize = 8;

/// Credentials of Taskcluster, as a worker has them.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// Who signs.
    pub client_id: String,
    /// With what.
    pub access_token: Secret,
    /// The certificate of temporary ones.
    pub certificate: Option<String>,
}

/// What is added to a request so that the upstream lets it in.
#[derive(Debug)]
pub enum Key {
    /// Nothing: the connection itself proves it, by a certificate.
    Connection,
    /// A signature by credentials that may be replaced at any time.
    Hawk(Signer),
    /// A bearer token of a token service.
    Minted(Arc<Minted>),
    /// The login of an account of the relay, lent when it is needed.
    Account(Box<Lender>),
    /// Namespaces of the session's own, which are not asked over HTTP.
    Namespaces,
    /// The same header in each request: a bearer token that stays, or a name with a password.
    Fixed(Secret),
}

/// What a request gets.
#[derive(Debug)]
pub struct Authorization {
    /// The value of the header `Authorization`; none takes the header away.
    pub header: Option<Secret>,
    /// The token in it, if it was minted.
    pub token: Option<u64>,
}

impl Key {
    /// Makes what a request needs. A failure says why there is nothing, without a secret.
    pub async fn authorize(&self, method: &str, url: &str, now: Timestamp) -> Result<Authorization> {
        let fixed = |header| Authorization { header: Some(header), token: None };
        Ok(match self {
            Self::Connection | Self::Namespaces => Authorization { header: None, token: None },
            Self::Account(lender) => fixed(lender.header().await?),
            Self::Hawk(signer) => fixed(signer.sign(method, url, now)?),
            Self::Minted(minted) => {
                let token = minted.token().await?;
                let header = Secret::new(format!("Bearer {}", token.text.expose()));
                Authorization { header: Some(header), token: Some(token.number) }
            }
            Self::Fixed(header) => fixed(header.clone()),
        })
    }

    /// Notes that the upstream refused what it was shown. `true`: it may be asked once more, with something else.
    pub fn was_refused(&self, authorization: &Authorization) -> bool {
        match (self, authorization.token) {
            (Self::Minted(minted), Some(number)) => minted.was_refused(number),
            (Self::Account(lender), _) => lender.was_refused(),
            _ => false,
        }
    }
}

/// Signs with the credentials of now. What was signed before stays so.
#[derive(Debug)]
pub struct Signer(RwLock<Arc<Delegation>>);

impl Signer {
    /// Signs with these until they are replaced.
    pub fn new(delegation: Delegation) -> Self {
        Self(RwLock::new(delegation.into()))
    }

    /// Those of now.
    pub fn delegation(&self) -> Arc<Delegation> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes others, under the same limit. Nothing waits for it.
    pub fn replace(&self, delegation: Delegation) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = delegation.into();
    }

    fn sign(&self, method: &str, url: &str, now: Timestamp) -> Result<Secret> {
        let delegation = self.delegation();
        let nonce = Secret::generate();
        let header = Header {
            id: delegation.client_id.as_str(),
            ts: &now.as_seconds().to_string(),
            nonce: &nonce.expose()[..NONCE_LEN],
            ext: delegation.ext.as_deref(),
            ..Header::default()
        };
        Ok(Secret::new(header.signed(&delegation.access_token, &Target::of_url(method, url)?)))
    }
}
