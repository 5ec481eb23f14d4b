//! Which image a service runs: a reference as container engines read it, by the grammar of
//! github.com/distribution/reference.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use serde::{Deserialize, Serialize, Serializer};

use super::mistakes::quoted;
use crate::base::{Error, Result};

/// Longest repository in full, with its host: the limit of registries.
const REPOSITORY_LEN_MAX: usize = 255;
/// Longest tag.
pub(super) const TAG_LEN_MAX: usize = 128;
/// Digits of a digest.
pub(super) const DIGITS: usize = 64;
/// Longest reference: a repository, a tag and a digest.
pub const IMAGE_LEN_MAX: usize = REPOSITORY_LEN_MAX + 1 + TAG_LEN_MAX + 1 + SHA256.len() + DIGITS;
/// How a digest begins. Engines know others, which nobody uses, and an image has one name only by one of them.
const SHA256: &str = "sha256:";
/// How the others begin.
const OTHER_DIGESTS: [&str; 2] = ["sha384:", "sha512:"];
/// The host of a repository that names none, and what it was called before.
const USUAL_HOST: &str = "docker.io";
const FORMER_HOST: &str = "index.docker.io";
/// Where the usual host has a repository of one word.
const USUAL_FOLDER: &str = "library";
/// The tag that is meant where neither a tag nor a digest is said.
const USUAL_TAG: &str = "latest";

/// An image: `[host[:port]/]path[:tag][@sha256:<64 hex digits>]`, or the id of one, `sha256:<64 hex digits>`.
///
/// Bare hex digits, all 64 of them, are refused: engines read them as an id where an image is run, and as no reference at
/// all where one is pulled.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct ImageName {
    written: String,
    /// With its host; of an id there is none.
    repository: Option<String>,
    tag: Option<String>,
    digest: Option<String>,
}

impl ImageName {
    /// The image, if the text names one. The error says why it does not.
    pub fn parse(text: &str) -> Result<Self> {
        if text.is_empty() || text.len() > IMAGE_LEN_MAX {
            return wrong(format!("an image has 1 to {IMAGE_LEN_MAX} letters, not {}", text.len()));
        }
        if let Some((scheme, _)) = text.split_once("://") {
            return wrong(format!("an image is no URL; leave out {}", quoted(&format!("{scheme}://"))));
        }
        if let Some(digits) = text.strip_prefix(SHA256) {
            require_digits(digits)?;
            return Ok(Self { written: text.to_owned(), repository: None, tag: None, digest: None });
        }
        if OTHER_DIGESTS.iter().any(|other| text.starts_with(other)) {
            return wrong(format!("{} is no id that is read here; only those of {SHA256} are", quoted(text)));
        }
        if is_digits(text) {
            return wrong(format!("{} is read in several ways by engines; write an id as \"{SHA256}…\"", quoted(text)));
        }
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest)),
            None => (text, None),
        };
        if let Some(digest) = digest {
            let Some(digits) = digest.strip_prefix(SHA256) else {
                return wrong(format!("expected \"@{SHA256}…\", not {}", quoted(&format!("@{digest}"))));
            };
            require_digits(digits)?;
        }
        // A port has the path behind it, a tag has nothing.
        let (name, tag) = match rest.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
            _ => (rest, None),
        };
        if let Some(tag) = tag.filter(|tag| !is_tag(tag)) {
            let expected = format!("expected 1 to {TAG_LEN_MAX} of A-Z a-z 0-9 _ . -, not beginning with . or -");
            return wrong(format!("the tag {}: {expected}", quoted(tag)));
        }
        Ok(Self {
            written: text.to_owned(),
            repository: Some(repository(name)?),
            tag: tag.map(str::to_owned),
            digest: digest.map(str::to_owned),
        })
    }

    /// The text as it was written.
    pub fn as_str(&self) -> &str {
        &self.written
    }

    /// The repository in full, such as `docker.io/library/postgres`. An id has none: nobody knows where it is from.
    pub fn repository(&self) -> Option<&str> {
        self.repository.as_deref()
    }

    /// The tag, if one is written.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest that is written behind a repository, with its `sha256:`. An id is another thing, and not told here.
    pub fn digest(&self) -> Option<&str> {
        self.digest.as_deref()
    }

    /// Whether it is the id of an image that an engine has already.
    pub fn is_id(&self) -> bool {
        self.repository.is_none()
    }

    /// The same as every engine reads it alike, `docker.io/library/postgres:16`. What is written may be something else
    /// to some: Podman looks in other registries for `postgres`, Docker takes `deadbeef` also for the beginning of an id,
    /// pulls all tags where none is said, and not every engine takes a tag beside a digest, which decides alone.
    pub fn in_full(&self) -> String {
        match (&self.repository, &self.digest) {
            (None, _) => self.written.clone(),
            (Some(repository), Some(digest)) => format!("{repository}@{digest}"),
            (Some(repository), None) => format!("{repository}:{}", self.tag().unwrap_or(USUAL_TAG)),
        }
    }
}

