//! Why a machine gets nothing: for the operator. The machine itself hears the same in every case.

use std::fmt;
use std::net::IpAddr;

use crate::base::HostName;

/// Why an address is not believed to be a host, or is one that gets nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// It is not in the list of allowed networks.
    NotAllowed,
    /// The profile of the relay does not let its agent enrol by its name.
    EnrolsByToken(HostName),
    /// A hop that we trust did not say for whom it speaks in a way that can be read.
    UnknownAddress,
    /// A rule of an operator blocks it.
    Blocked(String),
    /// A rule of an operator binds the name, or the address, to another one.
    Pinned(String),
    /// The address has no PTR record.
    NoName,
    /// It has so many, and one is expected.
    SeveralNames(usize),
    /// It has one that holds no host name.
    InvalidName(String),
    /// The name has no address of this family.
    NoAddress(HostName),
    /// It has so many, and one is expected.
    SeveralAddresses(HostName, usize),
    OtherAddress(HostName, IpAddr),
    /// Aliases that lead in a circle, too far, or two ways.
    Aliases,
    /// DNS servers do not agree.
    Disagreement,
    /// DNS gave no usable answer.
    Unanswered(String),
    /// The name is too long to be part of a client id.
    TooLong(HostName),
}

impl Cause {
    pub const CODES: [&str; 15] = [
        "not-allowed",
        "enrols-by-token",
        "unknown-address",
        "blocked",
        "pinned",
        "no-name",
        "several-names",
        "invalid-name",
        "no-address",
        "several-addresses",
        "other-address",
        "aliases",
        "disagreement",
        "unanswered",
        "too-long",
    ];

    /// One word for tables and filters. It never changes.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotAllowed => "not-allowed",
            Self::EnrolsByToken(_) => "enrols-by-token",
            Self::UnknownAddress => "unknown-address",
            Self::Blocked(_) => "blocked",
            Self::Pinned(_) => "pinned",
            Self::NoName => "no-name",
            Self::SeveralNames(_) => "several-names",
            Self::InvalidName(_) => "invalid-name",
            Self::NoAddress(_) => "no-address",
            Self::SeveralAddresses(..) => "several-addresses",
            Self::OtherAddress(..) => "other-address",
            Self::Aliases => "aliases",
            Self::Disagreement => "disagreement",
            Self::Unanswered(_) => "unanswered",
            Self::TooLong(_) => "too-long",
        }
    }
}

/// A sentence for the operator, with what to do where that is not plain.
impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAllowed => f.write_str("the address is in none of the networks of TASKCLUSTER_ALLOWED_IPS"),
            Self::EnrolsByToken(name) => {
                write!(f, "`enrols-from` of the profile of the relay has not {name} there: its agent enrols by a token")
            }
            Self::UnknownAddress => f.write_str("a trusted hop sent an X-Forwarded-For header without an address"),
            Self::Blocked(rule) => write!(f, "the rule `{rule}` blocks it"),
            Self::Pinned(rule) => write!(f, "the rule `{rule}` allows only the other one of the pair"),
            Self::NoName => f.write_str("the address has no PTR record: give it one"),
            Self::SeveralNames(count) => write!(f, "the address has {count} PTR records: leave it one"),
            Self::InvalidName(name) => write!(f, "its PTR record holds no host name: {name:?}"),
            Self::NoAddress(name) => write!(f, "its name {name} has no address of this family"),
            Self::SeveralAddresses(name, count) => {
                write!(f, "its name {name} has {count} addresses of this family: leave it one")
            }
            Self::OtherAddress(name, other) => write!(f, "its name {name} has another address: {other}"),
            Self::Aliases => f.write_str("aliases (CNAME) lead in a circle, too far, or two ways"),
            Self::Disagreement => f.write_str("fewer DNS servers than DNS_AGREE asks for say the same"),
            Self::Unanswered(why) => write!(f, "DNS gave no usable answer: {why}"),
            Self::TooLong(name) => write!(f, "the client id of {name} would be longer than a client id can be"),
        }
    }
}
