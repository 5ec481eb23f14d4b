//! Passwords as RabbitMQ stores them: `base64(salt ‖ SHA-256(salt ‖ password))` with four bytes of salt.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::base::Secret;

/// How long RabbitMQ's salts are.
const SALT_LEN: usize = 4;

/// The name under which the broker knows this way of hashing. An unknown name is accepted and locks the user out,
/// and the default is the operator's to change: so it is always sent (rabbitmq.md 2.1 and fact 10).
pub(super) const ALGORITHM: &str = "rabbit_password_hashing_sha256";

/// A salted hash of a password. `Debug` hides it: a short password could be guessed from it.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// Hashes a password with fresh salt: two hashes of one password differ.
    #[expect(clippy::disallowed_methods, reason = "the salt need not be secret, only different each time")]
    pub fn of(password: &Secret) -> Self {
        Self::salted(rand::random(), password)
    }

    fn salted(salt: [u8; SALT_LEN], password: &Secret) -> Self {
        let digest = Sha256::new().chain_update(salt).chain_update(password.expose()).finalize();
        Self(STANDARD.encode([salt.as_slice(), digest.as_slice()].concat()))
    }

    /// The hash that a broker tells.
    pub(super) fn from_broker(text: String) -> Self {
        Self(text)
    }

    /// Whether this is a hash of the password.
    pub fn matches(&self, password: &Secret) -> bool {
        let salt = STANDARD.decode(&self.0).ok().and_then(|bytes| bytes.first_chunk::<SALT_LEN>().copied());
        salt.is_some_and(|salt| Self::salted(salt, password).0.as_bytes().ct_eq(self.0.as_bytes()).into())
    }

    /// The text that the broker takes.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_example_comes_out() {
        // The worked example of RabbitMQ's documentation on credentials and passwords.
        let hash = PasswordHash::salted([0x90, 0x8d, 0xc6, 0x0a], &Secret::new("test12"));
        assert_eq!(hash.0, "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR");
    }

    #[test]
    fn a_hash_matches_its_password_only() {
        let hash = PasswordHash::of(&Secret::new("grün"));
        assert!(hash.matches(&Secret::new("grün")));
        assert!(!hash.matches(&Secret::new("")));
        assert_ne!(hash, PasswordHash::of(&Secret::new("grün")));
        assert!(!format!("{hash:?}").contains(hash.as_str()));
    }
}
