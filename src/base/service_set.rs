//! Names of services that run beside a task: the set of them, the images, and for whose workers that is.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::error::{Error, Result};
use super::names::name;
use super::parsed::parsed;
use super::secret::Secret;
use super::session_id::LEN as ID_LEN;

/// Letters of the parts of a worker type (taskcluster's `^[a-zA-Z0-9-_]{1,38}$`).
const PART_LEN_MAX: usize = 38;
/// What the identity of an image begins with; no other digest is one.
const SHA256: &str = "sha256:";
const HEX_LEN: usize = 64;

name!(
    /// The services beside one run of a task: 22 letters that nobody guesses.
    ServiceSetId,
    "set of services",
    |text| text.len() == ID_LEN && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'),
    "22 of A-Z a-z 0-9 - _"
);

name!(
    /// The digest of an image's manifest, or what an engine calls an image that has no manifest of a registry.
    ImageId,
    "digest of an image",
    |text| text.strip_prefix(SHA256).is_some_and(|hex| {
        hex.len() == HEX_LEN && hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    }),
    "sha256: and 64 of 0-9 a-f"
);

name!(
    /// `<provisionerId>/<workerType>`: the workers whose images a role speaks of. Neither part can hold a slash or a star, so
    /// a scope that is made of it says what it seems to.
    WorkerType,
    "worker type",
    |text| text.split_once('/').is_some_and(|(provisioner, worker)| is_part(provisioner) && is_part(worker)),
    "<provisionerId>/<workerType>, each 1 to 38 of A-Z a-z 0-9 - _"
);

fn is_part(text: &str) -> bool {
    (1..=PART_LEN_MAX).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

impl ServiceSetId {
    /// Another one.
    pub fn generate() -> Self {
        // As a session's: one that begins with a dash would be an option to a command, and a name of a container begins with
        // neither a dash nor an underscore.
        loop {
            let name = Secret::generate();
            if !name.expose().starts_with(['-', '_']) {
                return Self(name.expose().into());
            }
        }
    }
}

/// An image that has no identity which other workers share, and that still may be delegated to: by its id, for these workers.
/// Written as the end of the role: `<provisionerId>/<workerType>/<imageId>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalImage {
    /// Whose workers.
    pub worker_type: WorkerType,
    /// What their engine calls it.
    pub id: ImageId,
}

impl std::str::FromStr for LocalImage {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (worker_type, id) = text.rsplit_once('/').ok_or_else(|| {
            Error::invalid("a local image is <provisionerId>/<workerType>/<imageId>, with the id that its engine gives")
        })?;
        Ok(Self { worker_type: WorkerType::parse(worker_type)?, id: ImageId::parse(id)? })
    }
}

impl fmt::Display for LocalImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.worker_type, self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn nothing_in_a_worker_type_or_a_digest_can_widen_a_scope() {
        assert!(WorkerType::parse("aws-1/gecko_t").is_ok());
        for wrong in ["a", "a/", "/b", "a/b/c", "a/*", "*/b", "a b/c", "a/b:", &format!("a/{}", "b".repeat(39))] {
            assert!(WorkerType::parse(wrong).is_err(), "{wrong}");
        }
        assert!(ImageId::parse(DIGEST).is_ok());
        for wrong in ["sha256:", "sha256:*", &DIGEST[7..], &DIGEST.to_uppercase(), &format!("{DIGEST}0"), "latest"] {
            assert!(ImageId::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_local_image_is_written_as_the_end_of_its_role() {
        let text = format!("aws/gecko/{DIGEST}");
        assert_eq!(text.parse::<LocalImage>().unwrap().to_string(), text);
        for wrong in [DIGEST.to_owned(), format!("aws/{DIGEST}"), "aws/gecko/latest".into()] {
            assert!(wrong.parse::<LocalImage>().is_err(), "{wrong}");
        }
    }
}
