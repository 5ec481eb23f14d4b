//! Whether a key made a signature over itself, as far as this can be checked by what Keylender has anyway.

use ring::signature::{
    ECDSA_P256_SHA256_FIXED, RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY,
    RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY, RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY,
    RSA_PKCS1_2048_8192_SHA384, RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey,
};

use super::Algorithm;
use super::packets::{KeyPacket, Signature};

/// Bytes of a number on the curve P-256.
const P256_LEN: usize = 32;

/// What became of checking a signature.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Good,
    Bad,
    /// Its algorithm is none that we check: DSA, or a combination that programs of today do not make.
    Unchecked,
}

/// Checks a signature by `key` over itself and `signed`: a user's name or a subkey as [`prefixed`] gives it, or
/// nothing.
pub(super) fn check(signature: &Signature<'_>, key: &KeyPacket<'_>, signed: &[u8]) -> Outcome {
    let mut message = prefixed(0x99, key.body);
    message.extend_from_slice(signed);
    message.extend_from_slice(signature.signed);
    message.extend_from_slice(&[4, 0xff]);
    message.extend_from_slice(&(u32::try_from(signature.signed.len()).unwrap_or(u32::MAX)).to_be_bytes());
    let checked = match (key.algorithm, key.numbers.as_slice(), signature.numbers.as_slice()) {
        (Algorithm::Rsa { .. }, [n, e], [number]) => {
            let Some(parameters) = rsa(signature.hash) else { return Outcome::Unchecked };
            let key = RsaPublicKeyComponents { n, e };
            padded(number, n.len()).is_some_and(|number| key.verify(parameters, &message, &number).is_ok())
        }
        (Algorithm::Ecdsa { curve: "P-256" }, [point], [r, s]) if signature.hash == 8 => {
            let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);
            let both = padded(r, P256_LEN).zip(padded(s, P256_LEN)).map(|(r, s)| [r, s].concat());
            both.is_some_and(|both| key.verify(&message, &both).is_ok())
        }
        _ => return Outcome::Unchecked,
    };
    if checked { Outcome::Good } else { Outcome::Bad }
}

/// A packet as it goes into a signature: a byte for its kind, its length, and its content.
pub(super) fn prefixed(kind: u8, body: &[u8]) -> Vec<u8> {
    let len = u32::try_from(body.len()).unwrap_or(u32::MAX).to_be_bytes();
    // A key's length has two bytes, that of all else four.
    let len = if kind == 0x99 { len.get(2..).unwrap_or_default() } else { &len };
    [&[kind], len, body].concat()
}

/// By the number of the hash, RFC 4880, section 9.4. SHA-1 is what keys of MIG's time are signed with.
fn rsa(hash: u8) -> Option<&'static RsaParameters> {
    match hash {
        2 => Some(&RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY),
        8 => Some(&RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY),
        9 => Some(&RSA_PKCS1_2048_8192_SHA384),
        10 => Some(&RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY),
        _ => None,
    }
}

/// A number with zeros in front of it.
fn padded(number: &[u8], len: usize) -> Option<Vec<u8>> {
    let zeros = len.checked_sub(number.len())?;
    Some([&vec![0; zeros], number].concat())
}
