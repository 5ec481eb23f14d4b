//! Which headers pass, in either direction.

use hyper::header::{
    AUTHORIZATION, CONNECTION, CONTENT_LENGTH, COOKIE, EXPECT, FORWARDED, HOST, HeaderMap, HeaderName, LOCATION,
    PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, SET_COOKIE, TE, TRAILER, TRANSFER_ENCODING, UPGRADE, USER_AGENT,
};
use hyper::{Request, Version};

/// What is between two neighbours only (RFC 9110, 7.6.1), and two that never were in a standard.
const HOP_BY_HOP: [HeaderName; 9] = [
    CONNECTION,
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRANSFER_ENCODING,
    UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("http2-settings"),
];
/// What a task says of itself to a proxy that its upstream trusts: whose address, whose session, by which right. The length
/// is that of the body that comes.
const OWN: [HeaderName; 7] =
    [AUTHORIZATION, COOKIE, CONTENT_LENGTH, EXPECT, FORWARDED, HOST, HeaderName::from_static("x-real-ip")];
/// All that begin so are of that kind, too.
const FORWARDED_PREFIX: &str = "x-forwarded-";

/// Names in `Connection` that count; each is compared with every header.
const NOMINATED_MAX: usize = 64;

/// Whether a request says once for whom it is, as HTTP/1.1 demands. Two could be read differently by two readers.
pub fn has_one_host<B>(request: &Request<B>) -> bool {
    match request.headers().get_all(HOST).iter().count() {
        0 => request.version() < Version::HTTP_11,
        count => count == 1,
    }
}

/// The headers of a request that its upstream gets to see.
pub fn of_request(headers: &HeaderMap) -> HeaderMap {
    let nominated = nominated(headers);
    let mut kept = HeaderMap::with_capacity(headers.len() + 2);
    for (name, value) in headers {
        let is_own = is_own(name);
        // An empty one says less than none, and the ancestor drops it.
        let is_empty_agent = name == USER_AGENT && value.is_empty();
        if !is_own && !is_empty_agent && name != TRAILER && !is_hop_by_hop(name, &nominated) {
            kept.append(name, value.clone());
        }
    }
    kept
}

/// Whether it is for the proxy to say. To some servers `_` and `-` are the same.
fn is_own(name: &HeaderName) -> bool {
    let is = |name: &HeaderName| OWN.contains(name) || name.as_str().starts_with(FORWARDED_PREFIX);
    if name.as_str().contains('_') {
        name.as_str().replace('_', "-").parse().is_ok_and(|name: HeaderName| is(&name))
    } else {
        is(name)
    }
}

/// Trailers that the task gets to see: nothing of them changes how the answer is read.
pub fn of_trailers(trailers: HeaderMap) -> HeaderMap {
    let mut kept = of_answer(trailers);
    for name in [CONTENT_LENGTH, TRAILER, SET_COOKIE, LOCATION] {
        kept.remove(name);
    }
    kept
}

/// The headers of an answer that the task gets to see: every value of each.
pub fn of_answer(headers: HeaderMap) -> HeaderMap {
    let nominated = nominated(&headers);
    let has_two_lengths = headers.contains_key(TRANSFER_ENCODING) && headers.contains_key(CONTENT_LENGTH);
    if nominated.is_empty() && !headers.keys().any(|name| is_hop_by_hop(name, &nominated)) {
        return headers;
    }
    let mut kept = HeaderMap::with_capacity(headers.len());
    for (name, value) in &headers {
        // Chunks count; a length beside them means nothing (RFC 9112, 6.3).
        let is_idle_length = has_two_lengths && name == CONTENT_LENGTH;
        if !(is_hop_by_hop(name, &nominated) || is_idle_length) {
            kept.append(name, value.clone());
        }
    }
    kept
}

/// What `Connection` says is between two neighbours. What only we may say stays ours, whatever it says.
fn nominated(headers: &HeaderMap) -> Vec<HeaderName> {
    let values = headers.get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).take(NOMINATED_MAX).filter_map(|name| name.trim().parse().ok()).collect()
}

fn is_hop_by_hop(name: &HeaderName, nominated: &[HeaderName]) -> bool {
    HOP_BY_HOP.contains(name) || nominated.contains(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(headers: &[(&str, &str)]) -> HeaderMap {
        headers.iter().map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn a_task_says_nothing_that_only_the_proxy_may_say() {
        let kept = of_request(&map(&[
            ("Authorization", "Bearer own"),
            ("Cookie", "a"),
            ("X-Forwarded-Host", "evil"),
            ("X-Real-IP", "1"),
            ("Forwarded", "for=1"),
            ("Connection", "keep-alive, X-Hop, Host"),
            ("X-Hop", "1"),
            ("Proxy-Authorization", "Basic x"),
            ("TE", "trailers"),
            ("Content-Length", "3"),
            ("Accept", "a"),
            ("Accept", "b"),
        ]));
        assert_eq!(kept, map(&[("Accept", "a"), ("Accept", "b")]));
    }

    #[test]
    fn an_answer_keeps_every_value() {
        let plain = map(&[("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("Content-Length", "3"), ("Trailer", "X-Sum")]);
        assert_eq!(of_answer(plain.clone()), plain);
        let hops = [("Connection", "X-Hop"), ("X-Hop", "1"), ("Keep-Alive", "timeout=9"), ("Set-Cookie", "a=1")];
        assert_eq!(of_answer(map(&hops)), map(&[("Set-Cookie", "a=1")]));
    }

    #[test]
    fn a_request_has_one_host() {
        let request = |hosts: &[&str], version| {
            let mut request = Request::builder().version(version);
            for host in hosts {
                request = request.header(HOST, *host);
            }
            has_one_host(&request.body(()).unwrap())
        };
        assert!(request(&["a"], Version::HTTP_11) && request(&[], Version::HTTP_10));
        assert!(!request(&[], Version::HTTP_11) && !request(&["a", "a"], Version::HTTP_11));
    }
}
