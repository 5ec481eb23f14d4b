//! The target of a request: forwarded as it was written, compared by what it means.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

use crate::base::{Error, Result};

/// Longest target, path and query. Servers take 8 KiB, often less.
pub const TARGET_LEN_MAX: usize = 16 << 10;
/// Characters that a path may not hold raw, and that its sender surely meant as themselves (proxy.md 3).
const ESCAPED: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'<')
    .add(b'>')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// The target of a request in its origin form. **Invariant:** the path begins with `/`, all of it is printable ASCII, every
/// `%` of the path begins an escape, and no segment is `.` or `..` or has one inside, however it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target<'a> {
    /// The path, as it was written.
    pub path: &'a str,
    /// The query without its `?`, as it was written; empty is not the same as none.
    pub query: Option<&'a str>,
}

impl<'a> Target<'a> {
    /// Reads a path with its query. What could mean another path to somebody behind us is refused.
    pub fn parse(text: &'a str) -> Result<Self> {
        if text.len() > TARGET_LEN_MAX {
            return Err(Error::invalid(format!("the path is longer than {TARGET_LEN_MAX} bytes")));
        }
        let (path, query) = text.split_once('?').map_or((text, None), |(path, query)| (path, Some(query)));
        if !path.starts_with('/') {
            return Err(Error::invalid("the path does not begin with /"));
        }
        if !text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(Error::invalid("the path holds characters that must be escaped"));
        }
        if path
            .split('%')
            .skip(1)
            .any(|rest| !rest.as_bytes().get(..2).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit)))
        {
            return Err(Error::invalid("the path has a % that begins no escape"));
        }
        if path.split('/').any(has_dots) {
            return Err(Error::invalid("the path has a segment `.` or `..`"));
        }
        Ok(Self { path, query })
    }

    /// The segments behind the first `/`, decoded. An escaped slash is a part of its segment.
    pub fn segments(&self) -> impl Iterator<Item = Vec<u8>> {
        self.path[1..].split('/').map(|segment| percent_decode_str(segment).collect())
    }

    /// What is left behind a first segment: the path from its slash on, or nothing.
    pub fn behind(&self, mount: &str) -> Option<Self> {
        let rest = self.path[1..].strip_prefix(mount)?;
        (rest.is_empty() || rest.starts_with('/')).then_some(Self { path: rest, query: self.query })
    }

    /// The path as it may be sent, and the query as it was written.
    pub fn written(&self) -> String {
        let path: Cow<'_, str> = utf8_percent_encode(self.path, ESCAPED).into();
        match self.query {
            Some(query) => format!("{path}?{query}"),
            None => path.into_owned(),
        }
    }
}

/// Whether a segment is a step in place or upwards, to somebody who decodes it once and takes its slashes, of either kind,
/// for what they are.
fn has_dots(segment: &str) -> bool {
    if !segment.contains(['.', '%']) {
        return false;
    }
    let decoded: Vec<u8> = percent_decode_str(segment).collect();
    // What stands behind a `;` is a parameter to some servers, and not a part of the name.
    let name = |part: &[u8]| part.split(|b| *b == b';').next().is_some_and(|name| name == b"." || name == b"..");
    decoded.split(|b| matches!(b, b'/' | b'\\')).any(name)
}

/// A path prefix of a declaration, by decoded segments: `/a/b` covers `/a/b` and `/a/b/c`, and not `/a/bc`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathPrefix(Vec<Vec<u8>>);

impl PathPrefix {
    /// Reads one such as `/api/queue`. A slash at its end means nothing.
    pub fn parse(text: &str) -> Result<Self> {
        let target = Target::parse(text)?;
        if target.query.is_some() {
            return Err(Error::invalid("a path prefix has no query"));
        }
        let mut segments: Vec<_> = target.segments().collect();
        if segments.last().is_some_and(Vec::is_empty) {
            segments.pop();
        }
        Ok(Self(segments))
    }

    /// Whether a target is below it.
    pub fn covers(&self, target: &Target<'_>) -> bool {
        let mut segments = target.segments();
        self.0.iter().all(|own| segments.next().as_ref() == Some(own))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_mean_another_path_is_refused() {
        for text in [
            "/a/../b",
            "/a/./b",
            "/%2e%2e/b",
            "/a/%2E",
            "/a/..%2fb",
            "/a/x%2f..%2Fb",
            "/a/..%5cb",
            "/a/..;x/b",
            "/a/%2e%2e%3bx/b",
            "/..",
            "/a/..",
        ] {
            assert!(Target::parse(text).unwrap_err().message().contains("segment"), "{text}");
        }
        for text in ["", "a", "*", "/a b", "/é", "/a%2", "/a%zz", "/a\n", "/a?é"] {
            assert!(Target::parse(text).is_err(), "{text}");
        }
        for text in
            ["/", "/a//b", "/a%2Fb", "/a%252e%252e/b", "/...", "/a.b", "/.a", "/a?..", "/a?x=%2", "/%00", "/a@b:1"]
        {
            assert!(Target::parse(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn prefixes_are_compared_by_decoded_segments() {
        let covers =
            |prefix: &str, path: &str| PathPrefix::parse(prefix).unwrap().covers(&Target::parse(path).unwrap());
        for (prefix, path) in [
            ("/", "/x"),
            ("/", "/"),
            ("/a", "/a"),
            ("/a/", "/a"),
            ("/a", "/a/b"),
            ("/a/b", "/%61/b%2Fc/../".trim_end_matches("%2Fc/../")),
        ] {
            assert!(covers(prefix, path), "{prefix} {path}");
        }
        for (prefix, path) in
            [("/a", "/ab"), ("/a/b", "/a%2Fb"), ("/a/b", "/a//b"), ("/a", "/A"), ("/a", "//a"), ("/a", "/%2561")]
        {
            assert!(!covers(prefix, path), "{prefix} {path}");
        }
    }

    #[test]
    fn a_mount_ends_at_a_slash() {
        let target = Target::parse("/tooltool/a%2Fb?x").unwrap();
        assert_eq!(target.behind("tooltool").unwrap().written(), "/a%2Fb?x");
        assert_eq!(Target::parse("/tooltool").unwrap().behind("tooltool").unwrap().path, "");
        assert_eq!(target.behind("tool"), None);
        assert_eq!(
            Target::parse("/a/[b]{c}|^`\"<>\\?[]").unwrap().written(),
            "/a/%5Bb%5D%7Bc%7D%7C%5E%60%22%3C%3E%5C?[]"
        );
    }
}
