//! Names that are valid by construction: whoever holds one need not check it again.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::clock::Timestamp;
use super::error::{Error, Result};
use super::parsed::parsed;

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
                if rule(text) {
                    Ok(Self(text.into()))
                } else {
                    Err(Error::invalid(concat!("not a valid ", $what, ": expected ", $expected)))
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

        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "description": concat!("A ", $what, ": ", $expected, ".") })
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                parsed(deserializer)
            }
        }
    };
}

pub(super) use name;

/// Longest name of a namespace (taskcluster.md 6.2).
const NAMESPACE_LEN_MAX: usize = 64;
/// Longest name of ours that becomes a broker user: RabbitMQ carries names as short strings.
const SHORT_STRING_LEN_MAX: usize = 255;
/// Longest name of a site: it stands in every account.
const SITE_LEN_MAX: usize = 32;
/// Longest client or role id; far above anything in use, so that a table key stays small.
const ID_LEN_MAX: usize = 255;
/// Longest name of an operator: it stands in every head of a page.
const OPERATOR_LEN_MAX: usize = 64;
/// Longest scope; a Hawk header holds no longer one anyway (taskcluster.md 1.1).
const SCOPE_LEN_MAX: usize = 4096;
/// Longest mail address (RFC 5321, 4.5.3.1, less the angle brackets).
const MAIL_ADDRESS_LEN_MAX: usize = 254;
/// Longest part before its `@`.
const MAIL_LOCAL_LEN_MAX: usize = 64;
/// Longest part of a host name between dots.
const LABEL_LEN_MAX: usize = 63;
/// Longest host name (RFC 1035: 255 bytes on the wire).
const HOST_LEN_MAX: usize = 253;
/// The name of a queue has 255 bytes in AMQP, and `mig.agt.` is a part of it.
const QUEUELOC_LEN_MAX: usize = SHORT_STRING_LEN_MAX - "mig.agt.".len();
/// What an atom of a mail address may hold besides letters and digits (RFC 5322, 3.2.3).
const ATEXT: &[u8] = b"!#$%&'*+-/=?^_`{|}~";

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
    /// An archive of a queue: the moment at which it was begun, and what tells it from others of that moment. The order of
    /// names is that of time, and each is the name of a file.
    ArchiveName,
    "name of an archive",
    is_archive_name,
    "one like 20261130T012345Z-3f9c2a"
);

impl ArchiveName {
    /// The name of one that is begun at this moment. `token` is any text of letters and digits that nobody else has.
    pub fn at(moment: Timestamp, token: &str) -> Result<Self> {
        let text = moment.to_string();
        let moment: String = text.chars().take(19).filter(|c| !matches!(c, '-' | ':')).collect();
        let token: String = token.bytes().take(6).map(|byte| format!("{:x}", byte % 16)).collect();
        Self::parse(&format!("{moment}Z-{token}"))
    }
}

/// The form `YYYYMMDDTHHMMSSZ-xxxxxx`.
fn is_archive_name(text: &str) -> bool {
    let form = b"00000000T000000Z-xxxxxx";
    text.len() == form.len()
        && text.bytes().zip(form).all(|(byte, form)| match form {
            b'0' => byte.is_ascii_digit(),
            b'x' => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
            form => byte == *form,
        })
}

name!(
    /// One of the brokers that hold our accounts.
    SiteName,
    "site",
    |text| (1..=SITE_LEN_MAX).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'),
    "1 to 32 of a-z 0-9 -"
);

impl SiteName {
    /// That of the broker of the settings.
    pub fn main() -> Self {
        Self("main".into())
    }

    /// Whether it is that one, which decides what is lent.
    pub fn is_main(&self) -> bool {
        &*self.0 == "main"
    }

    /// What is said of this broker: with its name, unless it is the main one.
    pub fn says(&self, text: String) -> String {
        if self.is_main() { text } else { format!("at the broker `{self}`: {text}") }
    }
}

name!(
    /// Who signs a request (taskcluster.md 2.1).
    ClientId,
    "client id",
    |text| (1..=ID_LEN_MAX).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!@/:.+|_-".contains(&b)),
    "1 to 255 of A-Z a-z 0-9 ! @ / : . + | _ -"
);

name!(
    /// A person who may use the console. In lower case, so that nobody signs in as two.
    OperatorName,
    "operator name",
    |text| (1..=OPERATOR_LEN_MAX).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"@._+-".contains(&b))
        && text != "."
        && text != "..",
    "1 to 64 of a-z 0-9 @ . _ + -"
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

name!(
    /// Where a mail goes. No quoted names, comments or address literals, so nothing in it means anything to a header
    /// or to SMTP.
    MailAddress,
    "mail address",
    is_mail_address,
    "one like name@example.org"
);

