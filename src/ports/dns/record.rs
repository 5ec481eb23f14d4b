//! Questions, and what was answered to them.

use std::net::IpAddr;

use hickory_resolver::proto::rr::Name;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Longest text of a name that is kept: 255 bytes on the wire, each written with four characters at most.
const NAME_LEN_MAX: usize = 1020;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Kind {
    /// The name of an address.
    Ptr,
    /// The IPv4 addresses of a name.
    A,
    /// The IPv6 addresses of a name.
    Aaaa,
}

/// A question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Question {
    /// The name that it is about, without the dot at its end.
    pub name: String,
    /// What is asked for.
    pub kind: Kind,
}

/// A record of an answer. Names are without the dot at their end, in the letter case of the server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// The name that it is about.
    pub name: String,
    /// How long it may be remembered.
    pub ttl_seconds: u32,
    /// What it says.
    pub data: Data,
}

/// What a record says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Data {
    /// The name of an address.
    Ptr(String),
    /// The name is another one's.
    Cname(String),
    /// An address.
    Address(IpAddr),
}

/// How a question ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Status {
    /// With records, or the word that there are none of this kind.
    Answered,
    /// There is no such name (NXDOMAIN).
    NoSuchName,
    /// Without a usable answer; another server may have one.
    Failed(String),
}

/// A question and all that a server said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    /// The question.
    pub question: Question,
    /// Who answered.
    pub server: String,
    /// How it ended.
    pub status: Status,
    /// What it said.
    pub records: Vec<Record>,
}

impl Question {
    /// After the name of an address.
    pub fn reverse(address: IpAddr) -> Self {
        Self { name: text(&Name::from(address)), kind: Kind::Ptr }
    }
}

impl Answer {
    /// One that failed.
    pub fn failed(question: Question, server: impl Into<String>, why: impl Into<String>) -> Self {
        Self { question, server: server.into(), status: Status::Failed(why.into()), records: Vec::new() }
    }

    /// Whether another server should be asked.
    pub fn is_failed(&self) -> bool {
        matches!(self.status, Status::Failed(_))
    }
}

/// A name in ASCII, with whatever else is in it escaped.
pub(super) fn text(name: &Name) -> String {
    let mut text = name.to_ascii();
    text.truncate(text.floor_char_boundary(NAME_LEN_MAX));
    if text.ends_with('.') {
        text.pop();
    }
    text
}
