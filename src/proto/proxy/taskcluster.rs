//! The paths of taskcluster-proxy, and the URLs that it signs (proxy.md 3).

use super::target::Target;
use crate::base::{ClientId, Error, Result, Secret};
use crate::proto::hawk::bewit;

/// How long a signed URL works, as the ancestor's does.
pub const BEWIT_LIFE_S: i64 = 3600;

/// What a path asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route<'a> {
    /// To sign a URL.
    Bewit,
    /// To replace the credentials.
    Credentials,
    /// A call of the deployment: the path from `/api` on, to be put behind its root URL.
    Api(String),
    /// A call of another host, under its name.
    Host(&'a str),
    /// A path that begins like one of the deployment and is none.
    NoApi,
    /// A first segment that is neither a service nor a host.
    NoService(&'a str),
    /// A service without a version, or without a path.
    Short,
}

/// The first segment of a path, if it is neither a service nor a host nor one that the proxy knows. This is found out before
/// anything else is: `/../x` asks for no service, and that is all that is wrong with it.
pub fn stranger(text: &str) -> Option<&str> {
    let first = text.strip_prefix('/')?.split(['/', '?']).next()?;
    (!first.split('.').all(is_label)).then_some(first)
}

/// Judges a path. Slashes right behind the version mean one, and a bare `?` means nothing.
pub fn route<'a>(target: &Target<'a>) -> Route<'a> {
    let path = target.path;
    let query = target.query.filter(|query| !query.is_empty());
    if path == "/bewit" || path.starts_with("/bewit/") {
        return Route::Bewit;
    }
    if path == "/credentials" {
        return Route::Credentials;
    }
    if path.starts_with("/api") {
        let parts: Vec<&str> = path.splitn(5, '/').collect();
        return match parts[..] {
            ["", "api", service, version, rest] => Route::Api(api(service, version, rest, query)),
            _ => Route::NoApi,
        };
    }
    let (first, rest) = path[1..].split_once('/').map_or((&path[1..], None), |(first, rest)| (first, Some(rest)));
    if stranger(path).is_some() {
        return Route::NoService(first);
    }
    if first.contains('.') {
        return Route::Host(first);
    }
    match rest.and_then(|rest| rest.split_once('/')) {
        Some((version, rest)) => Route::Api(api(first, version, rest, query)),
        None => Route::Short,
    }
}

fn api(service: &str, version: &str, rest: &str, query: Option<&str>) -> String {
    let path = format!("/api/{service}/{version}/{}", rest.trim_start_matches('/'));
    Target { path: &path, query }.written()
}

fn is_label(text: &str) -> bool {
    let is_inner = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
    text.bytes().all(is_inner) && !text.is_empty() && !text.starts_with('-') && !text.ends_with('-')
}

/// The root URL of a deployment without the slashes at its end.
pub fn root_url(text: &str) -> Result<url::Url> {
    let invalid = || Error::invalid("the root URL must be one like https://taskcluster.example.com");
    if text.contains(char::is_whitespace) {
        return Err(invalid());
    }
    let url = url::Url::parse(text.trim_end_matches('/')).map_err(|_| invalid())?;
    let is_plain =
        url.query().is_none() && url.fragment().is_none() && url.username().is_empty() && url.password().is_none();
    if matches!(url.scheme(), "http" | "https") && url.has_host() && is_plain { Ok(url) } else { Err(invalid()) }
}

/// Signs a URL for reading until `exp`, in seconds since 1970, for somebody who sent it as the body of a request. What is signed is what is answered: the query
/// stays as it was written, a bewit that is there already goes, and so does a fragment, which no server sees.
pub fn signed(text: &str, id: &ClientId, key: &Secret, exp: i64, ext: Option<&str>) -> Result<String> {
    let text = text.split('#').next().unwrap_or_default();
    let (path, query) = text.split_once('?').map_or((text, None), |(path, query)| (path, Some(query)));
    let rest: Vec<&str> =
        query.into_iter().flat_map(|query| query.split('&')).filter(|part| !part.starts_with("bewit=")).collect();
    let query = rest.join("&");
    let slash = if path.splitn(4, '/').count() < 4 { "/" } else { "" };
    let url = if query.is_empty() { format!("{path}{slash}") } else { format!("{path}{slash}?{query}") };
    let resource = url.splitn(4, '/').nth(3).unwrap_or_default();
    Target::parse(&format!("/{resource}"))?;
    bewit::sign_url(&url, id, key, exp, ext)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_go_where_the_ancestor_sent_them() {
        let at = |text| route(&Target::parse(text).unwrap());
        let api = |text: &str| Route::Api(text.into());
        for (path, expected) in [
            ("/api/queue/v1/ping", api("/api/queue/v1/ping")),
            ("/api/queue/v1//a//b?x=1", api("/api/queue/v1/a//b?x=1")),
            ("/api/queue/v1/a?", api("/api/queue/v1/a")),
            ("/api///x", api("/api///x")),
            ("/api/queue/v1", Route::NoApi),
            ("/apiX/v1/x", Route::NoApi),
            ("/queue/v1/x%2Fy?z", api("/api/queue/v1/x%2Fy?z")),
            ("/queue/v1", Route::Short),
            ("/my_service/v1/x", Route::NoService("my_service")),
            ("/-queue/v1/x", Route::NoService("-queue")),
            ("/", Route::NoService("")),
            ("//api/queue/v1/x", Route::NoService("")),
            ("/foreign.example.org/x", Route::Host("foreign.example.org")),
            ("/foreign.example.org:443/x", Route::NoService("foreign.example.org:443")),
            ("/bewit", Route::Bewit),
            ("/bewitched", Route::Short),
            ("/credentials", Route::Credentials),
        ] {
            assert_eq!(at(path), expected, "{path}");
        }
    }

    #[test]
    fn root_urls_lose_the_slashes_at_their_end() {
        assert_eq!(root_url("http://a:1//").unwrap().as_str(), "http://a:1/");
        assert_eq!(root_url("https://a/sub/path/").unwrap().as_str(), "https://a/sub/path");
        for text in ["a", "ftp://a", "http://a?x=1", "http://u@a", " http://a", "http://"] {
            assert!(root_url(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_signed_url_is_the_one_that_was_sent() {
        let (id, key) = (ClientId::parse("tester").unwrap(), Secret::new("k"));
        let sign = |url: &str| signed(url, &id, &key, 0, None).unwrap();
        for (url, rest) in [
            ("http://a/x?z=1&a=2&e", "http://a/x?z=1&a=2&e&bewit="),
            ("http://a/x?bewit=old&a=1#f", "http://a/x?a=1&bewit="),
            ("https://a", "https://a/?bewit="),
            ("http://a/x", "http://a/x?bewit="),
        ] {
            assert!(sign(url).starts_with(rest), "{}", sign(url));
        }
        for url in ["file:///etc/x", "http://a/%zz", "http://a/../x", "http://a b/"] {
            assert!(signed(url, &id, &key, 0, None).is_err(), "{url}");
        }
    }
}
