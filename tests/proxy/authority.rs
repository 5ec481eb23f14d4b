//! Who vouches for the hosts behind the proxy, and one that nobody should believe.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::TlsAcceptor;

/// How servers speak TLS.
pub struct Servers {
    /// The authority, as `SSL_CERT_FILE` names it.
    pub pem: String,
    /// With a certificate for all hosts.
    pub right: TlsAcceptor,
    /// With a certificate for a name that nobody asks for.
    pub wrong: TlsAcceptor,
}

impl Servers {
    pub fn new(hosts: Vec<String>) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // Of the same name as what it signs it would look as if that had signed itself.
        params.distinguished_name.push(DnType::CommonName, "an authority");
        let key = KeyPair::generate().expect("a key");
        let pem = params.self_signed(&key).expect("an authority").pem();
        let issuer = Issuer::new(params, key);
        let right = acceptor(&issuer, hosts);
        Self { pem, right, wrong: acceptor(&issuer, vec!["somebody-else.test".into()]) }
    }
}

fn acceptor(issuer: &Issuer<'static, KeyPair>, names: Vec<String>) -> TlsAcceptor {
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(names).expect("names of hosts");
    let certificate = params.signed_by(&key, issuer).expect("a certificate").der().clone();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.expect("protocol versions").with_no_client_auth();
    let mut config = config.with_single_cert(vec![certificate], key).expect("a key that fits");
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    TlsAcceptor::from(Arc::new(config))
}
