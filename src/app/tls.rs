//! TLS on our own port: the certificate that we show, the client certificates that we believe, and reading both again.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rustls::pki_types::UnixTime;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::time_provider::TimeProvider;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::settings::TlsSettings;
use crate::base::{Clock, Error, Result};
use crate::ports::tls::{certificates, described, private_key};
use crate::proto::certificates::{Age, Certificate};
use crate::web::peer::Secured;
use crate::web::per_address::PerAddress;

/// Handshakes at once; more wait for their turn. Each costs a signature, and they must not take all of the processor from
/// requests.
const HANDSHAKES_MAX: usize = 256;
/// Of these, handshakes of one address: who begins many and goes on with none must not keep the others out.
const HANDSHAKES_EACH_MAX: usize = HANDSHAKES_MAX / 4;
/// What we speak inside of TLS, the better one first.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];
/// The first byte of every TLS connection: a record of the handshake.
const HANDSHAKE_RECORD: u8 = 0x16;
/// What somebody hears who does not speak TLS.
const HINT: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 43\r\n\
    Connection: close\r\n\r\nThis port speaks TLS: ask it with https://\n";
/// Bytes of a plain request that are read before it is answered: with unread ones, the answer would be lost.
const PLAIN_LEN_MAX: usize = 4096;

/// Makes a connection a private one.
pub(super) struct TlsDoor {
    settings: TlsSettings,
    clock: Clock,
    config: RwLock<Arc<ServerConfig>>,
    handshakes: Semaphore,
    per_address: PerAddress,
}

impl TlsDoor {
    /// Reads the files of the settings. The error names the setting whose file cannot be used, and why.
    pub fn open(settings: &TlsSettings, clock: Clock) -> Result<Self> {
        let config = RwLock::new(config(settings, &clock)?);
        let (handshakes, per_address) = (Semaphore::new(HANDSHAKES_MAX), PerAddress::new(HANDSHAKES_EACH_MAX));
        Ok(Self { settings: settings.clone(), clock, config, handshakes, per_address })
    }

    /// Reads the files again, for connections from now on. When one of them cannot be used, all stays as it was, and the
    /// log says so.
    pub fn reload(&self) {
        match config(&self.settings, &self.clock) {
            Ok(config) => {
                *self.config.write().unwrap_or_else(PoisonError::into_inner) = config;
                tracing::info!("read the files of TLS again");
            }
            Err(error) => {
                tracing::error!("the files of TLS stay as they were read before: {}", error.chain());
            }
        }
    }

    /// Shakes hands within `patience`; `address` is counted where there is one. The error is for the log; the other side
    /// may be anybody.
    pub async fn accept(
        &self,
        stream: TcpStream,
        address: Option<IpAddr>,
        patience: Duration,
    ) -> std::result::Result<(TlsStream<TcpStream>, Secured), String> {
        let permit =
            address.map(|address| self.per_address.acquire(address).ok_or("its address has too many handshakes"));
        let _address_permit = permit.transpose()?;
        let shaken = tokio::time::timeout(patience, self.shake_hands(stream)).await;
        let stream = shaken.map_err(|_| "no TLS handshake in time")?.map_err(|e| format!("no TLS handshake: {e}"))?;
        let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
        let certificate = shown.map(|der| Certificate::read(der)).transpose().map_err(|e| e.chain())?;
        Ok((stream, Secured { certificate: certificate.map(Arc::new) }))
    }

    async fn shake_hands(&self, mut stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let mut first = [0];
        if stream.peek(&mut first).await? == 1 && first[0] != HANDSHAKE_RECORD {
            give_a_hint(&mut stream).await?;
            return Err(io::Error::other("it speaks no TLS"));
        }
        // Never closed.
        let _place = self.handshakes.acquire().await.map_err(io::Error::other)?;
        let config = self.config.read().unwrap_or_else(PoisonError::into_inner).clone();
        TlsAcceptor::from(config).accept(stream).await
    }
}

async fn give_a_hint(stream: &mut TcpStream) -> io::Result<()> {
    let _len = stream.read(&mut [0; PLAIN_LEN_MAX]).await?;
    stream.write_all(HINT).await?;
    stream.shutdown().await
}

fn config(settings: &TlsSettings, clock: &Clock) -> Result<Arc<ServerConfig>> {
    let TlsSettings { cert_file, key_file, client_ca_file } = settings;
    warn_of_age("TLS_CERT", &described("TLS_CERT", cert_file)?, clock);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let unfit = |setting: &str, cause: rustls::Error| {
        Error::invalid(format!("the file of {setting} cannot be used")).because(cause)
    };
    let builder = ServerConfig::builder_with_details(provider, Arc::new(OurTime(clock.clone())))
        .with_safe_default_protocol_versions()
        .map_err(|e| unfit("TLS_CERT", e))?;
    let builder = match client_ca_file {
        None => builder.with_no_client_auth(),
        Some(path) => {
            warn_of_age("TLS_CLIENT_CA", &described("TLS_CLIENT_CA", path)?, clock);
            builder.with_client_cert_verifier(verifier(certificates("TLS_CLIENT_CA", path)?)?)
        }
    };
    let (chain, key) = (certificates("TLS_CERT", cert_file)?, private_key("TLS_KEY", key_file)?);
    let mut config = builder.with_single_cert(chain, key).map_err(|e| unfit("TLS_CERT or of TLS_KEY", e))?;
    config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).into();
    Ok(Arc::new(config))
}

/// Believes certificates that these authorities vouch for; who shows none is served, too.
fn verifier(authorities: Vec<rustls::pki_types::CertificateDer<'static>>) -> Result<Arc<dyn ClientCertVerifier>> {
    let unfit = |cause: String| Error::invalid("the file of TLS_CLIENT_CA cannot be used").because(cause);
    let mut roots = RootCertStore::empty();
    for authority in authorities {
        roots.add(authority).map_err(|e| unfit(e.to_string()))?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    builder.allow_unauthenticated().build().map_err(|e| unfit(e.to_string()))
}

fn warn_of_age(setting: &str, certificates: &[Certificate], clock: &Clock) {
    let now = clock.now();
    for Certificate { subject, valid_from, valid_until, .. } in certificates.iter().filter(|c| c.age(now) != Age::Valid)
    {
        tracing::warn!(
            "a certificate of {setting} ({subject}) is valid from {valid_from} until {valid_until}: renew it"
        );
    }
}

/// Certificates of clients are judged by the clock that everything is judged by.
struct OurTime(Clock);

impl TimeProvider for OurTime {
    fn current_time(&self) -> Option<UnixTime> {
        let seconds = u64::try_from(self.0.now().as_seconds()).ok()?;
        Some(UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
    }
}

impl fmt::Debug for OurTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OurTime")
    }
}
