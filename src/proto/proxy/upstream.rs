//! A protected service: where it is, and what of it may be asked for at all.

use std::fmt;

use super::target::{PathPrefix, Target};
use crate::base::{Error, Result, Scope};

/// A service behind the proxy, as it was declared.
#[derive(Clone, Debug)]
pub struct Upstream {
    /// What it is called.
    pub name: String,
    /// Under which first segments it answers, and where each leads.
    pub mounts: Vec<Mount>,
    /// The methods that may be used; none is all but `CONNECT` and `TRACE`.
    pub methods: Vec<String>,
    /// Below which paths it may be asked; none is everywhere.
    pub paths: Vec<PathPrefix>,
    /// How often a call is tried again that means the same twice, has no body, and found nobody well: a broken connection or
    /// an answer of 500 to 599.
    pub retries: u32,
    /// Whether a connection may be upgraded, as for websockets.
    pub upgrades: bool,
    /// Bytes that a body may have, in either direction.
    pub body_len_max: u64,
}

/// How scopes become what a token is limited to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rule {
    /// The scopes themselves, for services of Taskcluster.
    Scopes,
    /// Scopes that begin so, without that beginning: the rule of relengapi-proxy. Whatever is left is a permission.
    Prefix {
        /// The beginning.
        prefix: String,
        /// Whether what ends in `*` is one too. It is passed on as it is.
        wildcards: bool,
    },
    /// A permission for each scope that is held, itself or by a wildcard.
    Table(Vec<(Scope, String)>),
    /// Whoever holds this scope may do all that the upstream's own login may.
    Whole(Scope),
}

/// A first segment and where it leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// The segment.
    pub segment: String,
    /// What the rest of the path is put behind.
    pub base: Base,
}

/// A place that a path is put behind. **Invariant:** it is `http` or `https` with a host, and nothing that follows the host
/// of what is made of it can change the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Base {
    /// Scheme, host and port.
    origin: String,
    /// A path without a slash at its end, often nothing.
    path: String,
}

impl Base {
    /// Reads one such as `https://tooltool.example.com/v1`.
    pub fn parse(text: &str) -> Result<Self> {
        let wrong =
            || Error::invalid("a base URL is one like https://tooltool.example.com, without a query or a password");
        let url = url::Url::parse(text).map_err(|_| wrong())?;
        let is_plain = url.query().is_none() && url.fragment().is_none();
        let is_anonymous = url.username().is_empty() && url.password().is_none();
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() || !is_plain || !is_anonymous {
            return Err(wrong());
        }
        let path = url.path().trim_end_matches('/').to_owned();
        Ok(Self { origin: url.origin().ascii_serialization(), path })
    }

    /// The URL of a path behind it. An empty path is the place itself.
    pub fn url(&self, rest: &str) -> String {
        let slash = if rest.starts_with('/') { "" } else { "/" };
        format!("{}{}{slash}{rest}", self.origin, self.path)
    }
}

impl fmt::Display for Base {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.origin, self.path)
    }
}

impl Upstream {
    /// One that is asked for everything, under one segment.
    pub fn open(name: &str, mounts: Vec<Mount>) -> Self {
        Self {
            name: name.to_owned(),
            mounts,
            methods: Vec::new(),
            paths: Vec::new(),
            retries: 0,
            upgrades: false,
            body_len_max: u64::MAX,
        }
    }

    /// Whether it may be asked this. The error says what may be.
    pub fn admit(&self, method: &str, target: &Target<'_>) -> Result<()> {
        let is_method = match &self.methods[..] {
            [] => !matches!(method, "CONNECT" | "TRACE"),
            methods => methods.iter().any(|own| own == method || (own == "GET" && method == "HEAD")),
        };
        if !is_method {
            let list =
                if self.methods.is_empty() { "any but CONNECT and TRACE".into() } else { self.methods.join(", ") };
            return Err(Error::forbidden(format!(
                "`{}` may not be asked with {method}: its methods are {list}",
                self.name
            )));
        }
        if self.paths.is_empty() || self.paths.iter().any(|prefix| prefix.covers(target)) {
            return Ok(());
        }
        Err(Error::forbidden(format!("`{}` may not be asked for this path", self.name)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_behind_a_base_changes_its_host() {
        let base = Base::parse("https://a.example:8443/v1/").unwrap();
        for (rest, url) in [
            ("", "https://a.example:8443/v1/"),
            ("/x?y", "https://a.example:8443/v1/x?y"),
            ("@b.example/x", "https://a.example:8443/v1/@b.example/x"),
            (".b.example", "https://a.example:8443/v1/.b.example"),
        ] {
            assert_eq!(base.url(rest), url);
        }
        for text in ["a", "ftp://a", "https://u:p@a", "https://a?x", "https://a#x", "file:///a"] {
            assert!(Base::parse(text).is_err(), "{text}");
        }
    }
}