name!(
    /// A machine's name in DNS. In lower case and without the dot at its end, so that no host has two identities
    /// (taskcluster.md 6.3).
    HostName,
    "host name",
    |text| text.len() <= HOST_LEN_MAX
        && text.split('.').all(is_label)
        && !text.bytes().any(|b| b.is_ascii_uppercase())
        // An address is no name: the last part of a name is not a number (RFC 1123, 2.1).
        && text.rsplit('.').next().is_some_and(|last| !last.bytes().all(|b| b.is_ascii_digit())),
    "letters in lower case, digits and hyphens between dots"
);

name!(
    /// By which a client certificate is known: a DNS name in lower case, or a URI such as `spiffe://example.org/builds`.
    /// No wildcard: it would be the name of many.
    CertificateName,
    "name of a certificate",
    |text| if text.contains(':') {
        text.len() <= ID_LEN_MAX && text.bytes().all(|b| b.is_ascii_graphic())
    } else {
        HostName::parse(text).is_ok()
    },
    "a DNS name in lower case, or a URI of at most 255 ASCII characters"
);

name!(
    /// Where an agent of a fleet takes its commands: its queue is called `mig.agt.` and this (mig.md 1.1).
    Queueloc,
    "queue location",
    |text| (1..=QUEUELOC_LEN_MAX).contains(&text.len())
        && !text.chars().any(char::is_control)
        // In a whitelist that would be a pattern, and let in whom it fits.
        && !text.starts_with("re:"),
    "1 to 247 bytes without control characters, and not `re:` at its beginning"
);

impl HostName {
    /// The name that DNS writes so: in any letter case, perhaps with a dot at its end.
    pub fn of_dns(text: &str) -> Result<Self> {
        Self::parse(&text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase())
    }

    /// Its parts from right to left: `name.domain.a`, as scopes and client ids hold it.
    pub fn reversed(&self) -> String {
        self.0.rsplit('.').collect::<Vec<_>>().join(".")
    }
}

impl MailAddress {
    /// What stands behind the `@`.
    pub fn domain(&self) -> &str {
        self.0.rsplit_once('@').map_or("", |(_, domain)| domain)
    }
}

/// What a host name holds between dots (RFC 1123, 2.1).
fn is_label(text: &str) -> bool {
    (1..=LABEL_LEN_MAX).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// The dot-atom form of RFC 5321, in ASCII.
fn is_mail_address(text: &str) -> bool {
    let is_atom =
        |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || ATEXT.contains(&b));
    text.len() <= MAIL_ADDRESS_LEN_MAX
        && text.rsplit_once('@').is_some_and(|(local, domain)| {
            local.len() <= MAIL_LOCAL_LEN_MAX && local.split('.').all(is_atom) && domain.split('.').all(is_label)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mail_address_means_nothing_to_a_header() {
        for text in ["a@b", "first.last+tag@mail.example.org", "o'neil/x=y@xn--bcher-kva.example"] {
            assert_eq!(MailAddress::parse(text).unwrap().as_str(), text);
        }
        assert_eq!(MailAddress::parse("a@b.example").unwrap().domain(), "b.example");
        for text in [
            "",
            "a",
            "@b",
            "a@",
            "a b@c",
            "a@b c",
            "a@b\r\nBcc: x@y",
            "a,b@c",
            "a@b@c",
            "<a@b>",
            "\"a\"@b",
            "a.@b",
            "a..b@c",
            "a@b..c",
            "a@-b",
            "a@[192.0.2.1]",
            "é@b",
            "a@é",
            "a@b_c",
        ] {
            assert!(MailAddress::parse(text).is_err(), "{text:?}");
        }
        assert!(MailAddress::parse(&format!("{}@b", "a".repeat(65))).is_err());
        assert!(MailAddress::parse(&format!("a@{}", ["b"; 130].join("."))).is_err());
    }

    #[test]
    fn a_host_has_one_name_however_dns_writes_it() {
        let name = HostName::of_dns("Builder-1.Example.ORG.").unwrap();
        assert_eq!((name.as_str(), name.reversed().as_str()), ("builder-1.example.org", "org.example.builder-1"));
        assert_eq!(HostName::of_dns("localhost").unwrap().reversed(), "localhost");
        let longest = [&["a".repeat(63).as_str(); 3].join("."), "b".repeat(61).as_str()].join(".");
        assert!(HostName::parse(&longest).is_ok() && HostName::parse(&format!("{longest}b")).is_err());
        for text in [
            "",
            ".",
            "..",
            "10.0.0.1",
            "10.0.0.1.",
            "a.1",
            "a..b",
            ".a",
            "*.example.org",
            "a_b",
            "a b",
            "-a",
            "a-",
            "é",
            "a\\.b",
            "a/b",
            &"a".repeat(64),
        ] {
            assert!(HostName::of_dns(text).is_err(), "{text:?}");
        }
        assert!(HostName::parse("A").is_err());
    }
}
