//! Where a request comes from: its address, whether the way was private, and the host and port it signed.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::http::uri::Authority;
use axum::http::{HeaderMap, Uri};
use ipnet::IpNet;

use crate::base::Result;
use crate::proto::certificates::Certificate;
use crate::proto::hawk::host;

/// What a proxy adds to a request. Any of them shows that the client is not who connects.
const PROXY_HEADERS: [&str; 6] =
    ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-real-ip", "forwarded", "via"];

/// By which a hop says what it calls the request.
const REQUEST_ID: &str = "x-request-id";
/// Bytes of an id that is taken through. A UUID has 36.
const REQUEST_ID_LEN_MAX: usize = 64;

/// Which hops may speak for others through `X-Forwarded-*` (interface.md, `TRUST_PROXY`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrustProxy {
    /// None.
    Nobody,
    DirectPeer,
    /// Those with an address in one of these.
    Hops(Arc<[IpNet]>),
}

/// The other end of a connection. The listener puts one into every request.
#[derive(Clone, Debug)]
pub enum Connection {
    Network {
        /// The address of the socket's other end.
        address: SocketAddr,
        /// TLS, where we ourselves speak it on this connection.
        tls: Option<Secured>,
    },
    /// Over the control socket or inside this process: a user of this host.
    Local {
        /// The user's name or number.
        user: Arc<str>,
    },
}

/// TLS that we ourselves speak.
#[derive(Clone, Debug, Default)]
pub struct Secured {
    /// What the other end showed, when it showed one and an authority of `TLS_CLIENT_CA` vouches for it.
    pub certificate: Option<Arc<Certificate>>,
}

/// What is known of the way a request came.
#[derive(Clone, Debug)]
pub struct Peer {
    /// The address of the client, as far as the hops are trusted to tell.
    pub address: IpAddr,
    /// Whether every trusted hop on the way could be read. If not, the address is that of the hop, not of the client.
    pub is_sure: bool,
    /// Whether the client spoke TLS, by our own socket or a trusted hop's word.
    pub is_https: bool,
    /// Whether nobody on the way could read the request: TLS, or a client on this host.
    pub is_private: bool,
    /// Whether the client is on this host by what the connection says. No header is believed about it.
    pub is_on_host: bool,
    /// The user of this host, for requests over the control socket.
    pub local: Option<Arc<str>>,
    /// The certificate that the client showed us. One of a proxy is none of the client.
    pub certificate: Option<Arc<Certificate>>,
}

impl Peer {
    /// Judges a connection and the headers that came over it.
    pub fn judge(connection: &Connection, headers: &HeaderMap, trust: &TrustProxy) -> Self {
        let (address, tls) = match connection {
            Connection::Network { address, tls } => (address.ip().to_canonical(), tls.as_ref()),
            Connection::Local { user } => {
                let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
                let local = Some(user.clone());
                let (is_https, is_private, is_on_host) = (true, true, true);
                return Self { address, is_sure: true, is_https, is_private, is_on_host, local, certificate: None };
            }
        };
        let trusted = trust.includes(address);
        let forwarded = PROXY_HEADERS.iter().any(|name| headers.contains_key(*name));
        let is_https = tls.is_some() || (trusted && text(headers, "x-forwarded-proto") == Some("https"));
        // A proxy on this host speaks from loopback too, for clients that are elsewhere.
        let is_on_host = address.is_loopback() && !forwarded;
        let (client, is_sure) = if trusted { client_address(address, headers, trust) } else { (address, true) };
        let is_private = is_https || is_on_host;
        let certificate = tls.and_then(|tls| tls.certificate.clone()).filter(|_| !forwarded);
        Self { address: client, is_sure, is_https, is_private, is_on_host, local: None, certificate }
    }
}

impl TrustProxy {
    /// Whether an address may speak for others.
    pub fn includes(&self, address: IpAddr) -> bool {
        match self {
            Self::Nobody => false,
            Self::DirectPeer => true,
            Self::Hops(nets) => nets.iter().any(|net| net.contains(&address)),
        }
    }
}

