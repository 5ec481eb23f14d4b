//! A bare connection to the broker, for whoever speaks AMQP over it themselves.

use std::io;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::transport::Wire;
use super::{AmqpDoor, SILENT};
use crate::base::{Error, Result};

/// A connection to the broker on which nothing was said yet.
pub type Bare = Box<dyn Wire>;

impl AmqpDoor {
    /// A connection, with TLS where the address has it.
    ///
    /// # Errors
    /// `Unavailable` when no address of the broker takes one within the deadline.
    pub async fn connect(&self, deadline: Duration) -> Result<Bare> {
        let silent = || Error::unavailable(SILENT).because("no connection in time");
        timeout(deadline, self.reach()).await.unwrap_or_else(|_| Err(silent()))
    }

    async fn reach(&self) -> Result<Bare> {
        let away = |e: io::Error| Error::unavailable(SILENT).because(e);
        let addresses = self.resolver.addresses(&self.host).await?;
        let mut outcome = Err(Error::unavailable(SILENT).because("its name has no address"));
        for address in addresses {
            outcome = TcpStream::connect((address, self.port)).await.map_err(away);
            if outcome.is_ok() {
                break;
            }
        }
        let stream = outcome?;
        stream.set_nodelay(true).map_err(away)?;
        Ok(match self.transport_tls()? {
            None => Box::new(stream),
            Some((config, name)) => Box::new(TlsConnector::from(config).connect(name, stream).await.map_err(away)?),
        })
    }

    /// How it is reached, and where: `amqps` and `broker:5671`.
    pub fn place(&self) -> (String, String) {
        let Self { scheme, host, port, .. } = self;
        let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
        (scheme.to_string(), format!("{host}:{port}"))
    }
}
