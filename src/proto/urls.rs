//! Where Taskcluster's services are, given the root URL of a deployment (taskcluster.md 3.1, 6.4; vector group `urls`).

use std::fmt;

use super::hawk::Target;
use crate::base::{Error, Result};

/// The deployment that gave every service a host of its own.
const LEGACY: &str = "https://taskcluster.net";

/// The root URL of a deployment: http or https, no query, without the final slash.
#[derive(Clone, PartialEq, Eq)]
pub struct RootUrl(String);

impl RootUrl {
    /// Reads a root URL, with or without final slash.
    pub fn parse(text: &str) -> Result<Self> {
        let text = text.trim_end_matches('/');
        let target = Target::of_url("GET", text)
            .map_err(|error| Error::invalid("not a root URL like https://tc.example.com").because(error))?;
        if target.resource.contains('?') {
            Err(Error::invalid("a root URL has no query"))
        } else {
            Ok(Self(text.to_owned()))
        }
    }

    /// The URL of a method of a service. `path` is already percent-encoded and may begin with a slash.
    pub fn api(&self, service: &str, version: &str, path: &str) -> String {
        let path = path.trim_start_matches('/');
        if self.is_legacy() {
            format!("https://{service}.taskcluster.net/{version}/{path}")
        } else {
            format!("{self}/api/{service}/{version}/{path}")
        }
    }

    /// The URL of the reference document of an API.
    pub fn api_reference(&self, service: &str, version: &str) -> String {
        format!("{}/{service}/{version}/api.json", self.documents("references"))
    }

    /// The URL of a schema, such as `v1/namespace-request.json#`.
    pub fn schema(&self, service: &str, path: &str) -> String {
        format!("{}/{service}/{}", self.documents("schemas"), path.trim_start_matches('/'))
    }

    /// The URL of the list of all reference documents.
    pub fn manifest(&self) -> String {
        format!("{}/manifest.json", self.documents("references"))
    }

    fn documents(&self, kind: &str) -> String {
        if self.is_legacy() { format!("https://{kind}.taskcluster.net") } else { format!("{self}/{kind}") }
    }

    fn is_legacy(&self) -> bool {
        self.0 == LEGACY
    }
}

impl fmt::Display for RootUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RootUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_root_url_is_one() {
        for text in
            ["", "https://", "tc.example.com", "https://tc example.com", "https://tc.example.com?a=b", "https://é"]
        {
            assert!(RootUrl::parse(text).is_err(), "{text}");
        }
        let root = RootUrl::parse("http://tc.example.com:8080/tc//").unwrap();
        assert_eq!(root.api("auth", "v1", "/ping"), "http://tc.example.com:8080/tc/api/auth/v1/ping");
    }
}
