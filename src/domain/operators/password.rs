//! Passwords of operators: stretched by argon2id, a few at a time.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use crate::base::{Error, Result, Secret};

/// Shortest password, in characters. Length is the only rule: others make passwords worse (NIST SP 800-63B).
pub const LEN_MIN: usize = 12;
/// Longest one, in bytes: a bound for what is stretched.
const LEN_MAX: usize = 1024;
/// Passwords that are stretched at once. Each takes 19 MiB and some tens of milliseconds of a processor.
const AT_ONCE: usize = 2;
/// Bytes of a stretched password.
const STRETCHED_LEN: usize = 32;

/// A stretched password as a record holds it: argon2id, 19 MiB, 2 passes, with a salt of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stretched {
    salt: String,
    argon2id: String,
}

/// Stretches passwords where it holds nobody up.
#[derive(Clone)]
pub(super) struct Stretcher(Arc<Semaphore>);

impl Default for Stretcher {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(AT_ONCE)))
    }
}

impl Stretcher {
    /// What is stored of a new password. `Invalid` for one that is too short or too long.
    pub async fn stretch(&self, password: Secret) -> Result<Stretched> {
        let text = password.expose();
        if text.chars().count() < LEN_MIN || text.len() > LEN_MAX {
            return Err(Error::invalid(format!(
                "a password has {LEN_MIN} characters at least and {LEN_MAX} bytes at most"
            )));
        }
        let salt = Secret::generate();
        let salt = salt.expose().to_owned();
        let argon2id = self.work(password, salt.clone()).await?;
        Ok(Stretched { salt, argon2id: argon2id.expose().to_owned() })
    }

    /// Whether a password is the stored one. It takes as long where none is stored.
    pub async fn fits(&self, password: Secret, stored: Option<Stretched>) -> Result<bool> {
        if password.expose().len() > LEN_MAX {
            return Ok(false);
        }
        let (salt, expected) = match stored {
            Some(Stretched { salt, argon2id }) => (salt, Some(Secret::new(argon2id))),
            None => ("a salt for nobody".to_owned(), None),
        };
        let given = self.work(password, salt).await?;
        Ok(expected.is_some_and(|expected| expected == given))
    }

    async fn work(&self, password: Secret, salt: String) -> Result<Secret> {
        let failed = |e: String| Error::internal("stretching a password", e);
        let _turn = self.0.acquire().await.map_err(|e| failed(e.to_string()))?;
        let work = move || {
            let mut stretched = zeroize::Zeroizing::new([0; STRETCHED_LEN]);
            let text = password.expose().as_bytes();
            argon2::Argon2::default()
                .hash_password_into(text, salt.as_bytes(), stretched.as_mut_slice())
                .map(|()| Secret::new(STANDARD_NO_PAD.encode(stretched.as_slice())))
        };
        tokio::task::spawn_blocking(work).await.map_err(|e| failed(e.to_string()))?.map_err(|e| failed(e.to_string()))
    }
}