/// The rightmost address that is not a trusted hop's; what stands left of it, anybody may have written. False with it
/// when a trusted hop wrote something else than an address.
fn client_address(peer: IpAddr, headers: &HeaderMap, trust: &TrustProxy) -> (IpAddr, bool) {
    let mut client = peer;
    for value in headers.get_all("x-forwarded-for").iter().rev() {
        let Ok(value) = value.to_str() else { return (client, false) };
        for hop in value.rsplit(',') {
            let Ok(address) = hop.trim().parse::<IpAddr>() else { return (client, false) };
            client = address.to_canonical();
            if matches!(trust, TrustProxy::DirectPeer) || !trust.includes(client) {
                return (client, true);
            }
        }
    }
    (client, true)
}

/// The id that a trusted hop or a client on this host gave the request, if it is a short token. Anybody else could
/// lead the reader of a log astray with one, and what is no token could look like more than one line or field.
pub fn request_id<'h>(connection: &Connection, headers: &'h HeaderMap, trust: &TrustProxy) -> Option<&'h str> {
    let is_believed = match connection {
        Connection::Network { address, .. } => {
            trust.includes(address.ip().to_canonical()) || Peer::judge(connection, headers, trust).is_on_host
        }
        Connection::Local { .. } => true,
    };
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"-._:=+/".contains(&b);
    let mut given = headers.get_all(REQUEST_ID).iter();
    let (Some(id), None, true) = (given.next(), given.next(), is_believed) else { return None };
    let id = id.to_str().ok()?;
    ((1..=REQUEST_ID_LEN_MAX).contains(&id.len()) && id.bytes().all(fits)).then_some(id)
}

/// Host and port that the client signed (taskcluster.md 1.7). These headers count whoever sends them: they can only
/// make a signature fail.
pub fn signed_authority<'h>(headers: &'h HeaderMap, target: &'h Uri, tls: bool) -> Result<(&'h str, u16)> {
    host::signed_authority(
        host(headers, target),
        text(headers, "x-forwarded-port"),
        text(headers, "x-forwarded-proto"),
        tls,
    )
}

