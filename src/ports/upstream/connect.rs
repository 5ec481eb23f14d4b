//! Connections to upstreams. A name is asked for once for each connection, what it answers is judged, and the connection goes
//! to an address that was judged: a name that means another address a moment later changes nothing.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use ipnet::IpNet;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::sync::OnceCell;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::either::Either;
use tower::Service;

use super::Way;
use crate::base::{Error, Result};
use crate::ports::resolve::Resolver;
use crate::ports::tls::Tls;
use crate::proto::addresses;

/// For a connection, TLS and all.
const CONNECT_MAX: Duration = Duration::from_secs(15);

/// Networks that are not public and yet may be reached. The default is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks(Arc<[IpNet]>);

impl Networks {
    /// These.
    pub fn new(networks: impl IntoIterator<Item = IpNet>) -> Self {
        Self(networks.into_iter().collect())
    }

    /// Those of organizations and of this host, but not the links on which clouds tell secrets of their machines: for a
    /// place that the person who starts the program names.
    pub fn of_organizations() -> Self {
        Self::new(addresses::organizations())
    }

    /// Whether an address may be reached.
    pub fn allow(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        // Of those that tell secrets only the one that is meant, and not the network that it happens to be in.
        let is_meant = |network: &IpNet| {
            let is_narrow = network.prefix_len() == network.max_prefix_len() || !addresses::tells_secrets(address);
            is_narrow && network.contains(&address)
        };
        addresses::is_public(address) || self.0.iter().any(is_meant)
    }
}

/// Where hosts are that DNS is not asked for, by name and port.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pins(Arc<BTreeMap<(String, u16), SocketAddr>>);

impl Pins {
    /// Reads `host:port=address:port` between commas.
    pub fn parse(text: &str) -> Result<Self> {
        let mut pins = BTreeMap::new();
        for item in text.split(',').map(str::trim).filter(|item| !item.is_empty()) {
            let wrong = || Error::invalid(format!("`{item}` is not one like tooltool.example.com:443=10.1.2.3:443"));
            let (name, address) = item.split_once('=').ok_or_else(wrong)?;
            let (host, port) = name.rsplit_once(':').ok_or_else(wrong)?;
            let port = port.parse().map_err(|_| wrong())?;
            pins.insert((host.to_ascii_lowercase(), port), address.parse().map_err(|_| wrong())?);
        }
        Ok(Self(Arc::new(pins)))
    }
}

/// Makes connections. Cheap to clone.
#[derive(Clone)]
pub(super) struct Connector(Arc<Inner>);

struct Inner {
    networks: Networks,
    pins: Pins,
    tls: Tls,
    resolver: OnceCell<Resolver>,
    secured: OnceCell<TlsConnector>,
}

impl Connector {
    pub(super) fn new(way: Way, resolver: Option<Resolver>) -> Self {
        let Way { networks, pins, tls } = way;
        let resolver = OnceCell::new_with(resolver);
        Self(Arc::new(Inner { networks, pins, tls, resolver, secured: OnceCell::new() }))
    }
}

impl Inner {
    async fn connect(&self, uri: Uri) -> Result<Stream> {
        let named = || Error::invalid("the URL of the upstream has no host");
        let host = uri.host().ok_or_else(named)?;
        let is_tls = uri.scheme_str() == Some("https");
        let port = uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        let stream = self.reach(host, port).await?;
        // Small requests must not wait for more of them. A failure only makes them late.
        let _ = stream.set_nodelay(true);
        if !is_tls {
            return Ok(Stream(TokioIo::new(Either::Left(stream))));
        }
        let secured = self.secured.get_or_try_init(async || {
            let config = self.tls.client_config()?;
            Ok::<_, Error>(TlsConnector::from(Arc::new(config)))
        });
        let bare = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let name = ServerName::try_from(bare).map_err(|e| named().because(e))?;
        let stream = secured.await?.connect(name, stream).await;
        let stream = stream.map_err(|e| Error::unavailable("the upstream shows no certificate we trust").because(e))?;
        Ok(Stream(TokioIo::new(Either::Right(stream))))
    }

    /// A connection to the first address that may be reached and takes it.
    async fn reach(&self, host: &str, port: u16) -> Result<TcpStream> {
        if let Some(pinned) = self.pins.0.get(&(host.to_ascii_lowercase(), port)) {
            return TcpStream::connect(pinned).await.map_err(|e| refused(host, &e));
        }
        let addresses = self.addresses(host).await?;
        let mut outcome = Err(Error::unavailable("the upstream is in a network that is not allowed").because(format!(
            "{host} is {}, which is not public and not among the networks of this upstream",
            addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
        )));
        for address in addresses.into_iter().filter(|address| self.networks.allow(*address)) {
            match TcpStream::connect((address, port)).await {
                Ok(stream) => return Ok(stream),
                Err(error) => outcome = Err(refused(host, &error)),
            }
        }
        outcome
    }

    async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>> {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        if let Ok(address) = bare.parse() {
            return Ok(vec![address]);
        }
        self.resolver.get_or_try_init(async || Resolver::system()).await?.addresses(host).await
    }
}

fn refused(host: &str, error: &io::Error) -> Error {
    Error::unavailable("the upstream cannot be reached").because(format!("{host}: {error}"))
}

impl Service<Uri> for Connector {
    type Response = Stream;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Stream>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let inner = self.0.clone();
        Box::pin(async move {
            let connected = tokio::time::timeout(CONNECT_MAX, inner.connect(uri)).await;
            connected.unwrap_or_else(|_| Err(Error::unavailable("the upstream cannot be reached in time")))
        })
    }
}

/// A connection, with TLS or without.
pub(super) struct Stream(TokioIo<Either<TcpStream, TlsStream<TcpStream>>>);

impl Connection for Stream {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl Read for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl Write for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_public_must_be_listed() {
        let nobody = Networks::default();
        let own = Networks::new(["10.1.0.0/16".parse().unwrap()]);
        let named = Networks::of_organizations();
        for (address, of_nobody, of_own, of_named) in [
            ("93.184.216.34", true, true, true),
            ("2606:2800:220:1::1", true, true, true),
            ("10.1.2.3", false, true, true),
            ("10.2.2.3", false, false, true),
            ("127.0.0.1", false, false, true),
            ("::1", false, false, true),
            ("::ffff:127.0.0.1", false, false, true),
            ("::ffff:10.1.2.3", false, true, true),
            ("fd00::1", false, false, true),
            ("169.254.169.254", false, false, false),
            ("fd00:ec2::254", false, false, false),
            ("100.100.100.200", false, false, false),
            ("fe80::1", false, false, false),
            ("0.0.0.0", false, false, false),
            ("224.0.0.1", false, false, false),
            ("::", false, false, false),
            ("64:ff9b::a01:203", false, false, false),
        ] {
            let address: IpAddr = address.parse().unwrap();
            let allowed = (nobody.allow(address), own.allow(address), named.allow(address));
            assert_eq!(allowed, (of_nobody, of_own, of_named), "{address}");
        }
    }

    #[test]
    fn pins_are_read_by_name_and_port() {
        let pins = Pins::parse("A.example:443=127.0.0.1:1, b:80=[::1]:2,").unwrap();
        assert_eq!(pins.0.get(&("a.example".into(), 443)), Some(&"127.0.0.1:1".parse().unwrap()));
        assert_eq!(pins.0.len(), 2);
        for text in ["a", "a=127.0.0.1:1", "a:1=b:2", "a:x=127.0.0.1:1"] {
            assert!(Pins::parse(text).is_err(), "{text}");
        }
    }
}
