//! Slugids: random UUIDs in 22 URL-safe characters (taskcluster.md 9, vector group `slugid`).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The slugid of sixteen random bytes, with the version and variant bits of a UUID v4. May start with `-`.
pub fn v4(mut bytes: [u8; 16]) -> String {
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    URL_SAFE_NO_PAD.encode(bytes)
}

/// As [`v4`], with the top bit cleared, so that it never starts with `-` or `_`.
pub fn nice(mut bytes: [u8; 16]) -> String {
    bytes[0] &= 0x7f;
    v4(bytes)
}