fn wrong<T>(message: String) -> Result<T> {
    Err(Error::invalid(message))
}

fn is_digits(text: &str) -> bool {
    text.len() == DIGITS && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

fn require_digits(digits: &str) -> Result<()> {
    if is_digits(digits) {
        Ok(())
    } else {
        wrong(format!("expected {DIGITS} of 0-9 a-f behind \"{SHA256}\", not {}", quoted(digits)))
    }
}

fn is_tag(tag: &str) -> bool {
    let is_word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    (1..=TAG_LEN_MAX).contains(&tag.len())
        && tag.bytes().all(|b| is_word(b) || b == b'.' || b == b'-')
        && !tag.starts_with(['.', '-'])
}

/// The repository in full. What stands before the first slash is a host if it looks like one, as engines have it.
fn repository(name: &str) -> Result<String> {
    let host = name.split_once('/').filter(|(first, _)| first.contains(['.', ':']) || *first == "localhost");
    let (host, path) = match host {
        Some((host, path)) => (self::host(host)?, path),
        None => (USUAL_HOST.to_owned(), name),
    };
    let lower = path.to_ascii_lowercase();
    if !path.split('/').all(is_component) {
        return wrong(if lower.split('/').all(is_component) {
            format!("{} has capital letters; a repository is written in lower case", quoted(path))
        } else {
            let expected = "expected words of a-z 0-9 with single . or _, __ or dashes between, parted by slashes";
            format!("the repository {}: {expected}", quoted(path))
        });
    }
    let repository = match host.as_str() {
        USUAL_HOST | FORMER_HOST if path.contains('/') => format!("{USUAL_HOST}/{path}"),
        USUAL_HOST | FORMER_HOST => format!("{USUAL_HOST}/{USUAL_FOLDER}/{path}"),
        _ => format!("{host}/{path}"),
    };
    if repository.len() > REPOSITORY_LEN_MAX {
        let len = repository.len();
        return wrong(format!("the repository has {len} letters with its host; there may be {REPOSITORY_LEN_MAX}"));
    }
    Ok(repository)
}

/// A host with its port, in the one spelling that counts. Engines take capital letters, too; then two names of one host
/// would be two to whoever grants scopes to one of them.
fn host(text: &str) -> Result<String> {
    let (name, port) = match text.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, Some(port)),
        _ => (text, None),
    };
    let is_port =
        |port: &str| !port.starts_with('0') && port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok();
    if let Some(port) = port.filter(|port| !is_port(port)) {
        return wrong(format!("the port {}: expected 1 to 65535", quoted(port)));
    }
    let port = port.map(|port| format!(":{port}")).unwrap_or_default();
    if let Some(address) = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return match address.parse::<Ipv6Addr>() {
            Ok(address) => Ok(format!("[{address}]{port}")),
            Err(_) => wrong(format!("the host {}: expected an address of IPv6 in the brackets", quoted(name))),
        };
    }
    if name.split('.').all(is_label) {
        return Ok(format!("{name}{port}"));
    }
    wrong(if name.to_ascii_lowercase().split('.').all(is_label) {
        format!("the host {} has capital letters; write it in lower case", quoted(name))
    } else {
        format!("the host {}: expected words of a-z 0-9 - with dots between", quoted(name))
    })
}

fn is_letter(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit()
}

fn is_label(label: &str) -> bool {
    label.starts_with(is_letter) && label.ends_with(is_letter) && label.chars().all(|c| is_letter(c) || c == '-')
}

/// Whether it is a part of a path between slashes.
fn is_component(part: &str) -> bool {
    let is_between = |marks: &str| matches!(marks, "" | "." | "_" | "__") || marks.bytes().all(|b| b == b'-');
    part.starts_with(is_letter) && part.ends_with(is_letter) && part.split(is_letter).all(is_between)
}

impl fmt::Display for ImageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

impl fmt::Debug for ImageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.written)
    }
}

impl Serialize for ImageName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.written)
    }
}

impl FromStr for ImageName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}

impl TryFrom<String> for ImageName {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        Self::parse(&text)
    }
}
