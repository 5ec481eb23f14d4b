//! TLS of our outgoing connections: the authorities that we trust, and our own certificate.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use webpki_root_certs::TLS_SERVER_ROOT_CERTS;
use zeroize::Zeroizing;

use crate::base::{Error, Result, Secret};
use crate::proto::certificates::Certificate;

/// Longest file of certificates or of a key. The list of all authorities that a system trusts has a quarter of it.
const FILE_LEN_MAX: u64 = 1 << 20;
/// Rights of those who are neither the owner nor in the group. The group may read, since keys of a host are often kept
/// for a group of services.
const OTHERS: u32 = 0o007;

/// TLS as one neighbour wants it. The default trusts what the system trusts and shows no certificate.
#[derive(Clone, Debug, Default)]
pub struct Tls {
    /// The authorities to trust *instead of* the system's: one or more certificates in PEM.
    pub authorities: Option<String>,
    /// The certificate to show, when the neighbour asks for one.
    pub identity: Option<ClientCertificate>,
}

/// A client certificate with its key.
#[derive(Clone, Debug)]
pub struct ClientCertificate {
    /// The certificate and its intermediates, in PEM.
    pub certificate: String,
    /// The private key, in PEM.
    pub key: Secret,
}

impl Tls {
    /// The authorities to trust instead of the system's, in PEM: those that were named, or our own list on a system that
    /// has none.
    pub(super) fn own_authorities(&self) -> Option<Cow<'_, str>> {
        match &self.authorities {
            Some(authorities) => Some(authorities.into()),
            None => system_has_none().then(|| TLS_SERVER_ROOT_CERTS.iter().map(|der| pem(der)).collect()),
        }
    }

    /// TLS for a client that takes rustls as it is: trusts the same, and shows the certificate.
    pub(super) fn client_config(&self) -> Result<ClientConfig> {
        let unread = |e: pem::Error| Error::invalid("the files of TLS cannot be read").because(e.to_string());
        let unfit = |e: rustls::Error| Error::invalid("the files of TLS cannot be used").because(e);
        let mut roots = RootCertStore::empty();
        match &self.authorities {
            Some(text) => {
                for authority in CertificateDer::pem_slice_iter(text.as_bytes()) {
                    roots.add(authority.map_err(unread)?).map_err(unfit)?;
                }
            }
            // Systems also trust what nobody can read.
            None => {
                let _ = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            }
        }
        if self.authorities.is_none() && roots.is_empty() {
            roots.add_parsable_certificates(TLS_SERVER_ROOT_CERTS.iter().cloned());
        }
        install_crypto();
        let config = ClientConfig::builder().with_root_certificates(roots);
        let Some(ClientCertificate { certificate, key }) = &self.identity else {
            return Ok(config.with_no_client_auth());
        };
        let chain = CertificateDer::pem_slice_iter(certificate.as_bytes()).collect::<std::result::Result<_, _>>();
        let key = PrivateKeyDer::from_pem_slice(key.expose().as_bytes()).map_err(unread)?;
        config.with_client_auth_cert(chain.map_err(unread)?, key).map_err(unfit)
    }
}

/// What every client of HTTP begins with. It asks no proxy, follows no redirect, because a signature and a password are for
/// one place, and trusts what the system trusts, or our own list of public authorities on a system that has none.
pub(super) fn http_client() -> reqwest::ClientBuilder {
    install_crypto();
    let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
    let own = if system_has_none() { TLS_SERVER_ROOT_CERTS } else { &[] };
    client.tls_certs_merge(own.iter().filter_map(|der| reqwest::Certificate::from_der(der).ok()))
}

/// Whether the system trusts nobody: it is a container with nothing but us, or its list is out of reach.
fn system_has_none() -> bool {
    rustls_native_certs::load_native_certs().certs.is_empty()
}

/// A certificate in PEM. Its readers take a line of any length.
fn pem(der: &CertificateDer<'_>) -> String {
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", BASE64.encode(der))
}

/// Makes ring the process's cryptography. Every port calls it before it builds a client; once is enough, more is
/// harmless, and a provider that somebody else installed stays.
pub fn install_crypto() {
    // The error only says that there is one already.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// The certificates of a PEM file, one at least, as they follow one another. `setting` is what named it.
pub fn certificates(setting: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let text = read(setting, path, 0)?;
    let certificates = CertificateDer::pem_slice_iter(&text).collect::<std::result::Result<Vec<_>, _>>();
    let certificates = certificates.map_err(|e| unfit(setting, path, &e.to_string()))?;
    if certificates.is_empty() { Err(unfit(setting, path, "it holds no certificate in PEM")) } else { Ok(certificates) }
}

/// What the certificates of a PEM file say of themselves.
pub fn described(setting: &str, path: &Path) -> Result<Vec<Certificate>> {
    let described = |der: &CertificateDer<'_>| Certificate::read(der).map_err(|e| unfit(setting, path, &e.chain()));
    certificates(setting, path)?.iter().map(described).collect()
}

/// The private key of a PEM file, which nobody but its owner and group may read.
pub fn private_key(setting: &str, path: &Path) -> Result<PrivateKeyDer<'static>> {
    let text = read(setting, path, OTHERS)?;
    // What is wrong is told without a word of the file.
    PrivateKeyDer::from_pem_slice(&text).map_err(|_| unfit(setting, path, "it holds no private key in PEM"))
}

fn read(setting: &str, path: &Path, forbidden: u32) -> Result<Zeroizing<Vec<u8>>> {
    let cannot = |e: io::Error| unfit(setting, path, &e.to_string());
    let file = File::open(path).map_err(cannot)?;
    let mode = file.metadata().map_err(cannot)?.mode();
    if mode & forbidden != 0 {
        return Err(unfit(setting, path, &format!("others may use it (mode {:o}): chmod o= it", mode & 0o7777)));
    }
    let mut text = Zeroizing::new(Vec::new());
    file.take(FILE_LEN_MAX + 1).read_to_end(&mut text).map_err(cannot)?;
    if text.len() as u64 <= FILE_LEN_MAX { Ok(text) } else { Err(unfit(setting, path, "it is too long")) }
}

fn unfit(setting: &str, path: &Path, cause: &str) -> Error {
    Error::invalid(format!("the file of {setting} cannot be used")).because(format!("{}: {cause}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_public_authority_inside_is_read_by_our_clients() {
        let text: String = TLS_SERVER_ROOT_CERTS.iter().map(|der| pem(der)).collect();
        let read: Vec<_> = CertificateDer::pem_slice_iter(text.as_bytes()).map(Result::unwrap).collect();
        assert_eq!(read, TLS_SERVER_ROOT_CERTS);
        let mut store = rustls::RootCertStore::empty();
        assert_eq!(store.add_parsable_certificates(read), (TLS_SERVER_ROOT_CERTS.len(), 0));
        assert!(store.len() > 100);
    }
}
