//! Authorities and certificates of any age, made for one test, and clients that show them.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use keylender::app::settings::TlsSettings;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType, date_time_ymd};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// The name that servers go by.
pub const SERVER: &str = "keylender.test";

/// Somebody who vouches for others.
pub struct Authority {
    pub pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate with its key, both in PEM.
#[derive(Clone)]
pub struct Identity {
    pub certificate: String,
    pub key: String,
}

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "an authority");
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    /// A certificate for these names (URIs have a colon), from the beginning of one year to that of another.
    pub fn issue(&self, names: &[&str], years: [i32; 2]) -> Identity {
        let mut params = CertificateParams::default();
        let [from, until] = years.map(|year| date_time_ymd(year, 1, 1));
        (params.not_before, params.not_after) = (from, until);
        params.distinguished_name.push(DnType::CommonName, "builds");
        let name = |name: &&str| {
            if name.contains(':') {
                SanType::URI((*name).try_into().unwrap())
            } else {
                SanType::DnsName((*name).try_into().unwrap())
            }
        };
        params.subject_alt_names = names.iter().map(name).collect();
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap().pem();
        Identity { certificate, key: key.serialize_pem() }
    }

    /// The certificate of a server.
    pub fn server(&self) -> Identity {
        self.issue(&[SERVER], [2020, 2040])
    }

    /// How clients speak TLS that trust this authority.
    pub fn client(&self, identity: Option<&Identity>, protocols: &[&str]) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.pem.as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let builder = builder.with_root_certificates(roots);
        let mut config = match identity {
            None => builder.with_no_client_auth(),
            Some(identity) => {
                let chain = vec![CertificateDer::from_pem_slice(identity.certificate.as_bytes()).unwrap()];
                let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).unwrap();
                builder.with_client_auth_cert(chain, key).unwrap()
            }
        };
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        config
    }
}

/// The files of TLS on a server's port.
pub struct Files {
    dir: TempDir,
}

impl Files {
    pub fn new(identity: &Identity, client_ca: Option<&Authority>) -> Self {
        let files = Self { dir: tempfile::tempdir().unwrap() };
        files.put(identity);
        fs::write(files.path("ca.pem"), client_ca.map_or("", |authority| &authority.pem)).unwrap();
        files
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Replaces certificate and key.
    pub fn put(&self, identity: &Identity) {
        fs::write(self.path("cert.pem"), &identity.certificate).unwrap();
        fs::write(self.path("key.pem"), &identity.key).unwrap();
        set_mode(&self.path("key.pem"), 0o600);
    }

    pub fn settings(&self) -> TlsSettings {
        let (cert_file, key_file, ca) = (self.path("cert.pem"), self.path("key.pem"), self.path("ca.pem"));
        let client_ca_file = fs::metadata(&ca).is_ok_and(|meta| meta.len() > 0).then_some(ca);
        TlsSettings { cert_file, key_file, client_ca_file }
    }
}

pub fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Shakes hands over a connection of its own, after some bytes that a proxy may send before.
pub async fn shake_hands(
    address: SocketAddr,
    before: &[u8],
    config: ClientConfig,
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut stream = TcpStream::connect(address).await?;
    tokio::io::AsyncWriteExt::write_all(&mut stream, before).await?;
    TlsConnector::from(Arc::new(config)).connect(ServerName::try_from(SERVER).unwrap(), stream).await
}
