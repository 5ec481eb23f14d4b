//! Which host and port a request was signed for, as the server sees it (taskcluster.md 1.7, vector group
//! `host_header`).

use std::net::Ipv6Addr;

use crate::base::{Error, Result};

/// A `Host` header: a name or address, and the port if it names one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Host<'a> {
    /// The name as written; an IPv6 address keeps its brackets.
    pub name: &'a str,
    /// The port.
    pub port: Option<u16>,
}

/// Reads `name[:port]` or `[v6][:port]`. Space around it is not part of the value (RFC 9110, 5.5).
pub fn parse(text: &str) -> Result<Host<'_>> {
    let text = text.trim_matches([' ', '\t']);
    let name_len = match text.strip_prefix('[') {
        Some(rest) => rest.find(']').filter(|len| rest[..*len].parse::<Ipv6Addr>().is_ok()).map(|len| len + 2),
        None => Some(text.find(':').unwrap_or(text.len())).filter(|len| is_name(&text[..*len])),
    };
    let (name, rest) = text.split_at(name_len.ok_or_else(|| Error::invalid("the Host header names no host"))?);
    let port = match rest.strip_prefix(':') {
        Some(digits) => Some(port(digits, digits.len())?),
        None if rest.is_empty() => None,
        None => return Err(Error::invalid("the Host header names no port behind the address")),
    };
    Ok(Host { name, port })
}

/// The host and port that a client is expected to have signed. As in the original, the two forwarding headers count
/// whoever sent them. `X-Forwarded-Proto: https` means 443 even when `Host` names another port, so a proxy on another
/// port must send `X-Forwarded-Port`; of that, the leading number counts.
pub fn signed_authority<'a>(
    host: &'a str,
    x_forwarded_port: Option<&str>,
    x_forwarded_proto: Option<&str>,
    socket_is_tls: bool,
) -> Result<(&'a str, u16)> {
    let host = parse(host)?;
    let port = match (x_forwarded_port, x_forwarded_proto, host.port) {
        (Some(text), ..) => {
            let text = text.trim_start();
            port(text, text.bytes().take_while(u8::is_ascii_digit).count())?
        }
        (None, Some("https"), _) => 443,
        (None, _, Some(port)) => port,
        (None, _, None) if socket_is_tls => 443,
        (None, _, None) => 80,
    };
    Ok((host.name, port))
}

/// Letters, digits, `-` and dots, and the `_` that internal names like to use.
fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b))
}

/// The port in the first `len` characters, which must all be digits.
fn port(text: &str, len: usize) -> Result<u16> {
    Some(&text[..len])
        .filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()))
        .and_then(|digits| digits.parse().ok())
        .ok_or_else(|| Error::invalid("the request names a port that is no number below 65536"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_a_host_is_refused() {
        for text in
            ["", ":80", "a:", "a:x", "a:+1", "a:65536", "a b", "a/b", "é", "[::1", "[]", "[x]", "[::1]80", "::1"]
        {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_port_comes_from_the_proxy_first_and_from_the_socket_last() {
        for (host, port, proto, tls, signed) in [
            ("a:8443", None, None, false, 8443),
            ("a:8443", None, Some("https"), false, 443),
            ("a:8443", None, Some("http"), false, 8443),
            ("a:8443", None, Some("https,http"), true, 8443),
            ("a", None, None, true, 443),
            ("a", None, Some("http"), false, 80),
            ("a:1", Some("9443"), Some("https"), true, 9443),
            ("a", Some(" 444, 80"), None, false, 444),
        ] {
            assert_eq!(signed_authority(host, port, proto, tls).unwrap(), ("a", signed));
        }
        for port in ["", "x", "-1", "65536", "99999999999999999999999"] {
            assert!(signed_authority("a", Some(port), None, false).is_err(), "{port}");
        }
    }
}
