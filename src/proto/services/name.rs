//! What a service is called: a host name for the task.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::mistakes::quoted;
use crate::base::{Error, Result};

/// Longest name: a label of DNS.
pub const NAME_LEN_MAX: usize = 63;
/// Names by which a task reaches something else already, or a program looks for something else by itself.
pub(super) const RESERVED: [&str; 16] = [
    // Whoever asks, and what is around it.
    "localhost",
    "host",
    "gateway",
    "task",
    // What workers link beside tasks: proxies, an engine of the task's own, the log.
    "taskcluster",
    "relengapi",
    "proxy",
    "keylender",
    "docker",
    "dind",
    "balrog",
    "testdroid",
    "livelog",
    // Where clouds tell a machine who it is: libraries ask by these names for credentials, and would believe the answer.
    "metadata",
    "instance-data",
    // Where programs ask which proxy to use.
    "wpad",
];
/// Beginnings of other names: `ip6-localhost` and its kin are in `/etc/hosts` of every container, and what begins with
/// `xn--` stands for a name in other letters.
pub(super) const RESERVED_PREFIXES: [&str; 2] = ["ip6-", "xn--"];

/// The name of a service: a label of DNS in lower case, which is no address and by which tasks reach nothing else.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct ServiceName(String);

impl ServiceName {
    /// The name, if the text is one. The error says why it is none.
    pub fn parse(text: &str) -> Result<Self> {
        if !is_label(text) {
            let lower = text.to_ascii_lowercase();
            return Err(Error::invalid(if is_label(&lower) {
                format!("{} has capital letters; write \"{lower}\"", quoted(text))
            } else {
                let expected = format!("expected 1 to {NAME_LEN_MAX} of a-z 0-9 -, with no - at either end");
                format!("{expected}; not {}", quoted(text))
            }));
        }
        if is_number(text) {
            let message =
                format!("{} is an address to programs that look up host names; begin with a letter", quoted(text));
            return Err(Error::invalid(message));
        }
        if RESERVED.contains(&text) || RESERVED_PREFIXES.iter().any(|prefix| text.starts_with(prefix)) {
            return Err(Error::invalid(format!("{} is reserved; choose another name", quoted(text))));
        }
        Ok(Self(text.to_owned()))
    }

    /// The text of the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_label(text: &str) -> bool {
    let is_letter = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    (1..=NAME_LEN_MAX).contains(&text.len())
        && text.bytes().all(|b| is_letter(b) || b == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// Whether resolvers and URLs take it for a number, and that for an address: `http://123/` is 0.0.0.123, and `0x` is 0.
fn is_number(text: &str) -> bool {
    match text.strip_prefix("0x") {
        Some(digits) => digits.bytes().all(|b| b.is_ascii_hexdigit()),
        None => text.bytes().all(|b| b.is_ascii_digit()),
    }
}

impl fmt::Display for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.0)
    }
}

impl AsRef<str> for ServiceName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl FromStr for ServiceName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}

impl TryFrom<String> for ServiceName {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        Self::parse(&text)
    }
}
