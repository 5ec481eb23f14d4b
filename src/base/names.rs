//! Names that are valid by construction: whoever holds one need not check it again.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::error::{Error, Result};

/// Declares a name: an immutable text with one rule. Cloning is cheap.
macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $what:literal, $rule:expr, $expected:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The name, if the text is one.
            pub fn parse(text: &str) -> Result<Self> {
                let rule: fn(&str) -> bool = $rule;
                match rule(text) {
                    true => Ok(Self(text.into())),
                    false => Err(Error::invalid(concat!("not a valid ", $what, ": expected ", $expected))),
                }
            }

            /// The text of the name.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "`{}`", &self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self> {
                Self::parse(text)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::parse(&Cow::<str>::deserialize(deserializer)?).map_err(de::Error::custom)
            }
        }
    };
}

/// Longest name of a namespace (taskcluster.md 6.2).
const NAMESPACE_LEN_MAX: usize = 64;
/// Longest name of ours that becomes a broker user: RabbitMQ carries names as short strings.
const SHORT_STRING_LEN_MAX: usize = 255;
/// Longest client or role id; far above anything in use, so that a table key stays small.
const ID_LEN_MAX: usize = 255;
/// Longest scope; a Hawk header holds no longer one anyway (taskcluster.md 1.1).
const SCOPE_LEN_MAX: usize = 4096;

name!(
    /// A namespace on the message bus (taskcluster.md 6.2).
    NamespaceName,
    "namespace",
    |text| (1..=NAMESPACE_LEN_MAX).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-'),
    "1 to 64 of A-Z a-z 0-9 _ -"
);

name!(
    /// A broker user we answer for. `.` and `..` cannot be asked for in a URL (rabbitmq.md 2.1).
    AccountName,
    "account name",
    |text| (1..=SHORT_STRING_LEN_MAX).contains(&text.len()) && text != "." && text != "..",
    "1 to 255 bytes, not . or .."
);

name!(
    /// A virtual host of the broker, such as `/`.
    VhostName,
    "vhost",
    |text| (1..=SHORT_STRING_LEN_MAX).contains(&text.len()) && text != "." && text != "..",
    "1 to 255 bytes, not . or .."
);

name!(
    /// Who signs a request (taskcluster.md 2.1).
    ClientId,
    "client id",
    |text| (1..=ID_LEN_MAX).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!@/:.+|_-".contains(&b)),
    "1 to 255 of A-Z a-z 0-9 ! @ / : . + | _ -"
);

name!(
    /// A role: what `assume:<role id>` stands for; one that ends in `*` takes a parameter (taskcluster.md 4.2).
    RoleId,
    "role id",
    |text| (1..=ID_LEN_MAX).contains(&text.len()) && text.bytes().all(|b| (0x20..=0x7e).contains(&b)),
    "1 to 255 printable ASCII characters"
);

name!(
    /// A right, or with a final `*` a family of rights (taskcluster.md 4.1; vector group `scope_valid`).
    Scope,
    "scope",
    |text| text.len() <= SCOPE_LEN_MAX && text.bytes().all(|b| (0x20..=0x7e).contains(&b)),
    "printable ASCII characters"
);