/// Host and port as the client wrote them; empty when it did not. HTTP/2 has them in the target instead of a header.
pub fn host<'h>(headers: &'h HeaderMap, target: &'h Uri) -> &'h str {
    text(headers, "host").or(target.authority().map(Authority::as_str)).unwrap_or_default()
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(peer: &str, trust: &TrustProxy, headers: &[(&'static str, &str)]) -> Peer {
        let address = SocketAddr::new(peer.parse().unwrap(), 1);
        let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        Peer::judge(&Connection::Network { address, tls: None }, &headers, trust)
    }

    #[test]
    fn only_trusted_hops_speak_for_others_and_the_rightmost_untrusted_address_wins() {
        let hops = TrustProxy::Hops(["10.0.0.0/8".parse().unwrap()].into());
        for (peer, trust, forwarded, expected) in [
            ("192.0.2.1", TrustProxy::Nobody, "198.51.100.7", "192.0.2.1"),
            ("192.0.2.1", hops.clone(), "198.51.100.7", "192.0.2.1"),
            ("10.0.0.1", hops.clone(), "1.1.1.1, 198.51.100.7, 10.2.2.2", "198.51.100.7"),
            ("10.0.0.1", hops.clone(), "10.3.3.3", "10.3.3.3"),
            ("192.0.2.1", TrustProxy::DirectPeer, "1.1.1.1, 198.51.100.7", "198.51.100.7"),
            ("::ffff:192.0.2.1", TrustProxy::Nobody, "", "192.0.2.1"),
        ] {
            let peer = judge(peer, &trust, &[("x-forwarded-for", forwarded)]);
            assert_eq!(peer.address.to_string(), expected, "{forwarded}");
        }
        for (forwarded, expected) in [("nonsense, 10.2.2.2", "10.2.2.2"), ("unknown", "10.0.0.1"), ("é", "10.0.0.1")] {
            let peer = judge("10.0.0.1", &hops, &[("x-forwarded-for", forwarded)]);
            assert_eq!((peer.address.to_string().as_str(), peer.is_sure), (expected, false), "{forwarded}");
        }
        assert!(judge("10.0.0.1", &hops, &[]).is_sure, "the hop itself");
    }

    #[test]
    fn no_header_makes_a_client_one_of_this_host() {
        let hops = TrustProxy::Hops(["0.0.0.0/0".parse().unwrap()].into());
        for trust in [TrustProxy::Nobody, TrustProxy::DirectPeer, hops] {
            let forged = [("x-forwarded-for", "127.0.0.1"), ("x-forwarded-proto", "https")];
            assert!(!judge("192.0.2.1", &trust, &forged).is_on_host, "{trust:?}");
            assert!(!judge("192.0.2.1", &trust, &forged[..1]).is_private, "{trust:?}");
            assert!(!judge("127.0.0.1", &trust, &forged).is_on_host, "a proxy on this host, {trust:?}");
            assert!(judge("127.0.0.1", &trust, &[]).is_on_host, "{trust:?}");
        }
    }

    #[test]
    fn an_id_of_the_request_is_taken_from_trusted_hops_and_this_host_only() {
        let hops = TrustProxy::Hops(["10.0.0.0/8".parse().unwrap()].into());
        let taken = |peer: &str, headers: &[(&'static str, &str)]| {
            let address = SocketAddr::new(peer.parse().unwrap(), 1);
            let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
            request_id(&Connection::Network { address, tls: None }, &headers, &hops).map(str::to_owned)
        };
        for (peer, is_believed) in [("10.0.0.1", true), ("::ffff:10.0.0.1", true), ("::1", true), ("192.0.2.1", false)]
        {
            assert_eq!(taken(peer, &[("x-request-id", "a-1")]).is_some(), is_believed, "{peer}");
        }
        let forwarded = [("x-request-id", "a-1"), ("x-forwarded-for", "192.0.2.1")];
        assert_eq!(taken("127.0.0.1", &forwarded), None, "a proxy on this host that is not trusted");
        assert_eq!(taken("10.0.0.1", &forwarded).as_deref(), Some("a-1"));
        let (longest, longer) = ("a".repeat(REQUEST_ID_LEN_MAX), "a".repeat(REQUEST_ID_LEN_MAX + 1));
        assert_eq!(taken("10.0.0.1", &[("x-request-id", &longest)]), Some(longest.clone()));
        for wrong in ["", "a b", "a\tb", "a\"b", "a\\n", "é", &longer] {
            assert_eq!(taken("10.0.0.1", &[("x-request-id", wrong)]), None, "{wrong}");
        }
        let mut twice = HeaderMap::new();
        twice.append(REQUEST_ID, "a".parse().unwrap());
        twice.append(REQUEST_ID, "b".parse().unwrap());
        assert_eq!(request_id(&Connection::Local { user: "uid 0".into() }, &twice, &hops), None);
    }

    #[test]
    fn a_request_is_private_over_tls_or_from_this_host_itself() {
        assert!(judge("127.0.0.1", &TrustProxy::Nobody, &[]).is_private);
        assert!(judge("::1", &TrustProxy::Nobody, &[]).is_private);
        assert!(!judge("192.0.2.1", &TrustProxy::Nobody, &[]).is_private);
        assert!(!judge("192.0.2.1", &TrustProxy::Nobody, &[("x-forwarded-proto", "https")]).is_private);
        assert!(!judge("127.0.0.1", &TrustProxy::Nobody, &[("x-forwarded-for", "192.0.2.1")]).is_private);
        for header in PROXY_HEADERS {
            assert!(!judge("127.0.0.1", &TrustProxy::Nobody, &[(header, "a proxy")]).is_private, "{header}");
        }
        assert!(judge("127.0.0.1", &TrustProxy::DirectPeer, &[("x-forwarded-proto", "https")]).is_private);
    }
}
