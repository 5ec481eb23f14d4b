//! Time-based one-time passwords as authenticator apps make them (RFC 6238 with SHA-1, six digits, thirty seconds), and
//! base32, in which their secrets are typed (RFC 4648).

use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use subtle::ConstantTimeEq;

/// Seconds that one code is for.
const STEP_SECONDS: u64 = 30;
/// Digits of a code.
const DIGITS: u32 = 6;
/// Steps before and after the present one that are accepted: clocks differ, and people type.
const DRIFT_STEPS: u64 = 1;
const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// The code of one step.
fn code(key: &[u8], step: u64, digits: u32) -> Option<u32> {
    let mut mac = Hmac::<Sha1>::new_from_slice(key).ok()?;
    mac.update(&step.to_be_bytes());
    let hash = mac.finalize().into_bytes();
    // RFC 4226, 5.3: four bytes from where the last half byte says, without the sign.
    let at = usize::from(hash.last()? & 0xf);
    let bytes: [u8; 4] = hash.get(at..at + 4)?.try_into().ok()?;
    Some((u32::from_be_bytes(bytes) & 0x7fff_ffff) % 10_u32.checked_pow(digits)?)
}

/// The step that a typed code is of, if it is one of now and later than the last one that was used: a code works once.
/// All accepted steps are compared, each in constant time.
pub fn accepts(key: &[u8], typed: &str, unix_seconds: u64, last_used: Option<u64>) -> Option<u64> {
    let typed: String = typed.chars().filter(|c| !c.is_whitespace()).collect();
    let now = unix_seconds / STEP_SECONDS;
    let mut found = None;
    for step in now.saturating_sub(DRIFT_STEPS)..=now + DRIFT_STEPS {
        let right = format!("{:06}", code(key, step, DIGITS)?);
        let is_right: bool = right.as_bytes().ct_eq(typed.as_bytes()).into();
        if is_right && last_used.is_none_or(|last| step > last) {
            found = Some(step);
        }
    }
    found
}

/// The code of a moment, as an app shows it.
pub fn code_at(key: &[u8], unix_seconds: u64) -> String {
    code(key, unix_seconds / STEP_SECONDS, DIGITS).map(|code| format!("{code:06}")).unwrap_or_default()
}

/// Bytes in base32, without padding.
pub fn base32(bytes: &[u8]) -> String {
    let bits = |at: usize| -> u8 {
        (0..5).fold(0, |five, bit| {
            let at = at * 5 + bit;
            let byte = bytes.get(at / 8).copied().unwrap_or(0);
            five << 1 | (byte >> (7 - at % 8) & 1)
        })
    };
    (0..(bytes.len() * 8).div_ceil(5)).map(|at| char::from(ALPHABET[usize::from(bits(at))])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6238, appendix B.
    const SEED: &[u8] = b"12345678901234567890";

    #[test]
    fn codes_are_those_of_the_rfc() {
        for (seconds, expected) in [
            (59, 94_287_082),
            (1_111_111_109, 7_081_804),
            (1_111_111_111, 14_050_471),
            (1_234_567_890, 89_005_924),
            (2_000_000_000, 69_279_037),
            (20_000_000_000, 65_353_130),
        ] {
            assert_eq!(code(SEED, seconds / 30, 8), Some(expected), "{seconds}");
        }
        assert_eq!(code_at(SEED, 1_111_111_109), "081804");
    }

    #[test]
    fn a_code_works_around_its_time_and_only_once() {
        let (now, last) = (1_111_111_109_u64, 1_111_111_109 / 30);
        assert_eq!(accepts(SEED, "081804", now, None), Some(last));
        assert_eq!(accepts(SEED, " 081 804 ", now + 30, None), Some(last));
        assert_eq!(accepts(SEED, "081804", now - 30, Some(last - 1)), Some(last));
        assert_eq!(accepts(SEED, "081804", now, Some(last)), None, "used");
        for (typed, at) in [("081804", now + 61), ("081804", now - 60), ("", now), ("81804", now), ("0818040", now)] {
            assert_eq!(accepts(SEED, typed, at, None), None, "{typed} {at}");
        }
    }

    #[test]
    fn base32_is_that_of_the_rfc() {
        for (bytes, text) in [
            ("", ""),
            ("f", "MY"),
            ("fo", "MZXQ"),
            ("foo", "MZXW6"),
            ("foob", "MZXW6YQ"),
            ("fooba", "MZXW6YTB"),
            ("foobar", "MZXW6YTBOI"),
        ] {
            assert_eq!(base32(bytes.as_bytes()), text);
        }
    }
}
