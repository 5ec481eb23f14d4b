//! Secrets of a proxy: from a file, an inherited descriptor or the environment. In an option they work, too, and everybody on
//! the host can read them there.

use std::fs::File;
use std::io::Read;

use serde::Deserialize;

use crate::base::{Error, Result, Secret};

/// Bytes of a file with a secret: a certificate of many scopes, several times.
const LEN_MAX: u64 = 64 << 10;

/// What is said of a secret in an option.
pub(in crate::cli) const WARNING: &str = "it is in an option, which everybody on this host can read: use a file, an inherited \
                                  descriptor or the environment";

/// Credentials as they are written in a file, the same as a worker sends.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::cli) struct Credentials {
    pub client_id: String,
    pub access_token: String,
    pub certificate: Option<String>,
}

/// The text of a file, or of a descriptor that was left open for us.
pub(in crate::cli) fn read(file: Option<&str>, descriptor: Option<&str>) -> Result<Option<Secret>> {
    let path = match (file, descriptor) {
        (Some(file), None) => file.to_owned(),
        (None, Some(number)) => {
            let number: u32 = number.parse().map_err(|_| Error::invalid("--from-fd is the number of a descriptor"))?;
            format!("/proc/self/fd/{number}")
        }
        (None, None) => return Ok(None),
        (Some(_), Some(_)) => return Err(Error::invalid("--from-file and --from-fd say the same: give one")),
    };
    let failed = |e: std::io::Error| Error::invalid(format!("the secret in {path} cannot be read")).because(e);
    let mut text = String::new();
    File::open(&path).map_err(failed)?.take(LEN_MAX).read_to_string(&mut text).map_err(failed)?;
    Ok(Some(Secret::new(text.trim())))
}

/// Credentials in JSON.
pub(in crate::cli) fn credentials(text: &Secret) -> Result<Credentials> {
    serde_json::from_str(text.expose()).map_err(|_| {
        Error::invalid(
            "the credentials are not like {\"clientId\": \"…\", \"accessToken\": \"…\", \"certificate\": \"…\"}",
        )
    })
}
