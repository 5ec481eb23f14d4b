//! Names to addresses, without `getaddrinfo`: a static binary's one fails on old kernels (dependencies.md 2).

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{LookupIpStrategy, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;

use crate::base::{Error, Result};

/// The one resolver that all our clients share. Cheap to clone; clones share cache and connections.
///
/// It reads `/etc/hosts` and `/etc/resolv.conf` once. Without a usable `/etc/resolv.conf` it still knows
/// `localhost` and the names of `/etc/hosts`, and asks nobody else: least of all a public service.
#[derive(Clone)]
pub struct Resolver {
    names: TokioResolver,
    /// Why there are no name servers to ask, when there are none.
    trouble: Option<Arc<str>>,
}

impl Resolver {
    /// A resolver as this machine is configured.
    pub fn system() -> Result<Self> {
        let (mut builder, trouble) = match TokioResolver::builder_tokio() {
            Ok(builder) => (builder, None),
            Err(e) => {
                let nobody = ResolverConfig::from_parts(None, Vec::new(), Vec::new());
                let builder = TokioResolver::builder_with_config(nobody, TokioRuntimeProvider::default());
                (builder, Some(format!("/etc/resolv.conf gives no name server: {e}").into()))
            }
        };
        builder.options_mut().ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        let names = builder.build().map_err(|e| Error::internal("setting up name resolution", e))?;
        Ok(Self { names, trouble })
    }

    /// The addresses of a host name or address; at least one. An unknown name is `Unavailable`, for it may be
    /// known later.
    pub async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>> {
        let failed = |cause: String| Error::unavailable("a host name cannot be resolved").because(cause);
        let found = match self.names.lookup_ip(host).await {
            Ok(found) => found.iter().collect::<Vec<_>>(),
            Err(e) => match &self.trouble {
                Some(trouble) => return Err(failed(format!("{host}: not in /etc/hosts, and {trouble}"))),
                None => return Err(failed(format!("{host}: {e}"))),
            },
        };
        if found.is_empty() { Err(failed(format!("{host}: the name has no address"))) } else { Ok(found) }
    }
}

impl reqwest::dns::Resolve for Resolver {
    fn resolve(&self, name: reqwest::dns::Name) -> reqwest::dns::Resolving {
        let resolver = self.clone();
        Box::pin(async move {
            let addresses = resolver.addresses(name.as_str()).await?;
            // The port 0 is replaced by the one of the URL.
            let addresses = addresses.into_iter().map(|ip| SocketAddr::new(ip, 0));
            Ok(Box::new(addresses) as reqwest::dns::Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn localhost_and_addresses_need_no_name_server() {
        let resolver = Resolver::system().unwrap();
        assert!(resolver.addresses("localhost").await.unwrap().contains(&IpAddr::from([127, 0, 0, 1])));
        assert_eq!(resolver.addresses("192.0.2.7").await.unwrap(), [IpAddr::from([192, 0, 2, 7])]);
    }

    #[tokio::test]
    async fn a_resolver_without_name_servers_says_so() {
        let nobody = ResolverConfig::from_parts(None, Vec::new(), Vec::new());
        let names = TokioResolver::builder_with_config(nobody, TokioRuntimeProvider::default()).build().unwrap();
        let resolver = Resolver { names, trouble: Some("/etc/resolv.conf gives no name server: it is empty".into()) };

        assert!(!resolver.addresses("localhost").await.unwrap().is_empty());
        let error = resolver.addresses("broker.example").await.unwrap_err();
        assert!(error.chain().contains("/etc/resolv.conf gives no name server"), "{error:?}");
        assert_eq!(error.message(), "a host name cannot be resolved");
    }
}
